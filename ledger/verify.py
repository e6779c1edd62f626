"""Checking a bundle: every byte, every entry, every opened value, the signed head and who signed it (section 9).

Never raises for what a bundle holds: whatever is malformed becomes a problem with a code. Exit codes: docs/adr/0004.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ledger import bag
from ledger.anchor import MAX_RESPONSE_BYTES, parse_response
from ledger.check import Check, Event, read_checkpoint
from ledger.checkpoint import open_checkpoint
from ledger.disclosure import MAX_DISCLOSURE_BYTES, open_fields, parse_disclosure
from ledger.entry import MAX_ENTRY_BYTES, leaf_hash, parse_entry
from ledger.items import check_erasures, check_items
from ledger.log import check_log, is_log_path
from ledger.note import MAX_NOTE_BYTES, Ed25519Verifier, NoteError, decode_vkey
from ledger.policy import Policy, judge
from ledger.report import Key, Report
from ledger.rotation import check_heads, check_keys
from ledger.source import BundleError, Source, open_source

MAX_VKEY_BYTES, MAX_KEYS = 4096, 16


class Trust(NamedTuple):
    """Whom the reader trusts: keys from outside, a policy, and whether a key is asked for at all."""

    keys: Sequence[Ed25519Verifier] = ()
    policy: Policy | None = None
    require_key: bool = False


def verify_bundle(path: Path, trust: Trust | None = None) -> Report:
    """Check the bundle at `path` (a folder or a .zip) wholly; it is read and never unpacked.

    With trusted keys of this log's name, one of the bundle's must be among them and have signed the head, or led to one
    that did; with none of its name, or when a key is required and there is none, the trust is incomplete. Otherwise the
    bundle's own keys count.
    """
    try:
        with open_source(path) as source:
            return verify_source(source, str(path), trust)
    except BundleError as problem:
        report = Report(str(path))
        report.tell("bundle", problem.code, str(problem))
        return report


def verify_source(source: Source, name: str, trust: Trust | None = None) -> Report:
    """`verify_bundle` of a bundle that is open."""
    report = Report(name, files=len(source.files))
    check = Check(source, report)
    digests = bag.check_bag(check)
    _check_head(check)
    _check_entries(check)
    if report.checkpoint:
        check_heads(check, report.checkpoint)
        leads = check_keys(check, report.checkpoint)
        check_trust(report, bag.CHECKPOINT, check.note, trust or Trust(), leads)
        _check_anchors(check)
    erasures = check_erasures(check)
    if report.checkpoint:
        _check_log(check)
    check_items(check, digests, erasures)
    return report


def verify_log(path: Path, trust: Trust | None = None) -> Report:
    """Derive the log that a folder holds as C2SP tlog-tiles; other files in it are not looked at."""
    report = Report(str(path))
    try:
        with open_source(path) as source:
            check, report.files = Check(source, report), len(source.files)
            note = check.read("checkpoint", MAX_NOTE_BYTES) or b""
            if head := check.attempt("checkpoint", "checkpoint-malformed", "is malformed", read_checkpoint, note):
                report.checkpoint = head
                given = trust or Trust()
                check_trust(
                    report, "checkpoint", note, given, lambda vkeys: [one for one in vkeys if _signed(note, one)]
                )
                report.trust = "unknown" if report.trust == "first use" else report.trust
                report.log = head.size if check_log(check, "", head) else None
    except BundleError as problem:
        report.tell("bundle", problem.code, str(problem))
    return report


def check_trust(
    report: Report, where: str, note: bytes, trust: Trust, leads: Callable[[list[str]], Collection[str]]
) -> None:
    """Hold a valid head against the reader's keys and policy. `leads`: to which keys these lead, if one signed it."""
    origin = report.checkpoint.origin if report.checkpoint else ""
    keys = [*trust.keys, *(trust.policy.logs if trust.policy else ())]
    candidates = [key.vkey for key in keys if key.name == origin]
    report.trust = "unknown" if keys or trust.require_key else "first use"
    if candidates:
        reached = leads(candidates)
        report.trust = "pinned" if reached else "none"
        report.keys = report.keys or [Key(vkey, signed=True) for vkey in reached]
        for key in report.keys:
            key.trusted = key.vkey in reached
        if not reached:
            report.tell(where, "checkpoint-untrusted", f"is not signed by a trusted key of {origin}")
    if trust.policy:
        report.policy = judge(trust.policy, note.decode())
        for fault in report.policy.faults:
            report.tell(where, "cosignature-invalid", fault)


def _signed(note: bytes, vkey: str) -> bool:
    with suppress(NoteError):
        return bool(open_checkpoint(note, [decode_vkey(vkey)]))
    return False


def parse_vkeys(data: bytes) -> list[Ed25519Verifier]:
    """The keys of a vkey file. Raises NoteError or UnicodeError."""
    keys = [decode_vkey(line) for line in data.decode("utf-8").split("\n")[:-1]]
    whole = "".join(f"{key.vkey}\n" for key in keys).encode() == data and len({key.vkey for key in keys}) == len(keys)
    if not whole or not 1 <= len(keys) <= MAX_KEYS or len({key.name for key in keys}) > 1:
        raise NoteError(f"not 1 to {MAX_KEYS} lines, each with another key of one name")
    return keys


def _check_head(check: Check) -> None:
    check.keys = check.parse(bag.VKEY, MAX_VKEY_BYTES, "vkey-malformed", parse_vkeys) or []
    note = check.read(bag.CHECKPOINT, MAX_NOTE_BYTES)
    check.note = note or b""
    head = check.report.checkpoint = None if note is None else check.head(bag.CHECKPOINT, note)
    check.report.keys = [Key(key.vkey, signed=head is not None and key in head.signed_by) for key in check.keys]


def _check_entries(check: Check) -> None:
    """Every entry, proof and disclosure of the bundle, and that nothing else stands where they do."""
    check.list_files()
    present, head = check.numbers["entry"], check.report.checkpoint
    check.report.entries = len(present)
    for kind in ("proof", "disclosure", "handover", "anchor"):
        for index in sorted(check.numbers[kind] - present):
            check.tell(bag.place(kind, index), "orphan", "belongs to an entry that is missing")
    heads = {check.note.decode(): head} if head else None
    for index in sorted(present):
        path = bag.place("entry", index)
        data = check.read(path, MAX_ENTRY_BYTES)
        entry = None if data is None else check.attempt(path, "entry-malformed", "is not an entry", parse_entry, data)
        if data is None or entry is None:
            continue
        if entry.event_id in check.events:
            check.tell(path, "entry-repeated", f"repeats event {entry.event_id}")
            continue
        event = check.events[entry.event_id] = Event(index, entry, leaf_hash(data))
        check.included(bag.place("proof", index), event, heads)
        if head and entry.origin != head.origin:
            check.tell(path, "entry-foreign", f"is of another log, {entry.origin}")
        if index in check.numbers["disclosure"]:
            path = bag.place("disclosure", index)
            made = check.parse(path, MAX_DISCLOSURE_BYTES, "disclosure-malformed", parse_disclosure, entry.event_id)
            event.fields = open_fields(check.report, path, entry, made or {})


def _check_anchors(check: Check) -> None:
    for event in sorted(check.events.values(), key=lambda event: event.index):
        path, token = bag.place("anchor", event.index), event.fields.get("token")
        data = check.read(path, MAX_RESPONSE_BYTES) if event.index in check.numbers["anchor"] else None
        if data is None:
            continue
        stated: dict[str, Any] = token if event.done("sanad/anchor") and isinstance(token, dict) else {}
        size = stated.get("size")
        recorded = type(size) is int and stated.get("sha256") == hashlib.sha256(data).hexdigest()
        stamp = check.attempt(path, "anchor-malformed", "is not a timestamp", parse_response, data)
        head, note = bag.place("head", stated.get("size", 0)), None
        if head in check.source.files:
            note = check.read(head, MAX_NOTE_BYTES)
        elif check.report.checkpoint and check.report.checkpoint.size == size:
            note = check.note
        over = stamp and note is not None and hashlib.new(stamp.algorithm, note).digest() == stamp.imprint
        if not recorded or (stamp and not over):
            check.tell(path, "anchor-mismatch", "is not what its entry records, or not over the head it states")
        elif stamp:
            check.report.anchors.append({"index": event.index, "size": size, "time": stamp.time})


def _check_log(check: Check) -> None:
    found, head = {path for path in check.source.files if path.startswith(bag.LOG)}, check.report.checkpoint
    if not found or head is None:
        return
    own = f"{bag.LOG}checkpoint"
    for path in sorted(path for path in found - {own} if not is_log_path(path[len(bag.LOG) :], head.size)):
        check.tell(path, "file-unexpected", "is not part of the log at its head's size")
    note = check.read(own, MAX_NOTE_BYTES)
    if note is not None and note != check.note:
        check.tell(own, "checkpoint-mismatch", "is not the bundle's head")
    check.report.log = head.size if check_log(check, bag.LOG, head) else None

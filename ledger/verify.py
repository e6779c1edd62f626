"""The verdict on a bundle: every byte, every custody event, the signed head of the ledger (docs/spec/ledger.md).

Never raises for what a bundle holds: whatever is malformed becomes a named problem. Exit codes: docs/adr/0004.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import bag
from ledger.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from ledger.entry import Entry, EntryError, commit, leaf_hash, parse_canonical, parse_entry
from ledger.merkle import ProofError, verify_inclusion
from ledger.note import MAX_NOTE_BYTES, Ed25519Verifier, NoteError, decode_vkey, fingerprint
from ledger.proof import MAX_PROOF_BYTES, parse_proof
from ledger.source import BundleError, Source, open_source

VERIFIED, INVALID, UNTRUSTED, USAGE = 0, 1, 2, 3
RECEIVED = "ingestion"
MAX_PROBLEMS = 1000

_INDEXED = {
    "data/ledger/entries/": re.compile(r"data/ledger/entries/(0|[1-9][0-9]{0,17})\.json\Z"),
    "data/ledger/proofs/": re.compile(r"data/ledger/proofs/(0|[1-9][0-9]{0,17})\.tlog-proof\Z"),
    "data/disclosures/": re.compile(r"data/disclosures/(0|[1-9][0-9]{0,17})\.json\Z"),
}
_SALT = re.compile(r"[0-9a-f]{64}\Z")
_ACCESSION = re.compile(r"[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?\Z")
_ROW = {"accession", "events", "exhibit", "id", "media_type", "path", "sha256", "sha512", "size"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file (or event) it is about, and what."""

    where: str
    what: str


@dataclass
class Event:
    """One entry of the bundle, with the fields it discloses."""

    index: int
    entry: Entry
    fields: dict[str, Any]


@dataclass
class Item:
    """The verdict on one item. `events` are indices in the ledger; `withheld` counts fields not disclosed."""

    accession: str
    exhibit: str | None
    path: str
    size: int
    sha256: str
    received_at: str | None = None
    received_index: int | None = None
    events: list[int] = field(default_factory=list)
    withheld: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Report:
    """The verdict on a bundle. `trust`: pinned (a trusted key signed), first use, unknown (no trusted key), none."""

    bundle: str
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0
    flawed: set[str] = field(default_factory=set)
    items: list[Item] = field(default_factory=list)
    entries: int = 0
    files: int = 0
    checkpoint: Checkpoint | None = None
    vkey: str | None = None
    trust: str = "none"

    @property
    def exit_code(self) -> int:
        if self.problems or self.checkpoint is None:
            return INVALID
        return UNTRUSTED if self.trust == "unknown" else VERIFIED

    @property
    def key_fingerprint(self) -> str | None:
        return fingerprint(self.vkey) if self.vkey else None

    def tell(self, where: str, what: str) -> None:
        """Add a problem; beyond MAX_PROBLEMS they are only counted, and what they are about is kept."""
        self.flawed.add(where)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))
        else:
            self.more_problems += 1


def verify_bundle(path: Path, *, trusted: Sequence[Ed25519Verifier] = (), require_key: bool = False) -> Report:
    """Check the bundle at `path` (a folder, .zip or .tar) wholly; it is read and never unpacked.

    `trusted`: keys from outside the bundle. With some of this log's name, one must have signed; with none of its
    name, or with `require_key` and none at all, the trust is incomplete. Without both, the bundle's own key counts.
    """
    report = Report(str(path))
    try:
        with open_source(path) as source:
            report.files = len(source.files)
            digests = bag.check_bag(source, report.tell)
            note = _check_head(source, report, trusted, require_key)
            events = _check_events(source, report, note)
            _check_items(source, report, digests, events)
    except BundleError as problem:
        report.tell(str(path), str(problem))
    return report


def _check_head(source: Source, report: Report, trusted: Sequence[Ed25519Verifier], require_key: bool) -> str:
    """The checkpoint against the bundle's key and the trusted ones. Returns the note, empty when there is none."""
    where, note = bag.VKEY, ""
    try:
        line = source.read(bag.VKEY, 1024).decode("utf-8")
        own = decode_vkey(line[:-1])
        if line != own.vkey + "\n":
            raise NoteError("is not one verifier key")
        report.vkey = own.vkey
        where = bag.CHECKPOINT
        note = source.read(bag.CHECKPOINT, MAX_NOTE_BYTES).decode("utf-8")
        checkpoint = open_checkpoint(note, [own])
    except UnicodeError:
        report.tell(where, "is not UTF-8")
        return note
    except BundleError as problem:
        report.tell(where, str(problem))
        return note
    except (NoteError, CheckpointError) as problem:
        report.tell(where, f"is not valid: {problem}")
        return note
    candidates = [key for key in trusted if key.name == checkpoint.origin]
    if candidates:
        try:
            open_checkpoint(note, candidates)
        except NoteError:
            known = ", ".join(fingerprint(key.vkey) for key in candidates)
            report.tell(bag.CHECKPOINT, f"is not signed by a trusted key of {checkpoint.origin} ({known})")
            return note
        report.trust = "pinned"
    else:
        report.trust = "unknown" if trusted or require_key else "first use"
    report.checkpoint = checkpoint
    return note


def _check_events(source: Source, report: Report, note: str) -> dict[str, Event]:
    """Every entry, proof and disclosure of the bundle. Returns the events by id, each proven or told as a problem."""
    indices: dict[str, set[int]] = {folder: set() for folder in _INDEXED}
    for path in source.files:
        if not path.startswith(("data/ledger/", "data/disclosures/")) or path in (bag.VKEY, bag.CHECKPOINT):
            continue
        for folder, pattern in _INDEXED.items():
            match = pattern.match(path)
            if match is not None:
                indices[folder].add(int(match[1]))
                break
        else:
            report.tell(path, "is not one of the ledger's files")
    entries, proofs, disclosures = indices.values()
    for index in sorted(proofs - entries):
        report.tell(bag.proof_path(index), "proves an entry that is missing")
    for index in sorted(disclosures - entries):
        report.tell(bag.disclosure_path(index), "discloses an entry that is missing")
    events: dict[str, Event] = {}
    report.entries = len(entries)
    for index in sorted(entries):
        path = bag.entry_path(index)
        try:
            data = source.read(path, MAX_NOTE_BYTES)
            entry = parse_entry(data)
        except (BundleError, EntryError) as problem:
            report.tell(path, f"is not an entry: {problem}")
            continue
        if entry.event_id in events:
            report.tell(path, f"repeats event {entry.event_id}")
            continue
        _check_proof(source, report, note, index, data, entry)
        fields = _opened(source, report, index, entry) if index in disclosures else {}
        events[entry.event_id] = Event(index, entry, fields)
    return events


def _check_proof(source: Source, report: Report, note: str, index: int, data: bytes, entry: Entry) -> None:
    path = bag.proof_path(index)
    try:
        proof = parse_proof(source.read(path, MAX_PROOF_BYTES))
        if proof.index != index:
            raise ProofError(f"it is for entry {proof.index}")
        if proof.note != note:
            raise ProofError("its checkpoint is not the bundle's")
        if report.checkpoint is None:
            return
        if entry.origin != report.checkpoint.origin:
            report.tell(bag.entry_path(index), f"is of another log, {entry.origin}")
        verify_inclusion(leaf_hash(data), index, report.checkpoint.size, proof.path, report.checkpoint.root)
    except BundleError as problem:
        report.tell(path, str(problem))
    except ProofError as problem:
        report.tell(path, f"does not prove entry {index}: {problem}")


def _opened(source: Source, report: Report, index: int, entry: Entry) -> dict[str, Any]:
    """The disclosed fields that open their commitment."""
    path, opened = bag.disclosure_path(index), {}
    try:
        value = bag.parse_disclosure(source.read(path, bag.MAX_DISCLOSURE_BYTES))
        if (
            not isinstance(value, dict)
            or value.keys() != {"event_id", "fields"}
            or not isinstance(value["fields"], dict)
        ):
            raise EntryError("not {event_id, fields}")
        if value["event_id"] != entry.event_id:
            raise EntryError("it is for another event")
        for name, opening in value["fields"].items():
            if not isinstance(opening, dict) or opening.keys() != {"salt", "value"}:
                raise EntryError(f"{name[:40]} is not {{salt, value}}")
            if not isinstance(opening["salt"], str) or not _SALT.match(opening["salt"]):
                raise EntryError(f"{name[:40]} has a malformed salt")
            if name not in entry.commitments:
                report.tell(path, f"discloses {name[:40]}, which entry {index} does not hold")
            elif commit(bytes.fromhex(opening["salt"]), name, opening["value"]) != entry.commitments[name]:
                report.tell(path, f"states a {name} that is not the one recorded in entry {index}")
            else:
                opened[name] = opening["value"]
    except BundleError as problem:
        report.tell(path, str(problem))
    except EntryError as problem:
        report.tell(path, f"is not a disclosure: {problem}")
    return opened


def _check_items(source: Source, report: Report, digests: dict[str, bag.Digests], events: dict[str, Event]) -> None:
    try:
        catalogue = parse_canonical(source.read(bag.ITEMS, bag.MAX_ITEMS_BYTES), max_bytes=bag.MAX_ITEMS_BYTES)
        if not isinstance(catalogue, dict) or catalogue.keys() != {"format", "items"}:
            raise EntryError("not {format, items}")
        if catalogue["format"] != bag.FORMAT or not isinstance(catalogue["items"], list):
            raise EntryError(f"not of the format {bag.FORMAT}")
        rows = [_row(number, row) for number, row in enumerate(catalogue["items"], 1)]
    except BundleError as problem:
        report.tell(bag.ITEMS, str(problem))
        return
    except EntryError as problem:
        report.tell(bag.ITEMS, f"is not a catalogue: {problem}")
        return
    for key in ("accession", "id", "path"):
        for value, times in Counter(row[key] for row in rows).items():
            if times > 1:
                report.tell(bag.ITEMS, f"names {key} {value} twice")
    listed = {row["path"] for row in rows}
    for path in sorted(source.files):
        if path.startswith("data/items/") and path not in listed:
            report.tell(path, "is not in the catalogue of items")
    by_where: dict[str, list[Problem]] = {}
    for problem_ in report.problems:
        by_where.setdefault(problem_.where, []).append(problem_)
    for row in rows:
        report.items.append(_check_item(report, row, digests, events, by_where))


def _row(number: int, row: object) -> dict[str, Any]:
    """A catalogue row of the right shape. Raises EntryError."""
    if not isinstance(row, dict) or row.keys() != _ROW:
        raise EntryError(f"item {number} does not have exactly its members")
    texts = ("accession", "id", "media_type", "path", "sha256", "sha512")
    if not all(isinstance(row[key], str) for key in texts) or not isinstance(row["exhibit"], (str, type(None))):
        raise EntryError(f"item {number} has a member that is not text")
    if type(row["size"]) is not int or not _ACCESSION.match(row["accession"]):
        raise EntryError(f"item {number} has a malformed size or accession number")
    if not isinstance(row["events"], list) or not all(isinstance(event, str) for event in row["events"]):
        raise EntryError(f"item {number} has a malformed list of events")
    return row


def _check_item(
    report: Report,
    row: dict[str, Any],
    digests: dict[str, bag.Digests],
    events: dict[str, Event],
    by_where: dict[str, list[Problem]],
) -> Item:
    item = Item(row["accession"], row["exhibit"], row["path"], row["size"], row["sha256"])

    def tell(what: str) -> None:
        item.problems.append(Problem(item.accession, what))
        report.tell(item.accession, what)

    actual = digests.get(item.path)
    if not item.path.startswith(f"data/items/{item.accession}/") or actual is None:
        tell("has no file in the bundle")
    elif (actual.sha256, actual.sha512, actual.size) != (row["sha256"], row["sha512"], row["size"]):
        tell("has a file that is not the one in the catalogue: digests or size differ")
    receipts, paths = [], [item.path]
    for event_id in dict.fromkeys(row["events"]):
        event = events.get(event_id)
        if event is None:
            tell(f"misses its custody event {event_id[:40]}: no valid entry in the bundle")
            continue
        item.events.append(event.index)
        item.withheld += len(event.entry.commitments) - len(event.fields)
        paths += [bag.entry_path(event.index), bag.proof_path(event.index), bag.disclosure_path(event.index)]
        subjects = event.fields.get("subjects")
        if not isinstance(subjects, list) or {"kind": "item", "id": row["id"]} not in subjects:
            tell(f"lists entry {event.index}, which does not disclose that it is about this item")
        if event.entry.type == RECEIVED and event.entry.outcome == "success":
            receipts.append(event)
    if not receipts:
        tell("has no entry that records its reception")
    for event in receipts:
        stated = event.fields.get("object")
        if not isinstance(stated, dict):
            tell(f"cannot be compared: entry {event.index} does not disclose the object received")
            continue
        if actual and (stated.get("sha256"), stated.get("sha512"), stated.get("size")) != (
            actual.sha256,
            actual.sha512,
            actual.size,
        ):
            tell(f"is not what the archive received: digests or size differ from entry {event.index}")
        for key in ("accession", "media_type"):
            if key in stated and stated[key] != row[key]:
                tell(f"has another {key} in the catalogue than in entry {event.index}")
        item.received_at, item.received_index = event.entry.ts, event.index
    for path in paths:
        item.problems += by_where.get(path, [])
    if not item.problems and not report.flawed.isdisjoint(paths):
        item.problems.append(Problem(item.accession, "has a problem that is counted and not listed"))
    return item

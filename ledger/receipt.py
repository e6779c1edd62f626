"""Receipts: what whoever handed something in keeps, and can check when the archive is gone (section 16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger import bag
from ledger.check import Check
from ledger.disclosure import Openings, open_fields, parse_openings
from ledger.entry import Entry, EntryError, canonical, fitting, leaf_hash, parse_canonical, parse_entry
from ledger.items import RECEIVED
from ledger.merkle import verify_inclusion
from ledger.note import Ed25519Verifier, decode_vkey
from ledger.proof import parse_proof
from ledger.report import Key, Report
from ledger.source import Source
from ledger.verify import Trust, check_trust

RECEIPT_FORMAT, WHERE = "sanad-receipt/1", "receipt"
MAX_RECEIPT_BYTES, MAX_RECEIPT_DEPTH = 4 << 20, 20
_RECEIPT = {"entry": str, "format": RECEIPT_FORMAT, "opened": dict, "proof": (str, None), "state": str, "vkey": str}


def format_receipt(entry: bytes, opened: dict[str, tuple[bytes, Any]], vkey: str, proof: str | None) -> bytes:
    """The receipt of an entry: `opened` is {field: (salt, value)}; without a proof it is pending. Raises EntryError."""
    fields = {name: {"salt": salt.hex(), "value": value} for name, (salt, value) in opened.items()}
    state = "pending" if proof is None else "recorded"
    value = {
        "entry": entry.decode(),
        "format": RECEIPT_FORMAT,
        "opened": fields,
        "proof": proof,
        "state": state,
        "vkey": vkey,
    }
    return canonical(value, max_bytes=MAX_RECEIPT_BYTES, max_depth=MAX_RECEIPT_DEPTH)


def verify_receipt(data: bytes, trust: Trust, *, name: str = WHERE, content: Path | None = None) -> Report:
    """Check a receipt's bytes, and that a file is what it was given for. Never raises for what a receipt holds."""
    report = Report(name, state="pending")
    value = report.attempt(WHERE, "receipt-malformed", "is not a receipt", _receipt, data)
    if value is None:
        return report
    report.state = value["state"]
    key = report.attempt(WHERE, "vkey-malformed", "has no key", decode_vkey, value["vkey"])
    entry = report.attempt(WHERE, "entry-malformed", "has no entry", parse_entry, value["entry"].encode())
    if entry is None:
        return report
    stated = _reception(report, entry, value["opened"])
    report.keys = [Key(key.vkey, start=0)] if key else []
    if key and value["proof"] is not None:
        _check_proof(report, entry, value, key, trust)
    if content is not None and stated is not None:
        with content.open("rb") as file:
            found = bag.digests_of(iter(lambda: file.read(1 << 20), b""))
        if found != bag.stated_digests(stated):
            report.tell(WHERE, "payload-digest", "is for another file than the one given")
    return report


def _receipt(data: bytes) -> dict[str, Any]:
    value = parse_canonical(data, max_bytes=MAX_RECEIPT_BYTES, max_depth=MAX_RECEIPT_DEPTH)
    if fitting(value, _RECEIPT, "receipt")["state"] != ("pending" if value["proof"] is None else "recorded"):
        raise EntryError("the state is not that of the proof")
    return {**value, "opened": parse_openings(value["opened"])}


def _reception(report: Report, entry: Entry, openings: Openings) -> dict[str, Any] | None:
    """The object received, or None after telling why the receipt does not show it."""
    if entry.type != RECEIVED or entry.outcome != "success":
        report.tell(WHERE, "reception-missing", "is not of a reception")
    stated = open_fields(report, WHERE, entry, openings).get("object")
    texts = ("accession", "sha256", "sha512")
    kinds = [type(stated.get(key)) for key in (*texts, "size")] if isinstance(stated, dict) else []
    if not isinstance(stated, dict) or kinds != [str, str, str, int]:
        report.tell(WHERE, "reception-closed", "does not open accession, digests and size of what was received")
        return None
    report.reception = {"index": None, "event": entry.event_id, "received_at": entry.ts}
    report.reception |= {key: stated[key] for key in (*texts, "size")}
    return stated


def _check_proof(report: Report, entry: Entry, value: dict[str, Any], key: Ed25519Verifier, trust: Trust) -> None:
    proof = report.attempt(WHERE, "proof-malformed", "has no proof", parse_proof, value["proof"])
    if proof is None:
        return
    check, note = Check(Source(), report), proof.note.encode()
    check.keys = [key]
    head = check.head(WHERE, note)
    if head is None:
        return
    report.checkpoint, report.keys[0].signed = head, True
    if entry.origin != head.origin:
        report.tell(WHERE, "entry-foreign", f"is of another log, {entry.origin}")
    given = (leaf_hash(value["entry"].encode()), proof.index, head.size, proof.path, head.root)
    if report.attempt(WHERE, "proof-invalid", "is not in the ledger", verify_inclusion, *given) and report.reception:
        report.reception["index"] = proof.index
    check_trust(report, WHERE, note, trust, {key.vkey}.intersection)

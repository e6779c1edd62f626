"""Opened fields: {salt, value} beside an entry, which open its commitments (sections 3.1 and 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ledger.entry import Entry, EntryError, commit, parse_canonical
from ledger.report import Report

MAX_DISCLOSURE_BYTES = 4 << 20
MAX_DISCLOSURE_DEPTH = 20
Openings = Mapping[str, "tuple[bytes, Any]"]

_SALT = re.compile(r"[0-9a-f]{64}\Z")


def parse_disclosure(data: bytes, event_id: str) -> Openings:
    """{field: (commitment it makes, value)} of a disclosure file for that event. Raises EntryError."""
    value = parse_canonical(data, max_bytes=MAX_DISCLOSURE_BYTES, max_depth=MAX_DISCLOSURE_DEPTH)
    if not isinstance(value, dict) or value.keys() != {"event_id", "fields"} or value["event_id"] != event_id:
        raise EntryError("not {event_id, fields} of this event")
    return parse_openings(value["fields"])


def parse_openings(fields: object) -> Openings:
    """The same of the object of fields alone. Raises EntryError."""
    if not isinstance(fields, dict):
        raise EntryError("fields is not an object")
    made = {}
    for name, opening in fields.items():
        if not isinstance(opening, dict) or opening.keys() != {"salt", "value"}:
            raise EntryError(f"{name[:40]} is not {{salt, value}}")
        if not isinstance(opening["salt"], str) or not _SALT.match(opening["salt"]):
            raise EntryError(f"{name[:40]} has a malformed salt")
        made[name] = (commit(bytes.fromhex(opening["salt"]), name, opening["value"]), opening["value"])
    return made


def open_fields(report: Report, where: str, entry: Entry, openings: Openings) -> dict[str, Any]:
    """The values that open the entry's commitments; the others are told."""
    opened = {}
    for name, (commitment, value) in openings.items():
        if name not in entry.commitments:
            report.tell(where, "disclosure-unknown-field", f"discloses {name}, which the entry does not hold")
        elif commitment != entry.commitments[name]:
            report.tell(where, "disclosure-mismatch", f"states a {name} that is not the one recorded in the entry")
        else:
            opened[name] = value
    return opened

"""Opened fields: {salt, value} beside an entry, which open its commitments (sections 3.1 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.entry import Entry, commit, fitting, parse_canonical
from ledger.report import Report
from ledger.shape import ANY, ANYTHING, HEX64

MAX_DISCLOSURE_BYTES, MAX_DISCLOSURE_DEPTH = 4 << 20, 20
READ = frozenset({"subjects", "object", "key", "erased", "token"})  # the others are counted, and not kept
Openings = Mapping[str, "tuple[bytes, Any]"]


def parse_disclosure(data: bytes, event_id: str) -> Openings:
    """{field: (commitment it makes, value)} of a disclosure file for that event. Raises EntryError."""
    value = parse_canonical(data, max_bytes=MAX_DISCLOSURE_BYTES, max_depth=MAX_DISCLOSURE_DEPTH)
    return parse_openings(fitting(value, {"event_id": event_id, "fields": dict}, "disclosure")["fields"])


def parse_openings(fields: object) -> Openings:
    """The same of the object of fields alone. Raises EntryError."""
    made = {}
    for name, opening in fitting(fields, {ANY: {"salt": HEX64, "value": ANYTHING}}, "fields").items():
        made[name] = (commit(bytes.fromhex(opening["salt"]), name, opening["value"]), opening["value"])
    return made


def open_fields(report: Report, where: str, entry: Entry, openings: Openings) -> dict[str, Any]:
    """The values that open the entry's commitments, kept where a rule reads them; the others are told."""
    opened = {}
    for name, (commitment, value) in openings.items():
        if name not in entry.commitments:
            report.tell(where, "disclosure-unknown-field", f"discloses {name}, which the entry does not hold")
        elif commitment != entry.commitments[name]:
            report.tell(where, "disclosure-mismatch", f"states a {name} that is not the one recorded in the entry")
        else:
            opened[name] = value if name in READ else None
    return opened

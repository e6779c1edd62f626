"""Entries and commitments: the exact bytes of one custody event (docs/spec/ledger.md, sections 2 and 3).

An entry is canonical JSON (RFC 8785) in a narrow profile. What is personal or sensitive stands in it only as a
salted commitment; a disclosure {salt, value} opens one field and leaves the others closed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ledger.shape import HEX64, misfit

MAX_ENTRY_BYTES, MAX_ENTRY_DEPTH = 8 * 1024, 4
MAX_VALUE_BYTES, MAX_VALUE_DEPTH = 64 * 1024, 16
MAX_INT, SALT_BYTES, MAX_MARKS = 2**53 - 1, 32, 500_000  # marks: `{`, `[` and `,`, which bound the memory JSON takes
OUTCOMES = ("success", "failure", "refused")

_FIELD = re.compile(r"[a-z0-9_]{1,32}\Z")
_SHAPE = {
    "v": 1,
    "log": re.compile(r"[!-*,-~]{1,128}\Z"),  # printable ASCII without space and plus
    "id": re.compile(r"[0-9a-f]{32}\Z"),
    "ts": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z"),
    "type": re.compile(r"[a-z0-9]([a-z0-9 /-]{0,62}[a-z0-9])?\Z"),
    "outcome": OUTCOMES,
    "blob": (None, HEX64),
    "c": {_FIELD: HEX64},
}


class EntryError(ValueError):
    """The value or the bytes do not fit the profile. The message says which part."""


class Entry(NamedTuple):
    """One custody event as the ledger states it. `commitments` maps a field name to its 32-byte commitment."""

    origin: str
    event_id: str
    ts: str
    type: str
    outcome: str
    blob: str | None
    commitments: Mapping[str, bytes]


def canonical(value: object, *, max_bytes: int = MAX_VALUE_BYTES, max_depth: int = MAX_VALUE_DEPTH) -> bytes:
    """The RFC 8785 bytes of a value made of str, int (|n| < 2^53), bool, None, list and dict with string keys.

    The default limits are those of a disclosed value: 64 KiB, 16 levels of nesting. Raises EntryError for anything
    else: floats, other types, lone surrogates, deeper or longer values.
    """
    ordered = _ordered(value, max_depth)
    try:
        data = json.dumps(ordered, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise EntryError("a string holds a lone surrogate") from None
    if len(data) > max_bytes:
        raise EntryError(f"{len(data)} bytes are more than the limit of {max_bytes}")
    return data


def parse_canonical(data: bytes, *, max_bytes: int = MAX_VALUE_BYTES, max_depth: int = MAX_VALUE_DEPTH) -> Any:
    """The value whose canonical form is exactly `data`.

    Raises EntryError for duplicate keys, floats, integers from 2^53 on, bytes that are not canonical, or over a limit.
    The price of a hostile text is bounded: see MAX_MARKS.
    """
    if len(data) > max_bytes or sum(map(data.count, (b"{", b"[", b","))) > MAX_MARKS:
        raise EntryError(f"more than {max_bytes} bytes, or than {MAX_MARKS} brackets, braces and commas")
    try:  # of a key given twice the last is kept, a float becomes text, 18 digits are not below 2^53: none is canonical
        text, small = data.decode("utf-8"), lambda digits: int(digits[:18])
        value = json.loads(text, parse_int=small, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as problem:
        raise EntryError(f"not JSON: {str(problem)[:100]}") from None
    if canonical(value, max_bytes=max_bytes, max_depth=max_depth) != data:
        raise EntryError("not in canonical form (RFC 8785)")
    return value


def commit(salt: bytes, field: str, value: object) -> bytes:
    """The 32-byte commitment HMAC-SHA-256(salt, "archive/commit/v1" 00 field 00 canonical(value)).

    The salt is 32 bytes, fresh for each field of each event. Raises EntryError.
    """
    if len(salt) != SALT_BYTES or not _FIELD.match(field):
        raise EntryError(f"a salt has {SALT_BYTES} bytes, a field name 1 to 32 of a-z, 0-9 and _")
    return hmac.new(salt, b"archive/commit/v1\0%b\0%b" % (field.encode(), canonical(value)), hashlib.sha256).digest()


def encode_entry(
    *, origin: str, event_id: str, ts: str, type: str, outcome: str, blob: str | None, commitments: Mapping[str, bytes]
) -> bytes:
    """The exact bytes of an entry, at most 8 KiB.

    origin: the log's name. event_id: 128 random bits as 32 lower-case hex digits. ts: UTC as
    YYYY-MM-DDTHH:MM:SS.mmmZ. blob: hex SHA-256 of a stored ciphertext, or None. Raises EntryError naming the part.
    """
    stated = {"v": 1, "log": origin, "id": event_id, "ts": ts, "type": type, "outcome": outcome, "blob": blob}
    value = {**stated, "c": {field: commitment.hex() for field, commitment in commitments.items()}}
    data = canonical(value, max_bytes=MAX_ENTRY_BYTES, max_depth=MAX_ENTRY_DEPTH)
    parse_entry(data)
    return data


def parse_entry(data: bytes) -> Entry:
    """The entry whose exact bytes these are. Raises EntryError for every other input."""
    value = fitting(parse_canonical(data, max_bytes=MAX_ENTRY_BYTES, max_depth=MAX_ENTRY_DEPTH), _SHAPE, "entry")
    try:
        datetime.fromisoformat(value["ts"][:-1])
    except ValueError:
        raise EntryError(f"no such time: {value['ts']}") from None
    commitments = {field: bytes.fromhex(text) for field, text in value["c"].items()}
    return Entry._make([*(value[key] for key in ("log", "id", "ts", "type", "outcome", "blob")), commitments])


def fitting(value: Any, shape: Any, what: str) -> Any:
    """The value, if it has the shape (ledger.shape). Raises EntryError naming the part that has not."""
    if wrong := misfit(value, shape, what):
        raise EntryError(f"malformed {wrong}")
    return value


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(00 || entry), the leaf of RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\0" + entry).digest()


def _ordered(value: object, levels: int) -> object:
    """The value checked, with object members in RFC 8785 order (by UTF-16 code units)."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INT:
            raise EntryError("an integer is not below 2^53")
        return value
    if levels == 0:
        raise EntryError("nested too deeply")
    if isinstance(value, (list, tuple)):
        return [_ordered(member, levels - 1) for member in value]
    if not isinstance(value, dict):
        raise EntryError(f"a {type(value).__name__} is not allowed")
    try:
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    except (AttributeError, UnicodeEncodeError):
        raise EntryError("a key is not a string of Unicode characters") from None
    return {key: _ordered(value[key], levels - 1) for key in keys}

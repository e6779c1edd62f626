"""Entries and commitments: canonical bytes, strict parsing, and what a commitment binds."""

import hashlib
import hmac
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import EntryError, canonical, commit, encode_entry, leaf_hash, parse_canonical, parse_entry

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=4), max_leaves=12)
names = st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True)
fields = st.dictionaries(names, st.binary(min_size=32, max_size=32), max_size=8)
outcomes = st.sampled_from(["success", "failure", "refused"])

PARTS: dict[str, Any] = {
    "origin": "sample.example/ledger",
    "event_id": "0123456789abcdef0123456789abcdef",
    "ts": "2025-03-08T05:10:00.000Z",
    "type": "ingestion",
    "outcome": "success",
    "blob": "ab" * 32,
    "commitments": {"agent": bytes(32), "object": b"\1" * 32},
}


@settings(deadline=None)
@given(values)
def test_canonical_form_is_that_of_another_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@settings(deadline=None)
@given(values)
def test_what_was_canonicalised_parses_back(value: Any) -> None:
    assert parse_canonical(canonical(value)) == value


def test_keys_are_ordered_by_utf16_code_units() -> None:
    assert canonical({"\U0001f600": 1, "\ufb33": 2}) == '{"\U0001f600":1,"\ufb33":2}'.encode()


@pytest.mark.parametrize(
    "value",
    [1.0, 2**53, -(2**53), float("nan"), b"bytes", {1: "x"}, "\ud800", {"\udfff": 1}, {"a": {1}}, {1, 2}],
    ids=repr,
)
def test_what_is_outside_the_profile_is_refused(value: Any) -> None:
    with pytest.raises(EntryError):
        canonical(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(EntryError, match="nested"):
        canonical(value)


def test_long_values_are_refused() -> None:
    assert len(canonical("x" * (64 * 1024 - 2))) == 64 * 1024
    with pytest.raises(EntryError, match="limit"):
        canonical("x" * (64 * 1024 - 1))


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"9007199254740992",
        b"1" * 5000,
        b'"\\u0061"',
        b'"\\/"',
        b'"\\uD800"',
        b"NaN",
        b"-Infinity",
        b"\xff",
        b"\xef\xbb\xbf1",
        b"",
        b"[" * 30_000,
        b"nul",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(EntryError):
        parse_canonical(data)


@settings(deadline=None)
@given(commitments=fields, blob=st.none() | st.just("0f" * 32), outcome=outcomes)
def test_an_entry_parses_back(commitments: dict[str, bytes], blob: str | None, outcome: str) -> None:
    parts = {**PARTS, "commitments": commitments, "blob": blob, "outcome": outcome}
    entry = encode_entry(**parts)
    assert rfc8785.dumps(json.loads(entry)) == entry
    parsed = parse_entry(entry)
    assert {name: getattr(parsed, name) for name in parts} == parts


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("origin", ""),
        ("origin", "with space"),
        ("origin", "with+plus"),
        ("origin", "line\n"),
        ("event_id", "0123456789ABCDEF0123456789abcdef"),
        ("event_id", "0" * 31),
        ("event_id", None),
        ("ts", "2025-03-08T05:10:00Z"),
        ("ts", "2025-02-30T05:10:00.000Z"),
        ("ts", "2025-03-08T24:10:00.000Z"),
        ("ts", "2025-03-08T05:10:00.000+00:00"),
        ("ts", "٢٠٢٥-03-08T05:10:00.000Z"),
        ("ts", "2025-03-08T05:10:00.000Z\n"),
        ("type", "Ingestion"),
        ("type", " ingestion"),
        ("type", ""),
        ("outcome", "maybe"),
        ("blob", ""),
        ("blob", "AB" * 32),
        ("commitments", {"a": bytes(31)}),
        ("commitments", {"Field": bytes(32)}),
        ("commitments", {"": bytes(32)}),
        ("commitments", {f"field_{number}": bytes(32) for number in range(120)}),
    ],
)
def test_a_malformed_part_is_refused_on_writing_and_on_reading(part: str, value: Any) -> None:
    with pytest.raises(EntryError):
        encode_entry(**{**PARTS, part: value})
    names = {"origin": "log", "event_id": "id", "commitments": "c"}
    written = json.loads(encode_entry(**PARTS))
    if part == "commitments":
        value = {name: commitment.hex() for name, commitment in value.items()}
    with pytest.raises(EntryError):
        parse_entry(rfc8785.dumps({**written, names.get(part, part): value}))


CHANGES: list[dict[str, Any]] = [{"v": 2}, {"v": True}, {"v": "1"}, {"extra": 1}, {"c": []}, {"c": None}, {"log": 1}]


@pytest.mark.parametrize("change", CHANGES)
def test_an_entry_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    written = json.loads(encode_entry(**PARTS))
    with pytest.raises(EntryError):
        parse_entry(rfc8785.dumps({**written, **change}))


@pytest.mark.parametrize("member", ["v", "log", "id", "ts", "type", "outcome", "blob", "c"])
def test_an_entry_without_a_member_is_refused(member: str) -> None:
    written = json.loads(encode_entry(**PARTS))
    del written[member]
    with pytest.raises(EntryError, match="members"):
        parse_entry(rfc8785.dumps(written))


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_of_an_entry_keeps_its_leaf(data: st.DataObject) -> None:
    entry = bytearray(encode_entry(**PARTS))
    entry[data.draw(st.integers(0, len(entry) - 1))] ^= data.draw(st.integers(1, 255))
    assert leaf_hash(bytes(entry)) != leaf_hash(encode_entry(**PARTS))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_parsing_refuses_and_never_breaks(data: bytes) -> None:
    with pytest.raises(EntryError):
        parse_entry(data)


def test_a_commitment_is_the_keyed_hash_the_specification_says() -> None:
    salt, value = bytes(range(32)), {"b": [1, None], "a": "ش"}
    message = b"archive/commit/v1\0object\0" + '{"a":"ش","b":[1,null]}'.encode()
    assert commit(salt, "object", value) == hmac.new(salt, message, hashlib.sha256).digest()


@settings(deadline=None)
@given(values, values)
def test_a_commitment_opens_to_one_field_and_value_only(value: Any, other: Any) -> None:
    salt = bytes(32)
    assert commit(salt, "to", value) != commit(salt, "from", value)
    assert commit(salt, "to", value) != commit(b"\1" * 32, "to", value)
    assert (commit(salt, "to", value) == commit(salt, "to", other)) == (canonical(value) == canonical(other))


def test_a_commitment_needs_a_whole_salt_and_a_field_name() -> None:
    with pytest.raises(EntryError, match="salt"):
        commit(bytes(16), "to", 1)
    with pytest.raises(EntryError, match="field"):
        commit(bytes(32), "to\0", 1)

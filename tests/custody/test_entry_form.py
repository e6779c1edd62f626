"""The quick reader of entries and the strict parser have one answer, whatever the bytes."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody import entry_form
from custody.entry_form import read_entry
from ledger.entry import MAX_ENTRY_BYTES, EntryError, encode_entry, parse_entry

HEX = "0123456789abcdef"
FIELDS = st.text("abcxyz019_", min_size=1, max_size=32)
ENTRIES = st.fixed_dictionaries(
    {
        "origin": st.text(
            st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1
        ).filter(lambda text: len(text) <= 128),
        "event_id": st.text(HEX, min_size=32, max_size=32),
        "ts": st.datetimes().map(lambda at: f"{at:%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z").map("2024-{}".format),
        "type": st.sampled_from(["ingestion", "sanad/key-add", "format identification", "a"]),
        "outcome": st.sampled_from(["success", "failure", "refused"]),
        "blob": st.none() | st.text(HEX, min_size=64, max_size=64),
        "commitments": st.dictionaries(FIELDS, st.binary(min_size=32, max_size=32), max_size=9),
    }
)


def answer(reader: Any, data: bytes) -> object:
    try:
        return reader(data)
    except EntryError as problem:
        return str(problem)


def made(given_: dict[str, Any]) -> bytes:
    try:
        return encode_entry(**given_)
    except EntryError:  # 29 February of a year without one
        return encode_entry(**given_ | {"ts": "2024-01-01T00:00:00.000Z"})


@given(ENTRIES)
@settings(max_examples=300, deadline=None)
def test_an_entry_is_read_the_same(given_: dict[str, Any]) -> None:
    data = made(given_)
    assert read_entry(data) == parse_entry(data)


@given(ENTRIES, st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_one_that_was_changed_has_the_same_answer(given_: dict[str, Any], seed: int) -> None:
    data, chance = bytearray(made(given_)), random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(data)), chance.randrange(len(data))
        how = chance.randrange(6)
        if how == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del data[at : at + chance.randint(1, 70)]
        elif how == 2:
            data[at:at] = data[other : other + chance.randint(1, 140)]
        elif how == 3:
            data[at:at] = chance.choice([b" ", b"\n", b",", b'"', b"\\", b"\\u0041", b"0", b"\xc3\xa9", b"-"])
        elif how == 4:
            data[at] = chance.choice(b'0123456789abcdefABC{}[]":,\\/ \n')
        else:
            data[at : at + 2], data[other : other + 2] = data[other : other + 2], data[at : at + 2]
        if not data:
            break
    assert answer(read_entry, bytes(data)) == answer(parse_entry, bytes(data))


GOOD = encode_entry(
    origin="log.example/one",
    event_id="0" * 32,
    ts="2025-03-07T08:00:00.000Z",
    type="ingestion",
    outcome="success",
    blob="a" * 64,
    commitments={"agent": bytes(32), "object": bytes(32)},
)
HASH = b'"' + b"0" * 64 + b'"'


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"\n",
        GOOD + b" ",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"07T08", b"31T24"),
        GOOD.replace(b"03-07", b"02-30"),
        GOOD.replace(b"00.000Z", b"60.000Z"),
        GOOD.replace(b'"agent":' + HASH + b',"object":' + HASH, b'"object":' + HASH + b',"agent":' + HASH),
        GOOD.replace(b'"agent":' + HASH, b'"object":' + HASH),
        GOOD.replace(b'"agent":' + HASH + b",", b'"agent":' + HASH + b",,"),
        GOOD.replace(b'"object":' + HASH, b'"object":' + HASH + b","),
        GOOD.replace(b'"agent":' + HASH + b',"object":' + HASH, b""),
        GOOD.replace(b"log.example", b"log+example"),
        GOOD.replace(b"log.example", b'log\\"example'),
        GOOD.replace(b"log.example", b"log\\u002eexample"),
        GOOD.replace(b"log.example/one", b"l" * 129),
        GOOD.replace(b"ingestion", b"ingestion "),
        GOOD.replace(b"ingestion", b"i" * 65),
        GOOD.replace(b'"v":1', b'"v":1.0'),
        GOOD.replace(b'"v":1', b'"v":01'),
        GOOD.replace(b"a" * 64, b"A" * 64),
        GOOD.replace(b'"' + b"a" * 64 + b'"', b"null"),
        GOOD.replace(b"agent", b"a" * 33),
        GOOD.replace(b'"agent":' + HASH, b",".join(b'"a%03d":' % n + HASH for n in range(120))),
    ],
)
def test_what_is_almost_an_entry_has_the_same_answer(data: bytes) -> None:
    assert answer(read_entry, data) == answer(parse_entry, data)


def test_what_this_archive_writes_needs_no_second_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_form, "parse_entry", None)
    assert read_entry(GOOD).commitments == {"agent": bytes(32), "object": bytes(32)}
    assert len(GOOD) < MAX_ENTRY_BYTES

"""Bytes staged in parts: the same stream as if they had come at once, and no key and nonce ever meet two texts."""

import hashlib
import io
import os
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from evidence import staging, streams
from evidence.blobs import associated_data
from evidence.staging import Kept, Part, Staged
from evidence.streams import FIRST_PLAIN, PLAIN_SEGMENT, StreamBroken
from tests.evidence.nonces import Nonces

FILE = secrets.token_bytes(FIRST_PLAIN + 2 * PLAIN_SEGMENT + 4_321)
EDGES = [0, 1, FIRST_PLAIN - 1, FIRST_PLAIN, FIRST_PLAIN + 1, FIRST_PLAIN + PLAIN_SEGMENT, len(FILE) - 1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.SANAD_STAGING = tmp_path / "staging"
    return tmp_path / "staging"


def added(kept: Kept, data: bytes) -> Kept:
    with Staged(kept) as staged:
        staged.write(data)
        after = staged.keep()
    if data:  # what brings nothing moves no offset, and its tail is the one before
        staging.forget_tail(kept)
    return after


def completed(kept: Kept, data: bytes) -> Kept:
    with Staged(kept) as staged:
        staged.write(data)
        staged.complete()
    return Kept(kept.blob_id, kept.key, kept.offset + len(data))


def parts(*cuts: int) -> list[Part]:
    spans = zip((0, *cuts), (*cuts, len(FILE)), strict=True)
    return [Part(a, b, hashlib.sha256(FILE[a:b]).hexdigest()) for a, b in spans]


def plain(kept: Kept) -> bytes:
    sealed = kept.path.read_bytes()
    return b"".join(
        streams.decrypt_file(io.BytesIO(sealed), len(sealed), kept.key, associated_data(kept.blob_id)).read()
    )


@pytest.mark.parametrize("cut", EDGES)
def test_bytes_that_came_in_two_parts_are_one_stream(cut: int) -> None:
    kept = completed(added(staging.begun(), FILE[:cut]), FILE[cut:])
    assert kept.path.stat().st_size == streams.ciphertext_size(len(FILE))
    assert plain(kept) == FILE
    received = staging.whole(kept, parts(cut) if cut else parts())
    assert received.sha256 == hashlib.sha256(FILE).hexdigest()
    assert received.sha512 == hashlib.sha512(FILE).hexdigest()
    assert received.address == hashlib.sha256(kept.path.read_bytes()).hexdigest()
    assert received.size == len(FILE)


@pytest.mark.parametrize("cut", EDGES)
def test_after_an_unclean_end_what_was_kept_goes_on_under_a_new_key(cut: int) -> None:
    kept = added(staging.begun(), FILE[:cut])
    with Staged(kept) as staged:
        staged.write(secrets.token_bytes(3 * PLAIN_SEGMENT))  # and then it is killed
    fresh = staging.under_a_new_key(kept)
    assert fresh.offset == cut
    assert fresh.blob_id != kept.blob_id
    assert fresh.key != kept.key
    assert plain(completed(fresh, FILE[cut:])) == FILE


#: What happens to an upload: bytes that come and are kept, or come and are lost in a kill.
STEPS = st.lists(st.tuples(st.sampled_from(["kept", "killed"]), st.integers(0, 1_700_000)), min_size=1, max_size=7)


@hypothesis_settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_no_key_and_nonce_ever_meet_two_texts(steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        nonces = Nonces(patch)
        kept, sent = staging.begun(), b""
        for how, size in steps:
            arriving = os.urandom(size)
            if how == "kept":
                kept, sent = added(kept, arriving), sent + arriving
            else:
                with Staged(kept) as staged:
                    staged.write(arriving)
                kept = staging.under_a_new_key(kept)
        kept = completed(kept, b"end")
        assert plain(kept) == sent + b"end"
        assert nonces.seen
        assert nonces.twice() == []


def test_the_watch_over_nonces_sees_a_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    nonces = Nonces(monkeypatch)
    kept = added(staging.begun(), FILE[: 2 * PLAIN_SEGMENT])
    for _attempt in range(2):
        with Staged(kept) as staged:  # what must never be done: going on under the key of a writer that was killed
            staged.write(secrets.token_bytes(2 * PLAIN_SEGMENT))
    assert nonces.twice()


def test_each_tail_is_sealed_under_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    nonces = Nonces(monkeypatch)
    kept = staging.begun()
    for _time in range(4):
        kept = added(kept, b"a few bytes more")
    assert len({key for key, _nonce in nonces.seen}) == 4
    assert [path.name for path in folder.glob("*.tail")] == [kept.tail_path.name]


def test_no_plaintext_lies_in_staging(folder: Path) -> None:
    secret = b"the name of a witness " * 200_000
    kept = added(staging.begun(), secret)
    completed(kept, secret)
    for path in folder.iterdir():
        assert secret[:22] not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["tail changed", "tail gone", "segments cut"])
def test_acknowledged_bytes_that_are_damaged_are_noticed_before_more_are_taken(damage: str) -> None:
    kept = added(staging.begun(), FILE[: FIRST_PLAIN + PLAIN_SEGMENT + 5])
    if damage == "tail changed":
        kept.tail_path.write_bytes(kept.tail_path.read_bytes()[:-1] + b"?")
    elif damage == "tail gone":
        kept.tail_path.unlink()
    else:
        os.truncate(kept.path, streams.SEGMENT)
    with pytest.raises(StreamBroken):
        Staged(kept)
    if damage != "segments cut":
        with pytest.raises(StreamBroken):
            staging.under_a_new_key(kept)
        assert len(list(Path(settings.SANAD_STAGING).glob("*.part"))) == 1  # nothing half is left


def test_a_flipped_bit_and_a_part_that_is_not_what_arrived_are_found_in_the_end() -> None:
    kept = completed(added(staging.begun(), FILE[:900_000]), FILE[900_000:])
    with pytest.raises(StreamBroken, match="not those that arrived"):
        staging.whole(kept, [parts(900_000)[0], Part(900_000, len(FILE), "0" * 64)])
    for wrong in ([], parts(900_000)[:1], parts(900_000)[1:]):
        with pytest.raises(StreamBroken):
            staging.whole(kept, wrong)
    with kept.path.open("r+b") as handle:
        handle.seek(1_500_000)
        handle.write(b"\x00\x01\x02\x03")
    with pytest.raises(StreamBroken):
        staging.whole(kept, parts(900_000))


def test_a_spool_gives_back_what_was_put_and_leaves_nothing(folder: Path) -> None:
    kept = staging.begun()
    with staging.spooled(kept.blob_id) as (put, given):
        for start in range(0, len(FILE), 400_000):
            put(FILE[start : start + 400_000])
        assert b"".join(given()) == FILE
    assert list(folder.iterdir()) == []

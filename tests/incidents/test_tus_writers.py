"""Writers of an upload that were cut down or overtaken: they move nothing, and no nonce is used twice after them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import OperationalError

from evidence import blobs
from evidence.models import Item
from incidents import lines, receiving
from incidents.models import Upload
from incidents.resumable import Fenced
from tests.evidence.nonces import Nonces
from tests.incidents.tus_sender import Sender, row

pytestmark = pytest.mark.django_db
FILE = os.urandom(5_200_000)
CUT = 1_300_000


@pytest.fixture
def sender() -> Sender:
    return Sender()


def body(data: bytes) -> Callable[[int], bytes]:
    """What a server gives a reader."""
    rest = memoryview(data)

    def read(size: int) -> bytes:
        nonlocal rest
        piece, rest = bytes(rest[:size]), rest[size:]
        return piece

    return read


def failing(name: str) -> Callable[..., Any]:
    def fail(*_given: Any, **_named: Any) -> None:
        raise OperationalError(f"the database is gone: {name}")

    return fail


@pytest.mark.parametrize("step", ["_note_part", "change"])
def test_after_a_commit_that_failed_other_bytes_meet_another_key(
    sender: Sender, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonces = Nonces(monkeypatch)
    url = sender.begin(len(FILE), FILE[:CUT])["Location"]
    for _time in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(receiving, step, failing(step))
            assert sender.patch(url, CUT, os.urandom(3_000_000)).status_code == 503
        assert sender.head(url)["Upload-Offset"] == str(CUT)
    assert sender.patch(url, CUT, FILE[CUT:]).status_code == 204
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE
    assert len(nonces.seen) > 10
    assert nonces.twice() == []


def test_a_writer_that_was_overtaken_moves_nothing(sender: Sender) -> None:
    url = sender.begin(len(FILE), FILE[:CUT])["Location"]
    upload, other = row(url), uuid4()

    keep = receiving._keep

    def overtake(*given: Any, **named: Any) -> Any:
        Upload.objects.filter(pk=upload.pk).update(writer=other)
        return keep(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receiving, "_keep", overtake)
        line = lines.Line(upload.pk, body(FILE[CUT:4_000_000]), 4_000_000 - CUT, silence=5)
        with pytest.raises(Fenced):
            receiving.receive(upload, line, at_offset=CUT, checksum=None, sha256="")
    upload.refresh_from_db()
    assert (upload.offset, upload.writer) == (CUT, other)
    assert [part.stop for part in upload.parts.all()] == [CUT]
    assert sender.patch(url, CUT, FILE[CUT:]).status_code == 204
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE


def test_what_a_broken_line_brought_counts_and_needs_no_new_key(sender: Sender) -> None:
    url = sender.begin(len(FILE), FILE[:CUT])["Location"]
    upload = row(url)
    line = lines.Line(upload.pk, body(FILE[CUT:3_000_000]), len(FILE) - CUT, silence=5)
    after = receiving.receive(upload, line, at_offset=CUT, checksum=None, sha256="")
    assert line.ended is lines.Ended.BROKEN
    assert (after.offset, after.writer, after.blob_id) == (3_000_000, None, upload.blob_id)
    assert sender.patch(url, 3_000_000, FILE[3_000_000:]).status_code == 204
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE


def test_a_body_of_unknown_length_that_is_too_long_counts_only_as_far_as_before_its_end(sender: Sender) -> None:
    url = sender.begin(1_000)["Location"]
    upload = row(url)
    line = lines.Line(upload.pk, body(b"x" * 100_000), None, silence=5)
    with pytest.raises(blobs.ReceptionRefused) as refused:
        receiving.receive(upload, line, at_offset=0, checksum=None, sha256="")
    line.end()
    assert refused.value.status == 413
    assert row(url).writer is None
    assert sender.patch(url, row(url).offset, b"x" * (1_000 - row(url).offset)).status_code == 204
    assert Item.objects.get().size == 1_000


def test_offsets_are_kept_while_a_long_request_goes_on(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "KEPT_EVERY_BYTES", 1_000_000)
    url = sender.begin(len(FILE))["Location"]
    told: list[int] = []
    keep = receiving._keep

    def watched(*given: Any, **named: Any) -> Any:
        kept = keep(*given, **named)
        told.append(row(url).offset)
        return kept

    monkeypatch.setattr(receiving, "_keep", watched)
    assert sender.patch(url, 0, FILE).status_code == 204
    assert len(told) >= 3
    assert told == sorted(told)
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE
    assert not list(Path(settings.SANAD_STAGING).glob(f"{row(url).blob_id}*"))

"""Resumable uploads that meet another request, the end of their time, or a row that somebody changed."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Grant
from evidence.models import Item
from incidents import lines, receiving, resumable
from incidents.models import Upload
from incidents.resumable import Fenced
from tests import factories
from tests.incidents.tus_sender import PART, Sender, encoded, key, row


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("length", [4, 8])
def test_a_request_that_outlived_its_uploads_time_moves_nothing_once_the_key_began_anew(length: int) -> None:
    sender, used = Sender(), key()
    url = sender.begin(length, b"fo", key=used)["Location"]
    Upload.objects.update(expires_at=timezone.now() + timedelta(milliseconds=500))
    parts, begun = [b"ur"], []

    def begin() -> None:
        try:
            begun.append(sender.begin(length, key=used))
        finally:
            connection.close()

    def read(_size: int) -> bytes:
        if not parts:
            return b""
        time.sleep(0.8)  # its time ends while this is on its way
        other = threading.Thread(target=begin)
        other.start()
        other.join(30)
        return parts.pop()

    with pytest.raises(Fenced):
        receiving.receive(row(url), lines.Line(row(url).pk, read, 2, silence=5), at_offset=2, checksum=None, sha256="")
    assert [answer.status_code for answer in begun] == [201]
    assert row(url).offset == 2
    assert sender.head(url).status_code == sender.patch(url, 2, b"ur").status_code == 410
    assert sender.patch(begun[0]["Location"], 0, b"f" * length).status_code == 204
    assert Item.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_who_give_one_upload_up_one_does_and_the_others_find_nothing() -> None:
    sender = Sender()

    def give_up(url: str) -> int:
        try:
            return int(sender.ask("DELETE", url).status_code)
        finally:
            connection.close()

    for _time in range(5):
        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(give_up, [sender.begun(8)] * 4))
        assert answers[0] == 204
        assert set(answers[1:]) <= {404, 423}


@pytest.mark.django_db
def test_an_upload_that_was_given_up_is_in_the_log_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender()
    upload = row(sender.begun(8))
    with caplog.at_level("INFO", "incidents.uploads"):
        resumable.terminate(upload)
    assert f"upload {upload.pk} was terminated" in caplog.text


@pytest.mark.django_db
def test_a_key_of_an_upload_that_one_no_longer_sees_is_in_use() -> None:
    sender, used = Sender(), key()
    assert sender.begin(8, b"four", key=used).status_code == 201
    by, other = sender.incident.opened_by, factories.make_incident()
    Grant.objects.filter(user=by, compartment=sender.incident.compartment).update(compartment=other.compartment)
    intake = factories.make_intake(other, by=by)
    answer = sender.begin(8, Upload_Metadata=encoded(intake=str(intake.pk), key=str(used)))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_now")


@pytest.mark.django_db
def test_a_body_of_unknown_length_is_refused_and_not_taken_for_an_empty_one() -> None:
    sender = Sender()
    url = sender.begun(8)
    for method, where in (("PATCH", url), ("POST", "/api/v1/uploads/tus/")):
        said: dict[str, Any] = {"Upload_Offset": 0, "Upload_Length": 8}
        said["Upload_Metadata"] = encoded(intake=sender.intake)
        answer = sender.ask(method, where, Transfer_Encoding="chunked", Content_Type=PART, **said)
        assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
    assert Upload.objects.count() == 1


@pytest.mark.django_db
def test_a_row_that_somebody_turned_over_to_another_makes_no_item_and_tells_nothing() -> None:
    sender, thief = Sender(), Sender()
    url = sender.begin(8, b"four")["Location"]
    Upload.objects.update(by=thief.incident.opened_by, intake=thief.intake, length=4)
    assert thief.head(url).status_code == 409
    answer = thief.patch(url, 4, b"")
    assert (answer.status_code, answer.json()["code"]) == (409, "changed")
    assert not Item.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("seal", ["kept", "emptied"])
def test_a_row_that_somebody_made_shorter_makes_no_item(seal: str) -> None:
    sender = Sender()
    said = encoded(intake=sender.intake, sha256=hashlib.sha256(b"fourfive").hexdigest())
    url = sender.begin(8, b"four", Upload_Metadata=said)["Location"]
    Upload.objects.update(length=4, declared_sha256="")
    if seal == "emptied":
        Upload.objects.update(sealed_metadata=b"")
    assert sender.patch(url, 4, b"").status_code == 409
    assert not Item.objects.exists()

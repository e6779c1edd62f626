"""Resumable uploads: who may, how much, for how long, and what becomes of those that something comes in between."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.actions import issue_token, revoke_grant
from accounts.models import Grant, Role
from custody.models import Event
from custody.vocabulary import Type
from evidence import blobs, reconcile, staging, store
from evidence.models import Item
from incidents import actions, jobs, lines, receiving, resumable, tasks
from incidents.models import Intake, Upload, UploadPart
from tests import factories
from tests.incidents.tus_sender import Sender, encoded, key, row

pytestmark = pytest.mark.django_db
FILE = os.urandom(2_300_000)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def staged(upload: Upload) -> list[Path]:
    return sorted(Path(settings.SANAD_STAGING).glob(f"{upload.blob_id}*"))


def close(sender: Sender) -> None:
    actions.change_status(
        by=sender.incident.opened_by, at=timezone.now(), incident=sender.incident, status="closed", reason="done"
    )


def take_role_away(sender: Sender) -> None:
    for grant in Grant.objects.in_force().filter(user=sender.incident.opened_by):
        revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason="left")


def test_anothers_upload_is_not_there_whoever_asks(sender: Sender) -> None:
    url = sender.begun(10)
    colleague = factories.make_user(Role.INVESTIGATOR, sender.incident.compartment)
    for who in (colleague, factories.stranger()):
        other = Sender(sender.incident, factories.signed_in(who))
        answers = [
            other.head(url),
            other.patch(url, 0, b"ten bytes!"),
            other.ask("DELETE", url),
            other.client.get(url),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4
    assert sender.head(url)["Upload-Offset"] == "0"


def test_an_intake_of_another_person_or_compartment_takes_nothing(sender: Sender) -> None:
    colleague = factories.make_user(Role.INVESTIGATOR, sender.incident.compartment)
    elsewhere = Sender()
    said = encoded(intake=sender.intake)
    for other in (Sender(sender.incident, factories.signed_in(colleague)), elsewhere):
        assert other.begin(10, Upload_Metadata=said).status_code == 404
    assert not Upload.objects.exists()


def test_a_token_sends_and_one_that_only_reads_does_not(sender: Sender) -> None:
    def program(read_only: bool) -> Client:
        _token, secret = issue_token(
            by=sender.incident.opened_by,
            at=timezone.now(),
            purpose="sends",
            read_only=read_only,
            life=timedelta(days=1),
        )
        return Client(headers={"Authorization": f"Bearer {secret}"})

    sending = Sender(sender.incident, program(read_only=False))
    url = sending.begun(4)
    reading = Sender(sender.incident, program(read_only=True))
    assert reading.head(url)["Upload-Offset"] == "0"
    assert reading.patch(url, 0, b"four").status_code == 403
    assert reading.begin(4).status_code == 403
    assert sending.patch(url, 0, b"four").status_code == 204


def test_a_page_of_another_site_sends_nothing_in_a_persons_name(sender: Sender) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = sender.client.cookies
    other = Sender(sender.incident, strict)
    assert other.begin(4).status_code == 403
    url = sender.begun(4)
    assert other.patch(url, 0, b"four").status_code == other.ask("DELETE", url).status_code == 403


def test_an_incident_that_was_closed_meanwhile_leaves_the_bytes_waiting_and_a_reopened_one_takes_them(
    sender: Sender,
) -> None:
    used = key()
    url = sender.begin(len(FILE), FILE[:-1], key=used)["Location"]
    close(sender)
    answer = sender.patch(url, len(FILE) - 1, FILE[-1:])
    told = sender.state(url)
    assert (told["state"], told["problem"]["code"]) == ("failed", "not_now")
    assert (answer.status_code, answer.json()) == (409, told["problem"])
    assert told["problem"]["detail"]
    assert not Item.objects.exists()
    assert staged(row(url))
    assert sender.begin(4).status_code == 409
    actions.change_status(
        by=sender.incident.opened_by, at=timezone.now(), incident=sender.incident, status="open", reason="more came"
    )
    assert sender.patch(url, len(FILE), b"").status_code == 204
    assert sender.state(url)["state"] == "held"
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE


def test_who_may_receive_no_longer_sees_no_upload_and_none_becomes_an_item(sender: Sender) -> None:
    url = sender.begin(len(FILE), FILE[:-1])["Location"]
    upload = row(url)
    Upload.objects.filter(pk=upload.pk).update(length=len(FILE) - 1)
    take_role_away(sender)
    assert sender.head(url).status_code == sender.patch(url, len(FILE) - 1, b"").status_code == 404
    assert sender.begin(4).status_code == 404
    upload.refresh_from_db()
    body = lines.Line(upload.pk, lambda _size: b"", 0, silence=5)  # the last part was under way at that time
    receiving.receive(upload, body, at_offset=upload.offset, checksum=None, sha256="")
    tasks.finish_upload(str(upload.pk))
    upload.refresh_from_db()
    assert (upload.state, upload.problem_code, upload.item) == ("failed", "not_allowed", None)
    assert not Item.objects.exists()


def test_an_intake_that_an_erasure_emptied_takes_nothing_more(sender: Sender) -> None:
    url = sender.begin(4, b"fou")["Location"]
    Intake.objects.filter(pk=sender.intake).update(sealed=b"")
    assert sender.patch(url, 3, b"r").status_code == 409
    told = sender.state(url)
    assert (told["state"], told["problem"]["code"]) == ("failed", "not_now")
    assert sender.begin(4).status_code == 409


def test_a_file_that_takes_longer_than_its_intake_lives_is_taken(sender: Sender) -> None:
    url = sender.begin(4, b"fou")["Location"]
    ago = timezone.now() - timedelta(days=8)
    Intake.objects.filter(pk=sender.intake).update(created_at=ago)
    Upload.objects.filter(pk=row(url).pk).update(created_at=ago + timedelta(days=1))
    assert sender.begin(4).status_code == 409
    assert sender.patch(url, 3, b"r").status_code == 204
    assert sender.state(url)["state"] == "held"


def test_one_file_may_not_be_too_large(sender: Sender, settings: Any) -> None:
    settings.SANAD_UPLOAD_LIMIT = 1_000
    answer = sender.begin(1_001)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert sender.begin(1_000).status_code == 201
    assert sender.begin(2**63).status_code == 400


def test_a_person_has_so_many_open_uploads_and_no_more(sender: Sender, settings: Any) -> None:
    settings.SANAD_UPLOAD_OPEN = 2
    first = sender.begun(4)
    sender.begun(4)
    answer = sender.begin(4)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    assert sender.begin(4, key=row(first).key).status_code == 200
    assert Sender().begin(4).status_code == 201
    sender.patch(first, 0, b"four")
    assert sender.begin(4).status_code == 201


@pytest.mark.parametrize("name", ["SANAD_UPLOAD_STAGED", "SANAD_UPLOAD_STAGED_ALL"])
def test_what_is_announced_counts_against_the_quota_until_it_is_held(sender: Sender, settings: Any, name: str) -> None:
    setattr(settings, name, 1_000)
    url = sender.begun(600)
    other = Sender()
    answer = sender.begin(401)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota")
    assert other.begin(401).status_code == (201 if name == "SANAD_UPLOAD_STAGED" else 429)
    sender.patch(url, 0, b"x" * 600)
    assert sender.begin(500).status_code == 201


def test_no_upload_begins_that_the_disk_has_no_room_for(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "free_bytes", lambda: resumable.SPARE + 1_000)
    sender.begun(600)
    answer = sender.begin(401)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert sender.begin(400).status_code == 201


def test_a_full_disk_keeps_what_was_acknowledged_and_says_so(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sender.begin(len(FILE), FILE[:1_200_000])["Location"]

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("evidence.blobs.os.write", full)
        answer = sender.patch(url, 1_200_000, FILE[1_200_000:])
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert sender.head(url)["Upload-Offset"] == "1200000"
    assert sender.patch(url, 1_200_000, FILE[1_200_000:]).status_code == 204
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE


def test_an_upload_that_nobody_goes_on_with_expires_with_its_bytes_and_key(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    url = sender.begin(len(FILE), FILE[:2_000_000])["Location"]
    upload = row(url)
    assert staged(upload)
    tasks.expire_uploads(0)
    assert sender.head(url).status_code == 200
    Upload.objects.filter(pk=upload.pk).update(expires_at=timezone.now())
    assert sender.head(url).status_code == sender.patch(url, 2_000_000, b"x").status_code == 410
    assert sender.ask("DELETE", url).status_code == 410
    assert sender.state(url)["state"] == "expired"
    with caplog.at_level("INFO", "incidents.uploads"):
        tasks.expire_uploads(0)
    assert f"{upload.pk} expired" in caplog.text
    upload.refresh_from_db()
    assert (upload.state, bytes(upload.wrapped_key), bytes(upload.sealed_metadata)) == ("expired", b"", b"")
    assert not staged(upload)
    assert not UploadPart.objects.exists()
    assert sender.head(url).status_code == 410


def test_the_key_of_an_expired_upload_begins_a_new_one(sender: Sender) -> None:
    used = key()
    url = sender.begin(4, b"fou", key=used)["Location"]
    Upload.objects.update(expires_at=timezone.now())
    again = sender.begin(4, b"four", key=used)
    assert (again.status_code, again["Upload-Offset"]) == (201, "4")
    assert again["Location"] != url
    tasks.expire_uploads(0)
    assert sender.state(again["Location"])["state"] == "held"
    assert sender.state(url)["state"] == "expired"


def test_each_part_puts_the_end_off(sender: Sender) -> None:
    url = sender.begin(4, b"f")["Location"]
    Upload.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    sender.patch(url, 1, b"o")
    assert row(url).expires_at > timezone.now() + timedelta(days=6)


def test_what_arrived_whole_never_expires_and_is_asked_again_until_it_is_held(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise store.StoreProblem("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "put", gone)
        url = sender.begin(len(FILE), FILE)["Location"]
        assert sender.state(url)["state"] == "finishing"
        with pytest.raises(store.StoreProblem):
            tasks.finish_upload(str(row(url).pk))
    long_ago = timezone.now() - timedelta(days=30)
    Upload.objects.update(touched_at=long_ago, expires_at=long_ago)
    tasks.expire_uploads(0)
    assert sender.head(url)["Upload-Offset"] == str(len(FILE))
    tasks.finish_uploads_left_lying(0)
    [waiting] = ProcrastinateJob.objects.filter(task_name=jobs.FINISH_UPLOAD)
    tasks.finish_upload(**waiting.args)
    assert sender.state(url)["state"] == "held"
    assert not staged(row(url))


def test_finishing_again_and_again_makes_one_item_and_one_event(sender: Sender) -> None:
    url = sender.begin(4, b"four")["Location"]
    for _time in range(3):
        tasks.finish_upload(str(row(url).pk))
        assert sender.patch(url, 4, b"").status_code == 204
    assert Item.objects.count() == Event.objects.filter(type=Type.RECEIVE).count() == 1


def test_a_large_file_is_left_to_the_worker(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 1_000)
    url = sender.begin(len(FILE), FILE)["Location"]
    told = sender.state(url)
    assert (told["state"], told["offset"], told["item"]) == ("finishing", len(FILE), None)
    assert sender.ask("DELETE", url).status_code == 409
    [waiting] = ProcrastinateJob.objects.filter(task_name=jobs.FINISH_UPLOAD)
    tasks.finish_upload(**waiting.args)
    assert sender.state(url)["state"] == "held"


def test_staged_bytes_that_were_damaged_make_no_item_and_the_sender_is_told(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 0)
    url = sender.begin(len(FILE), FILE)["Location"]
    [path] = staged(row(url))
    with path.open("r+b") as handle:
        handle.seek(1_000_000)
        handle.write(b"????")
    tasks.finish_upload(str(row(url).pk))
    told = sender.state(url)
    assert (told["state"], told["problem"]["code"]) == ("failed", "staging_damaged")
    assert not Item.objects.exists()
    assert not staged(row(url))


def test_acknowledged_bytes_that_are_gone_are_said_to_be_gone(sender: Sender) -> None:
    used = key()
    url = sender.begin(len(FILE), FILE[:2_000_000], key=used)["Location"]
    for path in staged(row(url)):
        path.unlink()
    answer = sender.patch(url, 2_000_000, FILE[2_000_000:])
    assert (answer.status_code, answer.json()["code"]) == (410, "staging_damaged")
    assert sender.begin(len(FILE), FILE, key=used).status_code == 201
    assert Item.objects.count() == 1


def test_the_reconciler_leaves_open_uploads_and_takes_what_nobody_needs(sender: Sender) -> None:
    url = sender.begin(len(FILE), FILE[:2_000_000])["Location"]
    needed = staged(row(url))
    folder = Path(settings.SANAD_STAGING)
    nobodys = [folder / f"{uuid4()}.part", folder / f"{uuid4()}.12.tail", folder / f"{uuid4()}.ab.spool"]
    for path in nobodys:
        path.write_bytes(b"left by a kill")
    old = time.time() - 48 * 3600
    for path in (*nobodys, *needed):
        os.utime(path, (old, old))
    found = reconcile.reconcile(remove=True)
    assert {path.name for path in nobodys} <= set(found.staging)
    assert not {path.name for path in needed} & set(found.staging)
    assert [path for path in nobodys if path.exists()] == []
    assert sender.patch(url, 2_000_000, FILE[2_000_000:]).status_code == 204
    assert b"".join(blobs.read_blob(Item.objects.get().blob)) == FILE


def test_a_file_that_waited_long_is_no_leftover_of_the_store_while_it_is_finished(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 0)
    url = sender.begin(len(FILE), FILE)["Location"]
    [path] = staged(row(url))
    old = time.time() - 48 * 3600
    os.utime(path, (old, old))
    read_back = blobs.read_back

    def reconciled_between(received: Any) -> None:
        assert reconcile.reconcile(remove=True).without_row == []
        read_back(received)

    monkeypatch.setattr(blobs, "read_back", reconciled_between)
    tasks.finish_upload(str(row(url).pk))
    assert sender.state(url)["state"] == "held"


def test_asking_for_the_offset_touches_no_store(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sender.begin(len(FILE), FILE[:2_000_000])["Location"]

    def never(*_: Any) -> None:
        raise AssertionError("the store was touched")

    for name in ("put", "open_address", "addresses", "path_of"):
        monkeypatch.setattr(store, name, never)
    monkeypatch.setattr(Path, "glob", never)
    assert sender.head(url)["Upload-Offset"] == "2000000"

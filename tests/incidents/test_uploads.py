"""Uploads over HTTP: what is announced, what arrives, what is refused, and what a repetition does."""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.http.request import UnreadablePostError
from django.test import Client
from django.utils import timezone

from accounts.actions import issue_token, revoke_grant
from accounts.models import Grant, Role
from accounts.permissions import NotNow
from custody import engine
from custody.story import story
from custody.vocabulary import Type
from evidence import blobs, store
from evidence.models import Blob, Item
from incidents import actions, uploads
from incidents.lines import DRAINED
from incidents.models import Incident, Intake, Link
from ledger.entry import encode_entry
from tests import factories

pytestmark = pytest.mark.django_db
PHOTO = b"\xff\xd8\xff\xe0" + os.urandom(3_000_000)


class Sender:
    """Somebody who sends files to an incident over the API."""

    def __init__(self, incident: Incident, client: Client | None = None) -> None:
        self.incident = incident
        self.client = client or factories.signed_in(incident.opened_by)
        self.client.raise_request_exception = False

    def announce(self, **said: Any) -> Any:
        said = {"stance": "supports", "reasons": "Filmed at the place."} | said
        return self.client.post(
            f"/api/v1/incidents/{self.incident.pk}/intakes/", json.dumps(said), content_type="application/json"
        )

    def intake(self) -> str:
        return str(self.announce().json()["intake"])

    def put(self, body: Any, *, intake: str | None = None, headers: dict[str, Any] | None = None, **meta: Any) -> Any:
        sent = {"Upload-Intake": intake or self.intake(), "Upload-Filename": "scene.jpg"} | (headers or {})
        sent = {name: str(value) for name, value in sent.items() if value is not None}
        return self.client.put("/api/v1/uploads/", body, content_type="application/octet-stream", headers=sent, **meta)


@pytest.fixture
def sender() -> Sender:
    return Sender(factories.make_incident())


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


@pytest.fixture
def stored() -> Callable[[], set[Path]]:
    """What stands in store and staging beyond what stood there at the start."""
    folders = (Path(settings.SANAD_STORE), Path(settings.SANAD_STAGING))
    before = {path for folder in folders for path in files_in(folder)}
    return lambda: {path for folder in folders for path in files_in(folder)} - before


def plain(item: Item) -> bytes:
    return b"".join(blobs.read_blob(item.blob))


def sha256(data: bytes) -> str:
    return "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"


def test_a_file_becomes_an_item_of_the_incident_with_the_announced_description(sender: Sender) -> None:
    answer = sender.announce(
        created_edtf="2025-03-08~",
        created_basis="source",
        source_kind="local_group",
        source="Channel 4",
        acquired_how="message",
        language="ar",
        graphic=True,
        information_credibility=3,
    )
    assert answer.status_code == 201
    response = sender.put(
        PHOTO,
        intake=answer.json()["intake"],
        headers={
            "Upload-Filename": "%D8%B5%D9%88%D8%B1%D8%A9%201.jpg",
            "Upload-Last-Modified": "1741410600000",
            "Repr-Digest": sha256(PHOTO),
            "Idempotency-Key": uuid4(),
        },
    )
    assert response.status_code == 201
    told = response.json()
    item = Item.objects.get(accession=told["accession"])
    assert told == {
        "accession": item.accession,
        "url": f"/items/{item.accession}/",
        "sha256": hashlib.sha256(PHOTO).hexdigest(),
        "sha512": hashlib.sha512(PHOTO).hexdigest(),
        "size": len(PHOTO),
        "duplicate_of": None,
        "media_type": "",
        "receipt_url": f"/items/{item.accession}/receipt/",
    }
    assert plain(item) == PHOTO
    assert item.original_name == "صورة 1.jpg"
    assert (item.created_edtf, item.created_basis, item.graphic, item.source) == (
        "2025-03-08~",
        "source",
        True,
        "Channel 4",
    )
    link = Link.objects.get(item=item)
    assert (link.stance, link.reasons, link.information_credibility) == ("supports", "Filmed at the place.", 3)
    assert [line.type for line in story("item", item.pk)] == [Type.RECEIVE, Type.TAG]
    reception = story("item", item.pk)[0]
    assert "2025-03-08T05:10:00+00:00" in reception.fields["purpose"]
    assert any(line.type == Type.INGESTION_START for line in story("incident", sender.incident.pk))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"stance": "proves"}, "stance"),
        ({"reasons": ""}, "reasons"),
        ({"created_edtf": "yesterday"}, "created_edtf"),
        ({"acquired_edtf": "2025-13-01"}, "acquired_edtf"),
        ({"source_kind": "rumour"}, "source_kind"),
        ({"language": "x" * 36}, "language"),
        ({"latitude": "35.3"}, "latitude"),
        ({"latitude": "35.3", "longitude": "35.9"}, "precision"),
        ({"source": "a\u0000b"}, "source"),
    ],
)
def test_what_is_wrong_in_the_description_is_said_before_a_byte_is_sent(
    sender: Sender, said: dict[str, str], wrong: str
) -> None:
    response = sender.announce(**said)
    assert response.status_code == 400
    assert wrong in response.json()
    assert not Intake.objects.exists()


def test_everything_a_browser_form_sends_is_taken_with_its_empty_fields(sender: Sender) -> None:
    response = sender.announce(
        kind="",
        created_edtf="",
        created_basis="",
        source_reliability="",
        information_credibility="",
        source_kind="",
        acquired_how="",
        language="",
        graphic=False,
        csrfmiddlewaretoken="x",
    )
    assert response.status_code == 201
    assert sender.put(b"x", intake=response.json()["intake"]).status_code == 201


def test_the_announced_words_lie_sealed(sender: Sender) -> None:
    sender.announce(reasons="Given by W-0007 at the harbour")
    sealed = bytes(Intake.objects.get().sealed)
    assert b"W-0007" not in sealed
    assert b"harbour" not in sealed


def test_the_same_key_again_gives_the_same_item_and_keeps_nothing(sender: Sender) -> None:
    headers = {"Idempotency-Key": uuid4()}
    first = sender.put(PHOTO, headers=headers)
    again = sender.put(PHOTO, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Item.objects.count() == 1
    assert Link.objects.count() == 1
    asked = sender.client.get(f"/api/v1/uploads/{headers['Idempotency-Key']}/")
    assert asked.json() == first.json()


def test_a_key_that_was_used_for_another_file_is_refused(sender: Sender) -> None:
    headers = {"Idempotency-Key": uuid4()}
    sender.put(PHOTO, headers=headers)
    other = bytes(reversed(PHOTO))
    for response in (
        sender.put(b"shorter", headers=headers),
        sender.put(other, headers=headers | {"Repr-Digest": sha256(other)}),
    ):
        assert response.status_code == 409
        assert response.json()["code"] == "not_now"
    assert Item.objects.count() == 1


@pytest.mark.parametrize("said", ["nothing", "the digest of the first", "only SHA-512"])
def test_a_used_key_with_other_bytes_of_the_same_length_is_never_taken_for_a_repetition(
    sender: Sender, said: str, stored: Callable[[], set[Path]]
) -> None:
    headers: dict[str, Any] = {"Idempotency-Key": uuid4()}
    sender.put(PHOTO, headers=headers)
    kept, other = stored(), bytes(reversed(PHOTO))
    if said == "the digest of the first":
        headers["Repr-Digest"] = sha256(PHOTO)
    elif said == "only SHA-512":
        headers["Repr-Digest"] = "sha-512=:" + base64.b64encode(hashlib.sha512(other).digest()).decode() + ":"
    response = sender.put(other, headers=headers)
    assert (response.status_code, response.json()["code"]) == (409, "not_now")
    assert "new key" in response.json()["detail"]
    assert stored() == kept
    assert Item.objects.count() == 1


def test_a_repetition_whose_line_breaks_is_asked_for_again(sender: Sender) -> None:
    headers = {"Idempotency-Key": uuid4()}
    sender.put(PHOTO, headers=headers)
    cut: dict[str, Any] = {"wsgi.input": BytesIO(PHOTO[:-1]), "CONTENT_LENGTH": str(len(PHOTO))}
    response = sender.put(b"", headers=headers, **cut)
    assert (response.status_code, response.json()["code"]) == (400, "incomplete")


@pytest.mark.parametrize("place", ["another incident", "another compartment", "the link was withdrawn"])
def test_a_used_key_is_no_answer_for_an_incident_that_does_not_have_the_item(sender: Sender, place: str) -> None:
    by, headers = sender.incident.opened_by, {"Idempotency-Key": uuid4(), "Repr-Digest": sha256(PHOTO)}
    first = Item.objects.get(accession=sender.put(PHOTO, headers=headers).json()["accession"])
    incident = sender.incident
    if place == "another incident":
        incident = factories.make_incident(sender.incident.compartment, by=by)
    elif place == "another compartment":
        incident = factories.make_incident()
        factories.give(by, Role.INVESTIGATOR, incident.compartment)
    else:
        actions.withdraw_link(by=by, at=timezone.now(), link=Link.objects.get(item=first), reason="another square")
    there = Sender(incident, sender.client)
    refused = there.put(PHOTO, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_now")
    assert Item.objects.count() == 1
    again = there.put(PHOTO, headers={"Idempotency-Key": uuid4()})
    assert again.status_code == 201
    assert Link.objects.filter(incident=incident, item__accession=again.json()["accession"]).exists()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_key_used_for_another_incident_meanwhile_drops_the_bytes_that_arrived(
    sender: Sender, elsewhere: bool, stored: Callable[[], set[Path]]
) -> None:
    """The earlier item was not there yet when the body began to arrive."""
    by, key = sender.incident.opened_by, uuid4()
    sender.put(PHOTO, headers={"Idempotency-Key": key})
    other = factories.make_incident(None if elsewhere else sender.incident.compartment, by=None if elsewhere else by)
    if elsewhere:
        factories.give(by, Role.INVESTIGATOR, other.compartment)
    intake, kept = factories.make_intake(other, by=by), stored()
    with pytest.raises(NotNow):
        uploads.accept(
            by=by,
            at=timezone.now(),
            intake=intake,
            received=blobs.receive([PHOTO]),
            original_name="scene.jpg",
            idempotency_key=key,
        )
    assert stored() == kept
    assert not Link.objects.filter(incident=other).exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_repetitions_at_once_make_one_item_with_one_reception(stored: Callable[[], set[Path]]) -> None:
    incident = factories.make_incident()
    intake, key = Sender(incident).intake(), uuid4()
    start = threading.Barrier(20)

    def send(_: int) -> tuple[int, Any]:
        sender = Sender(incident)
        start.wait()
        try:
            response = sender.put(PHOTO, intake=intake, headers={"Idempotency-Key": key})
            return response.status_code, response.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({json.dumps(told) for _, told in answers}) == 1
    item = Item.objects.get()
    assert [line.type for line in story("item", item.pk)] == [Type.RECEIVE, Type.TAG]
    assert stored() == {store.path_of(item.blob.address)}


def test_a_duplicate_is_told_linked_and_kept(sender: Sender) -> None:
    first, second = sender.put(PHOTO).json(), sender.put(PHOTO).json()
    assert second["duplicate_of"] == first["accession"]
    assert Item.objects.count() == 2


def test_a_duplicate_in_another_compartment_is_told_to_nobody() -> None:
    first = Sender(factories.make_incident())
    first.put(PHOTO)
    elsewhere = factories.make_incident()
    factories.give(first.incident.opened_by, Role.INVESTIGATOR, elsewhere.compartment)
    both = Sender(elsewhere, first.client)
    digest = hashlib.sha256(PHOTO).hexdigest()

    def ask(sender: Sender) -> Any:
        url = f"/api/v1/incidents/{sender.incident.pk}/duplicates/"
        return sender.client.post(url, json.dumps({"sha256": [digest]}), content_type="application/json").json()

    assert ask(both) == {digest: None}
    assert both.put(PHOTO).json()["duplicate_of"] is None
    own = Item.objects.get(compartment=elsewhere.compartment)
    assert ask(both) == {digest: {"accession": own.accession, "url": f"/items/{own.accession}/"}}


def test_digests_that_are_none_or_too_many_are_refused(sender: Sender) -> None:
    url = f"/api/v1/incidents/{sender.incident.pk}/duplicates/"
    for asked in (["x"], ["A" * 64], "", ["0" * 64] * 1_001):
        response = sender.client.post(url, json.dumps({"sha256": asked}), content_type="application/json")
        assert response.status_code == 400


class Broken(BytesIO):
    """A body whose line breaks in the middle."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 1_000_000:
            raise UnreadablePostError("reset by peer")
        return super().read(min(size or 0, 600_000))


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("short", 400, "incomplete"),
        ("broken", 400, "incomplete"),
        ("digest", 422, "digest_mismatch"),
        ("sha512", 422, "digest_mismatch"),
        ("no length", 411, "length_required"),
        ("encoded", 415, "encoded"),
        ("too large", 413, "too_large"),
        ("no room", 507, "no_room"),
        ("store lies", 507, "store"),
        ("store silent", 503, "store"),
    ],
)
def test_a_file_that_does_not_arrive_whole_is_refused_in_words_and_leaves_nothing(
    sender: Sender,
    case: str,
    status: int,
    code: str,
    stored: Callable[[], set[Path]],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    meta: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    body: Any = PHOTO
    if case == "short":
        meta |= {"wsgi.input": BytesIO(PHOTO), "CONTENT_LENGTH": str(len(PHOTO) + 1)}
    elif case == "broken":
        meta |= {"wsgi.input": Broken(PHOTO), "CONTENT_LENGTH": str(len(PHOTO))}
    elif case == "digest":
        headers["Content-Digest"] = sha256(b"other")
    elif case == "sha512":
        headers["Repr-Digest"] = "sha-512=:" + base64.b64encode(bytes(64)).decode() + ":"
    elif case == "no length":
        meta["CONTENT_LENGTH"] = ""
    elif case == "encoded":
        headers["Content-Encoding"] = "gzip"
    elif case == "too large":
        settings.SANAD_UPLOAD_LIMIT = len(PHOTO) - 1
    elif case == "no room":
        monkeypatch.setattr(os, "fsync", failing(OSError(28, "No space left on device")))
    elif case == "store lies":
        monkeypatch.setattr(store, "put", failing(store.StoreProblem("it gave back other bytes")))
    elif case == "store silent":
        monkeypatch.setattr(store, "put", failing(store.Unreachable("far does not answer")))
    response = sender.put(body, headers=headers, **meta)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert len(response.json()["detail"]) > 20
    assert not Item.objects.exists()
    assert not Blob.objects.exists()
    monkeypatch.undo()
    assert stored() == set()


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ({"Upload-Intake": None}, "Upload-Intake"),
        ({"Upload-Intake": "x"}, "Upload-Intake"),
        ({"Idempotency-Key": "x"}, "Idempotency-Key"),
        ({"Repr-Digest": "sha-256=abc"}, "Repr-Digest"),
        ({"Repr-Digest": "sha-256=:AAAA:"}, "Repr-Digest"),
        ({"Upload-Filename": "x" * 8_193}, "Upload-Filename"),
    ],
)
def test_a_header_that_makes_no_sense_is_named(sender: Sender, headers: dict[str, str], wrong: str) -> None:
    response = sender.put(b"x", headers=headers)
    assert response.status_code == 400
    assert wrong in response.json()
    assert not Item.objects.exists()


def test_digests_of_algorithms_we_do_not_know_are_ignored_as_the_rfc_allows(sender: Sender) -> None:
    response = sender.put(PHOTO, headers={"Repr-Digest": f"unixsum=:AAA=:, {sha256(PHOTO)}, md5=:AAAA:"})
    assert response.status_code == 201


def failing(problem: Exception) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise problem

    return fail


class Unread(BytesIO):
    """A body that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


@pytest.mark.parametrize("who", ["reviewer", "stranger", "another investigator", "revoked", "anonymous"])
def test_who_may_not_send_is_refused_before_the_body_is_kept(
    sender: Sender, who: str, stored: Callable[[], set[Path]]
) -> None:
    intake = sender.intake()
    compartment = sender.incident.compartment
    if who == "reviewer":
        client = factories.signed_in(factories.make_user(Role.LEGAL_REVIEWER, compartment))
    elif who == "stranger":
        client = factories.signed_in(factories.stranger())
    elif who == "another investigator":
        client = factories.signed_in(factories.make_user(Role.INVESTIGATOR, compartment))
    elif who == "anonymous":
        client = Client()
    else:
        client = sender.client
        grant = Grant.objects.get(user=sender.incident.opened_by)
        revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason="left")
    body = Unread(bytes(40_000_000))
    response = Sender(sender.incident, client).put(
        b"", intake=intake, **dict[str, Any]({"wsgi.input": body, "CONTENT_LENGTH": "40000000"})
    )
    assert response.status_code in (401, 403, 404)
    assert body.taken <= DRAINED + 1
    assert response.headers["Connection"] == "close"
    assert not Item.objects.exists()
    assert stored() == set()


def test_an_intake_ends_after_seven_days_and_with_its_incident(sender: Sender) -> None:
    intake = sender.intake()
    Intake.objects.update(created_at=timezone.now() - uploads.INTAKE_LIFE * 1.01)
    assert sender.put(b"x", intake=intake).status_code == 409
    fresh = sender.intake()
    by = sender.incident.opened_by
    actions.change_status(by=by, at=timezone.now(), incident=sender.incident, status="closed", reason="done")
    assert sender.put(b"x", intake=fresh).status_code == 409
    assert not Item.objects.exists()


def test_when_the_ledger_refuses_neither_item_nor_link_nor_stored_bytes_remain(
    sender: Sender, stored: Callable[[], set[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = sender.intake()
    real, calls = encode_entry, []

    def second_refused(**entry: Any) -> bytes:
        calls.append(entry["type"])
        if entry["type"] == Type.TAG:
            raise ValueError("no")
        return real(**entry)

    monkeypatch.setattr(engine, "encode_entry", second_refused)
    response = sender.put(PHOTO, intake=intake)
    assert response.status_code == 500
    assert calls == [Type.RECEIVE, Type.TAG]
    assert not Item.objects.exists()
    assert not Link.objects.exists()
    assert stored() == set()


def test_a_token_that_may_write_uploads_and_one_that_only_reads_does_not(sender: Sender) -> None:
    from datetime import timedelta

    intake = sender.intake()
    for read_only, status in ((False, 201), (True, 403)):
        _token, secret = issue_token(
            by=sender.incident.opened_by, at=timezone.now(), purpose="t", read_only=read_only, life=timedelta(days=1)
        )
        client = Client(enforce_csrf_checks=True)
        headers = {"Authorization": f"Bearer {secret}"}
        assert Sender(sender.incident, client).put(b"x", intake=intake, headers=headers).status_code == status


def test_a_session_without_a_csrf_token_does_not_upload(sender: Sender) -> None:
    intake = sender.intake()
    client = Client(enforce_csrf_checks=True)
    client.cookies = sender.client.cookies
    assert Sender(sender.incident, client).put(b"x", intake=intake).status_code == 403
    client.get(f"/incidents/{sender.incident.pk}/upload/")
    token = client.cookies["csrftoken"].value
    response = Sender(sender.incident, client).put(b"x", intake=intake, headers={"X-CSRFToken": token})
    assert response.status_code == 201


def test_an_empty_file_is_an_item_too(sender: Sender) -> None:
    told = sender.put(b"", CONTENT_LENGTH="0").json()
    assert told["size"] == 0
    assert told["sha256"] == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("a%2Fb%5Cc.jpg", "c.jpg"),
        ("%FF%FE.jpg", "%FF%FE.jpg"),
        ("", "unnamed"),
        ("%00%0A", "unnamed"),
        ("%E2%80%AEgpj.exe", "\u202egpj.exe"),
        ("100%25.jpg", "100%.jpg"),
    ],
)
def test_odd_names_are_kept_readable_and_harmless(sender: Sender, header: str, kept: str) -> None:
    told = sender.put(b"x", headers={"Upload-Filename": header}).json()
    assert Item.objects.get(accession=told["accession"]).original_name == kept

"""A name is planted, everything is done with its witness, and then it is looked for everywhere.

It may stand in the answer that opens the vault and in the form of whoever is typing it just then; nowhere else.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import Compartment, Role, User
from archive.logs import DropTypedText, JsonLines
from custody.engine import opened
from custody.models import Event
from custody.sequencer import drain
from tests import factories
from tests.witnesses.things import KUNYA, MOTHER, NAME, NAME_AR, PHONE, encodings_of, make_item
from witnesses.models import Consent, Testimony, Witness

pytestmark = pytest.mark.django_db

REASON = "Needed for the protection plan."
WORDS = [NAME, NAME_AR, KUNYA, MOTHER, PHONE]
FORMS = [(word, form) for word in WORDS for form in encodings_of(word)]


def found_in(data: bytes) -> list[str]:
    """The planted words that lie in the bytes, in any common encoding and any case."""
    folded = data.lower()
    return [f"{word} as {form!r}" for word, form in FORMS if form in data or form.lower() in folded]


def test_the_search_itself_finds_a_word_in_every_encoding() -> None:
    import base64
    from urllib.parse import quote

    for word in WORDS:
        for hidden in (
            word.encode(),
            word.encode("utf-16"),
            word.encode().hex().upper().encode(),
            base64.b64encode(b"x" + word.encode()),
            base64.b64encode(f"xy{word}z".encode()),
            quote(word).lower().encode(),
            word.encode("unicode_escape"),
        ):
            assert found_in(b"before" + hidden + b"after"), (word, hidden)
    assert found_in(b"a page that names nobody") == []


def database() -> Iterator[tuple[str, bytes]]:
    """Every row of every table of this database, as text; binary columns plain beside it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT t::text FROM {name} t")
            for (row,) in cursor.fetchall():
                yield table, row.encode()
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type = 'bytea'",
                [table],
            )
            for (column,) in cursor.fetchall():
                cursor.execute(f"SELECT {connection.ops.quote_name(column)} FROM {name}")
                for (value,) in cursor.fetchall():
                    yield f"{table}.{column}", bytes(value or b"")


class Steps:
    """One person at the browser: keeps every answer and address, with what was sent to it."""

    def __init__(self, user: User) -> None:
        self.client: Client = factories.signed_in(user)
        self.client.raise_request_exception = False
        self.seen: list[tuple[str, int, bytes, bytes]] = []

    def get(self, url: str) -> Any:
        return self._keep(url, self.client.get(url), shown=True)

    def post(self, url: str, data: dict[str, Any], *, typing_a_name: bool = False) -> Any:
        """`typing_a_name`: the answer may hold what was just typed, and must be kept by nothing."""
        response = self.client.post(url, data)
        if typing_a_name:
            assert "no-store" in response["Cache-Control"]
        return self._keep(url, response, shown=not typing_a_name)

    def api(self, method: str, url: str, body: str, *, shown: bool = True) -> Any:
        return self._keep(url, self.client.generic(method, url, body, content_type="application/json"), shown=shown)

    def _keep(self, url: str, response: Any, *, shown: bool) -> Any:
        head = "\n".join(f"{name}: {value}" for name, value in response.items()).encode()
        head += str(response.cookies).encode()
        body = b"".join(response) if response.streaming else response.content
        self.seen.append((url, response.status_code, head, body if shown else b""))
        return response


@pytest.fixture
def compartment() -> Compartment:
    return factories.make_compartment()


def test_a_planted_name_is_nowhere_but_in_the_answer_that_opens_the_vault(
    compartment: Compartment, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    written: list[str] = []
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(DropTypedText())
    monkeypatch.setattr(handler, "emit", lambda line: written.append(handler.format(line)))
    logging.getLogger().addHandler(handler)
    investigator = Steps(factories.make_user(Role.INVESTIGATOR, compartment))
    officer = Steps(factories.make_user(Role.PROTECTION_OFFICER, compartment))
    lawyer = Steps(factories.make_user(Role.LEGAL_REVIEWER, compartment))
    try:
        opening = everything(compartment, investigator, officer)
    finally:
        logging.getLogger().removeHandler(handler)
    assert NAME.encode() in opening
    drain()

    walk(compartment, investigator, officer, lawyer)
    for person in (investigator, officer, lawyer):
        for url, status, head, body in person.seen:
            assert status < 500, url
            for where, data in (("address", url.encode()), ("header", head), ("answer", body)):
                assert found_in(data) == [], f"{where} of {url}"
    for table, row in database():
        assert found_in(row) == [], table
    for event, values in opened(list(Event.objects.values_list("pk", flat=True))).items():
        assert found_in(str(values).encode()) == [], event
    assert written
    for text in [*written, *(record.getMessage() + (record.exc_text or "") for record in caplog.records)]:
        assert found_in(text.encode()) == []
    for folder in (settings.SANAD_STORE, settings.SANAD_STAGING, settings.SANAD_EXPORTS, settings.SANAD_KEYS):
        for path in Path(folder).rglob("*"):
            assert found_in(str(path).encode()) == []
            if path.is_file():
                assert found_in(path.read_bytes()) == [], path


def everything(compartment: Compartment, investigator: Steps, officer: Steps) -> bytes:
    """Take the witness in, interview, consent, open, correct, with a mistake at every step; the opening's answer."""
    new = reverse("witnesses:new")
    told = {"name": NAME, "name_ar": NAME_AR, "aliases": KUNYA}
    where = {"compartment": str(compartment.pk)}
    investigator.post(new, {"step": "ask", **where, **told, "birth_year": "never"}, typing_a_name=True)
    investigator.post(new, {"step": "ask", **where, **told, "birth_year": "1981"}, typing_a_name=True)
    filled = {"step": "open", **where, **told, "birth_date": "1981-04", "contacts": PHONE, "relations": MOTHER}
    investigator.post(new, filled | {"kind": "", "birth_date": NAME}, typing_a_name=True)
    investigator.post(new, filled | {"kind": NAME}, typing_a_name=True)
    investigator.post(new, filled | {"kind": "survivor"})
    witness = Witness.objects.get()
    assert witness.identity.revisions.count() == 1
    investigator.post(new, {"step": "ask", **where, **told}, typing_a_name=True)
    record = reverse("witnesses:record_identity", args=[witness.pk])
    investigator.post(record, told)
    opening = reverse("witnesses:open_identity", args=[witness.pk])
    investigator.post(opening, {"reason": REASON, "confirm": "on"})
    giving_testimony(investigator, witness)
    agreeing(officer, witness)
    officer.post(opening, {"reason": f"About {NAME}, urgently", "confirm": "on"}, typing_a_name=True)
    answer = officer.client.post(opening, {"reason": REASON, "confirm": "on"})
    assert "no-store" in answer["Cache-Control"]
    revise = reverse("witnesses:revise_identity", args=[witness.pk])
    officer.post(revise, told | {"reason": "no"}, typing_a_name=True)
    officer.post(revise, told | {"contacts": PHONE, "relations": MOTHER, "reason": "The passport was seen."})
    assert witness.identity.revisions.count() == 2
    by_program(compartment, investigator, officer, witness)
    return answer.content


def giving_testimony(investigator: Steps, witness: Witness) -> None:
    url = reverse("witnesses:new_testimony", args=[witness.pk])
    said = {
        "interview_edtf": "2025-03-20",
        "language": "ar",
        "interviewer": str(Witness.objects.get().opened_by_id),
        "text": "I was at home.",
    }
    for field in ("interview_edtf", "interpreter", "others_present", "place_name", "recordings", "interviewer"):
        response = investigator.post(url, said | {field: NAME}, typing_a_name=True)
        assert response.status_code == 422, field
    item = make_item(witness.compartment)
    investigator.post(url, said | {"recordings": item.accession})
    testimony = Testimony.objects.get()
    text = reverse("witnesses:text", args=[testimony.pk])
    investigator.post(text, {"text": "I was at home then.", "reason": f"{NAME} said so"}, typing_a_name=True)
    investigator.post(text, {"text": "I was at home then.", "reason": "Listened again."})
    linking = reverse("witnesses:link_recording", args=[testimony.pk])
    investigator.post(linking, {"accession": NAME}, typing_a_name=True)
    investigator.post(reverse("witnesses:seal_testimony", args=[testimony.pk]), {})
    investigator.post(text, {"text": f"{NAME} was at home.", "reason": ""}, typing_a_name=True)


def agreeing(officer: Steps, witness: Witness) -> None:
    url = reverse("witnesses:new_consent", args=[witness.pk])
    agreed = {
        "identity_level": "pseudonym",
        "purposes": ["documentation"],
        "recipients": ["own_team"],
        "recording_media": ["written", "audio"],
        "language": "ar",
        "explained_by": "Interviewer 1",
        "given_edtf": "2025-03-20",
        "form_version": "sanad-1",
    }
    for field in ("explained_by", "given_edtf", "named_recipients", "form_accession", "identity_level"):
        response = officer.post(url, agreed | {field: NAME}, typing_a_name=True)
        assert response.status_code == 422, field
    officer.post(url, agreed)
    withdraw = reverse("witnesses:withdraw_consent", args=[Consent.objects.get().pk])
    officer.post(withdraw, {"reason": f"{NAME_AR} asked"}, typing_a_name=True)
    officer.post(withdraw, {"reason": "Asked by telephone."})
    officer.post(url, agreed | {"given_edtf": "2025-06-01"})


def by_program(compartment: Compartment, investigator: Steps, officer: Steps, witness: Witness) -> None:
    import json

    body = json.dumps({"compartment": compartment.code, "names": [NAME, NAME_AR]}, ensure_ascii=False)
    assert investigator.api("POST", "/api/v1/witnesses/spoken-before/", body).json()[0]["pseudonym"] == "W-0001"
    said = {"compartment": compartment.code, "kind": "expert", "identity": {"name": NAME, "birth_date": MOTHER}}
    assert investigator.api("POST", "/api/v1/witnesses/", json.dumps(said)).status_code == 400
    said["identity"] = {"name": NAME}
    assert investigator.api("POST", "/api/v1/witnesses/", json.dumps(said)).status_code == 201
    door = f"/api/v1/witnesses/{witness.pk}/open-identity/"
    assert officer.api("POST", door, json.dumps({"reason": f"About {NAME}"})).status_code == 400
    assert officer.api("POST", door, json.dumps({"reason": REASON}), shown=False).json()["name"] == NAME


def walk(compartment: Compartment, *people: Steps) -> None:
    """Every page and list that has to do with the witness, read by each of them."""
    witness, testimony = Witness.objects.get(pseudonym="W-0001"), Testimony.objects.get()
    link = testimony.recordings.get()
    urls = [
        reverse("accounts:home"),
        reverse("accounts:profile"),
        reverse("witnesses:list"),
        reverse("witnesses:new"),
        *(
            reverse(f"witnesses:{name}", args=[witness.pk])
            for name in ("witness", "describe", "record_identity", "open_identity", "new_testimony")
        ),
        *(reverse(f"witnesses:{name}", args=[witness.pk]) for name in ("new_consent", "consent_form")),
        *(reverse(f"witnesses:{name}", args=[testimony.pk]) for name in ("testimony", "text", "describe_testimony")),
        reverse("witnesses:unlink_recording", args=[link.pk]),
        *(reverse("witnesses:withdraw_consent", args=[consent.pk]) for consent in Consent.objects.all()),
        reverse("evidence:item", args=[link.item.accession]),
        reverse("evidence:library"),
        *(f"/api/v1/{name}/" for name in ("witnesses", "testimonies", "consents")),
        f"/api/v1/witnesses/{witness.pk}/",
        f"/api/v1/testimonies/{testimony.pk}/texts/",
    ]
    for person in people:
        for url in urls:
            person.get(url)


def test_a_failing_database_says_nothing_of_the_name_in_the_log(
    compartment: Compartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import IntegrityError

    def fail(*_: Any, **__: Any) -> None:
        raise IntegrityError(f"duplicate key: ({NAME})")

    monkeypatch.setattr("witnesses.vault.IdentityRevision.objects.create", fail)
    written: list[str] = []
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(DropTypedText())
    monkeypatch.setattr(handler, "emit", lambda line: written.append(handler.format(line)))
    logging.getLogger().addHandler(handler)
    try:
        steps = Steps(factories.make_user(Role.INVESTIGATOR, compartment))
        data = {"step": "open", "compartment": str(compartment.pk), "kind": "survivor", "name": NAME}
        assert steps.post(reverse("witnesses:new"), data).status_code == 500
    finally:
        logging.getLogger().removeHandler(handler)
    assert any("IntegrityError" in line for line in written)
    assert found_in("\n".join(written).encode()) == []
    assert found_in(steps.seen[-1][3]) == []
    assert not Witness.objects.exists()

"""The pages and the API of witnesses, as the people who use them meet them."""

from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Compartment, Role, User
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from tests import factories
from tests.witnesses.things import NAME, NAME_AR, make_item, planted
from witnesses import actions, departures
from witnesses.departures import Departure
from witnesses.models import Consent, Identity, Testimony, Witness

pytestmark = pytest.mark.django_db

REASON = "Needed for the protection plan."
AGREED = {
    "identity_level": "pseudonym",
    "purposes": ["documentation", "international_court"],
    "recipients": ["own_team"],
    "named_recipients": "Office of the Prosecutor\n\n Lawyers  without Borders",
    "recording_media": ["written", "audio"],
    "recontact": "on",
    "language": "ar",
    "explained_by": "Interviewer 1",
    "given_edtf": "2025-03-20",
    "form_version": "sanad-1",
}


@pytest.fixture
def compartment() -> Compartment:
    return factories.make_compartment()


@pytest.fixture
def investigator(compartment: Compartment) -> User:
    return factories.make_user(Role.INVESTIGATOR, compartment)


@pytest.fixture
def officer(compartment: Compartment) -> User:
    return factories.make_user(Role.PROTECTION_OFFICER, compartment)


@pytest.fixture
def lawyer(compartment: Compartment) -> User:
    return factories.make_user(Role.LEGAL_REVIEWER, compartment)


@pytest.fixture
def witness(compartment: Compartment) -> Witness:
    return factories.make_witness(compartment, identity=planted(), vulnerabilities=["threatened"])


def page(user: User, name: str, *args: Any, data: Any = None, **query: Any) -> HttpResponse:
    client = factories.signed_in(user)
    url = reverse(f"witnesses:{name}", args=args)
    return client.post(url, data) if data is not None else client.get(url, query)  # type: ignore[return-value]


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


def test_a_witness_is_taken_in_after_asking_whether_they_spoke_before(
    investigator: User, compartment: Compartment
) -> None:
    client = factories.signed_in(investigator)
    url = reverse("witnesses:new")
    asking = {"compartment": compartment.pk, "name": NAME, "name_ar": "", "aliases": "", "birth_year": "1981"}
    answer = client.post(url, asking | {"step": "ask"})
    assert "No witness you know of has this name." in text_of(answer)  # type: ignore[arg-type]
    assert "no-store" in answer["Cache-Control"]
    opened = client.post(
        url, {"step": "open", "compartment": compartment.pk, "kind": "survivor", "name": NAME, "birth_date": "1981"}
    )
    witness = Witness.objects.get()
    assert opened["Location"] == reverse("witnesses:witness", args=[witness.pk])
    assert Identity.objects.filter(witness=witness).exists()
    again = client.post(url, asking | {"step": "ask"})
    assert "W-0001" in text_of(again)  # type: ignore[arg-type]
    assert "same name" not in text_of(again)  # type: ignore[arg-type]


def test_an_officer_is_told_how_a_witness_matches(officer: User, witness: Witness) -> None:
    data = {"step": "ask", "compartment": witness.compartment_id, "name": NAME, "birth_year": "1981"}
    assert "same name and year of birth" in text_of(page(officer, "new", data=data))


def test_somebody_who_gives_no_name_becomes_a_witness_without_identity(
    investigator: User, compartment: Compartment
) -> None:
    response = page(investigator, "new", data={"step": "nameless", "compartment": compartment.pk})
    assert "For the identity vault" in text_of(response)
    page(investigator, "new", data={"step": "open", "compartment": compartment.pk, "kind": "expert"})
    assert not Identity.objects.filter(witness=Witness.objects.get()).exists()


def test_what_was_typed_survives_a_mistake_and_nothing_is_opened(investigator: User, compartment: Compartment) -> None:
    data = {"step": "open", "compartment": compartment.pk, "kind": "", "name_ar": NAME_AR, "birth_date": "soon"}
    response = page(investigator, "new", data=data)
    assert response.status_code == 422
    assert NAME_AR in text_of(response)
    assert "no-store" in response["Cache-Control"]
    assert not Witness.objects.exists()
    assert page(investigator, "new", data={"step": "open", "compartment": "nonsense"}).status_code == 302


@pytest.mark.parametrize("role", [Role.LEGAL_REVIEWER, Role.AUDITOR, Role.ARCHIVIST, Role.ADMINISTRATOR])
def test_others_take_nobody_in(role: Role, compartment: Compartment) -> None:
    assert page(factories.make_user(role, compartment), "new").status_code == 403


def test_the_list_shows_pseudonyms_and_where_consent_stands(investigator: User, witness: Witness) -> None:
    factories.make_consent(witness, expires_at=timezone.now() + timedelta(days=10))
    factories.make_testimony(witness)
    shown = text_of(page(investigator, "list"))
    assert "W-0001" in shown
    assert "Consent ends soon" in shown
    assert "Eyewitness" in shown


@pytest.mark.parametrize("state", ["none", "expiring", "expired", "withdrawn", "in_force"])
def test_the_list_is_narrowed_by_the_state_of_consent(state: str, officer: User, compartment: Compartment) -> None:
    now = timezone.now()
    past = now - timedelta(days=30)
    witnesses = {name: factories.make_witness(compartment) for name in ("none", "expiring", "expired", "in_force")}
    factories.make_consent(witnesses["expiring"], expires_at=now + timedelta(days=60))
    factories.make_consent(witnesses["expired"], at=past, expires_at=now - timedelta(days=1))
    factories.make_consent(witnesses["in_force"], expires_at=now + timedelta(days=61))
    witnesses["withdrawn"] = factories.make_witness(compartment)
    consent = factories.make_consent(witnesses["withdrawn"])
    actions.withdraw_consent(by=officer, at=timezone.now(), consent_id=consent.pk, reason="Asked by telephone.")
    shown = text_of(page(officer, "list", state=state))
    listed = {name for name, row in witnesses.items() if reverse("witnesses:witness", args=[row.pk]) in shown}
    assert listed == {state}
    factories.make_consent(witnesses["withdrawn"], given_edtf="2025-05-01")
    assert "W-0005" in text_of(page(officer, "list", state="in_force"))


def test_a_legal_reviewer_knows_a_witness_by_pseudonym_only(lawyer: User, witness: Witness) -> None:
    factories.make_consent(witness)
    for shown in (text_of(page(lawyer, "list")), text_of(page(lawyer, "witness", witness.pk))):
        assert "W-0001" in shown
        assert "Eyewitness" not in shown
        assert "Threatened" not in shown
    shown = text_of(page(lawyer, "witness", witness.pk))
    assert "Identity vault" not in shown
    assert "Documentation and human rights reporting" in shown
    assert text_of(page(lawyer, "list", kind="eyewitness")).count("W-0001") == 0


def test_an_identity_is_opened_on_a_page_that_nothing_keeps(officer: User, witness: Witness) -> None:
    question = page(officer, "open_identity", witness.pk)
    assert question.status_code == 200
    assert NAME not in text_of(question)
    opened = page(officer, "open_identity", witness.pk, data={"reason": REASON, "confirm": "on"})
    assert NAME in text_of(opened)
    assert NAME_AR in text_of(opened)
    assert "no-store" in opened["Cache-Control"]
    assert NAME not in text_of(page(officer, "open_identity", witness.pk))
    shown = text_of(page(officer, "witness", witness.pk))
    assert REASON in shown
    assert officer.display_name in shown


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"confirm": "on"}, "Reason"),
        ({"reason": "because", "confirm": "on"}, "Reason"),
        ({"reason": REASON}, "Nobody else can see this screen"),
        ({"reason": f"To telephone {NAME}", "confirm": "on"}, "Reason"),
    ],
)
def test_a_wrong_request_opens_nothing_and_names_the_field(
    data: dict[str, str], field: str, officer: User, witness: Witness
) -> None:
    response = page(officer, "open_identity", witness.pk, data=data)
    assert response.status_code == 422
    assert field in text_of(response).partition("errors")[2]
    assert planted().contacts not in text_of(response)
    assert not Event.objects.filter(type=Type.OPEN_IDENTITY).exists()


def test_an_investigator_is_refused_at_the_vault_and_that_is_recorded(investigator: User, witness: Witness) -> None:
    response = page(investigator, "open_identity", witness.pk, data={"reason": REASON, "confirm": "on"})
    assert response.status_code == 403
    assert NAME not in text_of(response)
    assert story("witness", witness.pk)[-1].type == Type.REFUSE


def test_an_identity_is_recorded_once_and_corrected_by_an_officer(
    investigator: User, officer: User, compartment: Compartment
) -> None:
    witness = factories.make_witness(compartment)
    assert "The vault holds nothing" in text_of(page(investigator, "witness", witness.pk))
    assert page(investigator, "record_identity", witness.pk, data={"notes": "x"}).status_code == 422
    assert page(investigator, "record_identity", witness.pk, data={"name": NAME}).status_code == 302
    assert page(investigator, "record_identity", witness.pk).status_code == 409
    wrong = page(officer, "revise_identity", witness.pk, data={"name": "Somebody Else", "reason": "no"})
    assert wrong.status_code == 422
    assert "Somebody Else" in text_of(wrong)
    corrected = page(
        officer, "revise_identity", witness.pk, data={"name": "Somebody Else", "reason": "The passport was seen."}
    )
    assert corrected.status_code == 302
    opened = page(officer, "open_identity", witness.pk, data={"reason": REASON, "confirm": "on"})
    assert "Somebody Else" in text_of(opened)


def test_particulars_of_a_witness_are_changed(officer: User, witness: Witness) -> None:
    assert page(officer, "describe", witness.pk).status_code == 200
    assert page(officer, "describe", witness.pk, data={"kind": "nobody"}).status_code == 422
    page(officer, "describe", witness.pk, data={"kind": "insider", "age_band": "elder"})
    witness.refresh_from_db()
    assert (witness.kind, witness.age_band, witness.vulnerabilities) == ("insider", "elder", [])


def test_a_testimony_is_recorded_with_its_recordings_and_read(
    investigator: User, lawyer: User, witness: Witness
) -> None:
    item = make_item(witness.compartment)
    said = {
        "interview_edtf": "2025-03-20",
        "language": "ar",
        "interviewer": investigator.pk,
        "text": "جاؤوا قبل الفجر.\nThen it was quiet.",
        "recordings": f"{item.accession.lower()}، ",
        "place_name": "a village",
    }
    wrong = page(investigator, "new_testimony", witness.pk, data=said | {"interview_edtf": "in spring"})
    assert wrong.status_code == 422
    assert "جاؤوا قبل الفجر." in text_of(wrong)
    made = page(investigator, "new_testimony", witness.pk, data=said)
    testimony = Testimony.objects.get()
    assert made["Location"] == reverse("witnesses:testimony", args=[testimony.pk])
    shown = text_of(page(lawyer, "testimony", testimony.pk))
    assert "جاؤوا قبل الفجر.<br>Then it was quiet." in shown
    assert 'dir="auto"' in shown
    assert item.accession in shown
    assert "Revise the text" not in shown
    assert "<title>Testimony T-0001" in shown


def test_a_sealed_testimony_is_corrected_beside_its_text_and_answers_409_to_change(
    investigator: User, witness: Witness
) -> None:
    testimony = factories.make_testimony(witness, text="The first text.")
    assert page(investigator, "text", testimony.pk).status_code == 200
    assert page(investigator, "text", testimony.pk, data={"text": "The first text."}).status_code == 422
    assert page(investigator, "text", testimony.pk, data={"text": "The second text."}).status_code == 302
    shown = text_of(page(investigator, "testimony", testimony.pk))
    assert "The first text." in shown
    assert "The second text." in shown
    assert page(investigator, "seal_testimony", testimony.pk, data={}).status_code == 302
    assert page(investigator, "seal_testimony", testimony.pk, data={}).status_code == 409
    assert page(investigator, "describe_testimony", testimony.pk).status_code == 409
    assert page(investigator, "text", testimony.pk, data={"text": "Corrected."}).status_code == 422
    assert (
        page(investigator, "text", testimony.pk, data={"text": "Corrected.", "reason": "Misheard."}).status_code == 302
    )
    shown = text_of(page(investigator, "testimony", testimony.pk))
    for words in ("The sealed text", "The second text.", "Corrected.", "Misheard.", "Add a correction"):
        assert words in shown


def test_particulars_of_a_testimony_are_changed(investigator: User, witness: Witness) -> None:
    testimony = factories.make_testimony(witness)
    said = {"interview_edtf": "2025-03", "language": "apc", "interviewer": investigator.pk}
    assert page(investigator, "describe_testimony", testimony.pk).status_code == 200
    assert page(investigator, "describe_testimony", testimony.pk, data=said | {"language": ""}).status_code == 422
    assert page(investigator, "describe_testimony", testimony.pk, data=said).status_code == 302
    testimony.refresh_from_db()
    assert testimony.language == "apc"


def test_recordings_are_linked_and_withdrawn_on_the_page(investigator: User, officer: User, witness: Witness) -> None:
    testimony, item = factories.make_testimony(witness), make_item(witness.compartment)
    wrong = page(investigator, "link_recording", testimony.pk, data={"accession": "SY-2025-999999"})
    assert wrong.status_code == 422
    assert "SY-2025-999999" in text_of(wrong)
    assert page(investigator, "link_recording", testimony.pk, data={"accession": item.accession}).status_code == 302
    link = testimony.recordings.get()
    way = reverse("witnesses:unlink_recording", args=[link.pk])
    seen = text_of(page(investigator, "testimony", testimony.pk))
    assert way not in seen
    assert "Only a protection officer can withdraw a link" in seen
    assert page(investigator, "unlink_recording", link.pk, data={"reason": "The wrong file."}).status_code == 403
    seen = text_of(page(officer, "testimony", testimony.pk))
    assert way in seen
    assert "Only a protection officer" not in seen
    assert item.accession in text_of(page(officer, "unlink_recording", link.pk))
    assert page(officer, "unlink_recording", link.pk, data={"reason": ""}).status_code == 422
    assert page(officer, "unlink_recording", link.pk, data={"reason": "The wrong file."}).status_code == 302
    assert item.accession not in text_of(page(investigator, "testimony", testimony.pk)).partition('id="custody"')[0]


def test_consent_is_recorded_in_words_renewed_and_withdrawn(
    officer: User, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No consent is recorded" in text_of(page(officer, "witness", witness.pk))
    wrong = page(officer, "new_consent", witness.pk, data=AGREED | {"expires_on": "2020-01-01"})
    assert wrong.status_code == 422
    assert "This day is over already." in text_of(wrong)
    day = (timezone.now() + timedelta(days=400)).date()
    assert page(officer, "new_consent", witness.pk, data=AGREED | {"expires_on": day.isoformat()}).status_code == 302
    consent = Consent.objects.get()
    assert consent.named_recipients == ["Office of the Prosecutor", "Lawyers without Borders"]
    assert consent.expires_at is not None
    assert (consent.expires_at - timedelta(days=1)).date() == day
    shown = text_of(page(officer, "witness", witness.pk))
    for words in ("Consent in force", "Lawyers without Borders", "May be contacted again.", "Under a pseudonym"):
        assert words in shown
    assert 'value="international_court"' in text_of(page(officer, "new_consent", witness.pk))
    gone = Departure(timezone.now(), "SY-2025-000001", "Bundle 3", "Office of the Prosecutor")
    monkeypatch.setattr(departures, "_PROVIDERS", [lambda *_: [gone]])
    question = text_of(page(officer, "withdraw_consent", consent.pk))
    assert "This has already left and cannot be called back" in question
    assert "Bundle 3" in question
    assert page(officer, "withdraw_consent", consent.pk, data={}).status_code == 422
    assert page(officer, "withdraw_consent", consent.pk, data={"reason": "Asked by telephone."}).status_code == 302
    shown = text_of(page(officer, "witness", witness.pk))
    for words in ("Consent withdrawn", "Asked by telephone.", "Bundle 3"):
        assert words in shown
    assert page(officer, "new_consent", witness.pk, data=AGREED | {"given_edtf": "2025-06-01"}).status_code == 302
    assert "1 earlier consent" in text_of(page(officer, "witness", witness.pk))


def test_a_withdrawal_with_nothing_gone_says_so(officer: User, witness: Witness) -> None:
    consent = factories.make_consent(witness)
    assert "Nothing of this witness has left the archive." in text_of(page(officer, "withdraw_consent", consent.pk))


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("ar", "rtl"), ("fr", "ltr"), ("xx", "ltr")])
def test_the_consent_form_is_printed_in_the_language_of_the_witness(
    language: str, direction: str, officer: User, witness: Witness
) -> None:
    shown = text_of(page(officer, "consent_form", witness.pk, language=language))
    assert f'<html lang="{language if language != "xx" else "en"}" dir="{direction}"' in shown
    assert "W-0001" in shown
    assert shown.count("boxes__box") > 30


def test_the_dashboard_says_what_needs_care(officer: User, lawyer: User, witness: Witness) -> None:
    home = reverse("accounts:home")
    factories.make_testimony(witness)
    actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    shown = text_of(factories.signed_in(officer).get(home))  # type: ignore[arg-type]
    for words in ("1 testimony without consent in force", "Identities opened lately", REASON):
        assert words in shown
    factories.make_consent(witness, expires_at=timezone.now() + timedelta(days=59))
    shown = text_of(factories.signed_in(officer).get(home))  # type: ignore[arg-type]
    assert "1 consent ends within 60 days" in shown
    assert "without consent in force" not in shown
    investigator = factories.make_user(Role.INVESTIGATOR, witness.compartment)
    assert REASON not in text_of(factories.signed_in(investigator).get(home))  # type: ignore[arg-type]
    assert "Witnesses and consent" not in text_of(factories.signed_in(lawyer).get(home))  # type: ignore[arg-type]


def test_an_item_s_page_says_which_testimony_it_records(
    lawyer: User, compartment: Compartment, witness: Witness
) -> None:
    testimony, item = factories.make_testimony(witness), make_item(compartment)
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    actions.link_recording(by=by, at=timezone.now(), testimony_id=testimony.pk, accession=item.accession)
    url = reverse("evidence:item", args=[item.accession])
    assert "Testimony T-0001" in text_of(factories.signed_in(lawyer).get(url))  # type: ignore[arg-type]
    auditor = factories.make_user(Role.AUDITOR, compartment)
    assert "T-0001" not in text_of(factories.signed_in(auditor).get(url))  # type: ignore[arg-type]


class Api:
    """One person's program."""

    def __init__(self, user: User) -> None:
        self.client: Client = factories.signed_in(user)

    def __call__(self, method: str, path: str, data: Any = None) -> Any:
        return self.client.generic(
            method, f"/api/v1/{path}", "" if data is None else _json(data), content_type="application/json"
        )


def _json(data: Any) -> str:
    import json

    return json.dumps(data, default=str)


def test_the_api_takes_a_witness_from_pseudonym_to_opening(
    investigator: User, officer: User, compartment: Compartment
) -> None:
    api = Api(investigator)
    said = {"compartment": compartment.code, "names": [NAME]}
    assert api("POST", "witnesses/spoken-before/", said).json() == []
    made = api("POST", "witnesses/", {"compartment": compartment.code, "kind": "survivor", "identity": {"name": NAME}})
    assert made.status_code == 201
    assert made.json()["pseudonym"] == "W-0001"
    assert NAME not in made.content.decode()
    key = made.json()["id"]
    assert [match["pseudonym"] for match in api("POST", "witnesses/spoken-before/", said).json()] == ["W-0001"]
    assert api("POST", f"witnesses/{key}/identity/", {"name": NAME}).status_code == 409
    assert api("POST", f"witnesses/{key}/open-identity/", {"reason": REASON}).status_code == 403
    wrong = api("POST", "witnesses/", {"compartment": compartment.code, "kind": "survivor", "identity": {"notes": "x"}})
    assert (wrong.status_code, list(wrong.json())) == (400, ["identity.name"])
    mine = Api(officer)
    assert mine("POST", f"witnesses/{key}/open-identity/", {}).json() == {"reason": ["This field is required."]}
    short = mine("POST", f"witnesses/{key}/open-identity/", {"reason": "because"})
    assert (short.status_code, list(short.json())) == (400, ["reason"])
    opened = mine("POST", f"witnesses/{key}/open-identity/", {"reason": REASON})
    assert (opened.status_code, opened.json()["name"], opened["Cache-Control"]) == (200, NAME, "no-store")
    put = mine("PUT", f"witnesses/{key}/identity/", {"name": "Somebody Else", "reason": "The passport was seen."})
    assert put.status_code == 204
    changed = mine("PATCH", f"witnesses/{key}/", {"age_band": "elder"})
    assert changed.json()["age_band"] == "elder"


def test_the_api_shows_a_legal_reviewer_the_pseudonym_alone(lawyer: User, witness: Witness) -> None:
    api = Api(lawyer)
    (row,) = api("GET", "witnesses/").json()["results"]
    assert row == api("GET", f"witnesses/{witness.pk}/").json()
    assert (row["pseudonym"], row["kind"], row["age_band"], row["vulnerabilities"]) == ("W-0001", None, None, None)
    assert row["consent"] == "none"
    assert api("GET", "witnesses/?consent=in_force").json()["count"] == 0
    assert api("GET", "witnesses/?consent=perhaps").status_code == 400
    assert api("GET", f"witnesses/{witness.pk}/open-identity/").status_code == 405
    assert api("POST", f"witnesses/{witness.pk}/open-identity/", {"reason": REASON}).status_code == 404


def test_the_api_records_reads_corrects_and_seals_a_testimony(investigator: User, witness: Witness) -> None:
    api = Api(investigator)
    item = make_item(witness.compartment)
    made = api(
        "POST",
        "testimonies/",
        {"witness": witness.pk, "interview_edtf": "2025-03-20", "language": "ar", "text": "  Two lines.\nTwo.  "},
    )
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    assert (made.json()["number"], made.json()["pseudonym"]) == ("T-0001", "W-0001")
    assert api("GET", f"testimonies/?witness={witness.pk}").json()["count"] == 1
    assert api("GET", "testimonies/?witness=W-0001").status_code == 400
    assert api("PATCH", f"testimonies/{key}/", {"interview_edtf": "soon"}).json().keys() == {"interview_edtf"}
    assert api("PATCH", f"testimonies/{key}/", {"interpreter": "Agency 2"}).json()["interpreter"] == "Agency 2"
    link = api("POST", f"testimonies/{key}/recordings/", {"accession": item.accession})
    assert (link.status_code, link.json()["item"]) == (201, item.accession)
    way = f"recordings/{link.json()['id']}/withdraw/"
    assert api("POST", way, {"reason": "The wrong file."}).status_code == 403
    officer = factories.make_user(Role.PROTECTION_OFFICER, witness.compartment)
    withdrawn = Api(officer)("POST", way, {"reason": "The wrong file."})
    assert withdrawn.json()["withdrawn_at"] is not None
    assert api("GET", f"testimonies/{key}/recordings/").json() == []
    assert api("POST", f"testimonies/{key}/texts/", {"text": "Better."}).status_code == 201
    assert api("POST", f"testimonies/{key}/seal/").json()["status"] == "sealed"
    assert api("POST", f"testimonies/{key}/seal/").status_code == 409
    assert api("PATCH", f"testimonies/{key}/", {"language": "en"}).status_code == 409
    assert api("POST", f"testimonies/{key}/texts/", {"text": "Best."}).status_code == 400
    assert api("POST", f"testimonies/{key}/texts/", {"text": "Best.", "reason": "Misheard."}).json()["correction"]
    texts = api("GET", f"testimonies/{key}/texts/")
    assert [row["text"] for row in texts.json()] == ["  Two lines.\nTwo.  ", "Better.", "Best."]
    assert texts["Cache-Control"] == "no-store"
    assert "text" not in api("GET", f"testimonies/{key}/").json()


def views_of(kind: str, key: Any) -> int:
    return sum(line.type == Type.VIEW for line in story(kind, key))


def test_lists_in_the_api_tell_no_words_and_reading_one_is_an_event(lawyer: User, witness: Witness) -> None:
    testimony = factories.make_testimony(witness)
    Testimony.objects.filter(pk=testimony.pk).update(others_present="A colleague", place_name="Sanobar")
    consent = factories.make_consent(witness, named_recipients=["Office of the Prosecutor"])
    api = Api(lawyer)
    listed = text_of(api("GET", "testimonies/")) + text_of(api("GET", f"consents/?witness={witness.pk}"))
    assert testimony.number in listed
    for words in ("A colleague", "Sanobar", "Office of the Prosecutor"):
        assert words not in listed
    assert (views_of("testimony", testimony.pk), views_of("witness", witness.pk)) == (0, 0)
    for _ in range(2):
        assert api("GET", f"testimonies/{testimony.pk}/").json()["others_present"] == "A colleague"
        assert api("GET", f"consents/{consent.pk}/").json()["named_recipients"] == ["Office of the Prosecutor"]
    assert (views_of("testimony", testimony.pk), views_of("witness", witness.pk)) == (1, 1)


def test_forms_that_show_what_was_said_are_a_reading(officer: User, witness: Witness) -> None:
    testimony = factories.make_testimony(witness)
    browser = factories.signed_in(officer)
    assert browser.get(reverse("witnesses:describe_testimony", args=[testimony.pk])).status_code == 200
    assert views_of("testimony", testimony.pk) == 1
    assert browser.get(reverse("witnesses:new_consent", args=[witness.pk])).status_code == 200
    assert browser.get(reverse("witnesses:describe", args=[witness.pk])).status_code == 200
    assert views_of("witness", witness.pk) == 1


def test_changing_nothing_through_the_api_is_a_reading_all_the_same(officer: User, witness: Witness) -> None:
    testimony, api = factories.make_testimony(witness), Api(officer)
    assert api("PATCH", f"witnesses/{witness.pk}/", {}).json()["kind"] == witness.kind
    assert api("PATCH", f"testimonies/{testimony.pk}/", {}).json()["number"] == testimony.number
    assert (views_of("testimony", testimony.pk), views_of("witness", witness.pk)) == (1, 1)


def test_the_api_records_and_withdraws_consent(officer: User, lawyer: User, witness: Witness) -> None:
    api = Api(officer)
    agreed = AGREED | {"witness": witness.pk, "recontact": True, "named_recipients": ["Office of the Prosecutor"]}
    first = api("POST", "consents/", agreed)
    assert first.status_code == 201, first.content
    second = api("POST", "consents/", agreed | {"given_edtf": "2025-06-01"})
    states = {row["id"]: row["state"] for row in api("GET", f"consents/?witness={witness.pk}").json()["results"]}
    assert states == {first.json()["id"]: "replaced", second.json()["id"]: "in_force"}
    assert api("POST", f"consents/{second.json()['id']}/withdraw/", {}).status_code == 400
    withdrawn = api("POST", f"consents/{second.json()['id']}/withdraw/", {"reason": "Asked by telephone."})
    assert withdrawn.json()["state"] == "withdrawn"
    assert Api(lawyer)("POST", "consents/", agreed).status_code == 403
    assert Api(lawyer)("GET", f"consents/{second.json()['id']}/").json()["state"] == "withdrawn"
    wrong = api("POST", "consents/", agreed | {"purposes": ["anything"]})
    assert wrong.status_code == 400


def test_the_list_is_searched_by_pseudonym_and_narrowed_by_compartment(officer: User, compartment: Compartment) -> None:
    assert "No witness yet" in text_of(page(officer, "list"))
    other = factories.make_compartment()
    factories.give(officer, Role.PROTECTION_OFFICER, other)
    here, there = factories.make_witness(compartment), factories.make_witness(other)
    second = factories.make_witness(compartment)

    def listed(**query: str) -> set[Witness]:
        shown = text_of(page(officer, "list", **query))
        return {row for row in (here, there, second) if reverse("witnesses:witness", args=[row.pk]) in shown}

    assert listed() == {here, there, second}
    assert listed(q="w-0002") == {second}
    assert listed(q="\0W-0002", state="nonsense") == {second}
    assert listed(compartment=other.code) == {there}
    assert listed(compartment="NOT-THERE") == set()
    assert "No witness like that" in text_of(page(officer, "list", q="W-9999"))


def test_a_list_longer_than_a_page_has_pages(
    officer: User, compartment: Compartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("witnesses.views.PER_PAGE", 1)
    first, second = factories.make_witness(compartment), factories.make_witness(compartment)
    for number, (shown, hidden) in {"1": (first, second), "2": (second, first), "x": (first, second)}.items():
        text = text_of(page(officer, "list", page=number))
        assert reverse("witnesses:witness", args=[shown.pk]) in text
        assert reverse("witnesses:witness", args=[hidden.pk]) not in text


def test_a_mistake_that_only_the_action_sees_is_said_in_the_form(
    officer: User, investigator: User, witness: Witness
) -> None:
    testimony = factories.make_testimony(witness)
    said = {"interview_edtf": "2025-03", "language": "ar", "interviewer": investigator.pk, "others_present": NAME}
    for name, key, data in (
        ("describe_testimony", testimony.pk, said),
        ("text", testimony.pk, {"text": "a\0b"}),
        ("record_identity", factories.make_witness(witness.compartment).pk, {"name": "N" * 201}),
    ):
        response = page(officer, name, key, data=data)
        assert response.status_code == 422, name
        assert "What you wrote is still here" in text_of(response)
    item = make_item(witness.compartment)
    actions.link_recording(by=investigator, at=timezone.now(), testimony_id=testimony.pk, accession=item.accession)
    link = testimony.recordings.get()
    assert page(officer, "unlink_recording", link.pk, data={"reason": f"{NAME} asked"}).status_code == 422
    assert page(officer, "new", data={"step": "ask", "compartment": witness.compartment_id}).status_code == 422

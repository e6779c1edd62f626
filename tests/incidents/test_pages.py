"""The pages of incidents, as a browser without JavaScript sees them."""

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from custody.story import story
from custody.vocabulary import Type
from evidence import blobs
from evidence.models import Item
from incidents import actions
from incidents.models import Claim, Incident, Intake, Link
from incidents.queries import Question, asked, page
from incidents.vocabulary import Status
from tests import factories

pytestmark = pytest.mark.django_db

FORM = {
    "title": "Killings in two streets",
    "title_ar": "قتل في شارعين",
    "categories": ["unlawful-killing"],
    "happened_edtf": "2025-03-07/2025-03-08",
    "happened_basis": "source",
    "gazetteer": "geonames:171830",
    "place_name": "",
    "place_name_ar": "",
    "governorate": "",
    "latitude": "",
    "longitude": "",
    "precision": "",
    "narrative": "First.\r\nSecond.",
}
ASSESSMENT = {
    "stance": "supports",
    "reasons": "The minaret matches.",
    "source_reliability": "B",
    "information_credibility": "2",
}


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident(
        title="Shots at the harbour", title_ar="إطلاق نار في الميناء", place_name="Jableh", happened_edtf="2025-03-08"
    )


@pytest.fixture
def client(incident: Incident) -> Client:
    return factories.signed_in(incident.opened_by)


def text(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def page_url(incident: Incident) -> str:
    return reverse("incidents:incident", args=[incident.pk])


def test_a_new_incident_takes_its_place_from_the_list_and_its_number_by_itself(
    client: Client, incident: Incident
) -> None:
    response = client.post("/incidents/new/", FORM | {"compartment": str(incident.compartment_id)})
    made = Incident.objects.get(title="Killings in two streets")
    assert response.headers["Location"] == page_url(made)
    assert (made.code, made.status) == ("I-0002", Status.OPEN)
    assert (made.place_name, made.place_name_ar, made.governorate) == ("Baniyas", "بانياس", "SY-TA")
    assert (str(made.latitude), made.precision, made.gazetteer_code) == ("35.181880", "locality", "geonames:171830")
    assert made.narrative == "First.\nSecond."
    shown = text(client, page_url(made))
    assert "Massacres and other unlawful killing" in shown
    assert "Baniyas" in shown


def test_a_draft_stays_a_draft(client: Client, incident: Incident) -> None:
    client.post("/incidents/new/", FORM | {"compartment": str(incident.compartment_id), "draft": "1"})
    assert Incident.objects.get(title="Killings in two streets").status == Status.DRAFT


def test_what_was_typed_survives_every_error_and_each_error_names_its_field(client: Client, incident: Incident) -> None:
    typed = FORM | {"compartment": str(incident.compartment_id), "happened_edtf": "last spring", "latitude": "north"}
    response = client.post("/incidents/new/", typed)
    shown = response.content.decode()
    assert response.status_code == 422
    assert 'value="last spring"' in shown
    assert "First.\nSecond." in shown.replace("\r\n", "\n")
    assert 'href="#id_happened_edtf"' in shown
    assert 'href="#id_latitude"' in shown
    response = client.post("/incidents/new/", FORM | {"compartment": str(incident.compartment_id), "code": "I-0001"})
    assert response.status_code == 422
    assert 'href="#id_code"' in response.content.decode()
    assert Incident.objects.count() == 1


def test_ten_thousand_characters_of_lines_fit_as_the_browser_counts_them(client: Client, incident: Incident) -> None:
    lines = "\r\n".join(["x" * 9] * 1_000)
    assert len(lines) > 10_000
    response = client.post(f"/incidents/{incident.pk}/edit/", FORM | {"narrative": lines})
    assert response.status_code == 302
    incident.refresh_from_db()
    assert len(incident.narrative) == 9_999


def test_an_edit_of_a_closed_incident_is_refused_and_keeps_the_typed_text(client: Client, incident: Incident) -> None:
    actions.change_status(by=incident.opened_by, at=timezone.now(), incident=incident, status="closed", reason="done")
    response = client.post(f"/incidents/{incident.pk}/edit/", FORM)
    assert response.status_code == 409
    assert "Killings in two streets" in response.content.decode()
    assert client.get(f"/incidents/{incident.pk}/upload/").status_code == 409


def test_the_status_moves_by_the_page_and_only_where_it_may(client: Client, incident: Incident) -> None:
    url = f"/incidents/{incident.pk}/status/"
    assert client.post(url, {"status": "draft", "reason": "x"}).status_code == 422
    assert client.post(url, {"status": "under_review", "reason": ""}).status_code == 422
    assert client.post(url, {"status": "under_review", "reason": "second look"}).status_code == 302
    incident.refresh_from_db()
    assert incident.status == Status.UNDER_REVIEW


def test_the_page_shows_items_by_stance_and_in_time_and_no_picture_of_any(client: Client, incident: Incident) -> None:
    by = incident.opened_by
    late = factories.make_item(incident.compartment, by=by, created_edtf="2025-03-09", graphic=True, title="A square")
    early = factories.make_item(incident.compartment, by=by, created_edtf="2025-03")
    factories.make_link(late, incident)
    factories.make_link(early, incident, stance="exculpatory", source_reliability="C")
    shown = text(client, page_url(incident))
    assert "Graphic" in shown
    assert "<img" not in shown
    for word in ("Supports", "Exculpatory", "C", late.accession, early.accession, "It shows the square."):
        assert word in shown
    timeline = shown[shown.index('id="timeline"') :]
    assert timeline.index("The incident") < timeline.index(early.accession) < timeline.index(late.accession)


def test_claims_stand_side_by_side_and_no_sum_of_them_anywhere(client: Client, incident: Incident) -> None:
    factories.make_claim(incident, minimum=1383, maximum=1383)
    factories.make_claim(incident, source="National Committee", minimum=1426, maximum=1426)
    factories.make_claim(incident, source="Commission of Inquiry", minimum=1400, maximum=None)
    shown = text(client, page_url(incident))
    assert "These figures count different things and are never added." in shown
    for figure in ("1,383", "1,426", "1,400"):
        assert figure in shown
    for total in ("2,809", "4,209", "2809", "4209"):
        assert total not in shown


def test_a_claim_is_recorded_by_form_with_its_parts_one_a_line(client: Client, incident: Incident) -> None:
    typed = {
        "source": "Syrian Observatory for Human Rights",
        "document_title": "Statement",
        "document_url": "https://example.org/a",
        "measure": "killed",
        "scope_area": "Four governorates",
        "period_edtf": "2025-03-06/2025-03-12",
        "who_counts": "Civilians",
        "as_of": "2025-03-12",
        "minimum": "1383",
        "maximum": "1383",
        "counted": "counted",
        "dimension": "area",
        "parts": "Latakia: 683\r\nTartus: 433\r\n\r\nHama: 255\r\nHoms: 1,200",
        "note": "",
    }
    url = f"/incidents/{incident.pk}/claims/new/"
    response = client.post(url, typed | {"parts": "Latakia 683", "minimum": "1400"})
    assert response.status_code == 422
    assert "Latakia 683" in response.content.decode()
    response = client.post(url, typed | {"minimum": "1400"})
    assert response.status_code == 422
    assert 'href="#id_maximum"' in response.content.decode()
    assert client.post(url, typed).status_code == 302
    claim = Claim.objects.get()
    assert [(row.category, row.count) for row in claim.breakdown.all()][-1] == ("Homs", 1200)
    response = client.post(f"/incidents/claims/{claim.pk}/withdraw/", {"reason": ""})
    assert response.status_code == 422
    client.post(f"/incidents/claims/{claim.pk}/withdraw/", {"reason": "mistyped"})
    assert "mistyped" in text(client, page_url(incident))


def test_an_item_is_linked_changed_and_withdrawn_from_its_own_page(client: Client, incident: Incident) -> None:
    item = factories.make_item(incident.compartment, by=incident.opened_by)
    item_url = reverse("evidence:item", args=[item.accession])
    assert "Not linked to an incident yet" in text(client, item_url)
    url = reverse("incidents:link_item", args=[item.accession])
    response = client.post(url, ASSESSMENT | {"incident": str(incident.pk), "reasons": ""})
    assert response.status_code == 422
    assert 'href="#id_reasons"' in response.content.decode()
    assert client.post(url, ASSESSMENT | {"incident": str(incident.pk)}).headers["Location"] == item_url
    link = Link.objects.get()
    shown = text(client, item_url)
    assert incident.title in shown
    assert "The minaret matches." in shown
    client.post(f"/incidents/links/{link.pk}/", ASSESSMENT | {"stance": "contradicts"})
    link.refresh_from_db()
    assert link.stance == "contradicts"
    assert client.post(f"/incidents/links/{link.pk}/withdraw/", {"reason": " "}).status_code == 422
    client.post(f"/incidents/links/{link.pk}/withdraw/", {"reason": "another square"})
    assert "another square" in text(client, item_url)


def test_only_incidents_of_the_items_compartment_that_are_not_closed_are_offered(
    client: Client, incident: Incident
) -> None:
    item = factories.make_item(incident.compartment, by=incident.opened_by)
    closed = factories.make_incident(incident.compartment, title="Closed one")
    actions.change_status(by=closed.opened_by, at=timezone.now(), incident=closed, status="closed", reason="x")
    factories.give(incident.opened_by, Role.INVESTIGATOR, factories.make_incident(title="Elsewhere").compartment)
    shown = text(client, reverse("incidents:link_item", args=[item.accession]))
    assert incident.title in shown
    assert "Closed one" not in shown
    assert "Elsewhere" not in shown


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMINISTRATOR])
def test_an_auditor_finds_neither_list_nor_page_nor_panel(role: Role, incident: Incident) -> None:
    link = factories.make_link(incident=incident)
    other = factories.signed_in(factories.make_user(role, incident.compartment))
    assert other.get("/incidents/").status_code == 403
    assert other.get(page_url(incident)).status_code == 404
    response = other.get(reverse("evidence:item", args=[link.item.accession]))
    assert incident.title not in response.content.decode()


def test_a_legal_reviewer_reads_and_is_offered_nothing_to_change(incident: Incident) -> None:
    factories.make_link(incident=incident)
    factories.make_claim(incident)
    reader = factories.signed_in(factories.make_user(Role.LEGAL_REVIEWER, incident.compartment))
    shown = text(reader, page_url(incident))
    for offered in ("/edit/", "/upload/", "/status/", "/claims/new/", "/withdraw/"):
        assert offered not in shown
    assert reader.post(f"/incidents/{incident.pk}/edit/", FORM).status_code == 403
    assert any(line.type == Type.VIEW for line in story("incident", incident.pk))


QUESTIONS: list[tuple[str, set[str]]] = [
    ("q=harbour", {"harbour"}),
    ("q=HARBOUR shots", {"harbour"}),
    ("q=الميناء", {"harbour"}),
    ("q=ألمينا", {"harbour"}),
    ("q=اطلاق", {"harbour"}),
    ("q=nowhere", set()),
    ("status=closed", {"closed"}),
    ("status=nonsense", {"harbour", "closed", "torture"}),
    ("category=torture", {"torture"}),
    ("governorate=SY-LA", {"torture"}),
    ("place=Jableh", {"harbour"}),
    ("since=2025-03-08&until=2025-03-08", {"harbour", "torture"}),
    ("since=2025-03-09", {"torture"}),
    ("until=2024-12-31", {"closed"}),
    ("has=items", {"harbour"}),
    ("has=no-items", {"closed", "torture"}),
    ("has=claims", {"torture"}),
    ("q=%00&place=%00&category=%00&compartment=%00", {"harbour", "closed", "torture"}),
]


@pytest.mark.parametrize(("query", "expected"), QUESTIONS)
@pytest.mark.parametrize("view", ["cards", "table", "map"])
def test_the_list_answers_its_facets_and_searches_in_any_spelling(
    query: str, expected: set[str], view: str, incident: Incident, client: Client
) -> None:
    here, by = incident.compartment, incident.opened_by
    at: dict[str, Any] = {"latitude": "35.3", "longitude": "35.9", "precision": "district"}
    actions.edit_incident(by=by, at=timezone.now(), incident=incident, changes=at)
    factories.make_link(incident=incident)
    closed = factories.make_incident(here, by=by, title="closed", happened_edtf="2024", **at)
    actions.change_status(by=by, at=timezone.now(), incident=closed, status="closed", reason="x")
    torture = factories.make_incident(
        here, by=by, title="torture", happened_edtf="2025-03", categories=("torture",), governorate="SY-LA", **at
    )
    factories.make_claim(torture)
    factories.make_incident(title="unseen")
    found = {"harbour": str(incident.pk), "closed": str(closed.pk), "torture": str(torture.pk)}
    shown = text(client, f"/incidents/?view={view}&{query}")
    assert {name for name, pk in found.items() if f"/incidents/{pk}/" in shown} == expected
    assert "unseen" not in shown


def test_pages_are_walked_to_the_end_and_back_without_gap_or_repetition(incident: Incident) -> None:
    for _ in range(11):
        factories.make_incident(incident.compartment, by=incident.opened_by)
    everything = Incident.objects.all()
    first = page(everything, size=5)
    second = page(everything, before=first.older, size=5)
    third = page(everything, before=second.older, size=5)
    walked = [*first.rows, *second.rows, *third.rows]
    assert [row.pk for row in walked] == list(everything.order_by("-opened_at", "-id").values_list("pk", flat=True))
    assert (first.newer, third.older) == ("", "")
    back = page(everything, after=third.newer, size=5)
    assert [row.pk for row in back.rows] == [row.pk for row in second.rows]
    for nonsense in ("x", "e30", "WzEsMl0", "%00"):
        assert page(everything, before=nonsense, size=5).rows == first.rows


def test_every_facet_option_leads_to_as_many_incidents_as_it_says(client: Client, incident: Incident) -> None:
    factories.make_incident(incident.compartment, by=incident.opened_by, categories=("torture",), status="draft")
    factories.make_link(incident=incident)
    response = client.get("/incidents/")
    groups = response.context["groups"]
    assert {str(group["label"]) for group in groups} >= {"Status", "Material"}
    for group in groups:
        for option in group["options"]:
            query = dict(part.split("=") for part in option["url"].partition("?")[2].split("&"))
            assert asked(Incident.objects.all(), Question.of(query)).count() == option["count"]


def test_the_home_page_says_what_waits(client: Client, incident: Incident) -> None:
    factories.make_incident(incident.compartment, title="A draft to finish", status="draft")
    shown = text(client, "/")
    assert "A draft to finish" in shown
    assert incident.title in shown


def test_naughty_strings_are_shown_as_text_and_never_as_markup(
    client: Client, incident: Incident, test_data: Path
) -> None:
    strings = [line for line in json.loads((test_data / "naughty" / "blns.json").read_text()) if "<" in line]
    for start in range(0, len(strings), 40):
        narrative = "\n".join(strings[start : start + 40])[:10_000]
        actions.edit_incident(
            by=incident.opened_by,
            at=timezone.now(),
            incident=incident,
            changes={"narrative": narrative, "title": strings[start][:200]},
        )
        shown = text(client, page_url(incident))
        assert not re.search(r"<script(?! type=\"(module|application/json)\")", shown, re.IGNORECASE)
        assert not re.search(r"<[^>]+\son\w+=", shown)
        text(client, "/incidents/")


def plain_upload(client: Client, incident: Incident, **said: Any) -> str:
    """The address of the second step."""
    response = client.post(f"/incidents/{incident.pk}/upload/", ASSESSMENT | {"graphic": "on"} | said)
    assert response.status_code == 302
    return str(response.headers["Location"])


def files_below() -> set[Path]:
    folders = (Path(settings.SANAD_STORE), Path(settings.SANAD_STAGING))
    return {path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()}


def test_without_javascript_files_are_sent_in_two_steps_and_no_plain_file_touches_the_disk(
    client: Client, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_temporary_file(*_: Any, **__: Any) -> Any:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", no_temporary_file)
    monkeypatch.setattr("django.core.files.uploadedfile.TemporaryUploadedFile.__init__", no_temporary_file)
    url = plain_upload(client, incident)
    big = b"\x00evidence" * 800_000
    sent = [SimpleUploadedFile("big.bin", big), SimpleUploadedFile("صورة.jpg", b"small"), SimpleUploadedFile("e", b"")]
    form = {"files": sent, "form_key": "b7f0a4a8-5d0d-4a58-9a0e-0d1a3f1d7c10"}
    response = client.post(url, form)
    assert response.status_code == 200
    shown = response.content.decode()
    items = {item.original_name: item for item in Item.objects.all()}
    assert set(items) == {"big.bin", "صورة.jpg", "e"}
    assert b"".join(blobs.read_blob(items["big.bin"].blob)) == big
    assert all(item.graphic and item.links.get().stance == "supports" for item in items.values())
    for item in items.values():
        assert item.accession in shown
        assert item.sha256 in shown


def test_the_same_plain_form_sent_twice_makes_each_item_once(client: Client, incident: Incident) -> None:
    url = plain_upload(client, incident)
    key = "b7f0a4a8-5d0d-4a58-9a0e-0d1a3f1d7c10"
    before = len(files_below())
    for _ in range(2):
        same = [SimpleUploadedFile("a.txt", b"same bytes"), SimpleUploadedFile("b.txt", b"same bytes")]
        assert client.post(url, {"files": same, "form_key": key}).status_code == 200
    assert Item.objects.count() == 2
    assert len(files_below()) == before + 2


def test_a_plain_form_without_a_file_or_with_a_wrong_description_says_so(client: Client, incident: Incident) -> None:
    url = plain_upload(client, incident)
    assert client.post(url, {"form_key": "x"}).status_code == 422
    response = client.post(
        f"/incidents/{incident.pk}/upload/", ASSESSMENT | {"created_edtf": "soon", "source": "Ch. 4"}
    )
    assert response.status_code == 422
    shown = response.content.decode()
    assert 'href="#id_created_edtf"' in shown
    assert 'value="Ch. 4"' in shown
    assert Intake.objects.count() == 1


def test_one_file_that_fails_is_named_and_the_others_are_held(
    client: Client, incident: Incident, settings: Any
) -> None:
    settings.SANAD_UPLOAD_LIMIT = 100
    url = plain_upload(client, incident)
    sent = [SimpleUploadedFile("large.bin", bytes(5_000_000)), SimpleUploadedFile("fits.txt", b"fits")]
    response = client.post(url, {"files": sent, "form_key": "x"})
    assert response.status_code == 422
    assert "larger than the archive takes" in response.content.decode()
    assert [item.original_name for item in Item.objects.all()] == ["fits.txt"]


@pytest.mark.parametrize("case", ["forged", "broken", "no intake of theirs"])
def test_a_plain_form_that_is_refused_leaves_no_byte_behind(
    case: str, client: Client, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = plain_upload(client, incident)
    before = files_below()
    body = (
        b'--frontier\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
        + bytes(3_000_000)
        + b"\r\n--frontier--\r\n"
    )
    kind = "multipart/form-data; boundary=frontier"
    if case == "forged":
        forger = Client(enforce_csrf_checks=True)
        forger.cookies = client.cookies
        response = forger.post(url, body, content_type=kind)
        assert response.status_code == 403
    elif case == "broken":
        cut: dict[str, Any] = {"wsgi.input": BytesIO(body[:1_500_000]), "CONTENT_LENGTH": str(len(body))}
        response = client.generic("POST", url, b"", content_type=kind, **cut)
        assert response.status_code in (400, 403, 422)
    else:
        reviewer = factories.signed_in(factories.make_user(Role.INVESTIGATOR, incident.compartment))
        monkeypatch.setattr("incidents.upload_views._receive", lambda *_: pytest.fail("the body was read"))
        assert reviewer.post(url, body, content_type=kind).status_code == 404
    assert files_below() == before
    assert not Item.objects.exists()

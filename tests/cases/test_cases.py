"""Case files and exhibits: who, when, and what consent forbids."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow, NotVisible, Refused
from cases import actions, bundles
from cases.models import Exhibit
from cases.queries import exhibit_row
from custody.story import story
from custody.vocabulary import Type
from tests import factories
from tests.cases.makers import CASE, EXHIBIT, make_case, make_exhibit, reviewer
from witnesses import actions as witness_actions

pytestmark = pytest.mark.django_db


def recorded_testimony(**consent: Any) -> tuple[Any, Any]:
    """(item, consent) of a witness whose testimony the item is a recording of."""
    testimony = factories.make_testimony()
    given = factories.make_consent(testimony.witness, **consent)
    item = factories.examined(factories.make_item(testimony.witness.compartment, kind="audio"), "audio/mpeg")
    witness_actions.link_recording(
        by=factories.make_user(Role.INVESTIGATOR, testimony.witness.compartment),
        at=timezone.now(),
        testimony_id=testimony.pk,
        accession=item.accession,
    )
    return item, given


COVERED = {
    "purposes": ["domestic_prosecution"],
    "recipients": ["foreign_authority"],
    "identity_level": "pseudonym",
    "recording_media": ["written", "audio"],
}


def test_exhibit_numbers_follow_each_other_and_are_never_given_again() -> None:
    case = make_case()
    first, second = make_exhibit(case_file=case), make_exhibit(case_file=case)
    actions.withdraw_exhibit(by=case.opened_by, at=timezone.now(), exhibit_id=second.pk, reason="tendered twice")
    again = make_exhibit(case_file=case, item=second.item)
    assert [first.number, second.number, again.number] == ["E-0001", "E-0002", "E-0003"]


def test_case_numbers_are_of_one_compartment() -> None:
    here, there = factories.make_compartment(), factories.make_compartment()
    assert [make_case(here).code, make_case(here).code, make_case(there).code] == ["C-0001", "C-0002", "C-0001"]


def test_an_item_is_tendered_once_at_a_time() -> None:
    exhibit = make_exhibit()
    with pytest.raises(ValidationError) as refused:
        make_exhibit(case_file=exhibit.case_file, item=exhibit.item)
    assert list(refused.value.message_dict) == ["accession"]


def test_an_item_of_another_compartment_is_not_there_for_the_reviewer() -> None:
    case, elsewhere = make_case(), factories.make_item()
    with pytest.raises(NotVisible):
        make_exhibit(case_file=case, item=elsewhere)


def test_an_item_of_a_second_compartment_the_reviewer_sees_is_refused_by_name() -> None:
    case, elsewhere = make_case(), factories.make_item()
    factories.give(case.opened_by, Role.LEGAL_REVIEWER, elsewhere.compartment)
    with pytest.raises(ValidationError, match="another compartment"):
        make_exhibit(case_file=case, item=elsewhere)


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"purposes": ["advocacy"]}, False),
        ({"recipients": ["journalists"]}, False),
        ({"identity_level": "not_at_all"}, False),
        ({"recording_media": ["written"]}, False),
    ],
)
def test_a_recording_is_tendered_only_where_its_witness_agreed(change: dict[str, Any], allowed: bool) -> None:
    item, _given = recorded_testimony(**(COVERED | change))
    case = make_case(item.compartment)
    if allowed:
        assert make_exhibit(case_file=case, item=item).number == "E-0001"
        return
    with pytest.raises(NotNow, match="W-0001"):
        make_exhibit(case_file=case, item=item)
    assert not Exhibit.objects.exists()


def test_a_withdrawn_consent_hides_the_exhibit_and_stops_the_export_at_once() -> None:
    item, given = recorded_testimony(**COVERED)
    case = make_case(item.compartment)
    exhibit = make_exhibit(case_file=case, item=item)
    assert exhibit_row(case.opened_by, exhibit, timezone.now()).shown
    witness_actions.withdraw_consent(
        by=factories.make_user(Role.PROTECTION_OFFICER, item.compartment),
        at=timezone.now(),
        consent_id=given.pk,
        reason="the witness called",
    )
    assert not exhibit_row(case.opened_by, exhibit, timezone.now()).shown
    with pytest.raises(NotNow, match="E-0001: W-0001"):
        bundles.request_bundle(by=case.opened_by, at=timezone.now(), case_id=case.pk)
    assert not case.bundles.exists()


def test_whoever_withdraws_a_consent_is_told_what_already_left_and_to_whom() -> None:
    item, given = recorded_testimony(**COVERED)
    case = make_case(item.compartment)
    make_exhibit(case_file=case, item=item)
    officer = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    page = reverse("witnesses:withdraw_consent", args=[given.pk])
    assert case.recipient not in factories.signed_in(officer).get(page).text
    bundles.export_outside(by=case.opened_by, at=timezone.now(), case_id=case.pk)
    told = factories.signed_in(officer).get(page).text
    assert case.recipient in told
    assert item.accession in told


def test_a_case_cannot_turn_to_a_recipient_a_witness_never_agreed_to() -> None:
    item, _given = recorded_testimony(**COVERED)
    case = make_case(item.compartment)
    make_exhibit(case_file=case, item=item)
    with pytest.raises(NotNow, match="W-0001"):
        actions.edit_case(
            by=case.opened_by, at=timezone.now(), case_id=case.pk, changes={"recipient_kind": "journalists"}
        )
    case.refresh_from_db()
    assert case.recipient_kind == "foreign_authority"


def test_a_recipients_name_that_spells_a_kind_is_not_taken_for_the_kind() -> None:
    item, _given = recorded_testimony(**COVERED)
    case = make_case(item.compartment, recipient_kind="journalists", recipient="foreign_authority")
    with pytest.raises(NotNow, match="W-0001"):
        make_exhibit(case_file=case, item=item)


def test_reviewers_may_disagree_and_both_stay() -> None:
    exhibit = make_exhibit()
    second = reviewer(exhibit.case_file.compartment)
    for by, assessment in ((exhibit.added_by, "key"), (second, "doubtful")):
        actions.review_exhibit(
            by=by, at=timezone.now(), exhibit_id=exhibit.pk, assessment=assessment, note="As the notes say."
        )
    row = exhibit_row(second, exhibit, timezone.now())
    assert row.disagreement
    assert [review.assessment for review in exhibit.reviews.all()] == ["key", "doubtful"]


def test_a_closed_case_file_changes_no_more_until_it_is_opened_again() -> None:
    exhibit = make_exhibit()
    case, by = exhibit.case_file, exhibit.added_by
    actions.set_case_status(by=by, at=timezone.now(), case_id=case.pk, status="closed", reason="judgment")
    with pytest.raises(NotNow):
        actions.edit_case(by=by, at=timezone.now(), case_id=case.pk, changes={"title": "Other"})
    with pytest.raises(NotNow):
        make_exhibit(case_file=case)
    actions.set_case_status(by=by, at=timezone.now(), case_id=case.pk, status="open", reason="appeal")
    assert make_exhibit(case_file=case).number == "E-0002"


def test_every_act_on_an_exhibit_is_in_the_custody_of_its_item() -> None:
    exhibit = make_exhibit()
    actions.review_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, assessment="key", note="Two sources."
    )
    types = [line.type for line in story("item", exhibit.item_id)]
    assert types == [Type.RECEIVE, Type.EXHIBIT, Type.REVIEW]


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.ARCHIVIST, Role.AUDITOR, Role.ADMINISTRATOR])
def test_only_the_law_sees_case_files(role: Role) -> None:
    case = make_case()
    browser = factories.signed_in(factories.make_user(role, case.compartment))
    assert browser.get(reverse("cases:case", args=[case.pk])).status_code == 404
    assert browser.get(reverse("cases:list")).status_code == 403
    assert browser.get(f"/api/v1/cases/{case.pk}/").status_code == 404


def test_a_protection_officer_reads_a_case_file_and_changes_nothing() -> None:
    case = make_case()
    officer = factories.make_user(Role.PROTECTION_OFFICER, case.compartment)
    with pytest.raises(Refused):
        actions.edit_case(by=officer, at=timezone.now(), case_id=case.pk, changes={"title": "Other"})
    assert factories.signed_in(officer).get(reverse("cases:case", args=[case.pk])).status_code == 200


def test_a_form_with_an_error_keeps_what_was_typed() -> None:
    case = make_case()
    browser = factories.signed_in(case.opened_by)
    answer = browser.post(
        reverse("cases:new_exhibit", args=[case.pk]),
        EXHIBIT | {"accession": "TEST-NOPE-000009", "relevance": "The wall behind the school."},
    )
    assert answer.status_code == 404
    item = make_exhibit(case_file=case).item
    answer = browser.post(
        reverse("cases:new_exhibit", args=[case.pk]),
        EXHIBIT | {"accession": item.accession, "relevance": "The wall behind the school."},
    )
    assert answer.status_code == 422
    assert "The wall behind the school." in answer.text
    assert "exhibit of this case file already" in answer.text


def test_the_pages_of_a_case_can_be_walked_from_opening_to_review() -> None:
    compartment = factories.make_compartment()
    browser = factories.signed_in(reviewer(compartment))
    item = factories.make_item(compartment)
    opened = browser.post(reverse("cases:new"), CASE | {"compartment": compartment.pk})
    case_url = opened["Location"]
    assert CASE["title"] in browser.get(case_url).text
    added = browser.post(case_url + "exhibits/new/", EXHIBIT | {"accession": item.accession.lower()})
    reviewed = browser.post(added["Location"], {"assessment": "key", "note": "Two sources agree."})
    page = browser.get(reviewed["Location"]).text
    assert "Two sources agree." in page
    assert "Key evidence" in page
    assert "E-0001" in browser.get(case_url).text
    assert "C-0001" in browser.get(reverse("cases:list"), {"q": "villages"}).text
    assert "C-0001" in browser.get("/").text


def test_the_api_opens_a_case_tenders_reviews_and_names_wrong_fields() -> None:
    compartment = factories.make_compartment()
    browser = factories.signed_in(reviewer(compartment))
    item = factories.make_item(compartment)
    wrong = browser.post(
        "/api/v1/cases/", CASE | {"compartment": str(compartment.pk), "forum": "a tavern"}, "application/json"
    )
    assert wrong.status_code == 400
    assert list(wrong.json()) == ["forum"]
    case = browser.post("/api/v1/cases/", CASE | {"compartment": str(compartment.pk)}, "application/json").json()
    exhibit = browser.post(
        "/api/v1/exhibits/", EXHIBIT | {"case": case["id"], "item": item.accession}, "application/json"
    ).json()
    assert (exhibit["number"], exhibit["item"]) == ("E-0001", item.accession)
    review = browser.post(
        f"/api/v1/exhibits/{exhibit['id']}/reviews/", {"assessment": "key", "note": "Two sources."}, "application/json"
    )
    assert review.status_code == 201
    listed = browser.get("/api/v1/exhibits/", {"case": case["id"]}).json()["results"]
    assert [row["number"] for row in listed] == ["E-0001"]
    read = browser.get(f"/api/v1/exhibits/{exhibit['id']}/").json()
    assert [row["assessment"] for row in read["reviews"]] == ["key"]


def views_of(kind: str, subject_id: Any) -> int:
    return sum(line.type == Type.VIEW for line in story(kind, subject_id))


def test_lists_of_cases_and_exhibits_tell_no_words_and_are_no_reading() -> None:
    case = make_case(summary="Thirty houses in one afternoon.")
    exhibit = make_exhibit(case_file=case, notes="Ask for the original again.")
    actions.review_exhibit(
        by=case.opened_by, at=timezone.now(), exhibit_id=exhibit.pk, assessment="key", note="Two sources agree."
    )
    browser = factories.signed_in(case.opened_by)
    cases = browser.get("/api/v1/cases/")
    exhibits = browser.get("/api/v1/exhibits/", {"case": str(case.pk)})
    assert [row["title"] for row in cases.json()["results"]] == [case.title]
    assert [row["number"] for row in exhibits.json()["results"]] == ["E-0001"]
    for words in (case.summary, exhibit.relevance, exhibit.notes, "Two sources agree."):
        assert words not in cases.text + exhibits.text
    assert views_of("case", case.pk) == 0


@pytest.mark.parametrize("path", ["/cases/{case}/", "/cases/{case}/edit/", "/api/v1/cases/{case}/"])
def test_reading_a_case_file_is_one_event_of_the_reader_in_five_minutes(path: str) -> None:
    case = make_case()
    for reader in (case.opened_by, reviewer(case.compartment)):
        browser = factories.signed_in(reader)
        for _ in range(2):
            assert case.title in browser.get(path.format(case=case.pk)).text
    assert views_of("case", case.pk) == 2
    actions.read_case(by=case.opened_by, at=timezone.now() + timedelta(minutes=6), case_id=case.pk)
    assert views_of("case", case.pk) == 3


@pytest.mark.parametrize(
    "path", ["/cases/exhibits/{exhibit}/", "/cases/exhibits/{exhibit}/edit/", "/api/v1/exhibits/{exhibit}/"]
)
def test_reading_an_exhibit_is_an_event_of_its_case_and_of_its_item(path: str) -> None:
    exhibit = make_exhibit()
    other = make_exhibit(case_file=exhibit.case_file)
    browser = factories.signed_in(exhibit.added_by)
    for _ in range(2):
        assert exhibit.relevance in browser.get(path.format(exhibit=exhibit.pk)).text
    assert (views_of("case", exhibit.case_file_id), views_of("item", exhibit.item_id)) == (1, 1)
    browser.get(path.format(exhibit=other.pk))
    assert (views_of("case", exhibit.case_file_id), views_of("item", other.item_id)) == (2, 1)
    actions.read_case(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    assert views_of("case", exhibit.case_file_id) == 3


def test_changing_nothing_through_the_api_is_a_reading_all_the_same() -> None:
    exhibit = make_exhibit()
    browser = factories.signed_in(exhibit.added_by)
    assert browser.patch(f"/api/v1/cases/{exhibit.case_file_id}/", {}, "application/json").json()["title"]
    assert browser.patch(f"/api/v1/exhibits/{exhibit.pk}/", {}, "application/json").json()["relevance"]
    assert views_of("case", exhibit.case_file_id) == 2

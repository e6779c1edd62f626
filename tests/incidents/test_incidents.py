"""Incidents: what is said of them, their codes, dates and status, who sees them, and what the ledger keeps."""

import inspect
import json
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Role
from accounts.permissions import NotNow, NotVisible, Refused, can, permitted
from custody.story import story
from custody.vocabulary import Type
from evidence.dates import parse
from incidents import actions, claims, state, uploads
from incidents.gazetteer import places
from incidents.models import Incident, ViolationCategory
from incidents.vocabulary import Governorate, Status
from tests import factories
from tests.architecture.makers import ACTIONS, load

pytestmark = pytest.mark.django_db
load()


def test_incidents_of_a_compartment_are_numbered_in_order_and_apart_from_others() -> None:
    here, elsewhere = factories.make_compartment(), factories.make_compartment()
    assert [factories.make_incident(here).code for _ in range(3)] == ["I-0001", "I-0002", "I-0003"]
    assert factories.make_incident(elsewhere).code == "I-0001"


def test_a_number_somebody_chose_is_not_given_twice() -> None:
    compartment = factories.make_compartment()
    factories.make_incident(compartment, code="I-0001")
    assert factories.make_incident(compartment).code == "I-0002"
    with pytest.raises(ValidationError) as wrong:
        factories.make_incident(compartment, code="I-0001")
    assert set(wrong.value.message_dict) == {"code"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"narrative": "\ud800"}, "narrative"),
        ({"narrative": "x" * 10_001}, "narrative"),
        ({"happened_edtf": "last spring"}, "happened_edtf"),
        ({"happened_edtf": "2025-03-10/2025-03-06"}, "happened_edtf"),
        ({"latitude": "35.3"}, "latitude"),
        ({"latitude": "35.3", "longitude": "35.9"}, "precision"),
        ({"latitude": "95", "longitude": "35.9", "precision": "exact"}, "latitude"),
        ({"governorate": "SY-XX"}, "governorate"),
        ({"religion": "x"}, "religion"),
    ],
)
def test_what_is_wrong_is_said_under_its_field(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as problem:
        factories.make_incident(**fields)
    assert wrong in problem.value.message_dict
    assert not Incident.objects.exists()


def test_a_category_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as problem:
        factories.make_incident(categories=("torture", "no-such"))
    assert "no-such" in problem.value.message_dict["categories"][0]


def test_the_categories_of_the_commission_of_inquiry_stand_in_three_languages() -> None:
    found = list(ViolationCategory.objects.all())
    assert len(found) == 12
    for language in ("en", "ar", "fr"):
        with translation.override(language):
            names = {category.name for category in found}
        assert len(names) == 12
        assert all(names)
    with translation.override("ar"):
        assert ViolationCategory.objects.get(code="hostage-taking").name == "أخذ الرهائن"


def test_a_date_keeps_its_text_and_gets_its_bounds() -> None:
    incident = factories.make_incident(happened_edtf="2025-03-06/2025-03-XX")
    assert incident.happened_edtf == "2025-03-06/2025-03-XX"
    assert (incident.happened_earliest, incident.happened_latest) == (date(2025, 3, 6), date(2025, 3, 31))


EDTF = st.one_of(
    st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(str),
    st.tuples(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.sampled_from("?~%")).map(lambda d: f"{d[0]}{d[1]}"),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(lambda d: f"{d:%Y-%m}"),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(lambda d: f"{d:%Y-%m}-XX"),
    st.tuples(st.dates(date(1900, 1, 1)), st.dates(date(1900, 1, 1))).map(lambda d: f"{min(d)}/{max(d)}"),
    st.dates(date(1900, 1, 1)).map(lambda d: f"../{d}"),
    st.dates(date(1900, 1, 1)).map(lambda d: f"{d}/.."),
)


@given(text=EDTF)
@settings(deadline=None)
def test_every_date_lies_between_its_own_bounds(text: str) -> None:
    dated = parse(text)
    assert dated.text == text
    assert dated.earliest is not None or dated.latest is not None
    if dated.earliest and dated.latest:
        assert dated.earliest <= dated.latest
    for part in text.split("/"):
        if part not in ("", ".."):
            inside = parse(part)
            assert inside.earliest is not None
            assert dated.earliest is None or dated.earliest <= inside.earliest
            assert dated.latest is None or inside.latest is None or inside.latest <= dated.latest


@given(text=st.text(max_size=80))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_no_date_is_a_validation_error_and_nothing_worse(text: str) -> None:
    try:
        parse(text)
    except ValidationError as problem:
        assert problem.messages  # noqa: PT017  either outcome is right, anything else is a crash


def test_an_edit_keeps_what_stood_there_before() -> None:
    incident = factories.make_incident(title="Shots heard", categories=("torture",))
    by = incident.opened_by
    actions.edit_incident(
        by=by,
        at=timezone.now(),
        incident=incident,
        changes={"title": "Killings in two streets", "narrative": "First line\r\nsecond"},
        categories=["unlawful-killing", "torture"],
        reason="three items agree",
    )
    incident.refresh_from_db()
    assert incident.narrative == "First line\nsecond"
    last = story("incident", incident.pk)[-1]
    assert last.type == Type.DESCRIBE
    assert last.fields["from"] == {"title": "Shots heard", "narrative": None, "categories": ["torture"]}
    assert last.fields["to"]["title"] == "Killings in two streets"
    assert last.fields["to"]["categories"] == ["unlawful-killing", "torture"]
    assert last.fields["purpose"] == "three items agree"


def test_an_edit_that_changes_nothing_writes_nothing() -> None:
    incident = factories.make_incident(latitude="35.362110", longitude="35.927590", precision="locality")
    before = len(story("incident", incident.pk))
    actions.edit_incident(
        by=incident.opened_by,
        at=timezone.now(),
        incident=incident,
        changes={"title": incident.title, "latitude": "35.36211", "longitude": "35.92759"},
    )
    assert len(story("incident", incident.pk)) == before


def test_every_pair_of_statuses_follows_the_table_and_nothing_else() -> None:
    for start in Status:
        for target in Status:
            incident = factories.make_incident()
            Incident.objects.filter(pk=incident.pk).update(status=start)

            def move(incident: Incident = incident, target: Status = target) -> Incident:
                return actions.change_status(
                    by=incident.opened_by, at=timezone.now(), incident=incident, status=target, reason="because"
                )

            if target in state.TRANSITIONS[start]:
                assert move().status == target
                line = story("incident", incident.pk)[-1]
                assert (line.fields["from"], line.fields["to"]) == ({"status": start}, {"status": target})
            else:
                with pytest.raises(NotNow):
                    move()
                incident.refresh_from_db()
                assert incident.status == start


def test_a_change_of_status_needs_a_reason_and_a_status_that_is_one() -> None:
    incident = factories.make_incident()
    for status, reason, field in (("closed", " ", "reason"), ("burnt", "x", "status"), ("closed", "x" * 501, "reason")):
        with pytest.raises(ValidationError) as problem:
            actions.change_status(
                by=incident.opened_by, at=timezone.now(), incident=incident, status=status, reason=reason
            )
        assert set(problem.value.message_dict) == {field}


def test_a_closed_incident_takes_no_edit_link_claim_or_file_until_it_is_reopened() -> None:
    link, at = factories.make_link(), timezone.now()
    incident, by = link.incident, link.incident.opened_by
    claim = factories.make_claim(incident)
    intake = factories.make_intake(incident)
    item = factories.make_item(incident.compartment)
    actions.change_status(by=by, at=at, incident=incident, status="closed", reason="done")
    for act in (
        lambda: actions.edit_incident(by=by, at=at, incident=incident, changes={"title": "x"}),
        lambda: factories.make_link(item, incident),
        lambda: actions.change_link(by=by, at=at, link=link, changes={"stance": "context"}),
        lambda: actions.withdraw_link(by=by, at=at, link=link, reason="x"),
        lambda: factories.make_claim(incident),
        lambda: claims.withdraw_claim(by=by, at=at, claim=claim, reason="x"),
        lambda: factories.make_intake(incident),
        lambda: uploads.require_intake(by, at, intake.pk),
    ):
        with pytest.raises(NotNow):
            act()
    actions.change_status(by=by, at=at, incident=incident, status="open", reason="new material")
    assert factories.make_link(item, incident).withdrawn_at is None


SEES = {Role.INVESTIGATOR, Role.ARCHIVIST, Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER}


@pytest.mark.parametrize("role", list(Role))
def test_an_auditor_and_an_administrator_see_no_title(role: Role) -> None:
    incident = factories.make_incident()
    user = factories.make_user(role, incident.compartment)
    assert can(user, "incident.view", incident) == (role in SEES)
    assert can(user, "incident.edit", incident) == (role == Role.INVESTIGATOR)
    elsewhere = factories.make_user(role, factories.make_compartment())
    assert not permitted(elsewhere, "incident.view", Incident.objects.all()).exists()


def test_who_sees_but_may_not_edit_is_refused_and_who_does_not_see_finds_nothing() -> None:
    incident = factories.make_incident()
    reader = factories.make_user(Role.LEGAL_REVIEWER, incident.compartment)
    with pytest.raises(Refused):
        actions.edit_incident(by=reader, at=timezone.now(), incident=incident, changes={"title": "x"})
    with pytest.raises(NotVisible):
        actions.edit_incident(by=factories.stranger(), at=timezone.now(), incident=incident, changes={"title": "x"})


def test_reading_is_recorded_once_in_five_minutes_and_again_for_another_reader() -> None:
    incident = factories.make_incident()
    reader = factories.make_user(Role.LEGAL_REVIEWER, incident.compartment)
    at = timezone.now()
    for who in (reader, reader, incident.opened_by):
        actions.read_incident(by=who, at=at, incident_id=incident.pk)
    views = [line.agent_id for line in story("incident", incident.pk) if line.type == Type.VIEW]
    assert views == [reader.pk, incident.opened_by.pk]


def test_every_act_of_this_app_is_held_to_the_promises_over_all_actions() -> None:
    def acts(module: ModuleType) -> set[str]:
        return {
            f"{module.__name__}.{name}"
            for name, found in inspect.getmembers(module, inspect.isfunction)
            if found.__module__ == module.__name__
            and not name.startswith("_")
            and {"by", "at"}
            <= {
                parameter.name
                for parameter in inspect.signature(found).parameters.values()
                if parameter.kind == parameter.KEYWORD_ONLY
            }
        }

    found = acts(actions) | acts(claims) | acts(uploads)
    assert len(found) == 12
    assert found <= set(ACTIONS)


def test_naughty_strings_as_titles_and_narratives_come_back_as_they_were_typed(test_data: Path) -> None:
    strings = [text for text in json.loads((test_data / "naughty" / "blns.json").read_text()) if text.strip()]
    incident = factories.make_incident()
    kept = refused = 0
    for text in strings:
        wanted = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        try:
            actions.edit_incident(
                by=incident.opened_by,
                at=timezone.now(),
                incident=incident,
                changes={"title": text[:200], "narrative": text},
            )
        except ValidationError as problem:
            assert {"title", "narrative"} & set(problem.message_dict)  # noqa: PT017
            refused += 1
            continue
        found = Incident.objects.get(pk=incident.pk)
        assert found.narrative == wanted
        assert story("incident", incident.pk, newest=1)[-1].fields["to"]["narrative"] in (wanted, None)
        kept += 1
    assert kept > 400
    assert refused < 5


def test_the_gazetteer_has_the_coast_in_both_scripts_and_inside_syria() -> None:
    found = {place.name: place for place in places().values()}
    assert found["Jableh"].name_ar == "جبلة"
    assert found["Baniyas"].governorate == Governorate.TARTUS
    assert len(places()) > 300
    for place in places().values():
        assert 32 < float(place.latitude) < 37.5
        assert 35.5 < float(place.longitude) < 42.5
        assert place.governorate

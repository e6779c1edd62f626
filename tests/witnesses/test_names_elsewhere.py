"""A witness's name is refused wherever a text would be shown, searched or recorded outside the vault."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Compartment, Role
from cases import actions as case_actions
from custody.models import Event
from evidence import actions as item_actions
from evidence import guard
from incidents import actions as incident_actions
from incidents import claims
from tests import factories
from tests.cases.makers import CASE, make_case, make_exhibit
from tests.witnesses.things import NAME, NAME_AR, planted
from witnesses import names
from witnesses.models import Identity, NameToken, Witness

pytestmark = pytest.mark.django_db

Act = Callable[[], Any]
SAID = f"Told by {NAME}, at home."


@pytest.fixture
def compartment() -> Compartment:
    witness = factories.make_witness(identity=planted())
    return witness.compartment


def refused_at(field: str, act: Act) -> None:
    """The act is refused under the field, says nothing of the name, and leaves nothing in the ledger."""
    events = Event.objects.count()
    with pytest.raises(ValidationError) as refusal:
        act()
    assert list(refusal.value.message_dict) == [field]
    assert "names a witness" in refusal.value.message_dict[field][0]
    for word in (*NAME.split(), *NAME_AR.split()):
        assert word not in str(refusal.value.message_dict)
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    "field",
    ["title", "description", "source", "acquired_by", "acquired_where", "acquired_tool", "place_name", "place_name_ar"],
)
def test_no_item_is_received_or_described_by_a_name(compartment: Compartment, field: str) -> None:
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    said: dict[str, Any] = {field: SAID}
    refused_at(field, lambda: factories.make_item(compartment, by=by, **said))
    items = [factories.make_item(compartment, by=by) for _ in range(2)]
    one: dict[str, Any] = {"by": by, "at": timezone.now(), "changes": {field: f"قال {NAME_AR}"}}
    refused_at(field, lambda: item_actions.describe_item(accession=items[0].accession, **one))
    refused_at(field, lambda: item_actions.describe_items(accessions=[item.accession for item in items], **one))
    items[0].refresh_from_db()
    assert getattr(items[0], field) == ""


def test_a_reason_for_describing_an_item_names_nobody(compartment: Compartment) -> None:
    item = factories.make_item(compartment)
    refused_at(
        "reason",
        lambda: item_actions.describe_item(
            by=item.received_by, at=timezone.now(), accession=item.accession, changes={"title": "Smoke"}, reason=SAID
        ),
    )


@pytest.mark.parametrize("field", ["title", "title_ar", "narrative", "place_name", "place_name_ar"])
def test_no_incident_is_opened_or_edited_with_a_name(compartment: Compartment, field: str) -> None:
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    said: dict[str, Any] = {field: SAID}
    refused_at(field, lambda: factories.make_incident(compartment, by=by, **said))
    incident = factories.make_incident(compartment, by=by)
    refused_at(
        field,
        lambda: incident_actions.edit_incident(by=by, at=timezone.now(), incident=incident, changes={field: SAID}),
    )


def test_what_is_said_along_with_incidents_links_claims_and_intakes_names_nobody(compartment: Compartment) -> None:
    incident = factories.make_incident(compartment)
    item = factories.make_item(compartment)
    link = factories.make_link(item, incident)
    claim = factories.make_claim(incident)
    now, by = timezone.now(), incident.opened_by
    refused_at("code", lambda: factories.make_incident(compartment, by=by, code=NAME.upper().replace(" ", "-")))
    refused_at(
        "reason",
        lambda: incident_actions.edit_incident(
            by=by, at=now, incident=incident, changes={"title": "Another"}, reason=SAID
        ),
    )
    refused_at(
        "reason",
        lambda: incident_actions.change_status(by=by, at=now, incident=incident, status="closed", reason=SAID),
    )
    other = factories.make_item(compartment)
    refused_at("reasons", lambda: factories.make_link(other, incident, reasons=SAID))
    refused_at("reasons", lambda: incident_actions.change_link(by=by, at=now, link=link, changes={"reasons": SAID}))
    refused_at("reason", lambda: incident_actions.withdraw_link(by=by, at=now, link=link, reason=SAID))
    refused_at("note", lambda: factories.make_claim(incident, note=SAID))
    refused_at(
        "breakdown",
        lambda: factories.make_claim(incident, breakdown=[{"dimension": "sex", "category": NAME, "count": 1}]),
    )
    refused_at("reason", lambda: claims.withdraw_claim(by=by, at=now, claim=claim, reason=SAID))
    refused_at("reasons", lambda: factories.make_intake(incident, reasons=SAID))
    refused_at("source", lambda: factories.make_intake(incident, source=NAME))


def test_case_files_exhibits_and_reviews_name_nobody(compartment: Compartment) -> None:
    for field in ("title", "recipient", "summary"):
        by = factories.make_user(Role.LEGAL_REVIEWER, compartment)
        fields = CASE | {field: SAID}
        opening = partial(case_actions.open_case, by=by, at=timezone.now(), compartment_id=compartment.pk)
        refused_at(field, partial(opening, fields=fields))
    case = make_case(compartment)
    exhibit = make_exhibit(case_file=case)
    now, by = timezone.now(), case.opened_by
    refused_at("summary", lambda: case_actions.edit_case(by=by, at=now, case_id=case.pk, changes={"summary": SAID}))
    refused_at(
        "reason", lambda: case_actions.set_case_status(by=by, at=now, case_id=case.pk, status="closed", reason=SAID)
    )
    changes = {"notes": SAID}
    refused_at("notes", lambda: case_actions.edit_exhibit(by=by, at=now, exhibit_id=exhibit.pk, changes=changes))
    refused_at(
        "note",
        lambda: case_actions.review_exhibit(by=by, at=now, exhibit_id=exhibit.pk, assessment="key", note=SAID),
    )
    refused_at("reason", lambda: case_actions.withdraw_exhibit(by=by, at=now, exhibit_id=exhibit.pk, reason=SAID))


def test_a_name_known_only_after_it_was_written_does_not_hold_up_other_changes() -> None:
    compartment = factories.make_compartment()
    item = factories.make_item(compartment, title=SAID)
    factories.make_witness(compartment, identity=planted())
    at, by = timezone.now(), item.received_by
    changes = {"title": SAID, "language": "ar"}
    assert item_actions.describe_item(by=by, at=at, accession=item.accession, changes=changes).language == "ar"
    assert factories.make_item(factories.make_compartment(), title=SAID).title == SAID, "another compartment's witness"


def test_a_compartment_without_names_is_asked_one_short_question() -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        guard.require_unnamed(uuid4(), {"narrative": "word " * 20_000})
        guard.require_unnamed(uuid4(), {"title": "", "latitude": None})
    assert len(asked) == 1


def test_a_long_narrative_is_held_against_a_thousand_names_in_a_few_queries(compartment: Compartment) -> None:
    opened = Witness.objects.get()
    witnesses = Witness.objects.bulk_create(
        Witness(
            compartment=compartment,
            pseudonym=f"W-{number:04d}",
            kind="survivor",
            opened_by=opened.opened_by,
            opened_at=opened.opened_at,
        )
        for number in range(10, 1010)
    )
    held = Identity.objects.bulk_create(
        Identity(witness=witness, recorded_by=opened.opened_by, recorded_at=opened.opened_at) for witness in witnesses
    )
    NameToken.objects.bulk_create(
        NameToken(identity=identity, token=token)
        for number, identity in enumerate(held)
        for token in names.tokens([f"Karimel{number} Haddadin{number}"], 1980)
    )
    narrative = " ".join(f"{word}{number}" for number in range(400) for word in ("bayt", "sahel", "وطريق", "rif"))
    narrative = narrative[:10_000]
    guard.require_unnamed(compartment.pk, {"narrative": narrative})
    with CaptureQueriesContext(connection) as asked:
        guard.require_unnamed(compartment.pk, {"narrative": narrative})
    assert len(asked) <= 2  # whatever the number of words and names
    with pytest.raises(ValidationError):
        guard.require_unnamed(compartment.pk, {"narrative": narrative[:9_900] + " Karimel7 Haddadin7"})

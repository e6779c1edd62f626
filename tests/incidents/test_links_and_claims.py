"""Links between items and incidents, and what sources claim."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow, NotVisible, Refused
from custody.story import story
from custody.vocabulary import Type
from evidence.actions import verify_item
from evidence.vocabulary import FixityOutcome
from incidents import actions, claims
from incidents.models import Claim, Link
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_link_says_in_the_story_of_item_and_incident_what_it_does_and_why() -> None:
    link = factories.make_link(source_reliability="B", information_credibility=2)
    for kind, subject in (("item", link.item_id), ("incident", link.incident_id)):
        line = next(line for line in story(kind, subject) if line.type == Type.TAG)
        assert line.fields["object"] == {"link": str(link.pk), "incident": link.incident.code}
        assert line.fields["to"] == {
            "stance": "supports",
            "reasons": "It shows the square.",
            "source_reliability": "B",
            "information_credibility": 2,
        }


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"stance": "proves"}, "stance"),
        ({"stance": ""}, "stance"),
        ({"reasons": " "}, "reasons"),
        ({"reasons": "x" * 2_001}, "reasons"),
        ({"source_reliability": "G"}, "source_reliability"),
        ({"information_credibility": 7}, "information_credibility"),
    ],
)
def test_a_link_needs_a_stance_reasons_and_grades_of_the_scale(said: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as problem:
        factories.make_link(**said)
    assert set(problem.value.message_dict) == {wrong}
    assert not Link.objects.exists()


def test_an_item_is_linked_once_to_an_incident_and_to_any_number_of_incidents() -> None:
    link = factories.make_link()
    with pytest.raises(NotNow):
        factories.make_link(link.item, link.incident)
    another = factories.make_link(link.item, factories.make_incident(link.item.compartment), stance="exculpatory")
    assert another.stance == "exculpatory"


def test_a_withdrawn_link_stays_readable_and_makes_room_for_a_new_one() -> None:
    link = factories.make_link()
    actions.withdraw_link(by=link.linked_by, at=timezone.now(), link=link, reason="another square")
    link.refresh_from_db()
    assert link.withdrawn_reason == "another square"
    assert factories.make_link(link.item, link.incident, stance="context").withdrawn_at is None
    with pytest.raises(NotNow):
        actions.withdraw_link(by=link.linked_by, at=timezone.now(), link=link, reason="again")
    with pytest.raises(NotNow):
        actions.change_link(by=link.linked_by, at=timezone.now(), link=link, changes={"stance": "context"})
    line = next(line for line in story("item", link.item_id) if line.type == Type.UNTAG)
    assert line.fields["purpose"] == "another square"


def test_changing_a_link_keeps_what_stood_there_and_leaves_the_items_fixity_alone() -> None:
    link = factories.make_link()
    actions.change_link(
        by=link.linked_by, at=timezone.now(), link=link, changes={"stance": "contradicts", "reasons": "Another year."}
    )
    line = [line for line in story("item", link.item_id) if line.type == Type.TAG][-1]
    assert line.fields["from"] == {"stance": "supports", "reasons": "It shows the square."}
    assert line.fields["to"] == {"stance": "contradicts", "reasons": "Another year."}
    check = verify_item(by=link.linked_by, at=timezone.now(), accession=link.item.accession)
    assert check.outcome == FixityOutcome.PENDING


def test_an_item_of_another_compartment_is_not_linked_even_by_who_sees_both() -> None:
    item, incident = factories.make_item(), factories.make_incident()
    user = factories.make_user(Role.INVESTIGATOR, item.compartment)
    factories.give(user, Role.INVESTIGATOR, incident.compartment)
    with pytest.raises(ValidationError) as problem:
        actions.tag_item(by=user, at=timezone.now(), item=item, incident=incident, stance="context", reasons="x")
    assert set(problem.value.message_dict) == {"incident"}
    with pytest.raises(NotVisible):
        actions.tag_item(
            by=incident.opened_by, at=timezone.now(), item=item, incident=incident, stance="context", reasons="x"
        )


def test_a_legal_reviewer_reads_links_and_does_not_change_them() -> None:
    link = factories.make_link()
    reviewer = factories.make_user(Role.LEGAL_REVIEWER, link.incident.compartment)
    with pytest.raises(Refused):
        actions.change_link(by=reviewer, at=timezone.now(), link=link, changes={"stance": "context"})
    with pytest.raises(Refused):
        actions.withdraw_link(by=reviewer, at=timezone.now(), link=link, reason="x")


@pytest.mark.django_db(transaction=True)
def test_of_ten_links_at_once_one_is_made() -> None:
    incident = factories.make_incident()
    item = factories.make_item(incident.compartment)

    def link(_: int) -> bool:
        try:
            factories.make_link(item, incident)
        except NotNow:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(link, range(10))) == 1
    assert Link.objects.count() == 1
    assert sum(line.type == Type.TAG for line in story("item", item.pk)) == 1


SOHR = [
    {"dimension": "area", "category": "Latakia", "count": 683},
    {"dimension": "area", "category": "Tartus", "count": 433},
    {"dimension": "area", "category": "Hama", "count": 255},
    {"dimension": "area", "category": "Homs", "count": 12},
]


def test_the_published_figures_stand_side_by_side_each_with_its_own_scope() -> None:
    incident = factories.make_incident()
    first = factories.make_claim(incident, breakdown=SOHR)
    committee = factories.make_claim(
        incident,
        source="National Committee",
        document_title="Report",
        who_counts="Dead with verified names",
        counted="named",
        minimum=1426,
        maximum=1426,
        as_of=None,
    )
    commission = factories.make_claim(
        incident, source="UN Commission of Inquiry", who_counts="People killed", minimum=1400, maximum=None, as_of=""
    )
    assert (first.exact, committee.exact, commission.exact) == (True, True, False)
    assert [(row.category, row.count) for row in first.breakdown.all()] == [
        ("Latakia", 683),
        ("Tartus", 433),
        ("Hama", 255),
        ("Homs", 12),
    ]
    line = next(
        line for line in story("incident", incident.pk) if line.fields.get("to", {}).get("source", "")[:6] == "Syrian"
    )
    assert line.fields["to"]["breakdown"][0] == {"dimension": "area", "category": "Latakia", "count": 683}


@pytest.mark.parametrize(
    ("stated", "wrong"),
    [
        ({"minimum": None, "maximum": None}, "minimum"),
        ({"minimum": 10, "maximum": 9}, "maximum"),
        ({"minimum": -1}, "minimum"),
        ({"minimum": "many"}, "minimum"),
        ({"minimum": 3_000_000_000, "maximum": 3_000_000_000}, "minimum"),
        ({"source": ""}, "source"),
        ({"scope_area": ""}, "scope_area"),
        ({"who_counts": ""}, "who_counts"),
        ({"as_of": "12 March"}, "as_of"),
        ({"period_edtf": "March"}, "period_edtf"),
        ({"document_url": "javascript:alert(1)"}, "document_url"),
        ({"counted": "guessed"}, "counted"),
        ({"breakdown": [{"category": "a", "count": 1}, {"category": "a", "count": 2}]}, "breakdown"),
        ({"breakdown": [{"category": "", "count": 1}]}, "breakdown"),
        ({"breakdown": [{"category": "a", "count": -1}]}, "breakdown"),
        ({"breakdown": [{"category": str(n), "count": n} for n in range(61)]}, "breakdown"),
    ],
)
def test_a_claim_without_scope_number_or_sense_is_refused_under_its_field(stated: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as problem:
        factories.make_claim(**stated)
    assert wrong in problem.value.message_dict
    assert not Claim.objects.exists()


def test_a_withdrawn_claim_stays_with_its_reason_and_is_not_withdrawn_twice() -> None:
    claim = factories.make_claim()
    claims.withdraw_claim(by=claim.recorded_by, at=timezone.now(), claim=claim, reason="mistyped")
    claim.refresh_from_db()
    assert (claim.withdrawn_reason, claim.withdrawn_by) == ("mistyped", claim.recorded_by)
    with pytest.raises(NotNow):
        claims.withdraw_claim(by=claim.recorded_by, at=timezone.now(), claim=claim, reason="mistyped")

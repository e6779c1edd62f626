"""An act on an item while a second person approves its erasure: one of the two is over before the other looks."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow
from cases import actions as cases
from cases import bundles
from cases.models import Bundle, Exhibit
from custody.engine import acting
from custody.models import Disclosure, Event, SubjectKey
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from custody.vocabulary import Type
from evidence import actions, blobs, erasure
from evidence.fixity import find
from evidence.models import FixityCheck, Item
from evidence.vocabulary import FixityOutcome
from incidents import actions as incidents
from incidents import uploads
from incidents.models import Link
from tests import factories
from tests.cases.makers import EXHIBIT, make_case, make_exhibit, ready_bundle
from tests.evidence.test_erasure import asked
from witnesses import actions as witnesses
from witnesses.models import Consent, Recording

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[], Any]
REFUSED = (NotNow, ValidationError)
PATIENCE = 10.0  # seconds


@dataclass
class Ended:
    """How an act ended: what it returned, or what it raised."""

    result: Any = None
    problem: BaseException | None = None


def overlapping(first: Act, second: Act) -> tuple[Ended, Ended]:
    """The second act begins when the first has done its work and not committed yet; each on a connection of its own.

    The first commits when the second waits for it, or has ended without waiting.
    """
    done, commit = threading.Event(), threading.Event()
    ended = Ended(), Ended()

    def run(place: int, act: Act) -> None:
        try:
            ended[place].result = act()
        except BaseException as problem:
            ended[place].problem = problem
        finally:
            done.set()
            connections.close_all()

    def held() -> Any:
        with acting():
            result = first()
            done.set()
            commit.wait(PATIENCE)
            return result

    threads = [threading.Thread(target=run, args=(0, held)), threading.Thread(target=run, args=(1, second))]
    threads[0].start()
    assert done.wait(PATIENCE)
    threads[1].start()
    deadline = time.monotonic() + PATIENCE
    while threads[1].is_alive() and not _somebody_waits() and time.monotonic() < deadline:
        time.sleep(0.02)
    commit.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return ended


def _somebody_waits() -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (waiting,) = cursor.fetchone() or (0,)
    return bool(waiting)


def approval(item: Item) -> Act:
    """A second person's approval of an erasure that somebody asked for."""
    request = asked(item)
    by = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    return lambda: erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=request.pk)


def tendering(item: Item) -> Act:
    case = make_case(item.compartment)
    return lambda: cases.add_exhibit(
        by=case.opened_by, at=timezone.now(), case_id=case.pk, accession=item.accession, fields=EXHIBIT
    )


def tagging(item: Item) -> Act:
    incident = factories.make_incident(item.compartment)
    return lambda: incidents.tag_item(
        by=incident.opened_by, at=timezone.now(), item=item, incident=incident, stance="supports", reasons="The square."
    )


def linking(item: Item) -> Act:
    testimony = factories.make_testimony(factories.make_witness(item.compartment))
    return lambda: witnesses.link_recording(
        by=testimony.recorded_by, at=timezone.now(), testimony_id=testimony.pk, accession=item.accession
    )


def unlinking(item: Item) -> Act:
    link, by = linking(item)(), factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    return lambda: witnesses.unlink_recording(by=by, at=timezone.now(), recording_id=link.pk, reason="The wrong file.")


def consenting(item: Item) -> Act:
    witness = factories.make_witness(item.compartment)
    by = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    return lambda: factories.make_consent(witness, by=by, form_accession=item.accession)


def describing(item: Item) -> Act:
    return lambda: actions.describe_item(
        by=item.received_by, at=timezone.now(), accession=item.accession, changes={"title": "The square"}
    )


def downloading(item: Item) -> Act:
    return lambda: actions.download_item(by=item.received_by, at=timezone.now(), accession=item.accession)


ACTS = [tendering, tagging, linking, unlinking, consenting, describing, downloading]


def of_whole_ledger() -> list[str]:
    drain()
    sign_head()
    return [f"{fault.where}: {fault.what}" for fault in faults()]


def nothing_is_left_of(item: Item) -> None:
    left = Item.objects.get(pk=item.pk)
    assert (left.erased_at is not None, left.title, left.sha256) == (True, "", "")
    assert not Exhibit.objects.filter(item=item, withdrawn_at__isnull=True).exists()
    assert not Link.objects.filter(item=item).exclude(reasons="").exists()
    assert not Consent.objects.filter(form_item=item).exists()
    assert not SubjectKey.objects.filter(subject_id=item.pk).exists()
    assert not Disclosure.objects.filter(subject_id=item.pk).exists()
    assert of_whole_ledger() == []


@pytest.mark.parametrize("prepare", ACTS)
def test_what_begins_while_an_approval_is_under_way_finds_the_item_erased(prepare: Callable[[Item], Act]) -> None:
    item = factories.make_item()
    act, approve = prepare(item), approval(item)
    recordings = Recording.objects.filter(item=item, withdrawn_at__isnull=True).count()
    approved, acted = overlapping(approve, act)
    assert approved.problem is None
    assert isinstance(acted.problem, REFUSED), acted
    assert Recording.objects.filter(item=item, withdrawn_at__isnull=True).count() == recordings
    nothing_is_left_of(item)


@pytest.mark.parametrize("prepare", [tendering, consenting])
def test_an_approval_waits_for_what_would_stand_against_it_and_is_refused(prepare: Callable[[Item], Act]) -> None:
    item = factories.make_item()
    act, approve = prepare(item), approval(item)
    acted, approved = overlapping(act, approve)
    assert acted.problem is None
    assert isinstance(approved.problem, NotNow), approved
    assert item.accession in str(approved.problem)
    assert Item.objects.get(pk=item.pk).erased_at is None
    assert of_whole_ledger() == []


@pytest.mark.parametrize("prepare", [tagging, linking, unlinking, describing, downloading])
def test_an_approval_waits_for_what_does_not_stand_against_it_and_erases_that_too(
    prepare: Callable[[Item], Act],
) -> None:
    item = factories.make_item()
    act, approve = prepare(item), approval(item)
    acted, approved = overlapping(act, approve)
    assert acted.problem is None
    assert approved.problem is None
    nothing_is_left_of(item)


def test_a_verification_that_read_the_bytes_before_the_erasure_writes_down_nothing_of_them() -> None:
    item = factories.make_item()
    of_whole_ledger()
    finding, approve = find(Item.objects.get(pk=item.pk)), approval(item)
    assert finding.outcome == FixityOutcome.OK
    by = factories.make_user(Role.AUDITOR, item.compartment)
    approved, checked = overlapping(
        approve,
        lambda: actions.record_finding(by=by, at=timezone.now(), accession=item.accession, finding=finding),
    )
    assert (approved.problem, checked.problem) == (None, None)
    assert item.blob.address not in str(FixityCheck.objects.get(item=item).steps)
    assert Item.objects.get(pk=item.pk).last_outcome != FixityOutcome.OK
    assert of_whole_ledger() == []


def withdrawing(exhibit: Exhibit) -> Any:
    return cases.withdraw_exhibit(by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, reason="Not it.")


@pytest.mark.parametrize(
    "leave",
    [
        lambda exhibit: bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id),
        lambda exhibit: bundles.export_outside(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id),
    ],
)
def test_a_bundle_is_not_asked_for_of_what_is_being_erased(leave: Callable[[Exhibit], Any]) -> None:
    """Asked for while the exhibit stood, withdrawn by somebody else, erased: the asking is over first."""
    item = factories.make_item()
    request = signed_request(item)
    exhibit = make_exhibit(item.compartment, item=item)
    second = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)

    def withdraw_and_approve() -> Any:
        withdrawing(exhibit)
        return erasure.approve_erasure(by=second, at=timezone.now(), erasure_id=request)

    left, approved = overlapping(lambda: leave(exhibit), withdraw_and_approve)
    assert left.problem is None
    if Bundle.objects.filter(case_file=exhibit.case_file).exists():
        assert isinstance(approved.problem, NotNow)
        assert "is being built" in str(approved.problem)
        assert Item.objects.get(pk=item.pk).erased_at is None
    else:
        assert approved.problem is None
        nothing_is_left_of(item)
    assert of_whole_ledger() == []


def signed_request(item: Item) -> Any:
    """A request that waits, under a head of the ledger."""
    by = factories.make_user(Role.ARCHIVIST, item.compartment)
    made = erasure.request_erasure(
        by=by, at=timezone.now(), accession=item.accession, ground="person", reason="The family asks for it."
    )
    drain()
    sign_head()
    return made.pk


def test_a_finished_bundle_that_is_handed_out_is_destroyed_afterwards_and_not_meanwhile() -> None:
    bundle = ready_bundle()
    exhibit = Exhibit.objects.get(case_file=bundle.case_file)
    withdrawing(exhibit)
    digest, approve = bundle.sha256, approval(exhibit.item)
    handed, approved = overlapping(
        lambda: bundles.download_bundle(by=exhibit.added_by, at=timezone.now(), bundle_id=bundle.pk), approve
    )
    assert (handed.problem, approved.problem) == (None, None)
    assert digest
    assert not Disclosure.objects.filter(event_id__in=_exports(), field="object").exists()
    nothing_is_left_of(exhibit.item)
    with pytest.raises(NotNow):
        bundles.download_bundle(by=exhibit.added_by, at=timezone.now(), bundle_id=bundle.pk)


def _exports() -> Any:
    return Event.objects.filter(type=Type.EXPORT).values("id")


def test_the_same_bytes_received_meanwhile_are_no_duplicate_of_what_was_erased() -> None:
    data = b"The very same bytes.\n"
    item = factories.make_item(data=data)
    received, approve = blobs.receive([data]), approval(item)
    approved, came = overlapping(
        approve,
        lambda: actions.receive_item(
            by=item.received_by,
            at=timezone.now(),
            compartment_id=item.compartment_id,
            received=received,
            original_name="again.txt",
        ),
    )
    assert (approved.problem, came.problem) == (None, None)
    assert came.result.duplicate_of is None
    nothing_is_left_of(item)


def test_a_file_does_not_come_under_an_announcement_that_is_erased_meanwhile() -> None:
    intake = factories.make_intake(description="Canary words.")
    first = uploads.accept(
        by=intake.by,
        at=timezone.now(),
        intake=intake,
        received=blobs.receive([b"one"]),
        original_name="1",
        idempotency_key=None,
    )
    approve = approval(first)
    approved, came = overlapping(
        approve,
        lambda: uploads.accept(
            by=intake.by,
            at=timezone.now(),
            intake=intake,
            received=blobs.receive([b"two"]),
            original_name="2",
            idempotency_key=uuid4(),
        ),
    )
    assert approved.problem is None
    assert isinstance(came.problem, NotNow), came
    assert Item.objects.exclude(pk=first.pk).count() == 0
    nothing_is_left_of(first)


def test_two_requests_for_copies_of_the_same_bytes_do_not_wait_for_each_other() -> None:
    data = b"The very same bytes, twice.\n"
    one = factories.make_item(data=data)
    other = factories.make_item(one.compartment, by=one.received_by, data=data)
    approve = approval(one)
    by = factories.make_user(Role.ARCHIVIST, one.compartment)
    approved, requested = overlapping(
        approve,
        lambda: erasure.request_erasure(
            by=by, at=timezone.now(), accession=other.accession, ground="person", reason="The family asks for it."
        ),
    )
    assert approved.problem is None
    assert isinstance(requested.problem, NotNow)
    nothing_is_left_of(one)
    nothing_is_left_of(other)

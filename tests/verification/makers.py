"""Makers for runs, their results, checkpoints and ledger events."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.utils import timezone

from accounts.models import Compartment, Role, User
from custody.engine import Subject
from custody.models import Anchor, Checkpoint, Entry, Event
from custody.proof import newest_checkpoint
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument
from verification import actions
from verification.models import Run, RunResult, Schedule
from verification.vocabulary import Scope, State


@instance_of(Run)
def run_of(compartment: Compartment, person: User) -> Run:
    return Run.objects.create(
        scope=Scope.COMPARTMENT, compartment=compartment, requested_by=person, requested_at=timezone.now()
    )


@instance_of(RunResult)
def result_there(compartment: Compartment, person: User) -> RunResult:
    factories.make_item(compartment)
    run = running(factories.make_user(Role.AUDITOR, compartment), compartment)
    actions.verify_next(at=timezone.now(), run_id=run.pk)
    return RunResult.objects.get(run=run)


@instance_of(Event)
def event_there(compartment: Compartment, person: User) -> Event:
    item = factories.make_item(compartment)
    return Event.objects.filter(type=Type.RECEIVE, compartment_id=item.compartment_id).latest("at")


@instance_of(Checkpoint)
def head(compartment: Compartment, person: User) -> Checkpoint:
    drain()
    sign_head()
    newest = newest_checkpoint()
    assert newest is not None
    return newest


@url_argument("run_id")
@url_argument("verification-runs-detail:pk")
@url_argument("verification-runs-cancel:pk")
@url_argument("verification-runs-results:pk")
def run_id(compartment: Compartment, person: User) -> Any:
    return run_of(compartment, person).pk


@url_argument("checkpoint_id")
@url_argument("checkpoints-detail:pk")
def checkpoint_id(compartment: Compartment, person: User) -> Any:
    return head(compartment, person).pk


@url_argument("anchor_id")
def anchor_id(compartment: Compartment, person: User) -> Any:
    stamped = {"response": b"0", "stamped_at": timezone.now(), "event_id": uuid4()}
    checkpoint = head(compartment, person)
    return Anchor.objects.create(
        authority=str(uuid4()), checkpoint=checkpoint, imprint="00", queued_at=timezone.now(), **stamped
    ).pk


@url_argument("verification:guide:name")
def guide_name(compartment: Compartment, person: User) -> Any:
    return "run-a-cosigner"


@url_argument("index")
def index(compartment: Compartment, person: User) -> Any:
    event = event_there(compartment, person)
    drain()
    return Entry.objects.get(event_id=event.pk).index


def running(by: User, compartment: Compartment) -> Run:
    """A run over the compartment that has begun and has its ledger checked."""
    run = actions.request_run(by=by, at=timezone.now(), scope=Scope.COMPARTMENT, compartment_id=compartment.pk)
    run.state, run.started_at, run.ledger_checked_at = State.RUNNING, timezone.now(), timezone.now()
    run.total = 1
    run.save()
    return run


def _audited() -> tuple[User, Compartment]:
    compartment = factories.make_compartment()
    factories.make_item(compartment)
    return factories.make_user(Role.AUDITOR, compartment), compartment


@action_of(actions.request_run)
def _request() -> Callable[[], Any]:
    auditor, compartment = _audited()
    return lambda: actions.request_run(
        by=auditor, at=timezone.now(), scope=Scope.COMPARTMENT, compartment_id=compartment.pk
    )


@action_of(actions.cancel_run)
def _cancel() -> Callable[[], Any]:
    auditor, compartment = _audited()
    run = running(auditor, compartment)
    return lambda: actions.cancel_run(by=auditor, at=timezone.now(), run_id=run.pk)


@action_of(actions.verify_next)
def _verify() -> Callable[[], Any]:
    auditor, compartment = _audited()
    run = running(auditor, compartment)
    return lambda: actions.verify_next(at=timezone.now(), run_id=run.pk)


@action_of(actions.finish_run)
def _finish() -> Callable[[], Any]:
    auditor, compartment = _audited()
    run = running(auditor, compartment)
    actions.verify_next(at=timezone.now(), run_id=run.pk)
    return lambda: actions.finish_run(at=timezone.now(), run_id=run.pk)


@action_of(actions.fail_run)
def _fail() -> Callable[[], Any]:
    auditor, compartment = _audited()
    run = running(auditor, compartment)
    return lambda: actions.fail_run(at=timezone.now(), run_id=run.pk, problem="OSError")


@action_of(actions.read_trail)
def _read() -> Callable[[], Any]:
    auditor, _compartment = _audited()
    return lambda: actions.read_trail(by=auditor, at=timezone.now(), subject=Subject("user", auditor.pk))


WEEKLY = {"cycle_days": 7, "first_hour": 22, "last_hour": 6, "paused": False, "reason": "Quiet hours"}


def scheduled(compartment: Compartment) -> Schedule:
    """A compartment's own schedule, set by one of its archivists."""
    by = factories.make_user(Role.ARCHIVIST, compartment)
    return actions.set_schedule(by=by, at=timezone.now(), compartment_id=compartment.pk, fields=WEEKLY)


@instance_of(Schedule)
def schedule_there(compartment: Compartment, person: User) -> Schedule:
    return scheduled(compartment)


@url_argument("verification:schedule:code")
@url_argument("sweeps-detail:code")
def swept_code(compartment: Compartment, person: User) -> Any:
    return compartment.code


@action_of(actions.set_schedule)
def sets_a_schedule() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    by = factories.make_user(Role.ARCHIVIST, compartment)
    return lambda: actions.set_schedule(by=by, at=timezone.now(), compartment_id=compartment.pk, fields=WEEKLY)


@action_of(actions.clear_schedule)
def clears_a_schedule() -> Callable[[], Any]:
    made = scheduled(factories.make_compartment())
    return lambda: actions.clear_schedule(
        by=made.set_by, at=timezone.now(), compartment_id=made.compartment_id, reason="Enough"
    )

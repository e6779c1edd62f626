"""Acts of verification: asking for a run, working through it, stopping it, and reading a trail.

A run's work is cut into acts of one item each, so that a kill at any moment loses at most the item it was reading:
1. One process at a time has a run, by a lock of its database session.
2. The bytes are read outside any transaction.
3. One transaction locks the run, sees that it is still running and still stands where it stood when the item was
   chosen, and writes the fixity check, its custody event, the result and the new place of the run together.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import Error, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, permitted, require, require_anywhere, require_compartment
from custody import verify
from custody.engine import Subject, acting, opened, record
from custody.models import Event, EventSubject
from custody.proof import newest_checkpoint
from custody.seal import SealBroken
from custody.vocabulary import Outcome, Type
from evidence.actions import record_finding
from evidence.fixity import find
from evidence.models import Item
from verification import jobs
from verification.models import Run, RunResult, Schedule
from verification.queries import items_of, lost_receptions
from verification.schedules import Plan, plans
from verification.state import UNDER_WAY, may_become
from verification.vocabulary import Scope, State
from witnesses.agreed import consent_faults

MOST_SELECTED = 10_000  # items in one selection
MOST_FAULTS = 200  # ledger faults kept in full; all are counted
PERSIST_EVERY = 0.5  # seconds between two writings of the ledger's progress
PLANNED = ("cycle_days", "first_hour", "last_hour", "paused")
ONE_READING = 300.0  # seconds in which reading the same trail again is the same reading


def request_run(
    *,
    by: User,
    at: datetime,
    scope: str,
    compartment_id: UUID | None = None,
    accessions: Sequence[str] = (),
) -> Run:
    """Ask for a verification run; its work is queued with it. The same run, asked for while it is under way, is given.

    `compartment_id` belongs to the scope compartment, `accessions` to one and selection. Raises Refused, NotVisible,
    ValidationError naming the field.
    """
    with acting():
        if scope not in Scope.values:
            raise ValidationError({"scope": _("Choose what to verify.")})
        run = Run(scope=scope, requested_by=by, requested_at=at)
        if scope == Scope.LEDGER:
            require_anywhere(by, "checkpoint.verify")
        elif scope == Scope.EVERYTHING:
            require_anywhere(by, "item.verify")
        elif scope == Scope.COMPARTMENT:
            if compartment_id is None:
                raise ValidationError({"compartment": _("Choose a compartment.")})
            run.compartment = require_compartment(by, "item.verify", compartment_id)
        else:
            require_anywhere(by, "item.verify")
            run.accessions, run.compartment_id = _selected(by, scope, accessions)
        User.objects.select_for_update().get(pk=by.pk)  # two clicks of one person come one after the other
        same = Run.objects.filter(
            requested_by=by,
            scope=scope,
            compartment=run.compartment_id,
            accessions=run.accessions,
            state__in=UNDER_WAY,
        ).first()
        if same is not None:
            return same
        run.save()
        _record_run(Type.VERIFICATION, run, by=by, at=at, to={"state": State.QUEUED.value})
        jobs.defer_run(run.id)
        return run


def cancel_run(*, by: User, at: datetime, run_id: UUID) -> Run:
    """Stop a run; what it verified so far stays. Raises Refused, NotVisible, NotNow when it is over."""
    with acting():
        run = require(by, "run.cancel", Run.objects.all(), lock=True, pk=run_id)
        if not may_become(run, State.CANCELLED):
            raise NotNow(_("This run is over already."))
        run.state, run.finished_at = State.CANCELLED, at
        run.save(update_fields=["state", "finished_at"])
        _record_run(Type.VERIFICATION, run, by=by, at=at, to={"state": State.CANCELLED.value, "items": run.done})
        return run


def work(*, run_id: UUID, until: float, progress: verify.Progress = lambda *_: None) -> bool:
    """Work on a run until it is over or the monotonic clock reaches `until`. True when there is more to do.

    Picks up where the last worker stopped, also one that was killed. Does nothing, and says False, while another
    process is at it. `progress(done, total)` counts the entries of the ledger's check.
    """
    with _alone(run_id) as alone:
        run = _begun(run_id) if alone else None
        if run is None:
            return False
        if run.checks_ledger and run.ledger_checked_at is None and not check_ledger(run_id=run_id, progress=progress):
            return False
        while time.monotonic() < until:
            if not verify_next(at=timezone.now(), run_id=run_id):
                finish_run(at=timezone.now(), run_id=run_id)
                return False
        return True


@contextmanager
def _alone(run_id: UUID) -> Iterator[bool]:
    """Whether this process has the run to itself: a lock of its database session, which ends with the process."""
    key = int.from_bytes(run_id.bytes[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        (held,) = cursor.fetchone() or (False,)
    try:
        yield held
    finally:
        try:
            if held:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
        except Error:
            connection.close()  # the lock goes with the session


def _begun(run_id: UUID) -> Run | None:
    """The run, running; None when it is over."""
    with transaction.atomic():
        run = Run.objects.select_for_update().select_related("requested_by").get(pk=run_id)
        if may_become(run, State.RUNNING):
            run.state, run.started_at = State.RUNNING, timezone.now()
            run.total = items_of(run).count()
            run.save(update_fields=["state", "started_at", "total"])
        return run if run.state == State.RUNNING else None


def check_ledger(*, run_id: UUID, progress: verify.Progress = lambda *_: None) -> bool:
    """Check the whole ledger for a run, keeping the first faults; False when the run was stopped meanwhile.

    Killed in between it begins anew: half a tree proves nothing.
    """
    run = Run.objects.select_related("requested_by").get(pk=run_id)
    going = Run.objects.filter(pk=run_id, state=State.RUNNING)
    found: list[dict[str, str]] = []
    count, written, stopped = 0, 0.0, False

    def persist(done: int, total: int) -> None:
        nonlocal written, stopped
        progress(done, total)
        if time.monotonic() - written >= PERSIST_EVERY or done == total:
            written = time.monotonic()
            stopped = not going.update(ledger_done=done, ledger_total=total)

    for fault in verify.faults(persist):
        count += 1
        if len(found) < MOST_FAULTS:
            found.append({"where": fault.where, "what": fault.what})
        if stopped:
            return False
    for event in lost_receptions(run).iterator(chunk_size=100):
        count += 1
        if len(found) < MOST_FAULTS:
            found.append({"where": f"item {_accession_of(event)}", "what": "was received and is no longer there"})
    for consent, what in consent_faults():
        count += 1
        if len(found) < MOST_FAULTS:
            found.append({"where": f"consent {consent}", "what": what})
    return bool(going.update(ledger_checked_at=timezone.now(), ledger_faults=found, ledger_fault_count=count))


def verify_next(*, at: datetime, run_id: UUID) -> bool:
    """Verify the next item of a run, as its requester. False when none is left or the run is no longer running."""
    run = Run.objects.select_related("requested_by").get(pk=run_id)
    if run.state != State.RUNNING:
        return False
    items = items_of(run)
    item = (items.filter(pk__gt=run.cursor) if run.cursor else items).first()
    if item is None:
        return False
    finding = find(item)
    with acting():
        held = Run.objects.select_for_update().get(pk=run_id)
        if held.state != State.RUNNING or held.cursor != run.cursor:
            return False
        check = record_finding(by=run.requested_by, at=at, accession=item.accession, finding=finding)
        result = RunResult.objects.create(
            run=held,
            item=item,
            accession=item.accession,
            outcome=check.outcome,
            detail=check.detail,
            at=at,
            check_id=check.id,
        )
        held.cursor, held.done, held.failed = item.pk, held.done + 1, held.failed + (not result.good)
        held.save(update_fields=["cursor", "done", "failed"])
    return True


def finish_run(*, at: datetime, run_id: UUID) -> Run:
    """Close a run that has nothing left to check, with its summary in the ledger. A run that is over stays as it is."""
    with acting():
        run = Run.objects.select_for_update(of=("self",)).select_related("requested_by").get(pk=run_id)
        items = items_of(run)
        if not may_become(run, State.FINISHED) or (items.filter(pk__gt=run.cursor) if run.cursor else items).exists():
            return run
        run.state, run.finished_at = State.FINISHED, at
        run.save(update_fields=["state", "finished_at"])
        head = newest_checkpoint()
        _record_run(
            Type.VERIFY_LEDGER,
            run,
            by=run.requested_by,
            at=at,
            outcome=Outcome.SUCCESS if run.is_clean else Outcome.FAILURE,
            to={
                "state": State.FINISHED.value,
                "items": run.done,
                "failed": run.failed,
                "unreached": run.unreached,
                "ledger_faults": run.ledger_fault_count,
                "checkpoint": {"size": head.size, "root": bytes(head.root).hex()} if head else None,
            },
        )
        return run


def fail_run(*, at: datetime, run_id: UUID, problem: str) -> Run:
    """Give a run up whose work failed again and again; what it verified stays. `problem` is the name of an error."""
    with acting():
        run = Run.objects.select_for_update(of=("self",)).select_related("requested_by").get(pk=run_id)
        if may_become(run, State.FAILED):
            run.state, run.finished_at, run.problem = State.FAILED, at, problem[:300]
            run.save(update_fields=["state", "finished_at", "problem"])
            _record_run(
                Type.VERIFY_LEDGER,
                run,
                by=run.requested_by,
                at=at,
                outcome=Outcome.FAILURE,
                to={"state": State.FAILED.value, "items": run.done, "failed": run.failed},
            )
        return run


def read_trail(
    *, by: User, at: datetime, subject: Subject, compartment: UUID | None = None, copy: bool = False
) -> None:
    """Record that a trail is read: of an item, of a person, or one's look over the whole ledger (subject: oneself).

    Turning pages within five minutes is one reading; taking a copy (CSV, print) is always one of its own. The caller
    has fetched the subject by its permission. Raises Refused.
    """
    with acting():
        require_anywhere(by, "trail.view")
        kind = f"trail:{subject.kind}"
        since = at.timestamp() - ONE_READING
        recent = EventSubject.objects.filter(
            kind=kind, subject_id=subject.id, at__gt=datetime.fromtimestamp(since, at.tzinfo)
        )
        if (
            not copy
            and Event.objects.filter(type=Type.READ_TRAIL, agent_id=by.id, pk__in=recent.values("event_id")).exists()
        ):
            return
        record(
            Type.READ_TRAIL,
            by=by,
            at=at,
            compartment=compartment,
            subjects=[subject, Subject(kind, subject.id)],
            fields={"purpose": "copy" if copy else "reading"},
        )


def set_schedule(*, by: User, at: datetime, compartment_id: UUID, fields: Mapping[str, Any]) -> Schedule:
    """Give a compartment a sweep schedule of its own. `fields`: cycle_days, first_hour, last_hour, paused, reason.

    Raises NotVisible, Refused, ValidationError naming each wrong field.
    """
    with acting():
        compartment = require_compartment(by, "schedule.set", compartment_id)
        before = Schedule.objects.select_for_update().filter(pk=compartment.pk).first()
        plan = plans([compartment])[compartment.pk]
        was = _planned(plan)
        made = before or Schedule(compartment=compartment)
        for name in PLANNED:
            setattr(made, name, fields[name])
        made.reason, made.set_by, made.set_at = str(fields.get("reason", "")).strip(), by, at
        made.full_clean(validate_unique=False)
        made.save()
        _record_schedule(made, by=by, at=at, was=was, now={name: getattr(made, name) for name in PLANNED})
        return made


def clear_schedule(*, by: User, at: datetime, compartment_id: UUID, reason: str) -> None:
    """Let a compartment follow the archive's plan again. Raises NotVisible, Refused, ValidationError, NotNow."""
    with acting():
        compartment = require_compartment(by, "schedule.set", compartment_id)
        made = Schedule.objects.select_for_update().filter(pk=compartment.pk).first()
        if made is None:
            raise NotNow(_("This compartment follows the archive’s plan already."))
        made.reason = reason.strip()
        made.clean_fields(exclude=["set_by"])
        was = _planned(plans([compartment])[compartment.pk])
        Schedule.objects.filter(pk=compartment.pk).delete()
        _record_schedule(made, by=by, at=at, was=was, now=_planned(plans([compartment])[compartment.pk]))


def _planned(plan: Plan) -> dict[str, Any]:
    return {
        "cycle_days": plan.cycle.days,
        "first_hour": plan.first_hour,
        "last_hour": plan.last_hour,
        "paused": plan.paused,
    }


def _record_schedule(made: Schedule, *, by: User, at: datetime, was: dict[str, Any], now: dict[str, Any]) -> None:
    record(
        Type.POLICY,
        by=by,
        at=at,
        compartment=made.compartment_id,
        subjects=[Subject("compartment", made.compartment_id)],
        fields={"object": {"policy": "sweep schedule"}, "from": was, "to": now, "note": made.reason},
    )


def _selected(by: User, scope: str, accessions: Sequence[str]) -> tuple[list[str], UUID | None]:
    """The accession numbers without repetition, and the compartment where they all lie in one."""
    wanted = sorted({accession.strip() for accession in accessions if accession.strip()})
    if not wanted:
        raise ValidationError({"accessions": _("Name at least one item by its accession number.")})
    if scope == Scope.ONE and len(wanted) != 1:
        raise ValidationError({"accessions": _("Name exactly one item.")})
    if len(wanted) > MOST_SELECTED:
        raise ValidationError(
            {
                "accessions": _("At most %(most)s items at once; choose the compartment instead.")
                % {"most": MOST_SELECTED}
            }
        )
    items = Item.objects.filter(accession__in=wanted)
    found = dict(permitted(by, "item.verify", items).values_list("accession", "compartment_id"))
    unknown = [accession for accession in wanted if accession not in found]
    if unknown:
        raise ValidationError(
            {
                "accessions": _("There is no item %(accession)s that you may verify.")
                % {"accession": ", ".join(accession[:40] for accession in unknown[:5])}
            }
        )
    places = set(found.values())
    return wanted, places.pop() if len(places) == 1 else None


def _accession_of(event: Event) -> str:
    """The accession number a reception was recorded with, or the event where its values do not open."""
    try:
        return str(opened([event.id])[event.id]["object"][1]["accession"])
    except (SealBroken, KeyError, TypeError):
        return f"of event {event.id}"


def _record_run(
    type: Type, run: Run, *, by: User, at: datetime, to: dict[str, Any], outcome: Outcome = Outcome.SUCCESS
) -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=run.compartment_id,
        subjects=[Subject("run", run.id)],
        outcome=outcome,
        fields={"object": {"scope": run.scope, "selected": len(run.accessions)}, "to": to},
    )

"""What the audit desk shows: coverage, the state of the ledger, what is missing. Accession numbers, never titles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, IntegerField, Max, Min, OuterRef, Q, QuerySet, When
from django.utils import timezone

from accounts.models import Compartment, User
from accounts.permissions import compartments, permitted
from custody.alarm import alarms
from custody.keys import KeyProblem
from custody.ledger_keys import LedgerKey, ledger_keys
from custody.models import Checkpoint, Entry, Event, EventSubject, Pending
from custody.proof import newest_checkpoint
from custody.scrub import VALUES, Result, last_result
from custody.sequencer import tree_size
from custody.signer import HEARTBEAT
from custody.vocabulary import Outcome, Type
from evidence.models import Item
from evidence.vocabulary import FixityOutcome
from verification.alarms import ToldAlarm, told
from verification.models import Run, RunResult
from verification.vocabulary import Figure, Scope

FAILED = [
    FixityOutcome.CHANGED,
    FixityOutcome.MISSING,
    FixityOutcome.UNREADABLE,
    FixityOutcome.RECORD,
    FixityOutcome.LEDGER,
]
ASLEEP = 2 * HEARTBEAT


@dataclass(frozen=True)
class Coverage:
    """The figures of one compartment, or of all the reader sees (compartment None). Counts of items."""

    compartment: Compartment | None
    figures: dict[Figure, int]
    oldest: datetime | None

    @property
    def total(self) -> int:
        return self.figures[Figure.ALL]


@dataclass(frozen=True)
class LedgerState:
    """What anybody can compare: size, head, keys; and how the ledger is watched.

    `asleep`: no head was signed for longer than the heartbeat allows. `key` is the one that signs, if there is one.
    """

    size: int
    pending: int
    checkpoint: Checkpoint | None
    root: str
    key: LedgerKey | None
    keys: Sequence[LedgerKey]
    alarms: Sequence[ToldAlarm]
    asleep: bool
    heartbeat: datetime | None
    cadence: timedelta
    scrub: Result | None
    values: Result | None


def condition(figure: Figure, now: datetime) -> Q:
    """The items that a figure counts."""
    if figure in (Figure.WEEK, Figure.MONTH, Figure.QUARTER):
        since = now - timedelta(days=int(figure))
        return Q(last_outcome=FixityOutcome.OK, last_verified_at__gte=since)
    if figure == Figure.OLDER:
        return Q(last_outcome=FixityOutcome.OK, last_verified_at__lt=now - timedelta(days=90))
    if figure == Figure.NEVER:
        return Q(last_verified_at__isnull=True)
    if figure == Figure.FAILED:
        return Q(last_outcome__in=FAILED)
    if figure == Figure.PENDING:
        return Q(pk__in=_waiting_receptions())
    return Q()


def _waiting_receptions() -> QuerySet[EventSubject, UUID]:
    """The items whose reception no signed head covers yet. Both tables asked are short: what waits is seconds old."""
    head = newest_checkpoint()
    waiting = Pending.objects.values("event_id").union(
        Entry.objects.filter(index__gte=head.size if head else 0).values("event_id"), all=True
    )
    receptions = Event.objects.filter(pk__in=waiting, type=Type.RECEIVE)
    return EventSubject.objects.filter(kind="item", event_id__in=receptions.values("pk")).values_list(
        "subject_id", flat=True
    )


def verifiable(user: User) -> QuerySet[Item]:
    """The items a person may verify."""
    return permitted(user, "item.verify", Item.objects.all())


def covered(user: User) -> QuerySet[Item]:
    """The items that figures count: an erased one has nothing to verify, and counts where its absence is a fault."""
    return verifiable(user).filter(Q(erased_at__isnull=True) | Q(last_outcome__in=FAILED))


def behind(user: User, figure: Figure, compartment: Compartment | None) -> QuerySet[Item]:
    """The items behind a figure, by accession number."""
    items = covered(user).filter(condition(figure, timezone.now()))
    if compartment is not None:
        items = items.filter(compartment=compartment)
    return items.select_related("compartment").order_by("accession")


def coverage(user: User) -> list[Coverage]:
    """One row for each compartment in which the person verifies items; empty compartments too."""
    now = timezone.now()
    counts: dict[str, Any] = {f"figure_{figure.name}": Count("pk", filter=condition(figure, now)) for figure in Figure}
    counts["figure_ALL"] = Count("pk")
    checked = Q(last_outcome=FixityOutcome.OK)
    rows = (
        covered(user)
        .order_by()
        .values("compartment_id")
        .annotate(**counts, oldest=Min("last_verified_at", filter=checked))
    )
    found: dict[UUID, Any] = {row["compartment_id"]: row for row in rows}
    result = []
    for compartment in compartments(user, "item.verify"):
        row = found.get(compartment.pk)
        figures = {figure: row[f"figure_{figure.name}"] if row else 0 for figure in Figure}
        result.append(Coverage(compartment, figures, row["oldest"] if row else None))
    return result


def summed(rows: list[Coverage]) -> Coverage:
    """The same figures over all rows."""
    figures = {figure: sum(row.figures[figure] for row in rows) for figure in Figure}
    return Coverage(None, figures, min((row.oldest for row in rows if row.oldest), default=None))


def ledger_state() -> LedgerState:
    """The ledger as it stands now."""
    head = newest_checkpoint()
    try:
        keys = ledger_keys()
    except KeyProblem:
        keys = ()  # head.signed_at and the alarms tell what is wrong
    return LedgerState(
        size=tree_size(),
        pending=Pending.objects.count(),
        checkpoint=head,
        root=bytes(head.root).hex() if head else "",
        key=next((key for key in reversed(keys) if key.signs), None),
        keys=keys,
        alarms=told(alarms()),
        asleep=head is None or timezone.now() - head.signed_at > ASLEEP,
        heartbeat=Checkpoint.objects.filter(heartbeat=True).aggregate(last=Max("signed_at"))["last"],
        cadence=HEARTBEAT,
        scrub=last_result(),
        values=last_result(VALUES),
    )


def runs_seen(user: User) -> QuerySet[Run]:
    """The runs a person may see, newest first."""
    return permitted(user, "run.view", Run.objects.select_related("compartment", "requested_by"))


def results_seen(user: User, run: Run) -> QuerySet[RunResult]:
    """What a run found of the items a person may see: what failed first, then by accession number."""
    bad = Case(When(outcome__in=FAILED, then=0), default=1, output_field=IntegerField())
    return (
        permitted(user, "runresult.view", RunResult.objects.filter(run=run))
        .annotate(bad=bad)
        .order_by("bad", "accession")
    )


def items_of(run: Run) -> QuerySet[Item]:
    """The items a run checks, in its order: those its requester may verify at this moment, received before it."""
    items = verifiable(run.requested_by).filter(received_at__lte=run.requested_at).order_by("pk")
    if run.scope == Scope.LEDGER:
        return items.none()
    if run.scope == Scope.COMPARTMENT:
        return items.filter(compartment=run.compartment_id)
    if run.scope == Scope.EVERYTHING:
        return items
    return items.filter(accession__in=run.accessions)


def lost_receptions(run: Run) -> QuerySet[Event]:
    """Receptions in the ledger, in the compartments of a run, whose item is not in the archive any more."""
    item = Item.objects.filter(pk=OuterRef("subject_id"))
    lost = EventSubject.objects.filter(~Exists(item), kind="item", event_id=OuterRef("pk"))
    receptions = Event.objects.filter(Exists(lost), type=Type.RECEIVE, outcome=Outcome.SUCCESS)
    if run.scope == Scope.COMPARTMENT:
        receptions = receptions.filter(compartment_id=run.compartment_id)
    return permitted(run.requested_by, "entry.view", receptions)

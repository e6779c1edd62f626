"""Sweeps: every item is verified again within its compartment's cycle, without anybody asking.

1. What was never verified comes first, the oldest reception before the others; then what was verified longest ago.
   Reception reads everything back itself, so an item is due for the first time SETTLED after it.
2. Items are dealt out to lanes by their key. A lane is one job at a time over all hosts (its lock in the queue), so no
   two workers read the same item, and a lane whose worker was killed goes on where the records of its items stand:
   there is no other state.
3. The bytes are read outside any transaction; the check and its custody event are one act (evidence.actions).
4. Findings of a store that is away are not findings about items: after AWAY of them in a row a lane stops and waits.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Func, IntegerField, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.permissions import compartments, permitted
from custody.engine import SYSTEM
from custody.keys import KeyAway
from evidence.actions import record_system_finding
from evidence.fixity import find
from evidence.models import FixityCheck, Item
from evidence.vocabulary import FixityOutcome
from verification.queries import FAILED
from verification.schedules import Plan, plans

log = logging.getLogger(__name__)
SETTLED = timedelta(days=1)
AGAIN = timedelta(days=1)  # until what could not be read is tried again, however long the cycle
UNREAD = (FixityOutcome.MISSING, FixityOutcome.UNREADABLE)
AWAY = 5  # items in a row
LOOKED_BACK = timedelta(days=7)
BATCH = 64


@dataclass(frozen=True)
class Stretch:
    """What one stretch of a lane did. `size`: bytes read. `more`: something is left. `away`: it gave up for now."""

    done: int
    failed: int
    size: int
    more: bool
    away: bool


class _Lane(Func):
    """The lane of a key among so many: the same on every host."""

    template = "(('x' || left(%(expressions)s::text, 7))::bit(28)::integer)"
    output_field = IntegerField()


def waiting(plan: Plan, at: datetime) -> list[QuerySet[Item]]:
    """The items of a compartment that are due, in groups, the most urgent first; each group in its order."""
    items = Item.objects.filter(compartment_id=plan.compartment.pk, erased_at__isnull=True)
    fresh = items.filter(last_verified_at__isnull=True, received_at__lt=at - SETTLED).order_by("received_at", "pk")
    unread = items.filter(last_outcome__in=UNREAD, last_verified_at__lt=at - min(AGAIN, plan.cycle))
    old = items.filter(last_verified_at__lt=at - plan.cycle).exclude(last_outcome__in=UNREAD)
    return [fresh, unread.order_by("last_verified_at", "pk"), old.order_by("last_verified_at", "pk")]


def due(plan: Plan, at: datetime) -> int:
    """How many items of a compartment are due, whether or not its hours let them be read now."""
    return sum(group.count() for group in waiting(plan, at))


def next_items(lane: int, lanes: int, at: datetime, besides: Sequence[Item] = ()) -> list[Item]:
    """The next items of a lane, at most BATCH, none of `besides`, out of the compartments that may be swept now."""
    found: list[Item] = []
    left_out = Q(pk__in=[item.pk for item in besides])
    for plan in plans().values():
        if plan.open_at(at):
            for group in waiting(plan, at):
                mine = group.annotate(lane=_Lane(F("pk")) % lanes).filter(lane=lane).exclude(left_out)
                found += mine.select_related("blob")[:BATCH]
    found.sort(key=lambda item: (item.last_verified_at is not None, item.last_verified_at or item.received_at))
    return found[:BATCH]


def work(*, lane: int, lanes: int, until: float) -> Stretch:
    """Verify what is due in a lane until nothing is or the monotonic clock reaches `until`."""
    done = failed = size = unread = 0
    unsigned: list[Item] = []  # their reception waits for a signature: nothing can be said of them yet
    while time.monotonic() < until:
        items = next_items(lane, lanes, timezone.now(), unsigned)
        if not items or len(unsigned) >= BATCH:
            return Stretch(done, failed, size, more=False, away=False)
        for item in items:
            try:
                finding = find(item)
            except KeyAway as problem:
                log.critical("%s: the sweep waits", problem)
                return Stretch(done, failed, size, more=True, away=True)
            size += item.size
            if finding.outcome == FixityOutcome.PENDING:
                unsigned.append(item)
            else:
                check = record_system_finding(at=timezone.now(), item_id=item.pk, finding=finding)
                done += 1
                if not finding.good:
                    failed += 1
                    log.error("a sweep found %s: %s", item.accession, check.outcome)
            unread = unread + 1 if finding.outcome in UNREAD else 0
            if unread >= AWAY:
                log.critical("%s items in a row could not be read: the store seems to be away; the sweep waits", AWAY)
                return Stretch(done, failed, size, more=True, away=True)
            if time.monotonic() >= until:
                break
    return Stretch(done, failed, size, more=True, away=False)


@dataclass(frozen=True)
class Swept:
    """One compartment: its plan, what is due, and what sweeps found of it lately."""

    plan: Plan
    due: int
    open: bool
    verified: int
    failed: int
    may_set: bool


def swept(user: User, at: datetime) -> list[Swept]:
    """One row for each compartment in which the person verifies items."""
    seen = list(compartments(user, "item.verify").order_by("code"))
    lately = permitted(user, "fixitycheck.view", FixityCheck.objects.filter(by_id=SYSTEM.id, at__gte=at - LOOKED_BACK))
    counts = lately.order_by().values("item__compartment_id")
    counted = counts.annotate(all=Count("pk"), bad=Count("pk", filter=Q(outcome__in=FAILED)))
    found = {row["item__compartment_id"]: row for row in counted}
    settable = set(compartments(user, "schedule.set").values_list("pk", flat=True))
    rows = []
    for plan in plans(seen).values():
        row = found.get(plan.compartment.pk)
        rows.append(
            Swept(
                plan,
                due(plan, at),
                plan.open_at(at),
                row["all"] if row else 0,
                row["bad"] if row else 0,
                plan.compartment.pk in settable,
            )
        )
    return rows

"""Which store lacks a copy of what: told when bytes arrive, are tested, read or reconciled; made up for by a job.

1. A wanted copy is a row, written in the transaction that finds it lacking (evidence.models.WantedCopy).
2. `evidence.replication` makes it from a good copy, reads it back and records it in the ledger.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone

from evidence import jobs, store
from evidence.models import WantedCopy
from evidence.store_shape import Store, Unreachable, digest_in, must_be_address
from evidence.vocabulary import CopyReason, FixityOutcome

log = logging.getLogger("evidence.copies")


@dataclass(frozen=True)
class Tested:
    """One copy, read whole and hashed: no outcome means that it is good."""

    store: str
    digest: str = ""
    outcome: FixityOutcome | None = None
    detail: str = ""
    repairable: bool = False

    @property
    def reason(self) -> CopyReason:
        return CopyReason(str(self.outcome.value)) if self.outcome else CopyReason.LATE


@dataclass(frozen=True)
class Lacking:
    """How many objects a store lacks for one reason, and since when the oldest."""

    store: str
    reason: str
    count: int
    since: datetime


def want_where_lacking(address: str, held: Sequence[str]) -> None:
    """Have the stores that do not hold new bytes get them. Call in the transaction that makes their row."""
    known = store.stores()
    if len(known) > 1:
        want([(address, one.name) for one in known if one.name not in held], CopyReason.LATE)


def want(copies: Sequence[tuple[str, str]], reason: CopyReason) -> None:
    """Ask for copies, each (address, store); what is wanted already stays as it is, but is tried again soon."""
    if not copies:
        return
    now = timezone.now()
    rows = [WantedCopy(address=address, store=name, reason=reason, next_try_at=now) for address, name in copies]
    WantedCopy.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["address", "store"],
        update_fields=["reason", "next_try_at"],
    )
    jobs.defer_copying()


def want_repairs(bad: Sequence[tuple[str, Tested]]) -> None:
    """Have bad copies replaced from a good one, where there is more than one store to have one."""
    if len(store.stores()) > 1:
        for address, one in bad:
            if one.repairable:
                want([(address, one.store)], one.reason)


def want_unless_wanted(copies: Sequence[tuple[str, str]], reason: CopyReason) -> None:
    """As `want`, but what is wanted already stays as it is, for its reason and at its time."""
    now = timezone.now()
    rows = [WantedCopy(address=address, store=name, reason=reason, next_try_at=now) for address, name in copies]
    if rows:
        WantedCopy.objects.bulk_create(rows, ignore_conflicts=True)
        jobs.defer_copying()


def look_at(address: str) -> None:
    """Have every copy of an object tested soon: somebody read bytes that were not good."""
    jobs.defer_looking(address)


def lacking() -> list[Lacking]:
    """Coverage: for each store and reason how many objects it lacks, and since when."""
    rows = WantedCopy.objects.values_list("store", "reason").annotate(count=Count("pk"), oldest=Min("since"))
    return [Lacking(*row) for row in rows.order_by("store", "reason")]


def test(address: str) -> list[Tested]:
    """Read and hash every copy that should be there, store by store. Raises ValueError for what is no address.

    A store that is still to get its copy is passed over. A good copy's lock is renewed where the store has one.
    """
    must_be_address(address)
    late = set(WantedCopy.objects.filter(address=address, reason=CopyReason.LATE).values_list("store", flat=True))
    return [_test(one, address) for one in store.stores() if one.name not in late]


def words(tested: Iterable[Tested]) -> str:
    """What is wrong, each with the name of its store where there are several."""
    bad = [one for one in tested if one.outcome]
    if len(store.stores()) == 1:
        return bad[0].detail
    return "; ".join(f"{one.store}: {one.detail}" for one in bad)


def _test(one: Store, address: str) -> Tested:
    try:
        found = digest_in(one, address)
    except store.Missing:
        return Tested(one.name, "", FixityOutcome.MISSING, f"no bytes stand at {address}", repairable=True)
    except Unreachable as problem:
        store.rest(one)
        return Tested(one.name, "", FixityOutcome.UNREADABLE, str(problem))
    except store.StoreProblem as problem:
        return Tested(one.name, "", FixityOutcome.UNREADABLE, str(problem), repairable=True)
    if found != address:
        detail = f"the bytes at {address} now have SHA-256 {found}"
        return Tested(one.name, found, FixityOutcome.CHANGED, detail, repairable=True)
    try:
        one.renew(address)
    except store.StoreProblem as problem:
        log.warning("the lock of an object in %s was not renewed: %s", one.name, problem)
    return Tested(one.name, found)

"""Rows and bytes against each other: every row has its bytes in every store, and every object has a row or is young.

All are read once, in the order of addresses, beside each other: memory does not grow with the archive.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import merge
from itertools import groupby
from pathlib import Path

from django.conf import settings

from evidence import copies, staging, store
from evidence.models import Blob
from evidence.store_shape import Held, Store, StoreProblem
from evidence.vocabulary import CopyReason

log = logging.getLogger("evidence.reconcile")
STAGING_LIFE = timedelta(hours=24)  # longer than any reception takes
BATCH = 2000


@dataclass
class Reconciled:
    """What was found: rows without bytes are named and never touched; leftovers are counted in objects."""

    rows: int = 0
    without_bytes: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)
    staging: list[str] = field(default_factory=list)
    removed: int = 0
    kept_by_a_lock: int = 0
    lacking: Counter[str] = field(default_factory=Counter)  # by store: what another store has
    not_listed: list[str] = field(default_factory=list)  # stores that could not be read to their end


@dataclass(frozen=True, order=True)
class _Seen:
    """One line of the merged lists: a row (place -1) or an object of the store at a place."""

    address: str
    place: int
    size: int
    modified: float


def reconcile(*, remove: bool, older_than: timedelta = STAGING_LIFE) -> Reconciled:
    """Compare the stores with the database. With `remove`, leftovers older than the limit are deleted, and stores that
    lack what another one has are given it by a job.

    Only what no row names is ever deleted: bytes of receptions that were killed before their item was recorded.
    """
    found = Reconciled()
    before = time.time() - older_than.total_seconds()
    known = store.stores()
    rows = Blob.objects.exclude(wrapped_key=b"").order_by("address").values_list("address", "size")
    # Closed here, whatever happens: a cursor that is closed by the garbage collector within another query never ends.
    with closing(rows.iterator(chunk_size=BATCH)) as named:  # type: ignore[type-var]
        _compare(named, known, before, remove, found)
    _unfinished(known, before, remove, found)
    return found


def _compare(
    rows: Iterable[tuple[str, int]], known: tuple[Store, ...], before: float, remove: bool, found: Reconciled
) -> None:
    # The rows first: whatever has a row by then had its bytes before.
    named = (_Seen(address, -1, size, 0.0) for address, size in rows)
    lists = [named, *(_objects(place, one, found) for place, one in enumerate(known))]
    wanted = _Wanted(remove)
    for address, group in groupby(merge(*lists), key=lambda seen: seen.address):
        seen = {one.place: one for one in group}
        row = seen.pop(-1, None)
        if row is None:
            _leftover(address, seen, before, remove, found)
            continue
        found.rows += 1
        good = {place for place, one in seen.items() if one.size == row.size}
        if not good and not found.not_listed and not _stands(address, row.size):
            if blob := Blob.objects.exclude(wrapped_key=b"").filter(address=address).first():
                found.without_bytes.append(_name(blob))
            continue
        for place, one in enumerate(known):
            if good and place not in good and one.name not in found.not_listed:
                found.lacking[one.name] += 1
                wanted.add(address, one, CopyReason.CHANGED if place in seen else CopyReason.MISSING)
    wanted.ask()


class _Wanted:
    """Wishes for copies, asked for in batches."""

    def __init__(self, remove: bool) -> None:
        self._does, self._waiting = remove, dict[CopyReason, list[tuple[str, str]]]()

    def add(self, address: str, one: Store, reason: CopyReason) -> None:
        waiting = self._waiting.setdefault(reason, [])
        waiting.append((address, one.name))
        if len(waiting) >= BATCH:
            self.ask()

    def ask(self) -> None:
        for reason, waiting in self._waiting.items():
            if self._does:
                copies.want_unless_wanted(waiting, reason)
        self._waiting = {}


def _objects(place: int, one: Store, found: Reconciled) -> Iterator[_Seen]:
    """What a store lists. Of one that breaks off nothing more is known: what it lacks is not concluded."""
    try:
        for address, size, modified in one.entries():
            yield _Seen(address, place, size, modified)
    except StoreProblem as problem:
        log.error("store %s could not be listed: %s", one.name, problem)
        found.not_listed.append(one.name)


def _leftover(address: str, seen: dict[int, _Seen], before: float, remove: bool, found: Reconciled) -> None:
    # An erased blob's bytes are nobody's: a file put back from a backup goes with the other leftovers.
    held = Blob.objects.exclude(wrapped_key=b"").filter(address=address)
    if any(one.modified >= before for one in seen.values()) or held.exists():
        return
    found.without_row.append(address)
    if remove:
        try:
            store.remove(address)
        except store.Locked:
            found.kept_by_a_lock += 1
        except StoreProblem as problem:
            log.error("a leftover could not be deleted: %s", problem)
        else:
            found.removed += 1


def _unfinished(known: tuple[Store, ...], before: float, remove: bool, found: Reconciled) -> None:
    paths = [path for path in Path(settings.SANAD_STAGING).glob("*") if path.suffix in staging.SUFFIXES]
    old = [path for path in paths if _older(path, before)]
    for path in sorted(set(old) - staging.still_held(old)):
        found.staging.append(path.name)
        if remove:
            path.unlink(missing_ok=True)
            found.removed += 1
    for one in known:
        if remove and one.name not in found.not_listed:
            try:
                found.removed += one.sweep(before)
            except StoreProblem as problem:
                log.error("unfinished writes in %s could not be taken away: %s", one.name, problem)


def _stands(address: str, size: int) -> bool:
    """Asked anew before bytes are called missing: a list may lag behind what is there."""
    for one in store.stores():
        with suppress(StoreProblem, ValueError):
            held: Held | None = one.stat(address)
            if held is not None and held.size == size:
                return True
    return False


def _name(blob: Blob) -> str:
    if hasattr(blob, "item"):
        return blob.item.accession
    if hasattr(blob, "derivative"):
        return f"{blob.derivative.item.accession} ({blob.derivative.purpose})"
    return str(blob.pk)


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False

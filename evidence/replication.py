"""Making wanted copies: from a good one, read back, and recorded. Bytes that are not good are never a source.

1. A good copy is read from another store, hashed on the way into staging; one that is not good is no source.
2. It is put where it lacks, or in the place of bad bytes, which stay aside for an expert; then it is read back.
3. One transaction records it and takes the wish away. Killed anywhere before, the job does it again: nothing differs.
4. Of what was erased meanwhile the copy is taken away again.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.utils import timezone

from custody.engine import SYSTEM, Subject, acting, record
from custody.vocabulary import Type
from evidence import copies, store
from evidence.actions import record_system_finding
from evidence.fixity import find
from evidence.models import Blob, Derivative, Item, WantedCopy
from evidence.store_shape import READ, Store, StoreProblem, digest_in
from evidence.vocabulary import CopyReason

log = logging.getLogger("evidence.replication")
BATCH = 200
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=6)


def make_copies(*, until: float) -> bool:
    """Work on the wanted copies that are due until a monotonic moment. True when there is more to do at once."""
    while True:
        due = WantedCopy.objects.filter(next_try_at__lte=timezone.now()).order_by("next_try_at", "id")
        batch = list(due[:BATCH])
        if not batch:
            return False
        for want in batch:
            if time.monotonic() >= until:
                return True
            make(want)


def make(want: WantedCopy, *, first: str = "") -> bool:
    """Make one copy; False when it could not be made now: it is tried again, with growing pauses.

    `first` names the store to read, if it has a good copy.
    """
    if not _still_wanted(want):
        want.delete()
        return True
    try:
        target = store.named(want.store)
        there = target.stat(want.address)
        if there is not None and _good(target, want.address):
            if want.reason != CopyReason.LATE and not want.started:
                want.delete()  # it was good all the time: nothing was repaired
                return True
            source, aside = "", ""
        else:
            WantedCopy.objects.filter(pk=want.pk).update(started=True)
            source, aside = carry(want.address, target, first=first)
    except StoreProblem as problem:
        log.warning("a copy in %s could not be made: %s", want.store, problem)
        pause = min(FIRST_PAUSE * 2 ** min(want.tries, 20), LONGEST_PAUSE)
        WantedCopy.objects.filter(pk=want.pk).update(
            tries=want.tries + 1, next_try_at=timezone.now() + pause, problem=str(problem)[:200]
        )
        return False
    item_id = record_copy(at=timezone.now(), want_id=want.pk, source=source, aside=aside)
    if item_id is None:
        with suppress(StoreProblem):
            store.named(want.store).remove(want.address)
    elif want.reason != CopyReason.LATE:
        check(item_id)
    return True


def carry(address: str, target: Store, *, first: str = "") -> tuple[str, str]:
    """Bring a good copy into a store that has none and read it back: (its source, where bad bytes were put aside).

    Raises StoreProblem, also when no other store has a good copy.
    """
    there = target.stat(address)
    with _fetched(address, besides=target, first=first) as (path, source):
        aside = target.replace(path, address) if there is not None else ""
        if there is None:
            target.put(path, address)
        if digest_in(target, address) != address:
            raise StoreProblem(f"{target.name} gave back other bytes than it was given")
    return source, aside


def record_copy(*, at: datetime, want_id: int, source: str, aside: str) -> UUID | None:
    """Record a copy that was made and read back. The item it belongs to; None when the object was erased meanwhile."""
    with acting():
        want = WantedCopy.objects.select_for_update().filter(pk=want_id).first()
        if want is None:
            return None
        blob = _standing(want.address)
        item = _item_of(blob, lock=True) if blob else None
        if blob is None or _standing(want.address) is None:  # an erasure holds the item until it is done
            want.delete()
            return None
        record(
            Type.REPLICATE if want.reason == CopyReason.LATE else Type.REPAIR,
            by=SYSTEM,
            at=at,
            compartment=item.compartment_id if item else None,
            subjects=[Subject("item", item.id) if item else Subject("blob", blob.id)],
            fields={
                "object": {
                    "stored_sha256": want.address,
                    "store": want.store,
                    "reason": want.reason,
                    "source": source or None,
                    "aside": aside or None,
                }
            },
        )
        want.delete()
        return item.id if item else blob.id


def look(address: str) -> None:
    """Test every copy of an object because somebody read bad bytes; what is found stands in the ledger."""
    blob = _standing(address)
    item = _item_of(blob) if blob else None
    if item is not None:
        check(item.id)
    elif blob is not None:
        copies.want_repairs([(address, one) for one in copies.test(address)])


def check(item_id: UUID) -> None:
    """Test an item as the archive itself, and record it."""
    item = Item.objects.filter(pk=item_id, erased_at__isnull=True).first()
    if item is not None:
        record_system_finding(at=timezone.now(), item_id=item.pk, finding=find(item))


def _still_wanted(want: WantedCopy) -> bool:
    named = {one.name for one in store.stores()}
    return want.store in named and _standing(want.address) is not None


def _standing(address: str) -> Blob | None:
    return Blob.objects.exclude(wrapped_key=b"").filter(address=address).first()


def _item_of(blob: Blob, *, lock: bool = False) -> Item | None:
    made = Derivative.objects.filter(blob=blob).values_list("item_id", flat=True).first()
    rows: Any = Item.objects.select_for_update(of=("self",)) if lock else Item.objects.all()
    found: Item | None = rows.filter(pk=made).first() if made else rows.filter(blob=blob).first()
    return found


def _good(one: Store, address: str) -> bool:
    try:
        return digest_in(one, address) == address
    except store.Unreachable:
        raise
    except StoreProblem:
        return False


@contextmanager
def _fetched(address: str, *, besides: Store, first: str) -> Iterator[tuple[Path, str]]:
    """A good copy as a file in staging, durably, with the store it came from. Raises StoreProblem."""
    path = Path(settings.SANAD_STAGING) / f"{uuid4()}.part"
    problems: list[StoreProblem] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in sorted(store.order(), key=lambda one: one.name != first):
            if one.name == besides.name:
                continue
            try:
                _fetch(one, address, path)
            except StoreProblem as problem:
                problems.append(problem)
                continue
            yield path, one.name
            return
    except OSError as problem:
        raise StoreProblem(f"staging has no room or cannot be written: {problem.strerror}") from problem
    finally:
        path.unlink(missing_ok=True)
    raise StoreProblem("no other store has a good copy: " + "; ".join(map(str, problems)))


def _fetch(one: Store, address: str, path: Path) -> None:
    hasher = hashlib.sha256()
    with one.open(address) as handle, path.open("wb") as staged:
        path.chmod(0o600)
        while piece := handle.read(READ):
            hasher.update(piece)
            staged.write(piece)
        staged.flush()
        os.fsync(staged.fileno())
    if hasher.hexdigest() != address:
        raise StoreProblem(f"{one.name} has other bytes there")

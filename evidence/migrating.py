"""From one store to another: everything that a row names, each copy hashed, read back and recorded."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby

from evidence import copies, replication
from evidence.models import Blob, WantedCopy
from evidence.store_shape import Missing, Store, StoreProblem, Unreachable, digest_in
from evidence.vocabulary import CopyReason

BATCH = 2000
ROW, OBJECT = 0, 1


@dataclass
class Copied:
    """What became of every object that a row names."""

    objects: int = 0
    there: int = 0
    verified: int = 0
    copied: int = 0
    replaced: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def copy_all(source: Store, target: Store, *, verify: bool, tell: Callable[[int], object]) -> Copied:
    """Fill a store from another one; where the source is bad, any good copy will do. `tell` hears of each object.

    What stands in the target with the right size is passed over, or with `verify` read and hashed. Raises Unreachable
    when a store stops to answer: everything until then is done, and the next run goes on.
    """
    done = Copied()
    rows = Blob.objects.exclude(wrapped_key=b"").order_by("address").values_list("address", "size")
    # Closed here, whatever happens: a cursor that is closed by the garbage collector within another query never ends.
    with closing(rows.iterator(chunk_size=BATCH)) as found:  # type: ignore[type-var]
        _copy_named(found, source, target, verify, tell, done)
    return done


def _copy_named(
    rows: Iterable[tuple[str, int]],
    source: Store,
    target: Store,
    verify: bool,
    tell: Callable[[int], object],
    done: Copied,
) -> None:
    named = ((address, ROW, size) for address, size in rows)
    standing = ((held.address, OBJECT, held.size) for held in target.entries())
    for address, group in groupby(merge(named, standing), key=lambda seen: seen[0]):
        sizes = {kind: size for _, kind, size in group}
        if ROW not in sizes:
            continue
        done.objects += 1
        stands = sizes.get(OBJECT) == sizes[ROW]
        if stands and verify:
            done.verified += 1
            stands = _good(target, address)
        if stands:
            done.there += 1
        else:
            _copy(source, target, address, OBJECT in sizes, done)
        tell(1)


def _copy(source: Store, target: Store, address: str, stood: bool, done: Copied) -> None:
    copies.want_unless_wanted([(address, target.name)], CopyReason.CHANGED if stood else CopyReason.LATE)
    want = WantedCopy.objects.filter(address=address, store=target.name).first()
    if want is None or replication.make(want, first=source.name):
        done.replaced += stood
        done.copied += not stood
        return
    want = WantedCopy.objects.filter(pk=want.pk).first()
    done.failed.append((address, want.problem if want else ""))
    target.stat(address)  # a store that does not answer stops the run; one bad object does not


def _good(one: Store, address: str) -> bool:
    try:
        return digest_in(one, address) == address
    except Unreachable:
        raise
    except (Missing, StoreProblem):
        return False

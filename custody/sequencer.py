"""The sequencer: gives committed events their contiguous index and grows the tree.

1. One sequencer at a time: a transaction-level advisory lock; a second one waits its turn and finds nothing to do.
2. It takes the rows that are *visible*, never "id above the last": sequence order is not commit order.
3. Entries, tiles and the removal of the pending rows are one transaction: a kill leaves all or nothing.
"""

from collections.abc import Iterator

from django.db import connection, transaction
from django.db.models import Max

from custody.models import Entry, Event, Pending, Tile
from ledger.entry import leaf_hash
from ledger.grow import new_tiles
from ledger.merkle import TILE_WIDTH, ProofError

LOCK = 0x53414E4144  # "SANAD"
BATCH = 4096


class LedgerBroken(Exception):
    """The stored ledger cannot be continued. The message says where it broke; nothing was written."""


def tree_size() -> int:
    """How many entries the tree has."""
    highest = Entry.objects.aggregate(highest=Max("index"))["highest"]
    return 0 if highest is None else highest + 1


def read_tile(level: int, index: int) -> bytes:
    """The stored hashes of a tile, empty when there is none yet."""
    hashes = Tile.objects.filter(level=level, index=index).values_list("hashes", flat=True).first()
    return bytes(hashes) if hashes is not None else b""


def sequence_once() -> int:
    """Give one batch of pending events their index. Returns how many; 0 when nothing was pending.

    Raises LedgerBroken when an event vanished before it had a place, or the stored tree is too short to grow.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        pending = list(Pending.objects.order_by("pk").values_list("pk", "event_id")[:BATCH])
        if not pending:
            return 0
        bytes_of = {
            event_id: bytes(entry)
            for event_id, entry in Event.objects.filter(pk__in=[event_id for _, event_id in pending]).values_list(
                "pk", "entry"
            )
        }
        lost = next((event_id for _, event_id in pending if event_id not in bytes_of), None)
        if lost is not None:
            raise LedgerBroken(f"event {lost} is pending and its row is gone")
        size = tree_size()
        rows = [
            Entry(index=size + offset, event_id=event_id, entry=entry, leaf_hash=leaf_hash(entry))
            for offset, (event_id, entry) in enumerate((event_id, bytes_of[event_id]) for _, event_id in pending)
        ]
        with cursor.copy("COPY custody_entry (index, event_id, entry, leaf_hash) FROM STDIN") as copy:
            for row in rows:
                copy.write_row((row.index, row.event_id, row.entry, row.leaf_hash))
        try:
            grown = new_tiles(size, [bytes(row.leaf_hash) for row in rows], read_tile)
        except ProofError as problem:
            raise LedgerBroken(f"the tree cannot grow: {problem}") from None
        Tile.objects.bulk_create(
            [Tile(level=level, index=index, hashes=hashes) for (level, index), hashes in grown.items()],
            update_conflicts=True,
            unique_fields=["level", "index"],
            update_fields=["hashes"],
        )
        Pending.objects.filter(pk__in=[pk for pk, _ in pending]).delete()
    return len(rows)


def drain() -> int:
    """Sequence until nothing is pending. Returns how many events were given an index."""
    return sum(iter(sequence_once, 0))


def entries(start: int, stop: int) -> Iterator[Entry]:
    """Entries by index, streamed; both ends within the tree."""
    return Entry.objects.filter(index__gte=start, index__lt=stop).order_by("index").iterator(chunk_size=TILE_WIDTH)

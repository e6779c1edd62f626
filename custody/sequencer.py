"""The sequencer: gives committed events their contiguous index and grows the tree.

1. One sequencer at a time: a lock that no other role can take; a second one waits its turn and finds nothing to do.
2. It takes the rows that are *visible*, never "id above the last": sequence order is not commit order.
3. Entries, tiles and the removal of the pending rows are one transaction: a kill leaves all or nothing.
4. It trusts no row: one that this archive did not record so goes into quarantine (custody.admission), the others go on.
"""

from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

import psycopg
from django.db import connection, transaction

from custody import admission, statements
from custody.alarm import Kind, LedgerBroken
from custody.models import Entry
from ledger.entry import leaf_hash
from ledger.grow import new_tiles
from ledger.merkle import TILE_WIDTH, ProofError

#: Taken at the start of a transaction that appends. An advisory lock could be held by whoever injects SQL anywhere.
TURN = "LOCK TABLE custody_quarantine IN SHARE UPDATE EXCLUSIVE MODE"
BATCH = 4096
_ANY_WAITING = """
    SELECT EXISTS (SELECT FROM custody_pending AS pending WHERE NOT EXISTS (
        SELECT FROM custody_quarantine AS held WHERE held.event_id = pending.event_id AND held.released_at IS NULL))
"""
_COPY = "COPY custody_entry (index, event_id, entry, leaf_hash) FROM STDIN (FORMAT BINARY)"
_TILES = """
    INSERT INTO custody_tile (level, index, hashes)
    SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])
    ON CONFLICT (level, index) DO UPDATE SET hashes = EXCLUDED.hashes
"""
# LIMIT keeps it to one look into the index for each tile, whatever is known of the table's size
_WANTED_TILES = """
    SELECT wanted.level, wanted.index, found.hashes
    FROM unnest(%s::smallint[], %s::bigint[]) AS wanted (level, index)
    CROSS JOIN LATERAL (
        SELECT hashes FROM custody_tile AS tile WHERE tile.level = wanted.level AND tile.index = wanted.index LIMIT 1
    ) AS found
"""


def tree_size() -> int:
    """How many entries the tree has."""
    row = statements.fetch_one("SELECT max(index) + 1 FROM custody_entry", [])
    return row[0] or 0 if row else 0


def read_tile(level: int, index: int) -> bytes:
    """The stored hashes of a tile, empty when there is none yet."""
    row = statements.fetch_one("SELECT hashes FROM custody_tile WHERE level = %s AND index = %s", [level, index])
    return row[0] if row is not None else b""


def read_tiles(wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Those of the tiles (level, index) that are stored, in one look."""
    levels, indices = [level for level, _ in wanted], [index for _, index in wanted]
    rows = statements.execute(_WANTED_TILES, [levels, indices])
    return {(level, index): hashes for level, index, hashes in rows}


def waiting() -> bool:
    """Whether any committed event has no place yet: one cheap look, without the sequencer's lock.

    What is in quarantine waits for somebody to look at it, and not for the sequencer.
    """
    return statements.fetch_one(_ANY_WAITING, []) == (True,)


def sequence_once() -> int:
    """Give the next batch of committed events their index. Returns how many; 0 when nothing is waiting.

    Raises LedgerBroken when the stored tree is too short to grow.
    """
    while waiting():
        placed = _sequence()
        if placed:
            return placed
    return 0


def _sequence() -> int:
    """One batch: each of its rows has its place afterwards, or is in quarantine."""
    with transaction.atomic():
        statements.execute(TURN, [])
        rows = admission.waiting(BATCH)
        judged = [(row, admission.fault(row)) for row in rows]
        good = [(row.event_id, row.entry) for row, why in judged if not why and row.entry is not None]
        if good:
            append(good)
        admission.hold([(row, why) for row, why in judged if why])
        done = [row.pk for row, why in judged if not why or row.placed]
        statements.execute("DELETE FROM custody_pending WHERE id = ANY(%s)", [done])
    return len(good)


def append(fresh: Sequence[tuple[UUID, bytes]]) -> None:
    """Put (event id, entry) after what stands in the tree, in the caller's transaction, under the lock.

    Raises LedgerBroken when the stored tree is too short to grow.
    """
    size = tree_size()
    leaves = [leaf_hash(entry) for _, entry in fresh]
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(("int8", "uuid", "bytea", "bytea"))
        for index, ((event_id, entry), leaf) in enumerate(zip(fresh, leaves, strict=True), size):
            copy.write_row((index, event_id, entry, leaf))
    try:
        grown = new_tiles(size, leaves, read_tile)
    except ProofError as problem:
        raise LedgerBroken(f"the tree cannot grow: {problem}", kind=Kind.DAMAGED, where="tiles") from None
    levels, indices = [level for level, _ in grown], [index for _, index in grown]
    statements.execute(_TILES, [levels, indices, list(grown.values())])


def drain() -> int:
    """Sequence until nothing is pending. Returns how many events were given an index."""
    return sum(iter(sequence_once, 0))


def entries(start: int, stop: int) -> Iterator[Entry]:
    """Entries by index, streamed; both ends within the tree."""
    return Entry.objects.filter(index__gte=start, index__lt=stop).order_by("index").iterator(chunk_size=TILE_WIDTH)

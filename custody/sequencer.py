"""The sequencer: gives committed events their contiguous index and grows the tree.

1. One sequencer at a time: a transaction-level advisory lock; a second one waits its turn and finds nothing to do.
2. It takes the rows that are *visible*, never "id above the last": sequence order is not commit order.
3. Entries, tiles and the removal of the pending rows are one transaction: a kill leaves all or nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

import psycopg
from django.db import connection, transaction

from custody import statements
from custody.models import Entry
from ledger.entry import leaf_hash
from ledger.merkle import TILE_WIDTH, ProofError, new_tiles

LOCK = 0x53414E4144  # "SANAD"
BATCH = 4096
_QUEUE = "SELECT id, event_id FROM custody_pending ORDER BY id LIMIT %s"
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


class LedgerBroken(Exception):
    """The stored ledger cannot be continued. The message says where it broke; nothing was written."""


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
    """Whether any committed event has no place yet: one cheap look, without the sequencer's lock."""
    return statements.fetch_one("SELECT FROM custody_pending LIMIT 1", []) is not None


def sequence_once() -> int:
    """Give one batch of pending events their index. Returns how many; 0 when nothing was pending.

    Raises LedgerBroken when an event vanished before it had a place, or the stored tree is too short to grow.
    """
    if not waiting():
        return 0
    with transaction.atomic():
        statements.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        pending = statements.execute(
            "SELECT id, event_id FROM custody_pending ORDER BY id LIMIT %s", [BATCH]
        ).fetchall()
        event_ids = [event_id for _, event_id in pending]
        found = statements.execute("SELECT id, entry FROM custody_event WHERE id = ANY(%s)", [event_ids]).fetchall()
        entry_of: dict[UUID, bytes] = dict(found)
        lost = next((event_id for event_id in event_ids if event_id not in entry_of), None)
        if lost is not None:
            raise LedgerBroken(f"event {lost} is pending and its row is gone")
        append([(event_id, entry_of[event_id]) for event_id in event_ids])
        statements.execute("DELETE FROM custody_pending WHERE id = ANY(%s)", [[pk for pk, _ in pending]])
    return len(pending)


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
        raise LedgerBroken(f"the tree cannot grow: {problem}") from None
    levels, indices = [level for level, _ in grown], [index for _, index in grown]
    statements.execute(_TILES, [levels, indices, list(grown.values())])


def drain() -> int:
    """Sequence until nothing is pending. Returns how many events were given an index."""
    return sum(iter(sequence_once, 0))


def entries(start: int, stop: int) -> Iterator[Entry]:
    """Entries by index, streamed; both ends within the tree."""
    return Entry.objects.filter(index__gte=start, index__lt=stop).order_by("index").iterator(chunk_size=TILE_WIDTH)

"""After a restore: the entries that an older database lacks, put back from the exported files.

The signer remembers what it signed and signs nothing shorter. Its refusal ends when the very entries it signed stand
again, in their places. They come from the export (custody.log_files), and are taken only if

1. a key of this ledger signed the exported head, and every exported checkpoint follows the one before it;
2. the exported entries lead to that head, and to the head the signer published last;
3. what the database holds is the beginning of them.

Entries, tiles and checkpoints come back whole. What stood beside them does not: who acted, about what, and every value
are sealed in the database alone. Those events stand as rows that say type, time and outcome, nobody as their agent.
Verification tells each lost value from then on; nothing here makes a loss look like anything else.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from custody import ledger_keys, signer, statements
from custody.alarm import Kind, LedgerBroken
from custody.engine import Agent, acting, record
from custody.key_changes import ledger_subject
from custody.leaves import Peaks
from custody.log_files import exported_entries, exported_head, exported_heads
from custody.models import Checkpoint, Entry, Event
from custody.sequencer import BATCH, TURN, append, entries, tree_size
from custody.verify import check_checkpoint
from custody.vocabulary import Type
from ledger.entry import EntryError, leaf_hash, parse_entry

NOBODY = UUID(int=0)  # the agent of an event whose values are lost


@dataclass(frozen=True)
class Replayed:
    """Entries `start` to `stop` - 1 stand again. `lost`: how many events' values are gone, by type of event."""

    start: int
    stop: int
    checkpoints: int
    lost: Counter[str]
    event_id: UUID | None


def replay(folder: Path, *, by: Agent, at: datetime) -> Replayed:
    """Put back what the database lacks, and record that it was; nothing, when it lacks nothing.

    Raises LedgerBroken, in words, when the export is not a continuation of what is stored, OSError when it cannot be
    read; then nothing was changed.
    """
    with acting():
        statements.execute(TURN, [])
        start = tree_size()
        heads = _heads(folder)
        stop, lost = _put_back(folder, start, heads[-1])
        there = set(Checkpoint.objects.values_list("number", flat=True))
        fresh = [row for row in heads if row.number not in there]
        if start == stop and not fresh:
            return Replayed(start, stop, 0, lost, None)
        Checkpoint.objects.bulk_create(fresh, batch_size=1000)
        event_id = record(
            Type.REPLAY,
            by=by,
            at=at,
            subjects=[ledger_subject()],
            fields={
                "from": {"size": start},
                "to": {"size": stop, "checkpoints": heads[-1].number, "lost": sum(lost.values())},
            },
        )
    return Replayed(start, stop, len(fresh), lost, event_id)


def _heads(folder: Path) -> list[Checkpoint]:
    """The exported checkpoints, each signed and after the one before; the last is the one the signer published."""
    rows, chain = list(exported_heads(folder)), b""
    for number, row in enumerate(rows, 1):
        try:
            check_checkpoint(row)
        except ValueError as problem:
            raise _refused(f"the exported {problem}") from None
        if row.number != number or not signer.follows(chain, row):
            raise _refused(f"the exported checkpoint {number} does not follow the one before it")
        chain = bytes(row.chain)
    told = ledger_keys.published_head()
    known = rows[told.count - 1].chain if told is not None and 0 < told.count <= len(rows) else b""
    if not rows or (told is not None and known != told.chain):
        raise _refused(
            f"the export ends with checkpoint {len(rows)}, the signer published {told.count if told else 0}: it is "
            "older, or of another past"
        )
    for stored in Checkpoint.objects.order_by("number").iterator(chunk_size=1000):
        if stored.number > len(rows) or bytes(rows[stored.number - 1].chain) != bytes(stored.chain):
            raise _refused(f"the stored checkpoint {stored.number} is not in the export")
    return rows


def _put_back(folder: Path, start: int, newest: Checkpoint) -> tuple[int, Counter[str]]:
    """Compare the entries that are stored, and append the others. The whole is what was signed, or LedgerBroken."""
    head = exported_head(folder)
    if head is None or head.size < start or (head.size, head.root) != (newest.size, bytes(newest.root)):
        raise _refused(f"the export has {head.size if head else 0} signed entries, {start} are stored")
    tree, lost, batch = Peaks(), Counter[str](), list[tuple[UUID, bytes]]()
    stored = _stored(start)
    for data in exported_entries(folder):
        index = tree.size
        tree.add(leaf_hash(data))
        if index < start:
            row = next(stored, None)
            if row is None or row.index != index or bytes(row.entry) != data:
                raise _refused(f"the stored entry {index} is not the exported one")
            continue
        batch.append((_event(index, data, lost), data))
        if len(batch) == BATCH:
            _append(batch)
            batch = []
    _append(batch)
    if (tree.size, tree.root()) != (head.size, head.root):
        raise _refused("the exported entries do not lead to the exported head")
    return tree.size, lost


def _stored(size: int) -> Iterator[Entry]:
    """The stored entries, a batch read whole at a time: a refusal leaves no cursor of the database open."""
    for first in range(0, size, BATCH):
        yield from list(entries(first, min(first + BATCH, size)))


def _event(index: int, data: bytes, lost: Counter[str]) -> UUID:
    """The event of an entry; where the database has none, a row of what the entry says by itself."""
    try:
        parsed = parse_entry(data)
    except EntryError as problem:
        raise _refused(f"the exported entry {index} is not one: {problem}") from None
    event_id = UUID(hex=parsed.event_id)
    event = Event.objects.filter(pk=event_id).first()
    if event is None:
        lost[parsed.type] += 1
        Event.objects.create(
            id=event_id,
            type=parsed.type,
            outcome=parsed.outcome,
            at=datetime.fromisoformat(parsed.ts),
            agent_id=NOBODY,
            entry=data,
        )
    elif bytes(event.entry) != data:
        raise _refused(f"the stored event of entry {index} is not the exported one")
    return event_id


def _append(batch: list[tuple[UUID, bytes]]) -> None:
    """An event that was pending when the backup was made has its place now."""
    if batch:
        append(batch)
        statements.execute("DELETE FROM custody_pending WHERE event_id = ANY(%s)", [[event for event, _ in batch]])


def _refused(what: str) -> LedgerBroken:
    return LedgerBroken(f"nothing was replayed: {what}", kind=Kind.BROKEN, where="export")

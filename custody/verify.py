"""Checking the stored ledger against its own signatures: what an auditor asks, answered without trusting the tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from custody.models import Checkpoint, Entry, Event, Pending
from custody.sequencer import entries, read_tile, tree_size
from custody.signer import Peaks, vkey
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.entry import EntryError, leaf_hash, parse_entry
from ledger.merkle import root_from_tiles
from ledger.note import NoteError, decode_vkey

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was signed: where, and what."""

    where: str
    what: str


def check_checkpoint(row: Checkpoint) -> None:
    """Raise ValueError, in words, unless the row's note is signed by this archive's key and says what the row says."""
    try:
        opened = open_checkpoint(row.note, [decode_vkey(vkey())])
    except (NoteError, CheckpointError) as problem:
        raise ValueError(f"checkpoint {row.size}: {problem}") from None
    if (opened.size, opened.root) != (row.size, bytes(row.root)):
        raise ValueError(f"checkpoint {row.size}: the row does not say what its signed note says")


def faults(progress: Progress = lambda done, total: None) -> Iterator[Fault]:
    """Everything wrong with the stored ledger: each entry's bytes, hash and event row, each checkpoint, the tiles."""
    total = tree_size()
    signed = {row.size: row for row in Checkpoint.objects.order_by("size", "signed_at")}
    for row in signed.values():
        try:
            check_checkpoint(row)
        except ValueError as problem:
            yield Fault(f"checkpoint {row.size}", str(problem))
    tree = Peaks()
    yield from _head_fault(signed, tree)
    for row in entries(0, total):
        if row.index != tree.size:
            yield Fault(f"entry {tree.size}", "is missing from the ledger")
            return
        yield from _entry_faults(row)
        tree.add(leaf_hash(bytes(row.entry)))
        yield from _head_fault(signed, tree)
        if tree.size % 256 == 0:
            progress(tree.size, total)
    for size in signed:
        if size > total:
            yield Fault(f"checkpoint {size}", f"was signed, and only {total} entries are stored")
    if total and root_from_tiles(total, read_tile) != tree.root():
        yield Fault("tiles", "do not lead to the root of the stored entries")
    sequenced = Entry.objects.values("event_id")
    unsequenced = Event.objects.exclude(id__in=sequenced).exclude(id__in=Pending.objects.values("event_id"))
    for event_id in unsequenced.values_list("id", flat=True):
        yield Fault(f"event {event_id}", "has no entry in the ledger and none is pending")
    progress(total, total)


def _head_fault(signed: dict[int, Checkpoint], tree: Peaks) -> Iterator[Fault]:
    head = signed.get(tree.size)
    if head is not None and bytes(head.root) != tree.root():
        yield Fault(f"checkpoint {tree.size}", "the stored entries do not lead to its signed root")


def _entry_faults(row: Entry) -> Iterator[Fault]:
    where, data = f"entry {row.index}", bytes(row.entry)
    try:
        parsed = parse_entry(data)
    except EntryError as problem:
        yield Fault(where, f"is not an entry: {problem}")
        return
    if bytes(row.leaf_hash) != leaf_hash(data):
        yield Fault(where, "does not have the hash it was sequenced with")
    event = Event.objects.filter(pk=row.event_id).first()
    if parsed.event_id != row.event_id.hex or event is None:
        yield Fault(where, "is not the entry of its event")
    elif (bytes(event.entry), str(event.type), str(event.outcome)) != (data, parsed.type, parsed.outcome):
        yield Fault(where, "its event row was changed")

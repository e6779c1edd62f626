"""Checking the stored ledger against its own signatures: what an auditor asks, answered without trusting the tables.

One pass in batches of 256 entries: memory stays flat whatever the size of the ledger. The head is fixed at the start,
so that acts recorded meanwhile are neither missed nor told as faults.
"""

import time
from collections.abc import Callable, Iterator

from django.db.models import Exists, Max, OuterRef

from custody import signer
from custody.agreement import Fault, entry_faults
from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject, Pending
from custody.sequencer import read_tile, tree_size
from custody.signer import SignerRefused, vkey
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.entry import leaf_hash
from ledger.grow import CompactTree, root_of
from ledger.merkle import HASH_BYTES, TILE_WIDTH
from ledger.note import NoteError, decode_vkey

Progress = Callable[[int, int], None]
PUBLISHING = 2.0  # seconds a signed head may take to reach its row

__all__ = ["Fault", "Progress", "check_checkpoint", "faults"]


def check_checkpoint(row: Checkpoint) -> None:
    """Raise ValueError, in words, unless the row's note is signed by this archive's key and says what the row says."""
    try:
        opened = open_checkpoint(row.note, [decode_vkey(vkey())])
    except (NoteError, CheckpointError) as problem:
        raise ValueError(f"checkpoint {row.size}: {problem}") from None
    if (opened.size, opened.root) != (row.size, bytes(row.root)):
        raise ValueError(f"checkpoint {row.size}: the row does not say what its signed note says")


def faults(progress: Progress = lambda *_: None) -> Iterator[Fault]:
    """Everything wrong with the stored ledger, named; nothing when all is as it was signed.

    1. Every checkpoint is signed, and follows the one before it in the signer's chain.
    2. Every entry has its bytes, hash, event row, subjects, and values that open its commitments.
    3. The entries lead to the root of every signed head, to every tile, and to the head the signer remembers.
    4. No event, subject or value stands outside the ledger.

    `progress(done, total)` counts entries.
    """
    try:
        remembered = signer.memory()
    except SignerRefused as problem:
        yield Fault("signer", str(problem))
        remembered = None
    newest = Checkpoint.objects.aggregate(newest=Max("pk"))["newest"] or 0
    total = tree_size()
    yield from _checkpoint_faults(newest)
    yield from _tree_faults(newest, total, remembered, progress)
    if remembered is not None and remembered.size > total:
        yield Fault("ledger", f"{remembered.size} entries were signed and only {total} are stored")
    if remembered is not None and not _published(remembered):
        yield Fault(f"checkpoint {remembered.size}", "is the newest signed head, and its row is missing")
    yield from _stray_faults()
    progress(total, total)


def _checkpoint_faults(newest: int) -> Iterator[Fault]:
    chain = b""
    for row in Checkpoint.objects.filter(pk__lte=newest).order_by("pk").iterator(chunk_size=1000):
        where = f"checkpoint {row.size}"
        try:
            check_checkpoint(row)
        except ValueError as problem:
            yield Fault(where, str(problem).removeprefix(f"{where}: "))
        if signer.link(chain, row.note, row.signed_at) != bytes(row.chain):
            yield Fault(where, "does not follow the one before it: a checkpoint was removed, added or changed")
        chain = bytes(row.chain)


def _tree_faults(newest: int, total: int, remembered: signer.Memory | None, progress: Progress) -> Iterator[Fault]:
    tree, tiles, heads = CompactTree(), _Tiles(), _Heads(newest, remembered)
    whole = True  # once an entry is missing, every root after it differs: that is told once
    yield from heads.faults(tree)
    for start in range(0, total, TILE_WIDTH):
        stop = min(start + TILE_WIDTH, total)
        rows = list(Entry.objects.filter(index__gte=start, index__lt=stop).order_by("index"))
        missing = sorted(set(range(start, stop)) - {row.index for row in rows})
        yield from (Fault(f"entry {index}", "is missing from the ledger") for index in missing)
        yield from entry_faults(rows)
        whole = whole and not missing
        if whole:
            for row in rows:
                leaf = leaf_hash(bytes(row.entry))
                tree.append(leaf)
                yield from tiles.add(leaf)
                yield from heads.faults(tree)
        progress(stop, total)
    if whole:
        yield from tiles.rest()
        yield from heads.beyond(total)


class _Heads:
    """The signed heads by size, met one by one as the tree grows. The first wrong one is told, with its span."""

    def __init__(self, newest: int, remembered: signer.Memory | None) -> None:
        rows = Checkpoint.objects.filter(pk__lte=newest).order_by("size", "pk").values_list("size", "root")
        self._rows = rows.iterator(chunk_size=1000)
        self._next = next(self._rows, None)
        self._remembered = remembered
        self._good, self._broken = 0, False

    def faults(self, tree: CompactTree) -> Iterator[Fault]:
        signed = []
        while self._next is not None and self._next[0] <= tree.size:
            signed.append((f"checkpoint {self._next[0]}", bytes(self._next[1])))
            self._next = next(self._rows, None)
        if self._remembered is not None and self._remembered.size == tree.size:
            signed.append((f"the signer's head {tree.size}", self._remembered.root))
        if not signed or self._broken:
            return
        root = tree.root()
        for where, stated in signed:
            if stated != root:
                self._broken = True
                span = f": one of the entries {self._good} to {tree.size - 1} was changed" if tree.size else ""
                yield Fault(where, f"the stored entries do not lead to its signed root{span}")
                return
        self._good = tree.size

    def beyond(self, total: int) -> Iterator[Fault]:
        while self._next is not None:
            yield Fault(f"checkpoint {self._next[0]}", f"was signed, and only {total} entries are stored")
            self._next = next(self._rows, None)


class _Tiles:
    """The stored tiles against the tree of the stored entries, level by level, in 8 KiB a level."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, list[bytes]]] = []

    def add(self, hash_: bytes, level: int = 0) -> Iterator[Fault]:
        if level == len(self._levels):
            self._levels.append((0, []))
        index, hashes = self._levels[level]
        hashes.append(hash_)
        if len(hashes) == TILE_WIDTH:
            yield from _tile_faults(level, index, hashes)
            self._levels[level] = (index + 1, [])
            yield from self.add(root_of(hashes), level + 1)

    def rest(self) -> Iterator[Fault]:
        for level, (index, hashes) in enumerate(self._levels):
            if hashes:
                yield from _tile_faults(level, index, hashes)


def _tile_faults(level: int, index: int, hashes: list[bytes]) -> Iterator[Fault]:
    stored = read_tile(level, index)
    for offset, hash_ in enumerate(hashes):
        if stored[offset * HASH_BYTES : (offset + 1) * HASH_BYTES] != hash_:
            about = f"entry {index * TILE_WIDTH + offset}" if level == 0 else f"its hash {offset}"
            yield Fault(f"tile {level}/{index}", f"is missing or was changed at {about}")
            return


def _published(remembered: signer.Memory) -> bool:
    row = Checkpoint.objects.filter(size=remembered.size, chain=remembered.chain)
    if not row.exists():
        time.sleep(PUBLISHING)
    return row.exists()


def _stray_faults() -> Iterator[Fault]:
    entry = Entry.objects.filter(event_id=OuterRef("pk"))
    pending = Pending.objects.filter(event_id=OuterRef("pk"))
    lost = Event.objects.filter(~Exists(entry), ~Exists(pending)).values_list("pk", flat=True)
    for event_id in lost.iterator(chunk_size=1000):
        yield Fault(f"event {event_id}", "has no entry in the ledger and none is pending")
    event = Event.objects.filter(pk=OuterRef("event_id"))
    for model, what in ((EventSubject, "a subject"), (Disclosure, "a value")):
        rows = model._default_manager.filter(~Exists(event)).values_list("event_id", flat=True)
        for event_id in rows.iterator(chunk_size=1000):
            yield Fault(f"event {event_id}", f"is gone, and {what} of it is left")

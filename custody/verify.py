"""Checking the stored ledger against its own signatures: what an auditor asks, answered without trusting the tables.

One pass in batches of 256 entries: memory stays flat whatever the size of the ledger. The head is fixed at the start,
so that acts recorded meanwhile are neither missed nor told as faults. A pass can be put away and taken up again.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.db.models import Exists, Max, OuterRef

from custody import ledger_keys, signer, statements
from custody.agreement import Fault, Stored, TreeFault, entry_faults
from custody.alarm import Kind
from custody.entry_form import read_entry
from custody.keys import KeyProblem
from custody.leaves import leads_to
from custody.locating import TileFault, Tiles
from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject, Pending
from custody.sequencer import tree_size
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.entry import EntryError, leaf_hash
from ledger.grow import CompactTree
from ledger.merkle import TILE_WIDTH
from ledger.note import Ed25519Verifier, NoteError

Progress = Callable[[int, int], None]
BATCH = TILE_WIDTH  # entries
_ENTRIES = """
    SELECT index, event_id::text, entry, leaf_hash FROM custody_entry WHERE index >= %s AND index < %s ORDER BY index
"""

__all__ = ["Fault", "Pass", "Progress", "TreeFault", "check_checkpoint", "faults"]


def check_checkpoint(row: Checkpoint) -> None:
    """Raise ValueError, in words, unless the row says what its note says, and a key that is believed has signed it."""
    try:
        _check(row, ledger_keys.verifiers_at(row.size))
    except KeyProblem as problem:
        raise ValueError(f"checkpoint {row.size}: {problem}") from None


def _check(row: Checkpoint, verifiers: list[Ed25519Verifier]) -> None:
    try:
        opened = open_checkpoint(row.note, verifiers)
    except (NoteError, CheckpointError) as problem:
        raise ValueError(f"checkpoint {row.size}: {problem}") from None
    if (opened.size, opened.root) != (row.size, bytes(row.root)):
        raise ValueError(f"checkpoint {row.size}: the row does not say what its signed note says")


def faults(progress: Progress = lambda *_: None) -> Iterator[Fault]:
    """Everything wrong with the stored ledger, named; nothing when all is as it was signed.

    1. Every checkpoint is signed, and follows the one before it in the signer's chain.
    2. Every entry has its bytes, hash, event row, subjects, and values that open its commitments.
    3. The entries lead to the root of every signed head, to every tile, and to the head the signer published last.
    4. No event, subject or value stands outside the ledger.
    5. Every cosignature and timestamp holds, and is the one that was recorded when it came.

    `progress(done, total)` counts entries.
    """
    try:
        told = ledger_keys.published_head()
    except KeyProblem as problem:
        yield TreeFault("signer", str(problem), Kind.MEMORY_LOST)
        told = None
    yield from head_faults(told)
    whole = Pass.begin(told)
    while not whole.finished:
        yield from whole.step()
        progress(whole.done, whole.total)
    yield from stray_faults()
    yield from outside_faults()
    progress(whole.total, whole.total)


def outside_faults() -> Iterator[Fault]:
    """Cosignatures and timestamps that do not hold, are not those that were recorded when they came, or are gone."""
    from custody import anchors, cosignatures  # they check heads with this module

    yield from cosignatures.faults()
    yield from anchors.faults()
    for lost in (cosignatures.losses, anchors.losses):
        yield from (fault for batch in lost() for fault in batch)


def head_faults(told: ledger_keys.Head | None) -> Iterator[Fault]:
    """The checkpoints by themselves: signatures, and the chain that binds each to all before it."""
    chain, number = b"", 0
    try:
        keys = ledger_keys.ledger_keys()
    except KeyProblem as problem:
        yield TreeFault("signer", str(problem), Kind.MEMORY_LOST)
        keys = ()
    for row in Checkpoint.objects.order_by("number").iterator(chunk_size=1000):
        where = f"checkpoint {row.size}"
        try:
            _check(row, [key.verifier for key in keys if key.may_sign(row.size)])
        except ValueError as problem:
            yield TreeFault(where, str(problem).removeprefix(f"{where}: "), Kind.REWRITTEN)
        expected = signer.link(chain, row.note, row.signed_at, heartbeat=row.heartbeat)
        found = bytes(row.chain)
        if not signer.follows(chain, row) or row.number != number + 1:
            what = "does not follow the one before it: a checkpoint was removed, added or changed"
            yield TreeFault(where, what, Kind.REWRITTEN, expected.hex(), found.hex())
        chain, number = found, row.number
    if told is not None and not Checkpoint.objects.filter(number=told.count, chain=told.chain).exists():
        yield TreeFault(f"checkpoint {told.size}", "is the newest signed head, and its row is missing", Kind.MISSING)


class Pass:
    """The tree from the first entry to the last one there was when the pass began, a batch at a time."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self.total: int = stored["total"]
        self.tree = CompactTree(stored["done"], [bytes.fromhex(peak) for peak in stored["peaks"]])
        self.done: int = stored["place"]
        self._tiles = Tiles([(index, [bytes.fromhex(one) for one in hashes]) for index, hashes in stored["tiles"]])
        self._newest: int = stored["newest"]
        self._head: tuple[int, bytes] | None = (
            (stored["head"][0], bytes.fromhex(stored["head"][1])) if stored["head"] else None
        )
        self._good: int = stored["good"]  # the largest size whose signed root the entries lead to
        self._broken: bool = stored["broken"]
        self._whole: bool = stored["whole"]  # once an entry is missing, every root after it differs: told once
        self.values: bool = stored["values"]
        self._leaves = signer.leaves()
        self._known: bool | None = None
        self._closed = False

    @classmethod
    def begin(cls, told: ledger_keys.Head | None, *, values: bool = True) -> "Pass":
        """From the first entry. Without `values` (the key that opens them is elsewhere) entries are checked alone."""
        newest = Checkpoint.objects.aggregate(newest=Max("number"))["newest"] or 0
        return cls(
            {
                "total": tree_size(),
                "done": 0,
                "place": 0,
                "peaks": [],
                "tiles": [],
                "newest": newest,
                "head": [told.size, told.root.hex()] if told else None,
                "good": 0,
                "broken": False,
                "whole": True,
                "values": values,
            }
        )

    def stored(self) -> dict[str, Any]:
        """As JSON: what `Pass(...)` goes on from."""
        return {
            "total": self.total,
            "done": self.tree.size,
            "place": self.done,
            "peaks": [peak.hex() for peak in self.tree.peaks],
            "tiles": [[index, [one.hex() for one in hashes]] for index, hashes in self._tiles.levels],
            "newest": self._newest,
            "head": [self._head[0], self._head[1].hex()] if self._head else None,
            "good": self._good,
            "broken": self._broken,
            "whole": self._whole,
            "values": self.values,
        }

    @property
    def finished(self) -> bool:
        return self.done >= self.total and self._closed

    def step(self) -> list[Fault]:
        """The faults of the next batch; with the last one those of the right edge."""
        found: list[Fault] = []
        if self.done == 0:
            found += self._signed_faults(0, 0)
        if self.done < self.total:
            found += self._batch(self.done, min(self.done + BATCH, self.total))
        if self.done >= self.total:
            found += self._edge()
            self._closed = True
        return found

    def _batch(self, start: int, stop: int) -> Iterator[Fault]:
        rows = [Stored(*row) for row in statements.execute(_ENTRIES, [start, stop]).fetchall()]
        for index in sorted(set(range(start, stop)) - {row.place for row in rows}):
            self._whole = False
            yield TreeFault(f"entry {index}", "is missing from the ledger", Kind.MISSING)
        yield from entry_faults(rows) if self.values else _form_faults(rows)
        remembered = dict(enumerate(self._leaves.read(start, stop), start))
        signed = dict(self._signed(start, stop)) if self._whole else {}
        for row in rows:
            leaf = leaf_hash(row.entry)
            yield from self._changed(row, leaf, remembered.get(row.place, leaf))
            if self._whole:
                self.tree.append(leaf)
                yield from (_told(fault) for fault in self._tiles.add(leaf))
                for where, root in signed.get(self.tree.size, ()):
                    yield from self._compared(where, root)
        self.done = stop

    def _signed(self, above: int, to: int) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
        """By size, the signed heads of the trees (above, to], with 0 for the empty one."""
        lowest = above + 1 if to else 0
        rows = Checkpoint.objects.filter(number__lte=self._newest, size__gte=lowest, size__lte=to).order_by("size")
        by_size: dict[int, list[tuple[str, bytes]]] = {}
        for size, root in rows.values_list("size", "root").distinct().iterator(chunk_size=1000):
            by_size.setdefault(size, []).append((f"checkpoint {size}", bytes(root)))
        if self._head is not None and lowest <= self._head[0] <= to:
            by_size.setdefault(self._head[0], []).append((f"the signer's head {self._head[0]}", self._head[1]))
        yield from by_size.items()

    def _signed_faults(self, above: int, to: int) -> Iterator[Fault]:
        for _, roots in self._signed(above, to):
            for where, root in roots:
                yield from self._compared(where, root)

    def _compared(self, where: str, root: bytes) -> Iterator[Fault]:
        """The first wrong head is told, with the span in which the change lies."""
        if self._broken:
            return
        derived = self.tree.root()
        if derived == root:
            self._good = self.tree.size
            return
        self._broken = True
        span = f": one of the entries {self._good} to {self.tree.size - 1} was changed" if self.tree.size else ""
        what = f"the stored entries do not lead to its signed root{span}"
        yield TreeFault(where, what, Kind.REWRITTEN, root.hex(), derived.hex())

    def _changed(self, row: Stored, leaf: bytes, remembered: bytes) -> Iterator[Fault]:
        """An entry that is not the one the signer hashed, by the signer's own list of hashes."""
        if leaf == remembered or not self._list_is_true():
            return
        consistent = leaf == row.leaf_hash
        kind = Kind.REWRITTEN if consistent else Kind.DAMAGED
        how = "was rewritten together with its hash" if consistent else "was changed"
        yield TreeFault(f"entry {row.place}", f"{how} after it was signed", kind, remembered.hex(), leaf.hex())

    def _list_is_true(self) -> bool:
        """Whether the signer's list leads to its signed head. Where it is damaged or out of reach there is none."""
        if self._known is None:
            self._known = self._head is not None and leads_to(self._leaves, *self._head)
        return self._known

    def _edge(self) -> Iterator[Fault]:
        if self._whole:
            yield from (_told(fault) for fault in self._tiles.rest())
            beyond = Checkpoint.objects.filter(number__lte=self._newest, size__gt=self.total)
            for size in beyond.order_by("size").values_list("size", flat=True).distinct():
                what = f"was signed, and only {self.total} entries are stored"
                yield TreeFault(f"checkpoint {size}", what, Kind.WENT_BACKWARDS, str(size), str(self.total))
        if self._head is not None and self._head[0] > self.total:
            what = f"{self._head[0]} entries were signed and only {self.total} are stored"
            yield TreeFault("ledger", what, Kind.WENT_BACKWARDS, str(self._head[0]), str(self.total))


def _told(fault: TileFault) -> TreeFault:
    what = f"is missing or was changed at {fault.about}"
    return TreeFault(fault.where, what, Kind.DAMAGED, fault.expected, fault.found)


def _form_faults(rows: list[Stored]) -> Iterator[Fault]:
    """What the entries show by themselves, without the key that opens their values."""
    for row in rows:
        where, data = f"entry {row.place}", row.entry
        try:
            parsed = read_entry(data)
        except EntryError as problem:
            yield TreeFault(where, f"is not an entry: {problem}")
            continue
        stated, found = row.leaf_hash.hex(), leaf_hash(data).hex()
        if stated != found:
            yield TreeFault(where, "does not have the hash it was sequenced with", Kind.DAMAGED, stated, found)
        if parsed.origin != settings.SANAD_ORIGIN or parsed.event_id != row.event_id.replace("-", ""):
            yield TreeFault(where, "is not the entry of its event")


def stray_faults() -> Iterator[Fault]:
    """Events, subjects and values that stand outside the ledger."""
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

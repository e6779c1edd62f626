"""The signed ledger as files, in the layout of C2SP tlog-tiles: for foreign checkers, mirrors and the restore drill.

    checkpoint                 the newest exported head, a signed note
    tile/<level>/<n>[.p/<w>]   hashes, 32 bytes each, 256 of them or, at the right edge of a signed tree, w
    tile/entries/<n>[.p/<w>]   the entries of tile 0/<n>, each after its length in two bytes, big-endian
    heads.jsonl                every checkpoint's row, one a line: ours, and what a restored database needs to go on

1. A file is written beside its place, synced and renamed: it is there whole or not. A full one is never written again.
2. The checkpoint is replaced last, once everything it covers is on the disk. A kill loses the files after it at most,
   and the next export writes them.
3. What is exported is what was signed: entries lead to their tile, tiles to the signed root, and the head that was
   exported before to the beginning of this one. Otherwise LedgerBroken is raised and the old checkpoint stays.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from custody import statements
from custody.alarm import LedgerBroken
from custody.models import Checkpoint
from custody.proof import newest_checkpoint
from custody.sequencer import read_tile
from ledger.checkpoint import Checkpoint as Head
from ledger.checkpoint import CheckpointError, parse_checkpoint
from ledger.durable import sync_folder
from ledger.entry import MAX_ENTRY_BYTES, leaf_hash
from ledger.grow import TILE_HEIGHT, root_from_tiles
from ledger.merkle import HASH_BYTES, TILE_WIDTH, ProofError, tile_path
from ledger.note import NoteError, split_note

LENGTH_BYTES = 2
HEADS = "heads.jsonl"
_TAIL = 1 << 18  # bytes: more than two lines are long, each with a note of at most 64 KiB


def export(folder: Path) -> int:
    """Bring the exported tree to the newest signed head. Returns its size; 0 when no head was signed yet.

    Raises LedgerBroken when stored, signed and exported do not agree, OSError when the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        head = newest_checkpoint()
        before = exported_head(folder)
        if head is None:
            if before is not None:
                raise LedgerBroken(f"{before.size} entries were exported, and no head is signed any more")
            return 0
        if before is not None and _published(folder) == head.note:
            _write_heads(folder)
            return head.size
        _refuse_unless_grown(before, head)
        _Tree(folder, before.size if before else 0, head.size).write()
        _write_heads(folder)
        _put(folder / "checkpoint", head.note.encode())
        _sync_folders({folder})
        return head.size


def exported_heads(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints' rows as they were exported, in their order, unsaved. Nothing of them is checked here.

    A line that a kill cut short ends them. Raises LedgerBroken when a line is not one, OSError.
    """
    with (folder / HEADS).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                told = json.loads(line)
                yield Checkpoint(
                    number=told["number"],
                    size=told["size"],
                    root=bytes.fromhex(told["root"]),
                    note=told["note"],
                    signed_at=datetime.fromisoformat(told["signed_at"]),
                    chain=bytes.fromhex(told["chain"]),
                    heartbeat=told["heartbeat"],
                )
            except (ValueError, KeyError, TypeError):
                raise LedgerBroken(f"the exported {HEADS} is damaged") from None


def exported_head(folder: Path) -> Head | None:
    """The head that the exported tree has, None before the first export. Raises LedgerBroken when it is damaged."""
    try:
        return parse_checkpoint(split_note(_published(folder))[0])
    except FileNotFoundError:
        return None
    except (NoteError, CheckpointError, UnicodeDecodeError) as problem:
        raise LedgerBroken(f"the exported checkpoint is damaged: {problem}") from None


def exported_entries(folder: Path) -> Iterator[bytes]:
    """The entries below the exported head, from the first, out of the files alone.

    Raises LedgerBroken when a bundle is missing, damaged, or does not hold what its tile says.
    """
    head = exported_head(folder)
    for index in range(-(-head.size // TILE_WIDTH) if head else 0):
        width = min(TILE_WIDTH, head.size - index * TILE_WIDTH) if head else 0
        try:
            entries = split_bundle(_read(folder, _entries_path(index, width), _entries_path(index)))
            hashes = _read(folder, tile_path(0, index, width), tile_path(0, index))
        except FileNotFoundError as missing:
            raise LedgerBroken(f"the exported ledger has no {missing.filename}") from None
        for offset in range(width):
            leaf = hashes[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
            if offset >= len(entries) or leaf_hash(entries[offset]) != leaf:
                raise LedgerBroken(f"the exported entry {index * TILE_WIDTH + offset} is not the one of its tile")
        yield from entries[:width]


def bundle_of(entries: list[bytes]) -> bytes:
    """An entry bundle: each entry after its length in two bytes, big-endian."""
    return b"".join(len(entry).to_bytes(LENGTH_BYTES, "big") + entry for entry in entries)


def split_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises LedgerBroken when it ends inside one or holds one that is too long."""
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        start, at = at + LENGTH_BYTES, at + LENGTH_BYTES + length
        if at > len(data) or length > MAX_ENTRY_BYTES:
            raise LedgerBroken("an exported bundle of entries is damaged")
        entries.append(data[start:at])
    return entries


def _write_heads(folder: Path) -> None:
    """Add the rows that are not there yet; what a kill cut short is written anew."""
    path = folder / HEADS
    with path.open("r+b" if path.exists() else "w+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL))
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        lines = tail[:whole].splitlines()
        last = json.loads(lines[-1])["number"] if lines else 0
        file.seek(end - len(tail) + whole)
        file.truncate()
        for row in Checkpoint.objects.filter(number__gt=last).order_by("number").iterator(chunk_size=1000):
            told = {
                "number": row.number,
                "size": row.size,
                "root": bytes(row.root).hex(),
                "note": row.note,
                "signed_at": row.signed_at.isoformat(),
                "chain": bytes(row.chain).hex(),
                "heartbeat": row.heartbeat,
            }
            file.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _refuse_unless_grown(before: Head | None, head: Checkpoint) -> None:
    if before is not None and before.size > head.size:
        raise LedgerBroken(f"the ledger went backwards: {before.size} entries were exported, {head.size} are signed")
    try:
        if before is not None and root_from_tiles(before.size, read_tile) != before.root:
            raise LedgerBroken(f"the ledger does not begin with the {before.size} entries that were exported")
        if root_from_tiles(head.size, read_tile) != bytes(head.root):
            raise LedgerBroken(f"the tiles do not lead to the signed root of {head.size} entries")
    except ProofError as problem:
        raise LedgerBroken(f"the tiles do not hold the tree: {problem}") from None


class _Tree:
    """One export from the size that is there to the size that was signed."""

    def __init__(self, folder: Path, old: int, new: int) -> None:
        self._folder, self._old, self._new = folder, old, new
        self._touched: set[Path] = set()
        later = Checkpoint.objects.filter(size__gt=old, size__lte=new).order_by("size")
        self._heads = list(later.values_list("size", flat=True).distinct())

    def write(self) -> None:
        level = 0
        while self._new >> TILE_HEIGHT * level:
            old, new = self._old >> TILE_HEIGHT * level, self._new >> TILE_HEIGHT * level
            full = new // TILE_WIDTH
            for index in range(old // TILE_WIDTH, full):
                self._tile(level, index, [TILE_WIDTH])
            edge = {(size >> TILE_HEIGHT * level) - full * TILE_WIDTH for size in self._heads}
            self._tile(level, full, sorted(width for width in edge if width > 0))
            level += 1
        _sync_folders(self._touched)
        self._remove_partial_ones_that_are_full()

    def _tile(self, level: int, index: int, widths: list[int]) -> None:
        """A tile at each of these widths, and at level 0 its entries."""
        if not widths:
            return
        hashes = read_tile(level, index)
        if len(hashes) < widths[-1] * HASH_BYTES:
            raise LedgerBroken(f"tile {level}/{index} is short")
        entries = self._entries(index, hashes[: widths[-1] * HASH_BYTES]) if level == 0 else []
        for width in widths:
            if level == 0:
                self._put(_entries_path(index, width), bundle_of(entries[:width]))
            self._put(tile_path(level, index, width), hashes[: width * HASH_BYTES])

    def _entries(self, index: int, hashes: bytes) -> list[bytes]:
        first, count = index * TILE_WIDTH, len(hashes) // HASH_BYTES
        rows = statements.execute(
            "SELECT index, entry FROM custody_entry WHERE index >= %s AND index < %s ORDER BY index",
            [first, first + count],
        ).fetchall()
        for offset in range(count):
            leaf = hashes[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
            if offset >= len(rows) or rows[offset][0] != first + offset or leaf_hash(rows[offset][1]) != leaf:
                raise LedgerBroken(f"entry {first + offset} is not the one of its tile")
        return [entry for _, entry in rows]

    def _put(self, path: str, data: bytes) -> None:
        target = self._folder / path
        try:
            if target.read_bytes() != data:
                raise LedgerBroken(f"the exported {path} is not what is stored")
            return
        except FileNotFoundError:
            pass
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        _put(target, data)
        self._touched |= {target.parent, *(folder.parent for folder in made)}

    def _remove_partial_ones_that_are_full(self) -> None:
        """From one tile before the old edge on: what a kill left the last time goes too."""
        level = 0
        while self._new >> TILE_HEIGHT * (level + 1):
            first = max(0, (self._old >> TILE_HEIGHT * (level + 1)) - 1)
            for index in range(first, self._new >> TILE_HEIGHT * (level + 1)):
                paths = [tile_path(level, index), *([_entries_path(index)] if level == 0 else [])]
                for path in paths:
                    shutil.rmtree(self._folder / f"{path}.p", ignore_errors=True)
            level += 1


def _entries_path(index: int, width: int = TILE_WIDTH) -> str:
    return tile_path(0, index, width).replace("tile/0/", "tile/entries/", 1)


def _published(folder: Path) -> str:
    return (folder / "checkpoint").read_bytes().decode()


def _read(folder: Path, *paths: str) -> bytes:
    """The first of these that is there: a full tile stands for its partial ones."""
    for path in paths[:-1]:
        if (folder / path).exists():
            return (folder / path).read_bytes()
    return (folder / paths[-1]).read_bytes()


def _put(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)


def _sync_folders(folders: set[Path]) -> None:
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        sync_folder(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One export at a time; a second one waits and finds nothing to do."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

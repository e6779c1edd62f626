"""The Merkle tree of RFC 9162 section 2 (SHA-256), its proofs, and its storage as C2SP tlog-tiles.

Pure functions: tiles are read through a callable (level, index) -> bytes that gives the stored hashes of a tile.
A stored tile may be wider than the asked tree size needs (its prefix serves every historic size).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_SIZE = 1 << 62

TileReader = Callable[[int, int], bytes]


class ProofError(ValueError):
    """A proof does not hold, or the tree it is asked of cannot give one. The message says why."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(01 || left || right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def empty_root() -> bytes:
    """The root of the tree without leaves: SHA-256 of nothing."""
    return hashlib.sha256().digest()


class CompactTree:
    """A tree that only grows, kept as its peaks: the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """An existing tree from its size and peaks. Raises ProofError when their number does not fit the size."""
        self.size = size
        self.peaks = [_hash(peak) for peak in peaks]
        if not 0 <= size < MAX_SIZE or len(self.peaks) != sum(
            size >> height & 1 for height in range(size.bit_length())
        ):
            raise ProofError(f"{len(self.peaks)} peaks do not make a tree of size {size}")

    def append(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash."""
        peak, rest = _hash(leaf), self.size
        while rest & 1:
            peak = node_hash(self.peaks.pop(), peak)
            rest >>= 1
        self.peaks.append(peak)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root hash of the tree as it is now."""
        if not self.peaks:
            return empty_root()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over 32-byte leaf hashes, in one pass and constant memory."""
    tree = CompactTree()
    tree.extend(leaves)
    return tree.root()


def tile_coordinates(height: int, index: int) -> tuple[int, int, int, int]:
    """Where the perfect subtree `index` of 2^height leaves is stored: (tile level, tile index, first hash, hashes).

    The subtree's root is the tree hash over that many consecutive hashes of the tile.
    """
    level, rest = divmod(height, TILE_HEIGHT)
    first = index << rest
    return level, first >> TILE_HEIGHT, first & (TILE_WIDTH - 1), 1 << rest


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The C2SP tlog-tiles path of a tile: tile/0/x001/x234/067, or ….p/112 for a partial one."""
    if not (0 <= level < 64 and index >= 0 and 1 <= width <= TILE_WIDTH):
        raise ProofError("no such tile")
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    path = f"tile/{level}/" + "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tile_widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Every tile of a tree: (level, index, width), full and partial, none empty."""
    level = 0
    while size:
        for index in range(-(-size // TILE_WIDTH)):
            yield level, index, min(TILE_WIDTH, size - index * TILE_WIDTH)
        size //= TILE_WIDTH
        level += 1


def new_tiles(old_size: int, leaves: Sequence[bytes], reader: TileReader) -> dict[tuple[int, int], bytes]:
    """The tiles that change when leaf hashes are appended: {(level, index): all hashes of the tile as it is then}.

    Reads at most one stored tile per level. Raises ProofError when a stored tile is too short.
    """
    changed: dict[tuple[int, int], bytes] = {}
    fresh, size, level = [_hash(leaf) for leaf in leaves], old_size, 0
    while fresh:
        index, width = divmod(size, TILE_WIDTH)
        hashes = _stored(reader, level, index, width) if width else b""
        data = hashes + b"".join(fresh)
        full: list[bytes] = []
        for start in range(0, len(data), TILE_WIDTH * HASH_BYTES):
            tile = data[start : start + TILE_WIDTH * HASH_BYTES]
            changed[level, index] = tile
            index += 1
            if len(tile) == TILE_WIDTH * HASH_BYTES:
                full.append(_perfect(tile))
        fresh, size, level = full, size // TILE_WIDTH, level + 1
    return changed


def root_from_tiles(size: int, reader: TileReader) -> bytes:
    """The root of the tree of that size, from its stored tiles. Raises ProofError when one is missing or short."""
    return _range_hash(0, size, _cached(reader)) if size else empty_root()


def peaks_from_tiles(size: int, reader: TileReader) -> list[bytes]:
    """The peaks of the tree of that size, for CompactTree. Raises ProofError when a tile is missing or short."""
    peaks, start, read = [], 0, _cached(reader)
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            peaks.append(_subtree(height, start >> height, read))
            start += 1 << height
    return peaks


def inclusion_proof(index: int, size: int, reader: TileReader) -> list[bytes]:
    """The path from the leaf's sibling up (RFC 9162 section 2.1.3.1). Raises ProofError."""
    if not 0 <= index < size < MAX_SIZE:
        raise ProofError(f"no leaf {index} in a tree of size {size}")
    path: list[bytes] = []
    start, end, read = 0, size, _cached(reader)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, reader: TileReader) -> list[bytes]:
    """That the tree of size `new` starts with that of size `old` (RFC 9162 section 2.1.4.1). Raises ProofError.

    There is no proof from size 0, which every tree starts with; equal sizes have the empty proof.
    """
    if not 0 < old <= new < MAX_SIZE:
        raise ProofError(f"no consistency proof from size {old} to {new}")
    path: list[bytes] = []
    start, end, whole, read = 0, new, True, _cached(reader)
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start, whole = middle, False
    if not whole:
        path.append(_range_hash(start, end, read))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the leaf hash is at `index` in the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size < MAX_SIZE:
        raise ProofError(f"no leaf {index} in a tree of size {size}")
    position, last, result = index, size - 1, _hash(leaf)
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            result = node_hash(_hash(sibling), result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, _hash(sibling))
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the inclusion proof is too short")
    if result != _hash(root):
        raise ProofError("the inclusion proof leads to another root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless the new tree starts with the old one (RFC 9162 section 2.1.4.2). Size 0 is refused."""
    if not 0 < old <= new < MAX_SIZE:
        raise ProofError(f"no consistency proof from size {old} to {new}")
    if old == new:
        if proof:
            raise ProofError("a consistency proof between equal sizes is empty")
        if _hash(old_root) != _hash(new_root):
            raise ProofError("two roots for the same size")
        return
    path = [_hash(step) for step in proof]
    if old & (old - 1) == 0:
        path.insert(0, _hash(old_root))
    if not path:
        raise ProofError("the consistency proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_result = new_result = path[0]
    for step in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            old_result, new_result = node_hash(step, old_result), node_hash(step, new_result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_result = node_hash(new_result, step)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the consistency proof is too short")
    if old_result != _hash(old_root):
        raise ProofError("the consistency proof leads to another old root")
    if new_result != _hash(new_root):
        raise ProofError("the consistency proof leads to another new root")


def _split(count: int) -> int:
    """The largest power of two below count."""
    return 1 << (count - 1).bit_length() - 1


def _range_hash(start: int, end: int, read: TileReader) -> bytes:
    """The tree hash of leaves [start, end), where start is a multiple of the power of two that holds the range."""
    parts: list[bytes] = []
    while start < end:
        height = (end - start).bit_length() - 1
        parts.append(_subtree(height, start >> height, read))
        start += 1 << height
    result = parts.pop()
    while parts:
        result = node_hash(parts.pop(), result)
    return result


def _subtree(height: int, index: int, read: TileReader) -> bytes:
    level, tile, first, count = tile_coordinates(height, index)
    hashes = _stored(read, level, tile, first + count)
    return _perfect(hashes[first * HASH_BYTES :])


def _perfect(hashes: bytes) -> bytes:
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _stored(read: TileReader, level: int, index: int, width: int) -> bytes:
    hashes = read(level, index)
    if len(hashes) < width * HASH_BYTES:
        raise ProofError(f"tile {level}/{index} holds {len(hashes)} bytes, fewer than {width} hashes")
    return hashes[: width * HASH_BYTES]


def _cached(reader: TileReader) -> TileReader:
    """Each tile is read once per proof."""
    seen: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        if (level, index) not in seen:
            seen[level, index] = reader(level, index)
        return seen[level, index]

    return read


def _hash(value: bytes) -> bytes:
    if len(value) != HASH_BYTES:
        raise ProofError(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
    return value

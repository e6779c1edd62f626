"""Growing the Merkle tree of RFC 9162 in C2SP tlog-tiles, and proofs from them: what an archive does, not a verifier.

Pure functions: tiles are read through a callable (level, index) -> bytes that gives the stored hashes of a tile.
A stored tile may be wider than the asked tree size needs (its prefix serves every historic size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ledger.merkle import HASH_BYTES, MAX_SIZE, TILE_WIDTH, ProofError, checked, empty_root, node_hash, perfect_root

TILE_HEIGHT = 8

TileReader = Callable[[int, int], bytes]


class CompactTree:
    """A tree that only grows, kept as its peaks: the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """An existing tree from its size and peaks. Raises ProofError when their number does not fit the size."""
        self.size = size
        self.peaks = [checked(peak) for peak in peaks]
        if not 0 <= size < MAX_SIZE or len(self.peaks) != sum(
            size >> height & 1 for height in range(size.bit_length())
        ):
            raise ProofError(f"{len(self.peaks)} peaks do not make a tree of size {size}")

    def append(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash."""
        peak, rest = checked(leaf), self.size
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
    fresh, size, level = [checked(leaf) for leaf in leaves], old_size, 0
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
                full.append(perfect_root(tile))
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
    return perfect_root(hashes[first * HASH_BYTES :])


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

"""Which tile, and which hash in it, is not the one that the entries lead to. Only asked once something is wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from custody.alarm import Kind
from custody.leaves import Leaves
from custody.sequencer import read_tile
from custody.signer_state import SignerRefused
from ledger.grow import root_of
from ledger.merkle import HASH_BYTES, TILE_WIDTH


@dataclass(frozen=True)
class TileFault:
    """A hash of a stored tile that is not the one it should be; `found` is "" where the tile is too short."""

    level: int
    index: int
    offset: int
    expected: str
    found: str

    @property
    def where(self) -> str:
        return f"tile {self.level}/{self.index}"

    @property
    def about(self) -> str:
        """The hash by its entry, or by its place where it covers many."""
        return f"entry {self.index * TILE_WIDTH + self.offset}" if self.level == 0 else f"its hash {self.offset}"


class Tiles:
    """The stored tiles against the tree of given entry hashes, level by level, in 8 KiB a level."""

    def __init__(self, levels: Sequence[tuple[int, Sequence[bytes]]] = ()) -> None:
        self.levels: list[tuple[int, list[bytes]]] = [(index, list(hashes)) for index, hashes in levels]

    def add(self, hash_: bytes, level: int = 0) -> Iterator[TileFault]:
        """One more entry: the faults of the tiles it completes."""
        if level == len(self.levels):
            self.levels.append((0, []))
        index, hashes = self.levels[level]
        hashes.append(hash_)
        if len(hashes) == TILE_WIDTH:
            yield from _compared(level, index, hashes)
            self.levels[level] = (index + 1, [])
            yield from self.add(root_of(hashes), level + 1)

    def rest(self) -> Iterator[TileFault]:
        """The faults of the tiles at the right edge."""
        for level, (index, hashes) in enumerate(self.levels):
            if hashes:
                yield from _compared(level, index, hashes)


def tile_faults(leaves: Iterable[bytes]) -> Iterator[TileFault]:
    """The stored tiles that do not hold the tree of these entry hashes, the first wrong hash of each."""
    tiles = Tiles()
    for leaf in leaves:
        yield from tiles.add(leaf)
    yield from tiles.rest()


def new_tile_fault(known: Leaves, start: int, fresh: Sequence[bytes], root: bytes) -> SignerRefused:
    """Why the tiles do not lead to the root of the entries: the first wrong hash, as far as the signer remembers."""
    size = start + len(fresh)
    if len(known) >= start:
        for fault in tile_faults(chain(known.each(start), fresh)):
            return SignerRefused(
                f"the tiles do not lead to the root of the {size} stored entries: "
                f"{fault.where} is missing or was changed at {fault.about}",
                kind=Kind.DAMAGED,
                where=fault.where,
                expected=fault.expected,
                found=fault.found,
            )
    return SignerRefused(
        f"the tiles do not lead to the root of the {size} stored entries",
        kind=Kind.DAMAGED,
        where=f"tiles of entries 0 to {size - 1}",
        expected=root.hex(),
    )


def _compared(level: int, index: int, hashes: Sequence[bytes]) -> Iterator[TileFault]:
    stored = read_tile(level, index)
    for offset, hash_ in enumerate(hashes):
        found = stored[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        if found != hash_:
            yield TileFault(level, index, offset, hash_.hex(), found.hex())
            return

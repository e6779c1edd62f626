"""The signer's own list of entry hashes, in the order of the ledger: 32 bytes each, in one file that only grows.

It decides nothing: what was signed is the root in the signer's memory. It says *which* entry is not the one that was
signed, also where somebody has rewritten entries, hashes and tiles alike. It is believed only where it leads to that
root (`leads_to`), and built anew from a ledger that does.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

BYTES = 32
_BLOCK = 1 << 16  # hashes read at once


class Leaves:
    """Hashes 0 to len(self) - 1. One writer at a time, under the signer's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        try:
            return self.path.stat().st_size // BYTES
        except OSError:
            return 0

    def put(self, start: int, leaves: Sequence[bytes]) -> None:
        """The hashes from `start` on are now these. A list that misses earlier ones waits until it is built anew."""
        if len(self) < start:
            return
        with self.path.open("r+b" if self.path.exists() else "w+b") as handle:
            handle.seek(start * BYTES)
            handle.truncate()
            handle.write(b"".join(leaves))

    def read(self, start: int, stop: int) -> list[bytes]:
        """The hashes [start, stop), fewer where the list is shorter."""
        try:
            with self.path.open("rb") as handle:
                handle.seek(start * BYTES)
                data = handle.read((stop - start) * BYTES)
        except OSError:  # none yet, or not for this process to read
            return []
        return [data[at : at + BYTES] for at in range(0, len(data) - BYTES + 1, BYTES)]

    def each(self, size: int) -> Iterator[bytes]:
        """The first `size` hashes."""
        for start in range(0, size, _BLOCK):
            yield from self.read(start, min(start + _BLOCK, size))


class Peaks:
    """The roots of the perfect subtrees that make up the first `size` leaves: all a signer must remember."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)

    def add(self, leaf: bytes) -> None:
        self.peaks.append(leaf)
        complete = self.size + 1
        while complete % 2 == 0:
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(hashlib.sha256(b"\x01" + left + right).digest())
            complete //= 2
        self.size += 1

    def root(self) -> bytes:
        """The RFC 9162 tree head of the leaves so far, 32 bytes."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def leads_to(leaves: Leaves, size: int, root: bytes) -> bool:
    """Whether the list holds the tree of that size and root."""
    if len(leaves) < size:
        return False
    tree = Peaks()
    for leaf in leaves.each(size):
        tree.add(leaf)
    return tree.root() == root

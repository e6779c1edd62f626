"""Deriving a whole log anew from its entries, as C2SP tlog-tiles hold it (section 13)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from ledger.checkpoint import Checkpoint
from ledger.entry import MAX_ENTRY_BYTES
from ledger.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    ProofError,
    empty_root,
    entries_path,
    node_hash,
    perfect_root,
    tile_path,
)

if TYPE_CHECKING:
    from ledger.check import Check

TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_ENTRIES_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/[0-9]{1,3})?\Z")


def is_log_path(path: str, size: int) -> bool:
    """Whether a log of that size has this tile or entry bundle; by the path alone, for a head may claim any size."""
    match = _PATH.match(path)
    if match is None:
        return False
    index, entries = int(re.sub("[x/]", "", match[2])), match[1] == "entries"
    width = min(TILE_WIDTH, (size if entries else size >> 8 * int(match[1])) - index * TILE_WIDTH)
    return width > 0 and path == (entries_path(index, width) if entries else tile_path(int(match[1]), index, width))


def check_log(check: Check, folder: str, head: Checkpoint) -> bool:
    """Derive the tree from the entries, compare every tile and the root. Whether it leads to the head's root.

    Holds one bundle of entries and one hash for every 256 entries at a time.
    """
    above, tail, right = bytearray(), b"", b""
    for index in range(-(-head.size // TILE_WIDTH)):
        width = min(TILE_WIDTH, head.size - index * TILE_WIDTH)
        path = folder + entries_path(index, width)
        data = check.read(path, MAX_ENTRIES_BYTES)
        if data is None:
            return False
        hashes = check.attempt(path, "log-malformed", "is malformed", leaf_hashes, data, width)
        if hashes is None:
            return False
        _compare(check, folder + tile_path(0, index, width), hashes)
        if width == TILE_WIDTH:
            above += perfect_root(hashes)
        else:
            tail = hashes
    right, level = _joined(tail, right), 1
    while above:
        below, above = bytes(above), bytearray()
        for start in range(0, len(below), TILE_BYTES):
            hashes = below[start : start + TILE_BYTES]
            width = len(hashes) // HASH_BYTES
            _compare(check, folder + tile_path(level, start // TILE_BYTES, width), hashes)
            if width == TILE_WIDTH:
                above += perfect_root(hashes)
            else:
                right = _joined(hashes, right)
        level += 1
    if (right or empty_root()) != head.root:
        check.tell(f"{folder}checkpoint", "log-root", "is not the head of the entries that stand here")
        return False
    return True


def leaf_hashes(data: bytes, count: int) -> bytes:
    """The concatenated leaf hashes of an entry bundle of that many entries. Raises ProofError."""
    sha256, at, end, found = hashlib.sha256, 0, len(data), []
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if not start < at <= end or at - start > MAX_ENTRY_BYTES:
            raise ProofError("is cut off, or holds an entry of no length or more than 8,192 bytes")
        found.append(sha256(b"\0" + data[start:at]).digest())
    if at != end:
        raise ProofError(f"holds more than {count} entries")
    return b"".join(found)


def _compare(check: Check, path: str, hashes: bytes) -> None:
    if check.read(path, TILE_BYTES) not in (hashes, None):
        check.tell(path, "log-mismatch", "does not hold the hashes of the entries below it")


def _joined(hashes: bytes, right: bytes) -> bytes:
    """The root over a partial tile's hashes with what stands to the right of them."""
    end, width = len(hashes), HASH_BYTES
    while end:
        if end & width:
            peak = perfect_root(hashes[end - width : end])
            right, end = node_hash(peak, right) if right else peak, end - width
        width *= 2
    return right

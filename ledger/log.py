"""Deriving a whole log anew from its entries, as C2SP tlog-tiles hold it (section 13)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from ledger.checkpoint import Checkpoint
from ledger.entry import MAX_ENTRY_BYTES
from ledger.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    ProofError,
    empty_root,
    node_hash,
    perfect_root,
    tile_path,
)
from ledger.report import Problem, Report
from ledger.source import Folder

if TYPE_CHECKING:
    from ledger.check import Check

TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_ENTRIES_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
PART_TILES, MAX_PROCESSES = 64, 16  # entry bundles that a process derives at once; processes

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/[0-9]{1,3})?\Z")


def is_log_path(path: str, size: int) -> bool:
    """Whether a log of that size has this tile or entry bundle; by the path alone, for a head may claim any size."""
    match = _PATH.match(path)
    if match is None:
        return False
    index, level = int(re.sub("[x/]", "", match[2])), 0 if match[1] == "entries" else int(match[1])
    width = min(TILE_WIDTH, (size >> 8 * level) - index * TILE_WIDTH)
    return width > 0 and path == tile_path(match[1], index, width)


def check_log(check: Check, folder: str, head: Checkpoint) -> bool:
    """Derive the tree from the entries, compare every tile and the root. Whether it leads to the head's root.

    Holds one bundle of entries for each process, and one hash for every 256 entries.
    """
    above, right, level = bytearray(), b"", 1
    for told, roots, tail in _parts(check, folder, head.size):
        for problem in told:
            check.tell(*problem)
        if roots is None:
            return False
        above += bytes.fromhex(roots)
        right = _joined(bytes.fromhex(tail), b"")
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


def _parts(check: Check, folder: str, size: int) -> Iterator[Any]:
    """Every part of the log in order, as `_part` gives it: of a long log in a folder from a process on each core.

    What a process did not give, for whatever reason, is made here: the verdict is that of one process alone.
    """
    firsts = range(0, -(-size // TILE_WIDTH), PART_TILES)
    shared = isinstance(check.source, Folder) and hasattr(os, "fork") and threading.active_count() == 1
    many = min(len(firsts), os.cpu_count() or 1, MAX_PROCESSES if shared else 1)
    started = [_started(check, folder, size, firsts[n::many]) for n in range(many)] if many > 1 else []
    try:
        for number, first in enumerate(firsts):
            line = started[number % many][1].readline() if started else ""
            yield json.loads(line) if line.endswith("\n") else _part(check, folder, size, first)
    finally:
        for child, pipe in started:
            pipe.close()
            os.waitpid(child, 0)


def _started(check: Check, folder: str, size: int, firsts: range) -> tuple[int, IO[str]]:
    """A process that makes these parts, a line of JSON each: its id and what it writes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, os.fdopen(reading)
    try:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            out.writelines(json.dumps(_part(check, folder, size, first)) + "\n" for first in firsts)
    finally:
        os._exit(0)


def _part(check: Check, folder: str, size: int, first: int) -> tuple[list[Problem], str | None, str]:
    """What is wrong with the bundles from `first` on and their tiles; in hex the roots of full tiles, None where the
    derivation ends, and the hashes of a partial one."""
    part, above, tail = type(check)(check.source, Report("")), bytearray(), b""
    for index in range(first, min(first + PART_TILES, -(-size // TILE_WIDTH))):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        path = folder + tile_path("entries", index, width)
        hashes = part.parse(path, MAX_ENTRIES_BYTES, "log-malformed", leaf_hashes, width)
        if hashes is None:
            return part.report.problems, None, ""
        _compare(part, folder + tile_path(0, index, width), hashes)
        if width == TILE_WIDTH:
            above += perfect_root(hashes)
        else:
            tail = hashes
    return part.report.problems, above.hex(), tail.hex()


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

"""Walking a folder without changing it, following no link, and telling whether a file is still what it was."""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

READ = 256 << 10  # bytes: on a slow line a stop is heard between two reads
DEEPEST = 64
_KEYS = uuid.UUID("a3c0f6de-52a6-5b1c-9a55-2e4e7c1d9f60")


class Changed(Exception):
    """The file is not the one that was found, or cannot be read; the message says which."""


@dataclass(frozen=True)
class Found:
    """One file: where it is, its path inside the folder (undecodable bytes as surrogates), bytes, time of change."""

    path: str
    inside: str
    size: int
    mtime_ns: int

    @property
    def shown(self) -> str:
        return shown(self.inside)

    @property
    def name(self) -> str:
        """The name the archive is told: bytes that are no UTF-8 as %XX."""
        return _decoded(self.inside.rpartition("/")[2])

    @property
    def seen(self) -> str:
        """Names this state of the file without saying its name."""
        return hashlib.sha256(f"{self.size}\0{self.mtime_ns}\0".encode() + os.fsencode(self.inside)).hexdigest()

    def key(self, incident: str, sha256: str) -> str:
        """The idempotency key: the same bytes at the same place in the folder, for the same incident."""
        return str(uuid.uuid5(_KEYS, f"{incident}\0{sha256}\0{os.fsencode(self.inside).hex()}"))


@dataclass(frozen=True)
class Skipped:
    """What is in the folder and is no file of it: links, devices, pipes, folders that cannot be read."""

    shown: str
    why: str


def walk(folder: str, inside: str = "", depth: int = 0) -> Iterator[Found | Skipped]:
    """Every regular file below a folder, by name, depth first. Raises OSError when the folder itself cannot be read."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as problem:
        if depth == 0:
            raise
        yield Skipped(shown(inside), f"cannot be read: {problem.strerror}")
        return
    for entry in entries:
        relative = f"{inside}/{entry.name}" if inside else entry.name
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError as problem:
            yield Skipped(shown(relative), f"cannot be read: {problem.strerror}")
            continue
        if stat.S_ISDIR(info.st_mode):
            if depth < DEEPEST:
                yield from walk(entry.path, relative, depth + 1)
            else:
                yield Skipped(shown(relative), f"more than {DEEPEST} folders deep")
        elif stat.S_ISREG(info.st_mode):
            yield Found(entry.path, relative, info.st_size, info.st_mtime_ns)
        elif stat.S_ISLNK(info.st_mode):
            yield Skipped(shown(relative), "a link, which is not followed")
        else:
            yield Skipped(shown(relative), "neither a file nor a folder")


def read(found: Found, start: int, length: int) -> Iterator[bytes]:
    """The bytes of a part, at most READ at a time. Raises Changed, at the latest with the last of them."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(found.path, flags), "rb", buffering=0) as handle:
            _require_same(handle.fileno(), found)
            handle.seek(start)
            while length > 0:
                chunk = handle.read(min(READ, length))
                length -= len(chunk or b"")
                _require_same(handle.fileno(), found)
                if not chunk:
                    raise Changed("it is shorter than it was")
                yield chunk
    except OSError as problem:
        raise Changed(problem.strerror or "it cannot be read") from problem


def digests(found: Found, goes_on: Callable[[int], None]) -> tuple[str, str]:
    """SHA-256 and SHA-512 in hexadecimal; goes_on is called with the bytes of each read and may raise."""
    first, second = hashlib.sha256(), hashlib.sha512()
    for chunk in read(found, 0, found.size):
        first.update(chunk)
        second.update(chunk)
        goes_on(len(chunk))
    return first.hexdigest(), second.hexdigest()


def shown(path: str) -> str:
    """A path that no terminal can misread."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in _decoded(path))


def _decoded(path: str) -> str:
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in path)


def _require_same(descriptor: int, found: Found) -> None:
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode) or (info.st_size, info.st_mtime_ns) != (found.size, found.mtime_ns):
        raise Changed("it changed while it was read")

"""Walking a folder of evidence without changing it, following no link, and remembering what was ingested elsewhere."""

import fcntl
import hashlib
import json
import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.utils.translation import gettext as _

from evidence.blobs import RECEIVE_READ, ReceptionRefused
from incidents.bodies import name_of

MOST_FILES = 200_000
DEEPEST = 64
_KEYS = uuid.UUID("6f1d3c0e-6f0b-5c52-9a3e-0d9c5b7f2a11")


class FolderProblem(Exception):
    """The folder cannot be ingested, in words."""


@dataclass(frozen=True)
class Found:
    """One file: its path (undecodable bytes as surrogates), as text for people, and what the file system says of it."""

    path: str
    shown: str
    size: int
    mtime_ns: int

    def key(self, incident: uuid.UUID) -> uuid.UUID:
        """The idempotency key: the same file of the same state for the same incident, whoever asks how often."""
        return uuid.uuid5(_KEYS, f"{incident}\0{self.size}\0{self.mtime_ns}\0{_absolute(self.path).hex()}")


@dataclass(frozen=True)
class Skipped:
    """What is in the folder and is no file of it: links, devices, pipes, folders that cannot be read."""

    shown: str
    why: str


def walk(folder: str) -> Iterator[Found | Skipped]:
    """Every regular file below a folder, by name, depth first. Raises FolderProblem past MOST_FILES or DEEPEST."""
    files = 0
    for entry in _walk(folder, "", 0):
        if isinstance(entry, Found):
            files += 1
            if files > MOST_FILES:
                words = _("More than %(count)s files: ingest its parts one by one.")
                raise FolderProblem(words % {"count": MOST_FILES})
        yield entry


def _walk(folder: str, inside: str, depth: int) -> Iterator[Found | Skipped]:
    if depth > DEEPEST:
        raise FolderProblem(_("Folders are nested more than %(count)s deep.") % {"count": DEEPEST})
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as problem:
        if depth == 0:
            raise FolderProblem(_("The folder cannot be read: %(why)s") % {"why": problem.strerror}) from None
        yield Skipped(shown(inside), _("cannot be read: %(why)s") % {"why": problem.strerror})
        return
    for entry in entries:
        relative = f"{inside}/{entry.name}" if inside else entry.name
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError as problem:
            yield Skipped(shown(relative), _("cannot be read: %(why)s") % {"why": problem.strerror})
            continue
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(entry.path, relative, depth + 1)
        elif stat.S_ISREG(info.st_mode):
            yield Found(entry.path, shown(relative), info.st_size, info.st_mtime_ns)
        elif stat.S_ISLNK(info.st_mode):
            yield Skipped(shown(relative), _("a link, which is not followed"))
        else:
            yield Skipped(shown(relative), _("neither a file nor a folder"))


def found_file(path: str) -> Found:
    """One file by itself. Raises FolderProblem."""
    try:
        info = Path(path).lstat()
    except OSError as problem:
        raise FolderProblem(_("The folder cannot be read: %(why)s") % {"why": problem.strerror}) from None
    return Found(path, shown(Path(path).name), info.st_size, info.st_mtime_ns)


def shown(path: str) -> str:
    """A path that no terminal can misread: bytes that are no UTF-8 as %XX, what cannot be printed as \\x.."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name_of(os.fsencode(path)))


def read(found: Found) -> Iterator[bytes]:
    """The bytes of a file in reads of 1 MiB. Raises ReceptionRefused when it is no longer the file that was found."""
    changed = ReceptionRefused(_("The file changed while it was read. It was not kept; run again."), "changed", 409)
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise ReceptionRefused(problem.strerror or "", "unreadable", 400) from problem
    with os.fdopen(descriptor, "rb", buffering=0) as handle:
        if not _same(descriptor, found):
            raise changed
        try:
            while chunk := handle.read(RECEIVE_READ):
                yield chunk
        except OSError as problem:
            raise ReceptionRefused(problem.strerror or "", "unreadable", 400) from problem
        if not _same(descriptor, found):
            raise changed


def _absolute(path: str) -> bytes:
    return os.fsencode(Path(path).absolute())


def _same(descriptor: int, found: Found) -> bool:
    info = os.fstat(descriptor)
    return stat.S_ISREG(info.st_mode) and (info.st_size, info.st_mtime_ns) == (found.size, found.mtime_ns)


class Journal:
    """What an ingestion already did, one JSON line a file, outside the evidence folder: in the archive's own data.

    It names no file: a line has the key, the accession number and the digests. One ingestion of a folder at a time.
    """

    def __init__(self, folder: str, incident: uuid.UUID) -> None:
        name = hashlib.sha256(_absolute(folder) + b"\0" + incident.bytes).hexdigest()
        self.path = Path(settings.SANAD_DATA) / "ingest" / f"{name}.jsonl"
        self.done: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._handle = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._handle.close()
            raise FolderProblem(_("This folder is being ingested into this incident right now.")) from None
        whole = 0
        for line in self._handle:
            try:
                entry = json.loads(line)
                self.done[entry["key"]] = entry
            except (ValueError, KeyError, TypeError):
                break  # a line that a kill cut short; what follows it would not be readable either
            whole += len(line)
        self._handle.truncate(whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    def add(self, entry: dict[str, Any]) -> None:
        """Durable before it returns; losing the line would cost a second reading, never a second item."""
        self.done[entry["key"]] = entry
        self._handle.write(json.dumps(entry).encode() + b"\n")
        self._handle.flush()
        os.fsync(self._handle.fileno())

"""What earlier runs did with a folder, so that a killed one is gone on with. Outside the folder, one JSON line a fact.

It names no file: lines hold digests, keys, addresses of uploads and accession numbers. Losing it costs time, never
makes an item twice: keys come from the files themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO


class InUse(Exception):
    """Another run sends this folder to this incident right now."""


def state_folder() -> Path:
    """Where the person's programs keep their state."""
    if given := os.environ.get("XDG_STATE_HOME"):
        return Path(given) / "sanad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "sanad"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "sanad"
    return Path.home() / ".local" / "state" / "sanad"


class Journal:
    """The facts of one folder, one server and one incident. One run at a time; its threads share it."""

    def __init__(self, home: Path, server: str, incident: str, folder: str) -> None:
        named = f"{server}\0{incident}\0".encode() + os.fsencode(os.path.abspath(folder))  # noqa: PTH100  # bytes
        self.path = home / f"{hashlib.sha256(named).hexdigest()}.jsonl"
        self.facts: dict[tuple[str, str], dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._handle: BinaryIO | None = None

    def __enter__(self) -> Journal:  # noqa: PYI034  # Self came with Python 3.11
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b")
        if not _locked(handle):
            handle.close()
            raise InUse
        whole = 0
        for line in handle:
            try:
                fact = json.loads(line)
                self.facts[fact["kind"], fact["of"]] = fact
            except (ValueError, KeyError, TypeError):
                break  # a line that a kill cut short
            whole += len(line)
        handle.truncate(whole)
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.close()

    def know(self, kind: str, of: str) -> dict[str, Any] | None:
        return self.facts.get((kind, of))

    def add(self, kind: str, of: str, **fact: Any) -> None:
        """Durable before it returns."""
        line = {"kind": kind, "of": of, **fact}
        with self._lock:
            assert self._handle is not None
            self.facts[kind, of] = line
            self._handle.write(json.dumps(line).encode() + b"\n")
            self._handle.flush()
            os.fsync(self._handle.fileno())


def _locked(handle: BinaryIO) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

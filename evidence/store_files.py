"""The file store: ciphertext files named by their own SHA-256, written once, in folders of two letters."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from evidence.store_shape import Held, Missing, StoreProblem, is_address, must_be_address

INCOMING = ".incoming"  # copies on their way from another file system
QUARANTINE = "quarantine"  # bad bytes that a repair put aside, for an expert


class FileStore:
    """Files under one folder (evidence.store_shape.Store)."""

    def __init__(self, name: str, folder: Path, *, later: bool, links: bool) -> None:
        """With `links` a staged file becomes the stored one. In one store alone: two links would be one copy."""
        self.name, self.later, self.root, self._links = name, later, folder, links

    @property
    def where(self) -> str:
        return self.root.as_uri()

    def path_of(self, address: str) -> Path:
        """Where the bytes of an address stand. Raises ValueError."""
        must_be_address(address)
        return self.root / address[:2] / address[2:4] / address

    def put(self, staged: Path, address: str) -> None:
        target = self.path_of(address)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._linked(staged, target) and not target.exists():
                with self._copied(staged) as copy, suppress(FileExistsError):
                    os.link(copy, target)
            self._flush(target)
        except OSError as problem:
            raise StoreProblem(f"the store could not write: {problem.strerror}") from problem

    def replace(self, staged: Path, address: str) -> str:
        target, aside = self.path_of(address), ""
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._copied(staged) as copy:
                if target.exists():
                    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
                    kept = self.root / QUARANTINE / f"{address}.{stamp}"
                    kept.parent.mkdir(exist_ok=True, mode=0o700)
                    os.link(target, kept)  # under two names for a moment, so that no death loses it
                    _fsync_folder(kept.parent)
                    aside = f"{QUARANTINE}/{kept.name}"
                copy.replace(target)
            self._flush(target)
        except OSError as problem:
            raise StoreProblem(f"the store could not write: {problem.strerror}") from problem
        return aside

    @contextmanager
    def open(self, address: str) -> Iterator[BinaryIO]:
        try:
            handle = self.path_of(address).open("rb")
        except FileNotFoundError:
            raise Missing("the stored bytes are missing") from None
        except OSError as problem:
            raise StoreProblem(f"the store could not read: {problem.strerror}") from problem
        try:
            yield handle
        finally:
            with suppress(OSError):  # what was read is compared with its digest
                handle.close()

    def stat(self, address: str) -> Held | None:
        try:
            found = self.path_of(address).stat()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StoreProblem(f"the store could not read: {problem.strerror}") from problem
        return Held(address, found.st_size, found.st_mtime)

    def remove(self, address: str) -> None:
        path = self.path_of(address)
        aside = self.root / QUARANTINE
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _fsync_folder(path.parent)
            for kept in aside.glob(f"{address}.*"):
                kept.unlink(missing_ok=True)
                _fsync_folder(aside)
        except OSError as problem:
            raise StoreProblem(f"the store could not delete: {problem.strerror}") from problem

    def entries(self) -> Iterator[Held]:
        try:
            for first in _folders(self.root):
                for second in _folders(first):
                    with os.scandir(second) as found:
                        files = sorted(entry.name for entry in found if is_address(entry.name))
                    for name in files:
                        with suppress(FileNotFoundError):
                            seen = (second / name).stat()
                            yield Held(name, seen.st_size, seen.st_mtime)
        except OSError as problem:
            raise StoreProblem(f"the store could not be listed: {problem.strerror}") from problem

    def renew(self, address: str) -> None:
        """Nothing: a folder protects nothing against deletion."""

    def sweep(self, before: float) -> int:
        removed = 0
        for path in sorted((self.root / INCOMING).glob("*")):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
        return removed

    def _linked(self, staged: Path, target: Path) -> bool:
        if not self._links or staged.stat().st_dev != target.parent.stat().st_dev:
            return False
        with suppress(FileExistsError):
            os.link(staged, target)
        return True

    @contextmanager
    def _copied(self, staged: Path) -> Iterator[Path]:
        """The bytes in a file of this file system, durably; the file is gone afterwards unless it was moved."""
        folder = self.root / INCOMING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / str(uuid.uuid4())
        try:
            with staged.open("rb") as source, path.open("xb") as copy:
                os.fchmod(copy.fileno(), 0o600)
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _flush(self, target: Path) -> None:
        for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
            _fsync_folder(folder)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted(Path(entry.path) for entry in found if len(entry.name) == 2 and entry.is_dir())


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

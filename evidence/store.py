"""The file store: ciphertext files named by their own SHA-256, written once, in folders of two letters."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

READ = 1 << 20
_ADDRESS = re.compile(r"[0-9a-f]{64}\Z")


class StoreProblem(Exception):
    """The store could not do what it must; nothing was recorded."""


class Missing(StoreProblem):
    """No bytes stand at this address."""


def path_of(address: str) -> Path:
    """Where the bytes of an address stand."""
    if not _ADDRESS.match(address):
        raise ValueError("not an address of this store")
    return Path(settings.SANAD_STORE) / address[:2] / address[2:4] / address


def put(staged: Path, address: str) -> None:
    """Link complete, fsynced ciphertext into its place, durably. Storing the same bytes again changes nothing.

    Raises StoreProblem. The caller reads it back (evidence.blobs): only that finds a write that lies.
    """
    target = path_of(address)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.link(staged, target)
        for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
            _fsync_folder(folder)
    except OSError as problem:
        raise StoreProblem(f"the store could not write: {problem.strerror}") from problem


@contextmanager
def open_address(address: str) -> Iterator[BinaryIO]:
    """The ciphertext, for reading. Raises Missing, StoreProblem."""
    try:
        handle = path_of(address).open("rb")
    except FileNotFoundError:
        raise Missing("the stored bytes are missing") from None
    except OSError as problem:
        raise StoreProblem(f"the store could not read: {problem.strerror}") from problem
    try:
        yield handle
    finally:
        handle.close()


def digest(address: str) -> str:
    """The hex SHA-256 of what now stands at an address. Raises Missing, StoreProblem."""
    hasher = hashlib.sha256()
    with open_address(address) as handle:
        buffer = memoryview(bytearray(READ))
        try:
            while count := handle.readinto(buffer):  # type: ignore[attr-defined]
                hasher.update(buffer[:count])
        except OSError as problem:
            raise StoreProblem(f"the store could not read: {problem.strerror}") from problem
    return hasher.hexdigest()


def remove(address: str) -> None:
    """Take the bytes of an address away, durably. What is gone already stays gone. Raises StoreProblem."""
    path = path_of(address)
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _fsync_folder(path.parent)
    except OSError as problem:
        raise StoreProblem(f"the store could not delete: {problem.strerror}") from problem


def addresses() -> Iterator[str]:
    """Every address that has bytes, for the reconciler."""
    root = Path(settings.SANAD_STORE)
    if root.is_dir():
        for path in root.glob("??/??/*"):
            if _ADDRESS.match(path.name):
                yield path.name


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What every store does, and how it fails. evidence.store is what the rest of the archive calls."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

READ = 1 << 20
_ADDRESS = re.compile(r"[0-9a-f]{64}\Z")


class StoreProblem(Exception):
    """The store could not do what it must; nothing was recorded."""


class Missing(StoreProblem):
    """No bytes stand at this address."""


class Unreachable(StoreProblem):
    """The store does not answer now. What it holds is neither proved nor lost."""


class Locked(StoreProblem):
    """The store keeps an object against deletion: until a moment, or (None) until a legal hold is lifted."""

    def __init__(self, message: str, until: datetime | None) -> None:
        super().__init__(message)
        self.until = until


class Held(NamedTuple):
    """One object of a store: its address, its size in bytes, when it was written (seconds since 1970)."""

    address: str
    size: int
    modified: float


class Store(Protocol):
    """One place that keeps ciphertext by address. Every method raises StoreProblem, and waits for a bounded time."""

    name: str
    later: bool  # gets its copies from a job, never counts for an acknowledgement

    @property
    def where(self) -> str:
        """The place in words for an operator, without secrets."""
        ...

    def put(self, staged: Path, address: str) -> None:
        """Keep a complete file under its address, durably. Bytes that stand there already are never touched."""
        ...

    def replace(self, staged: Path, address: str) -> str:
        """Put good bytes in the place of bad ones, which are kept aside. Returns where they are, "" if none stood."""
        ...

    def open(self, address: str) -> AbstractContextManager[BinaryIO]:
        """The ciphertext, seekable; reading holds little in memory. Raises Missing."""
        ...

    def stat(self, address: str) -> Held | None: ...

    def remove(self, address: str) -> None:
        """Delete every version of an object, also bytes kept aside. Gone already is well. Raises Locked."""
        ...

    def entries(self) -> Iterator[Held]:
        """Every object, in the order of addresses."""
        ...

    def renew(self, address: str) -> None:
        """Keep the protection of an object against deletion from running out, where the store has one."""
        ...

    def sweep(self, before: float) -> int:
        """Take away what puts that were killed before a moment left behind; how many."""
        ...


def must_be_address(text: str) -> str:
    """The address. Raises ValueError unless it is 64 lower hexadecimal digits."""
    if not _ADDRESS.match(text):
        raise ValueError("not an address of this store")
    return text


def is_address(text: str) -> bool:
    return _ADDRESS.match(text) is not None


def digest_of(handle: BinaryIO) -> str:
    """The hex SHA-256 of everything there is to read. Raises StoreProblem."""
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(READ))
    try:
        while count := handle.readinto(buffer):  # type: ignore[attr-defined]
            hasher.update(buffer[:count])
    except OSError as problem:
        raise StoreProblem(f"the store could not read: {problem.strerror}") from problem
    return hasher.hexdigest()


def digest_in(one: Store, address: str) -> str:
    """The hex SHA-256 of what one store now gives for an address. Raises Missing, StoreProblem."""
    with one.open(address) as handle:
        return digest_of(handle)

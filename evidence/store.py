"""The stores together: bytes go to every one that counts, and are read from the nearest that has them.

1. `put` writes to all stores but those that are `later=1`, side by side, and reads each copy back where there are
   several. SANAD_COPIES of them must hold it, all by default. What is lacking is made up for by evidence.replication.
2. Stores are read in the order of the setting. One that does not answer is asked last for RESTING seconds.
3. An address is the SHA-256 of the bytes: two writers of one address write the same, and any copy proves itself.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from evidence import store_keys, store_urls
from evidence.store_files import FileStore
from evidence.store_shape import (
    READ,
    Locked,
    Missing,
    Store,
    StoreProblem,
    Unreachable,
    digest_in,
    digest_of,
    must_be_address,
)

RESTING = 30.0
_resting: dict[str, float] = {}
_turn = threading.Lock()


def stores() -> tuple[Store, ...]:
    """Every store of the setting, nearest first. Raises StoreProblem."""
    return made(str(settings.SANAD_STORES), Path(settings.SANAD_STORE_KEYS))


def named(name: str) -> Store:
    """The store of this name. Raises StoreProblem."""
    for one in stores():
        if one.name == name:
            return one
    raise StoreProblem(f"no store is called {name}; there are {', '.join(one.name for one in stores())}")


def order() -> tuple[Store, ...]:
    """The stores in the order in which they are read: those that did not answer lately come last."""
    now = time.monotonic()
    with _turn:
        return tuple(sorted(stores(), key=lambda one: _resting.get(one.name, 0.0) > now))


def path_of(address: str) -> Path:
    """Where the bytes of an address stand in the nearest file store. Raises StoreProblem where there is none."""
    for one in stores():
        if isinstance(one, FileStore):
            return one.path_of(address)
    raise StoreProblem("no store of this archive is a folder")


def put(staged: Path, address: str) -> tuple[str, ...]:
    """Keep complete, fsynced ciphertext durably; the names of the stores that hold it now. Doing it again is safe.

    Raises Unreachable when too many stores do not answer, StoreProblem. With one store the caller reads it back
    (evidence.blobs); of several each copy that counts was read back and hashed here.
    """
    must_be_address(address)
    prompt = [one for one in order() if not one.later]
    needed = settings.SANAD_COPIES or len(prompt)
    if len(stores()) == 1:
        with _watched(prompt[0]):
            prompt[0].put(staged, address)
        return (prompt[0].name,)
    awake = [one for one in prompt if not _rests(one)]
    asked = awake if len(awake) >= needed else prompt
    held, problems = [], []
    with ThreadPoolExecutor(len(asked), thread_name_prefix="store") as pool:
        for one, problem in zip(asked, pool.map(lambda one: _kept(one, staged, address), asked), strict=True):
            if problem is None:
                held.append(one.name)
            else:
                problems.append(problem)
    if len(held) < needed:
        words = f"{len(held)} of {needed} stores hold it: " + "; ".join(map(str, problems))
        unreachable = any(isinstance(problem, Unreachable) for problem in problems)
        raise (Unreachable if unreachable else StoreProblem)(words) from problems[0]
    return tuple(held)


@contextmanager
def open_address(address: str) -> Iterator[BinaryIO]:
    """The ciphertext, for reading, from the nearest store that gives it. Raises Missing, StoreProblem."""
    must_be_address(address)
    problems: list[StoreProblem] = []
    for one in order():
        try:
            with _watched(one):
                opened = one.open(address)
                handle = opened.__enter__()
        except StoreProblem as problem:
            problems.append(problem)
            continue
        try:
            yield handle
        finally:
            opened.__exit__(None, None, None)
        return
    raise worst(problems)


def digest(address: str) -> str:
    """The hex SHA-256 of what now stands at an address in the nearest store. Raises Missing, StoreProblem."""
    with open_address(address) as handle:
        return digest_of(handle)


def stands(address: str) -> bool:
    """Whether any store has bytes at an address. Raises StoreProblem when one cannot say."""
    return any(one.stat(address) is not None for one in stores())


def remove(address: str) -> None:
    """Take the bytes of an address away from every store, durably. What is gone already stays gone.

    Raises Locked after all the others were asked when stores keep it against deletion, StoreProblem.
    """
    must_be_address(address)
    problems: list[StoreProblem] = []
    for one in stores():
        try:
            one.remove(address)
        except StoreProblem as problem:
            problems.append(problem)
    for told in problems:
        if not isinstance(told, Locked):
            raise told
    if problems:
        raise last_lock([told for told in problems if isinstance(told, Locked)])


def addresses() -> Iterator[str]:
    """Every address that has bytes, store by store, for the reconciler."""
    for one in stores():
        for held in one.entries():
            yield held.address


def worst(problems: list[StoreProblem]) -> StoreProblem:
    """Of what the stores said the one that counts: bytes are missing only when every store says so."""
    for problem in problems:
        if not isinstance(problem, Missing):
            return problem
    return problems[0] if problems else Missing("the stored bytes are missing")


def last_lock(locks: list[Locked]) -> Locked:
    """The one that ends last; a legal hold has no end."""
    return max(locks, key=lambda lock: (lock.until is None, lock.until.timestamp() if lock.until else 0.0))


def rest(one: Store) -> None:
    """Ask a store that does not answer after all the others, for a while."""
    with _turn:
        _resting[one.name] = time.monotonic() + RESTING


def _rests(one: Store) -> bool:
    with _turn:
        return _resting.get(one.name, 0.0) > time.monotonic()


@contextmanager
def _watched(one: Store) -> Iterator[None]:
    try:
        yield
    except Unreachable:
        rest(one)
        raise


def _kept(one: Store, staged: Path, address: str) -> StoreProblem | None:
    """Put and read back; what went wrong."""
    try:
        with _watched(one):
            one.put(staged, address)
            if digest_in(one, address) != address:
                raise StoreProblem(f"{one.name} gave back other bytes than it was given")
    except StoreProblem as problem:
        return problem
    return None


@cache
def made(line: str, keys: Path) -> tuple[Store, ...]:
    """The stores of a line of URLs, with the file of their keys. Raises StoreProblem, BadStoreUrl."""
    made: list[Store] = []
    linked = False
    for place in store_urls.parse(line):
        if isinstance(place, store_urls.FilePlace):
            links = not linked and not place.later
            made.append(FileStore(place.name, place.folder, later=place.later, links=links))
            linked = linked or links
        else:
            from evidence.store_s3 import S3Store  # its libraries are large, and wanted only with such a store

            made.append(S3Store(place, store_keys.read(keys, place.name)))
    return tuple(made)


__all__ = [
    "READ",
    "Locked",
    "Missing",
    "Store",
    "StoreProblem",
    "Unreachable",
    "addresses",
    "digest",
    "digest_in",
    "made",
    "named",
    "open_address",
    "order",
    "path_of",
    "put",
    "remove",
    "stands",
    "stores",
]

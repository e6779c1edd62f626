"""Whether a store keeps its word: each probe does something and looks at what became of it.

What a store cannot promise, an archive cannot build on: digests that are compared, bytes that are not overwritten,
locks that hold. A store that answers "done" to a wrong digest, or shortens a COMPLIANCE lock, is refused.

Probes of S3 write beneath `probe/` and take it away again; what they locked is taken away by the next run.
"""

import hashlib
import http.client
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils import timezone

from evidence import store
from evidence.models import StoreCheck
from evidence.store_files import FileStore
from evidence.store_shape import Store, StoreProblem, Unreachable, digest_in

if TYPE_CHECKING:
    from evidence.store_s3 import S3Store

GOOD_FOR = timedelta(days=7)  # then it is asked again


@dataclass(frozen=True)
class Probed:
    """One question to a store and what it did: kept its word, or in words what it did instead."""

    name: str
    kept: bool
    detail: str = ""


class StoreLies(StoreProblem):
    """A store does not keep its word; nothing is entrusted to it."""


def probe(one: Store) -> Iterator[Probed]:
    """Ask a store everything, one question after the other. Raises StoreProblem when it cannot be asked at all."""
    return probe_files(one) if isinstance(one, FileStore) else probe_s3(one)


def check(one: Store) -> list[Probed]:
    """Ask everything and remember the verdict. Raises StoreProblem when it cannot be asked."""
    probed = list(probe(one))
    failed = [found.name for found in probed if not found.kept]
    StoreCheck.objects.create(store=one.name, place=one.where, at=timezone.now(), passed=not failed, failed=failed)
    return probed


def require_honest(*, at_most: timedelta = GOOD_FOR) -> list[str]:
    """Check every S3 store whose last verdict is old or bad; those that do not answer, by name. Raises StoreLies."""
    silent = []
    for one in store.stores():
        if isinstance(one, FileStore):
            continue
        last = StoreCheck.objects.filter(store=one.name, place=one.where).order_by("-at").first()
        if last is not None and last.passed and last.at > timezone.now() - at_most:
            continue
        try:
            failed = [found for found in check(one) if not found.kept]
        except StoreProblem:
            silent.append(one.name)
            continue
        if failed:
            words = "; ".join(f"not so: {found.name} ({found.detail})" for found in failed)
            raise StoreLies(f"store {one.name} does not keep its word: {words}")
    return silent


def probe_s3(one: Store) -> Iterator[Probed]:
    """Every question to an S3 store; those about locks where the archive locks."""
    from evidence.store_asking import Asking
    from evidence.store_lock_questions import COMPLIANCE_PROBES, LOCK_PROBES
    from evidence.store_questions import PROBES
    from evidence.store_s3 import S3Store

    assert isinstance(one, S3Store)
    asking = Asking(one)
    with one.words(missing=False):
        one.client.head_bucket(Bucket=one.place.bucket)
        asking.tidy()
    questions = [*PROBES, *(LOCK_PROBES if one.place.lock else ())]
    if one.place.lock == "COMPLIANCE":
        questions += COMPLIANCE_PROBES
    try:
        for name, question in questions:
            yield _asked(name, partial(_in_words, one, partial(question, asking)))
    finally:
        with suppress(StoreProblem), one.words(missing=False):
            asking.tidy()


def _in_words(one: "S3Store", question: Callable[[], None]) -> None:
    with one.words(missing=False):
        question()


def probe_files(one: FileStore) -> Iterator[Probed]:
    """Every question to a folder."""
    data = os.urandom(100_000)
    address = hashlib.sha256(data).hexdigest()
    try:
        one.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=one.root, prefix=".probe-") as folder:
            staged, other = Path(folder) / "staged", Path(folder) / "other"
            staged.write_bytes(data)
            other.write_bytes(b"other bytes")
            trial = FileStore("probe", Path(folder) / "store", later=False, links=False)
            yield _asked("gives back what it was given", partial(_gives_back, trial, staged, address))
            yield _asked("never overwrites what stands", partial(_never_overwrites, trial, other, address))
            yield _asked("keeps bad bytes aside when they are replaced", partial(_keeps_aside, trial, staged, address))
            yield _asked("lists what it holds", partial(_lists, trial, address))
            yield _asked("deletes what it is told to delete", partial(_deletes, trial, address))
        yield _asked("is closed to other accounts", partial(_is_closed, one))
    except OSError as problem:
        raise StoreProblem(f"{one.name} cannot be written: {problem.strerror}") from problem


def _gives_back(one: FileStore, staged: Path, address: str) -> None:
    one.put(staged, address)
    _must(digest_in(one, address) == address, "the bytes came back as others")


def _never_overwrites(one: FileStore, other: Path, address: str) -> None:
    one.put(other, address)
    _must(digest_in(one, address) == address, "it overwrote what stood there")


def _keeps_aside(one: FileStore, staged: Path, address: str) -> None:
    one.path_of(address).write_bytes(b"spoiled")
    aside = one.root / one.replace(staged, address)
    _must(digest_in(one, address) == address, "the good bytes are not there")
    _must(aside.read_bytes() == b"spoiled", "the bad bytes are not kept")


def _lists(one: FileStore, address: str) -> None:
    _must([held.address for held in one.entries()] == [address], "what stands is not listed")


def _deletes(one: FileStore, address: str) -> None:
    one.remove(address)
    _must(one.stat(address) is None and not list(one.root.rglob(f"{address}*")), "what was deleted is still there")


def _is_closed(one: FileStore) -> None:
    mode = stat.S_IMODE(one.root.stat().st_mode)
    _must(not mode & 0o077, f"its mode is {mode:o}; chmod 700")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoreProblem(otherwise)


def _asked(name: str, question: Callable[[], None]) -> Probed:
    try:
        question()
    except Unreachable:
        raise
    except KeyError as lacking:
        return Probed(name, False, f"its answer says nothing of {lacking}")
    except (StoreProblem, OSError, http.client.HTTPException) as broken:
        return Probed(name, False, str(broken) or type(broken).__name__)
    return Probed(name, True)

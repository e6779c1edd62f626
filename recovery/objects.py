"""Recovering one object: its stored bytes are looked up, tested, decrypted and written under the accession number."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recovery.escrow_file import Opened
from recovery.payload import PayloadBroken, decrypt

READ = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class NotRecovered(Exception):
    """Why an object could not be recovered; nothing of it was left in the folder."""


@dataclass(frozen=True)
class Recovered:
    """An object that was recovered. `proven` says that its bytes have the SHA-256 that its record names."""

    name: str
    size: int
    sha256: str
    proven: bool


def recover(opened: Opened, stores: list[Path], out: Path | None) -> Recovered:
    """Decrypt one object into `out`, or only test it when that is None. Raises NotRecovered.

    Looks through the stores for a copy that is good: a damaged one is passed over when another stands.
    """
    problem = "its bytes are in none of the stores"
    for path in (candidate for store in stores for candidate in _places(store, opened.address)):
        try:
            return _from(path, opened, out)
        except NotRecovered as failed:
            problem = str(failed)
        except FileNotFoundError:
            continue
        except OSError as failed:
            problem = f"its bytes cannot be read or written ({failed.strerror})"
    raise NotRecovered(problem)


def name_of(opened: Opened) -> str:
    """The name to write it under: the record's, where that is a plain name, or the address."""
    return opened.name if _NAME.fullmatch(opened.name) else opened.address


def _places(store: Path, address: str) -> list[Path]:
    """As the archive's store has it, and flat, as other tools copy objects."""
    return [store / address[:2] / address[2:4] / address, store / address]


def _from(path: Path, opened: Opened, out: Path | None) -> Recovered:
    with _stored(path) as stored:
        digest = hashlib.sha256()
        while block := stored.read(READ):
            digest.update(block)
        if digest.hexdigest() != opened.address:
            raise NotRecovered("its stored bytes were changed: their SHA-256 is not their address")
        size = stored.tell()
        stored.seek(0)
        plain, count, name = hashlib.sha256(), 0, name_of(opened)
        partial = Path(os.devnull) if out is None else out / f".{name}.partial"
        try:
            with _fresh(partial, out) as target:
                try:
                    for piece in decrypt(stored, size, opened.key, opened.blob):
                        plain.update(piece)
                        count += len(piece)
                        target.write(piece)
                except PayloadBroken as broken:
                    raise NotRecovered(str(broken)) from None
                if out is not None:
                    target.flush()
                    os.fsync(target.fileno())
            if opened.sha256 is not None and (plain.hexdigest(), count) != (opened.sha256, opened.size):
                raise NotRecovered("what it opens to has another SHA-256 or size than its record says")
            if out is not None:
                _keep(partial, out / name, plain.hexdigest())
        finally:
            if out is not None:
                partial.unlink(missing_ok=True)
    return Recovered(name, count, plain.hexdigest(), opened.sha256 is not None)


def _stored(path: Path) -> BinaryIO:
    """A plain file: a pipe or a device in the store would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRecovered("what stands at its address is no file")
    return os.fdopen(descriptor, "rb")


def _fresh(partial: Path, out: Path | None) -> BinaryIO:
    """For the owner alone, and never through a link that somebody put there; one of a run that was killed goes."""
    if out is None:
        return partial.open("wb")
    partial.unlink(missing_ok=True)
    return os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


def _keep(partial: Path, target: Path, sha256: str) -> None:
    """Nothing is overwritten; what was recovered before and is the same stays."""
    try:  # not by a link: many media of recovery know none
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        partial.replace(target)
    except FileExistsError:
        with target.open("rb") as standing:
            if hashlib.file_digest(standing, "sha256").hexdigest() != sha256:
                raise NotRecovered(f"another file stands at {target.name} already") from None

"""Escrow: every object's data key, encrypted to people who keep an identity offline, any one of whom opens it.

1. A row is written in the transaction of the blob itself (`deposit`), by whoever makes the blob, under the recipients
   that the file of recipients names at that moment (age v1, X25519). An empty file, or none where nothing is in
   escrow, means that there is no escrow.
2. A file of recipients that cannot be read stops what would be received: nobody finds out years later that it did
   not work. `manage.py check` says so before anything starts.
3. A row goes away with the key it is of (evidence/sql/escrow.sql).
4. What was received before, or under other recipients, is caught up with in batches (evidence.escrow_exports.catch_up).

docs/spec/keys.md has the form of the record; recovery/ is the tool that reads it, and shares no code with this.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyrage
from django.conf import settings
from django.utils import timezone

from custody.wrapping import KeyProblem
from evidence.models import Blob, Escrow
from ledger.entry import canonical

PURPOSE = "sanad/escrow/v1"
MOST_RECIPIENTS = 20
MOST_BYTES = 64 << 10
_ID_HEX = 16


@dataclass(frozen=True)
class Recipients:
    """Who may recover: age X25519 recipients (`age1...`) by their ids."""

    by_id: dict[str, str]

    @property
    def ids(self) -> list[str]:
        return sorted(self.by_id)


@dataclass(frozen=True)
class Plain:
    """What the bytes of a blob are once they are opened: hex SHA-256, bytes, and what a recovery calls them."""

    sha256: str | None
    size: int | None
    name: str


def recipients(*, ask: bool = True) -> Recipients:
    """Whom escrow is for now; nobody when it is not switched on. Raises KeyProblem when that cannot be told.

    `ask` the database, when there is no file, whether there was one.
    """
    path = Path(settings.SANAD_ESCROW_RECIPIENTS)
    try:
        status = path.stat()
    except FileNotFoundError:
        if ask and Escrow.objects.exists():
            raise KeyProblem("the file of escrow recipients is gone; an empty one in its place ends escrow") from None
        return Recipients({})
    except OSError as problem:
        raise KeyProblem(f"the file of escrow recipients cannot be read ({problem.strerror})") from None
    return _read(path, (status.st_ino, status.st_mtime_ns, status.st_size))


def recipient_id(recipient: str) -> str:
    """The short name of a recipient: 16 hex digits of the SHA-256 of its `age1...`."""
    return hashlib.sha256(recipient.encode()).hexdigest()[:_ID_HEX]


def deposit(blob: Blob, key: bytes | bytearray, plain: Plain) -> None:
    """Put a blob's key in escrow, in the transaction that makes or reseals it. Raises KeyProblem."""
    deposit_for(recipients(), blob, key, plain)


def deposit_for(known: Recipients, blob: Blob, key: bytes | bytearray, plain: Plain) -> None:
    """The same for recipients that were read before: of a run, all rows are for the same."""
    if known.by_id:
        Escrow.objects.create(
            blob_id=blob.id,
            address=blob.address,
            recipients=known.ids,
            sealed=seal(blob, key, plain, known),
            sealed_at=timezone.now(),
        )


def seal(blob: Blob, key: bytes | bytearray, plain: Plain, known: Recipients) -> bytes:
    """The escrow record of a blob as an age file that any one of the recipients opens."""
    record: dict[str, object] = {
        "address": blob.address,
        "blob": str(blob.id),
        "commitment": blob.key_commitment,
        "name": plain.name,
        "purpose": PURPOSE,
        "sha256": plain.sha256,
        "size": plain.size,
    }
    to = [pyrage.x25519.Recipient.from_str(known.by_id[one]) for one in known.ids]
    # No variable holds the key in the clear: the page of an error shows every variable.
    return bytes(pyrage.encrypt(canonical(record | {"key": key.hex()}), to))


@lru_cache(maxsize=2)
def _read(path: Path, _stamp: object) -> Recipients:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise KeyProblem("the file of escrow recipients cannot be read") from None
    if not text:
        return Recipients({})  # switched off, and said so
    found: dict[str, str] = {}
    for number, line in enumerate(text[: MOST_BYTES + 1].splitlines(), 1):
        stated = line.partition("#")[0].strip()
        if not stated:
            continue
        if stated.upper().startswith("AGE-SECRET-KEY"):
            raise KeyProblem(
                f"line {number} of the escrow recipients is a secret identity: take it out, make a new one"
            )
        try:
            found[recipient_id(str(pyrage.x25519.Recipient.from_str(stated)))] = stated
        except pyrage.RecipientError:
            raise KeyProblem(f"line {number} of the escrow recipients is not an age X25519 recipient") from None
    if not found or len(found) > MOST_RECIPIENTS or len(text) > MOST_BYTES:
        raise KeyProblem(f"the file of escrow recipients names none, or more than {MOST_RECIPIENTS}")
    return Recipients(found)

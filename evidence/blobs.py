"""Receiving bytes and reading them again.

1. Every byte is hashed (SHA-256, SHA-512) before anything else sees it.
2. It goes to staging encrypted, under a fresh key for each attempt: no plaintext ever touches the disk, and a re-sent
   upload never meets the same key and nonce with other bytes.
3. The staged file is fsynced, linked to its address, read back from the store and hashed again, and decrypted to prove
   that what can be given back is what came. Only then may an item be recorded.
4. What is killed on the way leaves a staging file or an address without a row; the reconciler removes both by age.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from threading import Thread
from typing import BinaryIO, Self

from django.conf import settings
from django.utils.translation import gettext as _

from custody import keys
from custody.memory import Secret
from evidence import copies, escrow, reading, store, streams
from evidence.hashing import Digest
from evidence.models import Blob

RECEIVE_READ = 1 << 20
FLUSH = 64 << 20  # bytes between two flushes to disk


class ReceptionRefused(Exception):
    """The bytes could not be taken, in words for the sender. Nothing was kept."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.message, self.code, self.status = message, code, status


@dataclass(frozen=True)
class Received:
    """Bytes that stand in the store and belong to nothing yet."""

    blob_id: uuid.UUID
    address: str
    stored_size: int
    key: Secret = field(repr=False)
    sha256: str
    sha512: str
    size: int
    held: tuple[str, ...] = ()  # the stores that have it


def receive(
    chunks: Iterable[bytes], *, declared_size: int | None = None, declared_sha256: str | None = None
) -> Received:
    """Hash, encrypt and store a stream; what it returns was read back from the store and opened again.

    Raises ReceptionRefused (413 too large, 400 cut off, 422 other digest than declared, 507 no room), StoreProblem.
    """
    blob_id, key = uuid.uuid4(), Secret(token_bytes(streams.KEY_BYTES))
    encryptor = streams.Encryptor(key, associated_data(blob_id))
    limit: int = settings.SANAD_UPLOAD_LIMIT
    if declared_size is not None and declared_size > limit:
        raise _too_large(limit)
    size = 0
    with (
        _staging(blob_id) as (path, descriptor),
        Digest("sha256") as sha256,
        Digest("sha512") as sha512,
        _Ciphertext(descriptor) as stored,
    ):
        try:
            for chunk in _arriving(chunks):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                sha256.update(chunk)
                sha512.update(chunk)
                for sealed in encryptor.update(chunk):
                    stored.write(sealed)
            if declared_size is not None and size != declared_size:
                raise _incomplete(size, declared_size)
            if declared_sha256 is not None and sha256.hexdigest() != declared_sha256:
                raise ReceptionRefused(
                    _("What arrived is not what was sent: the digests differ. Nothing was kept; please send it again."),
                    "digest_mismatch",
                    422,
                )
            stored.write(encryptor.finish())
            stored.make_durable()
        except OSError as problem:
            raise ReceptionRefused(
                _("The archive has no room or cannot write now. Nothing was kept; your file is still with you."),
                "no_room",
                507,
            ) from problem
        address = stored.digest.hexdigest()
        held = store.put(path, address)
        received = Received(blob_id, address, stored.size, key, sha256.hexdigest(), sha512.hexdigest(), size, held)
    read_back(received)
    return received


class Flushed:
    """A file being written: flushed to disk every FLUSH bytes beside the work."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.size = descriptor, 0
        self._unflushed = 0
        self._flush: Thread | None = None
        self._problem: OSError | None = None

    def write(self, data: bytes) -> None:
        """Raises OSError, also for a flush of earlier bytes that failed meanwhile."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(data)
        self._unflushed += len(data)
        if self._unflushed >= FLUSH:
            self._wait()
            self._flush, self._unflushed = Thread(target=self._sync, daemon=True), 0
            self._flush.start()

    def make_durable(self) -> None:
        self._wait()
        os.fsync(self._descriptor)

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as problem:
            self._problem = problem

    def _wait(self) -> None:
        if self._flush is not None:
            self._flush.join()
            self._flush = None
        if self._problem is not None:
            raise self._problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """The descriptor is closed after this: no flush may still be using its number."""
        if self._flush is not None:
            self._flush.join()


class _Ciphertext(Flushed):
    """Ciphertext on its way to disk: hashed beside the writing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.digest = Digest("sha256")

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        super().write(data)

    def __exit__(self, *_error: object) -> None:
        super().__exit__()
        self.digest.close()


def make_blob(received: Received, name: str = "") -> Blob:
    """The row of received bytes, with their key wrapped and in escrow. Call inside the action that records them.

    `name` is what a recovery calls the bytes: an accession number, never an original name. The stores that do not hold
    them yet get their copies from a job.
    """
    copies.want_where_lacking(received.address, received.held)
    blob = Blob.objects.create(
        id=received.blob_id,
        address=received.address,
        size=received.stored_size,
        wrapped_key=keys.provider().wrap(received.key, f"blob/{received.blob_id}"),
        key_commitment=key_commitment(received.key),
    )
    escrow.deposit(blob, received.key, escrow.Plain(received.sha256, received.size, name))
    return blob


def discard(received: Received) -> None:
    """Forget received bytes that no row will ever name; their key goes with them."""
    received.key.wipe()
    if not Blob.objects.filter(address=received.address).exists():
        with suppress(store.StoreProblem):  # the reconciler takes away what stays
            store.remove(received.address)


@contextmanager
def open_blob(blob: Blob) -> Iterator[reading.Reader]:
    """The plaintext of a blob, any range, in 1 MiB of memory. Raises store.Missing, StreamBroken, keys.KeyProblem."""
    with (
        keys.provider().unwrap(bytes(blob.wrapped_key), f"blob/{blob.id}") as key,
        reading.open_copies(blob.address, key, associated_data(blob.id)) as reader,
    ):
        yield reader


@contextmanager
def open_received(received: Received) -> Iterator[reading.Reader]:
    """As open_blob, of bytes that no row names yet. Raises store.Missing, StreamBroken."""
    with reading.open_copies(received.address, received.key, associated_data(received.blob_id)) as reader:
        yield reader


def read_blob(blob: Blob, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The plaintext bytes [start, stop) by segment, opening the store only when read."""
    with open_blob(blob) as decryptor:
        yield from decryptor.read(start, stop)


def stored_size(plain: int) -> int:
    """The bytes that this many received bytes take in the store."""
    return streams.ciphertext_size(plain)


def associated_data(blob_id: uuid.UUID) -> bytes:
    """What binds a stream to its row."""
    return f"sanad/blob/v1/{blob_id}".encode()


def key_commitment(key: bytes | bytearray) -> str:
    """GCM does not commit to its key; the ledger entry of an item does, through this."""
    return hashlib.sha256(b"archive/key-commitment/v1" + key).hexdigest()


def read_back(received: Received) -> None:
    """Read it all again. Raises StoreProblem unless it is what was written and opens to what came."""
    with store.open_address(received.address) as handle, Digest("sha256") as plain:
        try:
            stored = open_whole(handle, received.stored_size, received.key, received.blob_id, plain.update)
            more = handle.read(1)
        except streams.StreamBroken as problem:
            raise store.StoreProblem(f"the store gave back other bytes than it was given: {problem}") from problem
        except OSError as problem:
            raise store.StoreProblem(f"the store could not read: {problem.strerror}") from problem
        if more or stored != received.address:
            raise store.StoreProblem("the store gave back other bytes than it was given")
        if plain.hexdigest() != received.sha256:
            raise store.StoreProblem("the stored bytes do not open to what was received")


def open_whole(handle: BinaryIO, size: int, key: Secret, blob_id: uuid.UUID, take: Callable[[bytes], object]) -> str:
    """Decrypt a whole stream in one pass; `take` gets the plaintext by segment. The ciphertext's hex SHA-256.

    Raises StreamBroken, OSError.
    """
    position = 0
    with Digest("sha256") as stored:

        def read_at(offset: int, length: int) -> bytes:
            nonlocal position
            handle.seek(offset)
            data = handle.read(length)
            if offset + len(data) > position:  # the header is read once more with its segment
                stored.update(data[position - offset :])
                position = offset + len(data)
            return data

        for piece in streams.Decryptor(read_at, size, key, associated_data(blob_id)).read():
            take(piece)
        return stored.hexdigest()


@contextmanager
def _staging(blob_id: uuid.UUID) -> Iterator[tuple[Path, int]]:
    folder = Path(settings.SANAD_STAGING)
    path = folder / f"{blob_id}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise ReceptionRefused(
            _("The archive has no room or cannot write now. Nothing was kept; your file is still with you."),
            "no_room",
            507,
        ) from problem
    try:
        yield path, descriptor
    finally:
        # What counts was flushed and is read back; what cannot be taken away is left to the reconciler.
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _arriving(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks; a sender who goes away is told apart from a disk that fails."""
    arrived = 0
    source = iter(chunks)
    while True:
        try:
            chunk = next(source)
        except StopIteration:
            return
        except OSError as problem:  # also Django's UnreadablePostError
            raise _incomplete(arrived, None) from problem
        arrived += len(chunk)
        yield chunk


def _incomplete(got: int, sent: int | None) -> ReceptionRefused:
    if sent is None:
        message = _("The line broke after %(got)s bytes. Nothing was kept; please send it again.") % {"got": got}
    else:
        message = _("The line broke: %(got)s of %(sent)s bytes arrived. Nothing was kept; please send it again.") % {
            "got": got,
            "sent": sent,
        }
    return ReceptionRefused(message, "incomplete", 400)


def _too_large(limit: int) -> ReceptionRefused:
    return ReceptionRefused(
        _("This file is larger than the archive takes (%(limit)s bytes).") % {"limit": limit}, "too_large", 413
    )

"""Bytes of a file that arrive in parts, staged as the ciphertext that will be stored.

1. Whole segments go to `<blob>.part`, each encrypted once. What fills no segment yet goes to `<blob>.<offset>.tail`,
   under a key derived for this one file from a random salt, and is written anew whenever an offset is kept.
2. `keep` returns when file, tail and folder are on the disk. Only then may anybody be told the offset; the tail of the
   offset before is taken away by `forget_tail` once the new one is committed.
3. Segments that were made after the last kept offset may stand on the disk with other bytes than those that come next.
   So nobody goes on under that key: `Staged.open` is for a stream whose last writer kept everything it made, and after
   any other end `under_a_new_key` writes what was kept into another file first. No key and nonce ever meet two texts.
"""

import os
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from evidence import streams
from evidence.blobs import Flushed, Received, associated_data, open_whole
from evidence.hashing import Digest
from evidence.streams import HEADER, KEY_BYTES, SEGMENT, StreamBroken

SUFFIXES = (".part", ".tail", ".spool")
_SALT, _NONCE = 32, 12
_holders: list[Callable[[set[uuid.UUID]], set[uuid.UUID]]] = []


@dataclass(frozen=True)
class Kept:
    """What is acknowledged of a stream: its id, its key and how many bytes of plaintext."""

    blob_id: uuid.UUID
    key: bytes
    offset: int

    @property
    def path(self) -> Path:
        return _folder() / f"{self.blob_id}.part"

    @property
    def tail_path(self) -> Path:
        return _folder() / f"{self.blob_id}.{self.offset}.tail"


@dataclass(frozen=True)
class Part:
    """A range [start, stop) of the plaintext with the SHA-256 (hex) that it had on arrival."""

    start: int
    stop: int
    sha256: str


def begun() -> Kept:
    """A stream of no bytes under a key of its own."""
    return Kept(uuid.uuid4(), secrets.token_bytes(KEY_BYTES), 0)


class Staged:
    """A stream that takes more bytes. A context: leaving it closes the file and keeps nothing by itself."""

    def __init__(self, kept: Kept) -> None:
        """Go on where everything that was made was kept. Raises OSError, StreamBroken when kept bytes are missing."""
        self._kept, self.offset = kept, kept.offset
        whole = streams.segments_before(kept.offset)
        tail = _read_tail(kept)
        _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(kept.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(self._descriptor).st_size < whole * SEGMENT:
                raise StreamBroken("staged bytes that were acknowledged are missing")
            os.ftruncate(self._descriptor, whole * SEGMENT)
            header = os.pread(self._descriptor, HEADER, 0)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            self._encryptor = streams.Encryptor(
                kept.key, associated_data(kept.blob_id), after=whole, header=header, tail=tail
            )
            self._file = Flushed(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise

    def write(self, data: bytes) -> None:
        """Raises OSError; after it nothing more may be kept under this key."""
        self.offset += len(data)
        for sealed in self._encryptor.update(data):
            self._file.write(sealed)

    def keep(self) -> Kept:
        """Make what was written durable. Raises OSError."""
        kept = Kept(self._kept.blob_id, self._kept.key, self.offset)
        self._file.make_durable()
        _write_tail(kept, self._encryptor.tail)
        _fsync_folder()
        return kept

    def complete(self) -> None:
        """Write the last segment and make the whole stream durable. Raises OSError."""
        self._file.write(self._encryptor.finish())
        self._file.make_durable()
        _fsync_folder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.__exit__()
        os.close(self._descriptor)


def under_a_new_key(kept: Kept) -> Kept:
    """Write what was kept into another file under a fresh key. Raises OSError, StreamBroken.

    The old file stays until `forget(old)`: whoever still writes there writes for nobody.
    """
    fresh = begun()
    try:
        with Staged(fresh) as staged:
            for piece in _pieces(kept):
                staged.write(piece)
            return staged.keep()
    except BaseException:
        forget(fresh)
        raise


def whole(kept: Kept, parts: Iterable[Part]) -> Received:
    """One pass over a complete stream: opened, its parts as they arrived, all digests. It stands in no store yet.

    Raises OSError, StreamBroken when it does not open or a part is not what arrived.
    """
    check = _Parts(parts)
    with Digest("sha256") as sha256, Digest("sha512") as sha512, check, kept.path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size

        def take(piece: bytes) -> None:
            sha256.update(piece)
            sha512.update(piece)
            check.take(piece)

        address = open_whole(handle, size, kept.key, kept.blob_id, take)
        check.ended(kept.offset)
        return Received(kept.blob_id, address, size, kept.key, sha256.hexdigest(), sha512.hexdigest(), kept.offset)


def forget(kept: Kept, *, cut_down: bool = False) -> None:
    """Take a stream's files away. What is gone already stays gone.

    One that was `cut_down` may have a tail of an offset that was never told; the whole folder is looked through for it.
    """
    tails = _folder().glob(f"{kept.blob_id}.*.tail") if cut_down else [kept.tail_path]
    for path in (kept.path, *tails):
        path.unlink(missing_ok=True)


def forget_tail(kept: Kept) -> None:
    """Take away the tail of an offset that is no longer the last one kept."""
    with suppress(OSError):  # the reconciler finds it
        kept.tail_path.unlink(missing_ok=True)


def free_bytes() -> int:
    """The room on the staging file system that this account may use. Raises OSError."""
    _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    found = os.statvfs(_folder())
    return found.f_bavail * found.f_frsize


def held_by(known: Callable[[set[uuid.UUID]], set[uuid.UUID]]) -> None:
    """Tell the reconciler who knows streams that are still needed: `known(ids)` gives those of them that are."""
    _holders.append(known)


def still_held(paths: Iterable[Path]) -> set[Path]:
    """Those staging files that somebody still needs, whatever their age."""
    ids = {path: _blob_of(path) for path in paths}
    asked = {blob_id for blob_id in ids.values() if blob_id is not None}
    held = set().union(*(known(asked) for known in _holders))
    return {path for path, blob_id in ids.items() if blob_id in held}


@contextmanager
def spooled(blob_id: uuid.UUID) -> Iterator[tuple[Callable[[bytes], None], Callable[[], Iterator[bytes]]]]:
    """A place for bytes that do not count yet, under a key that is never stored: (put, then give all back).

    Gone at the end, whatever happens. Raises OSError.
    """
    _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _folder() / f"{blob_id}.{secrets.token_hex(8)}.spool"
    key = secrets.token_bytes(KEY_BYTES)
    encryptor = streams.Encryptor(key, b"spool")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "r+b") as handle:
        path.unlink()

        def put(data: bytes) -> None:
            for sealed in encryptor.update(data):
                handle.write(sealed)

        def given() -> Iterator[bytes]:
            handle.write(encryptor.finish())
            size = handle.tell()
            yield from streams.decrypt_file(handle, size, key, b"spool").read()

        yield put, given


class _Parts:
    """The plaintext of a stream against the digests that its parts had on arrival."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = iter(sorted(parts, key=lambda part: part.start))
        self._part: Part | None = None
        self._digest: Digest | None = None
        self._position = 0

    def take(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            if self._part is None or self._digest is None:
                self._part = next(self._parts, None)
                if self._part is None or self._part.start != self._position:
                    raise StreamBroken(f"no part arrived for the bytes from {self._position}")
                self._digest = Digest("sha256")
            given = view[: self._part.stop - self._position]
            self._digest.update(bytes(given) if len(given) < len(piece) else piece)
            self._position += len(given)
            view = view[len(given) :]
            if self._position == self._part.stop:
                if self._digest.hexdigest() != self._part.sha256:
                    raise StreamBroken(f"the bytes from {self._part.start} are not those that arrived")
                self._part = self._digest = None

    def ended(self, size: int) -> None:
        if self._position != size or self._part is not None:
            raise StreamBroken(f"{self._position} of {size} bytes are staged")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._digest is not None:
            self._digest.close()


def _pieces(kept: Kept) -> Iterator[bytes]:
    """The plaintext that was kept, by segment."""
    segments = streams.segments_before(kept.offset)
    if segments:
        with kept.path.open("rb") as handle:
            yield from streams.decrypt_file(
                handle, segments * SEGMENT, kept.key, associated_data(kept.blob_id), unfinished=True
            ).read()
    yield _read_tail(kept)


def _read_tail(kept: Kept) -> bytes:
    start = streams.plain_before(streams.segments_before(kept.offset))
    if start == kept.offset:
        return b""
    try:
        stored = kept.tail_path.read_bytes()
    except FileNotFoundError:
        raise StreamBroken("staged bytes that were acknowledged are missing") from None
    aead = _tail_aead(kept, stored[:_SALT])
    try:
        tail = aead.decrypt(stored[_SALT : _SALT + _NONCE], stored[_SALT + _NONCE :], _range(start, kept.offset))
    except (InvalidTag, ValueError):
        raise StreamBroken("staged bytes that were acknowledged were changed") from None
    return tail


def _write_tail(kept: Kept, tail: bytes) -> None:
    if not tail:
        return
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    sealed = _tail_aead(kept, salt).encrypt(nonce, tail, _range(kept.offset - len(tail), kept.offset))
    descriptor = os.open(kept.tail_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(salt + nonce + sealed)
        handle.flush()
        os.fsync(handle.fileno())


def _tail_aead(kept: Kept, salt: bytes) -> AESGCM:
    info = f"sanad/tail/v1/{kept.blob_id}".encode()
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(kept.key))


def _range(start: int, stop: int) -> bytes:
    return f"{start}-{stop}".encode()


def _blob_of(path: Path) -> uuid.UUID | None:
    try:
        return uuid.UUID(path.name.partition(".")[0])
    except ValueError:
        return None


def _folder() -> Path:
    return Path(settings.SANAD_STAGING)


def _fsync_folder() -> None:
    descriptor = os.open(_folder(), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

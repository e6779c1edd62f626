"""The archive's key-encryption keys: which there are, which one wraps now, and the files that hold secrets.

The first key, in the file `kek`, is made on first use together with the list `key-encryption.json`; rotation
(custody.key_rotation) writes it anew: keys in files and in tokens, one of them current. Where rows hold wrapped keys,
no key is ever made in the place of a list that is missing. Every process looks at the list before it wraps or opens,
so that a new key is used at once and one that was destroyed no more.
"""

import base64
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from custody import wrapping
from custody.memory import Secret, no_core_dumps
from custody.token_keys import Token, TokenKey
from custody.wrapping import KEY_BYTES, KeyAway, KeyProblem, MemoryKey, WrappingKey
from ledger import durable

KEK = "kek"
LIST = "key-encryption.json"
_LIST_VERSION = 1
_MISSING = f"the list {LIST} is missing; is SANAD_KEY_FOLDER right? If so, restore it from the backup of the keys"


@dataclass(frozen=True)
class Listed:
    """A key-encryption key as it stands in the list: in a file beside it, or in a token. Nothing here is secret.

    `replaced_at`: when another became current, seconds since 1970. `doomed`: the ledger says that it is destroyed; it
    is not loaded any more, and stands here until it is really gone.
    """

    id: str
    file: str = ""
    module: str = ""
    token: str = ""
    replaced_at: float | None = None
    doomed: bool = False


@dataclass(frozen=True)
class Ring:
    """The list: the key that wraps, the one that is about to, and all that open."""

    current: str
    keys: tuple[Listed, ...]
    next: str | None = None


@dataclass(frozen=True)
class Sample:
    """A wrapped key of some row, with the key it names and its context."""

    named: bytes | None
    context: str
    wrapped: bytes


class KeyRing:
    """Wraps under the current key and opens under any key of the list. Used from all threads of a process."""

    def __init__(self, folder: Path, samples: Callable[[], Sequence[Sample]] = tuple) -> None:
        """`samples` gives a wrapped key of each key that rows need; without a list, they say what the folder must hold.

        Raises KeyProblem, and makes a first key and the list only where there is no row.
        """
        if stamp(folder) is None:
            begin_list(folder, samples())
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: object = None
        self._current: WrappingKey
        self._keys: Mapping[bytes, WrappingKey] = {}
        self._read(stamp(folder))

    def wrap(self, key: bytes | bytearray, context: str) -> bytes:
        """The data key in an envelope under the current key, for the row that the context names."""
        self._look()
        return wrapping.envelope(self._current, key, context)

    def unwrap(self, wrapped: bytes, context: str) -> Secret:
        """The data key. Raises KeyProblem when the wrapped bytes were changed or belong to another row."""
        wrapped = bytes(wrapped)
        named = wrapping.named_key(wrapped)
        self._look()
        if named is None:
            return self._unwrap_v1(wrapped, context)
        if named not in self._keys:
            raise KeyProblem(f"a wrapped key names the key {named.hex()}, which this archive does not have")
        body = wrapped[wrapping.HEADER_BYTES :]
        return self._keys[named].open(body, wrapping.associated_data(named, context))

    @property
    def current(self) -> bytes:
        """The id of the key that wraps now."""
        self._look()
        return self._current.id

    def problem(self) -> str:
        """Why the current key does not work now, such as a token that does not answer; empty when it does."""
        try:
            with Secret(secrets.token_bytes(KEY_BYTES)) as probe:
                good = self.unwrap(self.wrap(probe, "probe/"), "probe/") == probe
        except KeyProblem as found:
            return str(found)
        return "" if good else f"the key {self._current.id.hex()} does not give back what it was given"

    def _unwrap_v1(self, wrapped: bytes, context: str) -> Secret:
        """An envelope of the time when there was one key, in a file, without a name."""
        for key in self._keys.values():
            if isinstance(key, MemoryKey):
                try:
                    return key.open(wrapped[1:], context.encode())
                except KeyProblem:
                    continue
        raise KeyProblem(wrapping.DOES_NOT_OPEN)

    def _look(self) -> None:
        now = stamp(self._folder)
        if now != self._seen:
            with self._lock:
                if now != self._seen:
                    self._read(now)

    def _read(self, seen: object) -> None:
        no_core_dumps()
        ring = read_ring(self._folder)
        keys = {bytes.fromhex(listed.id): load(self._folder, listed) for listed in ring.keys if not listed.doomed}
        self._keys, self._current, self._seen = keys, keys[bytes.fromhex(ring.current)], seen

    def __repr__(self) -> str:
        return f"<the keys {', '.join(sorted(key.hex() for key in self._keys))}>"


@cache
def provider() -> KeyRing:
    """The archive's key provider. Raises KeyProblem when its keys are not kept as they must be."""
    folder = key_folder()
    for name in ("SANAD_STORE", "SANAD_STAGING", "SANAD_EXPORTS", "SANAD_LEDGER"):
        if folder.resolve().is_relative_to(Path(getattr(settings, name)).resolve()):
            raise KeyProblem(f"the keys lie in {folder}, among what they protect; keep them apart (SANAD_KEY_FOLDER)")
    from custody import rewrapping  # which wraps by this module

    return KeyRing(folder, rewrapping.samples)


def opens_values() -> bool:
    """Whether this process has the key that opens the archive's sealed values; a signer on another host has not."""
    return any((key_folder() / name).exists() for name in (KEK, LIST))


def key_folder() -> Path:
    """Where the key-encryption keys and their list are kept."""
    return Path(settings.SANAD_KEY_FOLDER)


def stamp(folder: Path) -> object:
    """Changes whenever the list does; None while there is none."""
    try:
        status = (folder / LIST).stat()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise KeyAway(f"the list {LIST} cannot be read ({problem.strerror})") from None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_ring(folder: Path) -> Ring:
    """The list as it stands. Raises KeyProblem without one, or with one that is damaged."""
    try:
        text = (folder / LIST).read_text("utf-8")
    except OSError as problem:
        raise KeyAway(f"{_MISSING} ({problem.strerror})") from None
    except UnicodeDecodeError:
        text = ""
    try:
        found = json.loads(text)
        if found["version"] != _LIST_VERSION:
            raise KeyProblem(f"{LIST} was written by a newer version of this software")
        ring = Ring(found["current"], tuple(Listed(**listed) for listed in found["keys"]), found["next"])
        known = {bytes.fromhex(listed.id).hex() for listed in ring.keys}
    except (KeyError, TypeError, ValueError):
        raise KeyProblem(f"{LIST} is damaged; restore it from the backup of the keys") from None
    if ring.current not in known:
        raise KeyProblem(f"{LIST} is damaged; restore it from the backup of the keys")
    return ring


def begin_list(folder: Path, samples: Sequence[Sample]) -> None:
    """The list of an archive that has one key, in `kek`; that is made where no row holds a wrapped key.

    Raises KeyProblem where rows do and the folder has no `kek`, or one that does not open them: then another folder is
    meant, or the list was lost.
    """
    first = folder / KEK
    if any(folder.glob(f"{KEK}-*")) or (samples and not first.exists()):
        raise KeyAway(_MISSING)
    key = MemoryKey(read_or_make_secret(first))
    listed = Listed(key.id.hex(), file=KEK)
    if lost := unopened(samples, lambda one: _opens(key, one)):
        raise KeyAway(f"{_MISSING}: {KEK} does not open what {' and '.join(lost)} wrapped")
    _put_new(folder / LIST, _written(Ring(listed.id, (listed,))), 0o644)


def unopened(samples: Sequence[Sample], opens: Callable[[Sample], bool]) -> list[str]:
    """The names of the keys of which no sample opens. One of several is enough: a row may have been changed."""
    good = {one.named for one in samples if opens(one)}
    return sorted({one.named.hex() if one.named else "the first key" for one in samples if one.named not in good})


def _opens(key: MemoryKey, sample: Sample) -> bool:
    if sample.named is None:
        body, associated = sample.wrapped[1:], sample.context.encode()
    else:
        body = sample.wrapped[wrapping.HEADER_BYTES :]
        associated = wrapping.associated_data(sample.named, sample.context)
    try:
        key.open(body, associated).wipe()
    except KeyProblem:
        return False
    return True


def write_ring(folder: Path, ring: Ring) -> None:
    """Replace the list as a whole. It holds no secret, and every process of the archive reads it. Raises OSError."""
    durable.write_durably(folder / LIST, _written(ring), mode=0o644, owner=_owner(folder))


def _written(ring: Ring) -> bytes:
    return (json.dumps({"version": _LIST_VERSION} | asdict(ring), indent=1, sort_keys=True) + "\n").encode()


def _owner(folder: Path) -> tuple[int, int] | None:
    """What root makes is of the account that the archive runs as."""
    if os.geteuid() != 0:
        return None
    status = folder.stat()
    return status.st_uid, status.st_gid


def load(folder: Path, listed: Listed) -> WrappingKey:
    """The key that an entry of the list names. Raises KeyProblem when it is not there or another one is."""
    named = bytes.fromhex(listed.id)
    if listed.token:
        return TokenKey(token_of(listed), named)
    try:
        key = MemoryKey(read_secret(folder / listed.file))
    except OSError as problem:
        raise KeyAway(f"the key file {listed.file} cannot be read ({problem.strerror})") from None
    if key.id != named:
        raise KeyProblem(f"the key file {listed.file} holds another key than {listed.id}")
    return key


def token_of(listed: Listed) -> Token:
    """Where a listed key of a token lives."""
    return Token(Path(listed.module), listed.token, Path(settings.SANAD_PKCS11_PIN_FILE))


def read_or_make_secret(path: Path) -> bytes:
    """32 random bytes held base64-encoded in a 0600 file; made, fsynced, when absent.

    Raises KeyProblem when the file is readable by others or damaged: a guess is never made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _put_new(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)), 0o600)
    return read_secret(path)


def _put_new(path: Path, data: bytes, mode: int) -> None:
    """A file where there is none: of two processes that start together, one wins and both read it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
            if (owner := _owner(path.parent)) is not None:
                os.fchown(handle.fileno(), *owner)
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    durable.sync_folder(path.parent)


def shred(path: Path) -> None:
    """Overwrite and remove a key file. The disk may keep old blocks: encrypt the disk that keys lie on."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(bytes(path.stat().st_size))
        handle.flush()
        os.fsync(handle.fileno())
    path.unlink()
    durable.sync_folder(path.parent)


def encode_secret(secret: bytes) -> str:
    """As it stands in a key file."""
    return base64.b64encode(secret).decode()


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a key file. Raises KeyProblem when others may read it or it is damaged, OSError without it."""
    status = path.stat()
    if status.st_mode & 0o077:
        raise KeyProblem(f"{path.name}: others may read this key file; set its mode to 0600")
    if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
        raise KeyProblem(f"{path.name}: this key file belongs to another account, which may read it")
    try:
        secret = base64.b64decode(path.read_bytes(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeyProblem(f"{path.name}: not a key file of this archive")
    return secret


def write_durably(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a small text file as a whole; when this returns it is on the disk. Raises OSError."""
    durable.write_durably(path, text.encode(), mode=mode)


def derive(secret: bytes | bytearray, purpose: str) -> bytes:
    """A 256-bit key for one purpose (HKDF-SHA-256, RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


__all__ = [
    "KEK",
    "KEY_BYTES",
    "LIST",
    "KeyAway",
    "KeyProblem",
    "KeyRing",
    "Listed",
    "Ring",
    "Sample",
    "begin_list",
    "derive",
    "encode_secret",
    "key_folder",
    "load",
    "opens_values",
    "provider",
    "read_or_make_secret",
    "read_ring",
    "read_secret",
    "shred",
    "stamp",
    "token_of",
    "unopened",
    "write_durably",
    "write_ring",
]

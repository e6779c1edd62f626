"""Key-encryption keys. The default provider is a file that only the service's user may read."""

import base64
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from ledger import durable

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class KeyProblem(Exception):
    """A key is missing, unreadable or does not open what it should."""


class KeyProvider(Protocol):
    """Wraps 256-bit data keys. The context binds a wrapped key to its row: it opens nowhere else."""

    def wrap(self, key: bytes, context: str) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes: ...


class FileKeyProvider:
    """Wraps with AES-256-GCM under a random key kept in one 0600 file, made on first use."""

    def __init__(self, path: Path) -> None:
        self._aead = AESGCM(read_or_make_secret(path))

    def wrap(self, key: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, key, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """The data key. Raises KeyProblem when the wrapped bytes were changed or belong to another row."""
        if wrapped[:1] != _VERSION:
            raise KeyProblem("unknown key envelope version")
        nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, bytes(sealed), context.encode())
        except InvalidTag:
            raise KeyProblem("a wrapped key does not open: wrong key file, or the row was changed") from None


@cache
def provider() -> KeyProvider:
    """The archive's key provider."""
    return FileKeyProvider(_kek())


def opens_values() -> bool:
    """Whether this process has the key that opens the archive's sealed values; a signer on another host has not."""
    return _kek().exists()


def _kek() -> Path:
    return Path(settings.SANAD_KEYS) / "kek"


def read_or_make_secret(path: Path) -> bytes:
    """32 random bytes held base64-encoded in a 0600 file; made, fsynced, when absent.

    Raises KeyProblem when the file is readable by others or damaged: a guess is never made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(temporary, path)  # of two processes that start together, one key wins and both read it
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return read_secret(path)


def encode_secret(secret: bytes) -> str:
    """As it stands in a key file."""
    return base64.b64encode(secret).decode()


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a key file. Raises KeyProblem when others may read it or it is damaged, OSError without it."""
    if path.stat().st_mode & 0o077:
        raise KeyProblem(f"{path.name}: others may read this key file; set its mode to 0600")
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


def derive(secret: bytes, purpose: str) -> bytes:
    """A 256-bit key for one purpose (HKDF-SHA-256, RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)

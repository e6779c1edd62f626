"""Wrapped data keys: the envelope that binds each to its row, and the contract of the keys that wrap them.

Envelope, version 2: byte 0x02, the 8 bytes that name the key-encryption key, and what that key made of the data key.
Associated data is `sanad/wrapped-key/v2`, a newline, version byte and key id, and the context: purpose and row, such as
`blob/<uuid>`. Version 1 (before keys had names) is byte 0x01, 12-byte nonce, AES-256-GCM ciphertext with tag; its
associated data is the context alone. docs/spec/keys.md has both with vectors.
"""

import hashlib
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from custody.memory import Secret

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
V1, V2 = b"\x01", b"\x02"
HEADER_BYTES = 1 + KEY_ID_BYTES
_ASSOCIATED = b"sanad/wrapped-key/v2\n"
DOES_NOT_OPEN = "a wrapped key does not open: wrong key file, or the row was changed"


class KeyProblem(Exception):
    """A key is missing, unreadable or does not open what it should."""


class KeyAway(KeyProblem):
    """A key cannot be used now: its token, PIN, file or list is away. That says nothing of what it should open."""


class WrappingKey(Protocol):
    """A key-encryption key: in a file, in a token, behind a service; docs/howto/keys.md has its contract.

    `seal` gives other bytes each time and `open` raises KeyProblem unless ciphertext and associated data are those of
    one `seal` by this very key. Both are safe to call from several threads and after a fork, and neither keeps or shows
    the data key. `id` never changes and is of no other key.
    """

    @property
    def id(self) -> bytes: ...

    def seal(self, key: bytes | bytearray, associated_data: bytes) -> bytes: ...

    def open(self, sealed: bytes, associated_data: bytes) -> Secret: ...


class MemoryKey:
    """A key-encryption key that this process holds: AES-256-GCM, 12-byte random nonce before the ciphertext.

    One key wraps at most 2**32 data keys (SP 800-38D 8.3): rotate long before.
    """

    def __init__(self, secret: bytes | bytearray) -> None:
        self.id = key_id(secret)
        self._aead = AESGCM(secret)

    def seal(self, key: bytes | bytearray, associated_data: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, associated_data)

    def open(self, sealed: bytes, associated_data: bytes) -> Secret:
        try:
            return Secret(self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated_data))
        except (InvalidTag, ValueError):
            raise KeyProblem(DOES_NOT_OPEN) from None


def key_id(secret: bytes | bytearray) -> bytes:
    """The name of a key that is known: it tells nothing of the key, and a file with another key is noticed."""
    return hashlib.sha256(b"sanad/key-encryption-key-id/v1" + secret).digest()[:KEY_ID_BYTES]


def header(key_id: bytes) -> bytes:
    """The first bytes of everything wrapped under a key."""
    return V2 + key_id


def associated_data(key_id: bytes, context: str) -> bytes:
    """What binds an envelope of version 2 to its key and its row."""
    return _ASSOCIATED + header(key_id) + context.encode()


def envelope(wrapping: WrappingKey, key: bytes | bytearray, context: str) -> bytes:
    """The data key, wrapped for this row."""
    return header(wrapping.id) + wrapping.seal(key, associated_data(wrapping.id, context))


def named_key(wrapped: bytes) -> bytes | None:
    """The id of the key that opens an envelope; None for one of version 1. Raises KeyProblem on any other version."""
    if wrapped[:1] == V1:
        return None
    if wrapped[:1] != V2 or len(wrapped) <= HEADER_BYTES:
        raise KeyProblem("unknown key envelope version")
    return wrapped[1:HEADER_BYTES]

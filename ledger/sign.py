"""Signing: what an archive and its cosigners do, and a verifier does not. Keys are 32-byte Ed25519 seeds.

`cryptography` where it can be imported; the arithmetic of ledger.ed25519 otherwise, which is not constant-time and
meant for tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from ledger import ed25519
from ledger.cosignature import COSIGNATURE, cosigned_message
from ledger.note import ED25519, NoteError, encode_vkey, key_id, named, split_note, to_base64

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    pass


class Signer(Protocol):
    """Whoever signs notes. `key_id` is 4 bytes."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...


class Ed25519Signer:
    """Signs as `name` with the key of a 32-byte seed."""

    kind = ED25519

    def __init__(self, name: str, seed: bytes) -> None:
        self._seed, self.public = seed, public_of(seed)
        self.name, self.key_id = named(name), key_id(name, self.kind, self.public)

    def sign(self, message: bytes) -> bytes:
        return sign(self._seed, message)

    @property
    def vkey(self) -> str:
        return encode_vkey(self.name, self.public, self.kind)


class CosignatureSigner(Ed25519Signer):
    """Cosigns as `name` (C2SP tlog-cosignature, Ed25519). `clock` gives seconds since 1970."""

    kind = COSIGNATURE

    def __init__(self, name: str, seed: bytes, clock: Callable[[], int]) -> None:
        super().__init__(name, seed)
        self._clock = clock

    def sign(self, message: bytes) -> bytes:
        now = self._clock()
        return now.to_bytes(8, "big") + sign(self._seed, cosigned_message(now, message))


def sign_note(text: str, *signers: Signer) -> str:
    """The text (which ends in a newline) with a signature line of each signer. Raises NoteError."""
    if not signers:
        raise NoteError("a note has at least one signature")
    note = text + "\n" + "".join(signature_line(text, signer) for signer in signers)
    if not text.endswith("\n") or split_note(note)[0] != text:
        raise NoteError("a note's text ends in a newline")
    return note


def signature_line(text: str, signer: Signer) -> str:
    """One signer's line for a note's text, ending in a newline: to be put after those the note has."""
    return f"— {signer.name} {to_base64(signer.key_id + signer.sign(text.encode()))}\n"


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte Ed25519 signature by the key of a 32-byte seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message) if ed25519.NATIVE else sign_pure(seed, message)


def public_of(seed: bytes) -> bytes:
    """The 32-byte Ed25519 public key of a 32-byte seed."""
    if ed25519.NATIVE:
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return ed25519.encode(ed25519.times(_expand(seed)[0], ed25519.BASE))


def sign_pure(seed: bytes, message: bytes) -> bytes:
    """`sign` without `cryptography`."""
    secret, prefix = _expand(seed)
    public = ed25519.encode(ed25519.times(secret, ed25519.BASE))
    nonce = ed25519.reduced(prefix + message)
    commitment = ed25519.encode(ed25519.times(nonce, ed25519.BASE))
    challenge = ed25519.reduced(commitment + public + message)
    return commitment + ((nonce + challenge * secret) % ed25519.ORDER).to_bytes(32, "little")


def _expand(seed: bytes) -> tuple[int, bytes]:
    if len(seed) != 32:
        raise ValueError("an Ed25519 seed has 32 bytes")
    digest = hashlib.sha512(seed).digest()
    return int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254, digest[32:]

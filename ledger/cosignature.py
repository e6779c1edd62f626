"""Cosignatures (C2SP tlog-cosignature, Ed25519): a partner's word that, at a time, this was the log's one head."""

from __future__ import annotations

from collections.abc import Callable

from ledger import ed25519
from ledger.note import NoteError, _named, key_id, to_base64, unbase64

COSIGNATURE = 0x04
MAX_TIME = (1 << 63) - 1


class CosignatureSigner:
    """Cosigns as `name` with the key of a 32-byte seed. `clock` gives POSIX seconds."""

    def __init__(self, name: str, seed: bytes, clock: Callable[[], int]) -> None:
        self.name = _named(name)
        self._seed, self._clock = seed, clock
        self.public = ed25519.public_of(seed)
        self.key_id = key_id(name, COSIGNATURE, self.public)

    def sign(self, message: bytes) -> bytes:
        """8 bytes of time, big-endian, and the signature over header, time and the checkpoint's text."""
        now = self._clock()
        return now.to_bytes(8, "big") + ed25519.sign(self._seed, cosigned_message(now, message))

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([COSIGNATURE]) + self.public)}"


class CosignatureVerifier:
    """Verifies cosignatures of `name` by a 32-byte public key. Raises NoteError for a key that is none."""

    def __init__(self, name: str, public: bytes) -> None:
        self.name = _named(name)
        if not ed25519.usable(public):
            raise NoteError("not an Ed25519 public key")
        self.public = public
        self.key_id = key_id(name, COSIGNATURE, public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        when = cosigned_at(signature)
        return when is not None and ed25519.verify(self.public, cosigned_message(when, message), signature[8:])

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([COSIGNATURE]) + self.public)}"


def cosigned_message(when: int, message: bytes) -> bytes:
    """What an Ed25519 cosigner signs: header line, time line, the whole text of the checkpoint."""
    return f"cosignature/v1\ntime {when}\n".encode() + message


def cosigned_at(signature: bytes) -> int | None:
    """The POSIX seconds a cosignature states, None when it is not one."""
    when = int.from_bytes(signature[:8], "big")
    return when if len(signature) == 72 and 0 < when <= MAX_TIME else None


def decode_cosigner_vkey(vkey: str) -> CosignatureVerifier:
    """The verifier of a cosigner's vkey (signature type 04). Raises NoteError."""
    parts = vkey.split("+", 2)
    key = unbase64(parts[2]) if len(parts) == 3 else b""
    if len(key) != 33 or key[0] != COSIGNATURE:
        raise NoteError("not the key of a cosigner")
    verifier = CosignatureVerifier(parts[0], key[1:])
    if parts[1] != verifier.key_id.hex():
        raise NoteError("the key id in the verifier key is not that of the key")
    return verifier

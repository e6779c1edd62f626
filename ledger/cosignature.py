"""Cosignatures (C2SP tlog-cosignature, Ed25519): a partner's word that, at a time, this was the log's one head."""

from __future__ import annotations

from ledger import ed25519
from ledger.note import Ed25519Verifier, split_vkey

COSIGNATURE = 0x04


class CosignatureVerifier(Ed25519Verifier):
    """Verifies cosignatures: 8 bytes of time, then the Ed25519 signature over time and checkpoint."""

    kind = COSIGNATURE

    def verify(self, message: bytes, signature: bytes) -> bool:
        when = cosigned_at(signature)
        return when is not None and ed25519.verify(self.public, cosigned_message(when, message), signature[8:])


def cosigned_message(when: int, message: bytes) -> bytes:
    """What a cosigner signs: the checkpoint's text under a header and the time, in seconds since 1970."""
    return b"cosignature/v1\ntime %d\n%b" % (when, message)


def cosigned_at(signature: bytes) -> int | None:
    """The seconds since 1970 a cosignature states, None when it is not one."""
    when = int.from_bytes(signature[:8], "big")
    return when if len(signature) == 72 and 0 < when < 1 << 63 else None


def decode_cosigner_vkey(vkey: str) -> CosignatureVerifier:
    """The verifier of a cosigner's vkey (signature type 04). Raises NoteError."""
    return CosignatureVerifier(*split_vkey(vkey, COSIGNATURE))

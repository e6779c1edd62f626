"""Opening a stored object: Tink streaming AEAD, AES256_GCM_HKDF_1MB (docs/spec/keys.md, section 3)."""

from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT = 1 << 20  # bytes of ciphertext, the header counted in the first
HEADER = 40  # length byte, 32-byte salt, 7-byte nonce prefix
TAG = 16


class PayloadBroken(Exception):
    """The object was changed or cut, or the key is another one."""


def decrypt(stored: BinaryIO, size: int, key: bytes, blob: str) -> Iterator[bytes]:
    """The plaintext of an object of `size` stored bytes, by segment. Only after the last one is it known to be whole.

    Raises PayloadBroken.
    """
    header = stored.read(HEADER)
    if size < HEADER + TAG or len(header) != HEADER or header[0] != HEADER:
        raise PayloadBroken("the object does not begin as it must")
    associated = f"sanad/blob/v1/{blob}".encode()
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=header[1:33], info=associated).derive(key)
    aead, prefix = AESGCM(derived), header[33:40]
    left, number = size - HEADER, 0
    while True:
        length = min(left, SEGMENT - HEADER if number == 0 else SEGMENT)
        sealed = stored.read(length)
        left -= length
        nonce = prefix + number.to_bytes(4, "big") + (b"\x01" if left == 0 else b"\x00")
        try:
            yield aead.decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError):
            raise PayloadBroken(f"segment {number} of the object does not open") from None
        if left == 0:
            return
        number += 1

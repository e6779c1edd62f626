"""The payload format: Tink streaming AEAD, AES256_GCM_HKDF_1MB. Seekable by 1 MiB segments.

Wire format (Tink "Streaming AEAD", AES-GCM-HKDF): header = 1 byte header length (40) || 32-byte salt || 7-byte nonce
prefix; the segment key is HKDF-SHA256(key, salt, info = associated data); segment i is AES-256-GCM with nonce
prefix || big-endian uint32 i || (1 if last else 0). Every ciphertext segment has 1 MiB, the header counted in the
first; only the last may be shorter.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
SEGMENT = 1 << 20
TAG = 16
SALT = 32
PREFIX = 7
HEADER = 1 + SALT + PREFIX
PLAIN_SEGMENT = SEGMENT - TAG
FIRST_PLAIN = PLAIN_SEGMENT - HEADER
MOST_SEGMENTS = 1 << 32


class StreamBroken(Exception):
    """The ciphertext was changed, cut, or belongs to another key."""


def ciphertext_size(plain: int) -> int:
    """The stored bytes of a plaintext of this many bytes."""
    rest = max(0, plain - FIRST_PLAIN)
    segments = 1 + -(-rest // PLAIN_SEGMENT)
    return plain + HEADER + segments * TAG


def segments_before(plain: int) -> int:
    """How many segments an Encryptor has given out after this many bytes: a full one waits for the next byte."""
    return max(0, -(-(plain - FIRST_PLAIN) // PLAIN_SEGMENT))


def plain_before(segments: int) -> int:
    """The plaintext bytes in the first so many whole segments."""
    return FIRST_PLAIN + (segments - 1) * PLAIN_SEGMENT if segments else 0


class Encryptor:
    """Encrypts a stream of unknown length; every write returns the ciphertext that is complete."""

    def __init__(
        self, key: bytes, associated_data: bytes, *, after: int = 0, header: bytes = b"", tail: bytes = b""
    ) -> None:
        """A new stream, or one that goes on after so many segments with what they hold no byte of.

        To go on is safe only where no segment from `after` on was ever made under this header: GCM breaks when one
        nonce meets two plaintexts. Raises StreamBroken when the header is none.
        """
        if after == 0:
            header = bytes([HEADER]) + secrets.token_bytes(SALT) + secrets.token_bytes(PREFIX)
        if len(header) != HEADER or header[0] != HEADER:
            raise StreamBroken("the stored bytes do not begin as they must")
        self._header, self._prefix = header, header[1 + SALT :]
        self._aead = AESGCM(_segment_key(key, header[1 : 1 + SALT], associated_data))
        self._buffer = bytearray(tail)
        self._index = after

    @property
    def tail(self) -> bytes:
        """What was given and is in no segment yet."""
        return bytes(self._buffer)

    def update(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The next complete segments. One is held back until more bytes prove it is not the last."""
        given = memoryview(data)
        while given:
            room = (FIRST_PLAIN if self._index == 0 else PLAIN_SEGMENT) - len(self._buffer)
            if room == 0:
                yield self._segment(self._buffer, last=False)
                self._buffer = bytearray()
                continue
            self._buffer += given[:room]
            given = given[room:]

    def finish(self) -> bytes:
        """The last segment. The stream is authentic only with it."""
        return self._segment(self._buffer, last=True)

    def _segment(self, plain: bytes | bytearray, *, last: bool) -> bytes:
        sealed = self._aead.encrypt(_nonce(self._prefix, self._index, last=last), plain, None)
        if self._index == 0:
            sealed = self._header + sealed
        self._index += 1
        return sealed


class Decryptor:
    """Reads any range of a stored stream; only the segments of the range are read and authenticated."""

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        size: int,
        key: bytes,
        associated_data: bytes,
        *,
        unfinished: bool = False,
    ) -> None:
        """`read_at(offset, length)` reads ciphertext of `size` bytes. Raises StreamBroken on a wrong header or size.

        Of an `unfinished` stream `size` covers whole segments, none of which is the last.
        """
        header = read_at(0, HEADER)
        if len(header) != HEADER or header[0] != HEADER or size < HEADER + TAG:
            raise StreamBroken("the stored bytes do not begin as they must")
        self._read_at, self._size, self._unfinished = read_at, size, unfinished
        self._prefix = header[1 + SALT :]
        self._aead = AESGCM(_segment_key(key, header[1 : 1 + SALT], associated_data))
        self._segments = -(-size // SEGMENT)
        self.plain_size = size - HEADER - self._segments * TAG

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The plaintext bytes [start, stop), by segment, in at most 1 MiB of memory. Raises StreamBroken."""
        stop = self.plain_size if stop is None else min(stop, self.plain_size)
        if start >= stop and not (self.plain_size == 0 and start == 0):
            return
        index = 0 if start < FIRST_PLAIN else 1 + (start - FIRST_PLAIN) // PLAIN_SEGMENT
        position = 0 if index == 0 else FIRST_PLAIN + (index - 1) * PLAIN_SEGMENT
        while position < stop or (self.plain_size == 0 and index == 0):
            plain = self._open(index)
            piece = plain[max(0, start - position) : stop - position]
            if piece:
                yield piece
            position += len(plain)
            index += 1
            if index == self._segments:
                break

    def _open(self, index: int) -> bytes:
        offset = index * SEGMENT
        length = min(SEGMENT, self._size - offset)
        sealed = self._read_at(offset, length)
        if index == 0:
            sealed = sealed[HEADER:]
        last = index == self._segments - 1 and not self._unfinished
        try:
            return self._aead.decrypt(_nonce(self._prefix, index, last=last), sealed, None)
        except (InvalidTag, ValueError):
            raise StreamBroken(f"the stored bytes from {offset} to {offset + length} were changed") from None


def decrypt_file(
    handle: BinaryIO, size: int, key: bytes, associated_data: bytes, *, unfinished: bool = False
) -> Decryptor:
    """A Decryptor over an open file."""

    def read_at(offset: int, length: int) -> bytes:
        handle.seek(offset)
        return handle.read(length)

    return Decryptor(read_at, size, key, associated_data, unfinished=unfinished)


def _segment_key(key: bytes, salt: bytes, associated_data: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=associated_data).derive(key)


def _nonce(prefix: bytes, index: int, *, last: bool) -> bytes:
    if index >= MOST_SEGMENTS:
        raise StreamBroken("the stream has too many segments")
    return prefix + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

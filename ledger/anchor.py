"""What an RFC 3161 timestamp states: which digest, and what time. Its signature is not checked (section 12)."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_RESPONSE_BYTES = 64 * 1024

_SEQUENCE, _INTEGER, _OCTETS, _OID, _TIME, _EXPLICIT = 0x30, 0x02, 0x04, 0x06, 0x18, 0xA0
_SIGNED_DATA, _TST_INFO = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d0109100104")
_HASHES = {bytes.fromhex("608648016503040201"): "sha256", bytes.fromhex("608648016503040203"): "sha512"}
_STAMP = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(\.[0-9]+)?Z\Z")


class AnchorError(ValueError):
    """The bytes are not a granted timestamp over a SHA-256 or SHA-512 digest."""


class Timestamp(NamedTuple):
    """`imprint` is the `algorithm` digest of what was stamped; `time` is what the authority states, as ISO 8601."""

    algorithm: str
    imprint: bytes
    time: str


def parse_response(data: bytes) -> Timestamp:
    """What a TimeStampResp in DER states; nothing of it is verified. Raises AnchorError."""
    status, token = _inside(_only(data), _SEQUENCE, _SEQUENCE, exactly=True)
    if _inside(status, _INTEGER)[0] not in (b"\0", b"\1"):
        raise AnchorError("the timestamp was not granted")
    kind, explicit = _inside(token, _OID, _EXPLICIT, exactly=True)
    content = _inside(_only(explicit), _INTEGER, 0x31, _SEQUENCE, None)[2]
    inner_kind, inner = _inside(content, _OID, _EXPLICIT, exactly=True)
    if kind != _SIGNED_DATA or inner_kind != _TST_INFO:
        raise AnchorError("not a timestamp token")
    info = _inside(_only(_only(inner, _OCTETS)), _INTEGER, _OID, _SEQUENCE, _INTEGER, _TIME)
    algorithm, imprint = _inside(info[2], _SEQUENCE, _OCTETS, exactly=True)
    name = _HASHES.get(_inside(algorithm, _OID)[0], "")
    stamp = _STAMP.match(info[4])
    if info[0] != b"\1" or not name or stamp is None:
        raise AnchorError("not a timestamp of version 1 over a SHA-256 or SHA-512 digest")
    return Timestamp(name, imprint, "{}-{}-{}T{}:{}:{}{}Z".format(*(part.decode() for part in stamp.groups(b""))))


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """The DER elements that fill these bytes: (tag, content)."""
    found, at = [], 0
    while at < len(data):
        head = data[at : at + 2]
        if len(head) < 2 or head[0] & 0x1F == 0x1F:
            raise AnchorError("not DER")
        at, size = at + 2, head[1]
        if size & 0x80:
            count = size & 0x7F
            at, size = at + count, int.from_bytes(data[at : at + count], "big")
            if not 1 <= count <= 4 or size < 128 or size >> 8 * (count - 1) == 0:
                raise AnchorError("not DER")
        if at + size > len(data):
            raise AnchorError("cut off")
        found.append((head[0], data[at : at + size]))
        at += size
    return found


def _inside(data: bytes, *tags: int | None, exactly: bool = False) -> list[bytes]:
    """The contents of the elements in `data`, which begin with these tags (None: any)."""
    found = _elements(data)
    fit = all(tag in (None, element[0]) for tag, element in zip(tags, found))  # noqa: B905
    if not fit or len(found) < len(tags) or (exactly and len(found) > len(tags)):
        raise AnchorError("not a timestamp response")
    return [content for _, content in found]


def _only(data: bytes, tag: int = _SEQUENCE) -> bytes:
    return _inside(data, tag, exactly=True)[0]

"""Ed25519 (RFC 8032): `cryptography` where it can be imported, else the arithmetic below.

Both refuse the same inputs: public keys are checked here first (canonical encoding, on the curve, not of small
order), so that two verifiers never disagree. The arithmetic is not constant-time: it is for verifying.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    NATIVE = True
except ImportError:
    NATIVE = False

Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z

_P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_ZERO: Point = (0, 1, 1, 0)


def usable(public: bytes) -> bool:
    """Whether these 32 bytes are a canonical point of more than small order."""
    point = _decode(public)
    return point is not None and encode(times(8, point)) != encode(_ZERO)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte signature is the key's over the message. False, never an exception, for malformed input."""
    if len(signature) != 64 or not usable(public):
        return False
    if not NATIVE:
        return verify_pure(public, message, signature)
    with suppress(InvalidSignature, ValueError):
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    return False


def verify_pure(public: bytes, message: bytes, signature: bytes) -> bool:
    """`verify` without `cryptography`."""
    point, scalar = _decode(public), int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or scalar >= ORDER:
        return False
    challenge = reduced(signature[:32] + public + message)
    minus = (_P - point[0], point[1], point[2], _P - point[3])
    return encode(_add(times(scalar, BASE), times(challenge, minus))) == signature[:32]


def reduced(data: bytes) -> int:
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % ORDER


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def times(scalar: int, point: Point) -> Point:
    result = _ZERO
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def encode(point: Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> Point | None:
    if len(data) != 32:
        return None
    number = int.from_bytes(data, "little")
    y, sign_bit = number & (1 << 255) - 1, number >> 255
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign_bit):
        return None
    if x & 1 != sign_bit:
        x = _P - x
    return x, y, 1, x * y % _P


BASE = _decode((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little")) or _ZERO

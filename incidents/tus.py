"""The headers of the tus resumable upload protocol 1.0.0 (https://tus.io/protocols/resumable-upload), read and written.

Supported: core, creation, creation-with-upload, checksum, expiration, termination.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.http import http_date
from django.utils.translation import gettext as _

from evidence.blobs import ReceptionRefused
from incidents.bodies import digests, file_time, name_of
from incidents.receiving import Checksum

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = {"sha256": 32, "sha1": 20, "md5": 16, "sha512": 64}
CONTENT_TYPE = "application/offset+octet-stream"
LONGEST_METADATA = 8_192  # characters of the header
MOST_KEYS = 32
LARGEST = 2**63 - 1
_KEY = re.compile(r"[!-+\--~]{1,64}\Z")  # ASCII without space and comma
_NUMBER = re.compile(r"[0-9]{1,19}\Z")


@dataclass(frozen=True)
class Metadata:
    """What Upload-Metadata says; keys that we do not know are let pass."""

    intake: UUID | None
    key: UUID | None
    name: str
    modified: datetime | None
    sha256: str

    @classmethod
    def parsed(cls, header: str) -> Self:
        """Raises ValidationError naming the key."""
        found = _pairs(header)
        return cls(
            intake=_uuid(found, "intake"),
            key=_uuid(found, "key"),
            name=name_of(found.get("filename", b"")),
            modified=file_time(found.get("modified", b"").decode("ascii", "replace")),
            sha256=_sha256(found.get("sha256", b"").decode("ascii", "replace").strip()),
        )


def number(request: HttpRequest, header: str) -> int:
    """A header that is a count of bytes. Raises ValidationError naming it."""
    text = request.headers.get(header, "").strip()
    if not _NUMBER.match(text) or int(text) > LARGEST:
        raise ValidationError({header: [_("This header must be a number of bytes.")]})
    return int(text)


def body_length(request: HttpRequest) -> int | None:
    """Content-Length in bytes, None for a body of unknown length. Raises ValidationError."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text:
        return None if request.headers.get("Transfer-Encoding") else 0
    if not _NUMBER.match(text):
        raise ValidationError({"Content-Length": [_("This header must be a number of bytes.")]})
    return int(text)


def checksum(request: HttpRequest) -> Checksum | None:
    """Upload-Checksum. Raises ReceptionRefused (400) for an algorithm or digest that is none."""
    text = request.headers.get("Upload-Checksum", "").strip()
    if not text:
        return None
    algorithm, _space, value = text.partition(" ")
    length = ALGORITHMS.get(algorithm.lower())
    if length is None:
        words = _("This checksum algorithm is not supported. Supported are: %(names)s.")
        raise ReceptionRefused(words % {"names": ", ".join(ALGORITHMS)}, "checksum_algorithm", 400)
    digest = _decoded(value.strip())
    if digest is None or len(digest) != length:
        words = _("The digest does not have the length of its algorithm.")
        raise ReceptionRefused(words, "checksum", 400)
    return Checksum(algorithm.lower(), digest)


def whole_sha256(request: HttpRequest) -> str:
    """The SHA-256 (hex) of the whole file by Repr-Digest (RFC 9530), empty without one. Raises ValidationError."""
    return digests(request.headers.get("Repr-Digest", "")).get("sha-256", "")


def expires(moment: datetime) -> str:
    """Upload-Expires: a date of RFC 9110."""
    return http_date(moment.timestamp())


def _pairs(header: str) -> dict[str, bytes]:
    if len(header) > LONGEST_METADATA:
        raise _wrong(_("This header is too long."))
    found: dict[str, bytes] = {}
    for pair in header.split(",") if header.strip() else []:
        key, _space, value = pair.strip().partition(" ")
        decoded = _decoded(value.strip())
        if not _KEY.match(key) or key in found or decoded is None or len(found) >= MOST_KEYS:
            raise _wrong(_("This is no list of keys with values in Base64, each key once."))
        found[key] = decoded
    return found


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _uuid(found: dict[str, bytes], key: str) -> UUID | None:
    text = found.get(key, b"").decode("ascii", "replace").strip()
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError({key: [_("This is not a UUID.")]}) from None


def _sha256(text: str) -> str:
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    digest = _decoded(text)
    if text and (digest is None or len(digest) != 32):
        raise ValidationError({"sha256": [_("The digest does not have the length of its algorithm.")]})
    return digest.hex() if digest else ""


def _wrong(words: str) -> ValidationError:
    return ValidationError({"Upload-Metadata": [words]})

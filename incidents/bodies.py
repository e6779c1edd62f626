"""Request bodies that are files: what their headers declare, and their bytes as a stream of 1 MiB reads.

Nothing here parses the bytes, keeps them, or lets a framework spool them to disk.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _

from evidence.blobs import RECEIVE_READ, ReceptionRefused

LONGEST_NAME_HEADER = 8_192  # characters, percent-encoded
_DIGEST = re.compile(r"\s*(?P<name>[a-z0-9*_.-]+)=:(?P<value>[A-Za-z0-9+/=]*):\s*(?:;.*)?\Z")
_DIGEST_BYTES = {"sha-256": 32, "sha-512": 64}


@dataclass(frozen=True)
class Declared:
    """What the sender says of the body: `digests` are hex, by RFC 9530 name; `size` is bytes."""

    intake: UUID
    key: UUID | None
    name: str
    size: int
    digests: dict[str, str]
    file_time: datetime | None


def declared(request: HttpRequest) -> Declared:
    """The headers of an upload. Raises ValidationError naming the header, ReceptionRefused (411, 415)."""
    headers = request.headers
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise ReceptionRefused(
            _("Send the file as it is: a compressed body would not be the evidentiary copy."), "encoded", 415
        )
    length = request.META.get("CONTENT_LENGTH", "")
    if not (length.isascii() and length.isdigit()):
        raise ReceptionRefused(
            _("The upload does not say how many bytes it has (Content-Length)."), "length_required", 411
        )
    intake = _uuid(headers.get("Upload-Intake", ""), "Upload-Intake")
    if intake is None:
        raise ValidationError({"Upload-Intake": [_("Open an intake first and name it here.")]})
    return Declared(
        intake=intake,
        key=_uuid(headers.get("Idempotency-Key", ""), "Idempotency-Key"),
        name=_name(headers.get("Upload-Filename", "")),
        size=int(length),
        digests=digests(headers.get("Content-Digest", "")) | digests(headers.get("Repr-Digest", "")),
        file_time=file_time(headers.get("Upload-Last-Modified", "")),
    )


def table_declared(request: HttpRequest) -> tuple[UUID | None, str]:
    """Key and name of a table that is the body. Raises ValidationError naming the header, ReceptionRefused (415)."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise ReceptionRefused(
            _("Send the file as it is: a compressed body would not be the evidentiary copy."), "encoded", 415
        )
    name = _name(request.headers.get("Upload-Filename", "")) or "table.csv"
    return _uuid(request.headers.get("Idempotency-Key", ""), "Idempotency-Key"), name


def chunks(request: HttpRequest) -> Iterator[bytes]:
    """The body in reads of 1 MiB. Raises ReceptionRefused when the line breaks."""
    while True:
        try:
            chunk = request.read(RECEIVE_READ)
        except (UnreadablePostError, OSError):
            raise ReceptionRefused(
                _("The line broke before the file had arrived. Nothing was kept; please send it again."),
                "incomplete",
                400,
            ) from None
        if not chunk:
            return
        yield chunk


def sha256_of(request: HttpRequest, size: int) -> str:
    """The SHA-256 (hex) of the body, kept nowhere. Raises ReceptionRefused when fewer than `size` bytes arrive."""
    digest, got = hashlib.sha256(), 0
    for chunk in chunks(request):
        digest.update(chunk)
        got += len(chunk)
    if got != size:
        raise ReceptionRefused(
            _("The line broke before the file had arrived. Nothing was kept; please send it again."), "incomplete", 400
        )
    return digest.hexdigest()


def name_of(raw: bytes) -> str:
    """A file name as text: UTF-8, and bytes that are none as %XX, so that two names never become one."""
    text = raw.decode("utf-8", "surrogateescape")
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)


def _name(header: str) -> str:
    if len(header) > LONGEST_NAME_HEADER:
        raise ValidationError({"Upload-Filename": [_("This file name is too long.")]})
    # WSGI hands headers over as latin-1; a sender that forgot to percent-encode sent UTF-8.
    return name_of(unquote_to_bytes(header.encode("latin-1", "replace")))


def _uuid(text: str, header: str) -> UUID | None:
    if not text.strip():
        return None
    try:
        return UUID(text.strip().strip('"'))
    except ValueError:
        raise ValidationError({header: [_("This is not a UUID.")]}) from None


def digests(header: str) -> dict[str, str]:
    """RFC 9530 `sha-256=:base64:, …`; algorithms we do not compute are ignored, as section 2 allows."""
    found = {}
    for member in header.split(",") if header.strip() else []:
        match = _DIGEST.match(member)
        if match is None:
            raise ValidationError({"Repr-Digest": [_("This is not a digest field of RFC 9530.")]})
        expected = _DIGEST_BYTES.get(match["name"])
        if expected is None:
            continue
        try:
            value = base64.b64decode(match["value"], validate=True)
        except binascii.Error:
            value = b""
        if len(value) != expected:
            raise ValidationError({"Repr-Digest": [_("The digest does not have the length of its algorithm.")]})
        found[match["name"]] = value.hex()
    return found


def file_time(header: str) -> datetime | None:
    """ISO 8601, or milliseconds since 1970. What is no time is not worth refusing a file for."""
    text = header.strip()
    if re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        return moment(int(text) / 1000)
    try:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(seconds: float) -> datetime | None:
    """A file system's time, seconds since 1970, in UTC; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None

"""Bytes of the archive as HTTP answers: decrypted by segment, sandboxed, never sniffed, never cached."""

import logging
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from custody.keys import KeyProblem
from evidence import blobs, ranges, store, streams
from evidence.media_types import PDF, TEXT, UNKNOWN, inline_type
from evidence.models import Blob, Item

log = logging.getLogger("evidence.serving")

#: Whatever the bytes are, a page made of them can run nothing, load nothing and reach nothing.
POLICY = "sandbox; default-src 'none'; frame-ancestors 'self'"


SUFFIXES = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/heic": "heic",
    "image/tiff": "tiff",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "application/pdf": "pdf",
    "text/plain": "txt",
    "application/zip": "zip",
}


def served_as(item: Item) -> tuple[str, bool]:
    """The content type and whether it may be shown in place.

    Only types on the allow-list are shown, and only where both identifiers agree. A PDF is given to the page's own
    reader, which fetches it, but opened by itself it is saved. All else is bytes without a type.
    """
    if item.type_conflict:
        return UNKNOWN, False
    if item.media_type in TEXT:
        return "text/plain; charset=utf-8", True
    if item.media_type == PDF:
        return PDF, False
    inline = inline_type(item.media_type)
    return (inline, True) if inline else (UNKNOWN, False)


def file_name(item: Item) -> str:
    """The name under which it is saved: its accession number, never the name under which it came."""
    return f"{item.accession}.{SUFFIXES.get(item.media_type, 'bin')}"


def stream(
    request: HttpRequest, blob: Blob, *, size: int, sha256: str, content_type: str, file_name: str, inline: bool
) -> HttpResponseBase:
    """The content or the one range that was asked for; memory stays at one segment whatever the size.

    `file_name` is made of the accession number: what a file was called when it came stands in no header.
    """
    etag = f'"{sha256}"'
    response: HttpResponseBase
    if etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")):
        response = HttpResponseNotModified()
        return _dressed(response, etag)
    try:
        span = ranges.asked(request.headers.get("Range"), request.headers.get("If-Range"), size=size, etag=etag)
    except ranges.Unsatisfiable:
        response = HttpResponse(status=416)
        response["Content-Range"] = f"bytes */{size}"
        return _dressed(response, etag)
    start, stop = (span.start, span.stop) if span else (0, size)
    if request.method == "HEAD":
        response = HttpResponse(status=206 if span else 200)
    else:
        response = StreamingHttpResponse(_pieces(blob, start, stop), status=206 if span else 200)
    response["Content-Type"] = content_type
    response["Content-Length"] = str(stop - start)
    if span:
        response["Content-Range"] = span.content_range
    response["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{file_name}"'
    return _dressed(response, etag)


def _dressed(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-store"
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    patch_vary_headers(response, ["Cookie"])
    return response


def _pieces(blob: Blob, start: int, stop: int) -> Iterator[bytes]:
    """The plaintext. A stored segment that does not authenticate ends the connection: wrong bytes never leave."""
    try:
        yield from blobs.read_blob(blob, start, stop)
    except (store.StoreProblem, streams.StreamBroken, KeyProblem):
        log.exception("the stored bytes of blob %s cannot be given out", blob.pk)
        raise

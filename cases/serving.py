"""Handing a bundle out."""

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

from cases.models import Bundle
from evidence.blobs import read_blob


def bundle_response(found: Bundle) -> HttpResponseBase:
    """A ready bundle as an attachment of known size, in 1 MiB of memory."""
    if found.blob is None or found.size is None:
        raise ValueError("the bundle is not ready")
    response = StreamingHttpResponse(read_blob(found.blob), content_type="application/zip")
    response["Content-Length"] = str(found.size)
    response["Content-Disposition"] = f'attachment; filename="{found.file_name}"'
    response["Cache-Control"] = "private, no-store"
    return response

"""The bytes of an item: shown, previewed, read as text, downloaded.

Each action writes its custody event before the first byte leaves.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.requests import person
from evidence import actions, blobs, text
from evidence.media_types import UNKNOWN
from evidence.serving import file_name, served_as, stream


@require_safe
def content(request: HttpRequest, accession: str) -> HttpResponseBase:
    """The bytes as received, by range, in a sandbox."""
    item = actions.open_content(by=person(request), at=timezone.now(), accession=accession)
    content_type, inline = served_as(item)
    return stream(
        request,
        item.blob,
        size=item.size,
        sha256=item.sha256,
        content_type=content_type,
        file_name=file_name(item),
        inline=inline,
    )


@require_safe
def preview(request: HttpRequest, accession: str) -> HttpResponseBase:
    """The picture made from the item in the sandbox."""
    made = actions.open_preview(by=person(request), at=timezone.now(), accession=accession)
    return stream(
        request,
        made.blob,
        size=made.size,
        sha256=made.sha256,
        content_type="image/webp",
        file_name=f"{accession}-preview.webp",
        inline=True,
    )


@require_GET
def read_text(request: HttpRequest, accession: str) -> HttpResponse:
    """The beginning of a text, as text: escaped, bounded, with marks that turn the direction made visible."""
    item = actions.open_text(by=person(request), at=timezone.now(), accession=accession)
    shown = text.shown(b"".join(blobs.read_blob(item.blob, 0, text.MOST)), whole=item.size <= text.MOST)
    trail = [(_("Library"), reverse("evidence:library")), (accession, reverse("evidence:item", args=[accession]))]
    return render(request, "evidence/text.html", {"item": item, "shown": shown, "trail": trail})


@require_POST
def download(request: HttpRequest, accession: str) -> HttpResponseBase:
    """The bytes as received, as a file."""
    item = actions.download_item(by=person(request), at=timezone.now(), accession=accession)
    return stream(
        request,
        item.blob,
        size=item.size,
        sha256=item.sha256,
        content_type=UNKNOWN,
        file_name=file_name(item),
        inline=False,
    )

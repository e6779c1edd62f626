"""What vouches for the ledger from outside, to take away: timestamps, and the guides for partners."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.permissions import require, require_anywhere
from accounts.requests import person
from custody.models import Anchor, Checkpoint

GUIDES = ("run-a-cosigner", "anchor-the-ledger")


@require_safe
def anchor(request: HttpRequest, anchor_id: int) -> HttpResponse:
    """The RFC 3161 response on a checkpoint, byte for byte; its data is the checkpoint's signed note."""
    row = Anchor.objects.filter(pk=anchor_id, response__isnull=False).first()
    require(person(request), "checkpoint.view", Checkpoint.objects.all(), pk=row.checkpoint_id if row else None)
    if row is None or row.response is None:
        raise Http404
    response = HttpResponse(bytes(row.response), content_type="application/timestamp-reply")
    response["Content-Disposition"] = f'attachment; filename="anchor-{row.pk}.tsr"'
    return response


@require_safe
def guide(request: HttpRequest, name: str) -> HttpResponse:
    """A guide of docs/howto/ as plain text, for whoever looks after the ledger."""
    require_anywhere(person(request), "item.verify")
    if name not in GUIDES:
        raise Http404
    text = (settings.BASE_DIR / "docs" / "howto" / f"{name}.md").read_text("utf-8")
    return HttpResponse(text, content_type="text/plain; charset=utf-8")

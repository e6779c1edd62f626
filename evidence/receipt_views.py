"""Receipts in the browser: a page that waits for the ledger, the file to keep, the same in words, and the verifier."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from accounts.permissions import can, require, require_anywhere
from accounts.requests import person
from evidence import actions
from evidence.models import Item
from evidence.receipts import is_recorded
from evidence.receipts import receipt as receipt_of
from ledger.pack import verifier_archive


@never_cache
@require_safe
def receipt(request: HttpRequest, accession: str) -> HttpResponse:
    """The receipt on a page: pending, and recorded by itself within a second or two."""
    user = person(request)
    item = actions.open_receipt(by=user, at=timezone.now(), accession=accession)
    trail = [(_("Library"), reverse("evidence:library"))] if can(user, "item.view_content", item) else []
    context = {
        "item": item,
        "receipt": receipt_of(item),
        "trail": [*trail, (accession, reverse("evidence:item", args=[accession]))],
    }
    return render(request, "evidence/receipt.html", context)


@never_cache
@require_safe
def state(request: HttpRequest, accession: str) -> JsonResponse:
    """Whether the receipt is recorded: {state, done, total, message}, as a progress component follows it."""
    item = require(person(request), "item.view", Item.objects.filter(erased_at__isnull=True), accession=accession)
    done = is_recorded(item)
    words = _("Recorded under a signed head of the ledger.") if done else _("The ledger signs within seconds.")
    return JsonResponse({"state": "done" if done else "running", "done": int(done), "total": 1, "message": words})


@require_GET
def receipt_file(request: HttpRequest, accession: str) -> HttpResponse:
    """The file to keep, byte for byte as the specification says."""
    item = actions.open_receipt(by=person(request), at=timezone.now(), accession=accession)
    made = receipt_of(item)
    return _attachment(made.file, "application/json", made.file_name)


@require_GET
def receipt_words(request: HttpRequest, accession: str) -> HttpResponse:
    """The same in the person's language, to print or to send along."""
    item = actions.open_receipt(by=person(request), at=timezone.now(), accession=accession)
    words = render(request, "evidence/receipt.txt", {"receipt": receipt_of(item)}).content
    return _attachment(words, "text/plain; charset=utf-8", f"{accession}-receipt.txt")


@require_GET
def verifier(request: HttpRequest) -> HttpResponse:
    """The program with which anybody checks receipts and bundles: one file for Python 3.9 and later."""
    require_anywhere(person(request), "item.view")
    return _attachment(verifier_archive(), "application/octet-stream", "sanad-verify.pyz")


def _attachment(data: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(data, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response

"""Asking for a bundle, watching it being built, taking it away."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import require
from accounts.requests import person
from cases import bundles
from cases.forms import BundleForm
from cases.models import Bundle, CaseFile
from cases.serving import bundle_response
from cases.vocabulary import ExportState
from custody.ledger_keys import vkey
from ledger.note import fingerprint

#: What components/progress.html calls each state.
_FOLLOWED = {
    ExportState.WAITING: "waiting",
    ExportState.BUILDING: "running",
    ExportState.READY: "done",
    ExportState.FAILED: "failed",
    ExportState.CANCELLED: "cancelled",
    ExportState.DESTROYED: "done",
}


@require_http_methods(["GET", "HEAD", "POST"])
def request_bundle(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Ask for a bundle of the case file's exhibits, choosing what it opens: by a preset, or field by field."""
    user = person(request)
    case_file = require(user, "case.export", CaseFile.objects.select_related("compartment"), pk=case_id)
    form = BundleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = bundles.request_bundle(by=user, at=timezone.now(), case_id=case_id, opened=form.opened_fields)
        return redirect("cases:bundle", made.pk)
    status = 422 if form.is_bound else 200
    return render(request, "cases/new_bundle.html", {"form": form, "case": case_file}, status=status)


@never_cache
@require_safe
def bundle(request: HttpRequest, bundle_id: UUID) -> HttpResponse:
    """A bundle: how far it is, what is in it, how a stranger checks it."""
    found = _bundle(request, bundle_id)
    ready = found.state == ExportState.READY
    context = {
        "bundle": found,
        "case": found.case_file,
        "unfinished": found.state in (ExportState.WAITING, ExportState.BUILDING),
        "fingerprint": fingerprint(vkey()) if ready else "",
    }
    return render(request, "cases/bundle.html", context)


@never_cache
@require_safe
def progress(request: HttpRequest, bundle_id: UUID) -> JsonResponse:
    """How far a bundle is: {state, done, total, message}."""
    found = _bundle(request, bundle_id)
    return JsonResponse(
        {
            "state": _FOLLOWED[ExportState(found.state)],
            "done": found.done,
            "total": found.total,
            "message": found.problem or found.get_state_display(),
        }
    )


@require_POST
def cancel(request: HttpRequest, bundle_id: UUID) -> HttpResponse:
    """Stop a bundle that is being built."""
    found = bundles.cancel_bundle(by=person(request), at=timezone.now(), bundle_id=bundle_id)
    messages.success(request, _("The bundle is cancelled. Nothing of it was kept."))
    return redirect("cases:case", found.case_file_id)


@require_POST
def download(request: HttpRequest, bundle_id: UUID) -> HttpResponseBase:
    """The .zip, decrypted as it leaves."""
    return bundle_response(bundles.download_bundle(by=person(request), at=timezone.now(), bundle_id=bundle_id))


def _bundle(request: HttpRequest, bundle_id: UUID) -> Bundle:
    rows = Bundle.objects.select_related("case_file__compartment", "requested_by")
    return require(person(request), "bundle.view", rows, pk=bundle_id)

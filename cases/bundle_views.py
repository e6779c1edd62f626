"""Asking for a bundle, watching it being built, taking it away."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import require
from accounts.requests import person
from cases import actions
from cases.models import Bundle, CaseFile
from cases.serving import bundle_response
from cases.vocabulary import ExportState
from custody.signer import vkey
from ledger.note import fingerprint

#: What components/progress.html calls each state.
_FOLLOWED = {
    ExportState.WAITING: "waiting",
    ExportState.BUILDING: "running",
    ExportState.READY: "done",
    ExportState.FAILED: "failed",
    ExportState.CANCELLED: "cancelled",
}


@require_POST
def request_bundle(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Ask for a bundle of the case file's exhibits."""
    user = person(request)
    require(user, "case.export", CaseFile.objects.all(), pk=case_id)
    made = actions.request_bundle(by=user, at=timezone.now(), case_id=case_id)
    return redirect("cases:bundle", made.pk)


@never_cache
@require_safe
def bundle(request: HttpRequest, bundle_id: UUID) -> HttpResponse:
    """A bundle: how far it is, what is in it, how a stranger checks it."""
    found = _bundle(request, bundle_id)
    context = {
        "bundle": found,
        "case": found.case_file,
        "unfinished": found.state in (ExportState.WAITING, ExportState.BUILDING),
        "fingerprint": fingerprint(vkey()),
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
    found = actions.cancel_bundle(by=person(request), at=timezone.now(), bundle_id=bundle_id)
    messages.success(request, _("The bundle is cancelled. Nothing of it was kept."))
    return redirect("cases:case", found.case_file_id)


@require_POST
def download(request: HttpRequest, bundle_id: UUID) -> HttpResponseBase:
    """The .zip, decrypted as it leaves."""
    return bundle_response(actions.download_bundle(by=person(request), at=timezone.now(), bundle_id=bundle_id))


def _bundle(request: HttpRequest, bundle_id: UUID) -> Bundle:
    rows = Bundle.objects.select_related("case_file__compartment", "requested_by")
    return require(person(request), "bundle.view", rows, pk=bundle_id)

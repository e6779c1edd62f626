"""Describing items by a table: a page that checks it, and writes all of it or nothing; and the same over the API."""

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.models import User
from accounts.permissions import NotNow, require
from accounts.requests import person
from evidence.blobs import ReceptionRefused
from evidence.description import DESCRIBED
from incidents import tables
from incidents.models import Incident
from incidents.state import require_not_closed
from incidents.upload_handler import ReceivedFile, ReceivingHandler
from incidents.views import attempt, reads_or_posts, status_of, trail_of


class TableForm(forms.Form):
    """The table and why. The file itself is taken by the receiving handler, straight into the store."""

    table = forms.FileField(
        label=gettext_lazy("Table (CSV)"),
        allow_empty_file=True,
        help_text=gettext_lazy("UTF-8, with the names of the columns in the first line. It is kept as an item."),
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason for the change"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("Kept in the ledger."),
    )


@csrf_exempt
@reads_or_posts
def describe_by_table(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Check a table, or import it. Who may not is refused before a byte of it is read."""
    user = person(request)
    incident = require(user, "incident.receive", Incident.objects.select_related("compartment"), pk=incident_id)
    require_not_closed(incident)
    if request.method != "POST":
        return _page(request, incident, TableForm())
    handler = ReceivingHandler(request)
    request.upload_handlers = [handler]

    @csrf_protect  # the token stands in the form, so it is checked while the form is read
    def receive(request: HttpRequest) -> HttpResponse:
        form = TableForm(request.POST, request.FILES)
        outcome = attempt(form, lambda: _act(request, user, incident, form)) if form.is_valid() else None
        return _page(request, incident, form, outcome)

    try:
        return receive(request)
    finally:
        handler.discard()


def _act(request: HttpRequest, user: User, incident: Incident, form: TableForm) -> tables.Outcome:
    sent = form.cleaned_data["table"]
    assert isinstance(sent, ReceivedFile)
    try:
        if sent.received is None:
            raise sent.problem or NotNow(_("The archive could not keep the file safely. Nothing was recorded."))
        if "check" in request.POST:
            data = tables.bytes_of(sent.received)
            return tables.rehearse_table(by=user, at=timezone.now(), incident=incident, data=data)
        return tables.import_table(
            by=user,
            at=timezone.now(),
            incident=incident,
            received=sent.received,
            original_name=sent.name or "",
            reason=form.cleaned_data["reason"],
        )
    except ReceptionRefused as problem:
        raise NotNow(problem.message) from None


def _page(
    request: HttpRequest, incident: Incident, form: TableForm, outcome: tables.Outcome | None = None
) -> HttpResponse:
    context: dict[str, Any] = {
        "incident": incident,
        "form": form,
        "outcome": outcome,
        "checked": outcome is not None and outcome.item is None and not outcome.errors,
        "columns": [*tables.WHICH, *DESCRIBED],
        "trail": trail_of(incident),
    }
    status = status_of(form) if outcome is None else (422 if outcome.errors else 200)
    return render(request, "incidents/table.html", context, status=status)

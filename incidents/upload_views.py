"""Adding files to an incident in the browser: with the uploader, and as a plain form in two steps without JavaScript.

The plain form asks for the description first, so that what is wrong in it is said before any file is sent.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.models import User
from accounts.permissions import NotNow, require
from accounts.requests import person
from evidence.blobs import ReceptionRefused
from evidence.models import Item
from incidents import uploads
from incidents.forms import IntakeForm
from incidents.models import Incident, Intake
from incidents.state import require_not_closed
from incidents.upload_handler import ReceivedFile, ReceivingHandler
from incidents.views import attempt, reads_or_posts, status_of, trail_of

FORM_KEYS = UUID("0b0f7f0c-54a4-5b0a-8f5f-64d1a5b7a3e2")


@dataclass(frozen=True)
class Outcome:
    """What became of one file of a plain form."""

    name: str
    item: Item | None
    problem: str


@reads_or_posts
def upload(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The uploader. Without JavaScript a POST opens the intake and leads to the form for the files."""
    user = person(request)
    incident = require(user, "incident.receive", Incident.objects.select_related("compartment"), pk=incident_id)
    require_not_closed(incident)
    form = IntakeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        intake = attempt(
            form,
            lambda: uploads.announce(by=user, at=timezone.now(), incident=incident, fields=form.fields_said()),
        )
        if intake is not None:
            return redirect("incidents:upload_files", incident.pk, intake.pk)
    context = {
        "incident": incident,
        "form": form,
        "check_url": reverse("incident-duplicates", args=[incident.pk]),
        "intake_url": reverse("incident-intakes", args=[incident.pk]),
        "upload_url": reverse("uploads"),
        "tus_url": f"{reverse('uploads')}tus/",
        "limit": settings.SANAD_UPLOAD_LIMIT,
        "trail": trail_of(incident),
    }
    return render(request, "incidents/upload.html", context, status=status_of(form))


@csrf_exempt
@reads_or_posts
def upload_files(request: HttpRequest, incident_id: UUID, intake_id: UUID) -> HttpResponse:
    """The form for files without JavaScript. Who may not send is refused before the first byte of a file is read."""
    user = person(request)
    incident = require(user, "incident.receive", Incident.objects.select_related("compartment"), pk=incident_id)
    intake = uploads.require_intake(user, timezone.now(), intake_id)
    if intake.incident_id != incident.pk:
        return redirect("incidents:upload_files", intake.incident_id, intake.pk)
    if request.method != "POST":
        return _files_page(request, intake)
    handler = ReceivingHandler(request)
    request.upload_handlers = [handler]
    try:
        # The token stands in the form, so it is checked while the form is read; a forged form leaves nothing behind.
        answer = _receive(request, user, intake)
    finally:
        handler.discard()
    return answer


def _receive(request: HttpRequest, user: User, intake: Intake) -> HttpResponse:
    @csrf_protect
    def receive(request: HttpRequest) -> HttpResponse:
        form_key = _form_key(request)
        files = [made for made in request.FILES.getlist("files") if isinstance(made, ReceivedFile)]
        outcomes = [_one(user, intake, made, form_key, number) for number, made in enumerate(files)]
        held = [outcome for outcome in outcomes if outcome.item is not None]
        if held and len(held) == len(outcomes):
            words = ngettext("%(count)s file is held.", "%(count)s files are held.", len(held)) % {"count": len(held)}
            messages.success(request, f"{words} {_('What you sent is what we hold.')}")
        return _files_page(request, intake, outcomes=outcomes, nothing=not files)

    return receive(request)


def _one(user: User, intake: Intake, made: ReceivedFile, form_key: UUID, number: int) -> Outcome:
    name = made.name or ""
    if made.received is None:
        refused = made.problem if isinstance(made.problem, ReceptionRefused) else None
        words = _("The archive could not keep the file safely. Nothing was recorded; your file is still with you.")
        return Outcome(name, None, refused.message if refused else words)
    try:
        # The same form sent twice (a reload, an impatient second press) makes each item once.
        key = uuid5(form_key, f"{number}/{made.received.sha256}")
        item = uploads.accept(
            by=user,
            at=timezone.now(),
            intake=intake,
            received=made.received,
            original_name=name,
            idempotency_key=key,
        )
    except NotNow as problem:
        return Outcome(name, None, str(problem.message))
    except ValidationError as problem:
        return Outcome(name, None, " ".join(problem.messages))
    return Outcome(name, item, "")


def _files_page(
    request: HttpRequest, intake: Intake, *, outcomes: list[Outcome] | None = None, nothing: bool = False
) -> HttpResponse:
    bad = nothing or any(outcome.item is None for outcome in outcomes or [])
    context: dict[str, Any] = {
        "incident": intake.incident,
        "intake": intake,
        "outcomes": outcomes or [],
        "nothing": nothing,
        "form_key": uuid4(),
        "trail": trail_of(intake.incident),
    }
    return render(request, "incidents/upload_files.html", context, status=422 if bad else 200)


def _form_key(request: HttpRequest) -> UUID:
    try:
        return uuid5(FORM_KEYS, str(UUID(request.POST.get("form_key", ""))))
    except ValueError:
        return uuid4()

"""Testimonies: recording one, reading it, putting it right, sealing it, and the items that record it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import absorb
from accounts.permissions import allowed, permitted, require
from accounts.requests import person
from accounts.templatetags.ui import bdi, coordinates, edtf
from custody.story import story
from witnesses import actions
from witnesses.consent import newest_consents, state_of
from witnesses.forms import NewTestimonyForm, ReasonForm, RecordingForm, TestimonyForm, TextForm, posted
from witnesses.models import Recording, Testimony, Witness, language_name
from witnesses.queries import recordings_of
from witnesses.state import ACTS, require_act
from witnesses.tellings import told

reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@sensitive_post_parameters()
@reads_or_posts
def new_testimony(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Record what a witness stated in one interview."""
    user = person(request)
    witness = require(user, "witness.record_testimony", Witness.objects.select_related("compartment"), pk=witness_id)
    blank = Testimony(witness=witness, compartment=witness.compartment, interviewer=user)
    form = NewTestimonyForm(posted(request), instance=blank, compartment=witness.compartment)
    if request.method == "POST" and form.is_valid():
        try:
            testimony = actions.record_testimony(
                by=user,
                at=timezone.now(),
                witness_id=witness.pk,
                text=form.cleaned_data["text"],
                particulars=form.particulars(),
                recordings=form.accessions,
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("%(number)s is recorded.") % {"number": testimony.number})
            return redirect("witnesses:testimony", testimony.pk)
    context = {"form": form, "witness": witness}
    return render(request, "witnesses/new_testimony.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_safe
def testimony_page(request: HttpRequest, testimony_id: UUID) -> HttpResponse:
    """One testimony with its text; reading it is a custody event."""
    user = person(request)
    testimony = actions.read_testimony(by=user, at=timezone.now(), testimony_id=testimony_id)
    return render(request, "witnesses/testimony.html", _page(user, testimony))


def _page(user: Any, testimony: Testimony) -> dict[str, Any]:
    now = timezone.now()
    may = allowed(user, testimony)
    possible = ACTS[testimony.status]
    links = recordings_of(user, testimony)
    withdrawable = permitted(user, "recording.withdraw", links).exists()
    may_link = "testimony.link_recording" in may and "link_recording" in possible
    revisions = list(testimony.revisions.select_related("by"))
    original = [row for row in revisions if not row.correction][-1]
    return {
        "testimony": testimony,
        "witness": testimony.witness,
        "shown": original,
        "corrections": [row for row in revisions if row.correction],
        "earlier": [row for row in revisions if not row.correction and row.number != original.number],
        "facts": _facts(testimony),
        "state": state_of(newest_consents([testimony.witness_id], now).get(testimony.witness_id), now),
        "recordings": links,
        "recording_form": RecordingForm(),
        "may_describe": "testimony.describe" in may and "describe" in possible,
        "may_revise": "testimony.revise" in may and "revise" in possible,
        "may_correct": "testimony.revise" in may and "correct" in possible,
        "may_seal": "testimony.seal" in may and "seal" in possible,
        "may_link": may_link,
        "may_unlink": "withdraw_recording" in possible and withdrawable,
        "ask_officer": may_link and "withdraw_recording" in possible and bool(links) and not withdrawable,
        "story": told(story("testimony", testimony.pk, newest=100)),
    }


def _facts(testimony: Testimony) -> list[tuple[Any, ...]]:
    place = testimony.place_name or testimony.place_name_ar
    where = bdi(place) if place else ""
    both = testimony.place_name and testimony.place_name_ar
    centre = ""
    if testimony.latitude is not None and testimony.longitude is not None:
        centre = coordinates(float(testimony.latitude), float(testimony.longitude))
    return [
        (_("Interview"), edtf(testimony.interview_edtf)),
        (_("Place"), where, bdi(testimony.place_name_ar) if both else ""),
        (_("Centre"), centre, testimony.get_precision_display() if testimony.precision else ""),
        (_("Language"), bdi(language_name(testimony.language))),
        (_("Interpreter"), bdi(testimony.interpreter) if testimony.interpreter else _("none")),
        (_("Interviewer"), bdi(testimony.interviewer.display_name)),
        (_("Others present"), bdi(testimony.others_present) if testimony.others_present else _("nobody")),
    ]


@never_cache
@reads_or_posts
def describe_testimony(request: HttpRequest, testimony_id: UUID) -> HttpResponse:
    """Change the particulars of an open testimony."""
    user = person(request)
    testimony = _seen(user, "testimony.describe", testimony_id)
    require_act(testimony, "describe")
    form = TestimonyForm(posted(request), instance=testimony, compartment=testimony.compartment)
    if request.method == "POST" and form.is_valid():
        try:
            actions.describe_testimony(
                by=user, at=timezone.now(), testimony_id=testimony.pk, changes=form.particulars()
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("witnesses:testimony", testimony.pk)
    actions.read_testimony(by=user, at=timezone.now(), testimony_id=testimony.pk)
    context = {"form": form, "testimony": testimony, "witness": testimony.witness}
    return render(request, "witnesses/describe_testimony.html", context, status=422 if form.is_bound else 200)


@never_cache
@sensitive_post_parameters()
@reads_or_posts
def text(request: HttpRequest, testimony_id: UUID) -> HttpResponse:
    """A new text: a revision while the testimony is open, a visible correction once it is sealed."""
    user = person(request)
    testimony = _seen(user, "testimony.revise", testimony_id)
    if request.method == "POST":
        form = TextForm(request.POST, sealed=testimony.sealed)
    else:
        testimony = actions.read_testimony(by=user, at=timezone.now(), testimony_id=testimony_id)
        last = testimony.revisions.latest("number")
        form = TextForm(initial={"text": last.text}, sealed=testimony.sealed)
    if form.is_bound and form.is_valid():
        act = actions.correct_testimony if testimony.sealed else actions.revise_testimony
        said = form.cleaned_data
        try:
            act(by=user, at=timezone.now(), testimony_id=testimony.pk, text=said["text"], reason=said["reason"])
        except ValidationError as error:
            absorb(form, error)
        else:
            done = _("The correction stands beside the sealed text.") if testimony.sealed else _("The text is saved.")
            messages.success(request, done)
            return redirect("witnesses:testimony", testimony.pk)
    context = {"form": form, "testimony": testimony, "witness": testimony.witness}
    return render(request, "witnesses/text.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_POST
def seal_testimony(request: HttpRequest, testimony_id: UUID) -> HttpResponse:
    user = person(request)
    testimony = actions.seal_testimony(by=user, at=timezone.now(), testimony_id=testimony_id)
    messages.success(request, _("%(number)s is sealed.") % {"number": testimony.number})
    return redirect("witnesses:testimony", testimony.pk)


@never_cache
@require_POST
def link_recording(request: HttpRequest, testimony_id: UUID) -> HttpResponse:
    """Say that an item records this testimony."""
    user, now = person(request), timezone.now()
    testimony = _seen(user, "testimony.link_recording", testimony_id)
    form = RecordingForm(request.POST)
    if form.is_valid():
        try:
            link = actions.link_recording(by=user, at=now, testimony_id=testimony.pk, **form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            done = _("%(accession)s is now a recording of this testimony; consent decides who may have it.")
            messages.success(request, done % {"accession": link.item.accession})
            return redirect("witnesses:testimony", testimony.pk)
    testimony = actions.read_testimony(by=user, at=now, testimony_id=testimony.pk)
    context = _page(user, testimony) | {"recording_form": form}
    return render(request, "witnesses/testimony.html", context, status=422)


@never_cache
@reads_or_posts
def unlink_recording(request: HttpRequest, recording_id: UUID) -> HttpResponse:
    """Withdraw the link of a recording: what it means, the reason, and the act."""
    user = person(request)
    links = Recording.objects.select_related("item", "testimony__witness")
    link = require(user, "recording.withdraw", links, pk=recording_id)
    require_act(link.testimony, "withdraw_recording")
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.unlink_recording(
                by=user, at=timezone.now(), recording_id=link.pk, reason=form.cleaned_data["reason"]
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The link is withdrawn."))
            return redirect("witnesses:testimony", link.testimony_id)
    context = {"form": form, "link": link, "testimony": link.testimony, "witness": link.testimony.witness}
    return render(request, "witnesses/unlink_recording.html", context, status=422 if form.is_bound else 200)


def _seen(user: Any, permission: str, testimony_id: UUID) -> Testimony:
    testimonies = Testimony.objects.select_related("witness", "compartment")
    return require(user, permission, testimonies, pk=testimony_id)

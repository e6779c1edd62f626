"""The page of an incident, and the forms for what is said of it: itself, its status, its claims, its links."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import absorb
from accounts.panels import panels
from accounts.permissions import NotNow, Refused, allowed, can, require, require_anywhere
from accounts.requests import person
from evidence.models import Item
from evidence.vocabulary import Precision
from incidents import actions, claims
from incidents.forms import AssessmentForm, ClaimForm, IncidentForm, LinkForm, NewIncidentForm, ReasonForm, StatusForm
from incidents.models import Claim, Incident, Link
from incidents.queries import claims_of, links_of
from incidents.state import next_statuses
from incidents.vocabulary import Measure, Stance, Status

T = TypeVar("T")
reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def incident_page(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Facts, narrative, claims side by side, items by stance and in time. Reading it is a custody event."""
    user = person(request)
    incident = actions.read_incident(by=user, at=timezone.now(), incident_id=incident_id)
    may = allowed(user, incident)
    links = list(links_of(user, incident))
    stated = list(claims_of(user, incident))
    context = {
        "incident": incident,
        "allowed": may,
        "categories": list(incident.categories.all()),
        "points": [_point(incident)] if incident.latitude is not None else [],
        "links_by_stance": _by_stance(links),
        "item_count": len(links),
        "timeline": _timeline(incident, links),
        "claims_by_measure": _by_measure([claim for claim in stated if claim.withdrawn_at is None]),
        "withdrawn_claims": [claim for claim in stated if claim.withdrawn_at is not None],
        "may_withdraw_claims": "incident.claim" in may and incident.status != Status.CLOSED,
        "is_closed": incident.status == Status.CLOSED,
        "status_form": StatusForm(incident=incident) if next_statuses(incident) else None,
        "reason_form": ReasonForm(auto_id=False),
        "panels": panels("incident", user, incident, request),
        "trail": [(_("Incidents"), reverse("incidents:list"))],
    }
    return render(request, "incidents/incident.html", context)


@reads_or_posts
def open_incident(request: HttpRequest) -> HttpResponse:
    user = person(request)
    require_anywhere(user, "incident.open")
    form = NewIncidentForm(request.POST or None, by=user)
    made = None
    if request.method == "POST" and form.is_valid():
        made = attempt(
            form,
            lambda: actions.open_incident(
                by=user,
                at=timezone.now(),
                compartment_id=form.cleaned_data["compartment"].pk,
                code=form.cleaned_data["code"],
                status=Status.DRAFT if "draft" in request.POST else Status.OPEN,
                categories=form.chosen(),
                fields=form.said(),
            ),
        )
    if made is not None:
        messages.success(request, _("The incident is recorded as %(code)s.") % {"code": made.code})
        return redirect("incidents:incident", made.pk)
    trail = [(_("Incidents"), reverse("incidents:list"))]
    context = {"form": form, "incident": None, "trail": trail, "cancel_url": reverse("incidents:list")}
    return render(request, "incidents/edit.html", context, status=status_of(form))


@reads_or_posts
def edit_incident(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    user = person(request)
    incident = require(user, "incident.edit", Incident.objects.all(), pk=incident_id)
    form = IncidentForm(request.POST or None, instance=incident)
    changed = None
    if request.method == "POST" and form.is_valid():
        changed = attempt(
            form,
            lambda: actions.edit_incident(
                by=user,
                at=timezone.now(),
                incident=incident,
                changes=form.said(),
                categories=form.chosen(),
                reason=form.cleaned_data["reason"],
            ),
        )
    if changed is not None:
        messages.success(request, _("The incident is saved. What it said before is in the ledger."))
        return redirect("incidents:incident", incident.pk)
    actions.read_incident(by=user, at=timezone.now(), incident_id=incident.pk)
    context = {"form": form, "incident": incident, "trail": trail_of(incident), "cancel_url": _url(incident)}
    return render(request, "incidents/edit.html", context, status=status_of(form))


@reads_or_posts
def change_status(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    user = person(request)
    incident = require(user, "incident.change_status", Incident.objects.all(), pk=incident_id)
    form = StatusForm(request.POST or None, incident=incident)
    changed = None
    if request.method == "POST" and form.is_valid():
        changed = attempt(
            form, lambda: actions.change_status(by=user, at=timezone.now(), incident=incident, **form.cleaned_data)
        )
    if changed is not None:
        now = Status(changed.status).label
        messages.success(request, _("The incident is now: %(status)s.") % {"status": now})
        return redirect("incidents:incident", incident.pk)
    return _form_page(request, form, incident, heading=_("Change the status"), label=_("Change the status"))


@reads_or_posts
def record_claim(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    user = person(request)
    incident = require(user, "incident.claim", Incident.objects.all(), pk=incident_id)
    form = ClaimForm(request.POST or None)
    made = None
    if request.method == "POST" and form.is_valid():
        made = attempt(
            form,
            lambda: claims.record_claim(
                by=user, at=timezone.now(), incident=incident, fields=form.said(), breakdown=form.breakdown()
            ),
        )
    if made is not None:
        messages.success(request, _("The claim is recorded beside the others."))
        return redirect(_url(incident) + "#claims")
    lede = _(
        "One claim is what one source says, counting its own people in its own area and time. "
        "Record each source by itself; the archive never adds them."
    )
    return _form_page(request, form, incident, heading=_("Record a claim"), label=_("Record the claim"), lede=lede)


@require_POST
def withdraw_claim(request: HttpRequest, claim_id: UUID) -> HttpResponse:
    user = person(request)
    claim = require(user, "claim.withdraw", Claim.objects.select_related("incident"), pk=claim_id)
    form = ReasonForm(request.POST)
    gone = None
    if form.is_valid():
        gone = attempt(
            form, lambda: claims.withdraw_claim(by=user, at=timezone.now(), claim=claim, **form.cleaned_data)
        )
    if gone is not None:
        messages.success(request, _("The claim is withdrawn; it stays readable, with your reason."))
        return redirect(_url(claim.incident) + "#claims")
    heading = _("Withdraw the claim")
    return _form_page(request, form, claim.incident, heading=heading, label=heading, kind="danger")


@reads_or_posts
def link_item(request: HttpRequest, accession: str) -> HttpResponse:
    """Link an item to an incident of its compartment."""
    user = person(request)
    item = require(user, "item.view", Item.objects.all(), accession=accession)
    if not can(user, "item.view_content", item):
        raise Refused(user, "item.view_content", item)
    form = LinkForm(request.POST or None, by=user, item=item)
    made = None
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["incident"]
        made = attempt(
            form,
            lambda: actions.tag_item(by=user, at=timezone.now(), item=item, incident=chosen, **form.said()),
        )
    if made is not None:
        messages.success(request, _("The item is linked to %(code)s.") % {"code": made.incident.code})
        return redirect("evidence:item", item.accession)
    context = {
        "form": form,
        "heading": _("Link %(accession)s to an incident") % {"accession": item.accession},
        "label": _("Link"),
        "kind": "primary",
        "lede": _("Say what this item does for what is said of the incident, and why you think so."),
        "trail": [(item.accession, reverse("evidence:item", args=[item.accession]))],
        "cancel_url": reverse("evidence:item", args=[item.accession]),
    }
    return render(request, "incidents/form.html", context, status=status_of(form))


@reads_or_posts
def change_link(request: HttpRequest, link_id: UUID) -> HttpResponse:
    user = person(request)
    link = require(user, "link.change", Link.objects.select_related("incident", "item"), pk=link_id)
    form = AssessmentForm(request.POST or None, instance=link)
    changed = None
    if request.method == "POST" and form.is_valid():
        changed = attempt(form, lambda: actions.change_link(by=user, at=timezone.now(), link=link, changes=form.said()))
    if changed is not None:
        messages.success(request, _("The link is saved. What it said before is in the ledger."))
        return redirect(_url(link.incident) + "#items")
    actions.read_incident(by=user, at=timezone.now(), incident_id=link.incident_id)
    heading = _("Change the link of %(accession)s") % {"accession": link.item.accession}
    return _form_page(request, form, link.incident, heading=heading, label=_("Save"))


@reads_or_posts
def withdraw_link(request: HttpRequest, link_id: UUID) -> HttpResponse:
    user = person(request)
    link = require(user, "link.withdraw", Link.objects.select_related("incident", "item"), pk=link_id)
    form = ReasonForm(request.POST or None)
    gone = None
    if request.method == "POST" and form.is_valid():
        gone = attempt(form, lambda: actions.withdraw_link(by=user, at=timezone.now(), link=link, **form.cleaned_data))
    if gone is not None:
        messages.success(request, _("The link is withdrawn. The item stays in the archive."))
        return redirect(_url(link.incident) + "#items")
    heading = _("Withdraw the link of %(accession)s") % {"accession": link.item.accession}
    lede = _("The item stays in the archive; that it was linked, and why no longer, stays in the ledger.")
    return _form_page(request, form, link.incident, heading=heading, label=_("Withdraw"), kind="danger", lede=lede)


def attempt(form: forms.BaseForm, act: Callable[[], T]) -> T | None:
    """What the act returns; None when it was refused in words, which then stand in the form: no typed text is lost."""
    try:
        return act()
    except ValidationError as problem:
        absorb(form, problem)
    except NotNow as problem:
        form.add_error(None, str(problem.message))
        form.not_now = True  # type: ignore[attr-defined]
    return None


def status_of(form: forms.BaseForm) -> int:
    if not form.is_bound:
        return 200
    return 409 if getattr(form, "not_now", False) else 422


def _form_page(request: HttpRequest, form: Any, incident: Incident, **words: str) -> HttpResponse:
    context = {"form": form, "kind": "primary", "lede": "", "trail": trail_of(incident), "cancel_url": _url(incident)}
    return render(request, "incidents/form.html", context | words, status=status_of(form))


def _url(incident: Incident) -> str:
    return reverse("incidents:incident", args=[incident.pk])


def trail_of(incident: Incident) -> list[tuple[str, str]]:
    return [(_("Incidents"), reverse("incidents:list")), (incident.code, _url(incident))]


def _point(incident: Incident) -> dict[str, Any]:
    return {
        "latitude": float(incident.latitude or 0),
        "longitude": float(incident.longitude or 0),
        "radius": Precision(incident.precision).metres,
        "label": incident.shown_place or incident.code,
        "url": "",
    }


def _by_stance(links: list[Link]) -> list[tuple[Stance, list[Link]]]:
    grouped = [(stance, [link for link in links if link.stance == stance]) for stance in Stance]
    return [(stance, held) for stance, held in grouped if held]


def _timeline(incident: Incident, links: list[Link]) -> list[dict[str, Any]]:
    """The incident first, then items by the earliest day they may have been created. No previews: some are graphic."""
    entries: list[dict[str, Any]] = []
    for link in links:
        item = link.item
        dates = [(getattr(item, f"{name}_edtf"), name) for name in ("created", "published", "collected")]
        text, name = next(((text, name) for text, name in dates if text), ("", "created"))
        words = {"created": _("created"), "published": _("published"), "collected": _("collected")}
        entries.append(
            {
                "label": f"{item.accession} · {item.get_kind_display()}",
                "url": reverse("evidence:item", args=[item.accession]),
                "earliest": getattr(item, f"{name}_earliest"),
                "latest": getattr(item, f"{name}_latest"),
                "edtf": text,
                "note": words[name] if text else "",
            }
        )
    entries.sort(key=lambda entry: str(entry["earliest"] or entry["latest"] or "unknown"))
    happened = {
        "label": _("The incident"),
        "url": "",
        "earliest": incident.happened_earliest,
        "latest": incident.happened_latest,
        "edtf": incident.happened_edtf,
        "note": "",
    }
    return [happened, *entries]


def _by_measure(stated: list[Claim]) -> list[dict[str, Any]]:
    """[{measure, claims, rows}]: claims that count the same kind of thing on one scale, each with its own scope."""
    groups = []
    for measure in Measure:
        held = [claim for claim in stated if claim.measure == measure]
        if held:
            rows = [
                {
                    "source": claim.source,
                    "scope": f"{claim.who_counts} · {claim.scope_area}",
                    "minimum": claim.minimum,
                    "maximum": claim.maximum,
                    "as_of": claim.as_of.isoformat() if claim.as_of else "",
                    "url": f"#claim-{claim.pk}",
                    "note": claim.get_counted_display() if claim.counted else "",
                }
                for claim in held
            ]
            groups.append({"measure": measure, "claims": held, "rows": rows})
    return groups

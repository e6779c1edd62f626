"""The list of incidents: as cards, as a table, on a map; with facets and search."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.permissions import anywhere, permitted, require_anywhere
from accounts.requests import person
from accounts.templatetags.ui import grouped
from evidence.vocabulary import Precision
from incidents import queries
from incidents.models import Incident
from incidents.queries import Question

VIEWS = ("cards", "table", "map")


@require_safe
def incident_list(request: HttpRequest) -> HttpResponse:
    """Incidents one may see, newest first; `view` is cards, table or map."""
    user = person(request)
    require_anywhere(user, "incident.view")
    mine = permitted(user, "incident.view", Incident.objects.all())
    question = Question.of(request.GET.dict())
    shown = request.GET.get("view", "cards")
    shown = shown if shown in VIEWS else "cards"
    answers = queries.asked(mine, question)
    context: dict[str, Any] = {
        "question": question,
        "shown": shown,
        "tabs": [
            {"label": label, "url": _url(question, view=view), "active": view == shown, "icon": icon, "count": None}
            for view, label, icon in (
                ("cards", _("Cards"), "cards"),
                ("table", _("Table"), "table"),
                ("map", _("Map"), "place"),
            )
        ],
        "groups": _groups(mine, question, shown),
        "chosen": len(question.without("q").chosen()),
        "clear_url": _url(Question(), view=shown) if question.chosen() else "",
        "search": {
            "name": "q",
            "value": question.q,
            "label": _("Search incidents"),
            "hidden": [*question.without("q", "since", "until").chosen().items(), ("view", shown)],
        },
        "dates": {
            "since": question.since.isoformat() if question.since else "",
            "until": question.until.isoformat() if question.until else "",
            "hidden": [*question.without("since", "until").chosen().items(), ("view", shown)],
        },
        "may_open": anywhere(user, "incident.open"),
    }
    if shown == "map":
        placed = queries.on_map(answers)
        context["points"] = [_point(incident) for incident in placed]
        context["unplaced"] = answers.count() - len(placed)
    else:
        found = queries.page(answers, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
        context |= {
            "page": found,
            "newer_url": _url(question, view=shown, after=found.newer) if found.newer else "",
            "older_url": _url(question, view=shown, before=found.older) if found.older else "",
            "text": _how_many(found),
        }
    return render(request, "incidents/list.html", context)


def _how_many(found: queries.Page) -> str:
    if found.capped:
        return _("More than %(count)s incidents") % {"count": grouped(found.count)}
    return _("Incidents: %(count)s") % {"count": grouped(found.count)}


def _point(incident: Incident) -> dict[str, Any]:
    return {
        "latitude": float(incident.latitude or 0),
        "longitude": float(incident.longitude or 0),
        "radius": Precision(incident.precision).metres,
        "label": f"{incident.code} {incident.shown_title}",
        "url": reverse("incidents:incident", args=[incident.pk]),
    }


def _groups(mine: Any, question: Question, shown: str) -> list[dict[str, Any]]:
    labels = {
        "compartment": _("Compartment"),
        "status": _("Status"),
        "category": _("Violation category"),
        "governorate": _("Governorate"),
        "place": _("Place"),
        "has": _("Material"),
    }
    material = {
        "items": _("With items"),
        "no-items": _("Without items"),
        "claims": _("With claims"),
        "no-claims": _("Without claims"),
    }
    groups = []
    for facet, values in queries.facet_counts(mine, question).items():
        options = []
        for value, label, count in values:
            active = getattr(question, facet) == value
            rest = question.without(facet)
            url = _url(rest, view=shown) if active else _url(rest, view=shown, **{facet: value})
            options.append({"label": material.get(label, label), "url": url, "count": count, "active": active})
        if len(options) > 1 or any(option["active"] for option in options):
            groups.append({"label": labels[facet], "options": options})
    return groups


def _url(question: Question, **more: str) -> str:
    more = {name: value for name, value in more.items() if value and (name, value) != ("view", "cards")}
    parts = question.chosen() | more
    return reverse("incidents:list") + (f"?{urlencode(parts)}" if parts else "")

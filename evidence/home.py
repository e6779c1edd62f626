"""The library's card on the dashboard: what of the items needs somebody now."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.panels import Panel, register
from accounts.permissions import compartments, permitted
from custody.models import Event, Pending
from custody.vocabulary import Type
from evidence.models import Erasure, Item
from evidence.queries import COUNT_LIMIT, Filters, count, library
from evidence.vocabulary import ErasureState


def needs_attention(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For those who describe items: how many have no title, a type conflict, or wait for the ledger."""
    if not compartments(user, "item.describe").exists():
        waiting_for_me = _erasures(user)
        context = {"stats": waiting_for_me, "empty": False}
        return Panel("evidence/panels/home.html", context, _("Items"), order=20) if waiting_for_me else None
    path = reverse("evidence:library")
    titles, conflicts = Filters(needs="description"), Filters(needs="type")
    waiting = _waiting(user)
    stats = [
        *_erasures(user),
        _stat(count(library(user, titles)), _("No title yet"), titles.url(path), "warn", _("Say what they show.")),
        _stat(
            count(library(user, conflicts)),
            _("Type conflicts"),
            conflicts.url(path),
            "warn",
            _("Two identifiers disagree about what the bytes are."),
        ),
        _stat(waiting, _("Not yet recorded"), "", "accent", _("They wait for the next signed checkpoint.")),
    ]
    empty = not permitted(user, "item.view", Item.objects.all()).exists()
    return Panel("evidence/panels/home.html", {"stats": stats, "empty": empty}, _("Items"), order=20)


def _erasures(user: Any) -> list[dict[str, Any]]:
    """The requests for erasure on which this person may decide; nothing where there are none."""
    waiting = Erasure.objects.filter(state=ErasureState.WAITING, expires_at__gt=timezone.now())
    number = permitted(user, "erasure.decide", waiting).count()
    if not number:
        return []
    return [
        _stat(number, _("Erasures to decide"), reverse("evidence:erasures"), "warn", _("A second person is needed."))
    ]


def _waiting(user: Any) -> int:
    events = Event.objects.filter(
        type=Type.RECEIVE,
        compartment_id__in=compartments(user, "item.view").values("pk"),
        id__in=Pending.objects.values("event_id"),
    )
    return events.values("pk")[: COUNT_LIMIT + 1].count()


def _stat(value: int, label: str, url: str, tone: str, hint: str) -> dict[str, Any]:
    shown = f"> {COUNT_LIMIT}" if value > COUNT_LIMIT else str(value)
    return {"value": shown, "label": label, "url": url if value else "", "tone": tone if value else "ok", "hint": hint}


register("home", needs_attention)

"""What incidents put into other pages: the entrance in the navigation, a card at home, a part of an item's page."""

from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import navigation, panels
from accounts.panels import Panel
from accounts.permissions import allowed, anywhere, can, compartments, permitted
from evidence.models import Item
from evidence.text import spelled
from incidents.models import Incident, Link, Member
from incidents.vocabulary import Status

MOST = 5  # rows in a card
MOST_MEMBERS = 100


def home_card(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For those who work on incidents: drafts, incidents under review, incidents nobody has given an item."""
    if not anywhere(user, "incident.edit"):
        return None
    mine = permitted(user, "incident.edit", Incident.objects.all()).order_by("-opened_at", "-id")
    without = mine.filter(status=Status.OPEN).exclude(
        Exists(Link.objects.filter(incident=OuterRef("pk"), withdrawn_at__isnull=True))
    )
    rows = [
        (_("Drafts to finish"), "status=draft", mine.filter(status=Status.DRAFT)),
        (_("Under review"), "status=under_review", mine.filter(status=Status.UNDER_REVIEW)),
        (_("Open, without any item"), "status=open&has=no-items", without),
    ]
    shown = [
        {"label": label, "query": query, "count": found.count(), "incidents": list(found[:MOST])}
        for label, query, found in rows
    ]
    context = {"rows": [row for row in shown if row["count"]], "may_open": compartments(user, "incident.open").exists()}
    return Panel("incidents/panels/home.html", context, title=_("Incidents"), order=30)


def item_panel(user: Any, item: Item, request: HttpRequest) -> Panel | None:
    """The incidents an item is linked to. An auditor, who sees no titles, sees none of this."""
    if not can(user, "item.view_content", item):
        return None
    links = permitted(user, "link.view", Link.objects.filter(item=item)).select_related("incident", "linked_by")
    rows: list[dict[str, Any]] = [
        {"link": link, "allowed": allowed(user, link), "incident": link.incident}
        for link in links.order_by("withdrawn_at", "linked_at")
    ]
    may_link = compartments(user, "incident.link").filter(pk=item.compartment_id).exists()
    context = {
        "item": item,
        "held": [row for row in rows if row["link"].withdrawn_at is None],
        "withdrawn": [row for row in rows if row["link"].withdrawn_at is not None],
        "may_link": may_link,
    }
    return Panel("incidents/panels/item.html", context, title=_("Incidents"), order=40)


def container_panel(user: Any, item: Item, request: HttpRequest) -> Panel | None:
    """What an item came out of, and what came out of it."""
    members = permitted(user, "member.view", Member.objects.filter(Q(item=item) | Q(container=item)))
    rows = members.select_related("item", "container").order_by("item__accession")
    came, inside = rows.filter(item=item).first(), rows.filter(container=item)
    count = inside.count()
    if not can(user, "item.view_content", item) or not (came or count):
        return None
    context = {
        "came": came and {"accession": came.container.accession, "path": spelled(came.path)},
        "inside": [(member.item.accession, spelled(member.path)) for member in inside[:MOST_MEMBERS]],
        "count": count,
        "more": max(0, count - MOST_MEMBERS),
    }
    return Panel("incidents/panels/container.html", context, title=_("Container"), order=45)


def register() -> None:
    navigation.register(
        navigation.NavItem(gettext_lazy("Incidents"), "incidents:list", "incident.view", 10, icon="incident", key="i")
    )
    panels.register("home", home_card)
    panels.register("item", item_panel)
    panels.register("item", container_panel)

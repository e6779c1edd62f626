"""Where witnesses show up on other pages, and their entrance in the navigation."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.navigation import NavItem
from accounts.navigation import register as register_entrance
from accounts.panels import Panel, register
from accounts.permissions import anywhere, permitted
from accounts.queries import names_of
from witnesses.consent import states
from witnesses.models import Recording
from witnesses.queries import ending_consents, recent_openings, testimonies_without_consent, witnesses_of

MOST = 5
LATELY = timedelta(days=30)


def care(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For those who meet witnesses: consents that end soon, testimonies without consent; for officers, openings."""
    if not anywhere(user, "witness.record_consent"):
        return None
    now = timezone.now()
    ending = ending_consents(user, now)
    without = testimonies_without_consent(user, now)
    opened = recent_openings(user, now - LATELY) if anywhere(user, "identity.open") else []
    if not ending and not opened and not without.exists():
        return None
    witnesses, openers = witnesses_of(opened), names_of(line.agent_id for line in opened)
    context = {
        "ending": ending[:MOST],
        "ending_count": len(ending),
        "without": without.order_by("recorded_at")[:MOST],
        "without_count": without.count(),
        "openings": [
            (line, openers[line.agent_id], witnesses[line.event_id]) for line in opened if line.event_id in witnesses
        ][:MOST],
    }
    return Panel("witnesses/home_panel.html", context, title=str(_("Witnesses and consent")), order=30)


def recorded_on(user: Any, item: Any, request: HttpRequest) -> Panel | None:
    """On an item's page: the testimonies it records, and where consent stands."""
    links = permitted(user, "recording.view", Recording.objects.filter(item=item, withdrawn_at__isnull=True))
    found = [link.testimony for link in links.select_related("testimony__witness")]
    if not found:
        return None
    standing = states([testimony.witness for testimony in found], timezone.now())
    rows = [(testimony, standing[testimony.witness_id][0]) for testimony in found]
    return Panel("witnesses/item_panel.html", {"rows": rows}, title=str(_("Recording of a testimony")), order=40)


register("home", care)
register("item", recorded_on)
register_entrance(NavItem(_("Witnesses"), "witnesses:list", "witness.view", order=40, icon="witness", key="w"))

"""The dashboard's card for auditors, and the way from an item's page to its verification."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Role
from accounts.panels import Panel, register
from accounts.permissions import can, holds
from verification.models import Run
from verification.queries import coverage, ledger_state, runs_seen, summed
from verification.vocabulary import Figure

LONG_AGO = timedelta(days=90)


def needs_an_auditor(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For auditors: an alarm, failed items, items never verified, the oldest verification, runs under way."""
    if not holds(user, Role.AUDITOR):
        return None
    whole, state = summed(coverage(user)), ledger_state()
    context = {
        "whole": whole,
        "failed": whole.figures[Figure.FAILED],
        "never": whole.figures[Figure.NEVER],
        "ledger": state,
        "long_ago": whole.oldest is not None and timezone.now() - whole.oldest > LONG_AGO,
        "runs": runs_seen(user).filter(state__in=["queued", "running"])[:3],
        "found": runs_seen(user).filter(Run.found_something(), state="finished")[:3],
    }
    return Panel("verification/home.html", context, title=_("Audit"), order=30)


def item_panel(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """On an item's page, for whoever may verify it: when it was last verified, and the way to each step."""
    if not can(user, "item.verify", obj):
        return None
    return Panel("verification/item_panel.html", {"item": obj}, title=_("Each step and the proof"), order=60)


register("home", needs_an_auditor)
register("item", item_panel)

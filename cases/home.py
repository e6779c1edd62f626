"""Where case files show up on other pages, and their entrance in the navigation."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.navigation import NavItem
from accounts.navigation import register as register_entrance
from accounts.panels import Panel, register
from accounts.permissions import anywhere, permitted
from cases.coverage import refused
from cases.departures import exported
from cases.models import Bundle, CaseFile, Exhibit
from cases.vocabulary import Status
from witnesses.departures import register as register_departures

MOST = 5


def open_cases(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For legal reviewers: open cases, exhibits nobody reviewed, consents that no longer cover, fresh bundles."""
    if not anywhere(user, "case.edit"):
        return None
    now = timezone.now()
    cases = permitted(user, "case.edit", CaseFile.objects.filter(status=Status.OPEN).select_related("compartment"))
    exhibits = Exhibit.objects.filter(withdrawn_at__isnull=True, reviews__isnull=True, case_file__status=Status.OPEN)
    context = {
        "cases": cases[:MOST],
        "unreviewed": permitted(user, "exhibit.review", exhibits.select_related("case_file"))[:MOST],
        "uncovered": [(case, exhibit) for case in cases[:MOST] for exhibit, _decision in refused(case, now)][:MOST],
        "bundles": permitted(user, "bundle.view", Bundle.objects.filter(requested_by=user).select_related("case_file"))[
            :3
        ],
    }
    return Panel("cases/home_panel.html", context, title=str(_("Case files")), order=20)


def exhibits_of(user: Any, item: Any, request: HttpRequest) -> Panel | None:
    """On an item's page: where it is an exhibit."""
    if not anywhere(user, "case.view"):
        return None
    rows = permitted(user, "exhibit.view", Exhibit.objects.filter(item=item).select_related("case_file"))
    cases = permitted(user, "case.edit", CaseFile.objects.filter(compartment=item.compartment_id, status=Status.OPEN))
    context = {"exhibits": rows, "cases": cases[:20], "item": item}
    return Panel("cases/item_panel.html", context, title=str(_("Exhibits")), order=60)


register_departures(exported)
register("home", open_cases)
register("item", exhibits_of)
register_entrance(NavItem(_("Case files"), "cases:list", "case.view", order=50, icon="case", key="c"))

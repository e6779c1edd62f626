"""The audit desk: coverage, runs, and the verification of one item. Accession numbers and digests, never titles."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import absorb
from accounts.models import User
from accounts.permissions import can, compartments, permitted, require, require_anywhere
from accounts.queries import names_of
from accounts.requests import person
from evidence.actions import verify_item
from evidence.models import FixityCheck, Item
from verification import actions, reports
from verification.exports import csv_response
from verification.forms import RunForm
from verification.keyset import newest_first
from verification.models import Run
from verification.queries import behind, coverage, ledger_state, results_seen, runs_seen, summed
from verification.vocabulary import Figure, Scope

PAGE = 50
PRINTED = 2000  # rows on a sheet; the rest is in the CSV
AT_ONCE = 256 * 2**20  # bytes that are verified while the reader waits; more becomes a run
reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@never_cache
def desk(request: HttpRequest) -> HttpResponse:
    """Coverage at a glance, the state of the ledger, recent runs, and the ways to start."""
    user = person(request)
    require_anywhere(user, "item.verify")
    return _desk(request, user)


def _desk(request: HttpRequest, user: User, *, accession: str = "", status: int = 200) -> HttpResponse:
    rows = coverage(user)
    context = {
        "areas": reports.areas(user, "desk"),
        "total": summed(rows).total,
        "oldest": summed(rows).oldest,
        "rows": [(row, reports.row_urls(row)) for row in rows],
        "figures": reports.tiles(summed(rows)),
        "ledger": ledger_state(),
        "vouching": reports.vouching(),
        "runs": runs_seen(user)[:8],
        "accession": accession,
        "unknown": status != 200,
    }
    return render(request, "verification/desk.html", context, status=status)


@require_POST
def verify_one(request: HttpRequest) -> HttpResponse:
    """Verify one item by its accession number: at once, or as a run when it is so large that nobody should wait."""
    user = person(request)
    require_anywhere(user, "item.verify")
    accession = request.POST.get("accession", "").strip().upper().replace("\x00", "")[:30]
    if not permitted(user, "item.view", Item.objects.filter(accession=accession)).exists():
        return _desk(request, user, accession=accession, status=422)
    held = require(user, "item.verify", Item.objects.select_related("blob"), accession=accession)
    if held.size > AT_ONCE:
        run = actions.request_run(by=user, at=timezone.now(), scope=Scope.ONE, accessions=[accession])
        return redirect("verification:run", run.pk)
    verify_item(by=user, at=timezone.now(), accession=accession)
    return redirect("verification:item", accession)


@require_safe
@never_cache
def item(request: HttpRequest, accession: str) -> HttpResponse:
    """The verification of one item, step by step: what was compared, and the proof to take away."""
    user = person(request)
    held = require(user, "item.verify", Item.objects.select_related("blob", "compartment"), accession=accession)
    checks = list(FixityCheck.objects.filter(item=held).order_by("-at")[:10])
    newest = checks[0] if checks else None
    names = names_of(check.by_id for check in checks)
    context = {
        "areas": reports.areas(user, "items"),
        "item": held,
        "check": newest,
        "checked_by": names[newest.by_id] if newest else "",
        "steps": reports.steps(held, newest),
        "reception": reports.reception(held),
        "checks": [(check, names[check.by_id]) for check in checks],
        "reads_trails": can_read_trail(user, held),
        "large": held.size > AT_ONCE,
    }
    return render(request, "verification/item.html", context)


def can_read_trail(user: Any, held: Item) -> bool:
    """Whether the trail of an item is open to the person: auditors of its compartment."""
    return compartments(user, "trail.view").filter(pk=held.compartment_id).exists()


@require_safe
def items(request: HttpRequest) -> HttpResponse:
    """The items behind a figure of the coverage, by accession number, to tick and verify."""
    user = person(request)
    require_anywhere(user, "item.verify")
    places = compartments(user, "item.verify")
    compartment = places.filter(code=request.GET.get("compartment", "").replace("\x00", "")).first()
    figure = Figure(request.GET["figure"]) if request.GET.get("figure") in Figure.values else Figure.ALL
    after = request.GET.get("after", "").replace("\x00", "")
    found = behind(user, figure, compartment)
    shown = list(found.filter(accession__gt=after)[: PAGE + 1] if after else found[: PAGE + 1])
    more = len(shown) > PAGE
    query = {"figure": figure.value} | ({"compartment": compartment.code} if compartment else {})
    context = {
        "areas": reports.areas(user, "items"),
        "figure": figure,
        "compartment": compartment,
        "choices": reports.item_filters(figure, compartment, list(places)),
        "items": shown[:PAGE],
        "next_url": reports.with_query("verification:items", query | {"after": shown[PAGE - 1].accession})
        if more
        else "",
        "first_url": reports.with_query("verification:items", query) if after else "",
    }
    return render(request, "verification/items.html", context)


@reads_or_posts
def runs(request: HttpRequest) -> HttpResponse:
    """Recent runs, and the form for a new one; ticked items of a list arrive here as a selection."""
    user = person(request)
    require_anywhere(user, "item.verify")
    form = (
        RunForm(_posted(request), user=user)
        if request.method == "POST"
        else RunForm(initial={"scope": Scope.EVERYTHING.value}, user=user)
    )
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            made = actions.request_run(
                by=user,
                at=timezone.now(),
                scope=chosen["scope"],
                compartment_id=chosen["compartment"].pk if chosen["compartment"] else None,
                accessions=chosen["accessions"],
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            return redirect("verification:run", made.pk)
    page = newest_first(runs_seen(user), moment="requested_at", cursor=request.GET.get("page", ""), size=PAGE)
    context = {
        "areas": reports.areas(user, "runs"),
        "form": form,
        "runs": page.rows,
        "newer_url": reports.page_url(request, page.newer),
        "older_url": reports.page_url(request, page.older),
    }
    return render(request, "verification/runs.html", context, status=422 if form.is_bound else 200)


def _posted(request: HttpRequest) -> dict[str, Any]:
    """The form's data; ticks of a list (many values of `item`) become the text of a selection."""
    data = request.POST.dict()
    ticked = request.POST.getlist("item")
    if ticked:
        data["accessions"] = "\n".join(ticked)
    return data


@require_safe
@never_cache
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run: how far it is, faults of the ledger first, then failed items, then the rest."""
    user = person(request)
    held = require(user, "run.view", Run.objects.select_related("compartment", "requested_by"), pk=run_id)
    results = results_seen(user, held)
    start = _whole_number(request.GET.get("from"))
    shown = list(results[start : start + PAGE + 1])
    context = {
        "areas": reports.areas(user, "runs"),
        "run": held,
        "results": shown[:PAGE],
        "older_url": f"?from={start + PAGE}" if len(shown) > PAGE else "",
        "newer_url": f"?from={max(0, start - PAGE)}" if start else "",
        "progress": reports.progress(held),
        "may_cancel": held.under_way and can(user, "run.cancel", held),
    }
    return render(request, "verification/run.html", context)


@require_safe
@never_cache
def run_progress(request: HttpRequest, run_id: UUID) -> JsonResponse:
    """{state, done, total, message} for the page that follows a run."""
    held = require(person(request), "run.view", Run.objects.all(), pk=run_id)
    return JsonResponse(reports.progress(held))


@require_POST
def cancel_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Stop a run."""
    user = person(request)
    require(user, "run.cancel", Run.objects.all(), pk=run_id)
    actions.cancel_run(by=user, at=timezone.now(), run_id=run_id)
    return redirect("verification:run", run_id)


@require_safe
def run_csv(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """The results of a run as CSV, failed items first; faults of the ledger stand above them."""
    user = person(request)
    held = require(user, "run.view", Run.objects.all(), pk=run_id)
    header = [_("Subject"), _("Outcome"), _("Detail"), _("Checked at (UTC)"), _("Fixity check")]
    return csv_response(f"verification-{held.pk}.csv", header, reports.run_lines(held, results_seen(user, held)))


@require_safe
@never_cache
def run_print(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """A run on paper."""
    user = person(request)
    held = require(user, "run.view", Run.objects.select_related("compartment", "requested_by"), pk=run_id)
    results = list(results_seen(user, held)[: PRINTED + 1])
    context = {
        "run": held,
        "results": results[:PRINTED],
        "cut": len(results) > PRINTED,
        "most": PRINTED,
        "ledger": ledger_state(),
        "printed_at": timezone.now(),
        "back": reverse("verification:run", args=[run_id]),
    }
    return render(request, "verification/run_print.html", context)


def _whole_number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 8 else 0

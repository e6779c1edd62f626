"""Asking for an erasure, deciding on it as a second person, and what is shown in the place of what is gone."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms import absorb
from accounts.permissions import NotNow, allowed, permitted, require, require_anywhere
from accounts.requests import person
from custody.story import story
from evidence import erasure as acts
from evidence.forms import ErasureForm, RefuseErasureForm
from evidence.models import Erasure, Item
from evidence.narrative import told
from evidence.vocabulary import ErasureState

SHOWN = 200


@require_http_methods(["GET", "POST"])
def request_erasure(request: HttpRequest, accession: str) -> HttpResponse:
    """Ask that an item be erased: what goes, what stands against it, what stays. 409 with the objections."""
    user = person(request)
    item = require(user, "item.request_erasure", Item.objects.all(), accession=accession)
    form = ErasureForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made = acts.request_erasure(by=user, at=timezone.now(), accession=accession, **form.cleaned_data)
            except ValidationError as error:
                absorb(form, error)
            except NotNow as refused:
                form.add_error(None, str(refused.message))
                status = 409
            else:
                messages.success(request, _("Your request waits for a second person. Nothing is erased yet."))
                return redirect("evidence:erasure", made.pk)
    context = {"form": form, "item": item, "trail": _trail(accession), **_before(user, item)}
    return render(request, "evidence/request_erasure.html", context, status=status)


@require_GET
def erasures(request: HttpRequest) -> HttpResponse:
    """What waits for a second person, and what was decided."""
    user = person(request)
    require_anywhere(user, "erasure.view")
    seen = permitted(user, "erasure.view", Erasure.objects.select_related("item", "requested_by", "decided_by"))
    mine = set(permitted(user, "erasure.decide", Erasure.objects.all()).values_list("pk", flat=True))
    rows = [(one, one.pk in mine) for one in seen[:SHOWN]]
    context = {
        "waiting": [row for row in rows if row[0].state == ErasureState.WAITING],
        "decided": [one for one, _may in rows if one.state != ErasureState.WAITING],
        "now": timezone.now(),
    }
    return render(request, "evidence/erasures.html", context)


@require_GET
def erasure(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """One request: who asked, why, what would go, and the decision."""
    return _page(request, erasure_id, RefuseErasureForm())


@require_POST
def approve(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """Agree as the second person: it is erased at once."""
    made = acts.approve_erasure(by=person(request), at=timezone.now(), erasure_id=erasure_id)
    words = ngettext("%(count)s item is erased.", "%(count)s items are erased.", len(made.accessions))
    messages.success(request, words % {"count": len(made.accessions)})
    return redirect("evidence:erasure", made.pk)


@require_POST
def refuse(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """Decide as the second person that it stays."""
    form = RefuseErasureForm(request.POST)
    require(person(request), "erasure.decide", Erasure.objects.all(), pk=erasure_id)
    if form.is_valid():
        try:
            acts.refuse_erasure(by=person(request), at=timezone.now(), erasure_id=erasure_id, **form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The request is refused. Everything stays as it is."))
            return redirect("evidence:erasure", erasure_id)
    return _page(request, erasure_id, form, status=422)


@require_POST
def withdraw(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """Take one's own request back."""
    made = acts.withdraw_erasure(by=person(request), at=timezone.now(), erasure_id=erasure_id)
    messages.success(request, _("Your request is withdrawn. Everything stays as it is."))
    return redirect("evidence:item", made.item.accession)


def tombstone(request: HttpRequest, item: Item) -> HttpResponse:
    """What stands in the place of an erased item, for whoever could see it. The caller has fetched it by permission."""
    user = person(request)
    may = allowed(user, item)
    done = Erasure.objects.filter(accessions__contains=[item.accession], state=ErasureState.DONE).first()
    context = {
        "item": item,
        "allowed": may,
        "erasure": done,
        "details": done is not None and permitted(user, "erasure.view", Erasure.objects.filter(pk=done.pk)).exists(),
        "story": told(story("item", item.pk), readable=False),
        "check": item.fixity_checks.first(),
        "trail": [(_("Library"), reverse("evidence:library"))] if "item.download" in may else [],
    }
    return render(request, "evidence/erased.html", context)


def _page(request: HttpRequest, erasure_id: UUID, form: RefuseErasureForm, status: int = 200) -> HttpResponse:
    user = person(request)
    rows = Erasure.objects.select_related("item", "requested_by", "decided_by")
    found = require(user, "erasure.view", rows, pk=erasure_id)
    waiting = found.state == ErasureState.WAITING
    context = {
        "erasure": found,
        "item": found.item,
        "allowed": allowed(user, found),
        "expired": waiting and timezone.now() >= found.expires_at,
        "waiting": waiting,
        "form": form,
        "trail": [(_("Erasures"), reverse("evidence:erasures"))],
        **(_before(user, found.item) if waiting else {"objections": [], "beyond": [], "copies": []}),
    }
    return render(request, "evidence/erasure.html", context, status=status)


def _before(user: Any, item: Item) -> dict[str, Any]:
    """What both persons have to know before they decide."""
    items = acts.copies(item)
    return {
        "copies": [one.accession for one in items if one.pk != item.pk],
        "objections": acts.objections(items, timezone.now()),
        "beyond": acts.beyond(user, items),
    }


def _trail(accession: str) -> list[tuple[str, str]]:
    return [(_("Library"), reverse("evidence:library")), (accession, reverse("evidence:item", args=[accession]))]

"""The library and the page of one item."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms import absorb
from accounts.panels import panels
from accounts.permissions import NotNow, allowed, anywhere, compartments, permitted, require, require_anywhere
from accounts.requests import person
from custody.story import story
from evidence import actions, blobs, listing, queries, text
from evidence.claims import position
from evidence.claims import rows as claim_rows
from evidence.erasure_views import tombstone
from evidence.forms import BulkDescribeForm, DescribeForm, PlaceFromDeviceForm, selected
from evidence.media_types import PDF, inline_type, is_text
from evidence.models import Erasure, Item
from evidence.narrative import told
from evidence.queries import Filters
from evidence.readiness import readiness
from evidence.said import said
from evidence.vocabulary import Precision

STORY_SHOWN = 60
TEXT_ON_PAGE = 32 << 10  # bytes
VIEW_COOKIE = "library-view"


@require_GET
def library(request: HttpRequest) -> HttpResponse:
    """Every item the person sees, newest first, as cards or as a table."""
    user = person(request)
    require_anywhere(user, "item.view")
    filters = Filters.read(request.GET)
    items = queries.library(user, filters)
    found = queries.page(items, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    asked = request.GET.get("view", request.COOKIES.get(VIEW_COOKIE, ""))
    view = asked if asked in ("cards", "table") else "cards"
    describable = {compartment.pk for compartment in compartments(user, "item.describe")}
    context = {
        "filters": filters,
        "view": view,
        "rows": listing.rows(user, found.items),
        "facets": listing.facets(user, filters, request.path),
        "search": listing.search(filters),
        "count": listing.count_words(queries.count(items)),
        "chosen": filters.chosen,
        "clear_url": filters.url(request.path, **dict.fromkeys(Filters.names(), "")) if filters.chosen else "",
        "newer_url": listing.mark_url(filters, request.path, before=found.newer),
        "older_url": listing.mark_url(filters, request.path, after=found.older),
        "cards_url": listing.mark_url(filters, request.path, view="cards"),
        "table_url": listing.mark_url(filters, request.path, view="table"),
        "bulk": BulkDescribeForm() if describable else None,
        "may_receive": compartments(user, "item.receive").exists(),
        "sees_erasures": anywhere(user, "erasure.view"),
        "empty": not found.items,
        "narrowed": bool(filters.chosen or filters.q),
    }
    response = render(request, "evidence/library.html", context)
    if request.GET.get("view") in ("cards", "table"):
        response.set_cookie(VIEW_COOKIE, view, max_age=365 * 24 * 3600, samesite="Lax", httponly=True)
    return response


@require_POST
def describe_selected(request: HttpRequest) -> HttpResponse:
    """The same words for the ticked items: all of them or none."""
    user = person(request)
    require_anywhere(user, "item.describe")
    chosen = selected(request.POST)
    form = BulkDescribeForm(request.POST)
    if form.is_valid() and chosen and form.changes:
        try:
            described = actions.describe_items(by=user, at=timezone.now(), accessions=chosen, changes=form.changes)
        except ValidationError as error:
            absorb(form, error)
        else:
            text = ngettext("%(count)s item is described.", "%(count)s items are described.", len(described))
            messages.success(request, text % {"count": len(described)})
            return redirect("evidence:library")
    elif form.is_valid():
        missing = _("Tick at least one item.") if not chosen else _("Fill in what shall be changed.")
        form.add_error(None, missing)
    items = permitted(user, "item.view", Item.objects.filter(accession__in=chosen))
    context = {"form": form, "items": listing.rows(user, list(queries.page(items, size=len(chosen) or 1).items))}
    return render(request, "evidence/describe_selected.html", context, status=422)


@require_GET
def item(request: HttpRequest, accession: str) -> HttpResponse:
    """One item: what it is, what people say, what the device claims, its digests, its readiness, its custody."""
    user = person(request)
    record = actions.open_record(by=user, at=timezone.now(), accession=accession)
    if record.erased_at is not None:
        return tombstone(request, record)
    may = allowed(user, record)
    readable = "item.view_content" in may
    everything = request.GET.get("custody") == "all"
    lines = story("item", record.pk) if everything else story("item", record.pk, newest=STORY_SHOWN)
    context: dict[str, Any] = {
        "item": record,
        "allowed": may,
        "readable": readable,
        "story": told(lines, readable=readable),
        "story_cut": not everything and len(lines) == STORY_SHOWN,
        "check": record.fixity_checks.first(),
        "recorded": any(line.index is not None and line.recorded for line in lines if line.type == "ingestion"),
        "panels": panels("item", user, record, request),
        "trail": [(_("Library"), reverse("evidence:library"))] if readable else [],
        "erasure": permitted(
            user, "erasure.view", Erasure.objects.filter(state="waiting", accessions__contains=[accession])
        ).first(),
    }
    if readable:
        context |= _content_context(user, record, lines, "item.describe" in may)
    return render(request, "evidence/item.html", context)


def _content_context(user: Any, record: Item, lines: Any, describable: bool) -> dict[str, Any]:
    """What only those see who may see content."""
    claims = record.claims
    found = position(claims)
    preview = record.derivatives.filter(purpose="preview").first()
    same = [record.duplicate_of] if record.duplicate_of else []
    same += list(record.duplicates.order_by("received_at")[:20])
    return {
        "viewer": _viewer(record, preview is not None),
        "said": said(record),
        "points": _points(record),
        "claims": claim_rows(claims),
        "device_place": PlaceFromDeviceForm() if found and describable else None,
        "device_position": found,
        "readiness": readiness(record, claims, lines),
        "same": same,
        "came": _as_it_came(record),
        "text": _text(user, record),
    }


def _as_it_came(record: Item) -> list[tuple[Any, Any]]:
    return [
        (_("Original file name"), format_html('<bdi dir="auto">{}</bdi>', text.spelled(record.original_name))),
        (_("Type"), format_html('<bdi dir="ltr">{}</bdi>', record.media_type) if record.media_type else ""),
        (_("Compartment"), format_html("<bdi>{}</bdi>", record.compartment.code)),
        (_("Received by"), format_html("<bdi>{}</bdi>", record.received_by.display_name)),
    ]


def _text(user: Any, record: Item) -> text.Shown | None:
    """The beginning of a text item for its page; graphic text is shown on its own page only."""
    if _viewer(record, False) != "text" or record.graphic:
        return None
    actions.open_text(by=user, at=timezone.now(), accession=record.accession)
    data = b"".join(blobs.read_blob(record.blob, 0, TEXT_ON_PAGE))
    return text.shown(data, whole=record.size <= TEXT_ON_PAGE)


def _viewer(record: Item, has_preview: bool) -> str:
    """How the content is shown: image, original, preview, video, audio, pdf, text; nothing: it may only be saved."""
    if record.type_conflict:
        return "preview" if has_preview else "nothing"
    inline = inline_type(record.media_type)
    if has_preview:
        return "image" if inline else "preview"
    if inline:
        family = inline.partition("/")[0]
        return "original" if family == "image" else family
    if record.media_type == PDF:
        return "pdf"
    return "text" if is_text(record.media_type) else "nothing"


def _points(record: Item) -> list[dict[str, Any]]:
    if record.latitude is None or record.longitude is None:
        return []
    return [
        {
            "latitude": float(record.latitude),
            "longitude": float(record.longitude),
            "radius": Precision(record.precision).metres,
            "label": record.place_name or record.place_name_ar or record.accession,
        }
    ]


@require_http_methods(["GET", "POST"])
def describe(request: HttpRequest, accession: str) -> HttpResponse:
    """Say what an item is. 422 with the errors, 409 when somebody described it meanwhile; what was typed stays."""
    user = person(request)
    record = require(user, "item.describe", Item.objects.all(), accession=accession)
    form = DescribeForm(request.POST or None, instance=record)
    status, changed_by_others = 200, False
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                actions.describe_item(
                    by=user,
                    at=timezone.now(),
                    accession=accession,
                    changes=form.changes,
                    reason=form.cleaned_data["reason"],
                    version=form.cleaned_data["version"],
                )
            except ValidationError as error:
                absorb(form, error)
            except NotNow as problem:
                form.add_error(None, str(problem.message))
                status, changed_by_others = 409, True
            else:
                messages.success(request, _("Your description is saved."))
                return redirect("evidence:item", accession=accession)
    shown = actions.open_record(by=user, at=timezone.now(), accession=accession)
    context = {
        "form": form,
        "item": shown,
        "trail": [(_("Library"), reverse("evidence:library")), (accession, reverse("evidence:item", args=[accession]))],
        "changed_by_others": changed_by_others,
        "present": said(shown) if changed_by_others else None,
        "present_version": form.fields["version"].initial,
    }
    return render(request, "evidence/describe.html", context, status=status)


@require_POST
def verify(request: HttpRequest, accession: str) -> HttpResponse:
    """Test the item now; the page that follows shows each step."""
    check = actions.verify_item(by=person(request), at=timezone.now(), accession=accession)
    tell = messages.success if check.outcome in ("ok", "pending", "erased") else messages.error
    tell(request, check.get_outcome_display())
    return redirect(reverse("evidence:item", args=[accession]) + "#verification")


@require_POST
def place_from_device(request: HttpRequest, accession: str) -> HttpResponse:
    """Take the position the device claims over as the place."""
    user = person(request)
    require(user, "item.describe", Item.objects.all(), accession=accession)
    form = PlaceFromDeviceForm(request.POST)
    if form.is_valid():
        actions.place_from_device(
            by=user, at=timezone.now(), accession=accession, precision=form.cleaned_data["precision"]
        )
        messages.success(request, _("The place is taken over from what the device claims."))
    else:
        messages.error(request, _("Say how precise these coordinates are."))
    return redirect("evidence:item", accession=accession)

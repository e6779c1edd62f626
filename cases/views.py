"""Case files and their exhibits, page by page."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import absorb
from accounts.permissions import NotNow, allowed, anywhere, require, require_anywhere
from accounts.requests import person
from cases import actions
from cases.disclosure import Preset
from cases.forms import CaseForm, ExhibitForm, NewCaseForm, NewExhibitForm, ReasonForm, ReviewForm
from cases.models import CaseFile, Exhibit
from cases.queries import case_files, exhibit_row, exhibit_rows
from cases.vocabulary import Status
from custody.story import story
from evidence.narrative import told

PAGE = 30
FORM = ["GET", "HEAD", "POST"]


@require_safe
def case_list(request: HttpRequest) -> HttpResponse:
    """The case files one may see, by text and status."""
    user = person(request)
    require_anywhere(user, "case.view")
    text, status = request.GET.get("q", "")[:200], request.GET.get("status", "")
    status = status if status in Status.values else ""
    page = Paginator(case_files(user, text=text, status=status), PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "q": text,
        "status": status,
        "statuses": Status.choices,
        "may_open": anywhere(user, "case.open"),
    }
    return render(request, "cases/list.html", context)


@require_http_methods(FORM)
def new_case(request: HttpRequest) -> HttpResponse:
    """Open a case file."""
    user = person(request)
    require_anywhere(user, "case.open")
    form = NewCaseForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.open_case(
                by=user,
                at=timezone.now(),
                compartment_id=form.cleaned_data["compartment"].pk,
                fields=form.changes(),
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Case file %(code)s is open.") % {"code": made.code})
            return redirect("cases:case", made.pk)
    return render(request, "cases/new.html", {"form": form}, status=422 if form.is_bound else 200)


@require_safe
def case(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """One case file: its exhibits as consent and compartment allow, its bundles, its custody; reading is an event."""
    user, now = person(request), timezone.now()
    case_file = actions.read_case(by=user, at=now, case_id=case_id)
    context = {
        "case": case_file,
        "rows": exhibit_rows(user, case_file, now),
        "bundles": case_file.bundles.select_related("requested_by")[:10],
        "story": told(story("case", case_file.pk, newest=50), readable=True),
        "allowed": allowed(user, case_file),
        "presets": Preset.choices,
    }
    return render(request, "cases/case.html", context)


@require_http_methods(FORM)
def edit_case(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Change what is said of a case file."""
    user = person(request)
    case_file = require(user, "case.edit", CaseFile.objects.all(), pk=case_id)
    form = CaseForm(request.POST or None, instance=case_file)
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_case(by=user, at=timezone.now(), case_id=case_id, changes=form.changes())
        except ValidationError as error:
            absorb(form, error)
        except NotNow as refused:
            form.add_error(None, str(refused.message))
        else:
            messages.success(request, _("The case file is saved."))
            return redirect("cases:case", case_id)
    actions.read_case(by=user, at=timezone.now(), case_id=case_id)
    return render(request, "cases/edit.html", {"form": form, "case": case_file}, status=422 if form.is_bound else 200)


@require_POST
def set_status(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Close a case file, or open it again."""
    user = person(request)
    require(user, "case.edit", CaseFile.objects.all(), pk=case_id)
    form, status = ReasonForm(request.POST), request.POST.get("status", "")
    if form.is_valid() and status in Status.values:
        actions.set_case_status(
            by=user, at=timezone.now(), case_id=case_id, status=status, reason=form.cleaned_data["reason"]
        )
        messages.success(request, _("The case file is saved."))
    else:
        messages.error(request, _("Nothing was changed: give a reason."))
    return redirect("cases:case", case_id)


@require_http_methods(FORM)
def new_exhibit(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Tender an item."""
    user = person(request)
    case_file = require(user, "case.edit", CaseFile.objects.all(), pk=case_id)
    form = NewExhibitForm(request.POST or None, initial={"accession": request.GET.get("accession", "")[:30]})
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.add_exhibit(
                by=user,
                at=timezone.now(),
                case_id=case_id,
                accession=form.cleaned_data["accession"],
                fields=form.changes(),
            )
        except ValidationError as error:
            absorb(form, error)
        except NotNow as refused:
            form.add_error("accession", str(refused.message))
        else:
            messages.success(request, _("Exhibit %(number)s is in the case file.") % {"number": made.number})
            return redirect("cases:exhibit", made.pk)
    return render(
        request, "cases/new_exhibit.html", {"form": form, "case": case_file}, status=422 if form.is_bound else 200
    )


@require_http_methods(FORM)
def exhibit(request: HttpRequest, exhibit_id: UUID) -> HttpResponse:
    """One exhibit with every review of it, and a form for one's own. Reading it is a custody event."""
    user = person(request)
    form = ReviewForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.review_exhibit(by=user, at=timezone.now(), exhibit_id=exhibit_id, **form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Your review is recorded."))
            return redirect("cases:exhibit", exhibit_id)
    shown = actions.read_exhibit(by=user, at=timezone.now(), exhibit_id=exhibit_id)
    context = {
        "exhibit": shown,
        "case": shown.case_file,
        "row": exhibit_row(user, shown, timezone.now()),
        "reviews": shown.reviews.select_related("reviewer"),
        "form": form,
        "reason_form": ReasonForm(),
        "allowed": allowed(user, shown),
    }
    return render(request, "cases/exhibit.html", context, status=422 if form.is_bound else 200)


@require_http_methods(FORM)
def edit_exhibit(request: HttpRequest, exhibit_id: UUID) -> HttpResponse:
    """Change category, relevance or notes."""
    user = person(request)
    shown = require(user, "exhibit.edit", Exhibit.objects.select_related("case_file", "item"), pk=exhibit_id)
    form = ExhibitForm(request.POST or None, instance=shown)
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_exhibit(by=user, at=timezone.now(), exhibit_id=exhibit_id, changes=form.changes())
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The exhibit is saved."))
            return redirect("cases:exhibit", exhibit_id)
    actions.read_exhibit(by=user, at=timezone.now(), exhibit_id=exhibit_id)
    context = {"form": form, "exhibit": shown, "case": shown.case_file}
    return render(request, "cases/edit_exhibit.html", context, status=422 if form.is_bound else 200)


@require_POST
def withdraw_exhibit(request: HttpRequest, exhibit_id: UUID) -> HttpResponse:
    """Take an exhibit out of the case."""
    user = person(request)
    require(user, "exhibit.edit", Exhibit.objects.all(), pk=exhibit_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Nothing was changed: give a reason."))
        return redirect("cases:exhibit", exhibit_id)
    withdrawn = actions.withdraw_exhibit(
        by=user, at=timezone.now(), exhibit_id=exhibit_id, reason=form.cleaned_data["reason"]
    )
    messages.success(request, _("Exhibit %(number)s is withdrawn.") % {"number": withdrawn.number})
    return redirect("cases:case", withdrawn.case_file_id)

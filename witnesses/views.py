"""Witnesses: the list, one witness, taking a new one in. Nothing of these pages is kept by a browser."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import absorb
from accounts.models import Compartment
from accounts.panels import panels
from accounts.permissions import allowed, anywhere, compartments, permitted, require, require_anywhere
from accounts.queries import names_of
from accounts.requests import person
from custody.story import story
from witnesses import actions
from witnesses.consent import state_of, states
from witnesses.departures import departures
from witnesses.forms import AskForm, NewWitnessForm, WitnessForm, posted
from witnesses.models import Consent, Identity, Testimony, Witness
from witnesses.queries import listed_witnesses, openings_of, recorded_items
from witnesses.tellings import told
from witnesses.vocabulary import ConsentState, WitnessKind

PER_PAGE = 50
LISTED_STATES = (
    ConsentState.NONE,
    ConsentState.EXPIRING,
    ConsentState.EXPIRED,
    ConsentState.WITHDRAWN,
    ConsentState.IN_FORCE,
)
reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@require_safe
def witness_list(request: HttpRequest) -> HttpResponse:
    """The witnesses one may know of, by pseudonym, with what they gave and where their consent stands."""
    user, now = person(request), timezone.now()
    require_anywhere(user, "witness.view")
    chosen = {name: request.GET.get(name, "")[:40] for name in ("q", "compartment", "kind", "state")}
    if chosen["state"] not in {state.value for state in LISTED_STATES}:
        chosen["state"] = ""
    found = listed_witnesses(
        user,
        now,
        query=chosen["q"],
        kind=chosen["kind"],
        compartment=chosen["compartment"],
        state=chosen["state"],
    )
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    standing = states(page, now)
    known = _known(user, [row.pk for row in page])
    context = {
        "page": page,
        "rows": [(row, *standing[row.pk], row.pk in known) for row in page],
        "chosen": chosen,
        "any_chosen": any(chosen.values()),
        "clear_url": reverse("witnesses:list") if any(chosen.values()) else "",
        "groups": _groups(user, chosen),
        "search": {
            "name": "q",
            "value": chosen["q"],
            "label": _("Pseudonym"),
            "hidden": [(name, value) for name, value in chosen.items() if value and name != "q"],
        },
        "older_query": urlencode({name: value for name, value in chosen.items() if value}),
        "chosen_count": sum(bool(value) for name, value in chosen.items() if name != "q"),
        "may_open": anywhere(user, "witness.open"),
        "sees_details": anywhere(user, "witness.view_details"),
    }
    return render(request, "witnesses/list.html", context)


def _known(user: Any, keys: list[UUID]) -> set[UUID]:
    """Of these witnesses those whose particulars the user may see."""
    rows = permitted(user, "witness.view_details", Witness.objects.filter(pk__in=keys))
    return set(rows.values_list("pk", flat=True))


def _groups(user: Any, chosen: dict[str, str]) -> list[dict[str, Any]]:
    def option(name: str, value: str, label: Any) -> dict[str, Any]:
        active = chosen[name] == value
        query = {key: held for key, held in (chosen | {name: "" if active else value}).items() if held}
        return {"label": label, "url": "?" + urlencode(query), "active": active, "count": None}

    places = compartments(user, "witness.view")
    groups = [
        {"label": _("Consent"), "options": [option("state", state.value, state.label) for state in LISTED_STATES]}
    ]
    if anywhere(user, "witness.view_details"):
        kinds = [option("kind", kind.value, kind.label) for kind in WitnessKind]
        groups.append({"label": _("How they know"), "options": kinds})
    if len(places) > 1:
        options = [option("compartment", place.code, place.code) for place in places]
        groups.append({"label": _("Compartment"), "options": options})
    return groups


@never_cache
@require_safe
def witness_page(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """One witness: consent in words, testimonies, the vault's door, the story of custody."""
    user, now = person(request), timezone.now()
    witness = actions.view_witness(by=user, at=now, witness_id=witness_id)
    may = allowed(user, witness)
    consents = list(
        permitted(user, "consent.view", Consent.objects.filter(witness=witness)).select_related(
            "form_item", "recorded_by", "withdrawn_by"
        )
    )
    newest = consents[0] if consents else None
    held = Identity.objects.filter(witness=witness).select_related("recorded_by").first()
    openings = openings_of(witness) if "identity.view" in may else []
    openers = names_of(line.agent_id for line in openings)
    testimonies = permitted(user, "testimony.view", Testimony.objects.filter(witness=witness))
    context = {
        "witness": witness,
        "allowed": may,
        "newest": newest,
        "state": state_of(newest, now),
        "earlier": [(row, _past(row)) for row in consents[1:]],
        "gone": departures(user, recorded_items(witness)) if newest and newest.withdrawn_at else [],
        "testimonies": testimonies.select_related("interviewer").order_by("number"),
        "held": held if "identity.view" in may else None,
        "openings": [(line, openers[line.agent_id]) for line in openings],
        "story": told(story("witness", witness.pk, newest=100)) if "witness.view_details" in may else [],
        "panels": panels("witness", user, witness, request),
    }
    return render(request, "witnesses/witness.html", context)


def _past(consent: Consent) -> ConsentState:
    """What an earlier consent is: withdrawn, or replaced by a newer one."""
    return ConsentState.WITHDRAWN if consent.withdrawn_at else ConsentState.REPLACED


@never_cache
@sensitive_post_parameters()
@reads_or_posts
def new_witness(request: HttpRequest) -> HttpResponse:
    """Take a witness in: first ask whether the person already spoke to us, then open the witness.

    All by POST to one address, so that no name is part of any; what was typed is answered into the next form only.
    """
    user = person(request)
    require_anywhere(user, "witness.open")
    step = request.POST.get("step", "")
    if request.method == "POST" and step == "open":
        return _open(request)
    form = AskForm(request.POST if step == "ask" else None, user=user)
    if step == "nameless":
        place = _place(request)
        if place is not None:
            return _opening_form(request, NewWitnessForm(initial={"compartment": place.pk}), place, None)
    if step == "ask" and form.is_valid():
        said, place = form.cleaned_data, form.cleaned_data["compartment"]
        try:
            found = actions.find_spoken_before(
                by=user, at=timezone.now(), compartment_id=place.pk, asked=form.asked, birth_year=said["birth_year"]
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            initial = {name: said[name] for name in ("name", "name_ar", "aliases")}
            initial |= {"compartment": place.pk, "birth_date": str(said["birth_year"] or "")}
            return _opening_form(request, NewWitnessForm(initial=initial), place, found)
    return render(request, "witnesses/ask.html", {"form": form}, status=422 if form.is_bound else 200)


def _open(request: HttpRequest) -> HttpResponse:
    user, form = person(request), NewWitnessForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        try:
            witness = actions.open_witness(
                by=user,
                at=timezone.now(),
                compartment_id=said["compartment"],
                kind=said["kind"],
                age_band=said["age_band"],
                vulnerabilities=said["vulnerabilities"],
                identity=form.told_identity,
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            done = _("%(pseudonym)s is opened. Use this pseudonym from here on.")
            messages.success(request, done % {"pseudonym": witness.pseudonym})
            return redirect("witnesses:witness", witness.pk)
    place = _place(request)
    if place is None:
        return redirect("witnesses:new")
    return _opening_form(request, form, place, None)


def _opening_form(
    request: HttpRequest, form: NewWitnessForm, place: Compartment, found: list[Any] | None
) -> HttpResponse:
    context = {"form": form, "place": place, "found": found}
    return render(request, "witnesses/new.html", context, status=422 if form.is_bound else 200)


def _place(request: HttpRequest) -> Compartment | None:
    """The compartment the form names, where the person may open witnesses."""
    try:
        key = UUID(request.POST.get("compartment", ""))
    except ValueError:
        return None
    return compartments(person(request), "witness.open").filter(pk=key).first()


@never_cache
@reads_or_posts
def describe_witness(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Change how a witness knows, the age band, the care needed."""
    user = person(request)
    witness = require(user, "witness.describe", Witness.objects.select_related("compartment"), pk=witness_id)
    form = WitnessForm.of(witness, posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.describe_witness(by=user, at=timezone.now(), witness_id=witness.pk, changes=form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("witnesses:witness", witness.pk)
    actions.view_witness(by=user, at=timezone.now(), witness_id=witness.pk)
    context = {"form": form, "witness": witness}
    return render(request, "witnesses/describe.html", context, status=422 if form.is_bound else 200)

"""Administration: people, their grants, and compartments."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions, once
from accounts.forms import CompartmentForm, DescribeCompartmentForm, GrantForm, InviteForm, ReasonForm, absorb
from accounts.models import Compartment, Grant, Role, User
from accounts.permissions import (
    allowed,
    anywhere,
    can,
    compartments,
    permitted,
    require,
    require_anywhere,
    require_compartment,
)
from accounts.queries import NOT_JOINED, people_with_state
from accounts.requests import person
from accounts.templatetags.ui import bdi, when

LINK_COOKIE = "invitation-link"
PER_PAGE = 50
STATES = {
    "barred": Q(is_active=False),
    "invited": Q(is_active=True) & NOT_JOINED,
    "without": Q(is_active=True, granted=False),
}
reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Everybody in the archive, by name; `q` searches names and user names, `state` narrows."""
    user = person(request)
    require_anywhere(user, "user.view")
    found = people_with_state(permitted(user, "user.view", User.objects.all()))
    query, state = request.GET.get("q", "").strip().replace("\x00", ""), request.GET.get("state", "")
    if query:
        found = found.filter(Q(display_name__icontains=query) | Q(username__icontains=query))
    found = found.filter(STATES.get(state, Q()))
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    seen = permitted(user, "grant.oversee", Grant.objects.in_force().filter(user__in=[row.pk for row in page]))
    roles: dict[UUID, list[Grant]] = {}
    for grant in seen.select_related("compartment"):
        roles.setdefault(grant.user_id, []).append(grant)
    context = {
        "page": page,
        "rows": [(row, roles.get(row.pk, [])) for row in page],
        "query": query,
        "state": state,
        "states": [
            ("", _("Everybody")),
            ("invited", _("Not joined yet")),
            ("without", _("Without a role")),
            ("barred", _("Barred")),
        ],
        "may_invite": anywhere(user, "user.manage"),
    }
    return render(request, "accounts/people.html", context)


@reads_or_posts
def invite(request: HttpRequest) -> HttpResponse:
    """Invite a person; their page then shows the one-time link, once."""
    user = person(request)
    require_anywhere(user, "user.manage")
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            invited, secret = actions.invite_user(
                by=user,
                at=timezone.now(),
                username=data["username"],
                display_name=data["display_name"],
                email=data["email"],
                language=data["language"],
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            return _with_link(redirect("accounts:person", user_id=invited.pk), invited, secret)
    return render(request, "accounts/invite.html", {"form": form}, status=422 if form.is_bound else 200)


@require_safe
def person_page(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """One person: standing, grants now and before, and what an administrator may do about them."""
    user = person(request)
    shown = require(user, "user.view", people_with_state(User.objects.all()), pk=user_id)
    grants = permitted(user, "grant.oversee", Grant.objects.filter(user=shown))
    grants = grants.select_related("compartment", "granted_by", "revoked_by")
    current = set(Grant.objects.in_force().filter(user=shown).values_list("pk", flat=True))
    secret = once.handed_over(request, LINK_COOKIE)
    path = reverse("accounts:person", kwargs={"user_id": shown.pk})
    manages = can(user, "user.manage", shown)
    context = {
        "person": shown,
        "current": [(grant, allowed(user, grant)) for grant in grants if grant.pk in current],
        "ended": [grant for grant in grants if grant.pk not in current],
        "manages": manages,
        "is_self": shown.pk == user.pk,
        "may_grant": shown.is_active and shown.pk != user.pk and compartments(user, "compartment.grant").exists(),
        "link": request.build_absolute_uri(reverse("accounts:invitation_open", args=[secret])) if secret else "",
        "link_days": actions.INVITATION_LIFE.days,
        "facts": [
            (_("E-mail"), bdi(shown.email) if shown.email else ""),
            (_("Language"), shown.get_language_display()),
            (_("Since"), when(shown.joined_at)),
            (_("Last signed in"), when(shown.last_login) if shown.last_login else _("never")),
        ],
    }
    response = render(request, "accounts/person.html", context)
    return once.forget(response, LINK_COOKIE, path=path) if secret else response


@require_POST
def renew_invitation(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """A new one-time link for someone who lost theirs, or their password."""
    user = person(request)
    invited = require(user, "user.manage", User.objects.all(), pk=user_id)
    secret = actions.renew_invitation(by=user, at=timezone.now(), user_id=invited.pk)
    return _with_link(redirect("accounts:person", user_id=invited.pk), invited, secret)


def _with_link(response: HttpResponse, invited: User, secret: str) -> HttpResponse:
    return once.hand_over(
        response, LINK_COOKIE, secret, path=reverse("accounts:person", kwargs={"user_id": invited.pk})
    )


@reads_or_posts
def standing(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Bar a person, or let them in again: what it means, the reason, and the act."""
    user = person(request)
    shown = require(user, "user.manage", User.objects.all(), pk=user_id)
    barring = shown.is_active

    def act(reason: str) -> str:
        actions.set_active(by=user, at=timezone.now(), user_id=shown.pk, active=not barring, reason=reason)
        done = _("%(name)s is barred from the next request on.") if barring else _("%(name)s may sign in again.")
        return done % {"name": shown.display_name}

    context = {"person": shown, "barring": barring, "back": reverse("accounts:person", args=[shown.pk])}
    return _confirm(request, "accounts/standing.html", context, act)


@reads_or_posts
def revoke_grant(request: HttpRequest, grant_id: UUID) -> HttpResponse:
    """Take a role back: what will be closed to the person, the reason, and the act."""
    user = person(request)
    grants = Grant.objects.select_related("user", "compartment")
    grant = require(user, "grant.revoke", grants, pk=grant_id)

    def act(reason: str) -> str:
        actions.revoke_grant(by=user, at=timezone.now(), grant_id=grant.pk, reason=reason)
        return _("The role is revoked from the next request on.")

    facts = [
        (_("Person"), bdi(grant.user.display_name)),
        (_("Role"), grant.get_role_display(), Role(grant.role).meaning),
        (_("Compartment"), bdi(grant.compartment) if grant.compartment else _("The whole archive")),
        (_("Since"), when(grant.granted_at)),
    ]
    context = {"grant": grant, "facts": facts, "back": reverse("accounts:person", args=[grant.user_id])}
    return _confirm(request, "accounts/revoke_grant.html", context, act)


def _confirm(request: HttpRequest, template: str, context: dict[str, Any], act: Callable[[str], str]) -> HttpResponse:
    """A page of its own for an act that takes something away: shows what, asks why, then acts."""
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            done = act(form.cleaned_data["reason"])
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, done)
            return redirect(context["back"])
    return render(request, template, {"form": form, **context}, status=422 if form.is_bound else 200)


@reads_or_posts
def grant_to_person(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Grant a role to this person."""
    user = person(request)
    require_anywhere(user, "compartment.grant")
    shown = require(user, "user.view", User.objects.all(), pk=user_id)
    back = reverse("accounts:person", args=[shown.pk])
    form = GrantForm(request.POST or None, by=user, user=shown)
    return _grant(request, form, back, {"person": shown})


@reads_or_posts
def grant_in_compartment(request: HttpRequest, compartment_id: UUID) -> HttpResponse:
    """Grant a role in this compartment."""
    user = person(request)
    compartment = require_compartment(user, "compartment.grant", compartment_id)
    back = reverse("accounts:compartment", args=[compartment.pk])
    form = GrantForm(request.POST or None, by=user, compartment=compartment)
    return _grant(request, form, back, {"compartment": compartment})


def _grant(request: HttpRequest, form: GrantForm, back: str, context: dict[str, Any]) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            grant = actions.grant_role(
                by=person(request),
                at=timezone.now(),
                user_id=data["user"].pk,
                role=data["role"],
                compartment_id=data["compartment"].pk if data["compartment"] else None,
                reason=data["reason"],
                expires_at=form.expires_at,
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            done = _("%(name)s now holds: %(role)s.")
            messages.success(request, done % {"name": grant.user.display_name, "role": grant.get_role_display()})
            return redirect(back)
    context |= {"form": form, "back": back, "roles": list(Role)}
    return render(request, "accounts/grant.html", context, status=422 if form.is_bound else 200)


@require_safe
def compartment_list(request: HttpRequest) -> HttpResponse:
    """The compartments one holds a role in, with the roles held there."""
    user = person(request)
    require_anywhere(user, "compartment.view")
    found = permitted(user, "compartment.view", Compartment.objects.all())
    own = Grant.objects.in_force().filter(user=user)
    everywhere = [grant for grant in own if grant.compartment_id is None]
    rows = [(row, [grant for grant in own if grant.compartment_id == row.pk] + everywhere) for row in found]
    context = {"rows": rows, "may_open": anywhere(user, "compartment.open")}
    return render(request, "accounts/compartments.html", context)


@reads_or_posts
def open_compartment(request: HttpRequest) -> HttpResponse:
    """Open a compartment for an investigation."""
    user = person(request)
    require_anywhere(user, "compartment.open")
    form = CompartmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            compartment = actions.open_compartment(by=user, at=timezone.now(), **form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The compartment is open. Nobody is in it yet: grant the first roles."))
            return redirect("accounts:compartment", compartment_id=compartment.pk)
    return render(request, "accounts/open_compartment.html", {"form": form}, status=422 if form.is_bound else 200)


@require_safe
def compartment_page(request: HttpRequest, compartment_id: UUID) -> HttpResponse:
    """One compartment: what it is for, and who holds which role in it."""
    user = person(request)
    compartment = require(user, "compartment.view", Compartment.objects.all(), pk=compartment_id)
    current = Grant.objects.in_force().filter(Q(compartment=compartment) | Q(compartment__isnull=True))
    members = permitted(user, "grant.view", current).select_related("user").order_by("role", "user__display_name")
    oversees = set(permitted(user, "grant.oversee", current).values_list("pk", flat=True))
    revokes = set(permitted(user, "grant.revoke", current).values_list("pk", flat=True))
    context = {
        "compartment": compartment,
        "members": [(grant, grant.pk in oversees, grant.pk in revokes) for grant in members],
        "oversees": bool(oversees),
        "allowed": allowed(user, compartment),
    }
    return render(request, "accounts/compartment.html", context)


@reads_or_posts
def describe_compartment(request: HttpRequest, compartment_id: UUID) -> HttpResponse:
    """Change a compartment's title and description."""
    user = person(request)
    compartment = require(user, "compartment.edit", Compartment.objects.all(), pk=compartment_id)
    edited = Compartment.objects.get(pk=compartment.pk)
    form = DescribeCompartmentForm(request.POST or None, instance=edited)
    if request.method == "POST" and form.is_valid():
        try:
            actions.describe_compartment(by=user, at=timezone.now(), compartment_id=compartment.pk, **form.cleaned_data)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The description is saved."))
            return redirect("accounts:compartment", compartment_id=compartment.pk)
    context = {"form": form, "compartment": compartment}
    return render(request, "accounts/describe_compartment.html", context, status=422 if form.is_bound else 200)

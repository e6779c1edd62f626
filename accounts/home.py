"""The dashboard's cards about people and keys: what needs an administrator, or oneself, now."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken, Compartment, Grant, User
from accounts.panels import Panel
from accounts.permissions import anywhere, permitted
from accounts.queries import NOT_JOINED, people_with_state

SOON = timedelta(days=14)
MOST = 5  # rows in a card


def first_steps(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For administrators, until somebody else works in a compartment: what to do, in order."""
    if not anywhere(user, "user.manage"):
        return None
    opened = Compartment.objects.exists()
    invited = User.objects.exclude(pk=user.pk).exists()
    granted = Grant.objects.in_force().filter(compartment__isnull=False).exists()
    if opened and invited and granted:
        return None
    steps = {"opened": opened, "invited": invited, "granted": granted}
    return Panel("accounts/home/first_steps.html", steps, title=str(_("Set up the archive")), order=0)


def people_waiting(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """For administrators: people who wait for a link or for a role."""
    if not anywhere(user, "user.manage"):
        return None
    people = people_with_state(permitted(user, "user.manage", User.objects.filter(is_active=True)))
    expired = people.filter(NOT_JOINED, Q(invited=False))
    without = people.filter(Q(granted=False))
    if not expired.exists() and not without.exists():
        return None
    context = {"expired": expired[:MOST], "without": without[:MOST]}
    return Panel("accounts/home/people_waiting.html", context, title=str(_("People who wait")), order=10)


def ending_grants(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """Roles that end within two weeks: one's own, and those one may renew."""
    ending = Grant.objects.in_force().filter(expires_at__lte=timezone.now() + SOON).order_by("expires_at")
    ending = ending.select_related("user", "compartment")
    own = ending.filter(user=user)
    managed = permitted(user, "grant.revoke", ending.exclude(user=user))
    if not own and not managed:
        return None
    context = {"own": own[:MOST], "managed": managed[:MOST]}
    return Panel("accounts/home/ending_grants.html", context, title=str(_("Roles that end soon")), order=20)


def ending_tokens(user: Any, obj: Any, request: HttpRequest) -> Panel | None:
    """One's own API tokens that end within two weeks."""
    now = timezone.now()
    ending = permitted(user, "token.view", ApiToken.objects.filter(revoked_at__isnull=True))
    ending = ending.filter(expires_at__gt=now, expires_at__lte=now + SOON).order_by("expires_at")
    if not ending:
        return None
    return Panel(
        "accounts/home/ending_tokens.html", {"tokens": ending[:MOST]}, title=str(_("Tokens that end soon")), order=90
    )


CARDS = (first_steps, people_waiting, ending_grants, ending_tokens)

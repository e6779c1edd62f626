"""Failed sign-ins, counted three ways: per name and address (the library's own), per address, per name.

The limit per address stops one password tried on many names; the limit per name stops one name tried from many
addresses. Every limit counts names that exist and names that do not alike.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_ip_address, get_client_username, get_cool_off, get_failure_limit
from axes.models import AccessFailureLog
from django.http import HttpRequest
from django.utils import timezone


@dataclass(frozen=True)
class Limit:
    """At most `failures` within `within`, over the rows of the failure log whose `column` is that of the request."""

    column: str
    failures: int
    within: timedelta


LIMITS = (
    Limit("ip_address", 30, timedelta(minutes=15)),
    Limit("username", 20, timedelta(hours=1)),
)


class SignInAttempts(AxesDatabaseHandler):  # type: ignore[misc]
    """Failures are kept as long as a limit needs them, and no longer."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures of name and address together; the limit itself as soon as another limit is reached."""
        failures: int = super().get_failures(request, credentials)
        if closed_until(request, credentials) is not None:
            failures = max(failures, get_failure_limit(request, credentials))
        return failures

    def clean_expired_user_attempts(
        self, request: HttpRequest | None = None, credentials: dict[str, Any] | None = None
    ) -> int:
        """Called with every attempt, good or bad."""
        oldest = timezone.now() - max(limit.within for limit in LIMITS)
        AccessFailureLog.objects.filter(attempt_time__lte=oldest).delete()
        count: int = super().clean_expired_user_attempts(request, credentials)
        return count


def closed_until(request: HttpRequest, credentials: dict[str, Any] | None) -> datetime | None:
    """Until when, UTC, the limits per address and per name keep signing in closed; None when they do not."""
    now = timezone.now()
    counted = {
        "ip_address": get_client_ip_address(request),
        "username": get_client_username(request, credentials),
    }
    ends = []
    for limit in LIMITS:
        value = counted[limit.column]
        recent = AccessFailureLog.objects.filter(attempt_time__gt=now - limit.within).order_by("-attempt_time")
        times = recent.filter(**{limit.column: value}).values_list("attempt_time", flat=True)
        if value is not None and len(reached := times[limit.failures - 1 : limit.failures]):
            ends.append(reached[0] + limit.within)
    return max(ends, default=None)


def wait(request: HttpRequest, credentials: dict[str, Any] | None) -> timedelta:
    """How long whoever is locked out waits at most."""
    wait: timedelta = get_cool_off(request) or timedelta(0)
    until = closed_until(request, credentials)
    return max(wait, until - timezone.now()) if until else wait

"""Secrets that are shown once: they travel in a short-lived cookie of the reader's own browser and are stored nowhere.

The page that makes a secret redirects to the page that shows it; showing it removes it, so neither a reload, the
history nor the session table of a backup has it.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

LIFE = 120  # seconds


def hand_over(response: HttpResponse, name: str, secret: str, *, path: str, life: int = LIFE) -> HttpResponse:
    """Let the page at `path` (and below) find the secret within `life` seconds."""
    response.set_cookie(
        name, secret, max_age=life, path=path, httponly=True, secure=settings.SESSION_COOKIE_SECURE, samesite="Lax"
    )
    return response


def handed_over(request: HttpRequest, name: str) -> str:
    """The secret, or "" when there is none (any more)."""
    return request.COOKIES.get(name, "")


def forget(response: HttpResponse, name: str, *, path: str) -> HttpResponse:
    """Take the cookie back, and keep the page that showed it out of every cache."""
    response.delete_cookie(name, path=path, samesite="Lax")
    response["Cache-Control"] = "no-store"
    return response

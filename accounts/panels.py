"""Slots in pages of lower apps that higher apps fill: the one way a page learns of what lies above it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class Panel:
    """One part of a page: its template is included with its context."""

    template: str
    context: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    order: int = 100


Provider = Callable[[Any, Any, HttpRequest], Panel | None]

_SLOTS = ("home", "item", "incident", "witness")
_PROVIDERS: dict[str, list[Provider]] = {slot: [] for slot in _SLOTS}


def register(slot: str, provider: Provider) -> None:
    """Fill a slot; the provider gets user, object and request, and answers None where it has nothing to show."""
    _PROVIDERS[slot].append(provider)


def panels(slot: str, user: Any, obj: Any, request: HttpRequest) -> list[Panel]:
    """The filled parts of a slot for this user and object, in order."""
    made = [panel for provider in _PROVIDERS[slot] if (panel := provider(user, obj, request)) is not None]
    return sorted(made, key=lambda panel: panel.order)

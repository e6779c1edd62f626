"""The main navigation: each app names its entrance, and a person is shown the doors they may open."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.permissions import anywhere


@dataclass(frozen=True)
class NavItem:
    """An entrance; `permission` held in any compartment opens it, None is for everyone."""

    label: Any
    url_name: str
    permission: str | None
    order: int
    icon: str = ""
    key: str = ""


_ITEMS: list[NavItem] = []


def register(item: NavItem) -> None:
    _ITEMS.append(item)


def context(request: HttpRequest) -> dict[str, Any]:
    """Template context: `navigation` for the signed-in person."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"navigation": []}
    shown: list[dict[str, Any]] = []
    for item in sorted(_ITEMS, key=lambda item: item.order):
        if item.permission is None or anywhere(user, item.permission):
            url = reverse(item.url_name)
            active = request.path == url or (url != "/" and request.path.startswith(url))
            shown.append({"label": item.label, "url": url, "active": active, "icon": item.icon, "key": item.key})
    return {"navigation": shown}

"""What a request says about the person behind it."""

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from accounts.permissions import NotVisible


def person(request: HttpRequest) -> User:
    """The signed-in person. Raises NotVisible where nobody is, which the sign-in middleware prevents."""
    user = request.user
    if not isinstance(user, User):
        raise NotVisible
    return user


def client_address(request: HttpRequest) -> str | None:
    """Whom failed sign-ins are counted for: an IPv4 address, or the /64 network of an IPv6 one. None when unknown.

    Behind the TLS proxy it is the last hop of X-Forwarded-For, the one the proxy wrote: those before it are whatever
    the client claims. Without a proxy the header is the client's own and is not looked at.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    said = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.BEHIND_TLS_PROXY else ""
    return _counted(said.rpartition(",")[2]) or _counted(peer)


def _counted(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]  # [2001:db8::1]:443
    elif text.count(":") == 1:
        text = text.partition(":")[0]  # 192.0.2.1:443
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    # A subscriber owns a whole /64 and would otherwise have 2**64 tries.
    return str(IPv6Network((int(found), 64), strict=False).network_address)

"""A stranger walks every address with every method and is told nothing.

Two strangers: somebody who is not signed in, and a person of the archive without a role in the compartment that holds
everything. Whatever they try, they get no page but the few that are theirs, no word of what the compartment holds, and
never a server error.
"""

import json

import pytest
from django.http import HttpResponseBase
from django.test import Client

from accounts.models import Compartment, Role, User
from tests import factories
from tests.architecture.makers import load
from tests.architecture.routes import Route, routes

pytestmark = pytest.mark.django_db

load()

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TITLE = "Zzyzx-investigation-title"

#: What anybody reaches without signing in.
PUBLIC = {"accounts:login", "accounts:logout", "health"}
#: What a signed-in person without any role reaches: what is their own, the API's description, published vocabularies.
OWN = {
    "accounts:home",
    "accounts:profile",
    "accounts:password",
    "accounts:tokens",
    "accounts:login",
    "me-list",
    "violation-category-list",
    "api-schema",
    "api-page",
    "health",
}
#: Lists that are empty for someone who sees nothing in them.
TELLING_NOTHING: dict[str, object] = {"count": 0, "next": None, "previous": None, "results": []}


def test_every_route_has_a_name_to_be_walked_by() -> None:
    assert [route.shown for route in routes() if not route.name] == []


@pytest.fixture
def compartment() -> Compartment:
    return factories.make_compartment(title=TITLE)


@pytest.fixture
def owner(compartment: Compartment) -> User:
    """Whose the owned objects are (tokens, uploads): somebody of the compartment, never the stranger."""
    return factories.make_user(Role.INVESTIGATOR, compartment)


def walk(client: Client, route: Route, url: str) -> list[tuple[str, HttpResponseBase]]:
    client.raise_request_exception = False
    answers: list[tuple[str, HttpResponseBase]] = []
    for method in METHODS:
        body = "{}" if url.startswith("/api/") else ""
        kind = "application/json" if body else "application/x-www-form-urlencoded"
        answers.append((method, client.generic(method, url, body, content_type=kind)))
    return answers


def text_of(response: HttpResponseBase) -> bytes:
    return b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]


def is_empty(response: HttpResponseBase) -> bool:
    """An answer without any data in it: no body, or an API list without rows."""
    text = text_of(response)
    if not text:
        return True
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return body in (TELLING_NOTHING, [])


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name or route.shown)
def test_without_signing_in_every_address_leads_to_the_sign_in_page_or_nowhere(
    route: Route, compartment: Compartment, owner: User
) -> None:
    url = route.url(compartment, owner)
    for method, response in walk(Client(), route, url):
        tried = f"{method} {route.name} {response.status_code}"
        assert response.status_code < 500, tried
        assert TITLE.encode() not in text_of(response), tried
        if route.name in PUBLIC:
            continue
        if response.status_code in (301, 302):
            target = response.headers["Location"]
            allowed = ("/accounts/login/", "/accounts/invitation/") if "invitation" in url else ("/accounts/login/",)
            if route.name == "set_language":
                allowed = ("/",)
            assert target.startswith(allowed), f"{tried} to {target}"
        else:
            assert response.status_code in (400, 401, 403, 404, 405, 409, 415), tried


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name or route.shown)
def test_a_person_without_a_role_reaches_only_what_is_their_own(
    route: Route, compartment: Compartment, owner: User
) -> None:
    url = route.url(compartment, owner)
    stranger = factories.stranger()
    for method, response in walk(factories.signed_in(stranger), route, url):
        tried = f"{method} {route.name} {response.status_code}"
        assert response.status_code < 500, tried
        told = text_of(response).replace(url.encode(), b"")  # the address is what the stranger brought along
        assert TITLE.encode() not in told, tried
        assert compartment.code.encode() not in told, tried
        if route.name in OWN or response.status_code >= 400:
            continue
        if response.status_code in (301, 302):
            assert response.headers["Location"].startswith(("/accounts/", "/")), tried
            assert route.name in {"accounts:logout", "accounts:invitation_open", "set_language"}, tried
        else:
            assert is_empty(response), f"{tried}: {text_of(response)[:200]!r}"

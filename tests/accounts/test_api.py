"""The API about people, compartments, grants and tokens, and the tokens it is asked with."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import actions
from accounts.models import ApiToken, Compartment, Grant, Role, User, digest_of
from custody.models import Event, EventSubject
from custody.vocabulary import Type
from tests import factories

pytestmark = pytest.mark.django_db


def token_of(user: User, *, read_only: bool = True, life: timedelta = timedelta(days=1)) -> tuple[ApiToken, str]:
    return actions.issue_token(by=user, at=timezone.now(), purpose="a test", read_only=read_only, life=life)


def with_token(secret: str) -> Client:
    return Client(headers={"authorization": f"Bearer {secret}"})


def post(client: Client, url: str, body: Any = None) -> Any:
    return client.post(url, body if body is not None else {}, content_type="application/json")


def test_a_token_answers_as_its_person() -> None:
    compartment = factories.make_compartment(code="SY-2025")
    user = factories.make_user(Role.INVESTIGATOR, compartment)
    token, secret = token_of(user)
    answer = with_token(secret).get("/api/v1/me/")
    assert answer.status_code == 200
    assert answer.json()["id"] == str(user.pk)
    (held,) = answer.json()["grants"]
    assert (held["role"], held["compartment"], held["code"]) == ("investigator", str(compartment.pk), "SY-2025")
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_the_secret_of_a_token_is_stored_nowhere_but_as_its_digest() -> None:
    token, secret = token_of(factories.make_user())
    assert token.digest == digest_of(secret)
    assert len(secret) > 40
    stored = str(ApiToken.objects.filter(pk=token.pk).values().get())
    assert secret not in stored
    assert secret[:12] in stored


@pytest.mark.parametrize("spoil", ["revoked", "expired", "barred", "wrong", "long", "malformed", "not ascii"])
def test_a_token_that_does_not_count_is_401_and_says_no_more(spoil: str) -> None:
    user = factories.make_user()
    token, secret = token_of(user)
    if spoil == "revoked":
        actions.revoke_token(by=user, at=timezone.now(), token_id=token.pk)
    elif spoil == "expired":
        ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    elif spoil == "barred":
        actions.set_active(by=factories.founder(), at=timezone.now(), user_id=user.pk, active=False, reason="left")
    else:
        secret = {"wrong": secret[:-1] + "!", "long": "x" * 5000, "malformed": "a b", "not ascii": "é" * 40}[spoil]
    answer = with_token(secret).get("/api/v1/me/")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"detail": "The token is not valid.", "code": "authentication_failed"}


def test_a_token_that_may_only_read_writes_nothing() -> None:
    _token, secret = token_of(factories.founder())
    client = with_token(secret)
    assert client.get("/api/v1/people/").status_code == 200
    answer = post(client, "/api/v1/compartments/", {"code": "SY-2025", "title": "Coast"})
    assert answer.status_code == 403
    assert not Compartment.objects.exists()


def test_a_token_never_issues_another_token() -> None:
    user = factories.make_user()
    _token, secret = token_of(user, read_only=False)
    assert post(with_token(secret), "/api/v1/tokens/", {"purpose": "more"}).status_code == 403
    assert user.api_tokens.count() == 1
    answer = post(factories.signed_in(user), "/api/v1/tokens/", {"purpose": "more", "days": 2})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert with_token(answer.json()["secret"]).get("/api/v1/me/").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "a\x00b"}, "purpose"),
        ({"purpose": "x", "days": 0}, "days"),
        ({"purpose": "x", "days": 367}, "days"),
        ({"purpose": "x", "days": "soon"}, "days"),
    ],
)
def test_a_bad_token_request_names_the_field(body: dict[str, Any], field: str) -> None:
    user = factories.make_user()
    answer = post(factories.signed_in(user), "/api/v1/tokens/", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {field}
    assert not user.api_tokens.exists()


def test_a_token_lives_at_most_a_year_whoever_asks() -> None:
    from django.core.exceptions import ValidationError

    for life in (timedelta(days=367), timedelta(0), timedelta(days=-1)):
        with pytest.raises(ValidationError):
            token_of(factories.make_user(), life=life)


def test_one_sees_and_withdraws_only_ones_own_tokens() -> None:
    user, other = factories.make_user(), factories.make_user()
    token, _secret = token_of(user)
    stranger = factories.signed_in(other)
    assert stranger.get("/api/v1/tokens/").json()["results"] == []
    assert stranger.get(f"/api/v1/tokens/{token.pk}/").status_code == 404
    assert post(stranger, f"/api/v1/tokens/{token.pk}/revoke/").status_code == 404
    own = factories.signed_in(user)
    assert [row["id"] for row in own.get("/api/v1/tokens/").json()["results"]] == [str(token.pk)]
    assert "digest" not in own.get(f"/api/v1/tokens/{token.pk}/").json()
    assert post(own, f"/api/v1/tokens/{token.pk}/revoke/").status_code == 200
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_a_revoked_grant_is_gone_with_the_next_request() -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(Role.INVESTIGATOR, compartment)
    _token, secret = token_of(user)
    client = with_token(secret)
    url = f"/api/v1/compartments/{compartment.pk}/"
    assert client.get(url).status_code == 200
    grant = Grant.objects.get(user=user)
    administrator = factories.signed_in(factories.founder())
    assert post(administrator, f"/api/v1/grants/{grant.pk}/revoke/", {"reason": "over"}).status_code == 200
    assert client.get(url).status_code == 404
    assert client.get("/api/v1/compartments/").json()["results"] == []
    assert client.get("/api/v1/me/").json()["grants"] == []


def test_an_administrator_invites_and_the_link_is_told_once() -> None:
    answer = post(
        factories.signed_in(factories.founder()),
        "/api/v1/people/",
        {"username": "rima-b", "display_name": "Rima B.", "language": "ar"},
    )
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    link = answer.json()["link"]
    assert link.startswith("http://testserver/accounts/invitation/")
    user = User.objects.get(pk=answer.json()["person"]["id"])
    assert (user.username, user.language, user.has_usable_password()) == ("rima-b", "ar", False)
    secret = link.rstrip("/").rpartition("/")[2]
    assert actions.accept_invitation(secret=secret, password=factories.PASSWORD, at=timezone.now()) == user


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "Rima", "display_name": "R"}, "username"),
        ({"username": "founder", "display_name": "R"}, "username"),
        ({"username": "rima"}, "display_name"),
        ({"username": "rima", "display_name": "R", "email": "nowhere"}, "email"),
        ({"username": "rima", "display_name": "R", "language": "tlh"}, "language"),
        ({"username": "rima", "display_name": "x" * 121}, "display_name"),
        ({"username": "rima", "display_name": "\ud800"}, "display_name"),
    ],
)
def test_a_bad_invitation_names_the_field_and_invites_nobody(body: dict[str, Any], field: str) -> None:
    client = factories.signed_in(factories.founder())
    answer = post(client, "/api/v1/people/", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {field}
    assert User.objects.count() == 1


def test_an_administrator_bars_and_lets_in_again() -> None:
    user = factories.make_user()
    client, theirs = factories.signed_in(factories.founder()), factories.signed_in(user)
    assert theirs.get("/api/v1/me/").status_code == 200
    assert post(client, f"/api/v1/people/{user.pk}/bar/", {}).json() == {"reason": ["This field is required."]}
    assert post(client, f"/api/v1/people/{user.pk}/bar/", {"reason": "left"}).json()["is_active"] is False
    assert theirs.get("/api/v1/me/").status_code == 401
    assert post(client, f"/api/v1/people/{user.pk}/bar/", {"reason": "left"}).status_code == 409
    assert post(client, f"/api/v1/people/{user.pk}/unbar/", {"reason": "back"}).json()["is_active"] is True
    assert theirs.get("/api/v1/me/").status_code == 200


def test_a_grant_is_made_read_and_listed() -> None:
    compartment, user = factories.make_compartment(), factories.make_user()
    client = factories.signed_in(factories.founder())
    body = {"user": str(user.pk), "compartment": str(compartment.pk), "role": "archivist", "reason": "needed"}
    answer = post(client, "/api/v1/grants/", body)
    assert answer.status_code == 201
    grant = answer.json()
    assert (grant["role"], grant["reason"], grant["granted_by"]) == (
        "archivist",
        "needed",
        str(factories.founder().pk),
    )
    assert client.get(f"/api/v1/grants/{grant['id']}/").json() == grant
    assert client.get("/api/v1/grants/", {"user": str(user.pk), "in_force": "true"}).json()["results"] == [grant]
    assert client.get("/api/v1/grants/", {"user": "not a key"}).status_code == 400
    assert post(client, "/api/v1/grants/", body).json() == {"role": ["This person holds this role there already."]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "king"}, "role"),
        ({"reason": " "}, "reason"),
        ({"user": "somebody"}, "user"),
        ({"compartment": None}, "compartment"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_a_bad_grant_names_the_field_and_grants_nothing(change: dict[str, Any], field: str) -> None:
    compartment, user = factories.make_compartment(), factories.make_user()
    body = {"user": str(user.pk), "compartment": str(compartment.pk), "role": "archivist", "reason": "needed"}
    answer = post(factories.signed_in(factories.founder()), "/api/v1/grants/", body | change)
    assert answer.status_code == 400
    assert set(answer.json()) == {field}
    assert not Grant.objects.filter(user=user).exists()


def test_a_member_sees_who_holds_which_role_but_no_reasons() -> None:
    compartment = factories.make_compartment()
    member = factories.make_user(Role.INVESTIGATOR, compartment)
    colleague = factories.make_user()
    factories.give(colleague, Role.LEGAL_REVIEWER, compartment, reason="second chamber")
    answer = factories.signed_in(member).get(f"/api/v1/compartments/{compartment.pk}/")
    assert answer.status_code == 200
    assert {(row["person"], row["role"]) for row in answer.json()["members"]} == {
        (str(member.pk), "investigator"),
        (str(colleague.pk), "legal_reviewer"),
    }
    assert b"second chamber" not in answer.content
    refused = factories.signed_in(member).get("/api/v1/grants/")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


def test_an_administrator_opens_and_describes_a_compartment() -> None:
    client = factories.signed_in(factories.founder())
    made = post(client, "/api/v1/compartments/", {"code": "SY-2025", "title": "Coast", "description": ""})
    assert made.status_code == 201
    url = f"/api/v1/compartments/{made.json()['id']}/"
    changed = client.patch(url, {"title": "The coast"}, content_type="application/json")
    assert (changed.status_code, changed.json()["title"], changed.json()["code"]) == (200, "The coast", "SY-2025")
    again = post(client, "/api/v1/compartments/", {"code": "SY-2025", "title": "Twice"})
    assert (again.status_code, set(again.json())) == (400, {"code"})
    member = factories.make_user(Role.INVESTIGATOR, Compartment.objects.get())
    refused = factories.signed_in(member).patch(url, {"title": "Mine"}, content_type="application/json")
    assert (refused.status_code, refused.json()["permission"]) == (403, "compartment.edit")


def test_a_refused_request_is_in_the_ledger_and_leaves_nothing_else() -> None:
    compartment = factories.make_compartment()
    member = factories.make_user(Role.INVESTIGATOR, compartment)
    before = Event.objects.count()
    answer = factories.signed_in(member).patch(
        f"/api/v1/compartments/{compartment.pk}/", {"title": "Mine"}, content_type="application/json"
    )
    assert answer.status_code == 403
    compartment.refresh_from_db()
    assert compartment.title != "Mine"
    event = Event.objects.order_by("-at").first()
    assert event is not None
    assert Event.objects.count() == before + 1
    assert (event.type, event.outcome, event.agent_id) == (Type.REFUSE, "refused", member.pk)
    assert event.compartment_id == compartment.pk
    assert set(EventSubject.objects.filter(event_id=event.pk).values_list("kind", "subject_id")) == {
        ("compartment", compartment.pk),
        ("user", member.pk),
    }


def test_trying_what_one_does_not_see_is_recorded_once_and_answers_as_if_it_were_not_there() -> None:
    compartment = factories.make_compartment()
    stranger = factories.stranger()
    client = factories.signed_in(stranger)
    hidden = client.get(f"/api/v1/compartments/{compartment.pk}/")
    absent = client.get("/api/v1/compartments/00000000-0000-4000-8000-0000000000ff/")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json() == absent.json()
    (event,) = Event.objects.filter(type=Type.REFUSE)
    assert (event.agent_id, event.compartment_id) == (stranger.pk, compartment.pk)


def test_an_auditor_who_tries_to_manage_themselves_is_refused_and_recorded() -> None:
    auditor = factories.make_user(Role.AUDITOR)
    answer = post(factories.signed_in(auditor), f"/api/v1/people/{auditor.pk}/bar/", {"reason": "curious"})
    assert answer.status_code == 403
    (event,) = Event.objects.filter(type=Type.REFUSE)
    assert EventSubject.objects.get(event_id=event.pk).subject_id == auditor.pk

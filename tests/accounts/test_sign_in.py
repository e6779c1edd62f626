"""Signing in and out, invitations, too many wrong passwords, cookies and headers."""

import re
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

import pytest
from axes.models import AccessFailureLog
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from accounts import actions
from accounts.models import ApiToken, Invitation, Role, User, digest_of
from accounts.permissions import NotNow
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from tests import factories

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
INVITATION = "/accounts/invitation/"


def is_signed_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def sign_in(user: User, **meta: Any) -> int:
    return Client(**meta).post(LOGIN, {"username": user.username, "password": factories.PASSWORD}).status_code


def test_signing_in_opens_the_dashboard_and_is_recorded() -> None:
    user, client = factories.make_user(), Client()
    answer = client.post(LOGIN, {"username": user.username, "password": factories.PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert is_signed_in(client)
    (event,) = Event.objects.filter(type=Type.SIGN_IN)
    assert event.agent_id == user.pk


def test_signing_in_does_not_happen_when_the_ledger_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from custody import engine

    user, client = factories.make_user(), Client(raise_request_exception=False)

    def refuse(**_: object) -> bytes:
        raise ValueError("no")

    monkeypatch.setattr(engine, "encode_entry", refuse)
    assert client.post(LOGIN, {"username": user.username, "password": factories.PASSWORD}).status_code == 500
    assert not is_signed_in(client)


def test_the_user_name_is_taken_in_any_case_and_with_spaces_around() -> None:
    user, client = factories.make_user(username="salma.k"), Client()
    client.post(LOGIN, {"username": "  Salma.K ", "password": factories.PASSWORD})
    assert is_signed_in(client)
    assert user.username == "salma.k"


def test_signing_out_ends_the_session_and_needs_a_post() -> None:
    client = factories.signed_in(factories.make_user())
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/").headers["Location"] == LOGIN
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("/profile/", "/profile/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\elsewhere.example", "/"),
    ],
)
def test_after_signing_in_one_lands_inside_the_archive(target: str, lands: str) -> None:
    user = factories.make_user()
    form = {"username": user.username, "password": factories.PASSWORD, "next": target}
    assert Client().post(LOGIN, form).headers["Location"] == lands


def visible_errors(client: Client, username: str, password: str) -> str:
    page = client.post(LOGIN, {"username": username, "password": password})
    text = re.sub(r'(value="[^"]*"|csrfmiddlewaretoken)', "", page.content.decode())
    return f"{page.status_code} {text.replace(username, 'NAME')}"


def test_nobody_learns_from_the_sign_in_page_whether_a_user_name_exists() -> None:
    real = factories.make_user(username="real-name")
    barred = factories.make_user(username="barred-one")
    invited = factories.make_user(username="just-asked", joined=False)
    actions.set_active(by=factories.founder(), at=timezone.now(), user_id=barred.pk, active=False, reason="left")
    wrong = visible_errors(Client(), real.username, "wrong-password-entirely")
    assert wrong == visible_errors(Client(), "nobody-here", "wrong-password-entirely")
    assert wrong == visible_errors(Client(), barred.username, factories.PASSWORD)
    assert wrong == visible_errors(Client(), invited.username, factories.PASSWORD)


@pytest.mark.parametrize("username", ["real-name", "nobody-here"])
def test_after_five_wrong_passwords_the_page_says_how_long_to_wait(username: str) -> None:
    factories.make_user(username="real-name")
    client = Client()
    answers = [client.post(LOGIN, {"username": username, "password": f"wrong-{n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    right = client.post(LOGIN, {"username": username.upper(), "password": factories.PASSWORD})
    assert right.status_code == 429
    assert right.headers["Retry-After"] == "900"
    assert "15 minutes" in right.content.decode()
    assert not is_signed_in(client)


def test_waiting_the_time_out_lets_the_right_person_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from axes.models import AccessAttempt

    user, client = factories.make_user(), Client()
    for n in range(6):
        client.post(LOGIN, {"username": user.username, "password": f"wrong-{n}"})
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    client.post(LOGIN, {"username": user.username, "password": factories.PASSWORD})
    assert is_signed_in(client)


def fail(username: str, address: str, number: int = 0) -> int:
    form = {"username": username, "password": f"wrong-{number}"}
    return Client(REMOTE_ADDR=address).post(LOGIN, form).status_code


def test_one_address_that_tries_many_names_is_closed_for_every_name_and_other_addresses_are_not() -> None:
    user = factories.make_user()
    assert {fail(f"name-{n}", "192.0.2.1") for n in range(30)} == {200}
    assert fail("one-more", "192.0.2.1") == 429
    assert sign_in(user, REMOTE_ADDR="192.0.2.1") == 429
    assert sign_in(user, REMOTE_ADDR="192.0.2.2") == 302
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert sign_in(user, REMOTE_ADDR="192.0.2.1") == 302


@pytest.mark.parametrize("exists", [True, False])
def test_one_name_tried_from_many_addresses_is_closed_for_an_hour_whether_or_not_it_exists(exists: bool) -> None:
    user, other = factories.make_user(username="real-name"), factories.make_user()
    name = user.username if exists else "nobody-here"
    assert {fail(name, f"192.0.2.{n}") for n in range(20)} == {200}
    closed = Client(REMOTE_ADDR="198.51.100.1").post(LOGIN, {"username": name, "password": factories.PASSWORD})
    assert closed.status_code == 429
    assert 3500 <= int(closed.headers["Retry-After"]) <= 3600
    assert "60 minutes" in closed.content.decode()
    assert sign_in(other, REMOTE_ADDR="198.51.100.1") == 302
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(minutes=59))
    assert fail(name, "198.51.100.2") == 429
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(minutes=61))
    assert sign_in(user, REMOTE_ADDR="198.51.100.2") == 302


def test_signing_in_oneself_gives_an_address_no_new_tries_on_others() -> None:
    own = factories.make_user()
    for n in range(30):
        if n % 10 == 9:
            assert sign_in(own, REMOTE_ADDR="192.0.2.1") == 302
        fail(f"name-{n}", "192.0.2.1")
    assert fail("one-more", "192.0.2.1") == 429


def test_failures_no_limit_needs_any_more_are_not_kept() -> None:
    fail("mistyped-password-perhaps", "192.0.2.1")
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(minutes=61))
    sign_in(factories.make_user())
    assert not AccessFailureLog.objects.exists()


@pytest.mark.parametrize(
    ("behind", "said", "counted"),
    [
        (False, "203.0.113.9", "192.0.2.1"),
        (True, None, "192.0.2.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        (True, "203.0.113.1, 203.0.113.2,203.0.113.9", "203.0.113.9"),
        (True, "203.0.113.9:5123", "203.0.113.9"),
        (True, "203.0.113.9, not-an-address", "192.0.2.1"),
        (True, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (True, "[2001:db8:1:2::9]:5123", "2001:db8:1:2::"),
        (True, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_failures_are_counted_for_the_address_the_proxy_saw(
    behind: bool, said: str | None, counted: str, settings: Any
) -> None:
    settings.BEHIND_TLS_PROXY = behind
    headers = {"X-Forwarded-For": said} if said is not None else {}
    Client(REMOTE_ADDR="192.0.2.1").post(LOGIN, {"username": "x", "password": "wrong"}, headers=headers)
    assert AccessFailureLog.objects.get().ip_address == counted


def test_a_forged_first_hop_opens_nothing_behind_the_proxy(settings: Any) -> None:
    settings.BEHIND_TLS_PROXY = True
    answers = [
        Client(REMOTE_ADDR="127.0.0.1").post(
            LOGIN,
            {"username": "name", "password": f"wrong-{n}"},
            headers={"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"},
        )
        for n in range(6)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429, 429]


def test_no_password_and_no_name_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    user = factories.make_user(username="salma-k", display_name="Salma Khoury")
    caplog.set_level("DEBUG")
    client = Client()
    for n in range(6):
        client.post(LOGIN, {"username": user.username, "password": f"wrong-secret-{n}"})
    other = Client(REMOTE_ADDR="192.0.2.7")
    other.post(LOGIN, {"username": user.username, "password": factories.PASSWORD})
    assert is_signed_in(other)
    from archive.logs import DropTypedText, JsonLines

    filtered, shown = DropTypedText(), JsonLines()
    written = "\n".join(shown.format(record) for record in caplog.records if filtered.filter(record))
    assert "AXES" in written
    for private in ("salma-k", "Khoury", "wrong-secret", factories.PASSWORD):
        assert private not in written


def invite(**details: str) -> tuple[User, str]:
    details = {"username": "rima-b", "display_name": "Rima B."} | details
    return actions.invite_user(by=factories.founder(), at=timezone.now(), **details)


def test_an_invitation_leads_to_a_password_and_then_works_no_more() -> None:
    user, secret = invite()
    assert Invitation.objects.get().digest == digest_of(secret)
    client = Client()
    opened = client.get(f"{INVITATION}{secret}/")
    assert (opened.status_code, opened.headers["Location"]) == (302, INVITATION)
    page = client.get(INVITATION)
    assert page.status_code == 200
    assert secret not in page.content.decode()
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    done = client.post(INVITATION, {"password": factories.PASSWORD, "again": factories.PASSWORD})
    assert (done.status_code, done.headers["Location"]) == (302, LOGIN)
    assert client.cookies["invitation"].value == ""
    client.post(LOGIN, {"username": user.username, "password": factories.PASSWORD})
    assert is_signed_in(client)
    late = Client()
    late.get(f"{INVITATION}{secret}/")
    assert late.get(INVITATION).status_code == 409
    stolen = late.post(INVITATION, {"password": "mine-now-and-for-ever", "again": "mine-now-and-for-ever"})
    assert stolen.status_code == 409
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


@pytest.mark.parametrize("spoil", ["expired", "renewed", "barred", "unknown"])
def test_an_invitation_that_does_not_count_says_what_to_do(spoil: str) -> None:
    user, secret = invite()
    if spoil == "expired":
        Invitation.objects.update(expires_at=timezone.now())
    elif spoil == "renewed":
        actions.renew_invitation(by=factories.founder(), at=timezone.now(), user_id=user.pk)
    elif spoil == "barred":
        actions.set_active(by=factories.founder(), at=timezone.now(), user_id=user.pk, active=False, reason="no")
    else:
        secret = "x" * 43
    client = Client()
    client.get(f"{INVITATION}{secret}/")
    page = client.get(INVITATION)
    assert page.status_code == 409
    assert "Ask an administrator for a new one" in page.content.decode()
    user.refresh_from_db()
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    ("password", "again", "says"),
    [
        ("short-one-1", None, "at least 12 characters"),
        ("password1234", None, "too common"),
        ("734512896340", None, "entirely numeric"),
        ("rima-boutros-1", None, "too similar"),
        (factories.PASSWORD, "something-else-here", "not the same"),
        ("", None, "required"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, again: str | None, says: str) -> None:
    user, secret = invite(username="rima-boutros")
    client = Client()
    client.get(f"{INVITATION}{secret}/")
    page = client.post(INVITATION, {"password": password, "again": password if again is None else again})
    assert page.status_code == 422
    assert says in page.content.decode()
    user.refresh_from_db()
    assert not user.has_usable_password()


def test_the_invitation_is_read_in_the_language_of_the_invited() -> None:
    _user, secret = invite(language="ar")
    client = Client()
    client.get(f"{INVITATION}{secret}/")
    page = client.get(INVITATION)
    assert 'dir="rtl"' in page.content.decode()


def test_a_link_that_was_asked_for_ends_when_the_password_is_changed() -> None:
    administrator = factories.make_user(Role.ADMINISTRATOR)
    person = factories.make_user()
    secret = actions.renew_invitation(by=administrator, at=timezone.now(), user_id=person.pk)
    actions.change_own_password(by=person, at=timezone.now(), password="another-harbour-77-lamp")
    with pytest.raises(NotNow):
        actions.accept_invitation(secret=secret, password="a-third-harbour-78-lamp", at=timezone.now())


def test_a_new_password_ends_every_other_session() -> None:
    user = factories.make_user()
    here, elsewhere = factories.signed_in(user), factories.signed_in(user)
    new = "another-harbour-77-lamp"
    form = {"present": factories.PASSWORD, "password": new, "again": new}
    assert here.post("/profile/password/", form).status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)


@pytest.mark.parametrize("way", ["changed", "renewed"])
def test_tokens_do_not_outlive_the_password_they_were_issued_under(way: str) -> None:
    user, other = factories.make_user(), factories.make_user()
    token, secret = issue(user)
    earlier, _secret = issue(user)
    actions.revoke_token(by=user, at=timezone.now(), token_id=earlier.pk)
    _theirs, others = issue(other)
    assert asks(secret) == 200
    new = "another-harbour-77-lamp"
    if way == "changed":
        form = {"present": factories.PASSWORD, "password": new, "again": new}
        assert factories.signed_in(user).post("/profile/password/", form).status_code == 302
    else:
        link = actions.renew_invitation(by=factories.founder(), at=timezone.now(), user_id=user.pk)
        assert asks(secret) == 200
        actions.accept_invitation(secret=link, password=new, at=timezone.now())
    assert (asks(secret), asks(others)) == (401, 200)
    token.refresh_from_db()
    assert token.revoked_at is not None
    told = [line.fields["to"] for line in story("user", user.pk) if line.type == Type.ACCOUNT]
    password = "changed" if way == "changed" else "set"
    assert told[-1] == {"password": password, "tokens_revoked": [str(token.pk)]}
    assert told[0] == {"password": "set"}


def issue(user: User) -> tuple[ApiToken, str]:
    return actions.issue_token(by=user, at=timezone.now(), purpose="a script", read_only=True, life=timedelta(days=1))


def asks(secret: str) -> int:
    return Client().get("/api/v1/items/", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_the_present_password_is_asked_for_before_a_new_one() -> None:
    user = factories.make_user()
    new = "another-harbour-77-lamp"
    page = factories.signed_in(user).post("/profile/password/", {"present": "guess", "password": new, "again": new})
    assert page.status_code == 422
    assert "not your present password" in page.content.decode()
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


def test_everything_is_served_under_a_policy_without_unsafe_parts() -> None:
    for client, url in ((Client(), LOGIN), (factories.signed_in(factories.founder()), "/")):
        page = client.get(url)
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        for part in ("default-src 'none'", "script-src 'self'", "object-src 'none'", "frame-ancestors 'none'"):
            assert part in policy
        assert "require-trusted-types-for 'script'" in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", page.content.decode())


def morsel(client: Client, name: str) -> Morsel[str]:
    return client.cookies[name]


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites() -> None:
    _user, secret = invite()
    client = Client()
    client.get(f"{INVITATION}{secret}/")
    client.get(LOGIN)
    known = factories.make_user()
    client.post(LOGIN, {"username": known.username, "password": factories.PASSWORD})
    for name in ("sessionid", "csrftoken", "invitation", "django_language"):
        assert morsel(client, name)["httponly"], name
        assert morsel(client, name)["samesite"] == "Lax", name
    assert morsel(client, "invitation")["path"] == INVITATION


def test_with_tls_every_cookie_is_secure_and_bound_to_the_host() -> None:
    """Asked in a process of its own: settings are read once."""
    import os
    import subprocess
    import sys

    from django.conf import settings

    code = (
        "from archive import settings as s;"
        "assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE and s.LANGUAGE_COOKIE_SECURE;"
        "assert s.SESSION_COOKIE_NAME.startswith('__Host-') and s.CSRF_COOKIE_NAME.startswith('__Host-');"
        "assert s.SECURE_SSL_REDIRECT and s.SECURE_HSTS_SECONDS > 31536000"
    )
    environment = {name: value for name, value in os.environ.items() if name != "SANAD_INSECURE_HTTP"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=settings.BASE_DIR, env=environment)


def test_the_language_chosen_by_a_person_follows_them_to_every_browser() -> None:
    user = factories.make_user()
    client = factories.signed_in(user)
    answer = client.post(reverse("set_language"), {"language": "ar", "next": "/profile/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/profile/")
    user.refresh_from_db()
    assert user.language == "ar"
    elsewhere = factories.signed_in(user).get("/profile/", headers={"accept-language": "fr"})
    assert 'dir="rtl"' in elsewhere.content.decode()
    assert elsewhere.headers["Content-Language"] == "ar"


@pytest.mark.parametrize(("language", "target"), [("tlh", "/"), ("", "/"), ("ar", "https://elsewhere.example/")])
def test_an_unknown_language_or_a_foreign_address_changes_nothing(language: str, target: str) -> None:
    client = Client()
    answer = client.post(reverse("set_language"), {"language": language, "next": target})
    assert answer.headers["Location"] == "/"
    assert ("django_language" in client.cookies) is (language == "ar")
    with override("en"):
        user = factories.make_user(Role.AUDITOR)
    factories.signed_in(user).post(reverse("set_language"), {"language": "tlh"})
    user.refresh_from_db()
    assert user.language == "en"

"""Signing in and out, invitations, too many wrong passwords, cookies and headers."""

import re
from datetime import timedelta
from http.cookies import Morsel

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from accounts import actions
from accounts.models import Invitation, Role, User, digest_of
from custody.models import Event
from custody.vocabulary import Type
from tests import factories

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
INVITATION = "/accounts/invitation/"


def is_signed_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


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


def test_a_new_password_ends_every_other_session() -> None:
    user = factories.make_user()
    here, elsewhere = factories.signed_in(user), factories.signed_in(user)
    new = "another-harbour-77-lamp"
    form = {"present": factories.PASSWORD, "password": new, "again": new}
    assert here.post("/profile/password/", form).status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)


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

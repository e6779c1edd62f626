"""The pages of people, compartments, grants, profile and tokens, as a browser without JavaScript sees them."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import ApiToken, Compartment, Grant, Role, User
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from tests import factories

pytestmark = pytest.mark.django_db


def administrator() -> Client:
    return factories.signed_in(factories.founder())


def text(client: Client, url: str, status: int = 200) -> str:
    page = client.get(url)
    assert page.status_code == status
    return page.content.decode()


def person_url(user: User) -> str:
    return reverse("accounts:person", args=[user.pk])


def test_an_administrator_invites_and_sees_the_link_exactly_once() -> None:
    client = administrator()
    form = {"username": "rima-b", "display_name": "Rima B.", "email": "", "language": "en"}
    answer = client.post("/people/invite/", form)
    invited = User.objects.get(username="rima-b")
    assert answer.headers["Location"] == person_url(invited)
    shown = client.get(person_url(invited))
    links = re.findall(r"http://testserver/accounts/invitation/[A-Za-z0-9_-]{43}/", shown.content.decode())
    assert len(set(links)) == 1
    assert shown.headers["Cache-Control"] == "no-store"
    assert "/accounts/invitation/" not in text(client, person_url(invited))
    newcomer = Client()
    newcomer.get(links[0])
    newcomer.post("/accounts/invitation/", {"password": factories.PASSWORD, "again": factories.PASSWORD})
    invited.refresh_from_db()
    assert invited.check_password(factories.PASSWORD)


def test_what_was_typed_survives_an_error_and_the_error_names_its_field() -> None:
    page = administrator().post(
        "/people/invite/", {"username": "Rima B", "display_name": "Rima <b>", "email": "x", "language": "en"}
    )
    shown = page.content.decode()
    assert page.status_code == 422
    assert 'value="Rima B"' in shown
    assert 'value="Rima &lt;b&gt;"' in shown
    assert 'href="#id_username"' in shown
    assert 'href="#id_email"' in shown
    assert not User.objects.filter(display_name__startswith="Rima").exists()


def test_people_are_searched_and_narrowed() -> None:
    client = administrator()
    barred = factories.make_user(display_name="Person barred")
    actions.set_active(by=factories.founder(), at=timezone.now(), user_id=barred.pk, active=False, reason="left")
    factories.make_user(display_name="Person invited", joined=False)
    working = factories.make_user(Role.ARCHIVIST, factories.make_compartment(), display_name="Person working")
    assert "Person barred" in text(client, "/people/?q=barr")
    assert "Person working" not in text(client, "/people/?q=barr")
    assert working.display_name in text(client, f"/people/?q={working.username}")
    only_invited = text(client, "/people/?state=invited")
    assert "Person invited" in only_invited
    assert "Person working" not in only_invited
    assert "Person barred" in text(client, "/people/?state=barred")
    assert "Person working" not in text(client, "/people/?state=without")
    assert "Nobody like that" in text(client, "/people/?q=%00%27%22zzz")
    assert text(client, "/people/?page=999&state=nonsense")


def test_granting_needs_a_confirmation_a_reason_and_the_right_place() -> None:
    client, user, compartment = administrator(), factories.make_user(), factories.make_compartment()
    url = reverse("accounts:grant_to_person", args=[user.pk])
    form = {"role": "investigator", "compartment": str(compartment.pk), "reason": "joins the team", "confirm": "on"}
    for missing in ("role", "compartment", "reason", "confirm"):
        page = client.post(url, form | {missing: ""})
        assert page.status_code == 422, missing
        assert f'id="id_{missing}_error"' in page.content.decode(), missing
    assert not Grant.objects.filter(user=user).exists()
    assert client.post(url, form).headers["Location"] == person_url(user)
    grant = Grant.objects.get(user=user)
    assert (grant.role, grant.compartment, grant.granted_by) == ("investigator", compartment, factories.founder())
    (line,) = [line for line in story("user", user.pk) if line.type == Type.GRANT]
    assert line.fields["purpose"] == "joins the team"
    assert line.fields["to"] == {"role": "investigator", "grant": str(grant.pk)}


def test_a_grant_ends_after_its_last_day() -> None:
    client, user, compartment = administrator(), factories.make_user(), factories.make_compartment()
    url = reverse("accounts:grant_in_compartment", args=[compartment.pk])
    last = timezone.now().date() + timedelta(days=3)
    form = {"user": str(user.pk), "role": "auditor", "reason": "one audit", "confirm": "on"}
    yesterday = timezone.now().date() - timedelta(days=1)
    assert client.post(url, form | {"expires_on": yesterday.isoformat()}).status_code == 422
    assert client.post(url, form | {"expires_on": last.isoformat()}).status_code == 302
    expires = Grant.objects.get(user=user).expires_at
    assert expires is not None
    assert (expires.date(), expires.hour, expires.minute) == (last + timedelta(days=1), 0, 0)


def test_the_form_offers_neither_oneself_nor_barred_people_nor_compartments_of_others() -> None:
    here, there = factories.make_compartment(code="HERE-1"), factories.make_compartment(code="THERE-1")
    local = factories.make_user(Role.ADMINISTRATOR, here, display_name="Local administrator")
    barred = factories.make_user(display_name="Person barred")
    actions.set_active(by=factories.founder(), at=timezone.now(), user_id=barred.pk, active=False, reason="left")
    client = factories.signed_in(local)
    shown = text(client, reverse("accounts:grant_in_compartment", args=[here.pk]))
    choices = re.findall(r'<option value="([0-9a-f-]{36})"', shown)
    assert str(local.pk) not in choices
    assert str(barred.pk) not in choices
    assert str(factories.founder().pk) in choices
    assert client.get(reverse("accounts:grant_in_compartment", args=[there.pk])).status_code == 404
    shown = text(client, reverse("accounts:grant_to_person", args=[factories.founder().pk]))
    assert "HERE-1" in shown
    assert "THERE-1" not in shown


def test_revoking_asks_why_and_counts_from_the_next_request() -> None:
    compartment = factories.make_compartment(title="Coast investigation")
    user = factories.make_user(Role.INVESTIGATOR, compartment)
    theirs, client = factories.signed_in(user), administrator()
    url = reverse("accounts:compartment", args=[compartment.pk])
    assert "Coast investigation" in text(theirs, url)
    grant = Grant.objects.get(user=user)
    revoke = reverse("accounts:revoke_grant", args=[grant.pk])
    assert "Revoke this role?" in text(client, revoke)
    assert client.post(revoke, {"reason": ""}).status_code == 422
    assert client.post(revoke, {"reason": "task is over"}).headers["Location"] == person_url(user)
    text(theirs, url, status=404)
    assert client.post(revoke, {"reason": "again"}).status_code == 409


def test_an_expired_role_counts_no_more() -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(Role.INVESTIGATOR, compartment)
    client, url = factories.signed_in(user), reverse("accounts:compartment", args=[compartment.pk])
    text(client, url)
    Grant.objects.filter(user=user).update(expires_at=timezone.now())
    text(client, url, status=404)


def test_a_barred_person_is_out_with_the_next_request_and_can_come_back() -> None:
    user, client = factories.make_user(), administrator()
    theirs = factories.signed_in(user)
    text(theirs, "/profile/")
    url = reverse("accounts:standing", args=[user.pk])
    assert client.post(url, {"reason": " "}).status_code == 422
    assert client.post(url, {"reason": "left"}).status_code == 302
    assert theirs.get("/profile/").headers["Location"].startswith("/accounts/login/")
    assert "Let in again" in text(client, person_url(user))
    assert client.post(url, {"reason": "came back"}).status_code == 302
    text(theirs, "/profile/")


def test_a_lost_password_is_replaced_by_a_new_link_and_the_old_one_works_until_then() -> None:
    user, client = factories.make_user(), administrator()
    answer = client.post(reverse("accounts:renew_invitation", args=[user.pk]))
    assert answer.headers["Location"] == person_url(user)
    assert "/accounts/invitation/" in text(client, person_url(user))
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


def test_a_person_page_shows_auditors_the_grants_but_offers_them_nothing() -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(Role.LEGAL_REVIEWER, compartment)
    shown = text(factories.signed_in(factories.make_user(Role.AUDITOR)), person_url(user))
    assert "Legal reviewer" in shown
    assert compartment.code in shown
    for act in ("Revoke", "Bar", "Grant a role", "New password link"):
        assert act not in shown
    for name in ("standing", "renew_invitation"):
        answer = factories.signed_in(factories.make_user(Role.AUDITOR)).post(
            reverse(f"accounts:{name}", args=[user.pk]), {"reason": "because"}
        )
        assert answer.status_code == 403


def test_a_compartment_administrator_sees_of_a_person_only_the_grants_in_that_compartment() -> None:
    here, there = factories.make_compartment(code="HERE-1"), factories.make_compartment(code="THERE-1")
    user = factories.make_user(Role.INVESTIGATOR, here)
    factories.give(user, Role.INVESTIGATOR, there)
    shown = text(factories.signed_in(factories.make_user(Role.ADMINISTRATOR, here)), person_url(user))
    assert "HERE-1" in shown
    assert "THERE-1" not in shown


def test_opening_and_describing_a_compartment() -> None:
    client = administrator()
    page = client.post("/compartments/open/", {"code": "sy 2025", "title": "The coast", "description": "March"})
    assert page.status_code == 422
    assert 'value="The coast"' in page.content.decode()
    answer = client.post("/compartments/open/", {"code": "SY-2025", "title": "The coast", "description": "March"})
    compartment = Compartment.objects.get()
    url = reverse("accounts:compartment", args=[compartment.pk])
    assert answer.headers["Location"] == url
    edit = reverse("accounts:describe_compartment", args=[compartment.pk])
    assert client.post(edit, {"title": "", "description": "x"}).status_code == 422
    assert client.post(edit, {"title": "Coast", "description": ""}).headers["Location"] == url
    (line,) = [line for line in story("compartment", compartment.pk) if line.type == Type.DESCRIBE]
    assert line.fields["from"] == {"title": "The coast", "description": "March"}
    assert line.fields["to"] == {"title": "Coast", "description": ""}
    events = Event.objects.count()
    client.post(edit, {"title": "Coast", "description": ""})
    assert Event.objects.count() == events


def test_a_member_sees_colleagues_and_roles_but_neither_reasons_nor_acts() -> None:
    compartment = factories.make_compartment()
    member = factories.make_user(Role.INVESTIGATOR, compartment)
    colleague = factories.make_user(display_name="Colleague Two")
    factories.give(colleague, Role.LEGAL_REVIEWER, compartment, reason="second chamber")
    shown = text(factories.signed_in(member), reverse("accounts:compartment", args=[compartment.pk]))
    assert "Colleague Two" in shown
    assert "Legal reviewer" in shown
    assert "second chamber" not in shown
    assert "Revoke" not in shown
    assert "Grant a role" not in shown
    assert f"/people/{colleague.pk}" not in shown


def test_a_token_is_shown_once_works_and_is_revoked() -> None:
    user = factories.make_user()
    client = factories.signed_in(user)
    page = client.post("/profile/tokens/", {"purpose": "", "days": "9999"})
    assert page.status_code == 422
    assert not ApiToken.objects.exists()
    assert client.post("/profile/tokens/", {"purpose": "desk script", "days": "30"}).status_code == 302
    (secret,) = set(re.findall(r"sanad_[A-Za-z0-9_-]{43}", text(client, "/profile/tokens/")))
    assert not re.findall(r"sanad_[A-Za-z0-9_-]{43}", text(client, "/profile/tokens/"))
    reader = Client(headers={"authorization": f"Bearer {secret}"})
    assert reader.get("/api/v1/me/").status_code == 200
    token = ApiToken.objects.get()
    assert token.read_only
    assert token.purpose == "desk script"
    other = factories.signed_in(factories.make_user())
    assert other.post(reverse("accounts:revoke_token", args=[token.pk])).status_code == 404
    assert client.post(reverse("accounts:revoke_token", args=[token.pk])).status_code == 302
    assert reader.get("/api/v1/me/").status_code == 401


def test_the_profile_changes_name_and_language_and_nothing_else() -> None:
    user = factories.make_user()
    client = factories.signed_in(user)
    page = client.post("/profile/", {"display_name": "", "language": "fr", "username": "admin"})
    assert page.status_code == 422
    form = {"display_name": "New Name", "language": "ar", "username": "admin", "is_active": ""}
    assert client.post("/profile/", form).status_code == 302
    changed = User.objects.get(pk=user.pk)
    assert (changed.display_name, changed.language, changed.username) == ("New Name", "ar", user.username)
    assert changed.is_active
    assert 'lang="ar"' in text(client, "/profile/")


def test_the_dashboard_teaches_the_founder_until_somebody_works() -> None:
    client = administrator()
    assert "Set up the archive" in text(client, "/")
    compartment = factories.make_compartment()
    assert "Set up the archive" in text(client, "/")
    factories.make_user(Role.INVESTIGATOR, compartment)
    assert "Set up the archive" not in text(client, "/")


def test_the_dashboard_tells_an_administrator_who_waits_and_what_ends() -> None:
    compartment = factories.make_compartment()
    waiting = factories.make_user(display_name="Person waiting")
    late = factories.make_user(display_name="Person too late", joined=False)
    late.invitations.update(expires_at=timezone.now())
    ending = factories.make_user(Role.AUDITOR, compartment, display_name="Person ending")
    Grant.objects.filter(user=ending).update(expires_at=timezone.now() + timedelta(days=2))
    shown = text(administrator(), "/")
    for name in (waiting.display_name, late.display_name, ending.display_name):
        assert name in shown
    assert "Your own role" in text(factories.signed_in(ending), "/")


def test_the_dashboard_tells_of_tokens_that_end_and_explains_having_no_role() -> None:
    user = factories.make_user()
    client = factories.signed_in(user)
    assert "You hold no role yet" in text(client, "/")
    actions.issue_token(by=user, at=timezone.now(), purpose="desk script", read_only=True, life=timedelta(days=3))
    assert "desk script" in text(client, "/")


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        (Role.INVESTIGATOR, {"/compartments/"}, {"/people/"}),
        (Role.AUDITOR, {"/compartments/", "/people/"}, set()),
        (Role.ADMINISTRATOR, {"/compartments/", "/people/"}, set()),
    ],
)
def test_the_navigation_shows_the_doors_one_may_open(role: Role, shown: set[str], hidden: set[str]) -> None:
    client = factories.signed_in(factories.make_user(role, factories.make_compartment()))
    links = set(re.findall(r'class="nav__link" href="([^"]+)"', text(client, "/")))
    assert shown <= links
    assert not hidden & links
    for url in shown:
        text(client, url)
    for url in hidden:
        text(client, url, status=403)


def test_names_typed_by_people_never_become_markup() -> None:
    nasty = '"><script>alert(1)</script>\u202e'
    user = factories.make_user(display_name=nasty)
    compartment = factories.make_compartment(title=nasty, description=nasty)
    factories.give(user, Role.AUDITOR, compartment, reason=nasty)
    client = administrator()
    pages = (
        "/",
        "/people/",
        person_url(user),
        "/compartments/",
        reverse("accounts:compartment", args=[compartment.pk]),
        reverse("accounts:grant_to_person", args=[user.pk]),
        reverse("accounts:standing", args=[user.pk]),
        reverse("accounts:revoke_grant", args=[Grant.objects.get(user=user).pk]),
    )
    for url in pages:
        assert "<script>alert" not in text(client, url)


def test_addresses_of_nothing_are_404() -> None:
    nothing = UUID("00000000-0000-4000-8000-0000000000ff")
    client = administrator()
    for name in ("person", "compartment", "revoke_grant", "standing", "grant_to_person", "describe_compartment"):
        text(client, reverse(f"accounts:{name}", args=[nothing]), status=404)

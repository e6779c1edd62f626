"""Makers for people, compartments, grants and tokens."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts import actions
from accounts.models import ApiToken, Compartment, Grant, Role, User
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument


@instance_of(Compartment)
def compartment_itself(compartment: Compartment, person: User) -> Compartment:
    return compartment


@instance_of(User)
def colleague(compartment: Compartment, person: User) -> User:
    return factories.make_user(Role.INVESTIGATOR, compartment)


@instance_of(Grant)
def grant_there(compartment: Compartment, person: User) -> Grant:
    return Grant.objects.get(user=factories.make_user(Role.ARCHIVIST, compartment))


@instance_of(ApiToken)
def token_of(compartment: Compartment, person: User) -> ApiToken:
    return actions.issue_token(by=person, at=timezone.now(), purpose="a test", read_only=True, life=timedelta(days=1))[
        0
    ]


@url_argument("compartment_id")
@url_argument("compartments-detail:pk")
def compartment_id(compartment: Compartment, person: User) -> Any:
    return compartment.pk


@url_argument("user_id")
@url_argument("people-detail:pk")
@url_argument("people-invitation:pk")
@url_argument("people-bar:pk")
@url_argument("people-unbar:pk")
def user_id(compartment: Compartment, person: User) -> Any:
    return colleague(compartment, person).pk


@url_argument("grant_id")
@url_argument("grants-detail:pk")
@url_argument("grants-revoke:pk")
def grant_id(compartment: Compartment, person: User) -> Any:
    return grant_there(compartment, person).pk


@url_argument("token_id")
@url_argument("tokens-detail:pk")
@url_argument("tokens-revoke:pk")
def token_id(compartment: Compartment, person: User) -> Any:
    return token_of(compartment, person).pk


@url_argument("secret")
def secret(compartment: Compartment, person: User) -> Any:
    return "x" * 43


@action_of(actions.found_archive)
def founding() -> Callable[[], Any]:
    return lambda: actions.found_archive(
        username="first", display_name="First", password=factories.PASSWORD, at=timezone.now()
    )


@action_of(actions.invite_user)
def inviting() -> Callable[[], Any]:
    by = factories.founder()
    return lambda: actions.invite_user(by=by, at=timezone.now(), username="new-person", display_name="New person")


@action_of(actions.renew_invitation)
def renewing() -> Callable[[], Any]:
    by, user = factories.founder(), factories.make_user(joined=False)
    return lambda: actions.renew_invitation(by=by, at=timezone.now(), user_id=user.pk)


@action_of(actions.accept_invitation)
def accepting() -> Callable[[], Any]:
    _user, secret = actions.invite_user(
        by=factories.founder(), at=timezone.now(), username="new-person", display_name="New person"
    )
    return lambda: actions.accept_invitation(secret=secret, password=factories.PASSWORD, at=timezone.now())


@action_of(actions.change_own_password)
def changing_a_password() -> Callable[[], Any]:
    user = factories.make_user()
    return lambda: actions.change_own_password(by=user, at=timezone.now(), password="another-harbour-77-lamp")


@action_of(actions.rename_self)
def renaming() -> Callable[[], Any]:
    user = factories.make_user()
    return lambda: actions.rename_self(by=user, at=timezone.now(), display_name="Somebody else")


@action_of(actions.set_active)
def barring() -> Callable[[], Any]:
    by, user = factories.founder(), factories.make_user()
    return lambda: actions.set_active(by=by, at=timezone.now(), user_id=user.pk, active=False, reason="left")


@action_of(actions.open_compartment)
def opening_a_compartment() -> Callable[[], Any]:
    by = factories.founder()
    return lambda: actions.open_compartment(by=by, at=timezone.now(), code="TEST-NEW", title="New")


@action_of(actions.describe_compartment)
def describing_a_compartment() -> Callable[[], Any]:
    by, compartment = factories.founder(), factories.make_compartment()
    return lambda: actions.describe_compartment(
        by=by, at=timezone.now(), compartment_id=compartment.pk, title="Another title", description=""
    )


@action_of(actions.grant_role)
def granting() -> Callable[[], Any]:
    by, user, compartment = factories.founder(), factories.make_user(), factories.make_compartment()
    return lambda: actions.grant_role(
        by=by, at=timezone.now(), user_id=user.pk, role=Role.ARCHIVIST, compartment_id=compartment.pk, reason="needed"
    )


@action_of(actions.revoke_grant)
def revoking() -> Callable[[], Any]:
    by, compartment = factories.founder(), factories.make_compartment()
    grant = grant_there(compartment, by)
    return lambda: actions.revoke_grant(by=by, at=timezone.now(), grant_id=grant.pk, reason="over")


@action_of(actions.issue_token)
def issuing_a_token() -> Callable[[], Any]:
    user = factories.make_user()
    return lambda: actions.issue_token(
        by=user, at=timezone.now(), purpose="a test", read_only=True, life=timedelta(days=1)
    )


@action_of(actions.revoke_token)
def withdrawing_a_token() -> Callable[[], Any]:
    user = factories.make_user()
    token = token_of(factories.make_compartment(), user)
    return lambda: actions.revoke_token(by=user, at=timezone.now(), token_id=token.pk)


@action_of(actions.record_refusal)
def recording_a_refusal() -> Callable[[], Any]:
    user, compartment = factories.make_user(), factories.make_compartment()
    return lambda: actions.record_refusal(
        by=user,
        at=timezone.now(),
        permission="compartment.view",
        kind="compartment",
        object_id=compartment.pk,
        compartment=compartment.pk,
    )

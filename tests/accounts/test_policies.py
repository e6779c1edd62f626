"""Who may do what with people, compartments, grants and tokens, written out a second time: a slip in one shows."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone

from accounts import actions
from accounts.models import Compartment, Grant, Role, User
from accounts.permissions import NotNow, NotVisible, Refused, allowed, permitted, rule
from tests import factories

pytestmark = pytest.mark.django_db

CONTENT = {Role.INVESTIGATOR, Role.ARCHIVIST, Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER}
COLLEAGUE = {"compartment.view", "grant.view"}
AUDITOR = {*COLLEAGUE, "user.view", "grant.oversee"}
ADMINISTRATOR = {*AUDITOR, "compartment.edit", "compartment.grant", "grant.revoke"}
EVERYWHERE = {"compartment.open", "user.manage"}


def permissions_of(user: User, compartment: Compartment) -> set[str]:
    grant = Grant.objects.get(user=factories.make_user(Role.ARCHIVIST, compartment))
    return {*allowed(user, compartment), *allowed(user, grant.user), *allowed(user, grant)}


@pytest.mark.parametrize("role", sorted(Role))
def test_what_each_role_may_in_its_compartment(role: Role) -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(role, compartment)
    expected = {Role.AUDITOR: AUDITOR, Role.ADMINISTRATOR: ADMINISTRATOR}.get(role, COLLEAGUE)
    assert permissions_of(user, compartment) == expected


def test_only_an_administrator_of_the_whole_archive_manages_people_and_opens_compartments() -> None:
    compartment = factories.make_compartment()
    assert permissions_of(factories.make_user(Role.ADMINISTRATOR), compartment) == ADMINISTRATOR | EVERYWHERE
    assert permissions_of(factories.make_user(Role.AUDITOR), compartment) == AUDITOR


def test_an_administrator_of_one_compartment_cannot_become_a_person_of_another_by_a_new_invitation() -> None:
    victim = factories.make_user(Role.INVESTIGATOR, factories.make_compartment())
    local = factories.make_user(Role.ADMINISTRATOR, factories.make_compartment())
    with pytest.raises(Refused):
        actions.renew_invitation(by=local, at=timezone.now(), user_id=victim.pk)
    with pytest.raises(Refused):
        actions.set_active(by=local, at=timezone.now(), user_id=victim.pk, active=False, reason="mine")
    with pytest.raises(Refused):
        actions.invite_user(by=local, at=timezone.now(), username="helper-1", display_name="Helper")


def test_an_administrator_of_one_compartment_grants_and_revokes_there_only() -> None:
    here, there = factories.make_compartment(), factories.make_compartment()
    local, colleague = factories.make_user(Role.ADMINISTRATOR, here), factories.make_user()
    grant = actions.grant_role(
        by=local, at=timezone.now(), user_id=colleague.pk, role=Role.ARCHIVIST, compartment_id=here.pk, reason="needed"
    )
    actions.revoke_grant(by=local, at=timezone.now(), grant_id=grant.pk, reason="over")
    with pytest.raises(NotVisible):
        actions.grant_role(
            by=local, at=timezone.now(), user_id=colleague.pk, role=Role.ARCHIVIST, compartment_id=there.pk, reason="?"
        )
    with pytest.raises(Refused):
        actions.grant_role(
            by=local, at=timezone.now(), user_id=colleague.pk, role=Role.AUDITOR, compartment_id=None, reason="?"
        )


def test_nobody_grants_a_role_to_themselves() -> None:
    compartment = factories.make_compartment()
    founder = factories.founder()
    with pytest.raises(Refused):
        actions.grant_role(
            by=founder,
            at=timezone.now(),
            user_id=founder.pk,
            role=Role.INVESTIGATOR,
            compartment_id=compartment.pk,
            reason="curious",
        )
    assert not Grant.objects.filter(user=founder, role=Role.INVESTIGATOR).exists()


@pytest.mark.parametrize("role", sorted(CONTENT))
def test_a_role_that_sees_evidence_needs_a_compartment(role: Role) -> None:
    user = factories.make_user()
    with pytest.raises(ValidationError) as problem:
        factories.give(user, role, None)
    assert set(problem.value.message_dict) == {"compartment"}


def test_the_last_administrator_can_neither_be_revoked_nor_bar_themselves() -> None:
    founder = factories.founder()
    grant = Grant.objects.get(user=founder)
    with pytest.raises(NotNow):
        actions.revoke_grant(by=founder, at=timezone.now(), grant_id=grant.pk, reason="bye")
    with pytest.raises(NotNow):
        actions.set_active(by=founder, at=timezone.now(), user_id=founder.pk, active=False, reason="bye")
    factories.make_user(Role.ADMINISTRATOR)
    actions.revoke_grant(by=founder, at=timezone.now(), grant_id=grant.pk, reason="handed over")
    assert not permitted(founder, "user.manage", User.objects.all()).exists()


def test_a_second_founding_is_refused() -> None:
    factories.founder()
    with pytest.raises(NotNow):
        actions.found_archive(
            username="usurper", display_name="Usurper", password=factories.PASSWORD, at=timezone.now()
        )
    assert not User.objects.filter(username="usurper").exists()


def test_a_role_is_held_once_in_one_place_and_can_be_given_again_after_it_ended() -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(Role.ARCHIVIST, compartment)
    with pytest.raises(ValidationError) as problem:
        factories.give(user, Role.ARCHIVIST, compartment)
    assert set(problem.value.message_dict) == {"role"}
    now = timezone.now()
    Grant.objects.filter(user=user).update(expires_at=now)
    factories.give(user, Role.ARCHIVIST, compartment)
    assert Grant.objects.in_force().filter(user=user).count() == 1
    assert Grant.objects.get(user=user, expires_at=now).revoked_at == now


@pytest.mark.parametrize("reason", ["", "   \n"])
def test_every_grant_revocation_and_bar_says_why(reason: str) -> None:
    compartment = factories.make_compartment()
    user = factories.make_user(Role.ARCHIVIST, compartment)
    grant = Grant.objects.get(user=user)
    with pytest.raises(ValidationError, match="Say why"):
        factories.give(user, Role.INVESTIGATOR, compartment, reason=reason)
    with pytest.raises(ValidationError, match="Say why"):
        actions.revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason=reason)
    with pytest.raises(ValidationError, match="Say why"):
        actions.set_active(by=factories.founder(), at=timezone.now(), user_id=user.pk, active=False, reason=reason)


def test_a_permission_is_stated_once_and_never_for_everybody() -> None:
    with pytest.raises(ValueError, match="twice"):
        rule("compartment.view", Compartment, roles=[Role.AUDITOR], path="")
    with pytest.raises(ValueError, match=r"everyone's"):
        rule("compartment.adore", Compartment, roles=None, path="")
    with pytest.raises(TypeError):
        permitted(factories.make_user(), "compartment.view", User.objects.filter(Q()))

"""Every permission of every app, every role, every relation: the engine's four questions give one answer.

The expected answer is worked out here from the stated rule by plain comparison, not by the engine's queries.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import Model
from django.utils import timezone

from accounts import actions
from accounts.models import ARCHIVE_WIDE_ROLES, Compartment, Grant, Role, User
from accounts.permissions import NotVisible, Refused, Rule, allowed, can, permitted, require, rules
from tests import factories
from tests.architecture.makers import INSTANCES, load

pytestmark = pytest.mark.django_db

load()

Relation = Callable[[User, Role, Compartment], None]


def nothing(user: User, role: Role, compartment: Compartment) -> None:
    """No grant at all."""


def here(user: User, role: Role, compartment: Compartment) -> None:
    factories.give(user, role, compartment)


def elsewhere(user: User, role: Role, compartment: Compartment) -> None:
    factories.give(user, role, factories.make_compartment())


def whole_archive(user: User, role: Role, compartment: Compartment) -> None:
    factories.give(user, role)


def revoked(user: User, role: Role, compartment: Compartment) -> None:
    grant = factories.give(user, role, compartment)
    actions.revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason="over")


def expired(user: User, role: Role, compartment: Compartment) -> None:
    long_ago = timezone.now() - timedelta(days=30)
    actions.grant_role(
        by=factories.founder(),
        at=long_ago,
        user_id=user.pk,
        role=role,
        compartment_id=compartment.pk,
        reason="for a while",
        expires_at=long_ago + timedelta(days=1),
    )


def barred(user: User, role: Role, compartment: Compartment) -> None:
    factories.give(user, role, compartment)
    actions.set_active(by=factories.founder(), at=timezone.now(), user_id=user.pk, active=False, reason="left")


RELATIONS: tuple[Relation, ...] = (nothing, here, elsewhere, whole_archive, revoked, expired, barred)


def cells() -> list[tuple[Role, Relation]]:
    return [
        (role, relation)
        for role in Role
        for relation in RELATIONS
        if relation is not whole_archive or role in ARCHIVE_WIDE_ROLES
    ]


def stated(rule: Rule, role: Role, relation: Relation, user: User, obj: Model) -> bool:
    """What the rule says, by comparison alone; the condition of a `where` is asked on its own."""
    if relation is barred:
        return False
    if rule.where is not None and not type(obj)._default_manager.filter(rule.where(user), pk=obj.pk).exists():
        return False
    if rule.roles is None:
        return True
    if role not in rule.roles:
        return False
    if rule.whole_archive:
        return relation is whole_archive
    return relation in (here, whole_archive) or (rule.path is None and relation is elsewhere)


def test_every_model_with_a_permission_has_a_maker() -> None:
    assert {rule.model.__name__ for rule in rules().values() if rule.model not in INSTANCES} == set()


def rules_with_makers() -> list[tuple[str, Rule]]:
    """Every rule; one whose model has no maker has failed the test above by name."""
    return [(name, rule) for name, rule in rules().items() if rule.model in INSTANCES]


@pytest.mark.parametrize(("role", "relation"), cells(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_four_questions_agree_with_the_stated_rule(role: Role, relation: Relation) -> None:
    compartment = factories.make_compartment()
    user = factories.make_user()
    relation(user, role, compartment)
    user.refresh_from_db()
    active = relation is not barred
    objects = {
        model: make(compartment, user if active else factories.make_user())
        for model, make in INSTANCES.items()
        if any(rule.model is model for rule in rules().values())
    }
    for name, rule in rules_with_makers():
        obj = objects[rule.model]
        view = rules().get(f"{name.partition('.')[0]}.view")
        view = view if view is not None and view.model is rule.model else rule
        sees = stated(view, role, relation, user, obj)
        expected = sees and stated(rule, role, relation, user, obj)
        everything = rule.model._default_manager.all()
        question = f"{name} of {role} {relation.__name__}"
        assert permitted(user, name, everything).filter(pk=obj.pk).exists() is expected, question
        assert can(user, name, obj) is expected, question
        assert user.has_perm(name, obj) is expected, question
        assert (name in allowed(user, obj)) is expected, question
        if expected:
            assert require(user, name, everything, pk=obj.pk).pk == obj.pk, question
        else:
            with pytest.raises(Refused if sees else NotVisible):
                require(user, name, everything, pk=obj.pk)


def test_nobody_has_any_permission_without_signing_in() -> None:
    from django.contrib.auth.models import AnonymousUser

    compartment = factories.make_compartment()
    owner = factories.make_user(Role.INVESTIGATOR, compartment)
    for name, rule in rules_with_makers():
        obj = INSTANCES[rule.model](compartment, owner)
        assert not permitted(AnonymousUser(), name, rule.model._default_manager.all()).exists(), name
        assert not can(AnonymousUser(), name, obj), name
        assert allowed(AnonymousUser(), obj) == frozenset()


def test_no_role_that_sees_content_is_held_over_the_whole_archive() -> None:
    assert not Grant.objects.filter(compartment__isnull=True).exclude(role__in=ARCHIVE_WIDE_ROLES).exists()
    assert set(ARCHIVE_WIDE_ROLES) == {Role.AUDITOR, Role.ADMINISTRATOR}

"""The authorisation engine. A permission is stated once, as a function from a user to a `Q`; the rest is derived.

`permitted` filters a list, `can` and `require` ask the same filter about one object, `allowed` gives a page the set,
DRF and `User.has_perm` ask here too. Fetching is authorising: no caller holds an object this module did not give it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, Q, QuerySet
from django.http import Http404

from accounts.models import Compartment, Grant, Role, User

M = TypeVar("M", bound=Model)
Where = Callable[[User], Q]


class NotVisible(Http404):
    """The object is not there for this user: 404, whether or not it exists for others.

    `hidden` is the object that stayed unseen, for the refusal in the ledger alone.
    """

    def __init__(self, user: Any = None, permission: str = "", hidden: Model | None = None) -> None:
        super().__init__()
        self.user, self.permission, self.hidden = user, permission, hidden


class Refused(Exception):
    """The user sees the object and may not do this: 403, and a refusal in the ledger."""

    def __init__(self, user: User, permission: str, obj: Model | None) -> None:
        super().__init__(permission)
        self.user, self.permission, self.obj = user, permission, obj


class NotNow(Exception):
    """Allowed, but not in the present state: 409. The message is for the person, translated."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Rule:
    """Who may do one thing: holders of a role in the object's compartment, where the condition holds.

    Without roles (None) everyone who may sign in does, and the condition alone says on what.
    """

    permission: str
    model: type[Model]
    roles: frozenset[str] | None
    path: str | None
    where: Where | None
    whole_archive: bool = False

    def held(self, user: User) -> QuerySet[Grant]:
        """The user's grants in force that carry this permission."""
        grants = Grant.objects.in_force().filter(user=user, role__in=self.roles or ())
        return grants.filter(compartment__isnull=True) if self.whole_archive else grants

    def q(self, user: User) -> Q:
        """The rows of the model on which the user has this permission."""
        condition = Q() if self.roles is None else self._granted(user, self.path)
        return condition & self.where(user) if self.where else condition

    def compartments(self, user: User) -> Q:
        """The compartments in which the user holds this permission."""
        return self._granted(user, "")

    def _granted(self, user: User, path: str | None) -> Q:
        held = self.held(user)
        if path is None:
            return Q(Exists(held))
        column = f"{path}_id" if path else "pk"
        return Q(Exists(held.filter(compartment__isnull=True))) | Q(
            **{f"{column}__in": held.filter(compartment__isnull=False).values("compartment_id")}
        )

    def implies(self, other: "Rule") -> bool:
        """Whether every row this rule allows is one the other allows too: the same grants carry both."""
        return (
            other.where is None
            and other.path == self.path
            and (self.whole_archive or not other.whole_archive)
            and self.roles is not None
            and other.roles is not None
            and self.roles <= other.roles
        )

    def compartment_of(self, obj: Model) -> UUID | None:
        """The id of the compartment an object of this rule lies in."""
        if self.path is None:
            return None
        *way, last = self.path.split("__")
        for name in way:
            obj = getattr(obj, name)
        found: UUID | None = getattr(obj, f"{last}_id") if last else obj.pk
        return found


_RULES: dict[str, Rule] = {}


def rule(
    permission: str,
    model: type[Model],
    *,
    roles: Collection[str] | None,
    path: str | None = "compartment",
    where: Where | None = None,
    whole_archive: bool = False,
) -> None:
    """State a permission ("noun.verb") once.

    `path` leads from the model to its compartment: "" when it is one, None when it lies in none and the role counts
    wherever it is held. With `whole_archive` a role counts only when held over the whole archive. Without roles (None)
    the condition alone decides: what is one's own.
    A permission other than `noun.view` counts only on objects the user may view.
    """
    if permission in _RULES:
        raise ValueError(f"{permission} is stated twice")
    if roles is None and where is None:
        raise ValueError(f"{permission} names neither roles nor a condition: it would be everyone's")
    held = None if roles is None else frozenset(str(Role(role)) for role in roles)
    _RULES[permission] = Rule(permission, model, held, path, where, whole_archive)


def rules() -> dict[str, Rule]:
    """Every stated permission, for the matrix test and the reference."""
    return dict(_RULES)


def permitted(user: Any, permission: str, queryset: QuerySet[M]) -> QuerySet[M]:
    """The objects of the queryset on which the user has the permission. Nobody's are none."""
    if not _is_person(user):
        return queryset.none()
    stated = _RULES[permission]
    if stated.model is not queryset.model:
        raise TypeError(f"{permission} is about {stated.model.__name__}, not {queryset.model.__name__}")
    condition = stated.q(user)
    view = _view_rule(stated)
    if view is None or stated.implies(view):
        return queryset.filter(condition)
    return queryset.filter(condition & view.q(user))


def can(user: Any, permission: str, obj: Model) -> bool:
    """Whether the user has the permission on this object, by the same filter on its key."""
    stated = _RULES.get(permission)
    if stated is None or not isinstance(obj, stated.model):
        return False
    return permitted(user, permission, stated.model._default_manager.all()).filter(pk=obj.pk).exists()


def require(user: Any, permission: str, queryset: QuerySet[M], *, lock: bool = False, **lookup: Any) -> M:
    """Fetch one object the user has the permission on.

    Raises NotVisible when it is not there or not visible, Refused when it is visible and the act is not allowed.
    """
    objects = permitted(user, permission, queryset).filter(**lookup)
    obj = (objects.select_for_update(of=("self",)) if lock else objects).first()
    if obj is not None:
        return obj
    view = _view_rule(_RULES[permission])
    seen = permitted(user, view.permission, queryset).filter(**lookup).first() if view else None
    if seen is None:
        raise NotVisible(user, permission, queryset.filter(**lookup).first())
    raise Refused(user, permission, seen)


def allowed(user: Any, obj: Model) -> frozenset[str]:
    """Every permission the user has on this object: what a page may offer."""
    return frozenset(name for name, stated in _RULES.items() if isinstance(obj, stated.model) and can(user, name, obj))


def compartments(user: Any, permission: str) -> QuerySet[Compartment]:
    """The compartments in which the user holds a role that carries the permission."""
    if not _is_person(user):
        return Compartment.objects.none()
    return Compartment.objects.filter(_RULES[permission].compartments(user))


def require_compartment(user: Any, permission: str, pk: UUID | str) -> Compartment:
    """A compartment in which the user may do this, for acts that make something new. Raises NotVisible, Refused."""
    visible = permitted(user, "compartment.view", Compartment.objects.all()).filter(pk=pk).first()
    if visible is None:
        raise NotVisible(user, permission, Compartment.objects.filter(pk=pk).first())
    if not compartments(user, permission).filter(pk=pk).exists():
        raise Refused(user, permission, visible)
    return visible


def holds(user: Any, *roles: Role) -> bool:
    """Whether the user holds one of the roles anywhere."""
    return _is_person(user) and Grant.objects.in_force().filter(user=user, role__in=roles).exists()


def anywhere(user: Any, permission: str) -> bool:
    """Whether the user holds a role that carries the permission in any compartment: what navigation shows."""
    stated = _RULES[permission]
    return _is_person(user) and (stated.roles is None or stated.held(user).exists())


def require_anywhere(user: Any, permission: str) -> None:
    """For pages that belong to no one object, such as the audit desk. Raises Refused."""
    if not anywhere(user, permission):
        raise Refused(user, permission, None)


def _is_person(user: Any) -> bool:
    return isinstance(user, User) and user.is_active


def _view_rule(stated: Rule) -> Rule | None:
    noun, _, verb = stated.permission.partition(".")
    view = _RULES.get(f"{noun}.view")
    return None if verb == "view" or view is None or view.model is not stated.model else view


__all__ = [
    "NotNow",
    "NotVisible",
    "Refused",
    "Role",
    "allowed",
    "anywhere",
    "can",
    "compartments",
    "holds",
    "permitted",
    "require",
    "require_anywhere",
    "require_compartment",
    "rule",
    "rules",
]

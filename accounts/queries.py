"""Questions several pages ask about people and their invitations."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Grant, Invitation, User, digest_of
from custody.engine import SYSTEM

#: Invited people who never chose a password.
NOT_JOINED = Q(password__startswith=UNUSABLE_PASSWORD_PREFIX)


def invitation_of(secret: str) -> Invitation | None:
    """The invitation a secret opens now: unused, not expired, of a person who may sign in."""
    if not secret:
        return None
    return (
        Invitation.objects.select_related("user")
        .filter(digest=digest_of(secret), used_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )


def people_with_state(people: QuerySet[User]) -> QuerySet[User]:
    """The people with `invited` (has an unused invitation in force) and `granted` (holds any role in force)."""
    now = timezone.now()
    invitations = Invitation.objects.filter(user=OuterRef("pk"), used_at__isnull=True, expires_at__gt=now)
    grants = Grant.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now), user=OuterRef("pk"), revoked_at=None
    )
    return people.annotate(invited=Exists(invitations), granted=Exists(grants))


def names_of(agents: Iterable[UUID]) -> dict[UUID, str]:
    """The names shown for the agents of custody events; software by its own name, an unknown agent by its id."""
    ids = set(agents)
    names = dict(User.objects.filter(pk__in=ids).values_list("pk", "display_name"))
    software = {SYSTEM.id: _("The archive itself")}
    return {agent: names.get(agent) or software.get(agent) or str(agent) for agent in ids}

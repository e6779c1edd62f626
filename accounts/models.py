"""People, compartments, and the grants that join them."""

import hashlib
import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def digest_of(secret: str) -> str:
    """What is kept of a random secret of 256 bits: its hex SHA-256. Too little for a password, which people choose."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Role(models.TextChoices):
    """A set of permissions, held as a grant in a compartment."""

    INVESTIGATOR = "investigator", _("Investigator")
    ARCHIVIST = "archivist", _("Archivist")
    LEGAL_REVIEWER = "legal_reviewer", _("Legal reviewer")
    AUDITOR = "auditor", _("Auditor")
    PROTECTION_OFFICER = "protection_officer", _("Protection officer")
    ADMINISTRATOR = "administrator", _("Administrator")

    @property
    def meaning(self) -> str:
        """In one sentence, what its holder does and what stays closed to them."""
        return str(_MEANINGS[self.value])


_MEANINGS = {
    "investigator": _("Receives and describes items, records incidents and testimonies, sees content."),
    "archivist": _("Receives, describes and verifies items, sees content, never the identity of a witness."),
    "legal_reviewer": _("Sees content, opens case files, assesses exhibits and exports bundles."),
    "auditor": _("Verifies every digest and the ledger without seeing any content, title or name."),
    "protection_officer": _("Keeps witnesses and their consent; alone opens an identity, each time with a reason."),
    "administrator": _("Invites people, grants and revokes roles, opens compartments; sees no evidence."),
}

#: Roles that may be held over the whole archive: neither sees content anywhere.
ARCHIVE_WIDE_ROLES = (Role.AUDITOR, Role.ADMINISTRATOR)


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username__iexact=username)


class User(AbstractBaseUser):
    """A person who works in the archive. There is no superuser: what anyone may do is a grant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        _("user name"),
        max_length=60,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9._-]{1,59}\Z", _("Use small letters, digits, dot, dash."))],
    )
    display_name = models.CharField(_("name shown to colleagues"), max_length=120)
    email = models.EmailField(_("e-mail"), blank=True)
    language = models.CharField(
        _("language"), max_length=5, default="en", choices=[("en", "English"), ("ar", "العربية"), ("fr", "Français")]
    )
    is_active = models.BooleanField(_("may sign in"), default=True)
    joined_at = models.DateTimeField(default=timezone.now)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["display_name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("username"), name="username_any_case")]
        ordering = ["display_name"]

    def __str__(self) -> str:
        return self.display_name

    @property
    def joined(self) -> bool:
        """Whether the person ever chose a password."""
        return self.has_usable_password()

    def get_short_name(self) -> str:
        return self.display_name

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """Django's question, answered by the permission engine."""
        from accounts.permissions import can

        return obj is not None and can(self, perm, obj)


class Compartment(models.Model):
    """A need-to-know scope: one investigation. Its code begins every accession number in it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(
        _("code"),
        max_length=20,
        unique=True,
        validators=[
            RegexValidator(r"^[A-Z][A-Z0-9-]{1,18}[A-Z0-9]\Z", _("Capital letters, digits and dashes: SY-2025."))
        ],
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    opened_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"


class GrantQuerySet(models.QuerySet["Grant"]):
    def in_force(self) -> "GrantQuerySet":
        """Grants that count at this moment: not revoked, not expired, of a person who may sign in."""
        now = timezone.now()
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=now),
            revoked_at__isnull=True,
            user__is_active=True,
        )


class Grant(models.Model):
    """A role held in a compartment; without a compartment, over the whole archive."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="grants", verbose_name=_("person"))
    compartment = models.ForeignKey(
        Compartment, models.PROTECT, null=True, blank=True, related_name="grants", verbose_name=_("compartment")
    )
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    granted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(compartment__isnull=False) | models.Q(role__in=[*ARCHIVE_WIDE_ROLES]),
                name="content_roles_need_a_compartment",
            ),
            models.UniqueConstraint(
                fields=["user", "compartment", "role"],
                condition=models.Q(revoked_at__isnull=True),
                nulls_distinct=False,
                name="grant_held_once",
            ),
        ]
        ordering = ["-granted_at"]

    def __str__(self) -> str:
        return f"{self.get_role_display()} · {self.compartment or _('whole archive')}"


class Invitation(models.Model):
    """A one-time link with which a person sets a first password. Only the digest of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.id)


class ApiToken(models.Model):
    """A key for the API, shown once. Only the digest of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="api_tokens")
    purpose = models.CharField(_("purpose"), max_length=200)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    read_only = models.BooleanField(_("may only read"), default=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.purpose}"

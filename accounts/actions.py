"""Acts on people, compartments and grants. Each is one transaction with its custody event."""

import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.models import ARCHIVE_WIDE_ROLES, ApiToken, Compartment, Grant, Invitation, Role, User, digest_of
from accounts.permissions import NotNow, Refused, require, require_anywhere, require_compartment
from custody.engine import SYSTEM, Agent, Subject, acting, record
from custody.vocabulary import Outcome, Type

INVITATION_LIFE = timedelta(days=7)
TOKEN_LIFE_MOST = timedelta(days=366)


def found_archive(*, username: str, display_name: str, password: str, at: datetime) -> User:
    """Make the first administrator of an empty archive. Raises NotNow when anybody is there already."""
    with acting():
        if User.objects.exists():
            raise NotNow(_("This archive already has people. Ask an administrator for an invitation."))
        user = User(username=username, display_name=display_name, joined_at=at)
        user.set_password(password)
        user.full_clean()
        user.save()
        grant = Grant.objects.create(user=user, role=Role.ADMINISTRATOR, granted_at=at, reason=_("Founder"))
        record(Type.ACCOUNT, by=SYSTEM, at=at, subjects=[Subject("user", user.id)], fields={"to": {"founded": True}})
        _record_grant(Type.GRANT, by=SYSTEM, at=at, grant=grant)
        return user


def invite_user(
    *, by: User, at: datetime, username: str, display_name: str, email: str = "", language: str = "en"
) -> tuple[User, str]:
    """Make a person who cannot sign in until the returned one-time secret is used. Raises Refused, ValidationError."""
    with acting():
        require_anywhere(by, "user.manage")
        user = User(username=username, display_name=display_name, email=email, language=language, joined_at=at)
        user.set_unusable_password()
        user.full_clean(exclude=["password"])
        user.save()
        return user, _invite(by=by, at=at, user=user)


def renew_invitation(*, by: User, at: datetime, user_id: UUID) -> str:
    """A new one-time secret; earlier unused ones stop working. Also how a lost password is replaced."""
    with acting():
        user = require(by, "user.manage", User.objects.all(), pk=user_id)
        Invitation.objects.filter(user=user, used_at__isnull=True).update(expires_at=at)
        return _invite(by=by, at=at, user=user)


def _invite(*, by: User, at: datetime, user: User) -> str:
    secret = secrets.token_urlsafe(32)
    Invitation.objects.create(
        user=user, digest=digest_of(secret), invited_by=by, created_at=at, expires_at=at + INVITATION_LIFE
    )
    record(Type.INVITE, by=by, at=at, subjects=[Subject("user", user.id)])
    return secret


def accept_invitation(*, secret: str, password: str, at: datetime) -> User:
    """Set a first password, or replace a lost one; then the person's API tokens are revoked with it.

    Raises NotNow when the link was used, expired, or never was.
    """
    with acting():
        invitation = (
            Invitation.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(digest=digest_of(secret), used_at__isnull=True, expires_at__gt=at, user__is_active=True)
            .first()
        )
        if invitation is None:
            raise NotNow(_("This invitation was used or has expired. Ask an administrator for a new one."))
        invitation.used_at = at
        invitation.save(update_fields=["used_at"])
        user = invitation.user
        user.set_password(password)
        user.save(update_fields=["password"])
        _record_password(by=user, at=at, done="set")
        return user


def change_own_password(*, by: User, at: datetime, password: str) -> None:
    """Replace one's own password and revoke one's API tokens; the old password was checked by the form."""
    with acting():
        by.set_password(password)
        by.save(update_fields=["password"])
        _record_password(by=by, at=at, done="changed")


def _record_password(*, by: User, at: datetime, done: str) -> None:
    """Whoever knew the old password may have issued tokens with it, or asked for a link: none outlives it."""
    Invitation.objects.filter(user=by, used_at__isnull=True, expires_at__gt=at).update(expires_at=at)
    in_force = ApiToken.objects.filter(user=by, revoked_at__isnull=True, expires_at__gt=at)
    tokens = list(in_force.select_for_update().order_by("pk"))
    ApiToken.objects.filter(pk__in=[token.pk for token in tokens]).update(revoked_at=at)
    to: dict[str, Any] = {"password": done}
    if tokens:
        to["tokens_revoked"] = [str(token.pk) for token in tokens]
    record(Type.ACCOUNT, by=by, at=at, subjects=[Subject("user", by.id)], fields={"to": to})


def set_language(*, by: User, language: str) -> None:
    """One's own reading language: a preference, which is no custody fact. Raises ValidationError for an unknown one."""
    if language not in dict(User._meta.get_field("language").choices or ()):
        raise ValidationError({"language": _("The archive does not speak this language.")})
    User.objects.filter(pk=by.pk).update(language=language)
    by.language = language


def rename_self(*, by: User, at: datetime, display_name: str) -> User:
    """Change the name colleagues see. Raises ValidationError naming the field."""
    with acting():
        user = User.objects.select_for_update().get(pk=by.pk)
        before, user.display_name = user.display_name, display_name
        user.clean_fields(exclude=["password"])
        if user.display_name != before:
            user.save(update_fields=["display_name"])
            record(
                Type.ACCOUNT,
                by=by,
                at=at,
                subjects=[Subject("user", user.id)],
                fields={"from": {"display_name": before}, "to": {"display_name": user.display_name}},
            )
        by.display_name = user.display_name
        return user


def set_active(*, by: User, at: datetime, user_id: UUID, active: bool, reason: str) -> User:
    """Bar a person from the archive, or let them in again; effective from their next request.

    Raises Refused, NotVisible, and NotNow for oneself and for the last administrator.
    """
    with acting():
        _lock_administrators()
        user = require(by, "user.manage", User.objects.all(), lock=True, pk=user_id)
        _need_reason(reason)
        if user.pk == by.pk:
            raise NotNow(_("You cannot bar yourself."))
        if user.is_active == active:
            raise NotNow(_("That is so already."))
        before, user.is_active = user.is_active, active
        user.save(update_fields=["is_active"])
        record(
            Type.ACCOUNT,
            by=by,
            at=at,
            subjects=[Subject("user", user.id)],
            fields={"from": {"active": before}, "to": {"active": active}, "purpose": reason},
        )
        return user


def open_compartment(*, by: User, at: datetime, code: str, title: str, description: str = "") -> Compartment:
    """Open a compartment for an investigation. Only an administrator of the whole archive may."""
    with acting():
        require_anywhere(by, "compartment.open")
        compartment = Compartment(code=code, title=title, description=description, opened_at=at)
        compartment.full_clean()
        compartment.save()
        record(
            Type.CREATE,
            by=by,
            at=at,
            compartment=compartment.id,
            subjects=[Subject("compartment", compartment.id)],
            fields={"to": {"code": code, "title": title}},
        )
        return compartment


def describe_compartment(*, by: User, at: datetime, compartment_id: UUID, title: str, description: str) -> Compartment:
    """Change a compartment's title and description; its code stays, accession numbers begin with it.

    Raises Refused, NotVisible, ValidationError naming the field.
    """
    with acting():
        compartment = require(by, "compartment.edit", Compartment.objects.all(), lock=True, pk=compartment_id)
        before = {"title": compartment.title, "description": compartment.description}
        after = {"title": title, "description": description}
        compartment.title, compartment.description = title, description
        compartment.clean_fields()
        changed = [name for name in after if after[name] != before[name]]
        if changed:
            compartment.save(update_fields=changed)
            record(
                Type.DESCRIBE,
                by=by,
                at=at,
                compartment=compartment.id,
                subjects=[Subject("compartment", compartment.id)],
                fields={
                    "from": {name: before[name] for name in changed},
                    "to": {name: after[name] for name in changed},
                },
            )
        return compartment


def grant_role(
    *,
    by: User,
    at: datetime,
    user_id: UUID,
    role: str,
    compartment_id: UUID | None,
    reason: str,
    expires_at: datetime | None = None,
) -> Grant:
    """Grant a role. Nobody grants to themselves: an administrator who wants to see evidence needs another's act.

    Raises Refused, NotVisible, NotNow, ValidationError naming the field.
    """
    with acting():
        compartment = require_compartment(by, "compartment.grant", compartment_id) if compartment_id else None
        if compartment is None:
            if role not in ARCHIVE_WIDE_ROLES:
                raise ValidationError({"compartment": _("This role sees evidence: choose one compartment.")})
            if not _administers_everything(by):
                raise Refused(by, "compartment.grant", None)
        user = require(by, "user.view", User.objects.all(), pk=user_id)
        _need_reason(reason)
        if expires_at is not None and expires_at <= at:
            raise ValidationError({"expires_at": _("This day is over already.")})
        if user.pk == by.pk:
            raise Refused(by, "compartment.grant", compartment)
        grant = Grant(
            user=user,
            compartment=compartment,
            role=role,
            reason=reason,
            granted_by=by,
            granted_at=at,
            expires_at=expires_at,
        )
        grant.full_clean(validate_constraints=False)
        # An expired grant still stands in the way of a new one of the same kind: it is closed as of its expiry.
        Grant.objects.filter(
            user=user, compartment=compartment, role=role, revoked_at__isnull=True, expires_at__lte=at
        ).update(revoked_at=F("expires_at"))
        try:
            with transaction.atomic():
                grant.save()
        except IntegrityError:
            raise ValidationError({"role": _("This person holds this role there already.")}) from None
        _record_grant(Type.GRANT, by=by, at=at, grant=grant)
        return grant


def revoke_grant(*, by: User, at: datetime, grant_id: UUID, reason: str) -> Grant:
    """Take a role back; it no longer counts from the next request.

    Raises Refused, NotVisible, and NotNow when it was revoked already or is the last administrator's.
    """
    with acting():
        administrators = _lock_administrators()
        grant = require(by, "grant.revoke", Grant.objects.all(), lock=True, pk=grant_id)
        _need_reason(reason)
        if grant.revoked_at is not None:
            raise NotNow(_("This grant was revoked already."))
        if administrators == [grant.pk]:
            raise NotNow(_("This is the last administrator: grant the role to another person first."))
        grant.revoked_at, grant.revoked_by = at, by
        grant.save(update_fields=["revoked_at", "revoked_by"])
        _record_grant(Type.REVOKE, by=by, at=at, grant=grant, reason=reason)
        return grant


def _administers_everything(user: User) -> bool:
    held = Grant.objects.in_force().filter(user=user, role=Role.ADMINISTRATOR, compartment__isnull=True)
    return held.exists()


def _lock_administrators() -> list[UUID]:
    """The grants in force of administrators of the whole archive, locked: two of them cannot remove each other."""
    held = Grant.objects.in_force().filter(role=Role.ADMINISTRATOR, compartment__isnull=True)
    list(held.order_by("pk").select_for_update(of=("self",)))
    # Asked again under the lock: the first answer may be older than what the other one did while this one waited.
    return list(held.values_list("pk", flat=True))


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": _("Say why: the reason is kept in the ledger.")})


def _record_grant(type: Type, *, by: Agent, at: datetime, grant: Grant, reason: str = "") -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=grant.compartment_id,
        subjects=[
            Subject("user", grant.user_id),
            *([Subject("compartment", grant.compartment_id)] if grant.compartment_id else []),
        ],
        fields={"to": {"role": grant.role, "grant": str(grant.id)}, "purpose": reason or grant.reason},
    )


def issue_token(*, by: User, at: datetime, purpose: str, read_only: bool, life: timedelta) -> tuple[ApiToken, str]:
    """A token for the API; the returned secret is shown once and kept nowhere."""
    with acting():
        if not timedelta(0) < life <= TOKEN_LIFE_MOST:
            raise ValidationError({"life": _("A token lives for one day to one year.")})
        secret = "sanad_" + secrets.token_urlsafe(32)
        token = ApiToken(
            user=by,
            purpose=purpose,
            prefix=secret[:12],
            digest=digest_of(secret),
            read_only=read_only,
            created_at=at,
            expires_at=at + life,
        )
        token.full_clean()
        token.save()
        record(
            Type.TOKEN,
            by=by,
            at=at,
            subjects=[Subject("user", by.id)],
            fields={"to": {"token": str(token.id), "read_only": read_only, "issued": True}},
        )
        return token, secret


def revoke_token(*, by: User, at: datetime, token_id: UUID) -> ApiToken:
    """Withdraw one's own token; it stops working with the next request."""
    with acting():
        token = require(by, "token.revoke", ApiToken.objects.all(), lock=True, pk=token_id)
        if token.revoked_at is None:
            token.revoked_at = at
            token.save(update_fields=["revoked_at"])
            record(
                Type.TOKEN,
                by=by,
                at=at,
                subjects=[Subject("user", by.id)],
                fields={"to": {"token": str(token.id), "revoked": True}},
            )
        return token


def record_refusal(
    *, by: User, at: datetime, permission: str, kind: str | None, object_id: UUID | None, compartment: UUID | None
) -> None:
    """Write that a person tried what they may not. The refused learn nothing from it."""
    subjects = [Subject("user", by.id)]
    if kind and object_id and object_id != by.id:
        subjects.insert(0, Subject(kind, object_id))
    with acting():
        record(
            Type.REFUSE,
            by=by,
            at=at,
            compartment=compartment,
            subjects=subjects,
            outcome=Outcome.REFUSED,
            fields={"to": {"permission": permission}},
        )

"""Acts on the identity vault. A name goes in through here, and comes out only after its opening is in the ledger."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, permitted, require, require_compartment
from custody import seal
from custody.engine import Subject, acting, record
from custody.vocabulary import Outcome, Type
from witnesses import names
from witnesses.identity import RealIdentity, sealed, unsealed
from witnesses.models import Identity, IdentityRevision, NameToken, Witness
from witnesses.queries import naming

SHORTEST_REASON = 10  # characters
LONGEST_REASON = 500

log = logging.getLogger("witnesses.vault")


@dataclass(frozen=True)
class Match:
    """A witness who may be the person asked about; `how` they match: born, name or similar, "" where hidden."""

    witness: Witness
    how: str


def record_identity(*, by: User, at: datetime, witness_id: UUID, identity: RealIdentity) -> Identity:
    """Put an identity into the vault, once; an investigator cannot read it again.

    Raises NotVisible, Refused, and NotNow when the vault holds one already.
    """
    with acting():
        witness = require(by, "identity.record", Witness.objects.all(), lock=True, pk=witness_id)
        if Identity.objects.filter(witness=witness).exists():
            raise NotNow(_("The vault holds this witness's identity already. A protection officer can correct it."))
        held = Identity.objects.create(witness=witness, recorded_by=by, recorded_at=at)
        _keep(held, 1, identity, by=by, at=at)
        _record_keeping(held, 0, 1, by=by, at=at, witness=witness, reason="")
        return held


def revise_identity(*, by: User, at: datetime, witness_id: UUID, identity: RealIdentity, reason: str) -> Identity:
    """Add a corrected state of an identity; earlier ones stay sealed beside it.

    Raises NotVisible, Refused, ValidationError naming the field, and NotNow when there is none yet.
    """
    with acting():
        witness = require(by, "identity.revise", Witness.objects.all(), lock=True, pk=witness_id)
        held = _held(witness)
        reason = checked_reason(reason, witness.compartment_id, shortest=SHORTEST_REASON)
        last = held.revisions.latest("number").number
        _keep(held, last + 1, identity, by=by, at=at)
        _record_keeping(held, last, last + 1, by=by, at=at, witness=witness, reason=reason)
        return held


def open_identity(*, by: User, at: datetime, witness_id: UUID, reason: str) -> RealIdentity:
    """Show who a witness is, to a protection officer who says why.

    The event is committed before a byte is unsealed: whoever got the name stands in the ledger. Raises NotVisible,
    Refused, ValidationError on `reason`, NotNow when there is no identity or it no longer opens, and RuntimeError
    inside another act, whose roll-back could take the event away.
    """
    if getattr(connection, "sanad_acting", False):
        raise RuntimeError("an identity is opened in an act of its own")
    with acting():
        witness = require(by, "identity.open", Witness.objects.all(), pk=witness_id)
        reason = checked_reason(reason, witness.compartment_id, shortest=SHORTEST_REASON)
        revision = _held(witness).revisions.latest("number")
        _record_opening(Outcome.SUCCESS, by=by, at=at, witness=witness, revision=revision, reason=reason)
    try:
        return unsealed(revision)
    except seal.SealBroken:
        log.error("an identity record does not open: changed, or its key was destroyed")
        with acting():
            _record_opening(Outcome.FAILURE, by=by, at=at, witness=witness, revision=revision, reason=reason)
        raise NotNow(
            _("This identity record does not open: it was changed outside the archive, or its key was destroyed.")
        ) from None


def find_spoken_before(
    *, by: User, at: datetime, compartment_id: UUID, asked: list[str], birth_year: int | None = None
) -> list[Match]:
    """Whether a person of these names has already spoken to us, without opening anything.

    Answers with witnesses of compartments the user sees; to protection officers also how each matched. Asking is a
    custody event, without the name. Raises NotVisible, Refused, ValidationError on `name`.
    """
    with acting():
        compartment = require_compartment(by, "witness.open", compartment_id)
        if not any(names.exact(name) for name in asked):
            raise ValidationError({"name": _("Give a name to ask for.")})
        found = _matches(by, asked, birth_year)
        record(
            Type.ASK_SPOKEN,
            by=by,
            at=at,
            compartment=compartment.id,
            subjects=[
                Subject("compartment", compartment.id),
                *(Subject("witness", match.witness.id) for match in found),
            ],
            fields={"to": {"matches": len(found)}},
        )
    return found


def checked_reason(reason: str, compartment_id: UUID, *, shortest: int = 1, field: str = "reason") -> str:
    """The reason, trimmed, fit for the ledger. Raises ValidationError naming the field."""
    reason = reason.strip()
    if len(reason) < shortest:
        if not reason or shortest == 1:
            raise ValidationError({field: _("Say why: the reason is kept in the ledger.")})
        raise ValidationError({field: _("Say why in at least %(count)s characters.") % {"count": shortest}})
    if len(reason) > LONGEST_REASON:
        raise ValidationError({field: _("This is too long: at most %(count)s characters.") % {"count": LONGEST_REASON}})
    require_unnamed(compartment_id, {field: reason})
    return reason


def require_unnamed(compartment_id: UUID, texts: Mapping[str, Any]) -> None:
    """Raises ValidationError on every field whose text, or one of its list of texts, names a witness there."""
    held: dict[str, list[str]] = {}
    for field, value in texts.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        held[field] = [part for part in parts if isinstance(part, str) and part]
    named = naming(held, compartment_id)
    if named:
        words = _("This names a witness. Write the pseudonym instead; names belong in the identity vault.")
        raise ValidationError({field: words for field in texts if field in named})


def _matches(by: User, asked: list[str], birth_year: int | None) -> list[Match]:
    wanted: dict[bytes, str] = {}
    for name in asked:
        whole, similar = names.exact(name), names.similar(name)
        for form in similar:
            wanted.setdefault(names.token("similar", form), "similar")
        if whole is None:
            continue
        wanted[names.token("name", whole)] = "name"
        if birth_year is not None:
            for form in (whole, *similar):
                wanted[names.token(f"born {birth_year}", form)] = "born"
    hits = NameToken.objects.filter(token__in=list(wanted)).values_list("identity__witness_id", "token")
    best: dict[UUID, str] = {}
    order = ["similar", "name", "born"]
    for witness_id, token in hits:
        how = wanted[bytes(token)]
        best[witness_id] = max(best.get(witness_id, how), how, key=order.index)
    visible = permitted(by, "witness.view", Witness.objects.select_related("compartment")).filter(pk__in=best)
    opens = set(permitted(by, "identity.open", Witness.objects.filter(pk__in=best)).values_list("pk", flat=True))
    found = [Match(witness, best[witness.id] if witness.id in opens else "") for witness in visible]
    return sorted(found, key=lambda match: (-order.index(best[match.witness.id]), match.witness.pseudonym))


def _held(witness: Witness) -> Identity:
    held = Identity.objects.filter(witness=witness).first()
    if held is None:
        raise NotNow(_("The vault holds no identity of this witness yet."))
    return held


def _keep(held: Identity, number: int, identity: RealIdentity, *, by: User, at: datetime) -> None:
    IdentityRevision.objects.create(identity=held, number=number, sealed=sealed(held, number, identity), at=at, by=by)
    NameToken.objects.filter(identity=held).delete()
    NameToken.objects.bulk_create(
        NameToken(identity=held, token=token) for token in sorted(names.tokens(identity.names, identity.birth_year))
    )


def _record_keeping(
    held: Identity, last: int, number: int, *, by: User, at: datetime, witness: Witness, reason: str
) -> None:
    revision = held.revisions.get(number=number)
    record(
        Type.RECORD_IDENTITY,
        by=by,
        at=at,
        compartment=witness.compartment_id,
        subjects=[Subject("witness", witness.id)],
        fields={
            "object": {"pseudonym": witness.pseudonym},
            "from": {"revision": last},
            "to": {"revision": number, "sealed_sha256": hashlib.sha256(bytes(revision.sealed)).hexdigest()},
            "purpose": reason,
        },
    )


def _record_opening(
    outcome: Outcome, *, by: User, at: datetime, witness: Witness, revision: IdentityRevision, reason: str
) -> None:
    record(
        Type.OPEN_IDENTITY,
        by=by,
        at=at,
        compartment=witness.compartment_id,
        subjects=[Subject("witness", witness.id)],
        outcome=outcome,
        fields={
            "object": {"pseudonym": witness.pseudonym, "revision": revision.number},
            "purpose": reason,
        },
    )

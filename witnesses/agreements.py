"""Acts on consent: recording what a witness agreed to, and taking it back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, permitted, require
from custody.engine import Subject, acting, record
from custody.vocabulary import Type
from evidence.dates import parse
from evidence.models import Item
from witnesses.models import Consent, Witness
from witnesses.particulars import CONSENT, as_values
from witnesses.vault import checked_reason, require_unnamed
from witnesses.vocabulary import AgeBand, Guardian, IdentityLevel, Vulnerability


def record_consent(
    *, by: User, at: datetime, witness_id: UUID, agreed: Mapping[str, Any], form_accession: str = ""
) -> Consent:
    """Record what a witness agreed to; it takes the place of every earlier consent.

    `agreed` are of witnesses.particulars.CONSENT; `form_accession` is the item that shows the signed form.
    Raises NotVisible, Refused, ValidationError naming the field.
    """
    with acting():
        witness = require(by, "witness.record_consent", Witness.objects.all(), lock=True, pk=witness_id)
        consent = Consent(witness=witness, recorded_by=by, recorded_at=at)
        unknown = [name for name in agreed if name not in CONSENT]
        if unknown:
            raise ValidationError({name: _("This is not a part of a consent.") for name in unknown})
        for name, value in agreed.items():
            setattr(consent, name, value)
        _check(consent, by=by, form_accession=form_accession)
        consent.save()
        record(
            Type.CONSENT,
            by=by,
            at=at,
            compartment=witness.compartment_id,
            subjects=[Subject("witness", witness.id), Subject("consent", consent.id)],
            fields={
                "object": {
                    "pseudonym": witness.pseudonym,
                    "form": consent.form_item.accession if consent.form_item else None,
                },
                "to": as_values(consent, CONSENT),
            },
        )
        return consent


def withdraw_consent(*, by: User, at: datetime, consent_id: UUID, reason: str) -> Consent:
    """Take a consent back; from this moment nothing of this witness leaves the archive on its strength.

    Raises NotVisible, Refused, NotNow when it was withdrawn already, ValidationError on `reason`.
    """
    with acting():
        consent = require(by, "consent.withdraw", Consent.objects.select_related("witness"), lock=True, pk=consent_id)
        if consent.withdrawn_at is not None:
            raise NotNow(_("This consent was withdrawn already."))
        witness = consent.witness
        consent.withdrawal_reason = checked_reason(reason, witness.compartment_id)
        consent.withdrawn_by, consent.withdrawn_at = by, at
        consent.save(update_fields=["withdrawn_by", "withdrawn_at", "withdrawal_reason"])
        record(
            Type.WITHDRAW_CONSENT,
            by=by,
            at=at,
            compartment=witness.compartment_id,
            subjects=[Subject("witness", witness.id), Subject("consent", consent.id)],
            fields={
                "object": {"pseudonym": witness.pseudonym},
                "from": as_values(consent, CONSENT),
                "purpose": consent.withdrawal_reason,
            },
        )
        return consent


def _check(consent: Consent, *, by: User, form_accession: str) -> None:
    errors: dict[str, Any] = {}
    try:
        dated = parse(consent.given_edtf)
    except ValidationError as problem:
        errors["given_edtf"] = problem.messages
    else:
        consent.given_edtf = dated.text
        if dated.earliest is None or dated.latest is None:
            errors["given_edtf"] = [_("Say when consent was given, at least the year.")]
        else:
            consent.given_earliest, consent.given_latest = dated.earliest, dated.latest
            if dated.earliest > consent.recorded_at.date():
                errors["given_edtf"] = [_("Consent cannot be given in the future.")]
    if consent.expires_at is not None and consent.expires_at <= consent.recorded_at:
        errors["expires_at"] = [_("This day is over already.")]
    if consent.identity_level != IdentityLevel.NOT_AT_ALL:
        for name, message in (
            ("purposes", _("Choose at least one purpose, or “Not at all” below.")),
            ("recording_media", _("Choose at least one form, or “Not at all” above.")),
        ):
            if not getattr(consent, name):
                errors[name] = [message]
        if not consent.recipients and not consent.named_recipients:
            errors["recipients"] = [_("Choose at least one recipient, or name one.")]
    witness = consent.witness
    child = witness.age_band == AgeBand.CHILD or Vulnerability.MINOR in witness.vulnerabilities
    if child and consent.guardian == Guardian.NONE:
        errors["guardian"] = [_("This witness is a child: say which guardian agreed.")]
    if form_accession.strip():
        items = permitted(by, "item.view_content", Item.objects.filter(compartment_id=witness.compartment_id))
        found = items.filter(accession__iexact=form_accession.strip())
        consent.form_item = found.select_for_update(of=("self",)).first()  # evidence.standing: why it is locked
        if consent.form_item is None:
            errors["form_accession"] = [_("No item in this compartment has this accession number.")]
    try:
        consent.full_clean(
            exclude=["given_earliest", "given_latest", *errors], validate_unique=False, validate_constraints=False
        )
    except ValidationError as problem:
        errors = problem.message_dict | errors
    if errors:
        raise ValidationError(errors)
    texts: dict[str, Any] = {name: getattr(consent, name) for name in CONSENT}
    texts["named_recipients"] = "\n".join(consent.named_recipients)
    require_unnamed(witness.compartment_id, texts)

"""Acts on claims: what sources say of an incident, each in its own scope. Claims are set side by side, never summed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, require
from custody.engine import Subject, acting, record
from custody.vocabulary import Type
from evidence.dates import parse
from evidence.guard import require_unnamed
from incidents.actions import fill, require_reason
from incidents.description import CLAIMED, CLAIMED_TEXTS, claimed
from incidents.models import Claim, ClaimBreakdown, Incident
from incidents.state import require_not_closed

MOST_BREAKDOWN_ROWS = 60
BREAKDOWN_FIELDS = ("dimension", "category", "count")


def record_claim(
    *,
    by: User,
    at: datetime,
    incident: Incident,
    fields: Mapping[str, Any],
    breakdown: Sequence[Mapping[str, Any]] = (),
) -> Claim:
    """Record what a source claims; `fields` are those of CLAIMED, `breakdown` rows are {dimension, category, count}.

    A claim is not edited: a source that says something else makes another one. Raises NotVisible, Refused, NotNow for
    a closed incident, ValidationError naming the field.
    """
    with acting():
        incident = require(by, "incident.claim", Incident.objects.all(), lock=True, pk=incident.pk)
        require_not_closed(incident)
        claim = Claim(incident=incident, recorded_by=by, recorded_at=at)
        rows = state(claim, fields, breakdown)
        words = {name: getattr(claim, name) for name in CLAIMED_TEXTS}
        require_unnamed(incident.compartment_id, words | {"breakdown": [row.category for row in rows]})
        claim.save()
        for row in rows:
            row.claim = claim
        ClaimBreakdown.objects.bulk_create(rows)
        record(
            Type.DESCRIBE,
            by=by,
            at=at,
            compartment=incident.compartment_id,
            subjects=[Subject("incident", incident.id), Subject("claim", claim.id)],
            fields={"object": {"claim": str(claim.id)}, "to": claimed(claim, rows)},
        )
        return claim


def withdraw_claim(*, by: User, at: datetime, claim: Claim, reason: str) -> Claim:
    """Withdraw a claim that was recorded wrongly; it stays readable as withdrawn.

    Raises NotVisible, Refused, NotNow when it was withdrawn already or the incident is closed, ValidationError.
    """
    with acting():
        claim = require(by, "claim.withdraw", Claim.objects.select_related("incident"), lock=True, pk=claim.pk)
        if claim.withdrawn_at is not None:
            raise NotNow(_("This claim was withdrawn already."))
        require_not_closed(claim.incident)
        require_reason(reason, claim.incident.compartment_id)
        claim.withdrawn_by, claim.withdrawn_at, claim.withdrawn_reason = by, at, reason.strip()
        claim.save(update_fields=["withdrawn_by", "withdrawn_at", "withdrawn_reason"])
        record(
            Type.DESCRIBE,
            by=by,
            at=at,
            compartment=claim.incident.compartment_id,
            subjects=[Subject("incident", claim.incident_id), Subject("claim", claim.id)],
            fields={
                "object": {"claim": str(claim.id)},
                "from": {"withdrawn": False},
                "to": {"withdrawn": True},
                "purpose": reason,
            },
        )
        return claim


def state(claim: Claim, fields: Mapping[str, Any], breakdown: Sequence[Mapping[str, Any]]) -> list[ClaimBreakdown]:
    """Put what the source states into a claim that is not saved, and give its parts. Raises ValidationError."""
    errors: dict[str, Any] = {}
    rows: list[ClaimBreakdown] = []
    fill(claim, fields, CLAIMED)
    try:
        claim.full_clean(exclude=["incident", "recorded_by"], validate_unique=False, validate_constraints=False)
    except ValidationError as problem:
        errors |= problem.message_dict
    try:
        dated = parse(claim.period_edtf)
        claim.period_edtf, claim.period_earliest, claim.period_latest = dated.text, dated.earliest, dated.latest
    except ValidationError as problem:
        errors["period_edtf"] = problem.messages
    if not {"minimum", "maximum"} & set(errors):
        if claim.minimum is None and claim.maximum is None:
            errors["minimum"] = [_("Give the number the source states: at least, at most, or both the same.")]
        elif claim.minimum is not None and claim.maximum is not None and claim.minimum > claim.maximum:
            errors["maximum"] = [_("“At most” is smaller than “at least”.")]
    try:
        rows = _parts(breakdown)
    except ValidationError as problem:
        errors["breakdown"] = problem.messages
    if errors:
        raise ValidationError(errors)
    return rows


def _parts(breakdown: Sequence[Mapping[str, Any]]) -> list[ClaimBreakdown]:
    if len(breakdown) > MOST_BREAKDOWN_ROWS:
        raise ValidationError(_("At most %(count)s parts.") % {"count": MOST_BREAKDOWN_ROWS})
    rows: list[ClaimBreakdown] = []
    seen: set[tuple[str, str]] = set()
    for order, part in enumerate(breakdown):
        row = ClaimBreakdown(order=order)
        try:
            fill(row, part, BREAKDOWN_FIELDS)
            row.full_clean(exclude=["claim"], validate_unique=False, validate_constraints=False)
        except ValidationError as problem:
            words = "; ".join(f"{name}: {' '.join(found)}" for name, found in problem.message_dict.items())
            raise ValidationError(_("Part %(number)s: %(problem)s") % {"number": order + 1, "problem": words}) from None
        if (row.dimension, row.category) in seen:
            raise ValidationError(_("The part “%(category)s” is there twice.") % {"category": row.category})
        seen.add((row.dimension, row.category))
        rows.append(row)
    return rows

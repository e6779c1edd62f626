"""Setting the particulars of a testimony, and whether they can be true."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import Compartment, Grant, User
from accounts.permissions import rules
from evidence.dates import parse
from witnesses.models import Testimony
from witnesses.particulars import TESTIMONY
from witnesses.vault import require_unnamed


def refuse_unknown(changes: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raises ValidationError on every name that is not one that can be set here."""
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise ValidationError({name: _("This is not a field that can be described.") for name in unknown})


def describe(testimony: Testimony, changes: Mapping[str, Any]) -> None:
    """Set and check particulars. Raises ValidationError naming every field that is wrong."""
    refuse_unknown(changes, TESTIMONY)
    for name, value in changes.items():
        setattr(testimony, name, value)
    errors: dict[str, Any] = {}
    try:
        dated = parse(testimony.interview_edtf)
    except ValidationError as problem:
        errors["interview_edtf"] = problem.messages
    else:
        testimony.interview_edtf = dated.text
        testimony.interview_earliest, testimony.interview_latest = dated.earliest, dated.latest
        if dated.earliest is not None and dated.earliest > testimony.recorded_at.date():
            errors["interview_edtf"] = [_("An interview cannot be recorded before it took place.")]
    if (testimony.latitude is None) != (testimony.longitude is None):
        errors["latitude"] = [_("Give both latitude and longitude, or neither.")]
    elif testimony.latitude is not None and not testimony.precision:
        errors["precision"] = [_("Say how precise these coordinates are.")]
    if "interviewer" in changes and testimony.interviewer not in interviewers(testimony.compartment):
        errors["interviewer"] = [_("Interviewers are people who meet witnesses of this compartment.")]
    try:
        testimony.full_clean(exclude=["number", *errors], validate_unique=False, validate_constraints=False)
    except ValidationError as problem:
        errors = problem.message_dict | errors
    if errors:
        raise ValidationError(errors)
    require_unnamed(testimony.compartment_id, {name: getattr(testimony, name) for name in TESTIMONY})


def interviewers(compartment: Compartment) -> list[User]:
    """Who may have held an interview: those whose role lets them meet witnesses of the compartment, by name."""
    roles = rules()["witness.record_testimony"].roles or ()
    held = Grant.objects.in_force().filter(compartment=compartment, role__in=roles)
    return list(User.objects.filter(pk__in=held.values("user_id")).order_by("display_name"))

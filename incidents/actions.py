"""Acts on incidents and links, each one transaction with its custody event: if the ledger refuses, nothing happened."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from accounts.models import Compartment, User
from accounts.permissions import NotNow, require, require_compartment
from custody.engine import Subject, acting, record
from custody.readings import record_reading
from custody.vocabulary import Type
from evidence.dates import parse
from evidence.guard import changed, require_unnamed
from evidence.models import Item
from evidence.standing import standing
from incidents.description import ASSESSED, DESCRIBED, TEXTS, assessed, described
from incidents.models import Incident, IncidentNumber, Link, ViolationCategory
from incidents.state import require_not_closed, require_transition
from incidents.vocabulary import Status


def open_incident(
    *,
    by: User,
    at: datetime,
    compartment_id: UUID,
    fields: Mapping[str, Any],
    categories: Iterable[str] = (),
    code: str = "",
    status: str = Status.OPEN,
) -> Incident:
    """Open an incident; without a code it gets the compartment's next number, I-0001.

    `fields` are those of incidents.description.DESCRIBED, `categories` are codes. Raises NotVisible, Refused,
    ValidationError naming the field.
    """
    with acting():
        compartment = require_compartment(by, "incident.open", compartment_id)
        if status not in (Status.DRAFT, Status.OPEN):
            raise ValidationError({"status": _("A new incident is a draft or open.")})
        incident = Incident(
            compartment=compartment,
            code=code.strip() or _next_code(compartment),
            status=status,
            opened_by=by,
            opened_at=at,
        )
        chosen = _say(incident, fields, categories=list(categories))
        require_unnamed(compartment.id, {name: getattr(incident, name) for name in ("code", *TEXTS)})
        _save(incident)
        incident.categories.set(chosen)
        record(
            Type.CREATE,
            by=by,
            at=at,
            compartment=compartment.id,
            subjects=[Subject("incident", incident.id)],
            fields={
                "object": {"code": incident.code, "status": str(incident.status)},
                "to": described(incident, [category.code for category in chosen]),
            },
        )
        return incident


def edit_incident(
    *,
    by: User,
    at: datetime,
    incident: Incident,
    changes: Mapping[str, Any],
    categories: Iterable[str] | None = None,
    reason: str = "",
) -> Incident:
    """Change what is said of an incident; what stays as it was is not written. `categories` None leaves them.

    Raises NotVisible, Refused, NotNow for a closed incident, ValidationError naming the field.
    """
    with acting():
        incident = require(by, "incident.edit", Incident.objects.all(), lock=True, pk=incident.pk)
        require_not_closed(incident)
        held = list(incident.categories.values_list("code", flat=True))
        before = described(incident, held)
        chosen = _say(incident, changes, categories=held if categories is None else list(categories))
        after = described(incident, [category.code for category in chosen])
        new = changed(before, after)
        if not new:
            return incident
        words = {name: value for name, value in new.items() if name in TEXTS}
        require_unnamed(incident.compartment_id, words | {"reason": reason})
        _save(incident)
        incident.categories.set(chosen)
        record(
            Type.DESCRIBE,
            by=by,
            at=at,
            compartment=incident.compartment_id,
            subjects=[Subject("incident", incident.id)],
            fields={
                "from": {name: before[name] for name in new},
                "to": new,
                "purpose": reason,
            },
        )
        return incident


def change_status(*, by: User, at: datetime, incident: Incident, status: str, reason: str) -> Incident:
    """Move an incident to a status that may follow its own. Raises NotVisible, Refused, NotNow, ValidationError."""
    with acting():
        incident = require(by, "incident.change_status", Incident.objects.all(), lock=True, pk=incident.pk)
        if status not in Status.values:
            raise ValidationError({"status": _("There is no such status.")})
        require_reason(reason, incident.compartment_id)
        require_transition(incident, Status(status))
        before, incident.status = incident.status, status
        incident.save(update_fields=["status"])
        record(
            Type.DESCRIBE,
            by=by,
            at=at,
            compartment=incident.compartment_id,
            subjects=[Subject("incident", incident.id)],
            fields={"from": {"status": str(before)}, "to": {"status": str(status)}, "purpose": reason},
        )
        return incident


def read_incident(*, by: User, at: datetime, incident_id: UUID) -> Incident:
    """Fetch an incident to show its words, or those of its links and claims.

    Reading is a custody event, once per person in five minutes.
    """
    with acting():
        incident = require(
            by, "incident.view", Incident.objects.select_related("compartment", "opened_by"), pk=incident_id
        )
        record_reading(by=by, at=at, compartment=incident.compartment_id, subjects=[Subject("incident", incident.id)])
        return incident


def tag_item(
    *,
    by: User,
    at: datetime,
    item: Item,
    incident: Incident,
    stance: str,
    reasons: str,
    source_reliability: str = "",
    information_credibility: int | None = None,
) -> Link:
    """Link an item to an incident of the same compartment.

    Raises NotVisible, Refused, NotNow when it is linked already or the incident is closed, ValidationError.
    """
    with acting():
        incident = require(by, "incident.link", Incident.objects.all(), lock=True, pk=incident.pk)
        item = standing(by, "item.view_content", lock=True, pk=item.pk)
        require_not_closed(incident)
        if item.compartment_id != incident.compartment_id:
            raise ValidationError({"incident": _("The item and the incident lie in different compartments.")})
        link = Link(item=item, incident=incident, linked_by=by, linked_at=at)
        assess(
            link,
            {
                "stance": stance,
                "reasons": reasons,
                "source_reliability": source_reliability,
                "information_credibility": information_credibility,
            },
        )
        require_unnamed(incident.compartment_id, {"reasons": link.reasons})
        try:
            with transaction.atomic():
                link.save()
        except IntegrityError:
            raise NotNow(
                _("This item is linked to this incident already. Change that link, or withdraw it first.")
            ) from None
        _record_link(Type.TAG, by=by, at=at, link=link, to=assessed(link))
        return link


def change_link(*, by: User, at: datetime, link: Link, changes: Mapping[str, Any], reason: str = "") -> Link:
    """Change stance, reasons or grades of a link; unchanged fields are not written.

    Raises NotVisible, Refused, NotNow for a withdrawn link or a closed incident, ValidationError naming the field.
    """
    with acting():
        link = _held_link(by, "link.change", link)
        before = assessed(link)
        assess(link, changes)
        after = assessed(link)
        new = changed(before, after)
        if not new:
            return link
        require_unnamed(link.incident.compartment_id, {"reasons": new.get("reasons"), "reason": reason})
        link.save(update_fields=list(ASSESSED))
        _record_link(
            Type.TAG,
            by=by,
            at=at,
            link=link,
            was={name: before[name] for name in new},
            to=new,
            reason=reason,
        )
        return link


def withdraw_link(*, by: User, at: datetime, link: Link, reason: str) -> Link:
    """Withdraw a link; that it was made, and why it no longer counts, stays. Raises as change_link."""
    with acting():
        link = _held_link(by, "link.withdraw", link)
        require_reason(reason, link.incident.compartment_id)
        link.withdrawn_by, link.withdrawn_at, link.withdrawn_reason = by, at, reason.strip()
        link.save(update_fields=["withdrawn_by", "withdrawn_at", "withdrawn_reason"])
        _record_link(Type.UNTAG, by=by, at=at, link=link, was=assessed(link), reason=reason)
        return link


def assess(link: Link, changes: Mapping[str, Any]) -> None:
    """Put stance, reasons and grades into a link that is not saved. Raises ValidationError naming the field."""
    fill(link, changes, ASSESSED)
    link.clean_fields(exclude=[field.name for field in Link._meta.fields if field.name not in ASSESSED])


def fill(row: Model, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Set a row's fields from what was sent: line ends as LF, an empty value as None where a field takes it.

    Raises ValidationError for a name that is not one of `names`, and for characters that no text has.
    """
    known = set(names)
    errors: dict[str, list[str]] = {}
    for name, value in values.items():
        if name not in known:
            errors[name] = [_("This is not a field that can be described.")]
        elif isinstance(value, str) and any(c == "\0" or 0xD800 <= ord(c) <= 0xDFFF for c in value):
            errors[name] = [_("This text holds characters that cannot be kept (NUL or half a surrogate pair).")]
        else:
            kept = value.replace("\r\n", "\n").replace("\r", "\n").strip() if isinstance(value, str) else value
            nullable = getattr(row._meta.get_field(name), "null", False)
            setattr(row, name, None if nullable and kept == "" else kept)
    if errors:
        raise ValidationError(errors)


def require_reason(reason: str, compartment_id: UUID) -> None:
    """Raises ValidationError where no reason is given, a longer one than is kept, or one that names a witness."""
    if not reason.strip():
        raise ValidationError({"reason": _("Say why: the reason is kept in the ledger.")})
    if len(reason) > 500:
        raise ValidationError({"reason": _("At most 500 characters.")})
    require_unnamed(compartment_id, {"reason": reason})


def _say(incident: Incident, changes: Mapping[str, Any], *, categories: list[str]) -> list[ViolationCategory]:
    fill(incident, changes, DESCRIBED)
    errors: dict[str, Any] = {}
    chosen = list(ViolationCategory.objects.filter(code__in=categories))
    if unknown := sorted(set(categories) - {category.code for category in chosen}):
        errors["categories"] = [_("There is no violation category “%(code)s”.") % {"code": unknown[0]}]
    try:
        dated = parse(incident.happened_edtf)
        incident.happened_edtf = dated.text
        incident.happened_earliest, incident.happened_latest = dated.earliest, dated.latest
    except ValidationError as problem:
        errors["happened_edtf"] = problem.messages
    if (incident.latitude is None) != (incident.longitude is None):
        errors["latitude"] = [_("Give both latitude and longitude, or neither.")]
    elif incident.latitude is not None and not incident.precision:
        errors["precision"] = [_("Say how precise these coordinates are.")]
    try:
        incident.full_clean(exclude=["compartment", "opened_by"], validate_constraints=False)
    except ValidationError as problem:
        errors |= {name: found for name, found in problem.message_dict.items() if name not in errors}
    if errors:
        raise ValidationError(errors)
    return chosen


def _save(incident: Incident) -> None:
    try:
        with transaction.atomic():
            incident.save()
    except IntegrityError:
        raise ValidationError({"code": _("Another incident of this compartment has this code.")}) from None


def _next_code(compartment: Compartment) -> str:
    IncidentNumber.objects.get_or_create(compartment=compartment)
    counter = IncidentNumber.objects.select_for_update().get(pk=compartment.pk)
    code = ""
    while not code or Incident.objects.filter(compartment=compartment, code=code).exists():
        counter.last += 1
        code = f"I-{counter.last:04d}"
    counter.save(update_fields=["last"])
    return code


def _held_link(by: User, permission: str, link: Link) -> Link:
    link = require(by, permission, Link.objects.select_related("incident"), lock=True, pk=link.pk)
    if link.withdrawn_at is not None:
        raise NotNow(_("This link was withdrawn already."))
    require_not_closed(link.incident)
    return link


def _record_link(
    type: Type,
    *,
    by: User,
    at: datetime,
    link: Link,
    was: dict[str, Any] | None = None,
    to: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=link.incident.compartment_id,
        subjects=[Subject("item", link.item_id), Subject("incident", link.incident_id)],
        fields={
            "object": {"link": str(link.id), "incident": link.incident.code},
            **({"from": was} if was is not None else {}),
            **({"to": to} if to is not None else {}),
            **({"purpose": reason} if reason else {}),
        },
    )

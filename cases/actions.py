"""Acts on case files and their exhibits. Each is one transaction with its custody event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, require, require_compartment
from cases import state
from cases.coverage import consent, refused
from cases.models import CaseFile, CaseNumber, Exhibit, Review
from cases.vocabulary import Status
from custody.engine import Subject, acting, record
from custody.readings import record_reading
from custody.vocabulary import Type
from evidence.guard import changed, require_unnamed
from evidence.standing import standing

CASE_FIELDS = ("title", "forum", "purpose", "recipient_kind", "recipient", "summary")
EXHIBIT_FIELDS = ("category", "relevance", "notes")


def open_case(*, by: User, at: datetime, compartment_id: UUID, fields: Mapping[str, Any]) -> CaseFile:
    """Open a case file with the next number of the compartment. Raises Refused, ValidationError naming the field."""
    with acting():
        compartment = require_compartment(by, "case.open", compartment_id)
        CaseNumber.objects.get_or_create(compartment=compartment)
        counter = CaseNumber.objects.select_for_update().get(pk=compartment.pk)
        counter.last += 1
        counter.save(update_fields=["last"])
        case_file = CaseFile(compartment=compartment, code=f"C-{counter.last:04d}", opened_by=by, opened_at=at)
        _fill(case_file, fields, CASE_FIELDS)
        case_file.save()
        _record_case(Type.CREATE, by=by, at=at, case_file=case_file, fields={"to": _values(case_file, CASE_FIELDS)})
        return case_file


def edit_case(*, by: User, at: datetime, case_id: UUID, changes: Mapping[str, Any]) -> CaseFile:
    """Change what is said of a case file. A changed purpose or recipient asks every witness's consent anew.

    Raises NotNow, with the exhibits that stand against it, when consent does not cover the new purpose or recipient.
    """
    with acting():
        case_file = require(by, "case.edit", CaseFile.objects.all(), lock=True, pk=case_id)
        state.must_be_open(case_file)
        before = _values(case_file, CASE_FIELDS)
        _fill(case_file, changes, CASE_FIELDS)
        new = changed(before, _values(case_file, CASE_FIELDS))
        if not new:
            return case_file
        if {"purpose", "recipient_kind", "recipient"} & set(new):
            against = [
                f"{exhibit.number}: {'; '.join(decision.reasons)}" for exhibit, decision in refused(case_file, at)
            ]
            if against:
                raise NotNow(_("Consent does not cover this. %(exhibits)s") % {"exhibits": " ".join(against)})
        case_file.save()
        _record_case(
            Type.DESCRIBE,
            by=by,
            at=at,
            case_file=case_file,
            fields={"from": {name: before[name] for name in new}, "to": new},
        )
        return case_file


def set_case_status(*, by: User, at: datetime, case_id: UUID, status: str, reason: str) -> CaseFile:
    """Close a case file, or open it again."""
    with acting():
        case_file = require(by, "case.edit", CaseFile.objects.all(), lock=True, pk=case_id)
        before, case_file.status = case_file.status, Status(status)
        if before == case_file.status:
            return case_file
        require_unnamed(case_file.compartment_id, {"reason": reason})
        case_file.save(update_fields=["status"])
        _record_case(
            Type.DESCRIBE,
            by=by,
            at=at,
            case_file=case_file,
            fields={"from": {"status": before}, "to": {"status": case_file.status}, "purpose": reason},
        )
        return case_file


def read_case(*, by: User, at: datetime, case_id: UUID) -> CaseFile:
    """Fetch a case file to show its words; reading is a custody event, once per person in five minutes."""
    with acting():
        case_file = require(by, "case.view", CaseFile.objects.select_related("compartment", "opened_by"), pk=case_id)
        subjects = [Subject("case", case_file.id), Subject("case:record", case_file.id)]
        record_reading(by=by, at=at, compartment=case_file.compartment_id, subjects=subjects, purpose="case")
        return case_file


def read_exhibit(*, by: User, at: datetime, exhibit_id: UUID) -> Exhibit:
    """Fetch an exhibit to show its words and reviews; a custody event, once per person in five minutes."""
    with acting():
        exhibit = require(
            by,
            "exhibit.view",
            Exhibit.objects.select_related("case_file__compartment", "item", "added_by", "withdrawn_by"),
            pk=exhibit_id,
        )
        subjects = [
            Subject("case", exhibit.case_file_id),
            Subject("item", exhibit.item_id),
            Subject("exhibit:record", exhibit.id),
        ]
        record_reading(by=by, at=at, compartment=exhibit.case_file.compartment_id, subjects=subjects, purpose="exhibit")
        return exhibit


def add_exhibit(*, by: User, at: datetime, case_id: UUID, accession: str, fields: Mapping[str, Any]) -> Exhibit:
    """Tender an item under the next exhibit number of the case file.

    Raises NotVisible for an item the person may not see, ValidationError naming the field, NotNow with the reasons
    when a witness's consent does not cover the purpose and recipient of the case.
    """
    with acting():
        case_file = require(by, "case.edit", CaseFile.objects.all(), lock=True, pk=case_id)
        state.must_be_open(case_file)
        item = standing(by, "item.view_content", lock=True, accession=accession)
        if item.compartment_id != case_file.compartment_id:
            raise ValidationError({"accession": _("This item belongs to another compartment.")})
        if Exhibit.objects.filter(case_file=case_file, item=item, withdrawn_at__isnull=True).exists():
            raise ValidationError({"accession": _("This item is an exhibit of this case file already.")})
        decision = consent(case_file, item, at)
        if not decision.allowed:
            raise NotNow(" ".join(decision.reasons))
        case_file.last_exhibit += 1
        case_file.save(update_fields=["last_exhibit"])
        exhibit = Exhibit(
            case_file=case_file, number=f"E-{case_file.last_exhibit:04d}", item=item, added_by=by, added_at=at
        )
        _fill(exhibit, fields, EXHIBIT_FIELDS)
        exhibit.save()
        _record_exhibit(
            Type.EXHIBIT,
            by=by,
            at=at,
            exhibit=exhibit,
            fields={"to": {"number": exhibit.number, "case": case_file.code, **_values(exhibit, EXHIBIT_FIELDS)}},
        )
        return exhibit


def edit_exhibit(*, by: User, at: datetime, exhibit_id: UUID, changes: Mapping[str, Any]) -> Exhibit:
    """Change category, relevance or notes of an exhibit."""
    with acting():
        exhibit = _tendered(by, "exhibit.edit", exhibit_id)
        before = _values(exhibit, EXHIBIT_FIELDS)
        _fill(exhibit, changes, EXHIBIT_FIELDS)
        new = changed(before, _values(exhibit, EXHIBIT_FIELDS))
        if new:
            exhibit.save()
            _record_exhibit(
                Type.DESCRIBE,
                by=by,
                at=at,
                exhibit=exhibit,
                fields={
                    "object": {"exhibit": exhibit.number},
                    "from": {name: before[name] for name in new},
                    "to": new,
                },
            )
        return exhibit


def withdraw_exhibit(*, by: User, at: datetime, exhibit_id: UUID, reason: str) -> Exhibit:
    """Take an exhibit out of the case; its number, its reviews and its past stay."""
    with acting():
        exhibit = _tendered(by, "exhibit.edit", exhibit_id)
        if not reason.strip():
            raise ValidationError({"reason": _("Say why it is withdrawn.")})
        require_unnamed(exhibit.case_file.compartment_id, {"reason": reason})
        exhibit.withdrawn_at, exhibit.withdrawn_by, exhibit.withdrawn_reason = at, by, reason
        exhibit.full_clean(validate_unique=False)
        exhibit.save()
        _record_exhibit(
            Type.EXHIBIT,
            by=by,
            at=at,
            exhibit=exhibit,
            fields={"to": {"number": exhibit.number, "withdrawn": True}, "purpose": reason},
        )
        return exhibit


def review_exhibit(*, by: User, at: datetime, exhibit_id: UUID, assessment: str, note: str) -> Review:
    """Add a coded assessment; earlier ones, of anyone, stay as they are."""
    with acting():
        exhibit = _tendered(by, "exhibit.review", exhibit_id)
        review = Review(exhibit=exhibit, reviewer=by, assessment=assessment, note=note, at=at)
        review.full_clean()
        require_unnamed(exhibit.case_file.compartment_id, {"note": note})
        review.save()
        _record_exhibit(
            Type.REVIEW,
            by=by,
            at=at,
            exhibit=exhibit,
            fields={"object": {"exhibit": exhibit.number}, "to": {"assessment": assessment, "note": note}},
        )
        return review


def _tendered(by: User, permission: str, exhibit_id: UUID) -> Exhibit:
    exhibit = require(by, permission, Exhibit.objects.select_related("case_file", "item"), lock=True, pk=exhibit_id)
    state.must_be_open(exhibit.case_file)
    state.must_be_tendered(exhibit)
    return exhibit


def _fill(obj: CaseFile | Exhibit, fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    unknown = [name for name in fields if name not in names]
    if unknown:
        raise ValidationError({name: _("This field cannot be set.") for name in unknown})
    before = _values(obj, names)
    for name, value in fields.items():
        setattr(obj, name, value)
    obj.clean_fields(exclude={field.name for field in obj._meta.fields} - set(names))
    case_file = obj if isinstance(obj, CaseFile) else obj.case_file
    require_unnamed(case_file.compartment_id, changed(before, _values(obj, names)))


def _values(obj: CaseFile | Exhibit, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(obj, name) or None for name in names}


def _record_case(type: Type, *, by: User, at: datetime, case_file: CaseFile, fields: Mapping[str, Any]) -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=case_file.compartment_id,
        subjects=[Subject("case", case_file.id)],
        fields=fields,
    )


def _record_exhibit(type: Type, *, by: User, at: datetime, exhibit: Exhibit, fields: Mapping[str, Any]) -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=exhibit.case_file.compartment_id,
        subjects=[Subject("case", exhibit.case_file_id), Subject("item", exhibit.item_id)],
        fields=fields,
    )

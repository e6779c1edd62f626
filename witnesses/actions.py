"""Acts on witnesses and their testimonies. Each is one transaction with its custody event.

No ledger value, title or plain column ever holds a witness's name: free texts are held against the blind index first.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import Compartment, User
from accounts.permissions import NotNow, permitted, require, require_compartment
from custody import seal
from custody.engine import Subject, acting, record
from custody.readings import record_reading
from custody.vocabulary import Type
from evidence.models import Item
from evidence.standing import hold
from witnesses.agreements import record_consent, withdraw_consent
from witnesses.describing import describe, refuse_unknown
from witnesses.identity import RealIdentity
from witnesses.models import Numbering, Recording, Testimony, TestimonyRevision, Witness, text_label
from witnesses.particulars import TESTIMONY, WITNESS, as_values
from witnesses.state import require_act
from witnesses.vault import (
    checked_reason,
    find_spoken_before,
    open_identity,
    record_identity,
    revise_identity,
)
from witnesses.vocabulary import Status

LONGEST_TEXT = 500_000  # characters


def open_witness(
    *,
    by: User,
    at: datetime,
    compartment_id: UUID,
    kind: str,
    age_band: str = "",
    vulnerabilities: list[str] | None = None,
    identity: RealIdentity | None = None,
) -> Witness:
    """Take a person in under the next pseudonym of the compartment, with their identity where it is known.

    Raises NotVisible, Refused, ValidationError naming the field.
    """
    with acting():
        compartment = require_compartment(by, "witness.open", compartment_id)
        witness = Witness(
            compartment=compartment,
            pseudonym=f"W-{_next_number(compartment, 'witnesses'):04d}",
            kind=kind,
            age_band=age_band,
            vulnerabilities=sorted(set(vulnerabilities or ())),
            opened_by=by,
            opened_at=at,
        )
        witness.full_clean(validate_unique=False, validate_constraints=False)
        witness.save()
        record(
            Type.CREATE,
            by=by,
            at=at,
            compartment=compartment.id,
            subjects=[Subject("witness", witness.id)],
            fields={"object": {"pseudonym": witness.pseudonym}, "to": as_values(witness, WITNESS)},
        )
        if identity is not None:
            record_identity(by=by, at=at, witness_id=witness.id, identity=identity)
        return witness


def describe_witness(*, by: User, at: datetime, witness_id: UUID, changes: Mapping[str, Any]) -> Witness:
    """Change how a witness knows, the age band or the care needed. Raises ValidationError naming the field."""
    with acting():
        witness = require(by, "witness.describe", Witness.objects.all(), lock=True, pk=witness_id)
        before = as_values(witness, WITNESS)
        refuse_unknown(changes, WITNESS)
        for name, value in changes.items():
            setattr(witness, name, sorted(set(value)) if name == "vulnerabilities" else value)
        witness.full_clean(validate_unique=False, validate_constraints=False)
        _record_change(
            before, as_values(witness, WITNESS), by=by, at=at, row=witness, subjects=[Subject("witness", witness.id)]
        )
        return witness


def view_witness(*, by: User, at: datetime, witness_id: UUID) -> Witness:
    """Fetch a witness to show what is known and agreed; a custody event, once per person in five minutes."""
    with acting():
        witness = require(by, "witness.view", Witness.objects.select_related("compartment"), pk=witness_id)
        _record_reading("witness", witness.id, by=by, at=at, compartment_id=witness.compartment_id)
        return witness


def record_testimony(
    *,
    by: User,
    at: datetime,
    witness_id: UUID,
    text: str,
    particulars: Mapping[str, Any],
    recordings: Sequence[str] = (),
) -> Testimony:
    """Write down what a witness stated in one interview, under the next testimony number of the compartment.

    `particulars` are of witnesses.particulars.TESTIMONY; without `interviewer` it is whoever records. The text may
    be empty where there are only recordings so far; `recordings` are accession numbers.
    Raises NotVisible, Refused, ValidationError naming the field.
    """
    with acting():
        witness = require(by, "witness.record_testimony", Witness.objects.select_related("compartment"), pk=witness_id)
        testimony = Testimony(
            compartment=witness.compartment, witness=witness, interviewer=by, recorded_by=by, recorded_at=at
        )
        describe(testimony, particulars)
        text = _checked_text(text)
        testimony.number = f"T-{_next_number(witness.compartment, 'testimonies'):04d}"
        testimony.save()
        digest = _add_revision(testimony, 1, text, by=by, at=at)
        record(
            Type.INTERVIEW,
            by=by,
            at=at,
            compartment=testimony.compartment_id,
            subjects=_subjects(testimony),
            fields={
                "object": _named(testimony),
                "to": {**as_values(testimony, TESTIMONY), "revision": 1, "text_sha256": digest},
            },
        )
        for accession in dict.fromkeys(recordings):
            try:
                link_recording(by=by, at=at, testimony_id=testimony.id, accession=accession)
            except ValidationError as problem:
                raise ValidationError({"recordings": f"{accession}: {problem.messages[0]}"}) from None
        return testimony


def describe_testimony(*, by: User, at: datetime, testimony_id: UUID, changes: Mapping[str, Any]) -> Testimony:
    """Change the particulars of an open testimony. Raises NotNow when sealed, ValidationError naming the field."""
    with acting():
        testimony = _locked(by, "testimony.describe", testimony_id)
        require_act(testimony, "describe")
        before = as_values(testimony, TESTIMONY)
        describe(testimony, changes)
        _record_change(
            before, as_values(testimony, TESTIMONY), by=by, at=at, row=testimony, subjects=_subjects(testimony)
        )
        return testimony


def revise_testimony(*, by: User, at: datetime, testimony_id: UUID, text: str, reason: str = "") -> TestimonyRevision:
    """A new revision of an open testimony's text; the ledger holds the digests, from and to.

    Raises NotNow when sealed, ValidationError naming the field.
    """
    with acting():
        testimony = _locked(by, "testimony.revise", testimony_id)
        require_act(testimony, "revise")
        if reason.strip():
            reason = checked_reason(reason, testimony.compartment_id)
        return _revise(testimony, text, reason.strip(), Type.DESCRIBE, by=by, at=at)


def seal_testimony(*, by: User, at: datetime, testimony_id: UUID) -> Testimony:
    """Close a testimony to change: from here on, whatever must be put right is a visible correction."""
    with acting():
        testimony = _locked(by, "testimony.seal", testimony_id)
        require_act(testimony, "seal")
        last = testimony.revisions.latest("number")
        if not last.text and not testimony.recordings.filter(withdrawn_at__isnull=True).exists():
            raise NotNow(_("There is nothing to seal yet: neither a text nor a recording."))
        was, testimony.status = testimony.status, Status.SEALED
        testimony.sealed_by, testimony.sealed_at = by, at
        testimony.save(update_fields=["status", "sealed_by", "sealed_at"])
        record(
            Type.SEAL,
            by=by,
            at=at,
            compartment=testimony.compartment_id,
            subjects=_subjects(testimony),
            fields={
                "object": {**_named(testimony), "revision": last.number, "text_sha256": _digest(last.text)},
                "from": {"status": was},
                "to": {"status": testimony.status},
            },
        )
        return testimony


def correct_testimony(*, by: User, at: datetime, testimony_id: UUID, text: str, reason: str) -> TestimonyRevision:
    """Add a correction to a sealed testimony; the sealed text stays and both are shown.

    Raises NotNow when not sealed, ValidationError naming the field.
    """
    with acting():
        testimony = _locked(by, "testimony.revise", testimony_id)
        require_act(testimony, "correct")
        reason = checked_reason(reason, testimony.compartment_id)
        return _revise(testimony, text, reason, Type.CORRECT, by=by, at=at)


def read_testimony(*, by: User, at: datetime, testimony_id: UUID) -> Testimony:
    """Fetch a testimony to show its particulars and text; a custody event, once per person in five minutes."""
    with acting():
        testimony = require(
            by,
            "testimony.view_text",
            Testimony.objects.select_related("compartment", "witness", "interviewer", "sealed_by"),
            pk=testimony_id,
        )
        _record_reading("testimony", testimony.id, by=by, at=at, compartment_id=testimony.compartment_id)
        return testimony


def link_recording(*, by: User, at: datetime, testimony_id: UUID, accession: str) -> Recording:
    """Say that an item is a recording of a testimony; from then on the witness's consent decides who may have it.

    Raises NotVisible, Refused, and ValidationError on `accession` for an item the person does not see, of another
    compartment, or linked already.
    """
    with acting():
        testimony = _locked(by, "testimony.link_recording", testimony_id)
        require_act(testimony, "link_recording")
        items = permitted(by, "item.view_content", Item.objects.filter(compartment_id=testimony.compartment_id))
        found = items.filter(accession__iexact=accession.strip())
        item = found.select_for_update(of=("self",)).first()  # evidence.standing: why it is locked
        if item is None:
            raise ValidationError({"accession": _("No item in this compartment has this accession number.")})
        if Recording.objects.filter(testimony=testimony, item=item, withdrawn_at__isnull=True).exists():
            raise ValidationError({"accession": _("This item is a recording of this testimony already.")})
        link = Recording.objects.create(testimony=testimony, item=item, linked_by=by, linked_at=at)
        _record_link(Type.LINK_RECORDING, link, by=by, at=at)
        return link


def unlink_recording(*, by: User, at: datetime, recording_id: UUID, reason: str) -> Recording:
    """Withdraw the link of an item to an open testimony; both stay, and so does the record of the link.

    From then on no consent holds the item: only a protection officer may.
    Raises NotVisible, Refused, NotNow, ValidationError on `reason`.
    """
    with acting():
        link = require(by, "recording.withdraw", Recording.objects.select_related("item"), lock=True, pk=recording_id)
        require_act(Testimony.objects.select_for_update().get(pk=link.testimony_id), "withdraw_recording")
        if link.withdrawn_at is not None:
            raise NotNow(_("This link was withdrawn already."))
        hold([link.item_id])
        reason = checked_reason(reason, link.testimony.compartment_id)
        link.withdrawn_by, link.withdrawn_at = by, at
        link.save(update_fields=["withdrawn_by", "withdrawn_at"])
        _record_link(Type.UNLINK_RECORDING, link, by=by, at=at, reason=reason)
        return link


def _next_number(compartment: Compartment, counter: str) -> int:
    """The next number of a compartment; the counter stays locked until the act is over, so none is given twice."""
    Numbering.objects.get_or_create(compartment=compartment)
    numbering = Numbering.objects.select_for_update().get(pk=compartment.pk)
    setattr(numbering, counter, getattr(numbering, counter) + 1)
    numbering.save(update_fields=[counter])
    return int(getattr(numbering, counter))


def _locked(by: User, permission: str, testimony_id: UUID) -> Testimony:
    return require(by, permission, Testimony.objects.select_related("witness"), lock=True, pk=testimony_id)


def _subjects(testimony: Testimony) -> list[Subject]:
    return [Subject("testimony", testimony.id), Subject("witness", testimony.witness_id)]


def _named(testimony: Testimony) -> dict[str, str]:
    return {"number": testimony.number, "pseudonym": testimony.witness.pseudonym}


def _checked_text(text: str) -> str:
    text = text.replace("\r\n", "\n").strip("\n")
    if len(text) > LONGEST_TEXT:
        raise ValidationError({"text": _("This is too long: at most %(count)s characters.") % {"count": LONGEST_TEXT}})
    if "\0" in text:
        raise ValidationError({"text": _("This holds a character that cannot be kept.")})
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _add_revision(
    testimony: Testimony, number: int, text: str, *, by: User, at: datetime, correction: bool = False, reason: str = ""
) -> str:
    """Keep a text; returns its hex SHA-256."""
    TestimonyRevision.objects.create(
        testimony=testimony,
        number=number,
        sealed_text=seal.seal(testimony.id, text_label(number), text.encode()),
        correction=correction,
        reason=reason,
        at=at,
        by=by,
    )
    return _digest(text)


def _revise(testimony: Testimony, text: str, reason: str, type: Type, *, by: User, at: datetime) -> TestimonyRevision:
    text = _checked_text(text)
    last = testimony.revisions.latest("number")
    before = _digest(last.text)
    if _digest(text) == before:
        raise ValidationError({"text": _("The text is the same as before.")})
    digest = _add_revision(
        testimony, last.number + 1, text, by=by, at=at, correction=type == Type.CORRECT, reason=reason
    )
    record(
        type,
        by=by,
        at=at,
        compartment=testimony.compartment_id,
        subjects=_subjects(testimony),
        fields={
            "object": _named(testimony),
            "from": {"revision": last.number, "text_sha256": before},
            "to": {"revision": last.number + 1, "text_sha256": digest},
            "purpose": reason,
        },
    )
    return testimony.revisions.latest("number")


def _record_change(
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    by: User,
    at: datetime,
    row: Witness | Testimony,
    subjects: list[Subject],
) -> None:
    """Save and record what changed; nothing is written where nothing did."""
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return
    row.save()
    record(
        Type.DESCRIBE,
        by=by,
        at=at,
        compartment=row.compartment_id,
        subjects=subjects,
        fields={"from": {name: before[name] for name in changed}, "to": {name: after[name] for name in changed}},
    )


def _record_link(type: Type, link: Recording, *, by: User, at: datetime, reason: str = "") -> None:
    record(
        type,
        by=by,
        at=at,
        compartment=link.testimony.compartment_id,
        subjects=[*_subjects(link.testimony), Subject("item", link.item_id)],
        fields={"object": {**_named(link.testimony), "accession": link.item.accession}, "purpose": reason},
    )


def _record_reading(kind: str, subject_id: UUID, *, by: User, at: datetime, compartment_id: UUID) -> None:
    record_reading(by=by, at=at, compartment=compartment_id, subjects=[Subject(kind, subject_id)], purpose="content")


__all__ = [
    "correct_testimony",
    "describe_testimony",
    "describe_witness",
    "find_spoken_before",
    "link_recording",
    "open_identity",
    "open_witness",
    "read_testimony",
    "record_consent",
    "record_identity",
    "record_testimony",
    "revise_identity",
    "revise_testimony",
    "seal_testimony",
    "unlink_recording",
    "view_witness",
    "withdraw_consent",
]

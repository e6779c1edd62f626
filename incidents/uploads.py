"""Intakes and uploads: the acts by which bytes become items of an incident.

1. `announce` checks everything that is said of the files to come, so that no file is sent for nothing.
2. `evidence.blobs.receive` takes the bytes: hashed, encrypted, stored, read back.
3. `accept` records item and link in one transaction. If that fails, the stored bytes belong to nothing and are dropped.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.permissions import NotNow, permitted, require, require_compartment
from custody import seal
from custody.engine import Subject, acting, record
from custody.vocabulary import Type
from evidence import blobs
from evidence.actions import receive_item, received_before
from evidence.dates import parse
from evidence.description import DESCRIBED, TEXTS
from evidence.guard import require_unnamed
from evidence.models import Item
from incidents.actions import assess, fill, tag_item
from incidents.description import ASSESSED, assessed
from incidents.members import OutOf, record_member
from incidents.models import Incident, Intake, Link
from incidents.state import require_not_closed

INTAKE_LIFE = timedelta(days=7)
MOST_DIGESTS = 1_000
KEY_USED = gettext_lazy("This upload key was used for another file. Send the file again with a new key.")
#: What may be said of all files of an intake at once; a title belongs to one item.
ANNOUNCED = tuple(name for name in DESCRIBED if name != "title")
DATED = ("created_edtf", "published_edtf", "collected_edtf", "acquired_edtf")


@dataclass(frozen=True)
class Announced:
    """The opened content of an intake."""

    description: dict[str, Any]
    assessment: dict[str, Any]


def announce(*, by: User, at: datetime, incident: Incident, fields: Mapping[str, Any]) -> Intake:
    """Open an intake. `fields` are those of ANNOUNCED and of incidents.description.ASSESSED; they hold for every file.

    Raises NotVisible, Refused, NotNow for a closed incident, ValidationError naming each wrong field.
    """
    with acting():
        incident = require(by, "incident.receive", Incident.objects.all(), pk=incident.pk)
        require_compartment(by, "item.receive", incident.compartment_id)
        require_not_closed(incident)
        description, assessment = _checked(fields)
        words = {name: description.get(name) for name in TEXTS}
        require_unnamed(incident.compartment_id, words | {"reasons": assessment["reasons"]})
        intake = Intake(
            compartment_id=incident.compartment_id,
            incident=incident,
            by=by,
            stance=assessment["stance"],
            created_at=at,
        )
        content = json.dumps({"description": description, "assessment": assessment}).encode()
        intake.sealed = seal.seal(intake.id, "intake", content)
        intake.save()
        record(
            Type.INGESTION_START,
            by=by,
            at=at,
            compartment=incident.compartment_id,
            subjects=[Subject("intake", intake.id), Subject("incident", incident.id)],
            fields={"object": {"incident": incident.code}, "to": description | assessment},
        )
        return intake


def require_intake(by: User, at: datetime, intake_id: UUID | str) -> Intake:
    """An intake of one's own that still takes files, asked before a byte of them is read.

    Whoever may no longer receive items there does not see it. Raises NotVisible, NotNow when it is older than
    INTAKE_LIFE or the incident was closed.
    """
    intake = require(by, "intake.view", Intake.objects.select_related("incident"), pk=intake_id)
    if at - intake.created_at > INTAKE_LIFE:
        raise NotNow(_("This intake is more than seven days old. Describe the files again and start a new one."))
    if not intake.sealed:
        raise NotNow(_("What this intake announced was erased. Describe the files again and start a new one."))
    require_not_closed(intake.incident)
    return intake


def opened(intake: Intake) -> Announced:
    """What was said of the files to come. Raises custody.seal.SealBroken when the record was tampered with."""
    content = json.loads(seal.unseal(intake.id, "intake", bytes(intake.sealed)))
    return Announced(content["description"], content["assessment"])


def accept(
    *,
    by: User,
    at: datetime,
    intake: Intake,
    received: blobs.Received,
    original_name: str,
    idempotency_key: UUID | None,
    file_time: datetime | None = None,
    out_of: OutOf | None = None,
) -> Item:
    """Record received bytes as an item that is linked to the intake's incident: both, or neither.

    The same key again gives the item of the first time, linked once; NotNow when that item is no longer, or never was,
    linked to this incident. `file_time` is what the sender's file system claims; it is kept with the reception and
    makes no date of the item. `out_of` is the container it came out of, recorded in the same act. Whatever is raised,
    the bytes are dropped.
    """
    try:
        with acting():
            return record_received(
                by=by,
                at=at,
                intake=intake,
                received=received,
                original_name=original_name,
                idempotency_key=idempotency_key,
                file_time=file_time,
                out_of=out_of,
            )
    except IntegrityError:
        blobs.discard(received)
        raise NotNow(KEY_USED) from None
    except BaseException:
        blobs.discard(received)
        raise


def record_received(
    *,
    by: User,
    at: datetime,
    intake: Intake,
    received: blobs.Received,
    original_name: str,
    idempotency_key: UUID | None,
    file_time: datetime | None,
    out_of: OutOf | None = None,
    began: datetime | None = None,
) -> Item:
    """As `accept`, inside the caller's act; whatever is raised, the bytes stand as they stood.

    A file that took days to arrive counts for the intake it `began` under.
    """
    intake = require_intake(by, began or at, intake.pk)
    announced = opened(intake)
    item = receive_item(
        by=by,
        at=at,
        compartment_id=intake.compartment_id,
        received=received,
        original_name=original_name,
        description=announced.description,
        idempotency_key=idempotency_key,
        purpose=f"file time on the sender's device: {file_time.isoformat(timespec='seconds')}" if file_time else "",
    )
    require_intake(by, began or at, intake.pk)  # again: an erasure that emptied it meanwhile had the counter until now
    if item.blob_id == received.blob_id:
        tag_item(by=by, at=at, item=item, incident=intake.incident, **announced.assessment)
        if out_of is not None:
            record_member(by=by, at=at, item=item, out_of=out_of)
    else:
        _require_linked(by, item, intake)
    return item


def earlier_item(
    by: User, key: UUID, *, intake: Intake | None = None, sha256: str | None = None, size: int | None = None
) -> Item | None:
    """The item a key already made, so that a repeated upload need not be kept.

    Raises NotVisible, and NotNow for another file's key or, with `intake`, a key of another incident's upload.
    """
    found = received_before(by, key)
    if found is None:
        return None
    item = require(by, "item.view", Item.objects.select_related("duplicate_of"), pk=found.pk)
    if (sha256 is not None and sha256 != item.sha256) or (size is not None and size != item.size):
        raise NotNow(KEY_USED)
    if intake is not None:
        _require_linked(by, item, intake)
    return item


def _require_linked(by: User, item: Item, intake: Intake) -> None:
    """To answer "it is there" for an incident that does not have the item would lose the sender's file."""
    links = permitted(by, "link.view", Link.objects.filter(item=item, withdrawn_at__isnull=True))
    if item.compartment_id != intake.compartment_id or not links.filter(incident_id=intake.incident_id).exists():
        raise NotNow(_("This upload key was used for another incident. Send the file again with a new key."))


def known_digests(by: User, incident: Incident, digests: Iterable[str]) -> dict[str, Item | None]:
    """Which of these SHA-256 digests the incident's own compartment holds, with the first item of each.

    Other compartments say nothing, not even to those who may see them. Raises NotVisible, Refused, ValidationError.
    """
    incident = require(by, "incident.receive", Incident.objects.all(), pk=incident.pk)
    asked = list(dict.fromkeys(digests))
    if len(asked) > MOST_DIGESTS:
        raise ValidationError({"sha256": _("Ask for at most %(count)s digests at a time.") % {"count": MOST_DIGESTS}})
    held = permitted(by, "item.view", Item.objects.filter(compartment_id=incident.compartment_id, sha256__in=asked))
    found: dict[str, Item | None] = dict.fromkeys(asked)
    for item in held.order_by("-received_at", "-accession"):
        found[item.sha256] = item
    return found


def _checked(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was said, as JSON values that receive_item and tag_item will take."""
    errors: dict[str, Any] = {}
    link, item = Link(), Item()
    try:
        assess(link, {"stance": "", "reasons": ""} | {name: fields[name] for name in ASSESSED if name in fields})
    except ValidationError as problem:
        errors |= problem.message_dict
    said = {name: value for name, value in fields.items() if name not in ASSESSED}
    if not said.get("kind", True):
        del said["kind"]  # left to the examination of the bytes
    try:
        fill(item, said, ANNOUNCED)
        item.clean_fields(exclude=[field.name for field in Item._meta.fields if field.name not in said])
    except ValidationError as problem:
        errors |= problem.message_dict
    for name in DATED:
        try:
            parse(getattr(item, name))
        except ValidationError as problem:
            errors[name] = problem.messages
    if not {"latitude", "longitude"} & set(errors):
        if (item.latitude is None) != (item.longitude is None):
            errors["latitude"] = [_("Give both latitude and longitude, or neither.")]
        elif item.latitude is not None and not item.precision:
            errors["precision"] = [_("Say how precise these coordinates are.")]
    if errors:
        raise ValidationError(errors)
    description: dict[str, Any] = {}
    for name in said:
        value = getattr(item, name)
        description[name] = value if isinstance(value, (bool, str)) or value is None else str(value)
    assessment = assessed(link)
    return description, assessment | {"source_reliability": assessment["source_reliability"] or ""}

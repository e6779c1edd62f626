"""Acts on items. Each is one transaction with its custody event; if the ledger refuses, nothing happened."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, require, require_compartment
from custody import seal
from custody.engine import SYSTEM, Agent, Subject, acting, record
from custody.readings import record_reading
from custody.vocabulary import Outcome, Type
from evidence import blobs, copies, jobs
from evidence.claims import position
from evidence.dates import parse
from evidence.description import DESCRIBED, TEXTS, described, version_of
from evidence.fixity import Finding, find
from evidence.guard import changed, require_unnamed
from evidence.media_types import chosen, disagree, is_text, kind_of
from evidence.models import Accession, Derivative, FixityCheck, Item
from evidence.standing import standing
from evidence.vocabulary import FixityOutcome, Kind, Precision
from ledger.entry import canonical

DATED = ("created", "published", "collected")
LONGEST_DESCRIPTION = 20_000  # characters
MOST_DESCRIBED_BYTES = 48 << 10  # what one ledger value holds, with room to spare
LONGEST_NAME = 1024  # characters of an original name that are kept
_NO_NAME = ("Cc", "Cs")  # controls, lone surrogates
_UNREADABLE = re.compile("[\0\ud800-\udfff]")  # neither the database nor canonical JSON can hold them


def receive_item(
    *,
    by: User,
    at: datetime,
    compartment_id: UUID,
    received: blobs.Received,
    original_name: str,
    description: Mapping[str, Any] | None = None,
    idempotency_key: UUID | None = None,
    purpose: str = "",
) -> Item:
    """Record bytes that already stand in the store as an item with the next accession number of the compartment.

    Asking again with the same idempotency key gives the item of the first time, as long as one may view it. An exact
    duplicate in the same compartment becomes an item of its own that is linked to the first. Raises NotVisible,
    Refused, ValidationError naming the field, NotNow when the key was used for other bytes or in another compartment.
    """
    with acting():
        compartment = require_compartment(by, "item.receive", compartment_id)
        counter, _made = Accession.objects.get_or_create(compartment=compartment)
        counter = Accession.objects.select_for_update().get(pk=counter.pk)
        if idempotency_key is not None and (earlier := received_before(by, idempotency_key)):
            blobs.discard(received)
            earlier = require(by, "item.view", Item.objects.all(), pk=earlier.pk)
            if earlier.sha256 != received.sha256 or earlier.compartment_id != compartment.id:
                raise NotNow(_("This upload key was used for another file. Send the file again with a new key."))
            return earlier
        counter.last += 1
        counter.save(update_fields=["last"])
        item = Item(
            compartment=compartment,
            accession=f"{compartment.code}-{counter.last:06d}",
            sha256=received.sha256,
            sha512=received.sha512,
            size=received.size,
            received_by=by,
            received_at=at,
            idempotency_key=idempotency_key,
            duplicate_of=Item.objects.filter(compartment=compartment, sha256=received.sha256, sha512=received.sha512)
            .order_by("received_at", "accession")
            .first(),
        )
        item.sealed_name = seal.seal(item.id, "original_name", clean_name(original_name).encode())
        _describe(item, description or {})
        require_unnamed(compartment.id, _texts(described(item)) | {"purpose": purpose})
        item.blob = blobs.make_blob(received, item.accession)
        item.save()
        record(
            Type.RECEIVE,
            by=by,
            at=at,
            compartment=compartment.id,
            subjects=[Subject("item", item.id)],
            blob=received.address,
            fields={
                "object": {
                    "accession": item.accession,
                    "sha256": item.sha256,
                    "sha512": item.sha512,
                    "size": item.size,
                },
                "holding": {
                    "key_commitment": blobs.key_commitment(received.key),
                    "blob_id": str(received.blob_id),
                    "duplicate_of": item.duplicate_of.accession if item.duplicate_of else None,
                    "idempotency_key": str(idempotency_key) if idempotency_key else None,
                },
                "original_name": clean_name(original_name),
                "to": described(item),
                "purpose": purpose,
            },
        )
        jobs.defer_examination(item.id)
        return item


def received_before(by: User, idempotency_key: UUID) -> Item | None:
    """The item this person already made with this key."""
    return Item.objects.filter(received_by=by, idempotency_key=idempotency_key).first()


def describe_item(
    *,
    by: User,
    at: datetime,
    accession: str,
    changes: Mapping[str, Any],
    reason: str = "",
    version: str | None = None,
) -> Item:
    """Change what is said of an item; unchanged fields are not written.

    With `version` (evidence.description.version of what the caller saw) nothing is overwritten unseen: raises NotNow
    when the description was changed meanwhile. Raises NotVisible, Refused, ValidationError naming the field, also
    where a text names a witness.
    """
    with acting():
        item = standing(by, "item.describe", lock=True, accession=accession)
        if version is not None and version != version_of(item):
            raise NotNow(_("Somebody described this item meanwhile. Nothing of yours was saved yet."))
        before = described(item)
        _describe(item, changes)
        after = described(item)
        new = changed(before, after)
        if not new:
            return item
        require_unnamed(item.compartment_id, _texts(new) | {"reason": reason})
        item.save()
        record(
            Type.DESCRIBE,
            by=by,
            at=at,
            compartment=item.compartment_id,
            subjects=[Subject("item", item.id)],
            fields={
                "from": {name: before[name] for name in new},
                "to": new,
                "purpose": reason,
            },
        )
        return item


def describe_items(
    *, by: User, at: datetime, accessions: Sequence[str], changes: Mapping[str, Any], reason: str = ""
) -> list[Item]:
    """The same changes to several items: all of them or none."""
    with acting():
        return [
            describe_item(by=by, at=at, accession=accession, changes=changes, reason=reason)
            for accession in sorted(accessions)  # one order for all: two people never wait for each other
        ]


def place_from_device(*, by: User, at: datetime, accession: str, precision: str) -> Item:
    """Take the position the device claims over as the place, as precise as the person says.

    Raises NotVisible, Refused, ValidationError, and NotNow when the device claims no position.
    """
    with acting():
        item = standing(by, "item.describe", lock=True, accession=accession)
        found = position(item.claims)
        if found is None:
            raise NotNow(_("The device claims no position."))
        if precision not in Precision.values:
            raise ValidationError({"precision": _("Say how precise these coordinates are.")})
        changes = {"latitude": found[0], "longitude": found[1], "precision": precision}
        return describe_item(
            by=by, at=at, accession=accession, changes=changes, reason=_("Taken over from what the device claims")
        )


def open_record(*, by: User, at: datetime, accession: str) -> Item:
    """Fetch an item to show its words; opening is a custody event, once per person in five minutes."""
    with acting():
        item = require(by, "item.view", Item.objects.select_related("compartment", "blob"), accession=accession)
        _record_reading("record", by=by, at=at, item=item)
        return item


def open_content(*, by: User, at: datetime, accession: str) -> Item:
    """Fetch an item to show its content; the event is written before the first byte leaves."""
    with acting():
        item = standing(by, "item.view_content", accession=accession)
        _record_reading("content", by=by, at=at, item=item)
        return item


def open_text(*, by: User, at: datetime, accession: str) -> Item:
    """Fetch an item to show its content as text. Raises NotNow when it is no text."""
    with acting():
        item = standing(by, "item.view_content", accession=accession)
        if not is_text(item.media_type):
            raise NotNow(_("This item is not text. Open or download it instead."))
        _record_reading("text", by=by, at=at, item=item)
        return item


def open_receipt(*, by: User, at: datetime, accession: str) -> Item:
    """Fetch an item to give out the receipt of its reception. Raises NotNow when its values were erased."""
    item = open_record(by=by, at=at, accession=accession)
    if item.erased_at is not None:
        raise NotNow(
            _("This item was erased, and with it the values of its receipt. One handed out before still counts.")
        )
    return item


def open_preview(*, by: User, at: datetime, accession: str) -> Derivative:
    """Fetch the preview of an item's content. Raises NotVisible when there is none."""
    with acting():
        item = standing(by, "item.view_content", accession=accession)
        preview = require(
            by, "derivative.view", Derivative.objects.select_related("blob"), item=item, purpose="preview"
        )
        _record_reading("preview", by=by, at=at, item=item)
        return preview


def download_item(*, by: User, at: datetime, accession: str) -> Item:
    """Fetch an item to hand its bytes out as a file: each download is an event of its own."""
    with acting():
        item = standing(by, "item.download", lock=True, accession=accession)
        record(
            Type.DOWNLOAD,
            by=by,
            at=at,
            compartment=item.compartment_id,
            subjects=[Subject("item", item.id)],
            fields={"object": {"accession": item.accession, "sha256": item.sha256}},
        )
        return item


def verify_item(*, by: User, at: datetime, accession: str) -> FixityCheck:
    """Read the stored bytes again and test them, the record and the ledger against each other.

    The outcome, good or bad, is a fixity check and a custody event. Content is neither decrypted nor shown.
    """
    item = require(by, "item.verify", Item.objects.all(), accession=accession)
    finding = find(item)  # outside the transaction: reading a large object must not hold one open
    return record_finding(by=by, at=at, accession=accession, finding=finding)


def record_finding(*, by: User, at: datetime, accession: str, finding: Finding) -> FixityCheck:
    """Write down what evidence.fixity.find found: the fixity check and its custody event, good or bad.

    What was found of bytes that were erased meanwhile is not written down: the tombstone is tested in their place.
    """
    with acting():
        item = require(by, "item.verify", Item.objects.all(), lock=True, accession=accession)
        return _record_finding(item, by, at, finding)


def record_system_finding(*, at: datetime, item_id: UUID, finding: Finding) -> FixityCheck:
    """As record_finding, of a test that the archive made by itself: after a bad read, and after a repair."""
    with acting():
        return _record_finding(Item.objects.select_for_update(of=("self",)).get(pk=item_id), SYSTEM, at, finding)


def record_examination(
    *,
    at: datetime,
    item_id: UUID,
    puremagic: str,
    libmagic: str,
    claims: Mapping[str, str] | None,
    problem: str,
    preview: tuple[blobs.Received, str, str] | None = None,
) -> Item:
    """Write down what the sandbox found in the bytes. Done once; asked again it changes nothing.

    `preview` is (received bytes, media type, tool).
    """
    with acting():
        item = Item.objects.select_for_update().get(pk=item_id)
        if item.examined_at is not None or item.erased_at is not None:
            if preview is not None:
                blobs.discard(preview[0])
            return item
        item.media_type = chosen(puremagic, libmagic)
        item.media_type_puremagic, item.media_type_libmagic = puremagic[:127], libmagic[:127]
        item.type_conflict = disagree(puremagic, libmagic)
        item.examined_at, item.examination_problem = at, problem[:300]
        kind = kind_of(item.media_type) if item.kind == Kind.UNDETERMINED else item.kind
        was, item.kind = item.kind, kind
        if claims:
            plain = canonical(dict(claims))
            item.sealed_claims = seal.seal(item.id, "claims", plain)
            record(
                Type.EXTRACT,
                by=SYSTEM,
                at=at,
                compartment=item.compartment_id,
                subjects=[Subject("item", item.id)],
                fields={"to": {"claims": len(claims), "sha256": hashlib.sha256(plain).hexdigest()}},
            )
        item.save()
        if preview is not None:
            made, media_type, tool = preview
            Derivative.objects.create(
                item=item,
                purpose="preview",
                blob=blobs.make_blob(made, f"{item.accession}.preview"),
                media_type=media_type,
                size=made.size,
                sha256=made.sha256,
                tool=tool,
                made_at=at,
            )
            record(
                Type.CREATE,
                by=SYSTEM,
                at=at,
                compartment=item.compartment_id,
                subjects=[Subject("item", item.id)],
                blob=made.address,
                fields={
                    "object": {
                        "purpose": "preview",
                        "sha256": made.sha256,
                        "size": made.size,
                        "media_type": media_type,
                        "tool": tool,
                    }
                },
            )
        record(
            Type.IDENTIFY,
            by=SYSTEM,
            at=at,
            compartment=item.compartment_id,
            subjects=[Subject("item", item.id)],
            outcome=Outcome.FAILURE if problem else Outcome.SUCCESS,
            fields={
                "from": {"kind": was},
                "to": {
                    "kind": kind,
                    "media_type": item.media_type,
                    "puremagic": item.media_type_puremagic,
                    "libmagic": item.media_type_libmagic,
                    "conflict": item.type_conflict,
                    "problem": item.examination_problem,
                },
            },
        )
        return item


def clean_name(name: str) -> str:
    """The last part of a path, without control characters, at most 1,024 characters; never empty.

    Joiners and marks of direction stay: they are part of the name as it came. Pages spell the marks out (text.spelled).
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join(character for character in last if unicodedata.category(character) not in _NO_NAME)
    return kept[:LONGEST_NAME].strip() or "unnamed"


def _record_finding(item: Item, by: Agent, at: datetime, finding: Finding) -> FixityCheck:
    if item.erased_at is not None:
        finding = find(item)
    event_id = record(
        Type.VERIFY,
        by=by,
        at=at,
        compartment=item.compartment_id,
        subjects=[Subject("item", item.id)],
        outcome=Outcome.SUCCESS if finding.good else Outcome.FAILURE,
        fields={
            "object": {"accession": item.accession, "algorithm": "sha256"},
            "to": {"outcome": finding.outcome, "detail": finding.detail, "stored_sha256": finding.stored_sha256},
        },
    )
    check = FixityCheck.objects.create(
        item=item,
        at=at,
        by_id=by.id,
        outcome=finding.outcome,
        detail=finding.detail[:300],
        steps=[asdict(step) for step in finding.steps],
        event_id=event_id,
    )
    if finding.outcome != FixityOutcome.PENDING:
        Item.objects.filter(pk=item.pk).update(last_verified_at=at, last_outcome=finding.outcome)
    copies.want_repairs(finding.bad_copies)
    return check


def _describe(item: Item, changes: Mapping[str, Any]) -> None:
    unknown = [name for name in changes if name not in DESCRIBED]
    if unknown:
        raise ValidationError({name: _("This is not a field that can be described.") for name in unknown})
    unreadable = [name for name, value in changes.items() if isinstance(value, str) and _UNREADABLE.search(value)]
    if unreadable:
        raise ValidationError({name: _("This text holds characters that cannot be kept.") for name in unreadable})
    if len(str(changes.get("description", ""))) > LONGEST_DESCRIPTION or _bytes_of(changes) > MOST_DESCRIBED_BYTES:
        raise ValidationError({"description": _("This text is too long for a description.")})
    for name, value in changes.items():
        setattr(item, name, value)
    errors: dict[str, Any] = {}
    for prefix in DATED:
        name = f"{prefix}_edtf"
        try:
            dated = parse(getattr(item, name))
        except ValidationError as problem:
            errors[name] = problem.messages
            continue
        setattr(item, name, dated.text)
        setattr(item, f"{prefix}_earliest", dated.earliest)
        setattr(item, f"{prefix}_latest", dated.latest)
    try:
        item.acquired_edtf = parse(item.acquired_edtf).text
    except ValidationError as problem:
        errors["acquired_edtf"] = problem.messages
    if (item.latitude is None) != (item.longitude is None):
        errors["latitude"] = [_("Give both latitude and longitude, or neither.")]
    elif item.latitude is not None and not item.precision:
        errors["precision"] = [_("Say how precise these coordinates are.")]
    if errors:
        raise ValidationError(errors)
    item.clean_fields(exclude={field.name for field in Item._meta.fields} - set(DESCRIBED))


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in TEXTS if name in values}


def _bytes_of(changes: Mapping[str, Any]) -> int:
    return len(json.dumps([value for value in changes.values() if isinstance(value, str)], ensure_ascii=False).encode())


def _record_reading(what: str, *, by: User, at: datetime, item: Item) -> None:
    subjects = [Subject("item", item.id), Subject(f"item:{what}", item.id)]
    record_reading(by=by, at=at, compartment=item.compartment_id, subjects=subjects, purpose=what)

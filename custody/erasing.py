"""Destroying recorded values for good: keys, salts and values go, commitments and the story of who and when stay.

The values of an event lie beside its entry, sealed under its subject's key. To erase a subject:

1. Who acted, on what, in which compartment is sealed again under the key of the erasure itself: accountability outlives
   the erased, and the readable rows stay bound to their commitments.
2. Every other salt and value is deleted, then the subject's key. The entries stay, so every proof still holds.
3. The caller records in the same act what was destroyed, by event and field (custody.erased reads it).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from custody import seal
from custody.models import Disclosure

#: What is told of an erased event: opaque identifiers only.
KEPT = ("agent", "compartment", "subjects")
MOST_EVENTS = 400  # in one erasure entry: a ledger value has at most 64 KiB
Destroyed = dict[UUID, frozenset[str]]


@dataclass(frozen=True)
class Content:
    """Bytes whose key was destroyed: the object's number and id, and the hex SHA-256 of each of its ciphertexts."""

    id: UUID
    accession: str
    blobs: Collection[str]


def destroy(
    subjects: Collection[UUID], *, keeper: UUID, also: Mapping[UUID, Collection[str]] | None = None
) -> Destroyed:
    """Destroy everything sealed under the keys of these subjects, and the keys. Returns {event: destroyed fields}.

    `also` names single fields of events whose values lie under other keys: {event: fields}. What is kept is sealed
    under the key of `keeper`. Call inside the act that records the erasure. Raises seal.SealBroken when a value that
    must be kept does not open: a tampered record is not erased, it is looked into.
    """
    wanted = Q(subject_id__in=list(subjects))
    for event_id, fields in (also or {}).items():
        wanted |= Q(event_id=event_id, field__in=[name for name in fields if name not in KEPT])
    rows = list(Disclosure.objects.filter(wanted).order_by("pk"))
    kept = [row for row in rows if row.field in KEPT]
    opened = [_opened(row) for row in kept]
    seal.erase([row.pk for row in rows], list(subjects))
    aead = seal.subject_aead(keeper)
    Disclosure.objects.bulk_create(
        Disclosure(
            event_id=row.event_id,
            field=row.field,
            subject_id=keeper,
            sealed=seal.seal_with(aead, f"{row.event_id}/{row.field}", plain),
        )
        for row, plain in zip(kept, opened, strict=True)
    )
    destroyed: dict[UUID, set[str]] = {}
    for row in rows:
        if row.field not in KEPT:
            destroyed.setdefault(row.event_id, set()).add(row.field)
    return {event_id: frozenset(fields) for event_id, fields in destroyed.items()}


def in_parts(destroyed: Destroyed, content: Sequence[Content] = ()) -> Iterator[dict[str, Any]]:
    """What was destroyed, as the values of one or more erasure entries (docs/spec/ledger.md section 11).

    {"content": [{"accession", "blobs", "id"}], "values": {event id, 32 hex digits: [field]}}; content in the first.
    """
    ids = sorted(destroyed, key=lambda event_id: event_id.hex)
    told = [{"accession": one.accession, "blobs": sorted(one.blobs), "id": str(one.id)} for one in content]
    for start in range(0, len(ids) or 1, MOST_EVENTS):
        part = ids[start : start + MOST_EVENTS]
        yield {
            "content": [] if start else told,
            "values": {event_id.hex: sorted(destroyed[event_id]) for event_id in part},
        }


def _opened(row: Disclosure) -> bytes:
    return seal.unseal(row.subject_id, f"{row.event_id}/{row.field}", bytes(row.sealed))

"""Destroying recorded values for good: keys, salts and values go, commitments and the story of who and when stay.

The values of an event lie beside its entry, sealed under its subject's key. To erase a subject:

1. Who acted, on what, in which compartment is sealed again under the key of the erasure itself: accountability outlives
   the erased, and the readable rows stay bound to their commitments.
2. Every other salt and value is deleted, then the subject's key. The entries stay, so every proof still holds.
3. The caller records in the same act what is destroyed, by event and field (custody.erased reads it).
4. The database itself destroys only what two persons agreed on: a request under a signed head, and the erasure recorded
   in this very transaction by another agent (custody/sql/erase_v2.sql).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Q

from custody import seal, statements
from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject
from custody.vocabulary import Type

#: What is told of an erased event: opaque identifiers only.
KEPT = ("agent", "compartment", "subjects")
MOST_EVENTS = 400  # in one erasure entry: a ledger value has at most 64 KiB
Destroyed = dict[UUID, frozenset[str]]
_ERASE = "SELECT custody_erase_v2(%s, %s::bigint[], %s::uuid[], %s::uuid[], %s::text[], %s::bytea[])"
_NOT_AGREED = "PE001"  # the code with which it refuses


@dataclass(frozen=True)
class Content:
    """Bytes whose key was destroyed: the object's number and id, and the hex SHA-256 of each of its ciphertexts."""

    id: UUID
    accession: str
    blobs: Collection[str]


class NotAgreed(Exception):
    """Two persons do not stand behind this erasure in the ledger; nothing was destroyed."""


@dataclass(frozen=True)
class Plan:
    """What an erasure is about to destroy: read, and nothing changed yet."""

    subjects: Sequence[UUID]
    rows: Sequence[int]
    kept: Sequence[tuple[UUID, str, bytes]]
    destroyed: Destroyed


def plan(subjects: Collection[UUID], *, also: Mapping[UUID, Collection[str]] | None = None) -> Plan:
    """Everything sealed under the keys of these subjects, to be destroyed with the keys.

    `also` names single fields of events whose values lie under other keys: {event: fields}. Raises seal.SealBroken when
    a value that must be kept does not open: a tampered record is not erased, it is looked into.
    """
    wanted = Q(subject_id__in=list(subjects))
    for event_id, fields in (also or {}).items():
        wanted |= Q(event_id=event_id, field__in=[name for name in fields if name not in KEPT])
    rows = list(Disclosure.objects.filter(wanted).order_by("pk"))
    destroyed: dict[UUID, set[str]] = {}
    for row in rows:
        if row.field not in KEPT:
            destroyed.setdefault(row.event_id, set()).add(row.field)
    return Plan(
        list(subjects),
        [row.pk for row in rows],
        [(row.event_id, row.field, _opened(row)) for row in rows if row.field in KEPT],
        {event_id: frozenset(fields) for event_id, fields in destroyed.items()},
    )


def carry_out(planned: Plan, *, erasure: UUID) -> None:
    """Destroy it, in the act that has just recorded the erasure; what is kept is sealed under the erasure's key.

    Raises NotAgreed when the ledger does not hold what two persons said of it.
    """
    aead = seal.existing_aead(erasure)
    kept = [
        (event_id, field, seal.seal_with(aead, f"{event_id}/{field}", plain)) for event_id, field, plain in planned.kept
    ]
    columns = [[row[column] for row in kept] for column in range(3)]
    try:
        statements.execute(_ERASE, [erasure, list(planned.rows), list(planned.subjects), *columns])
    except DatabaseError as problem:
        if getattr(problem.__cause__, "sqlstate", "") == _NOT_AGREED:
            raise NotAgreed(str(problem).splitlines()[0]) from None
        raise


def is_signed(erasure: UUID) -> bool:
    """Whether a signed head covers the request for it: before, nothing is destroyed."""
    about = EventSubject.objects.filter(kind="erasure", subject_id=erasure).values("event_id")
    requests = Event.objects.filter(type=Type.REQUEST_ERASURE, id__in=about).values("id")
    head = Checkpoint.objects.order_by("-size").first()
    return head is not None and Entry.objects.filter(event_id__in=requests, index__lt=head.size).exists()


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

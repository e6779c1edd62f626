"""Appending: the one way an act becomes part of the ledger.

1. An action opens `acting()`: one durable transaction, joined by the actions it calls.
2. `record()` writes, in that transaction, the entry's exact bytes, the sealed values behind its commitments,
   the readable index row and the pending row. If any of it fails, the act did not happen.
3. The sequencer (custody.sequencer) gives committed pending rows their index.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from custody import seal, statements
from custody.models import Disclosure, Entry, Event, Pending
from custody.vocabulary import Outcome, Type
from ledger.entry import canonical, commit, encode_entry

SALT_BYTES = 32
ATTEMPTS = 3  # each after the first because another act made or destroyed the subject's key meanwhile
_RECORD = f"SELECT custody_record_v2({', '.join(['%s'] * 7)}, %s, %s::uuid[], %s, %s, %s, %s, %s)"


class LedgerRefused(Exception):
    """The event could not be recorded; nothing of the act was kept."""


class Agent(Protocol):
    """Whoever did it: a user, or a piece of this software."""

    @property
    def id(self) -> UUID: ...


@dataclass(frozen=True)
class Software:
    """A process of the archive acting by itself."""

    id: UUID
    name: str


SYSTEM = Software(UUID("00000000-0000-4000-8000-000000000001"), "sanad")


@dataclass(frozen=True)
class Subject:
    """What an event is about, by kind (item, incident, witness, ...) and id."""

    kind: str
    id: UUID


@contextmanager
def acting() -> Iterator[None]:
    """One durable transaction for an act; an action called by another action joins the outermost."""
    outermost = not getattr(connection, "sanad_acting", False)
    if not outermost:
        with transaction.atomic():
            yield
        return
    connection.sanad_acting = True  # type: ignore[attr-defined]
    connection.sanad_ciphers = {}  # type: ignore[attr-defined]
    try:
        with transaction.atomic(durable=True):
            yield
    finally:
        connection.sanad_acting = False  # type: ignore[attr-defined]
        connection.sanad_ciphers = {}  # type: ignore[attr-defined]


def record(
    type: Type,
    *,
    by: Agent,
    at: datetime,
    subjects: Sequence[Subject],
    compartment: UUID | None = None,
    outcome: Outcome | str = Outcome.SUCCESS,
    fields: Mapping[str, Any] | None = None,
    blob: str | None = None,
) -> UUID:
    """Record one custody event in the transaction of the act itself and return its id.

    `fields` are JSON values without floats; each gets a salted commitment in the entry and a sealed disclosure
    beside it, so nothing of them stands in the ledger in the clear. `blob` is the hex SHA-256 of a stored
    ciphertext, the one digest that is public. The first subject owns the disclosures.
    Raises LedgerRefused outside `acting()` or when a value does not fit the entry profile.
    """
    if not getattr(connection, "sanad_acting", False):
        raise LedgerRefused("an event is recorded inside the act it is about")
    event_id = uuid4()
    values: dict[str, Any] = {
        "agent": {"id": str(by.id), "kind": "software" if isinstance(by, Software) else "person"},
        "subjects": [{"kind": subject.kind, "id": str(subject.id)} for subject in subjects],
        **({"compartment": str(compartment)} if compartment else {}),
        **(fields or {}),
    }
    salts = {field: secrets.token_bytes(SALT_BYTES) for field in values}
    try:
        commitments = {field: commit(salts[field], field, value) for field, value in values.items()}
        entry = encode_entry(
            origin=settings.SANAD_ORIGIN,
            event_id=event_id.hex,
            ts=timestamp(at),
            type=str(Type(type).value),
            blob=blob,
            commitments=commitments,
            outcome=str(Outcome(outcome).value),
        )
    except ValueError as problem:
        raise LedgerRefused(f"the event does not fit the ledger: {problem}") from problem
    row = (event_id, str(Type(type).value), str(Outcome(outcome).value), at, by.id, compartment, entry)
    plain = {field: salts[field] + canonical(value) for field, value in values.items()}
    _write(row, subjects, plain)
    return event_id


def _write(row: tuple[Any, ...], subjects: Sequence[Subject], plain: Mapping[str, bytes]) -> None:
    """All rows of one event in one statement, its values under the key that its first subject has at that moment.

    A key is unwrapped once in an act, and the statement itself refuses one that does not stand: made meanwhile by
    another act, undone with a part of this one, or destroyed.
    """
    owner = subjects[0].id
    known: dict[UUID, seal.SubjectCipher] = connection.sanad_ciphers  # type: ignore[attr-defined]
    for _attempt in range(ATTEMPTS):
        cipher = known.get(owner) or seal.stored_cipher(owner) or seal.fresh_cipher(owner)
        sealed = [seal.seal_with(cipher.aead, f"{row[0]}/{field}", value) for field, value in plain.items()]
        named = [subject.kind for subject in subjects], [subject.id for subject in subjects]
        done = statements.fetch_one(_RECORD, [*row, *named, owner, cipher.wrapped, cipher.fresh, list(plain), sealed])
        if done == (True,):
            known[owner] = replace(cipher, fresh=False)
            return
        known.pop(owner, None)
    raise LedgerRefused("the key of its subject changes again and again")


def opened(event_ids: Sequence[UUID]) -> dict[UUID, dict[str, tuple[bytes, Any]]]:
    """{event: {field: (salt, value)}} for events whose values were not erased. Raises seal.SealBroken on tampering."""
    result: dict[UUID, dict[str, tuple[bytes, Any]]] = {event_id: {} for event_id in event_ids}
    ciphers: dict[UUID, Any] = {}
    for row in Disclosure.objects.filter(event_id__in=event_ids):
        if row.subject_id not in ciphers:
            ciphers[row.subject_id] = seal.existing_aead(row.subject_id)
        plain = seal.unseal_with(ciphers[row.subject_id], f"{row.event_id}/{row.field}", bytes(row.sealed))
        result[row.event_id][row.field] = (plain[:SALT_BYTES], json.loads(plain[SALT_BYTES:]))
    return result


def in_order(events: QuerySet[Event]) -> list[Event]:
    """Events in the order in which they happened to their subject: by index, those without one yet last.

    Acts on one subject lock it, so of two the later one is inserted, and therefore sequenced, after the earlier.
    """
    rows = list(events)
    ids = [event.id for event in rows]
    places: dict[UUID, tuple[int, int]] = {
        event_id: (1, pk) for event_id, pk in Pending.objects.filter(event_id__in=ids).values_list("event_id", "pk")
    }
    places |= {
        event_id: (0, index)
        for event_id, index in Entry.objects.filter(event_id__in=ids).values_list("event_id", "index")
    }
    return sorted(rows, key=lambda event: places.get(event.id, (2, 0)))


def timestamp(at: datetime) -> str:
    """UTC with milliseconds, as in an entry: 2025-03-08T05:10:00.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

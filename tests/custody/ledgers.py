"""A ledger to test: acts that are recorded, a head that is signed, and an owner who tampers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection

from custody.engine import SYSTEM, Agent, Subject, acting, record
from custody.models import Checkpoint
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Outcome, Type

GUARDED = (
    "event",
    "eventsubject",
    "entry",
    "checkpoint",
    "disclosure",
    "tile",
    "pending",
    "quarantine",
    "subjectkey",
    "cosignature",
    "anchor",
)
#: What an owner who knows the format writes over the only tile of a small ledger.
TILE_OF_THE_LEAVES = (
    "UPDATE custody_tile SET hashes = (SELECT string_agg(leaf_hash, ''::bytea ORDER BY \"index\") FROM custody_entry)"
)
_PLANT = """
    WITH event AS (
        INSERT INTO custody_event (id, type, outcome, at, agent_id, entry)
        SELECT id, 'displaying', 'success', '2025-03-10T08:00Z', gen_random_uuid(), convert_to(format(
            '{"blob":null,"c":{"agent":"%%1$s","subjects":"%%1$s"},"id":"%%2$s","log":"%%3$s","outcome":"success",'
            '"ts":"2025-03-10T08:00:00.000Z","type":"displaying","v":1}',
            encode(sha256(id::text::bytea), 'hex'), replace(id::text, '-', ''), %s::text), 'UTF8')
        FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) AS made RETURNING id, at
    ), about AS (
        INSERT INTO custody_eventsubject (event_id, kind, subject_id, at)
        SELECT id, 'item', gen_random_uuid(), at FROM event
    ), value AS (
        INSERT INTO custody_disclosure (event_id, field, subject_id, sealed)
        SELECT id, field, gen_random_uuid(), '' FROM event, unnest(ARRAY['agent', 'subjects']) AS field
    )
    INSERT INTO custody_pending (event_id, created_at) SELECT id, at FROM event
"""
_start = datetime(2025, 3, 10, 8, tzinfo=UTC)
_minutes = count()


def happen(
    *,
    by: Agent = SYSTEM,
    type: Type = Type.VIEW,
    subject: Subject | None = None,
    compartment: UUID | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    fields: Mapping[str, Any] | None = None,
) -> UUID:
    """One act, a minute after the one before it, recorded and waiting for its place."""
    with acting():
        return record(
            type,
            by=by,
            at=_start + timedelta(minutes=next(_minutes)),
            subjects=[subject or Subject("item", uuid4())],
            compartment=compartment,
            outcome=outcome,
            fields=fields,
        )


def plant(events: int) -> None:
    """So many entries that fit the ledger and wait for their place, quickly; their values open to nobody."""
    with connection.cursor() as cursor:
        cursor.execute(_PLANT, [settings.SANAD_ORIGIN, events])


def signed_ledger(events: int) -> Checkpoint:
    """So many acts, each with a place, under a signed head."""
    for _ in range(events):
        happen(fields={"purpose": "test"})
    drain()
    head = sign_head()
    assert head is not None
    return head


def as_owner(statement: str, *parameters: Any) -> int:
    """Run SQL as whoever owns the tables would, with their triggers off. Returns how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in GUARDED:
            cursor.execute(f"ALTER TABLE custody_{table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        touched: int = cursor.rowcount
        return touched

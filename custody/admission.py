"""What the sequencer lets into the tree: the entries that this archive recorded, whole, and nothing else.

A row that somebody put into the queue, or whose event was changed while it waited, would be signed and then stop every
later scrub. It waits in quarantine instead, told on the audit desk, and the rest of its batch goes on. Nothing recorded
is lost by that: event and pending row stay, and `manage.py requeue_events` asks for another look after a repair.
"""

import logging
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from custody import statements
from custody.agreement import ALWAYS
from custody.alarm import SEQUENCER, Kind, clear_alarm, raise_alarm
from custody.engine import timestamp
from custody.models import Quarantine
from ledger.entry import EntryError, canonical, parse_entry

log = logging.getLogger("custody.sequencer")

# Each LATERAL look is one into an index, whatever is known of the tables' sizes.
_WAITING = """
    SELECT waiting.id, waiting.event_id, event.entry, event.type, event.outcome, event.at,
           placed.there, told.fields, about.rows, about.elsewhen
    FROM (
        SELECT id, event_id FROM custody_pending AS pending WHERE NOT EXISTS (
            SELECT FROM custody_quarantine AS held WHERE held.event_id = pending.event_id AND held.released_at IS NULL
        ) ORDER BY id LIMIT %s
    ) AS waiting
    LEFT JOIN LATERAL (
        SELECT entry, type::text, outcome::text, at FROM custody_event WHERE id = waiting.event_id LIMIT 1
    ) AS event ON true
    LEFT JOIN LATERAL (
        SELECT true AS there FROM custody_entry WHERE event_id = waiting.event_id LIMIT 1
    ) AS placed ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(field::text) AS fields FROM custody_disclosure WHERE event_id = waiting.event_id
    ) AS told ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS rows, count(*) FILTER (WHERE custody_eventsubject.at <> event.at) AS elsewhen
        FROM custody_eventsubject WHERE event_id = waiting.event_id
    ) AS about ON true
    ORDER BY waiting.id
"""
_quoted = cache(canonical)
_COMMITMENT = rb'"[a-z0-9_]{1,32}":"[0-9a-f]{64}"'
#: The canonical bytes of an entry: whatever matches, with its fields in order and of this log, is one.
_FORM = re.compile(
    rb'\{"blob":(?:null|"[0-9a-f]{64}"),"c":\{((?:%b(?:,%b)*)?)\},"id":"([0-9a-f]{32})","log":("[!-*,-~]{1,260}"),'
    rb'"outcome":"([a-z]{1,10})","ts":"([0-9TZ:.-]{24})","type":"([a-z0-9](?:[a-z0-9 /-]{0,62}[a-z0-9])?)","v":1\}'
    % (_COMMITMENT, _COMMITMENT)
)
_AFTER_NAME = 3 + 64 + 1  # bytes of a member after its field's name: the rest of it in quotes, as the form has it


class Waiting(NamedTuple):
    """A row of the queue with what stands beside it; of an event whose row is gone, None."""

    pk: int
    event_id: UUID
    entry: bytes | None
    type: str
    outcome: str
    at: datetime
    placed: bool | None
    fields: list[str] | None
    subjects: int
    elsewhen: int


def waiting(limit: int) -> list[Waiting]:
    """The next rows of the queue that are not in quarantine."""
    return [Waiting._make(row) for row in statements.execute(_WAITING, [limit]).fetchall()]


def fault(row: Waiting) -> str:
    """Why an event may not have its place in the tree, in words; empty when it may. Names fields, never values."""
    if row.placed:
        return "it has its place in the ledger already: somebody put it into the queue again"
    if row.entry is None:
        left = "subjects or values of it are left, so it was deleted" if row.subjects or row.fields else ""
        return f"its row is gone; {left or 'it was deleted, or somebody put a number into the queue'}"
    fields: Collection[str] | None = _fields(row)
    if fields is None:
        try:
            parsed = parse_entry(row.entry)
        except EntryError as problem:
            return f"its bytes are not an entry: {problem}"
        if parsed.origin != settings.SANAD_ORIGIN:
            return "its entry is of another ledger"
        if parsed.event_id != row.event_id.hex:
            return "its entry is that of another event"
        if (parsed.type, parsed.outcome, parsed.ts) != (row.type, row.outcome, timestamp(row.at)):
            return "its row does not say what its entry says"
        fields = parsed.commitments.keys()
    return _beside(row, fields)


def _beside(row: Waiting, fields: Collection[str]) -> str:
    """What the scrub would demand of the rows beside an entry. Values that an erasure destroyed are its to explain."""
    told = row.fields or []
    if not ALWAYS.issubset(fields):
        return "its entry does not commit to who acted and on what"
    if not ALWAYS.issubset(told):
        return "the values that say who acted and on what are gone"
    if not set(told).issubset(fields):
        return "a value stands beside it that its entry does not hold"
    if not row.subjects or row.elsewhen:
        return "the rows that say what it is about were changed"
    return ""


def _fields(row: Waiting) -> Sequence[str] | None:
    """The fields its entry commits to, where all of it is seen to be right at a glance; None where not.

    A tenth of the time of a parser, which has the last word on what is not seen here.
    """
    found = _FORM.fullmatch(row.entry or b"")
    if found is None or len(row.entry or b"") > 8192:
        return None
    members, *said = found.groups()
    own = _quoted(settings.SANAD_ORIGIN)
    if said != [row.event_id.hex.encode(), own, row.outcome.encode(), timestamp(row.at).encode(), row.type.encode()]:
        return None
    fields = [member[1:-_AFTER_NAME].decode() for member in members.split(b",")] if members else []
    return fields if all(one < other for one, other in pairwise(fields)) else None


def hold(rows: Sequence[tuple[Waiting, str]], at: datetime | None = None) -> None:
    """Put these into quarantine, each with the reason. What has its place already waits no longer."""
    at = at or datetime.now(UTC)
    Quarantine.objects.bulk_create(Quarantine(event_id=row.event_id, reason=why, at=at) for row, why in rows)
    for row, why in rows:
        log.critical("event %s is kept out of the ledger: %s", row.event_id, why)


def held() -> QuerySet[Quarantine]:
    """What is in quarantine now, the oldest first."""
    return Quarantine.objects.filter(released_at=None).order_by("pk")


def release(event_ids: Collection[UUID] = ()) -> list[UUID]:
    """Let the sequencer look at these again, or at all; what is still wrong comes back. Needs the owner's role."""
    rows = held().filter(event_id__in=event_ids) if event_ids else held()
    freed = list(rows.values_list("event_id", flat=True))
    rows.update(released_at=datetime.now(UTC))
    return freed


def sound_alarm() -> bool:
    """Keep the alarm of what is in quarantine, and take it back when nothing is. Returns whether anything is."""
    rows = list(held()[:1])
    if not rows:
        clear_alarm(SEQUENCER)
        return False
    more = held().count() - 1
    what = f"event {rows[0].event_id} is kept out of the ledger: {rows[0].reason}"
    raise_alarm(
        what + (f"; {more} more" if more else ""),
        kind=Kind.QUARANTINED,
        where=f"event {rows[0].event_id}",
        source=SEQUENCER,
    )
    return True

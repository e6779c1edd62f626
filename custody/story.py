"""The custody of one subject as a readable story, oldest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from custody.engine import opened
from custody.erased import explained
from custody.models import Entry, Event, EventSubject
from custody.proof import newest_checkpoint
from custody.vocabulary import Outcome, Type
from ledger.entry import EntryError, parse_entry

LIMIT = 1000


@dataclass(frozen=True)
class StoryLine:
    """One event. `fields` are the opened values, `index` its place in the tree; `recorded`: a signed head covers it.

    `erased` names the values that an erasure destroyed, `lost` those that are missing and that none explains,
    `returned` those that were destroyed and stand there again.
    """

    event_id: UUID
    at: datetime
    type: Type
    outcome: Outcome
    agent_id: UUID
    fields: dict[str, Any]
    index: int | None
    recorded: bool
    erased: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return str(self.type.label)


def story(kind: str, subject_id: UUID, *, newest: int = LIMIT) -> list[StoryLine]:
    """The newest events of a subject in order of time. Raises custody.seal.SealBroken on a changed value."""
    ids = list(
        EventSubject.objects.filter(kind=kind, subject_id=subject_id)
        .order_by("-at", "-pk")
        .values_list("event_id", flat=True)[:newest]
    )
    return lines(list(reversed(ids)))


def lines(ids: Sequence[UUID]) -> list[StoryLine]:
    """The given events as story lines, in the given order."""
    events = Event.objects.in_bulk(list(ids))
    indices = dict(Entry.objects.filter(event_id__in=ids).values_list("event_id", "index"))
    head = newest_checkpoint()
    signed = head.size if head else 0
    values = opened(list(ids))
    gone = _gone(events, values)
    result = []
    for event_id in ids:
        event = events[event_id]
        index = indices.get(event_id)
        result.append(
            StoryLine(
                event_id=event_id,
                at=event.at,
                type=Type(event.type),
                outcome=Outcome(event.outcome),
                agent_id=event.agent_id,
                fields={field: value for field, (_, value) in values[event_id].items()},
                index=index,
                recorded=index is not None and index < signed,
                **gone[event_id],
            )
        )
    return result


def _gone(
    events: Mapping[UUID, Event], values: Mapping[UUID, Mapping[str, Any]]
) -> dict[UUID, dict[str, frozenset[str]]]:
    """What is not there, or not rightly there, of each event."""
    subjects: dict[UUID, list[UUID]] = {event_id: [] for event_id in events}
    for row in EventSubject.objects.filter(event_id__in=list(events)):
        subjects.setdefault(row.event_id, []).append(row.subject_id)
    destroyed = explained(subjects)
    gone = {}
    for event_id, event in events.items():
        try:
            committed = frozenset(parse_entry(bytes(event.entry)).commitments)
        except EntryError:
            committed = frozenset()  # what was done to an entry is verification's to tell
        named, there = destroyed.get(event_id, frozenset()), values[event_id].keys()
        gone[event_id] = {
            "erased": (committed & named) - there,
            "lost": committed - named - there,
            "returned": named & there,
        }
    return gone

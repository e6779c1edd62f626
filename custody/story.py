"""The custody of one subject as a readable story, oldest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from custody.engine import opened
from custody.models import Entry, Event, EventSubject
from custody.proof import newest_checkpoint
from custody.vocabulary import Outcome, Type

LIMIT = 1000


@dataclass(frozen=True)
class StoryLine:
    """One event. `fields` are the opened values, `index` its place in the tree; `recorded`: a signed head covers it."""

    event_id: UUID
    at: datetime
    type: Type
    outcome: Outcome
    agent_id: UUID
    fields: dict[str, Any]
    index: int | None
    recorded: bool

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
            )
        )
    return result

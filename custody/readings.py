"""Readings: a content word leaves the archive only after the event that says who read it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from custody.engine import Agent, Subject, record
from custody.models import Event, EventSubject
from custody.vocabulary import Type

ONE_READING = timedelta(minutes=5)


def record_reading(
    *, by: Agent, at: datetime, compartment: UUID, subjects: Sequence[Subject], purpose: str = "record"
) -> None:
    """Record a view, unless the same person viewed the same within ONE_READING before `at`.

    The last subject is what is read: it alone decides whether this is the same reading. Raises LedgerRefused
    outside `acting()`.
    """
    read = subjects[-1]
    recent = EventSubject.objects.filter(kind=read.kind, subject_id=read.id, at__gt=at - ONE_READING)
    if Event.objects.filter(type=Type.VIEW, agent_id=by.id, id__in=recent.values("event_id")).exists():
        return
    record(Type.VIEW, by=by, at=at, compartment=compartment, subjects=subjects, fields={"purpose": purpose})

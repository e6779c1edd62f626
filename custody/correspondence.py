"""When a partner may be asked again: a fixed cadence while it answers, growing pauses with jitter while it does not."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection

from custody.models import Correspondence

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0  # seconds
_LOCK = 0x53414E4145  # beside the sequencer's


def with_partner(kind: str, partner: str) -> Correspondence:
    """The state of the talk with one partner, made on first use."""
    return Correspondence.objects.get_or_create(kind=kind, partner=partner)[0]


def is_due(talk: Correspondence, now: datetime) -> bool:
    """Whether the partner may be asked. A clock that was set back does not silence anybody for longer than a pause."""
    limit = now + timedelta(seconds=LONGEST_PAUSE * 1.5)
    return talk.next_at is None or talk.next_at <= now or talk.next_at > limit


def succeeded(talk: Correspondence, now: datetime, *, again_in: float = 0.0) -> None:
    """It answered as it should."""
    talk.asked_at = talk.answered_at = now
    talk.next_at = now + timedelta(seconds=again_in)
    talk.failures, talk.problem = 0, ""
    talk.save()


def failed(talk: Correspondence, now: datetime, problem: str) -> None:
    """It did not. The next pause is twice as long, up to an hour, and half to one and a half times that."""
    talk.asked_at = talk.failed_at = now
    talk.failures = min(talk.failures + 1, 1000)
    talk.problem = problem[:500]
    pause = min(FIRST_PAUSE * 2 ** min(talk.failures - 1, 10), LONGEST_PAUSE)
    talk.next_at = now + timedelta(seconds=pause * (0.5 + secrets.randbelow(1000) / 1000))
    talk.save()


@contextmanager
def alone() -> Iterator[bool]:
    """True for the one process that talks to the partners now. Ends with the session of a process that was killed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])

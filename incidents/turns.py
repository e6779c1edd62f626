"""Whose turn it is with an upload: a lock of the database session, gone with the process or connection that held it.

It is no transaction: a line may trickle for an hour and no row is locked meanwhile. A connection pool that gives
statements of one session to several servers (PgBouncer in transaction mode) must not stand in between.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from uuid import UUID

from django.db import DatabaseError, connection

PATIENCE = 1.0  # seconds that a request waits for one that is just ending


class Busy(Exception):
    """Somebody else is at work on this upload now."""


@contextmanager
def turn(upload_id: UUID, *, patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one at work on an upload, over all processes. Raises Busy when another still is after `patience`."""
    key = int.from_bytes(upload_id.bytes[:8], "big", signed=True)
    until = monotonic() + patience
    while not _locked(key):
        if monotonic() >= until:
            raise Busy
        sleep(0.05)
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
        except DatabaseError:
            connection.close()  # the lock ends with the session


def _locked(key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        return bool(cursor.fetchone()[0])


def queue(name: str) -> None:
    """Wait for one's turn until the end of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])

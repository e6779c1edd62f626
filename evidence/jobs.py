"""Deferring the examination by name: the task lives above the actions that ask for it."""

import contextlib
from uuid import UUID

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

EXAMINE = "evidence.tasks.examine"
MAKE_COPIES = "evidence.tasks.make_copies"
LOOK_AT_COPIES = "evidence.tasks.look_at_copies"
FINISH_ERASURE = "evidence.tasks.finish_erasure"


def defer_examination(item_id: UUID, *, again: bool = False) -> None:
    """Put the examination in the queue, in the transaction of the act: a rollback takes the job with it.

    `again` asks for it once more unless it waits in the queue already.
    """
    name = f"item/{item_id}"
    task = app.configure_task(EXAMINE, lock=name, queueing_lock=name if again else None)
    # The savepoint: being asked for already must not break the caller's transaction.
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(item_id=str(item_id))


def defer_copying() -> None:
    """Put the making of wanted copies in the queue, once for however many there are."""
    task = app.configure_task(MAKE_COPIES, lock="copies", queueing_lock="copies")
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer()


def defer_looking(address: str) -> None:
    """Put a test of every copy of an object in the queue."""
    name = f"copies/{address}"
    task = app.configure_task(LOOK_AT_COPIES, lock=name, queueing_lock=name)
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(address=address)


def defer_finishing(erasure_id: UUID) -> None:
    """Put the clearing of what an erasure left outside its transaction in the queue."""
    name = f"erasure/{erasure_id}"
    task = app.configure_task(FINISH_ERASURE, lock=name, queueing_lock=name)
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(erasure_id=str(erasure_id))

"""Deferring the examination by name: the task lives above the actions that ask for it."""

from uuid import UUID

from procrastinate.contrib.django import app

EXAMINE = "evidence.tasks.examine"


def defer_examination(item_id: UUID) -> None:
    """Put the examination in the queue, in the transaction of the act: a rollback takes the job with it."""
    app.configure_task(EXAMINE, queueing_lock=None, lock=f"item/{item_id}").defer(item_id=str(item_id))

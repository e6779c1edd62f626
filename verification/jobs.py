"""Deferring work by name: the tasks live above the actions that ask for them."""

import contextlib
from uuid import UUID

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

VERIFY_RUN = "verification.tasks.verify_run"
SWEEP = "verification.tasks.sweep"
LAST = -10  # priority of what nobody waits for


def defer_run(run_id: UUID) -> None:
    """Queue the next stretch of a run, in the transaction that is open: a rollback takes the job with it.

    The lock keeps two workers from one run.
    """
    app.configure_task(VERIFY_RUN, lock=f"verification/{run_id}").defer(run_id=str(run_id))


def defer_sweep(lane: int, *, in_seconds: float = 0) -> None:
    """Queue the next stretch of a lane, after a pause, unless it waits in the queue already."""
    name = f"sweep/{lane}"
    pause = {"seconds": max(0, round(in_seconds))}
    task = app.configure_task(SWEEP, lock=name, queueing_lock=name, priority=LAST, schedule_in=pause)
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(lane=lane)

"""Deferring a run's work by name: the task lives above the actions that ask for it."""

from uuid import UUID

from procrastinate.contrib.django import app

VERIFY_RUN = "verification.tasks.verify_run"


def defer_run(run_id: UUID) -> None:
    """Queue the next stretch of a run, in the transaction that is open: a rollback takes the job with it.

    The lock keeps two workers from one run.
    """
    app.configure_task(VERIFY_RUN, lock=f"verification/{run_id}").defer(run_id=str(run_id))

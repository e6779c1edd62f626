"""The work of verification runs, in stretches: a worker is never held by one run for long, and none is forgotten."""

import logging
import time
from uuid import UUID

from django.db import close_old_connections
from django.utils import timezone
from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from verification import actions, jobs
from verification.models import Run
from verification.state import UNDER_WAY

log = logging.getLogger(__name__)
STRETCH = 60.0  # seconds of one run before other jobs get their turn
ATTEMPTS = 5


@app.task(name=jobs.VERIFY_RUN, retry=RetryStrategy(max_attempts=ATTEMPTS, exponential_wait=4), pass_context=True)
def verify_run(context: JobContext, *, run_id: str) -> None:
    """Work on a run for a stretch and queue the next one. Gives the run up when it failed ATTEMPTS times in a row."""
    close_old_connections()
    run = UUID(run_id)
    try:
        more = actions.work(run_id=run, until=time.monotonic() + STRETCH)
    except Exception as error:
        if context.job.attempts + 1 >= ATTEMPTS:
            actions.fail_run(at=timezone.now(), run_id=run, problem=type(error).__name__)
        raise
    finally:
        close_old_connections()
    if more:
        jobs.defer_run(run)


@app.periodic(cron="* * * * *")
@app.task(name="verification.tasks.resume_runs", queueing_lock="verification.resume_runs")
def resume_runs(timestamp: int) -> None:
    """Every minute: runs that lost their job go on where they stopped."""
    close_old_connections()
    for run in Run.objects.filter(state__in=UNDER_WAY):
        resume(run)


def resume(run: Run) -> bool:
    """Queue a run's work where no job holds it any more. True when it was queued.

    A job held by a worker that was killed comes back by evidence.tasks.take_over_from_the_dead.
    """
    held = ProcrastinateJob.objects.filter(
        task_name=jobs.VERIFY_RUN, args__run_id=str(run.pk), status__in=["todo", "doing"]
    )
    if held.exists():
        return False
    log.warning("a verification run had no job and goes on")
    jobs.defer_run(run.pk)
    return True

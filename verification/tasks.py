"""The work of runs and sweeps, in stretches: a worker is never held by one of them for long, and none is forgotten."""

import logging
import time
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from verification import actions, jobs, sweeps
from verification.models import Run
from verification.state import UNDER_WAY

log = logging.getLogger(__name__)
STRETCH = 60.0  # seconds of one run before other jobs get their turn
ATTEMPTS = 5
SWEPT = 20.0  # seconds of one lane before other jobs get their turn
BACK_OFF = 600.0  # seconds until a store that was away is asked again
MEBIBYTE = 2**20


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


@app.periodic(cron="* * * * *")
@app.task(name="verification.tasks.start_sweeps", queueing_lock="verification.start_sweeps")
def start_sweeps(timestamp: int) -> None:
    """Every minute: each lane in which something is due goes on, on whatever host has a worker free."""
    close_old_connections()
    lanes = settings.SANAD_SWEEP_LANES
    for lane in range(lanes):
        if sweeps.next_items(lane, lanes, timezone.now()):
            jobs.defer_sweep(lane)


@app.task(name=jobs.SWEEP)
def sweep(*, lane: int) -> None:
    """One stretch of a lane. The next waits in the queue until the bytes read keep to SANAD_SWEEP_RATE."""
    close_old_connections()
    lanes, began = settings.SANAD_SWEEP_LANES, time.monotonic()
    if lane >= lanes:
        return
    try:
        done = sweeps.work(lane=lane, lanes=lanes, until=began + SWEPT)
    finally:
        close_old_connections()
    if done.more:
        jobs.defer_sweep(lane, in_seconds=pause_after(done, time.monotonic() - began))


def pause_after(done: sweeps.Stretch, seconds: float) -> float:
    """How many seconds a lane waits after a stretch that took so many."""
    share = settings.SANAD_SWEEP_RATE * MEBIBYTE / settings.SANAD_SWEEP_LANES
    wanted = done.size / share - seconds if share else 0.0
    return max(wanted, BACK_OFF if done.away else 0.0)

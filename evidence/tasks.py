"""Work that is done after the answer: examining what came, and picking up what was left lying."""

import logging
import time
from datetime import timedelta
from uuid import UUID

from django.db import close_old_connections
from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from evidence import blobs, erasure, jobs, leftovers, reconcile, replication, sandbox, store
from evidence.actions import record_examination
from evidence.models import Erasure, Item, WantedCopy
from evidence.vocabulary import ErasureState

log = logging.getLogger("evidence.tasks")
TOOL = "Pillow, WebP of at most 1280 pixels"
LEFT_LYING = timedelta(minutes=15)
MOST_AT_ONCE = 500
STRETCH = 60.0  # seconds of copying before other jobs get their turn
SILENT_SECONDS = 60  # a worker without a heartbeat for this long is dead


@app.task(name=jobs.EXAMINE, retry=RetryStrategy(max_attempts=6, exponential_wait=4))
def examine(item_id: str) -> None:
    """Identify the bytes of an item in the sandbox and write down what was found, once.

    Runs again, with growing pauses, when the store or the database fails; asked again later it changes nothing.
    """
    item = Item.objects.select_related("blob").filter(pk=UUID(item_id)).first()
    if item is None or item.examined_at is not None or item.erased_at is not None:
        return
    try:
        found = sandbox.examine(blobs.read_blob(item.blob))
    except sandbox.SandboxUnavailable as problem:
        log.error("nothing is examined: %s", problem)
        found = sandbox.Examination(problem=f"not examined: {problem}")
    preview = (blobs.receive([found.preview]), "image/webp", TOOL) if found.preview else None
    record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic=found.puremagic,
        libmagic=found.libmagic,
        claims=found.claims or None,
        problem=found.problem,
        preview=preview,
    )


@app.periodic(cron="*/5 * * * *")
@app.task(name="evidence.tasks.examine_left_lying", queueing_lock="examine_left_lying", pass_context=False)
def examine_left_lying(timestamp: int) -> None:
    """Ask again for the examination of items that have had none for a while, whatever became of their jobs."""
    waiting = Item.objects.filter(examined_at__isnull=True, erased_at__isnull=True)
    overdue = waiting.filter(received_at__lt=timezone.now() - LEFT_LYING)
    for item_id in overdue.order_by("received_at").values_list("pk", flat=True)[:MOST_AT_ONCE]:
        jobs.defer_examination(item_id, again=True)


@app.task(name=jobs.FINISH_ERASURE, retry=RetryStrategy(max_attempts=8, exponential_wait=2))
def finish_erasure(erasure_id: str) -> None:
    """Clear what an erasure left outside its transaction, then record that it is finished. Asking twice is once."""
    found = Erasure.objects.get(pk=UUID(erasure_id))
    if found.state != ErasureState.DONE or found.finished_at is not None:
        return
    finish_or_postpone(found)


def finish_or_postpone(found: Erasure) -> bool:
    """Clear, and record that it is finished; or until when a store keeps what nobody can read. False when it does."""
    lock: store.Locked | None = None
    try:
        leftovers.clear(found)
    except store.Locked as kept:
        lock = kept
    leftovers.scrub_tables()
    if lock is not None:
        erasure.postpone_erasure(at=timezone.now(), erasure_id=found.id, until=lock.until)
        return False
    erasure.finish_erasure(at=timezone.now(), erasure_id=found.id)
    return True


@app.periodic(cron="*/5 * * * *")
@app.task(name="evidence.tasks.finish_left_lying", queueing_lock="finish_left_lying", pass_context=False)
def finish_left_lying(timestamp: int) -> None:
    """Ask again for the finishing of erasures whose job was lost or gave up."""
    unfinished = Erasure.objects.filter(state=ErasureState.DONE, finished_at__isnull=True)
    for found in unfinished.exclude(locked_until__gt=timezone.now()):
        log.warning("an erasure is not finished yet and goes on")
        jobs.defer_finishing(found.id)


@app.periodic(cron="* * * * *")
@app.task(name="evidence.tasks.take_over_from_the_dead", queueing_lock="take_over_from_the_dead")
async def take_over_from_the_dead(timestamp: int) -> None:
    """Give the jobs of workers that were killed to the living: a job it held would block its item for ever."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_SECONDS):
        await app.job_manager.retry_job(job)


@app.task(name=jobs.MAKE_COPIES)
def make_copies() -> None:
    """Make wanted copies for a stretch and queue the next one while there are any."""
    close_old_connections()
    if replication.make_copies(until=time.monotonic() + STRETCH):
        jobs.defer_copying()


@app.periodic(cron="* * * * *")
@app.task(name="evidence.tasks.make_due_copies", queueing_lock="make_due_copies", pass_context=False)
def make_due_copies(timestamp: int) -> None:
    """Try again to make the copies that could not be made, each when its pause is over."""
    if WantedCopy.objects.filter(next_try_at__lte=timezone.now()).exists():
        jobs.defer_copying()


@app.task(name=jobs.LOOK_AT_COPIES, retry=RetryStrategy(max_attempts=3, exponential_wait=4))
def look_at_copies(address: str) -> None:
    """Test every copy of an object of which somebody read bad bytes."""
    replication.look(address)


@app.periodic(cron="17 3 * * *")
@app.task(name="evidence.tasks.reconcile", queueing_lock="reconcile")
def reconcile_store(timestamp: int) -> None:
    """Compare rows and bytes every night; what is missing is an error in the log, by accession number."""
    found = reconcile.reconcile(remove=True)
    for name in found.without_bytes:
        log.error("no bytes stand for %s", name)
    for name, count in found.lacking.items():
        log.error("store %s lacks %d objects, which are copied to it", name, count)

"""Uploads after the answer: what arrived whole is finished, what nobody goes on with is given up."""

import logging
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from incidents import finishing, jobs, resumable
from incidents.models import Upload
from incidents.turns import Busy
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.tasks")
LEFT_LYING = timedelta(minutes=3)
MOST_AT_ONCE = 500


@app.task(name=jobs.FINISH_UPLOAD, retry=RetryStrategy(max_attempts=8, exponential_wait=3))
def finish_upload(upload_id: str) -> None:
    """Make an item of what arrived whole. Runs again, with growing pauses, when disk, store or database fail."""
    finishing.finish(UUID(upload_id), insist=True)


@app.periodic(cron="*/5 * * * *")
@app.task(name="incidents.tasks.finish_uploads_left_lying", queueing_lock="finish_uploads_left_lying")
def finish_uploads_left_lying(timestamp: int) -> None:
    """Ask again for the finishing of uploads whose job was lost or gave up."""
    overdue = Upload.objects.filter(state=UploadState.FINISHING, touched_at__lt=timezone.now() - LEFT_LYING)
    for upload in overdue.order_by("touched_at")[:MOST_AT_ONCE]:
        log.warning("upload %s is not finished yet and is asked again", upload.pk)
        jobs.defer_upload(upload.pk, upload.length)
        Upload.objects.filter(pk=upload.pk).update(touched_at=timezone.now())  # the next time others come first


@app.periodic(cron="*/10 * * * *")
@app.task(name="incidents.tasks.expire_uploads", queueing_lock="expire_uploads")
def expire_uploads(timestamp: int) -> None:
    """Give up the bytes of uploads that nobody went on with for SANAD_UPLOAD_LIFE; each is in the log."""
    now = timezone.now()
    states = (UploadState.RECEIVING, UploadState.FAILED)
    for upload_id in Upload.objects.filter(state__in=states, expires_at__lte=now).values_list("pk", flat=True):
        try:
            resumable.expire(upload_id, now)
        except Busy:
            log.info("upload %s is at work and does not expire now", upload_id)

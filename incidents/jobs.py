"""Deferring the finishing of an upload by name: the task lives above the actions that ask for it."""

import contextlib
from uuid import UUID

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

FINISH_UPLOAD = "incidents.tasks.finish_upload"
AT_ONCE = 64 << 20  # bytes up to which the request that brought the last byte finishes the upload itself
AFTERWARDS = 30  # seconds that a job leaves to such a request


def defer_upload(upload_id: UUID, length: int) -> None:
    """Put the finishing in the queue, in the transaction that makes it necessary. Asking twice is once."""
    name = f"upload/{upload_id}"
    wait = {"seconds": AFTERWARDS} if length <= AT_ONCE else None
    task = app.configure_task(FINISH_UPLOAD, lock=name, queueing_lock=name, schedule_in=wait)
    with contextlib.suppress(AlreadyEnqueued), transaction.atomic():
        task.defer(upload_id=str(upload_id))

"""From bytes that arrived whole to an item: checked, stored, read back, recorded; once, whoever asks how often.

1. One at a time: `turn`. Whoever has it writes itself into `writer`, and the item is recorded in one transaction with
   the upload's state, under a lock on its row, only where `writer` still is the same. So a finisher that lost its
   connection records nothing and takes nothing out of the store.
2. Until that transaction the staged bytes and the state stay as they are: whoever is killed has changed nothing, and
   is followed by the job. Object and address are the same each time; storing them again is no second object.
3. What can be put right (a closed incident, a lost role) leaves the bytes staged until they expire, and is asked
   again by an empty PATCH or the same creation. What cannot (other bytes than declared) gives them up.
"""

import logging
import os
from dataclasses import replace
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.permissions import NotNow, NotVisible, Refused
from custody.engine import acting
from custody.seal import SealBroken
from evidence import blobs, staging, store
from evidence.models import Item
from evidence.streams import StreamBroken
from incidents import resumable, tus, uploads
from incidents.models import Upload
from incidents.resumable import Fenced, give_up, kept_of, metadata_of
from incidents.turns import PATIENCE, Busy, turn
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.uploads")


class _NotTaken(Exception):
    """The upload cannot become an item: a code for programs and words for the sender. `final` gives the bytes up."""

    def __init__(self, code: str, detail: str, *, final: bool) -> None:
        super().__init__(code)
        self.code, self.detail, self.final = code, detail, final


def finish(upload_id: UUID, *, insist: bool = False) -> None:
    """Make an item of an upload that arrived whole; what is done already, or is being done, is left alone.

    A refusal is written into the upload. Raises what store, disk or database raise: it is to be asked again then.
    `insist` waits for a turn that is just ending, and raises Busy when it does not end: the job may come before the
    request that deferred it has let go, and is the last to ask.
    """
    try:
        with turn(upload_id, patience=PATIENCE if insist else 0):
            writer = uuid4()
            waiting = Upload.objects.filter(pk=upload_id, state=UploadState.FINISHING)
            if not waiting.update(writer=writer):
                return
            upload = Upload.objects.select_related("by", "intake").get(pk=upload_id)
            with translation.override(upload.by.language or None):
                _finish(upload, writer)
    except (Busy, Fenced):
        if insist:
            raise
        log.info("upload %s is being finished by another", upload_id)


def _finish(upload: Upload, writer: UUID) -> None:
    kept = kept_of(upload)
    try:
        with _Refusals():
            uploads.require_intake(upload.by, upload.created_at, upload.intake_id)
            metadata_of(upload)
        try:
            parts = [staging.Part(part.start, part.stop, part.sha256) for part in upload.parts.all()]
            received = staging.whole(kept, parts)
        except (StreamBroken, FileNotFoundError) as problem:
            log.error("upload %s: %s", upload.pk, problem)
            raise _lost() from None
        _as_declared(upload.declared_sha256, received.sha256)
        item = _earlier(upload, received)
        if item is None:
            os.utime(kept.path)  # its age is that of the object, which the reconciler must not take for a leftover
            received = replace(received, held=store.put(kept.path, received.address))
            blobs.read_back(received)
        _record(upload, writer, received, item)
    except _NotTaken as problem:
        if problem.final:
            give_up(upload, writer, problem.code, problem.detail)
        else:
            _put_off(upload, writer, problem)
        return
    staging.forget(kept)
    log.info("upload %s is held", upload.pk)


def _earlier(upload: Upload, received: blobs.Received) -> Item | None:
    with _Refusals():
        return uploads.earlier_item(
            upload.by, upload.key, intake=upload.intake, sha256=received.sha256, size=received.size
        )


def _record(upload: Upload, writer: UUID, received: blobs.Received, item: Item | None) -> None:
    """The item and the state of its upload, in one transaction. The object goes again when there is no item."""
    said = tus.Metadata.parsed(metadata_of(upload))
    mine = Upload.objects.select_for_update().filter(pk=upload.pk, writer=writer, state=UploadState.FINISHING)
    try:
        with _Refusals(), acting():
            locked = mine.first()
            if locked is None:
                raise Fenced
            _as_declared(locked.declared_sha256, received.sha256)
            item = item or uploads.record_received(
                by=upload.by,
                at=timezone.now(),
                intake=upload.intake,
                received=received,
                original_name=said.name,
                idempotency_key=upload.key,
                file_time=said.modified,
                began=upload.created_at,
            )
            locked.item, locked.state, locked.writer, locked.declared_sha256 = item, UploadState.HELD, None, ""
            locked.wrapped_key = locked.sealed_metadata = b""
            locked.problem_code = locked.problem_detail = ""
            locked.touched_at = timezone.now()
            locked.save()
            locked.parts.all().delete()
    except _NotTaken:
        with transaction.atomic():
            if mine.first():
                blobs.discard(received)
        raise


class _Refusals:
    """Turns what an act refuses into a reason that the sender can read."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, NotVisible | Refused):
            words = _("You may not add files there any more. What arrived is kept for a while.")
            raise _NotTaken("not_allowed", words, final=False) from problem
        if isinstance(problem, NotNow):
            raise _NotTaken("not_now", str(problem.message), final=False) from problem
        if isinstance(problem, ValidationError):
            raise _NotTaken("invalid", " ".join(problem.messages), final=False) from problem
        if isinstance(problem, SealBroken):
            log.error("upload: %s", problem)
            raise _NotTaken("changed", str(resumable.CHANGED), final=False) from problem
        if isinstance(problem, IntegrityError):
            raise _NotTaken("not_now", str(uploads.KEY_USED), final=False) from problem


def _as_declared(declared: str, sha256: str) -> None:
    if declared and declared != sha256:
        words = _("What arrived is not what was sent: the digests differ. Nothing was kept; please send it again.")
        raise _NotTaken("digest_mismatch", words, final=True)


def _lost() -> _NotTaken:
    return _NotTaken("staging_damaged", _("The archive lost what it held. Send the file again."), final=True)


def _put_off(upload: Upload, writer: UUID, problem: _NotTaken) -> None:
    changed = Upload.objects.filter(pk=upload.pk, writer=writer, state=UploadState.FINISHING).update(
        state=UploadState.FAILED, problem_code=problem.code, problem_detail=problem.detail, writer=None
    )
    if not changed:
        raise Fenced
    log.warning("upload %s is not taken: %s", upload.pk, problem.code)

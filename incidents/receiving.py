"""The bytes of an upload in parts.

Why nothing acknowledged is lost and nothing counts twice, whoever is killed or comes at the same time:

1. One request at a time works on an upload: `turn` is a lock of the database session and dies with its process. No
   transaction is open and no row is locked while bytes arrive.
2. Whoever has the turn writes its own id into `writer`, committed, before it makes a segment, and takes it out in the
   transaction that keeps its last byte. Offsets are kept only `where writer = id`: a request that lost its connection,
   and with it the turn, moves nothing any more, however long it still writes into a file.
3. Whoever finds a `writer` at the beginning of its turn knows that segments may stand on the disk that no offset
   covers. It goes on under a new key in a new file (evidence.staging); the old file is nobody's.
4. An offset is committed after file, tail and folder were flushed, and told to the sender after it was committed. So
   what was told stands on the disk, and a part that is sent again begins where the last one was kept.
5. The last byte, the state "finishing" and the job that finishes are one transaction: what was received whole becomes
   an item even if the sender never comes back.
6. A part with a checksum waits in a spool under a key that is stored nowhere until it fits; before that it has no
   offset and made no segment.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from evidence import staging
from evidence.blobs import ReceptionRefused
from evidence.hashing import Digest
from evidence.staging import Kept, Staged
from evidence.streams import StreamBroken
from incidents import jobs
from incidents.lines import Line
from incidents.models import Upload, UploadPart
from incidents.resumable import (
    Fenced,
    ask_again,
    change,
    declare,
    give_up,
    gone,
    is_over,
    kept_of,
    metadata_of,
    sealed,
    wrapped,
)
from incidents.turns import turn
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.uploads")
KEPT_EVERY_BYTES = 64 << 20
KEPT_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Checksum:
    """What a part must hash to: an algorithm of hashlib and its digest."""

    algorithm: str
    digest: bytes


def receive(upload: Upload, line: Line, *, at_offset: int, checksum: Checksum | None, sha256: str) -> Upload:
    """Take what the line gives and keep it. What arrived before the line ended counts, unless it has a checksum.

    Raises turns.Busy, NotNow for another offset or a digest that contradicts an earlier one, ReceptionRefused (410,
    413, 460, 507), Fenced, StreamBroken when acknowledged bytes were damaged.
    """
    with turn(upload.pk):
        writer = uuid4()
        upload, cut_down = _enter(upload.pk, writer, at_offset, sha256)
        if upload.state != UploadState.RECEIVING:
            return upload
        try:
            kept = kept_of(upload)
            if cut_down:
                kept = _go_on_under_a_new_key(upload, kept, writer)
            with line:
                _take(upload, kept, writer, line, checksum)
        except StreamBroken as problem:
            log.error("upload %s: %s", upload.pk, problem)
            give_up(upload, writer, "staging_damaged", lost := _("The archive lost what it held. Send the file again."))
            raise ReceptionRefused(lost, "staging_damaged", 410) from problem
        except OSError as problem:
            log.error("upload %s: staging: %s", upload.pk, problem.strerror)
            raise ReceptionRefused(
                _("The archive has no room or cannot write now. What was acknowledged is kept; go on later."),
                "no_room",
                507,
            ) from problem
        return Upload.objects.select_related("item__duplicate_of", "intake").get(pk=upload.pk)


def _enter(upload_id: UUID, writer: UUID, at_offset: int, sha256: str) -> tuple[Upload, bool]:
    """Become the writer: (the upload, whether one before was cut down). Call in one's turn."""
    now = timezone.now()
    with transaction.atomic():
        found = Upload.objects.select_for_update().filter(pk=upload_id).first()
        if found is None or is_over(found, now):
            raise gone()
        if at_offset != found.offset:
            raise NotNow(
                _("The archive holds %(offset)s bytes of this file. Ask where to go on.") % {"offset": found.offset}
            )
        if sha256 and sha256 != (found.declared_sha256 or sha256):
            raise NotNow(_("Another digest was declared for this file before."))
        if found.item is not None and sha256 and sha256 != found.item.sha256:
            raise ReceptionRefused(
                _("What the archive holds is not what was declared: the digests differ."), "digest_mismatch", 422
            )
        if found.state == UploadState.FAILED:
            if not found.wrapped_key:
                raise NotNow(found.problem_detail or _("This upload failed. Send the file again."))
            if found.offset < found.length:
                raise gone()
            ask_again(found, now)
        if found.state not in (UploadState.RECEIVING, UploadState.FINISHING):
            return found, False
        if sha256 and not found.declared_sha256:
            declare(found, sha256)
        cut_down = found.writer is not None
        if found.state == UploadState.RECEIVING:
            found.writer = writer
        found.save(update_fields=["writer"])
        return found, cut_down


def _go_on_under_a_new_key(upload: Upload, old: Kept, writer: UUID) -> Kept:
    fresh = staging.under_a_new_key(old)
    with transaction.atomic():
        mine = Upload.objects.select_for_update().filter(pk=upload.pk, writer=writer, state=UploadState.RECEIVING)
        changed = mine.first()
        if changed is not None:
            changed.sealed_metadata = sealed(changed, fresh.key, metadata_of(changed))
            changed.blob_id, changed.wrapped_key = fresh.blob_id, wrapped(fresh)
            changed.save(update_fields=["blob_id", "wrapped_key", "sealed_metadata"])
    staging.forget(old if changed else fresh, cut_down=True)
    if changed is None:
        raise Fenced
    log.warning("upload %s goes on under a new key after %s bytes: it was cut down", upload.pk, old.offset)
    return fresh


def _take(upload: Upload, kept: Kept, writer: UUID, line: Line, checksum: Checksum | None) -> None:
    """Bytes of the line into the staging file, kept every now and then and at the end."""
    room = upload.length - kept.offset
    start, since = kept.offset, time.monotonic()
    pieces = line.pieces(room)
    with Digest("sha256") as digest, Staged(kept) as staged:
        try:
            for piece in _fitting(upload, pieces, checksum) if checksum else pieces:
                if staged.offset + len(piece) > upload.length:
                    break
                if piece:
                    digest.update(piece)
                    staged.write(piece)
                fresh = staged.offset - kept.offset
                overdue = fresh >= KEPT_EVERY_BYTES or time.monotonic() - since > KEPT_EVERY_SECONDS
                if not checksum and fresh and overdue and staged.offset < upload.length:
                    kept, since = _keep(upload, kept, staged, writer, start, digest), time.monotonic()
        except BaseException:
            if staged.offset == kept.offset:  # no segment was made that is not kept
                change(upload, writer, {"writer": None})
            raise
        if staged.offset < upload.length:
            _keep(upload, kept, staged, writer, start, digest, leave=True)
        else:
            _complete(upload, kept, staged, writer, start, digest)
    if line.taken > room:
        raise ReceptionRefused(
            _("More bytes came than the file was said to have. What came before is kept."), "too_long", 413
        )


def _keep(
    upload: Upload, before: Kept, staged: Staged, writer: UUID, start: int, digest: Digest, *, leave: bool = False
) -> Kept:
    kept = before if staged.offset == before.offset else staged.keep()
    with transaction.atomic():
        if kept is not before:
            _note_part(upload, start, kept.offset, digest.so_far())
        changes: dict[str, Any] = {"offset": kept.offset, "writer": None if leave else writer}
        change(upload, writer, changes | (_touched() if kept is not before else {}))
    if kept is not before:
        staging.forget_tail(before)
    return kept


def _complete(upload: Upload, before: Kept, staged: Staged, writer: UUID, start: int, digest: Digest) -> None:
    staged.complete()
    with transaction.atomic():
        if staged.offset > start:
            _note_part(upload, start, staged.offset, digest.hexdigest())
        changes = {"offset": staged.offset, "writer": None, "state": UploadState.FINISHING}
        change(upload, writer, changes | _touched())
        jobs.defer_upload(upload.pk, upload.length)
    staging.forget_tail(before)
    log.info("upload %s arrived whole, %s bytes", upload.pk, staged.offset)


def _touched() -> dict[str, datetime]:
    now = timezone.now()
    return {"touched_at": now, "expires_at": now + timedelta(seconds=settings.SANAD_UPLOAD_LIFE)}


def _note_part(upload: Upload, start: int, stop: int, sha256: str) -> None:
    UploadPart.objects.update_or_create(upload=upload, start=start, defaults={"stop": stop, "sha256": sha256})


def _fitting(upload: Upload, pieces: Iterable[bytes], checksum: Checksum) -> Iterator[bytes]:
    """The pieces again once all of them have come and fit. Raises ReceptionRefused (460)."""
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False)
    with staging.spooled(upload.blob_id) as (put, given):
        for piece in pieces:
            digest.update(piece)
            put(piece)
        if not hmac.compare_digest(digest.digest(), checksum.digest):
            raise ReceptionRefused(
                _("This part is not what was sent: the checksums differ. Nothing of it was kept."),
                "checksum_mismatch",
                460,
            )
        yield from given()

"""Files that arrive in parts: begun, received, given up.

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
7. Creation is done in one queue for all: quotas count what others have just begun, and a key is begun once.
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

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, permitted, require
from custody import keys, seal
from evidence import staging
from evidence.blobs import ReceptionRefused
from evidence.hashing import Digest
from evidence.staging import Kept, Staged
from evidence.streams import StreamBroken
from incidents import jobs, uploads
from incidents.lines import Line
from incidents.models import Upload, UploadPart
from incidents.turns import queue, turn
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.uploads")
KEPT_EVERY_BYTES = 64 << 20
KEPT_EVERY_SECONDS = 5.0
SPARE = 256 << 20  # bytes that stay free on the disk, for the database and the log


class Fenced(Exception):
    """Another request took over: what this one still has counts for nothing."""


@dataclass(frozen=True)
class Checksum:
    """What a part must hash to: an algorithm of hashlib and its digest."""

    algorithm: str
    digest: bytes


def begin(
    *, by: User, at: datetime, intake_id: UUID, length: int, key: UUID | None, metadata: str, sha256: str
) -> tuple[Upload, bool]:
    """A new upload, or the one that this key already has for the same intake and length: (upload, whether it is new).

    A key that already made its item gives an upload that is held. Raises NotVisible, NotNow, ReceptionRefused (413
    too large, 429 too many open, 507 no room).
    """
    intake = uploads.require_intake(by, at, intake_id)
    if length > settings.SANAD_UPLOAD_LIMIT:
        limit = settings.SANAD_UPLOAD_LIMIT
        raise ReceptionRefused(
            _("This file is larger than the archive takes (%(limit)s bytes).") % {"limit": limit}, "too_large", 413
        )
    with transaction.atomic():
        queue("incidents.uploads")
        if key is not None and (found := _begun_before(by, at, intake.pk, length, key)):
            return found, False
        upload = Upload(
            by=by, intake=intake, length=length, declared_sha256=sha256, created_at=at, touched_at=at, expires_at=at
        )
        upload.key = key or upload.id
        item = uploads.earlier_item(by, upload.key, intake=intake, sha256=sha256 or None, size=length)
        if item is not None:
            upload.item, upload.state, upload.offset = item, UploadState.HELD, length
            upload.blob_id, upload.wrapped_key, upload.sealed_metadata = upload.id, b"", b""
        else:
            _require_room(by, length)
            kept = staging.begun()
            upload.blob_id, upload.wrapped_key = kept.blob_id, wrapped(kept)
            upload.sealed_metadata = _sealed(upload.id, kept.key, metadata)
        upload.expires_at = at + timedelta(seconds=settings.SANAD_UPLOAD_LIFE)
        upload.save()
    log.info("upload %s begins", upload.pk)
    return upload, True


def require_upload(by: User, at: datetime, upload_id: UUID) -> Upload:
    """One's own upload. Raises NotVisible, also for another's."""
    uploads_of_all = Upload.objects.select_related("item__duplicate_of", "intake")
    return require(by, "upload.view", uploads_of_all, pk=upload_id)


def is_over(upload: Upload, at: datetime) -> bool:
    """Whether its bytes were given up, or will be as soon as the job comes round."""
    return upload.state == UploadState.EXPIRED or (
        upload.state in (UploadState.RECEIVING, UploadState.FAILED) and upload.expires_at <= at
    )


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


def terminate(upload: Upload) -> None:
    """Give an upload up with all its bytes. Raises turns.Busy, NotNow once everything arrived."""
    with turn(upload.pk):
        with transaction.atomic():
            upload = Upload.objects.select_for_update().get(pk=upload.pk)
            if upload.state in (UploadState.FINISHING, UploadState.HELD):
                raise NotNow(_("This file has arrived whole; it cannot be taken back by its sender."))
            kept, cut_down = Kept(upload.blob_id, b"", upload.offset), upload.writer is not None
            upload.delete()
        staging.forget(kept, cut_down=cut_down)
    log.info("upload %s was terminated", upload.pk)


def expire(upload_id: UUID, at: datetime) -> bool:
    """Give up the bytes of an upload whose time is over. False when it is not. Raises turns.Busy."""
    with turn(upload_id):
        with transaction.atomic():
            upload = Upload.objects.select_for_update().filter(pk=upload_id).first()
            if upload is None or upload.state == UploadState.EXPIRED or not is_over(upload, at):
                return False
            kept, cut_down = Kept(upload.blob_id, b"", upload.offset), upload.writer is not None
            upload.parts.all().delete()
            upload.state = UploadState.EXPIRED
            upload.wrapped_key = upload.sealed_metadata = b""
            upload.declared_sha256, upload.writer = "", None
            upload.save()
        staging.forget(kept, cut_down=cut_down)
    log.info("upload %s expired with %s of %s bytes", upload.pk, upload.offset, upload.length)
    return True


def kept_of(upload: Upload) -> Kept:
    """What is staged of an upload. Raises keys.KeyProblem."""
    return Kept(
        upload.blob_id, keys.provider().unwrap(bytes(upload.wrapped_key), _context(upload.blob_id)), upload.offset
    )


def wrapped(kept: Kept) -> bytes:
    return keys.provider().wrap(kept.key, _context(kept.blob_id))


def metadata_of(upload: Upload) -> str:
    """Upload-Metadata as it was sent; empty once it is needed no more. Raises SealBroken, KeyProblem."""
    if not upload.sealed_metadata:
        return ""
    aead = _metadata_aead(upload.id, kept_of(upload).key)
    return seal.unseal_with(aead, "metadata", bytes(upload.sealed_metadata)).decode()


def still_staged(blob_ids: set[UUID]) -> set[UUID]:
    """Those streams that an upload still needs, for the reconciler."""
    needed = Upload.objects.exclude(wrapped_key=b"").filter(blob_id__in=blob_ids)
    return set(needed.values_list("blob_id", flat=True))


def _begun_before(by: User, at: datetime, intake_id: UUID, length: int, key: UUID) -> Upload | None:
    mine = permitted(by, "upload.view", Upload.objects.filter(key=key)).exclude(state=UploadState.EXPIRED)
    found = mine.select_for_update(of=("self",)).order_by("-created_at").first()
    if found is None or is_over(found, at) or (found.state == UploadState.FAILED and not found.wrapped_key):
        if found is not None and found.state == UploadState.RECEIVING:  # its time is over; the job has not come yet
            Upload.objects.filter(pk=found.pk).update(state=UploadState.FAILED, problem_code="expired")
        return None
    if found.intake_id != intake_id or found.length != length:
        raise NotNow(uploads.KEY_USED)
    if found.state == UploadState.FAILED:
        ask_again(found, at)
    return found


def give_up(upload: Upload, writer: UUID, code: str, detail: str) -> None:
    """Fail for good, with everything that is staged. Call in one's turn; raises Fenced when another has it."""
    with transaction.atomic():
        _change(
            upload,
            writer,
            {
                "state": UploadState.FAILED,
                "problem_code": code,
                "problem_detail": detail,
                "wrapped_key": b"",
                "sealed_metadata": b"",
                "declared_sha256": "",
                "writer": None,
            },
        )
        upload.parts.all().delete()
    staging.forget(Kept(upload.blob_id, b"", upload.offset), cut_down=True)
    log.warning("upload %s is not taken: %s", upload.pk, code)


def ask_again(upload: Upload, at: datetime) -> None:
    """Have an upload that was not taken, and whose bytes still stand, finished once more."""
    Upload.objects.filter(pk=upload.pk, state=UploadState.FAILED).exclude(wrapped_key=b"").update(
        state=UploadState.FINISHING, problem_code="", problem_detail="", touched_at=at
    )
    upload.refresh_from_db()
    jobs.defer_upload(upload.pk, upload.length)


def _require_room(by: User, length: int) -> None:
    staged = Upload.objects.exclude(wrapped_key=b"")
    mine = staged.filter(by=by)
    if mine.count() >= settings.SANAD_UPLOAD_OPEN:
        raise ReceptionRefused(
            _("You have %(count)s unfinished uploads. Finish or give up some of them first.")
            % {"count": settings.SANAD_UPLOAD_OPEN},
            "too_many_uploads",
            429,
        )
    for those, most in ((mine, settings.SANAD_UPLOAD_STAGED), (staged, settings.SANAD_UPLOAD_STAGED_ALL)):
        if (those.aggregate(sum=Sum("length"))["sum"] or 0) + length > most:
            raise ReceptionRefused(
                _("Unfinished uploads may take up %(limit)s bytes together. Finish or give up some of them first.")
                % {"limit": most},
                "quota",
                429,
            )
    to_come = staged.aggregate(sum=Sum(F("length") - F("offset")))["sum"] or 0
    if staging.free_bytes() - SPARE < to_come + length:
        raise ReceptionRefused(
            _("The archive has no room for this file now. Nothing was kept; your file is still with you."),
            "no_room",
            507,
        )


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
            ask_again(found, now)
        if found.state not in (UploadState.RECEIVING, UploadState.FINISHING):
            return found, False
        found.declared_sha256 = sha256 or found.declared_sha256
        cut_down = found.writer is not None
        if found.state == UploadState.RECEIVING:
            found.writer = writer
        found.save(update_fields=["declared_sha256", "writer"])
        return found, cut_down


def gone() -> ReceptionRefused:
    return ReceptionRefused(_("The time for this upload is over. Send the file again."), "expired", 410)


def _go_on_under_a_new_key(upload: Upload, old: Kept, writer: UUID) -> Kept:
    fresh = staging.under_a_new_key(old)
    sealed = _sealed(upload.id, fresh.key, metadata_of(upload))
    changed = Upload.objects.filter(pk=upload.pk, writer=writer).update(
        blob_id=fresh.blob_id, wrapped_key=wrapped(fresh), sealed_metadata=sealed
    )
    staging.forget(old if changed else fresh, cut_down=True)
    if not changed:
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
                _change(upload, writer, {"writer": None})
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
        _change(upload, writer, changes | (_touched() if kept is not before else {}))
    if kept is not before:
        staging.forget_tail(before)
    return kept


def _complete(upload: Upload, before: Kept, staged: Staged, writer: UUID, start: int, digest: Digest) -> None:
    staged.complete()
    with transaction.atomic():
        if staged.offset > start:
            _note_part(upload, start, staged.offset, digest.hexdigest())
        changes = {"offset": staged.offset, "writer": None, "state": UploadState.FINISHING}
        _change(upload, writer, changes | _touched())
        jobs.defer_upload(upload.pk, upload.length)
    staging.forget_tail(before)
    log.info("upload %s arrived whole, %s bytes", upload.pk, staged.offset)


def _change(upload: Upload, writer: UUID, changes: dict[str, Any]) -> None:
    if not Upload.objects.filter(pk=upload.pk, writer=writer).update(**changes):
        raise Fenced


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


def _sealed(upload_id: UUID, key: bytes, metadata: str) -> bytes:
    return seal.seal_with(_metadata_aead(upload_id, key), "metadata", metadata.encode())


def _metadata_aead(upload_id: UUID, key: bytes) -> AESGCM:
    return AESGCM(keys.derive(key, f"sanad/upload-metadata/v1/{upload_id}"))


def _context(blob_id: UUID) -> str:
    return f"staged/{blob_id}"

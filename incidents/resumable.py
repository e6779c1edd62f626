"""Uploads in parts, from their beginning to their end: begun, given up, expired. incidents.receiving takes the bytes.

Creation is done in one queue for all: quotas count what others have just begun, and a key is begun once.
"""

import json
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, permitted, require
from custody import keys, seal
from custody.memory import Secret
from evidence import staging
from evidence.blobs import ReceptionRefused
from evidence.staging import Kept
from incidents import jobs, uploads
from incidents.models import Intake, Upload
from incidents.turns import queue, turn
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.uploads")
OPEN = (UploadState.RECEIVING, UploadState.FINISHING, UploadState.FAILED)  # as the index of the open ones has it
SPARE = 256 << 20  # bytes that stay free on the disk, for the database and the log

CHANGED = gettext_lazy("The record of this upload was changed in the archive. Nothing is made of it; tell who runs it.")


class Fenced(Exception):
    """Another request took over: what this one still has counts for nothing."""


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
        if key is not None and (found := _begun_before(by, at, intake, length, key, sha256)):
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
            upload.sealed_metadata = sealed(upload, kept.key, metadata)
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


def is_lost(upload: Upload) -> bool:
    """Whether it failed for good: its bytes were thrown away and are not to be told as held."""
    return upload.state == UploadState.FAILED and not upload.wrapped_key


def require_taken(upload: Upload) -> None:
    """Raises ReceptionRefused when it failed: 422 with its bytes gone, 409 while they wait for what is in the way."""
    if upload.state == UploadState.FAILED:
        raise ReceptionRefused(upload.problem_detail, upload.problem_code, 422 if is_lost(upload) else 409)


def terminate(upload: Upload) -> None:
    """Give an upload up with all its bytes. Raises turns.Busy, NotVisible, NotNow once everything arrived."""
    with turn(upload.pk):
        with transaction.atomic():
            found = Upload.objects.select_for_update().filter(pk=upload.pk).first()
            if found is None:
                raise NotVisible
            if found.state in (UploadState.FINISHING, UploadState.HELD):
                raise NotNow(_("This file has arrived whole; it cannot be taken back by its sender."))
            kept, cut_down = Kept(found.blob_id, Secret(), found.offset), found.writer is not None
            found.delete()
        staging.forget(kept, cut_down=cut_down)
    log.info("upload %s was terminated", upload.pk)


def expire(upload_id: UUID, at: datetime) -> bool:
    """Give up the bytes of an upload whose time is over. False when it is not. Raises turns.Busy."""
    with turn(upload_id):
        with transaction.atomic():
            upload = Upload.objects.select_for_update().filter(pk=upload_id).first()
            if upload is None or upload.state == UploadState.EXPIRED or not is_over(upload, at):
                return False
            kept, cut_down = Kept(upload.blob_id, Secret(), upload.offset), upload.writer is not None
            upload.parts.all().delete()
            upload.state = UploadState.EXPIRED
            upload.wrapped_key = upload.sealed_metadata = b""
            upload.declared_sha256, upload.problem_detail, upload.writer = "", "", None
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
    """Upload-Metadata as it was sent; empty once it is needed no more.

    Raises SealBroken when the row is not as it was written, KeyProblem.
    """
    if not upload.sealed_metadata and not upload.wrapped_key:
        return ""
    aead = _metadata_aead(upload.id, kept_of(upload).key)
    told = json.loads(seal.unseal_with(aead, "metadata", bytes(upload.sealed_metadata)))
    if told["row"] != _bound(upload):
        raise seal.SealBroken("the row of an upload was changed")
    return str(told["metadata"])


def declare(upload: Upload, sha256: str) -> None:
    """Note the digest of the whole in a row that is locked, and save it. Raises SealBroken, KeyProblem."""
    metadata = metadata_of(upload)
    upload.declared_sha256 = sha256
    upload.sealed_metadata = sealed(upload, kept_of(upload).key, metadata)
    upload.save(update_fields=["declared_sha256", "sealed_metadata"])


def still_staged(blob_ids: set[UUID]) -> set[UUID]:
    """Those streams that an upload still needs, for the reconciler."""
    needed = Upload.objects.exclude(wrapped_key=b"").filter(blob_id__in=blob_ids)
    return set(needed.values_list("blob_id", flat=True))


def _begun_before(by: User, at: datetime, intake: Intake, length: int, key: UUID, sha256: str) -> Upload | None:
    mine = Upload.objects.filter(by=by, key=key).exclude(state=UploadState.EXPIRED)
    found = mine.select_for_update(of=("self",)).order_by("-created_at").first()
    if found is None or is_over(found, at) or is_lost(found):
        if found is not None and found.state == UploadState.RECEIVING:  # its time is over; the job has not come yet
            Upload.objects.filter(pk=found.pk).update(state=UploadState.FAILED, problem_code="expired")
        return None
    if found.state == UploadState.FAILED and found.offset < found.length:  # it was over before another took the key
        return None
    visible = permitted(by, "upload.view", Upload.objects.filter(pk=found.pk)).exists()
    if not visible or found.intake_id != intake.pk or found.length != length:
        raise NotNow(uploads.KEY_USED)
    if found.item is not None:
        uploads.earlier_item(by, key, intake=intake, sha256=sha256 or None, size=length)
        return found
    if sha256 and sha256 != (found.declared_sha256 or sha256):
        raise NotNow(uploads.KEY_USED)
    if sha256 and not found.declared_sha256:
        declare(found, sha256)
    if found.state == UploadState.FAILED:
        ask_again(found, at)
    return found


def give_up(upload: Upload, writer: UUID, code: str, detail: str) -> None:
    """Fail for good, with everything that is staged. Call in one's turn; raises Fenced when another has it."""
    with transaction.atomic():
        change(
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
    staging.forget(Kept(upload.blob_id, Secret(), upload.offset), cut_down=True)
    log.warning("upload %s is not taken: %s", upload.pk, code)


def ask_again(upload: Upload, at: datetime) -> None:
    """Have an upload that was not taken, and whose bytes still stand, finished once more."""
    whole = Upload.objects.filter(pk=upload.pk, state=UploadState.FAILED, offset=F("length"))
    whole.exclude(wrapped_key=b"").update(
        state=UploadState.FINISHING, problem_code="", problem_detail="", touched_at=at
    )
    upload.refresh_from_db()
    jobs.defer_upload(upload.pk, upload.length)


def _require_room(by: User, length: int) -> None:
    staged = Upload.objects.filter(state__in=OPEN).exclude(wrapped_key=b"")
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


def gone() -> ReceptionRefused:
    return ReceptionRefused(_("The time for this upload is over. Send the file again."), "expired", 410)


def change(upload: Upload, writer: UUID, changes: dict[str, Any]) -> None:
    """Write into the row of an upload as its writer. Raises Fenced when another is by now, or it was given up."""
    if not Upload.objects.filter(pk=upload.pk, writer=writer, state=upload.state).update(**changes):
        raise Fenced


def sealed(upload: Upload, key: Secret, metadata: str) -> bytes:
    """What was said, together with what of the row decides whose item is made of which bytes."""
    told = {"row": _bound(upload), "metadata": metadata}
    return seal.seal_with(_metadata_aead(upload.id, key), "metadata", json.dumps(told).encode())


def _bound(upload: Upload) -> list[str]:
    return [str(upload.by_id), str(upload.intake_id), str(upload.key), str(upload.length), upload.declared_sha256]


def _metadata_aead(upload_id: UUID, key: Secret) -> AESGCM:
    return AESGCM(keys.derive(key, f"sanad/upload-metadata/v1/{upload_id}"))


def _context(blob_id: UUID) -> str:
    return f"staged/{blob_id}"

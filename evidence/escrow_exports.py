"""Catching up with escrow, the file that leaves the archive, and what an erasure has to do with it.

1. `catch_up` seals what is not in escrow for the recipients of now: received before, or recipients changed. A batch is
   one transaction with its custody event; killed at any point, it goes on with what is left.
2. `export` writes everything to one file that needs nothing else but the store's objects and an identity. It gets its
   name only when the ledger has its SHA-256: there is no file that nobody knows of.
3. An erasure takes the rows, and cannot reach a file that left. The archive therefore keeps which files are out there,
   tells it to whoever decides, and lists each that holds keys of what was erased since until somebody records that it
   was destroyed (docs/adr/0016-escrow-and-erasure.md).
"""

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import ngettext

from custody import keys
from custody.engine import Agent, Subject, acting, record, timestamp
from custody.vocabulary import Type
from evidence.escrow import Plain, Recipients, deposit_for, recipients
from evidence.models import Blob, Derivative, Erasure, Escrow, EscrowExport, Item
from evidence.vocabulary import ErasureState
from ledger import durable
from ledger.entry import canonical

BATCH = 200
FORMAT = "sanad-escrow/1"


class Coverage(NamedTuple):
    """Of the objects whose key the archive has, how many are in escrow for exactly the recipients of now."""

    covered: int
    objects: int


class ExportRefused(Exception):
    """There is nothing to do, or it cannot be done; nothing was changed."""


def coverage() -> Coverage:
    """Raises KeyProblem when the recipients cannot be told."""
    return Coverage(
        Escrow.objects.filter(recipients=recipients().ids).count(), Blob.objects.exclude(wrapped_key=b"").count()
    )


def catch_up(*, by: Agent, at: datetime) -> Iterator[int]:
    """Seal what is not sealed for the recipients of now, yielding the number of each batch.

    Raises ExportRefused without recipients, KeyProblem at the end when keys did not open; the others are sealed.
    """
    known = recipients()
    if not known.by_id:
        raise ExportRefused("no recipients are named: there is no escrow to catch up with")
    after, unopened = UUID(int=0), 0
    while True:
        with acting():
            batch = list(_uncovered(known.ids).filter(pk__gt=after).select_for_update(skip_locked=True)[:BATCH])
            done = sum(_seal_again(blob, known) for blob in batch)
            if done:
                _record(by, at, {"step": "sealed", "objects": done, "recipients": known.ids})
        if not batch:
            break
        after, unopened = batch[-1].pk, unopened + len(batch) - done
        yield done
    if unopened:
        raise keys.KeyProblem(f"the keys of {unopened} objects do not open; verify the items")


def export(*, by: Agent, at: datetime, path: Path) -> EscrowExport:
    """Write every escrow record to a new file (docs/spec/keys.md), 0600, and record its SHA-256.

    Raises ExportRefused when there is nothing to write, the name is taken or the disk refuses.
    """
    if path.exists():
        raise ExportRefused(f"{path.name} is there already")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with acting():
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                digest, count = hashlib.sha256(), 0
                known = recipients()
                for line in _lines(at, known.by_id):
                    count += 1
                    digest.update(line)
                    handle.write(line)
                count -= 1
                last = canonical({"count": count, "sha256": digest.hexdigest()}) + b"\n"
                digest.update(last)
                handle.write(last)
                handle.flush()
                os.fsync(handle.fileno())
            if not count:
                raise ExportRefused("nothing is in escrow")
            made = EscrowExport.objects.create(
                sha256=digest.hexdigest(), made_at=at, objects_in_it=count, recipients=known.ids
            )
            told = {"step": "exported", "objects": count, "recipients": known.ids, "sha256": made.sha256}
            _record(by, at, told)
        os.link(temporary, path)
        durable.sync_folder(path.parent)
        return made
    except OSError as problem:
        raise ExportRefused(f"the file cannot be written ({problem.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def say_destroyed(*, by: Agent, at: datetime, sha256: str) -> EscrowExport:
    """Record that every copy of an exported file was destroyed. Raises ExportRefused for one nobody knows."""
    with acting():
        found = EscrowExport.objects.select_for_update().filter(sha256=sha256).first()
        if found is None:
            raise ExportRefused("no exported escrow file has this SHA-256")
        if found.destroyed_at is None:
            found.destroyed_at = at
            found.save(update_fields=["destroyed_at"])
            _record(by, at, {"step": "destroyed", "sha256": sha256})
        return found


def holding_erased() -> dict[str, int]:
    """{SHA-256 of a file that is out there: how many erased objects it may hold the keys of}."""
    found: dict[str, int] = {}
    for made in EscrowExport.objects.filter(destroyed_at=None):
        since = Erasure.objects.filter(state=ErasureState.DONE, decided_at__gt=made.made_at)
        names = {name for names in since.values_list("accessions", flat=True) for name in names}
        count = Item.objects.filter(accession__in=names, received_at__lte=made.made_at).count()
        if count:
            found[made.sha256] = count
    return found


def beyond(user: Any, items: Sequence[Item]) -> Iterator[str]:
    """What an erasure of these items does not reach, for whoever decides it."""
    oldest = min((item.received_at for item in items), default=None)
    count = EscrowExport.objects.filter(destroyed_at=None, made_at__gte=oldest).count() if oldest else 0
    if count:
        yield ngettext(
            "%(count)s escrow file outside the archive holds the key of its bytes: a copy of the stored bytes from "
            "before can be opened until that file is destroyed.",
            "%(count)s escrow files outside the archive hold the key of its bytes: a copy of the stored bytes from "
            "before can be opened until these files are destroyed.",
            count,
        ) % {"count": count}


def _seal_again(blob: Blob, known: Recipients) -> bool:
    try:
        unwrapped = keys.provider().unwrap(bytes(blob.wrapped_key), f"blob/{blob.id}")
    except keys.KeyAway:
        raise
    except keys.KeyProblem:
        return False
    with unwrapped as key:
        Escrow.objects.filter(blob_id=blob.id).delete()
        deposit_for(known, blob, key, _plain(blob))
    return True


def _uncovered(ids: list[str]) -> QuerySet[Blob]:
    covered = Escrow.objects.filter(recipients=ids).values("blob_id")
    return Blob.objects.exclude(wrapped_key=b"").exclude(pk__in=covered).order_by("pk")


def _plain(blob: Blob) -> Plain:
    item = Item.objects.filter(blob=blob).first()
    if item is not None:
        return Plain(item.sha256, item.size, item.accession)
    made = Derivative.objects.filter(blob=blob).select_related("item").first()
    if made is not None:
        return Plain(made.sha256, made.size, f"{made.item.accession}.{made.purpose}")
    return Plain(None, None, "")


def _lines(at: datetime, by_id: dict[str, str]) -> Iterator[bytes]:
    named = [{"id": one, "recipient": by_id[one]} for one in sorted(by_id)]
    head = {"format": FORMAT, "made_at": timestamp(at), "origin": settings.SANAD_ORIGIN, "recipients": named}
    yield canonical(head) + b"\n"
    for row in Escrow.objects.order_by("blob_id").iterator(chunk_size=500):
        line = {
            "address": row.address,
            "age": base64.b64encode(row.sealed).decode(),
            "blob": str(row.blob_id),
            "recipients": row.recipients,
        }
        yield canonical(line) + b"\n"


def _record(by: Agent, at: datetime, told: dict[str, Any]) -> None:
    subject = Subject("escrow", uuid5(NAMESPACE_URL, f"sanad:escrow:{settings.SANAD_ORIGIN}"))
    record(Type.ESCROW, by=by, at=at, subjects=[subject], fields={"to": told})

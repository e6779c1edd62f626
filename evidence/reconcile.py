"""Rows and bytes against each other: every row has its bytes, and every object has a row or is younger than a limit."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from evidence import staging, store
from evidence.models import Blob

STAGING_LIFE = timedelta(hours=24)  # longer than any reception takes
BATCH = 2000


@dataclass
class Reconciled:
    """What was found: rows without bytes are named and never touched; leftovers are counted in objects."""

    rows: int = 0
    without_bytes: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)
    staging: list[str] = field(default_factory=list)
    removed: int = 0


def reconcile(*, remove: bool, older_than: timedelta = STAGING_LIFE) -> Reconciled:
    """Compare the store with the database. With `remove`, leftovers older than the limit are deleted.

    Only what no row names is ever deleted: bytes of receptions that were killed before their item was recorded.
    """
    found = Reconciled()
    before = time.time() - older_than.total_seconds()
    blobs = Blob.objects.exclude(wrapped_key=b"").select_related("item", "derivative__item")
    for blob in blobs.order_by("pk").iterator(chunk_size=BATCH):
        found.rows += 1
        if not _stands(blob):
            found.without_bytes.append(_name(blob))
    batch: list[str] = []
    for address in store.addresses():
        batch.append(address)
        if len(batch) == BATCH:
            _leftovers(batch, before, remove, found)
            batch = []
    _leftovers(batch, before, remove, found)
    paths = [path for path in Path(settings.SANAD_STAGING).glob("*") if path.suffix in staging.SUFFIXES]
    old = [path for path in paths if _older(path, before)]
    for path in sorted(set(old) - staging.still_held(old)):
        found.staging.append(path.name)
        if remove:
            path.unlink(missing_ok=True)
            found.removed += 1
    return found


def _leftovers(addresses: list[str], before: float, remove: bool, found: Reconciled) -> None:
    # An erased blob's bytes are nobody's: a file put back from a backup goes with the other leftovers.
    held = Blob.objects.exclude(wrapped_key=b"")
    known = set(held.filter(address__in=addresses).values_list("address", flat=True))
    for address in addresses:
        path = store.path_of(address)
        if address in known or not _older(path, before):
            continue
        found.without_row.append(address)
        if remove and not held.filter(address=address).exists():
            path.unlink(missing_ok=True)
            found.removed += 1


def _stands(blob: Blob) -> bool:
    try:
        return store.path_of(blob.address).stat().st_size == blob.size
    except (OSError, ValueError):
        return False


def _name(blob: Blob) -> str:
    if hasattr(blob, "item"):
        return blob.item.accession
    if hasattr(blob, "derivative"):
        return f"{blob.derivative.item.accession} ({blob.derivative.purpose})"
    return str(blob.pk)


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False

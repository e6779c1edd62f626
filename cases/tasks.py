"""The worker's part: building bundles."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone, translation
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from accounts.permissions import NotNow
from cases import bundles
from cases.export import ExportProblem
from cases.export import build as build_bundle
from cases.jobs import BUILD
from cases.models import Bundle
from cases.vocabulary import ExportState
from custody.seal import SealBroken
from evidence import blobs
from evidence.store import StoreProblem
from evidence.streams import StreamBroken
from ledger.bundle import zip_bundle
from ledger.merkle import ProofError
from ledger.source import BundleError

log = logging.getLogger("sanad.cases")
READ = 1 << 20


class _Cancelled(Exception):
    pass


@app.task(name=BUILD, queue="bundles", retry=RetryStrategy(max_attempts=5, exponential_wait=2))
def build(bundle_id: str) -> None:
    """Build one bundle, from the start again when an earlier worker was killed. Asking twice changes nothing."""
    bundle = bundles.begin_bundle(bundle_id=UUID(bundle_id))
    if bundle is None:
        return
    with translation.override(bundle.requested_by.language):
        try:
            _build(bundle)
        except _Cancelled:
            log.info("bundle cancelled")
        except NotNow as refused:
            bundles.fail_bundle(at=timezone.now(), bundle_id=bundle.id, problem=str(refused.message))
        except (
            ExportProblem,
            BundleError,
            ProofError,
            SealBroken,
            StoreProblem,
            StreamBroken,
            blobs.ReceptionRefused,
        ) as problem:
            log.error("bundle failed: %s", type(problem).__name__)
            bundles.fail_bundle(at=timezone.now(), bundle_id=bundle.id, problem=str(problem))


def _build(bundle: Bundle) -> None:
    """Plaintext stands in one private folder while it is built and is gone before the bundle is offered."""

    def progress(done: int, total: int) -> None:
        if Bundle.objects.filter(pk=bundle.pk, state=ExportState.CANCELLED).exists():
            raise _Cancelled
        Bundle.objects.filter(pk=bundle.pk).update(done=done, total=total)

    exports = Path(settings.SANAD_EXPORTS)
    exports.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in exports.glob(f"{bundle.id}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{bundle.id}.", dir=exports) as folder:
        name = bundle.file_name.removesuffix(".zip")
        built = build_bundle(
            bundle.case_file,
            Path(folder) / name,
            listed=bundle.exhibits,
            until=bundle.requested_at,
            opened=bundle.opened,
            progress=progress,
        )
        zipped = zip_bundle(built.summary.path, Path(folder) / bundle.file_name)
        received = blobs.receive(_chunks(zipped))
    try:
        bundles.finish_bundle(
            at=timezone.now(),
            bundle_id=bundle.id,
            received=received,
            digest=built.summary.digest,
            fields=(built.opened, built.withheld),
        )
    except BaseException:
        blobs.discard(received)
        raise


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(READ):
            yield chunk

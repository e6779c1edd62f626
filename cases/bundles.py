"""Acts on bundles, and on what leaves the archive otherwise. Each is one transaction with its custody event."""

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, require
from cases import disclosure, jobs, state
from cases.coverage import must_be_covered, tendered
from cases.models import Bundle, CaseFile, Exhibit
from cases.vocabulary import ExportState
from custody.engine import Subject, acting, record
from custody.vocabulary import Outcome, Type
from evidence.blobs import Received, make_blob
from evidence.models import Item
from evidence.standing import hold

MOST_EXHIBITS = 1000  # each is a subject of the bundle's events, and a ledger value has 64 KiB


def request_bundle(*, by: User, at: datetime, case_id: UUID, opened: Collection[str] = disclosure.ALL) -> Bundle:
    """Ask for a bundle of all exhibits that opens these fields of their events; a worker builds it.

    Raises ValidationError on `opened`, NotNow when consent or an empty case forbids it.
    """
    with acting():
        case_file = require(by, "case.export", CaseFile.objects.all(), lock=True, pk=case_id)
        exhibits = _leaving(case_file, at)
        if case_file.bundles.filter(state__in=[ExportState.WAITING, ExportState.BUILDING]).exists():
            raise NotNow(_("A bundle of this case file is being built already."))
        bundle = Bundle.objects.create(
            case_file=case_file,
            requested_by=by,
            requested_at=at,
            total=len(exhibits),
            exhibits=_rows(exhibits),
            opened=disclosure.chosen(opened),
        )
        record(
            Type.PACKAGE,
            by=by,
            at=at,
            compartment=case_file.compartment_id,
            subjects=[
                Subject("case", case_file.id),
                Subject("bundle", bundle.id),
                *(Subject("item", exhibit.item_id) for exhibit in exhibits),
            ],
            fields={
                "object": _listed(bundle.exhibits),
                "to": _disclosed(bundle.opened),
                "purpose": case_file.purpose,
                "recipient": case_file.recipient,
            },
        )
        jobs.defer_bundle(bundle.id)
        return bundle


def export_outside(
    *, by: User, at: datetime, case_id: UUID, opened: Collection[str] = disclosure.ALL
) -> tuple[CaseFile, list[list[str]]]:
    """Record that the exhibits leave for a place outside the archive, before they do, and say which.

    Returns the case file and its exhibits as [number, accession, sha256]. Raises as request_bundle does.
    """
    with acting():
        case_file = require(by, "case.export", CaseFile.objects.all(), lock=True, pk=case_id)
        exhibits = _leaving(case_file, at)
        record(
            Type.EXPORT,
            by=by,
            at=at,
            compartment=case_file.compartment_id,
            subjects=[Subject("case", case_file.id), *(Subject("item", exhibit.item_id) for exhibit in exhibits)],
            fields={
                "object": _listed(_rows(exhibits)),
                "to": _disclosed(disclosure.chosen(opened)),
                "purpose": case_file.purpose,
                "recipient": case_file.recipient,
            },
        )
        return case_file, _rows(exhibits)


def begin_bundle(*, bundle_id: UUID) -> Bundle | None:
    """The worker takes a bundle up, also one whose worker was killed; None when it is finished or cancelled."""
    with acting():
        bundle = Bundle.objects.select_for_update().get(pk=bundle_id)
        if bundle.state not in (ExportState.WAITING, ExportState.BUILDING):
            return None
        state.step(bundle, ExportState.BUILDING)
        bundle.done = 0
        bundle.save(update_fields=["state", "done"])
        return bundle


def finish_bundle(
    *, at: datetime, bundle_id: UUID, received: Received, digest: str, fields: tuple[int, int] | None = None
) -> Bundle:
    """Record a bundle that was built and passed its own verifier; `fields`: how many values it opens and withholds.

    Raises NotNow when it was cancelled meanwhile.
    """
    with acting():
        bundle = Bundle.objects.select_for_update().get(pk=bundle_id)
        must_be_covered(bundle.case_file, at, accessions={row[1] for row in bundle.exhibits})
        state.step(bundle, ExportState.READY)
        bundle.blob, bundle.size, bundle.sha256 = make_blob(received), received.size, received.sha256
        bundle.digest, bundle.finished_at = digest, at
        bundle.fields_opened, bundle.fields_withheld = fields or (None, None)
        bundle.save()
        _record_bundle(
            Type.CREATE,
            by=bundle.requested_by,
            at=at,
            bundle=bundle,
            blob=received.address,
            fields={"object": {"sha256": received.sha256, "size": received.size, "tagmanifest_sha256": digest}},
        )
        return bundle


def fail_bundle(*, at: datetime, bundle_id: UUID, problem: str) -> None:
    """Record that a bundle could not be built, in words for the person who asked."""
    with acting():
        bundle = Bundle.objects.select_for_update().get(pk=bundle_id)
        if bundle.state in (ExportState.WAITING, ExportState.BUILDING):
            state.step(bundle, ExportState.FAILED)
            bundle.problem, bundle.finished_at = problem[:1000], at
            bundle.save()
            _record_bundle(
                Type.CREATE,
                by=bundle.requested_by,
                at=at,
                bundle=bundle,
                outcome=Outcome.FAILURE,
                fields={"note": problem[:1000]},
            )


def cancel_bundle(*, by: User, at: datetime, bundle_id: UUID) -> Bundle:
    """Stop a bundle that is not ready yet; the worker leaves nothing behind."""
    with acting():
        bundle = require(by, "bundle.cancel", Bundle.objects.all(), lock=True, pk=bundle_id)
        state.step(bundle, ExportState.CANCELLED)
        bundle.finished_at = at
        bundle.save(update_fields=["state", "finished_at"])
        _record_bundle(Type.CREATE, by=by, at=at, bundle=bundle, outcome=Outcome.FAILURE, fields={"note": "cancelled"})
        return bundle


def download_bundle(*, by: User, at: datetime, bundle_id: UUID) -> Bundle:
    """Fetch a ready bundle to hand it out; the consents are asked once more. Each download is a custody event."""
    with acting():
        bundles = Bundle.objects.select_related("blob", "case_file__compartment")
        bundle = require(by, "bundle.download", bundles, lock=True, pk=bundle_id)  # an erasure destroys it, or waits
        if bundle.state != ExportState.READY:
            raise NotNow(_("The bundle is %(state)s.") % {"state": bundle.get_state_display()})
        must_be_covered(bundle.case_file, at, accessions={row[1] for row in bundle.exhibits})
        _record_bundle(
            Type.EXPORT,
            by=by,
            at=at,
            bundle=bundle,
            fields={"object": {"sha256": bundle.sha256}, "recipient": bundle.case_file.recipient},
        )
        return bundle


def _leaving(case_file: CaseFile, at: datetime) -> list[Exhibit]:
    """The exhibits that would leave now. Raises NotNow when there are none, too many, or consent forbids one."""
    hold(list(tendered(case_file).values_list("item_id", flat=True)))
    exhibits = list(tendered(case_file))
    if not exhibits:
        raise NotNow(_("This case file has no exhibits to export."))
    if len(exhibits) > MOST_EXHIBITS:
        raise NotNow(_("A bundle holds at most %(most)s exhibits. Divide the case file.") % {"most": MOST_EXHIBITS})
    must_be_covered(case_file, at)
    return exhibits


def _rows(exhibits: list[Exhibit]) -> list[list[str]]:
    return [[exhibit.number, exhibit.item.accession, exhibit.item.sha256] for exhibit in exhibits]


def _listed(exhibits: list[list[str]]) -> dict[str, Any]:
    """A list of any length as a ledger value: how many, and the SHA-256 of its compact JSON."""
    text = json.dumps(exhibits, separators=(",", ":"))
    return {"exhibits": len(exhibits), "list_sha256": hashlib.sha256(text.encode()).hexdigest()}


def _disclosed(opened: list[str]) -> dict[str, list[str]]:
    return {"opened": opened, "withheld": disclosure.withheld(opened)}


def _record_bundle(
    type: Type,
    *,
    by: User,
    at: datetime,
    bundle: Bundle,
    fields: Mapping[str, Any],
    outcome: Outcome = Outcome.SUCCESS,
    blob: str | None = None,
) -> None:
    items = Item.objects.filter(accession__in=[row[1] for row in bundle.exhibits]).values_list("id", flat=True)
    record(
        type,
        by=by,
        at=at,
        compartment=bundle.case_file.compartment_id,
        subjects=[
            Subject("case", bundle.case_file_id),
            Subject("bundle", bundle.id),
            *(Subject("item", item_id) for item_id in items),
        ],
        outcome=outcome,
        fields=fields,
        blob=blob,
    )

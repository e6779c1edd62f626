"""Building a bundle: exhibits, their custody entries with proofs, the signed head, and the verifier that checks it all.

1. It waits until a signed checkpoint covers every event of the exhibits that happened before the request.
2. Payloads are decrypted from the store straight into the bundle, their digests compared with the record.
3. What could name a person stays sealed: original names, sources, places, notes of the reviewers.
4. The finished folder is checked with the very verifier it carries; one that fails never leaves.
"""

import json
import mimetypes
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from cases.coverage import tendered
from cases.models import CaseFile, Exhibit
from custody.engine import opened
from custody.models import Checkpoint, Entry, Event, EventSubject
from custody.proof import newest_checkpoint, proof_of
from custody.signer import vkey
from custody.verify import check_checkpoint
from custody.vocabulary import Type
from evidence.blobs import read_blob
from ledger.bundle import BundleWriter, Summary
from ledger.proof import format_proof
from ledger.verify import verify_bundle

WAIT = 60.0  # seconds for the sequencer to sign what happened before the request
CLOSED_FIELDS = frozenset({"original_name", "holding", "to", "from", "purpose", "note", "recipient"})
#: Event types whose from/to say nothing that could name a person.
OPEN_VALUES = frozenset({Type.VERIFY, Type.IDENTIFY})
Progress = Callable[[int, int], None]


class ExportProblem(Exception):
    """The bundle could not be built, in words for the person who asked. Nothing of it was kept."""


def unheard(done: int, total: int) -> None:
    """Progress that nobody watches."""


def build(case_file: CaseFile, target: Path, *, until: datetime, progress: Progress = unheard) -> Summary:
    """Write the bundle of a case file's exhibits to `target`, a folder that must not exist.

    Raises ExportProblem, in words; then nothing is left. The returned summary is of a bundle that passed its verifier.
    """
    exhibits = list(tendered(case_file))
    checkpoint = _covering([exhibit.item_id for exhibit in exhibits], until)
    info = [
        ("Source-Organization", "Sanad archive"),
        ("External-Identifier", f"{case_file.compartment.code}/{case_file.code}"),
        ("External-Description", "Exhibits of a case file with their custody entries, proofs and a verifier"),
    ]
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written: set[UUID] = set()
    with BundleWriter(target, info) as writer:
        writer.set_checkpoint(checkpoint.note, vkey())
        for done, exhibit in enumerate(exhibits):
            progress(done, len(exhibits))
            events = _events(exhibit.item_id, checkpoint)
            item = exhibit.item
            writer.add_item(
                item.accession,
                item.accession + (mimetypes.guess_extension(item.media_type) or ".bin"),
                _payload(exhibit),
                {
                    "id": str(item.id),
                    "media_type": item.media_type or "application/octet-stream",
                    "exhibit": exhibit.number,
                    "events": [event.id.hex for event in events],
                    "sha256": item.sha256,
                    "sha512": item.sha512,
                    "size": item.size,
                },
            )
            _add_entries(writer, [event for event in events if event.id not in written], checkpoint)
            written |= {event.id for event in events}
        writer.add_document("case.json", _case_document(case_file, exhibits, checkpoint, until))
        summary = writer.finish()
    report = verify_bundle(summary.path)
    if report.exit_code:
        first = report.problems[0] if report.problems else None
        raise ExportProblem(
            _("The finished bundle does not pass its own verifier (%(what)s). Nothing was handed out.")
            % {"what": f"{first.where}: {first.what}" if first else report.trust}
        )
    progress(len(exhibits), len(exhibits))
    return summary


def _covering(item_ids: list[UUID], until: datetime) -> Checkpoint:
    """The newest checkpoint, once it covers every event of the items up to `until`."""
    subjects = EventSubject.objects.filter(kind="item", subject_id__in=item_ids, at__lte=until)
    wanted = set(subjects.values_list("event_id", flat=True))
    deadline = time.monotonic() + WAIT
    while True:
        head = newest_checkpoint()
        if head and Entry.objects.filter(event_id__in=wanted, index__lt=head.size).count() == len(wanted):
            break
        if time.monotonic() > deadline:
            raise ExportProblem(
                _("The custody of these exhibits is not inside a signed checkpoint yet. Is the sequencer running?")
            )
        time.sleep(0.25)
    try:
        check_checkpoint(head)
    except ValueError as problem:
        raise ExportProblem(_("The signed head of the ledger is not valid: %(what)s") % {"what": problem}) from None
    return head


def _events(item_id: UUID, checkpoint: Checkpoint) -> list[Event]:
    subjects = EventSubject.objects.filter(kind="item", subject_id=item_id).values("event_id")
    inside = Entry.objects.filter(event_id__in=subjects, index__lt=checkpoint.size).order_by("index")
    ids = list(inside.values_list("event_id", flat=True))
    events = Event.objects.in_bulk(ids)
    return [events[event_id] for event_id in ids]


def _payload(exhibit: Exhibit) -> Iterable[bytes]:
    return read_blob(exhibit.item.blob)


def _add_entries(writer: BundleWriter, events: list[Event], checkpoint: Checkpoint) -> None:
    values = opened([event.id for event in events])
    for event in events:
        proof = proof_of(event.id, checkpoint)
        if proof is None:
            raise ExportProblem(_("Entry %(event)s is missing from the ledger.") % {"event": event.id})
        closed = CLOSED_FIELDS - {"to", "from"} if event.type in OPEN_VALUES else CLOSED_FIELDS
        disclosed = {field: value for field, value in values[event.id].items() if field not in closed}
        writer.add_entry(proof.index, proof.entry, format_proof(proof.index, proof.path, checkpoint.note), disclosed)


def _case_document(case_file: CaseFile, exhibits: list[Exhibit], checkpoint: Checkpoint, until: datetime) -> bytes:
    document: dict[str, Any] = {
        "case": case_file.code,
        "compartment": case_file.compartment.code,
        "forum": case_file.forum,
        "purpose": case_file.purpose,
        "requested_at": until.isoformat(),
        "ledger": {
            "origin": settings.SANAD_ORIGIN,
            "size": checkpoint.size,
            "signed_at": checkpoint.signed_at.isoformat(),
        },
        "exhibits": [
            {
                "number": exhibit.number,
                "accession": exhibit.item.accession,
                "category": exhibit.category,
                "media_type": exhibit.item.media_type,
                "size": exhibit.item.size,
                "sha256": exhibit.item.sha256,
                "received_at": exhibit.item.received_at.isoformat(),
            }
            for exhibit in exhibits
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"

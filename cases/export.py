"""Building a bundle: exhibits, their custody entries with proofs, the signed head, and the verifier that checks it all.

1. It waits until a signed checkpoint covers every event of the exhibits that happened before the request.
2. Payloads are decrypted from the store straight into the bundle, their digests compared with the record.
3. What could name a person stays sealed: original names, sources, places, notes of the reviewers. Of the rest, what was
   chosen is opened (cases.disclosure). Events that tell of a witness or of another case are left out; how many, and how
   many fields are withheld, `case.json` says for each exhibit.
4. The finished folder is checked with the very verifier it carries; one that fails never leaves.
"""

import json
import mimetypes
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from cases import disclosure
from cases.coverage import tendered
from cases.models import CaseFile, Exhibit
from custody.anchors import anchored
from custody.cosignatures import cosigned_note, quorum_head
from custody.cosigners import ask_cosigners
from custody.engine import opened as recorded
from custody.handovers import add_handovers, bundle_vkeys
from custody.models import Checkpoint, Entry, Event, EventSubject
from custody.proof import newest_checkpoint, proof_of
from custody.verify import check_checkpoint
from evidence.blobs import read_blob
from evidence.fixity import find
from ledger.bundle import BundleWriter, Summary
from ledger.entry import parse_entry
from ledger.policy import PolicyError
from ledger.proof import format_proof
from ledger.verify import verify_bundle

WAIT = 60.0  # seconds for the sequencer to sign what happened before the request
#: Whoever is a subject of such an event is named by it: a witness, a testimony, another case.
OPEN_SUBJECTS = frozenset({"item", "item:record", "item:content", "item:preview", "item:text", "incident", "user"})
Progress = Callable[[int, int], None]
Listed = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Built:
    """A finished bundle, and how many fields of the events in it are opened and withheld."""

    summary: Summary
    opened: int
    withheld: int


class ExportProblem(Exception):
    """The bundle could not be built, in words for the person who asked. Nothing of it was kept."""


def unheard(done: int, total: int) -> None:
    """Progress that nobody watches."""


def build(
    case_file: CaseFile,
    target: Path,
    *,
    listed: Listed,
    until: datetime,
    opened: Sequence[str] = disclosure.ALL,
    progress: Progress = unheard,
) -> Built:
    """Write the bundle of these exhibits, [number, accession, sha256] as they were recorded, to a new folder `target`.

    `opened`: the fields of events to open (cases.disclosure.Field); the others prove nothing and can be proven later.
    Raises ExportProblem, in words; then nothing is left. What is returned is of a bundle that passed its verifier.
    """
    exhibits = _exhibits(case_file, listed)
    checkpoint, note = _vouched(_covering([exhibit.item_id for exhibit in exhibits], until))
    info = [
        ("Source-Organization", "Sanad archive"),
        ("External-Identifier", f"{case_file.compartment.code}/{case_file.code}"),
        ("External-Description", "Exhibits of a case file with their custody entries, proofs and a verifier"),
    ]
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    closed: dict[str, dict[str, int]] = {}
    with BundleWriter(target, info) as writer:
        writer.set_checkpoint(note, *bundle_vkeys(checkpoint))
        written = dict.fromkeys(add_handovers(writer, checkpoint, note), (0, 0))
        for done, exhibit in enumerate(exhibits):
            progress(done, len(exhibits))
            item = exhibit.item
            _must_be_sound(exhibit)
            events, left_out = _events(case_file, item.pk, checkpoint)
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
            fresh = [one for one in events if one.id not in written]
            written |= _add_entries(writer, fresh, checkpoint, note, opened)
            withheld = sum(written[event.id][1] for event in events)
            closed[exhibit.number] = {"events_left_out": left_out, "fields_withheld": withheld}
        _add_anchors(writer, set(written), checkpoint, note)
        writer.add_document("case.json", _case_document(case_file, exhibits, checkpoint, until, closed, opened))
        summary = writer.finish()
    report = verify_bundle(summary.path)
    if report.exit_code:
        first = report.problems[0] if report.problems else None
        raise ExportProblem(
            _("The finished bundle does not pass its own verifier (%(what)s). Nothing was handed out.")
            % {"what": f"{first.where}: {first.what}" if first else report.trust}
        )
    progress(len(exhibits), len(exhibits))
    return Built(
        summary, sum(told for told, _closed in written.values()), sum(closed for _told, closed in written.values())
    )


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


def _vouched(head: Checkpoint) -> tuple[Checkpoint, str]:
    """The head for the bundle and its note: where cosigners are configured, one that enough of them have just seen.

    A partner that cannot be asked does not hold the bundle back: then the archive alone vouches for the head.
    """
    try:
        ask_cosigners(timezone.now(), urgent=True)
        head = quorum_head(head.size) or head
    except PolicyError as problem:
        raise ExportProblem(_("The policy of cosigners is not valid: %(what)s") % {"what": problem}) from None
    return head, cosigned_note(head)


def _exhibits(case_file: CaseFile, listed: Listed) -> list[Exhibit]:
    """The very exhibits that were recorded as leaving, no more and no fewer."""
    present = {exhibit.number: exhibit for exhibit in tendered(case_file)}
    found = []
    for number, accession, sha256 in listed:
        exhibit = present.get(number)
        if exhibit is None or (exhibit.item.accession, exhibit.item.sha256) != (accession, sha256):
            raise ExportProblem(
                _("Exhibit %(number)s changed since the bundle was asked for. Ask for a new one.") % {"number": number}
            )
        found.append(exhibit)
    return found


def _must_be_sound(exhibit: Exhibit) -> None:
    """Bytes, record and ledger must agree before anything of the item leaves."""
    finding = find(exhibit.item)
    if not finding.good:
        raise ExportProblem(
            _("%(accession)s does not pass its verification and was not handed out: %(detail)s")
            % {"accession": exhibit.item.accession, "detail": finding.detail}
        )


def _events(case_file: CaseFile, item_id: UUID, checkpoint: Checkpoint) -> tuple[list[Event], int]:
    """The item's events under the checkpoint that name no witness and no other case, and how many were left out."""
    subjects = EventSubject.objects.filter(kind="item", subject_id=item_id).values("event_id")
    inside = Entry.objects.filter(event_id__in=subjects, index__lt=checkpoint.size).order_by("index")
    ids = list(inside.values_list("event_id", flat=True))
    own = {("case", case_file.pk)} | {("bundle", pk) for pk in case_file.bundles.values_list("pk", flat=True)}
    others = EventSubject.objects.filter(event_id__in=ids).exclude(kind__in=OPEN_SUBJECTS)
    closed = {
        event_id for event_id, kind, pk in others.values_list("event_id", "kind", "subject_id") if (kind, pk) not in own
    }
    events = Event.objects.in_bulk(ids)
    told = [
        events[event_id] for event_id in ids if event_id not in closed and events[event_id].type in disclosure.MAY_LEAVE
    ]
    return told, len(ids) - len(told)


def _payload(exhibit: Exhibit) -> Iterable[bytes]:
    return read_blob(exhibit.item.blob)


def _add_anchors(writer: BundleWriter, written: set[UUID], checkpoint: Checkpoint, note: str) -> None:
    """The timestamps that cover what the bundle holds, each with the head it is on and the entry that records it."""
    indices = Entry.objects.filter(event_id__in=written).values_list("index", flat=True)
    for anchor in anchored(checkpoint, list(indices)):
        writer.add_head(anchor.note, anchor.consistency)
        _add_entries(writer, list(Event.objects.filter(pk=anchor.event_id)), checkpoint, note, ())
        writer.add_anchor(anchor.index, anchor.response)


def _add_entries(
    writer: BundleWriter, events: list[Event], checkpoint: Checkpoint, note: str, opened: Collection[str]
) -> dict[UUID, tuple[int, int]]:
    """Write the entries with what is opened of them. Returns {event: (fields opened, fields withheld)}."""
    values = recorded([event.id for event in events])
    counts = {}
    for event in events:
        proof = proof_of(event.id, checkpoint)
        if proof is None:
            raise ExportProblem(_("Entry %(event)s is missing from the ledger.") % {"event": event.id})
        told = disclosure.opened_of(event.type, values[event.id], opened)
        writer.add_entry(proof.index, proof.entry, format_proof(proof.index, proof.path, note), told)
        counts[event.id] = (len(told), len(parse_entry(proof.entry).commitments) - len(told))
    return counts


def _case_document(
    case_file: CaseFile,
    exhibits: list[Exhibit],
    checkpoint: Checkpoint,
    until: datetime,
    closed: dict[str, dict[str, int]],
    opened: Collection[str],
) -> bytes:
    document: dict[str, Any] = {
        "case": case_file.code,
        "compartment": case_file.compartment.code,
        "forum": case_file.forum,
        "purpose": case_file.purpose,
        "requested_at": until.isoformat(),
        "fields": {"opened": ["subjects", *opened], "withheld": disclosure.withheld(opened)},
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
                **closed[exhibit.number],
            }
            for exhibit in exhibits
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"

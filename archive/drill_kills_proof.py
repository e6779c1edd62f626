"""What the kills drill does inside its archive: before the load, people with tokens; after it, the proof.

The proof begins with what was told to others while processes were killed (answers, receipts, signed heads) and looks
for it in the ledger that stands at the end. It trusts no table where the entries themselves can be asked.
"""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts.actions import issue_token
from archive.sample.people import gather
from custody import signer, signer_state
from custody.alarm import alarms
from custody.engine import opened
from custody.leaves import leads_to
from custody.ledger_keys import ledger_keys, vkey
from custody.log_files import export, exported_entries
from custody.models import Checkpoint, Entry, Event, EventSubject, Pending
from custody.sequencer import drain, read_tile
from custody.signer import sign_head
from custody.verify import faults
from custody.vocabulary import Type
from evidence import blobs
from evidence.models import FixityCheck, Item
from incidents.actions import open_incident
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.entry import leaf_hash, parse_entry
from ledger.grow import CompactTree, consistency_proof
from ledger.merkle import ProofError, verify_consistency
from ledger.note import NoteError, decode_vkey
from ledger.proof import parse_proof
from ledger.receipt import verify_receipt
from ledger.report import VERIFIED
from ledger.verify import Trust

STAGE, TOLD = "stage.json", "told.json"
AT_ONCE = 500  # events whose values are opened together
SHOWN = 5  # examples of a fault


@dataclass(frozen=True)
class Step:
    """One thing that must hold, whether it does, and what was compared."""

    name: str
    good: bool
    said: str


def prepare(home: Path, writers: int) -> None:
    """People, an incident and a token for each writer, in an empty archive."""
    team = gather()
    by = team["investigator"]
    incident = open_incident(by=by, at=timezone.now(), compartment_id=team.compartment.pk, fields={"title": "A drill"})
    tokens = [
        issue_token(by=by, at=timezone.now(), purpose="A drill", read_only=False, life=timedelta(days=1))[1]
        for _ in range(writers)
    ]
    (home / STAGE).write_text(json.dumps({"incident": str(incident.pk), "tokens": tokens}))


def prove(home: Path) -> tuple[list[Step], list[float | None]]:
    """(everything that must hold, for each kill the seconds until an act begun after it was done and under a head)."""
    told = json.loads((home / TOLD).read_text())
    stood = Entry.objects.count(), Pending.objects.count()
    drain()
    sign_head()
    proof = Proof(told)
    steps = list(proof.steps())
    steps.append(Step("nothing was left waiting when the archive stopped", stood[1] == 0, f"{stood[0]} entries"))
    return steps, proof.recoveries()


class Proof:
    """The ledger as it stands, read once, and what was told of it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told, self.acts = told, told["acts"]
        self.entries = [bytes(row) for row in Entry.objects.order_by("index").values_list("entry", flat=True)]
        self.parsed = [parse_entry(entry) for entry in self.entries]
        self.index = {UUID(entry.event_id): place for place, entry in enumerate(self.parsed)}
        self.roots = self._roots()
        self.titles = self._titles()
        self.received = self._received()
        begun = Event.objects.filter(type=Type.INGESTION_START).values("id")
        about = EventSubject.objects.filter(kind="intake", event_id__in=begun)
        self.announced = Counter(about.values_list("subject_id", flat=True))
        self.heads: list[tuple[dict[str, Any], int, bytes]] = []

    def steps(self) -> Iterator[Step]:
        yield from self._acts_stand()
        yield self._each_once()
        yield self._bytes_stand()
        yield from self._heads_stand()
        yield self._receipts_stand()
        yield self._memory_agrees()
        found = [f"{fault.where}: {fault.what}" for fault in faults()]
        yield Step("the whole ledger verifies", not found, _some(found) or f"{len(self.entries)} entries")
        folder = Path(settings.SANAD_LEDGER)
        export(folder)
        same = list(exported_entries(folder)) == self.entries
        yield Step("the exported ledger is the same, to the byte", same, "")
        standing = [alarm.what for alarm in alarms()]
        yield Step("no alarm stands", not standing, _some(standing))

    def recoveries(self) -> list[float | None]:
        """None where no act after the kill was ever under a head."""
        seen = sorted((size, head["seen"]) for head, size, _ in self.heads if head["where"] == "the table")
        sizes = [size for size, _ in seen]
        done = []
        for act in self.acts:
            event = self._event(act)
            place = self.index.get(event) if event is not None and act["acknowledged"] is not None else None
            if place is not None and (first := bisect_right(sizes, place)) < len(seen):
                done.append((act["asked"], max(act["acknowledged"], seen[first][1])))
        return [
            min((at - kill["at"] for asked, at in done if asked >= kill["at"]), default=None)
            for kill in self.told["kills"]
        ]

    def _acts_stand(self) -> Iterator[Step]:
        for kind in ("announce", "receive", "describe", "verify"):
            acts = [act for act in self.acts if act["kind"] == kind]
            known = [act for act in acts if act["acknowledged"] is not None]
            lost = [act["name"] for act in known if self._places(act) == 0]
            twice = [act["name"] for act in acts if self._places(act) > 1]
            again = sum(act["times_asked"] > 1 for act in acts)
            unknown = [act for act in acts if act["acknowledged"] is None and act["name"]]
            happened = sum(self._places(act) for act in unknown)
            said = f"{len(known)} acknowledged, {again} asked for more than once, {len(unknown)} without an answer"
            said += f" ({happened} of them happened)" if unknown else ""
            yield Step(f"{kind}: none lost that was acknowledged", not lost, _some(lost) or said)
            yield Step(f"{kind}: none happened twice", not twice, _some(twice))

    def _places(self, act: dict[str, Any]) -> int:
        """How many entries of the ledger are this act."""
        if act["kind"] == "describe":
            return sum(event in self.index for event in self.titles.get(act["name"], []))
        if act["kind"] == "receive":
            return sum(event in self.index for event in self.received.get(act["name"], []))
        if act["kind"] == "announce":
            return self.announced[UUID(act["name"])] if act["name"] else 0
        event = UUID(act["name"])
        return int(event in self.index) * FixityCheck.objects.filter(event_id=event).count()

    def _event(self, act: dict[str, Any]) -> UUID | None:
        found: list[UUID] = []
        if act["kind"] in ("describe", "receive"):
            found = (self.titles if act["kind"] == "describe" else self.received).get(act["name"], [])
        return found[0] if found else UUID(act["name"]) if act["kind"] == "verify" else None

    def _each_once(self) -> Step:
        """By the ids in the entries' own bytes, and every event that the tables know has an entry of its bytes."""
        ids = Counter(entry.event_id for entry in self.parsed)
        twice = [name for name, count in ids.items() if count > 1]
        rows = dict(Event.objects.values_list("id", "entry"))
        other = [str(key) for key, entry in rows.items() if self.entries[self.index.get(key, -1)] != bytes(entry)]
        stray = [str(key) for key in self.index if key not in rows]
        wrong = twice + other + stray
        return Step("each event has one entry, each entry one event", not wrong, _some(wrong) or f"{len(rows)} events")

    def _bytes_stand(self) -> Step:
        """What the store gives back is what the writer sent, by a digest that the writer made."""
        wrong, count = [], 0
        for act in self.acts:
            if act["kind"] != "receive" or act["acknowledged"] is None:
                continue
            item = Item.objects.select_related("blob").filter(accession=act["told"]["accession"]).first()
            digest = hashlib.sha256()
            for chunk in blobs.read_blob(item.blob) if item is not None and item.blob is not None else ():
                digest.update(chunk)
            count += 1
            if item is None or digest.hexdigest() != act["told"]["sha256"] or str(item.idempotency_key) != act["name"]:
                wrong.append(act["told"]["accession"])
        return Step("the bytes of every item stand and open", not wrong, _some(wrong) or f"{count} items")

    def _heads_stand(self) -> Iterator[Step]:
        final = Checkpoint.objects.order_by("-number").first()
        if final is None:
            yield Step("a head was signed", False, "there is none")
            return
        believed, wrong = [key.verifier for key in ledger_keys()], []
        for head in self.told["heads"]:
            try:
                head_of = open_checkpoint(head["note"], believed)
            except (NoteError, CheckpointError) as problem:
                wrong.append(f"{head['where']}: {problem}")
                continue
            self.heads.append((head, head_of.size, head_of.root))
            try:
                if self.roots.get(head_of.size) != head_of.root:
                    raise ProofError("the entries do not lead to it")
                if head_of.size:
                    path = consistency_proof(head_of.size, final.size, read_tile)
                    verify_consistency(head_of.size, head_of.root, final.size, bytes(final.root), path)
            except ProofError as problem:
                wrong.append(f"{head['where']}, head of {head_of.size}: {problem}")
        sizes = {size for _, size, _ in self.heads}
        said = f"{len(self.heads)} sightings of {len(sizes)} sizes, the last of {final.size}"
        yield Step("every head that was seen leads to the last one", not wrong, _some(wrong) or said)
        rows = dict(Checkpoint.objects.values_list("number", "note"))
        seen = [head for head, _, _ in self.heads if head["where"] == "the table"]
        gone = [str(head["number"]) for head in seen if rows.get(head["number"]) != head["note"]]
        yield Step("none was taken back or replaced", not gone, _some(gone) or f"{len(rows)} heads were signed")
        notes = set(rows.values())
        unknown = [head["where"] for head, _, _ in self.heads if head["note"] not in notes]
        yield Step("none was seen that was not published in the end", not unknown, _some(unknown))

    def _receipts_stand(self) -> Step:
        wrong, recorded, trust = [], 0, Trust([decode_vkey(vkey())])
        for receipt in self.told["receipts"]:
            said = json.loads(receipt)
            event = UUID(parse_entry(said["entry"].encode()).event_id)
            place = self.index.get(event, -1)
            good = self.entries[place] == said["entry"].encode()
            if said["state"] == "recorded":
                recorded += 1
                good = good and verify_receipt(receipt.encode(), trust).exit_code == VERIFIED
                good = good and parse_proof(said["proof"]).index == place
            if not good:
                wrong.append(str(event))
        said_of = f"{len(self.told['receipts'])} receipts, {recorded} of them recorded"
        return Step("every receipt that was handed out is good", not wrong, _some(wrong) or said_of)

    def _memory_agrees(self) -> Step:
        row, state = Checkpoint.objects.order_by("-number").first(), signer_state.read()
        if row is None or state is None:
            return Step("the signer's memory agrees", False, "there is none")
        agrees = (state.count, state.size, state.note, state.chain) == (
            row.number,
            row.size,
            row.note,
            bytes(row.chain),
        )
        agrees = agrees and leads_to(signer.leaves(), row.size, bytes(row.root))
        return Step(
            "the signer's memory and its list of hashes agree", agrees, f"{state.count} heads, {state.size} entries"
        )

    def _roots(self) -> dict[int, bytes]:
        """The root of every size, from the entries' bytes."""
        tree, roots = CompactTree(), {}
        roots[0] = tree.root()
        for entry in self.entries:
            tree.append(leaf_hash(entry))
            roots[tree.size] = tree.root()
        return roots

    def _titles(self) -> dict[str, list[UUID]]:
        """The events that gave each title, by the values that open their commitments."""
        found: dict[str, list[UUID]] = {}
        events = list(Event.objects.filter(type=Type.DESCRIBE).values_list("id", flat=True))
        for start in range(0, len(events), AT_ONCE):
            for event, values in opened(events[start : start + AT_ONCE]).items():
                title = values["to"][1].get("title") if "to" in values else None
                if title:
                    found.setdefault(title, []).append(event)
        return found

    def _received(self) -> dict[str, list[UUID]]:
        """The receptions under each idempotency key, by the values that open their commitments."""
        found: dict[str, list[UUID]] = {}
        events = list(Event.objects.filter(type=Type.RECEIVE).values_list("id", flat=True))
        for start in range(0, len(events), AT_ONCE):
            for event, values in opened(events[start : start + AT_ONCE]).items():
                found.setdefault(values["holding"][1]["idempotency_key"], []).append(event)
        return found


def _some(wrong: list[str]) -> str:
    if not wrong:
        return ""
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return "; ".join(wrong[:SHOWN]) + more

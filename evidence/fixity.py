"""One item against everything that speaks for it: the stored bytes, its record, and the ledger. Decrypts no content."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from custody import keys, seal
from custody.engine import in_order, opened, timestamp
from custody.models import Entry as Leaf
from custody.models import Event, EventSubject, Pending
from custody.proof import proof_of
from custody.verify import check_checkpoint
from custody.vocabulary import Type
from evidence import blobs, copies, dates
from evidence.description import described
from evidence.models import Blob, Derivative, FixityCheck, Item
from evidence.vocabulary import FixityOutcome
from ledger.entry import Entry, EntryError, commit, parse_entry
from ledger.merkle import ProofError

#: The events that together say what the record must say today.
TELLING = (Type.RECEIVE, Type.DESCRIBE, Type.IDENTIFY, Type.EXTRACT, Type.CREATE)
BY_WEIGHT = (FixityOutcome.CHANGED, FixityOutcome.MISSING, FixityOutcome.UNREADABLE)
NEWEST_CHECKS = 20  # how far back the last completed verification is looked for among pending ones


@dataclass(frozen=True)
class Step:
    """One thing that was tested, in the order a person would."""

    name: str
    good: bool
    detail: str


@dataclass(frozen=True)
class Finding:
    """The result of a check: its steps, the first thing that is wrong, and the digest that was read."""

    outcome: FixityOutcome
    detail: str
    stored_sha256: str
    steps: tuple[Step, ...]
    bad_copies: tuple[tuple[str, copies.Tested], ...] = ()  # (address, what is wrong in which store)

    @property
    def good(self) -> bool:
        return self.outcome in (FixityOutcome.OK, FixityOutcome.PENDING, FixityOutcome.ERASED)


class Wrong(Exception):
    """Something is not as it was recorded: what kind of fault, and which."""

    def __init__(
        self, outcome: FixityOutcome, detail: str, bad_copies: tuple[tuple[str, copies.Tested], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.outcome, self.detail, self.bad_copies = outcome, detail, bad_copies


@dataclass(frozen=True)
class _Told:
    """An event of the item whose opened values were proved against its entry."""

    event: Event
    entry: Entry
    values: dict[str, Any]


def find(item: Item) -> Finding:
    """Test an item. Never raises for what it finds: every fault is an outcome with words for it.

    Raises keys.KeyAway when the key-encryption key cannot be used now: that is no finding about the item.

    1. bytes: every stored copy is read and hashed; the digest must be their address.
    2. reception: the ledger holds one reception of the item, and its opened values fit its commitments.
    3. record: every column that reception fixed is as the ledger recorded it, the key and the sealed name too.
    4. description: every described column follows from the reception and each later description.
    5. examination: types, device claims and the preview's bytes are those that were recorded when they were found.
    6. ledger: each of these events stands in the tree under a checkpoint signed with this archive's key.

    Of an erased item evidence.tombstone tests that the ledger explains everything that is not there.
    """
    if item.erased_at is not None:
        from evidence import tombstone  # it tests by the same steps

        return tombstone.find(item)
    steps: list[Step] = []
    digest = ""
    try:
        digest = _digest(_blob(item))
        steps.append(Step("bytes", True, digest))
        with transaction.atomic():
            # Every act on an item locks its row, so record and events are read as of one moment.
            item = Item.objects.select_for_update(of=("self",)).select_related("blob", "duplicate_of").get(pk=item.pk)
            told = _told(item)
            reception = told[0]
            steps.append(Step("reception", True, str(reception.event.id)))
            _same_record(item, reception)
            steps.append(Step("record", True, item.accession))
            _same_description(item, told)
            steps.append(Step("description", True, ""))
            _same_examination(item, told)
            _same_derivatives(item, told)
            _same_last_check(item)
            steps.append(Step("examination", True, item.media_type))
            waiting = [one for one in told if not proved(one.event)]
            steps.append(Step("ledger", not waiting, f"{len(told) - len(waiting)}/{len(told)}"))
    except Wrong as wrong:
        failed = Step(wrong.outcome, False, wrong.detail)
        return Finding(wrong.outcome, wrong.detail, digest, (*steps, failed), wrong.bad_copies)
    if waiting:
        detail = f"{len(waiting)} of {len(told)} events wait for the next signed checkpoint"
        return Finding(FixityOutcome.PENDING, detail, digest, tuple(steps))
    return Finding(FixityOutcome.OK, "", digest, tuple(steps))


def _blob(item: Item) -> Blob:
    try:
        return item.blob
    except Blob.DoesNotExist:
        raise Wrong(FixityOutcome.RECORD, "the record's row of the stored bytes is gone") from None


def _digest(blob: Blob) -> str:
    address = blob.address
    try:
        tested = copies.test(address)
    except ValueError:
        raise Wrong(FixityOutcome.RECORD, "the record's address is not one of this store") from None
    bad = tuple((address, one) for one in tested if one.outcome)
    if bad:
        # Changed counts most, then missing: one that cannot be read now may be good.
        outcomes = [one.outcome for _, one in bad]
        outcome = next(kind for kind in BY_WEIGHT if kind in outcomes)
        raise Wrong(outcome, copies.words(tested), bad)
    return address


def _told(item: Item) -> list[_Told]:
    """The telling events of an item in their order, each opened and proved; the reception comes first.

    They name the item first. What names it after something else (a case file, a bundle) tells of that, not of the item.
    """
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    events = in_order(Event.objects.filter(type__in=TELLING, id__in=subjects))
    about = {"kind": "item", "id": str(item.id)}
    told = [one for one in map(_open, events) if one.values["subjects"][0] == about]
    receptions = [one for one in told if one.event.type == Type.RECEIVE]
    if not receptions:
        raise Wrong(FixityOutcome.LEDGER, "no reception of this item is in the ledger")
    if len(receptions) > 1:
        raise Wrong(FixityOutcome.LEDGER, "more than one reception of this item is in the ledger")
    return [receptions[0], *(one for one in told if one is not receptions[0])]


def _open(event: Event) -> _Told:
    try:
        entry = parse_entry(bytes(event.entry))
    except EntryError as problem:
        raise Wrong(FixityOutcome.LEDGER, f"the entry of event {event.id} was changed: {problem}") from None
    if (entry.type, entry.event_id, entry.outcome) != (event.type, event.id.hex, event.outcome):
        raise Wrong(FixityOutcome.LEDGER, f"the row of event {event.id} is not what its entry says")
    try:
        fields = opened([event.id])[event.id]
    except seal.SealBroken as problem:
        raise Wrong(FixityOutcome.LEDGER, f"the values behind event {event.id} do not open: {problem}") from None
    for field, commitment in entry.commitments.items():
        if field not in fields:
            raise Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {event.id} is missing")
        salt, value = fields[field]
        if commit(salt, field, value) != commitment:
            raise Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {event.id} was changed")
    return _Told(event, entry, {field: value for field, (_, value) in fields.items()})


def _same_record(item: Item, reception: _Told) -> None:
    blob, stated = _blob(item), reception.values["object"] | reception.values.get("holding", {})
    if reception.entry.blob != blob.address:
        raise Wrong(FixityOutcome.RECORD, "the record points to other bytes than the ledger names")
    for name, present in (
        ("accession", item.accession),
        ("sha256", item.sha256),
        ("sha512", item.sha512),
        ("size", item.size),
        ("key_commitment", blob.key_commitment),
        ("blob_id", str(blob.id)),
        ("duplicate_of", item.duplicate_of.accession if item.duplicate_of else None),
        ("idempotency_key", str(item.idempotency_key) if item.idempotency_key else None),
    ):
        if name not in stated or stated[name] != present:
            raise Wrong(FixityOutcome.RECORD, f"{name} in the record is not what the ledger recorded at reception")
    if reception.values["agent"]["id"] != str(item.received_by_id):
        raise Wrong(FixityOutcome.RECORD, "received_by in the record is not what the ledger recorded at reception")
    if reception.values["compartment"] != str(item.compartment_id):
        raise Wrong(FixityOutcome.RECORD, "compartment in the record is not what the ledger recorded at reception")
    _same_moment("received_at", item.received_at, reception.entry.ts)
    _same_key(blob)
    if blob.size != blobs.stored_size(item.size):
        raise Wrong(FixityOutcome.RECORD, "the stored size in the record does not follow from the size received")
    try:
        name = item.original_name
    except (seal.SealBroken, UnicodeDecodeError):
        name = ""
    if reception.values["original_name"] != name:
        raise Wrong(FixityOutcome.RECORD, "the sealed original name is not the one recorded at reception")


def _same_key(blob: Blob) -> None:
    try:
        with keys.provider().unwrap(bytes(blob.wrapped_key), f"blob/{blob.id}") as key:
            commitment = blobs.key_commitment(key)
    except keys.KeyAway:
        raise  # an outage is no finding
    except keys.KeyProblem:
        commitment = ""
    if commitment != blob.key_commitment:
        raise Wrong(FixityOutcome.RECORD, "the key kept for the stored bytes is not the one committed to")


def _same_moment(name: str, moment: datetime | None, ts: str) -> None:
    if moment is None or timestamp(moment) != ts:
        raise Wrong(FixityOutcome.RECORD, f"{name} in the record is not the time the ledger recorded")


def _same_description(item: Item, told: list[_Told]) -> None:
    expected = dict(told[0].values["to"])
    for one in told:
        if one.event.type == Type.IDENTIFY:
            expected["kind"] = one.values["to"]["kind"]
        elif one.event.type == Type.DESCRIBE:
            expected.update(one.values["to"])
    for name, value in described(item).items():
        if expected.get(name) != value:
            raise Wrong(FixityOutcome.RECORD, f"{name} in the record is not what the ledger recorded last")
    for prefix in ("created", "published", "collected"):
        try:
            dated = dates.parse(getattr(item, f"{prefix}_edtf"))
        except ValidationError:
            raise Wrong(FixityOutcome.RECORD, f"{prefix}_edtf in the record is not a date") from None
        for end, day in (("earliest", dated.earliest), ("latest", dated.latest)):
            if getattr(item, f"{prefix}_{end}") != day:
                raise Wrong(FixityOutcome.RECORD, f"{prefix}_{end} in the record does not follow from {prefix}_edtf")


def _same_examination(item: Item, told: list[_Told]) -> None:
    identified = [one for one in told if one.event.type == Type.IDENTIFY]
    stated = identified[-1].values["to"] if identified else {}
    if identified:
        _same_moment("examined_at", item.examined_at, identified[-1].entry.ts)
    elif item.examined_at is not None:
        raise Wrong(FixityOutcome.RECORD, "examined_at in the record has no examination in the ledger")
    for name, column in (
        ("media_type", "media_type"),
        ("puremagic", "media_type_puremagic"),
        ("libmagic", "media_type_libmagic"),
        ("conflict", "type_conflict"),
        ("problem", "examination_problem"),
    ):
        if (getattr(item, column) or None) != (stated.get(name) or None):
            raise Wrong(FixityOutcome.RECORD, f"{column} in the record is not what the ledger recorded last")
    extracted = [one.values["to"]["sha256"] for one in told if one.event.type == Type.EXTRACT]
    try:
        sealed = item.sealed_claims
        claims = seal.unseal(item.id, "claims", bytes(sealed)) if sealed is not None else None
    except seal.SealBroken:
        claims = b""
    if extracted[-1:] != ([] if claims is None else [hashlib.sha256(claims).hexdigest()]):
        raise Wrong(FixityOutcome.RECORD, "the sealed device claims are not those recorded when they were read")


def _same_derivatives(item: Item, told: list[_Told]) -> None:
    made = {one.values["object"]["purpose"]: one for one in told if one.event.type == Type.CREATE}
    kept = {row.purpose: row for row in Derivative.objects.filter(item=item).select_related("blob")}
    if set(made) != set(kept):
        raise Wrong(FixityOutcome.RECORD, "the derivatives in the record are not those the ledger recorded")
    for purpose, one in made.items():
        row, stated = kept[purpose], one.values["object"]
        columns = (row.blob.address, row.sha256, row.size, row.media_type, row.tool)
        if columns != (one.entry.blob, stated["sha256"], stated["size"], stated["media_type"], stated["tool"]):
            raise Wrong(FixityOutcome.RECORD, f"the {purpose} in the record is not the one the ledger recorded")
        _same_moment(f"made_at of the {purpose}", row.made_at, one.entry.ts)
        _same_key(row.blob)
        try:
            _digest(row.blob)
        except Wrong as wrong:
            raise Wrong(wrong.outcome, f"{purpose}: {wrong.detail}", wrong.bad_copies) from None


def _same_last_check(item: Item) -> None:
    """Coverage is told from these two columns: they must be those of the newest completed check in the ledger."""
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    checks = in_order(Event.objects.filter(type=Type.VERIFY, id__in=subjects).order_by("-at")[:NEWEST_CHECKS])
    _same_checks(item, checks)
    newest_first = map(_open, reversed(checks))
    completed = (told for told in newest_first if told.values["to"]["outcome"] != FixityOutcome.PENDING)
    newest = next(completed, None)
    if newest is None and len(checks) == NEWEST_CHECKS:
        return
    if (item.last_outcome or None) != (newest.values["to"]["outcome"] if newest else None):
        raise Wrong(FixityOutcome.RECORD, "last_outcome in the record is not that of the last check in the ledger")
    if newest is not None:
        _same_moment("last_verified_at", item.last_verified_at, newest.entry.ts)
    elif item.last_verified_at is not None:
        raise Wrong(FixityOutcome.RECORD, "last_verified_at in the record has no check in the ledger")


def _same_checks(item: Item, recorded: list[Event]) -> None:
    """The newest rows that tell of checks, against the checks in the ledger: none was added, changed or taken out."""
    rows = list(FixityCheck.objects.filter(item=item).order_by("-at")[:NEWEST_CHECKS])
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    events = Event.objects.filter(type=Type.VERIFY, id__in=subjects).in_bulk([row.event_id for row in rows])
    try:
        values = opened(list(events))
    except seal.SealBroken as problem:
        raise Wrong(FixityOutcome.LEDGER, f"the values behind a check of it do not open: {problem}") from None
    for row in rows:
        event = events.get(row.event_id)
        if event is None:
            raise Wrong(FixityOutcome.RECORD, "a fixity check in the record has no event in the ledger")
        _, stated = values[event.id].get("to", (b"", {}))
        told = (stated.get("outcome"), stated.get("detail", "")[:300], event.agent_id, timestamp(event.at))
        if told != (row.outcome, row.detail, row.by_id, timestamp(row.at)):
            raise Wrong(FixityOutcome.RECORD, "a fixity check in the record is not the one the ledger recorded")
    there = FixityCheck.objects.filter(item=item, event_id__in=[event.id for event in recorded]).count()
    if there != len(recorded):
        raise Wrong(FixityOutcome.RECORD, "a fixity check that the ledger recorded is gone from the record")


def proved(event: Event) -> bool:
    """Whether a signed head covers the event; False while it waits. Raises Wrong when the ledger does not hold it."""
    try:
        proof = proof_of(event.id)
    except ProofError as problem:
        raise Wrong(FixityOutcome.LEDGER, f"the tree does not prove event {event.id}: {problem}") from None
    if proof is None:
        # The sequencer moves an event from one table to the other in one transaction: asked in this order, an event
        # that is in neither has lost its entry.
        if not (Pending.objects.filter(event_id=event.id).exists() or Leaf.objects.filter(event_id=event.id).exists()):
            raise Wrong(FixityOutcome.LEDGER, f"event {event.id} has no entry in the ledger and none is pending")
        return False
    if proof.entry != bytes(event.entry):
        raise Wrong(FixityOutcome.LEDGER, f"entry {proof.index} is not the event's own entry")
    try:
        check_checkpoint(proof.checkpoint)
    except ValueError as problem:
        raise Wrong(FixityOutcome.LEDGER, str(problem)) from None
    return True

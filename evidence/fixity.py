"""One item against everything that speaks for it: the stored bytes, its record, and the ledger. Needs no key to content."""

from dataclasses import dataclass
from typing import Any

from custody import seal
from custody.engine import in_order, opened
from custody.models import Event, EventSubject
from custody.proof import proof_of
from custody.verify import check_checkpoint
from custody.vocabulary import Type
from evidence import store
from evidence.description import described
from evidence.models import Item
from evidence.vocabulary import FixityOutcome
from ledger.entry import EntryError, commit, parse_entry
from ledger.merkle import ProofError


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

    @property
    def good(self) -> bool:
        return self.outcome in (FixityOutcome.OK, FixityOutcome.PENDING)


class _Wrong(Exception):
    def __init__(self, outcome: FixityOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


def find(item: Item) -> Finding:
    """Test an item. Never raises for what it finds: every fault is an outcome with words for it.

    1. The stored bytes are read from the store and hashed; the digest must be their address.
    2. The ledger's reception entry names that very digest, and its opened values are those of the record.
    3. What the record says today follows from the reception and every later description in the ledger.
    4. The entry stands in the tree under a checkpoint signed with this archive's key.
    """
    steps: list[Step] = []
    digest = ""
    try:
        digest = _bytes(item, steps)
        entry, values, event = _reception(item)
        steps.append(Step("reception", True, str(event.id)))
        _same_record(item, entry.blob, values)
        steps.append(Step("record", True, item.accession))
        _same_description(item, values)
        steps.append(Step("description", True, ""))
        recorded = _proved(event)
        steps.append(Step("ledger", recorded, ""))
    except _Wrong as wrong:
        return Finding(wrong.outcome, wrong.detail, digest, (*steps, Step(wrong.outcome, False, wrong.detail)))
    if not recorded:
        return Finding(
            FixityOutcome.PENDING, "the reception waits for the next signed checkpoint", digest, tuple(steps)
        )
    return Finding(FixityOutcome.OK, "", digest, tuple(steps))


def _bytes(item: Item, steps: list[Step]) -> str:
    address = item.blob.address
    try:
        digest = store.digest(address)
    except ValueError:
        raise _Wrong(FixityOutcome.RECORD, "the record's address is not one of this store") from None
    except store.Missing:
        raise _Wrong(FixityOutcome.MISSING, f"no bytes stand at {address}") from None
    except store.StoreProblem as problem:
        raise _Wrong(FixityOutcome.UNREADABLE, str(problem)) from None
    if digest != address:
        raise _Wrong(FixityOutcome.CHANGED, f"the bytes at {address} now have SHA-256 {digest}")
    steps.append(Step("bytes", True, digest))
    return digest


def _reception(item: Item) -> tuple[Any, dict[str, Any], Event]:
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    event = Event.objects.filter(type=Type.RECEIVE, id__in=subjects).first()
    if event is None:
        raise _Wrong(FixityOutcome.LEDGER, "no reception of this item is in the ledger")
    try:
        entry = parse_entry(bytes(event.entry))
    except EntryError as problem:
        raise _Wrong(FixityOutcome.LEDGER, f"the reception entry was changed: {problem}") from None
    return entry, _values(event, entry), event


def _values(event: Event, entry: Any) -> dict[str, Any]:
    """The opened fields of an event, each proved against its commitment."""
    try:
        fields = opened([event.id])[event.id]
    except seal.SealBroken as problem:
        raise _Wrong(FixityOutcome.LEDGER, f"the values behind event {event.id} do not open: {problem}") from None
    for field, commitment in entry.commitments.items():
        if field not in fields:
            raise _Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {event.id} is missing")
        salt, value = fields[field]
        if commit(salt, field, value) != commitment:
            raise _Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {event.id} was changed")
    return {field: value for field, (_, value) in fields.items()}


def _same_record(item: Item, blob: str | None, values: dict[str, Any]) -> None:
    if blob != item.blob.address:
        raise _Wrong(FixityOutcome.RECORD, "the record points to other bytes than the ledger names")
    stated = values["object"]
    for name, present in (
        ("accession", item.accession),
        ("sha256", item.sha256),
        ("sha512", item.sha512),
        ("size", item.size),
        ("key_commitment", item.blob.key_commitment),
        ("blob_id", str(item.blob.id)),
    ):
        if stated[name] != present:
            raise _Wrong(FixityOutcome.RECORD, f"{name} in the record is not what the ledger recorded at reception")
    if values["agent"]["id"] != str(item.received_by_id):
        raise _Wrong(FixityOutcome.RECORD, "the record names another receiver than the ledger")


def _same_description(item: Item, reception: dict[str, Any]) -> None:
    expected = dict(reception["to"])
    media_type = ""
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    for event in in_order(Event.objects.filter(type__in=[Type.DESCRIBE, Type.IDENTIFY], id__in=subjects)):
        try:
            entry = parse_entry(bytes(event.entry))
        except EntryError as problem:
            raise _Wrong(FixityOutcome.LEDGER, f"the entry of event {event.id} was changed: {problem}") from None
        values = _values(event, entry)
        if event.type == Type.IDENTIFY:
            media_type, expected["kind"] = values["to"]["media_type"], values["to"]["kind"]
        else:
            expected.update(values["to"])
    for name, value in described(item).items():
        if expected.get(name) != value:
            raise _Wrong(FixityOutcome.RECORD, f"{name} in the record is not what the ledger recorded last")
    if item.media_type != media_type:
        raise _Wrong(FixityOutcome.RECORD, "media_type in the record is not what the ledger recorded last")


def _proved(event: Event) -> bool:
    try:
        proof = proof_of(event.id)
    except ProofError as problem:
        raise _Wrong(FixityOutcome.LEDGER, f"the tree does not prove the reception: {problem}") from None
    if proof is None:
        return False
    if proof.entry != bytes(event.entry):
        raise _Wrong(FixityOutcome.LEDGER, f"entry {proof.index} is not the event's own entry")
    try:
        check_checkpoint(proof.checkpoint)
    except ValueError as problem:
        raise _Wrong(FixityOutcome.LEDGER, str(problem)) from None
    return True

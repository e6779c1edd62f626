"""What stands in the place of an erased item, tested: nothing of it is left, and the ledger explains every absence."""

from typing import Any

from django.db import transaction
from django.db.models import Field

from custody import erased, story
from custody.engine import in_order
from custody.models import Event, EventSubject
from custody.vocabulary import Type
from evidence import store
from evidence.description import DESCRIBED
from evidence.fixity import Finding, Step, Wrong, proved
from evidence.models import Derivative, Erasure, Item
from evidence.vocabulary import FixityOutcome
from ledger.entry import EntryError, parse_entry

#: The columns of an item that say something of it. The number stays, who received it, and when.
CLEARED = (
    *DESCRIBED,
    "sha256",
    "sha512",
    "size",
    "idempotency_key",
    "duplicate_of",
    "media_type",
    "media_type_puremagic",
    "media_type_libmagic",
    "type_conflict",
    "examination_problem",
    *(f"{prefix}_{end}" for prefix in ("created", "published", "collected") for end in ("earliest", "latest")),
)


def empty(name: str) -> Any:
    """What a cleared column holds."""
    field = Item._meta.get_field(name)
    assert isinstance(field, Field)
    if field.null:
        return None
    return field.get_default() if field.has_default() else 0 if name == "size" else ""


def find(item: Item) -> Finding:
    """Test an erased item. Never raises for what it finds, as evidence.fixity.find.

    1. erasure: an erasure in the ledger names this item, its number, and the ciphertext of its reception.
    2. absence: each recorded value of it is there or was destroyed by an erasure that says so, and no destroyed one is.
    3. record: the row says nothing any more; no content key and no derivative is left.
    4. bytes: none of its ciphertexts stands in the store.
    5. ledger: the erasure and the reception are covered by a signed checkpoint.
    """
    steps: list[Step] = []
    waiting = 0
    try:
        with transaction.atomic():
            item = Item.objects.select_for_update(of=("self",)).select_related("blob").get(pk=item.pk)
            subjects = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
            events = in_order(Event.objects.filter(id__in=subjects))
            erasures, blobs = _erasures(item, events)
            steps.append(Step("erasure", True, str(erasures[0].id)))
            _explained(events)
            steps.append(Step("absence", True, ""))
            _nothing_said(item)
            steps.append(Step("cleared", True, item.accession))
            gone = _gone(item, blobs)
            steps.append(Step("destroyed", gone, ""))
            told = [*erasures, *(event for event in events if event.type == Type.RECEIVE)]
            waiting = len([event for event in told if not proved(event)]) + (not gone)
            steps.append(Step("ledger", not waiting, f"{len(told) - waiting}/{len(told)}"))
    except Wrong as wrong:
        return Finding(wrong.outcome, wrong.detail, "", (*steps, Step(wrong.outcome, False, wrong.detail)))
    outcome = FixityOutcome.PENDING if waiting else FixityOutcome.ERASED
    detail = "the erasure is not finished yet" if waiting else ""
    return Finding(outcome, detail, "", tuple(steps))


def _erasures(item: Item, events: list[Event]) -> tuple[list[Event], set[str]]:
    """The erasure events that name the item's content, and the ciphertexts they name."""
    reception = next((event for event in events if event.type == Type.RECEIVE), None)
    if reception is None:
        raise Wrong(FixityOutcome.LEDGER, "no reception of this item is in the ledger")
    found, blobs = [], set()
    for event in events:
        if event.type != Type.ERASE:
            continue
        for content in (erased.statement(event) or {"content": []})["content"]:
            if (content["id"], content["accession"]) == (str(item.id), item.accession):
                found.append(event)
                blobs |= set(content["blobs"])
    if not found:
        raise Wrong(FixityOutcome.LEDGER, "the record says that it was erased, and no erasure in the ledger does")
    try:
        address = parse_entry(bytes(reception.entry)).blob
    except EntryError as problem:
        raise Wrong(FixityOutcome.LEDGER, f"the entry of event {reception.id} was changed: {problem}") from None
    if address not in blobs:
        raise Wrong(FixityOutcome.LEDGER, "the erasure names other bytes than were received")
    return found, blobs


def _explained(events: list[Event]) -> None:
    for line in story.lines([event.id for event in events]):
        for field in sorted(line.lost):
            raise Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {line.event_id} is missing")
        for field in sorted(line.returned):
            raise Wrong(FixityOutcome.LEDGER, f"the value of {field} of event {line.event_id} was erased, and is back")


def _nothing_said(item: Item) -> None:
    for name in CLEARED:
        if getattr(item, name) != empty(name):
            raise Wrong(FixityOutcome.RECORD, f"{name} in the record of an erased item says something")
    if bytes(item.sealed_name) or item.sealed_claims is not None:
        raise Wrong(FixityOutcome.RECORD, "sealed values stand in the record of an erased item")
    if bytes(item.blob.wrapped_key) or Derivative.objects.filter(item=item).exists():
        raise Wrong(FixityOutcome.RECORD, "a content key or a derivative of an erased item is left")


def _gone(item: Item, blobs: set[str]) -> bool:
    """Whether no ciphertext stands any more; one that does after the erasure was finished is a fault."""
    try:
        standing = [address for address in sorted(blobs) if store.stands(address)]
    except store.StoreProblem as problem:
        raise Wrong(FixityOutcome.UNREADABLE, str(problem)) from None
    if not standing:
        return True
    if Erasure.objects.filter(accessions__contains=[item.accession], finished_at__isnull=False).exists():
        raise Wrong(FixityOutcome.RECORD, f"erased bytes stand at {standing[0]} again")
    return False

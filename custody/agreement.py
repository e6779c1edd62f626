"""Whether what the database says of events is what their entries commit to: rows, subjects and sealed values."""

import dataclasses
import hmac
import json
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from custody import seal
from custody.alarm import Kind
from custody.engine import SALT_BYTES, timestamp
from custody.erased import explained
from custody.models import Disclosure, Entry, Event, EventSubject
from ledger import entry as formats

#: What every recorded event commits to (custody.engine.record): an entry without it was put in by somebody else.
ALWAYS = frozenset({"agent", "subjects"})


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was signed: where, and what. Names rows and fields, never their values."""

    where: str
    what: str


@dataclass(frozen=True)
class TreeFault(Fault):
    """A fault of the tree itself, with its kind and, where there are two to compare, the digests in hex."""

    kind: Kind = dataclasses.field(default=Kind.DAMAGED, compare=False)
    expected: str = dataclasses.field(default="", compare=False)
    found: str = dataclasses.field(default="", compare=False)


class Ciphers:
    """The subjects' keys of one batch, each unwrapped once."""

    def __init__(self) -> None:
        self._found: dict[UUID, AESGCM | seal.SealBroken] = {}

    def of(self, subject_id: UUID) -> AESGCM:
        """Raises SealBroken when the key is gone or was changed."""
        if subject_id not in self._found:
            try:
                self._found[subject_id] = seal.existing_aead(subject_id)
            except seal.SealBroken as problem:
                self._found[subject_id] = problem
        found = self._found[subject_id]
        if isinstance(found, seal.SealBroken):
            raise found
        return found


def entry_faults(rows: Sequence[Entry]) -> Iterator[Fault]:
    """Everything wrong with these entries and with the events, subjects and disclosures behind them.

    A value may be missing where an erasure in the ledger names it, and must be missing there.
    Reads five queries for the batch, and holds no more than the batch in memory.
    """
    ids = [row.event_id for row in rows]
    events = Event.objects.in_bulk(ids)
    subjects: defaultdict[UUID, list[EventSubject]] = defaultdict(list)
    for subject in EventSubject.objects.filter(event_id__in=ids):
        subjects[subject.event_id].append(subject)
    disclosures: defaultdict[UUID, list[Disclosure]] = defaultdict(list)
    for disclosure in Disclosure.objects.filter(event_id__in=ids):
        disclosures[disclosure.event_id].append(disclosure)
    ciphers = Ciphers()
    erased = explained({event_id: [subject.subject_id for subject in subjects[event_id]] for event_id in ids})
    for row in rows:
        where, data = f"entry {row.index}", bytes(row.entry)
        try:
            parsed = formats.parse_entry(data)
        except formats.EntryError as problem:
            yield TreeFault(where, f"is not an entry: {problem}")
            continue
        if bytes(row.leaf_hash) != formats.leaf_hash(data):
            stated, found = bytes(row.leaf_hash).hex(), formats.leaf_hash(data).hex()
            yield TreeFault(where, "does not have the hash it was sequenced with", Kind.DAMAGED, stated, found)
        if parsed.origin != settings.SANAD_ORIGIN:
            yield Fault(where, "is of another ledger")
        event = events.get(row.event_id)
        if parsed.event_id != row.event_id.hex or event is None:
            yield Fault(where, "is not the entry of its event")
            continue
        for what in _event_faults(event, data, parsed):
            yield Fault(where, what)
        for field in ALWAYS - parsed.commitments.keys():
            yield Fault(where, f"does not commit to its {field}: it is not one that this archive recorded")
        values = yield from _opened(
            where, parsed, disclosures[row.event_id], ciphers, erased.get(row.event_id, frozenset())
        )
        for what in _value_faults(event, subjects[row.event_id], values):
            yield Fault(where, what)


def _event_faults(event: Event, data: bytes, parsed: formats.Entry) -> Iterator[str]:
    if bytes(event.entry) != data:
        yield "is not the one its event was recorded with"
    if str(event.type) != parsed.type:
        yield "its event row was changed: type"
    if str(event.outcome) != parsed.outcome:
        yield "its event row was changed: outcome"
    if timestamp(event.at) != parsed.ts:
        yield "its event row was changed: time"


def _opened(
    where: str, parsed: formats.Entry, rows: Sequence[Disclosure], ciphers: Ciphers, erased: frozenset[str]
) -> Generator[Fault, None, dict[str, Any]]:
    """Yields what does not open, and returns {field: value} of what does."""
    values: dict[str, Any] = {}
    for row in rows:
        commitment = parsed.commitments.get(row.field)
        if commitment is None:
            yield Fault(where, f"a value of {row.field} stands beside it, which it does not hold")
            continue
        if row.field in erased:
            yield Fault(where, f"its value of {row.field} was erased, and stands again")
        try:
            plain = seal.unseal_with(ciphers.of(row.subject_id), f"{row.event_id}/{row.field}", bytes(row.sealed))
            value = json.loads(plain[SALT_BYTES:])
            found = formats.commit(plain[:SALT_BYTES], row.field, value)
        except seal.SealBroken:
            yield Fault(where, f"its value of {row.field} does not open")
        except ValueError:
            yield Fault(where, f"its value of {row.field} is not one")
        else:
            if not hmac.compare_digest(found, commitment):
                yield Fault(where, f"its value of {row.field} is not the one that was recorded")
            values[row.field] = value
    told = {row.field for row in rows}
    for field in sorted(parsed.commitments.keys() - told - erased):
        yield Fault(where, f"its value of {field} is missing")
    return values


def _value_faults(event: Event, subjects: Sequence[EventSubject], values: dict[str, Any]) -> Iterator[str]:
    """The columns that pages filter by, against the recorded values; a value that did not open was told already."""
    if "agent" in values and values["agent"]["id"] != str(event.agent_id):
        yield "its event row was changed: agent"
    stated = values.get("compartment")
    if stated != (str(event.compartment_id) if event.compartment_id else None) and "agent" in values:
        yield "its event row was changed: compartment"
    if "subjects" in values:
        recorded = sorted((subject["kind"], subject["id"]) for subject in values["subjects"])
        if sorted((row.kind, str(row.subject_id)) for row in subjects) != recorded:
            yield "the rows that say what it is about were changed"
    if any(row.at != event.at for row in subjects):
        yield "the rows that say what it is about were changed: time"

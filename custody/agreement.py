"""Whether what the database says of events is what their entries commit to: rows, subjects and sealed values."""

import dataclasses
import hmac
import json
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from custody import seal, statements
from custody.alarm import Kind
from custody.engine import SALT_BYTES, timestamp
from custody.entry_form import read_entry
from custody.erased import explained
from custody.vocabulary import Type
from ledger import entry as formats

#: What every recorded event commits to (custody.engine.record): an entry without it was put in by somebody else.
ALWAYS = frozenset({"agent", "subjects"})
#: The values that rows of the database repeat in the clear.
COLUMNS = frozenset({"agent", "subjects", "compartment"})


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


class Stored(NamedTuple):
    """One row of custody_entry. Ids are text here: a batch has thousands, and each names a value's key and label."""

    place: int
    event_id: str
    entry: bytes
    leaf_hash: bytes


class _Event(NamedTuple):
    type: str
    outcome: str
    at: datetime
    agent_id: str
    compartment_id: str | None
    entry: bytes


class _Value(NamedTuple):
    """One row of custody_disclosure."""

    field: str
    subject_id: str
    sealed: bytes


_About = tuple[str, str, datetime]  # kind, id and time of one row of custody_eventsubject
_EVENTS = """
    SELECT id::text, type, outcome, at, agent_id::text, compartment_id::text, entry
    FROM custody_event WHERE id = ANY(%s::uuid[])
"""
_SUBJECTS = """
    SELECT event_id::text, kind, subject_id::text, at FROM custody_eventsubject WHERE event_id = ANY(%s::uuid[])
"""
_VALUES = """
    SELECT event_id::text, field, subject_id::text, sealed
    FROM custody_disclosure WHERE event_id = ANY(%s::uuid[]) ORDER BY id
"""


def entry_faults(rows: Sequence[Stored]) -> Iterator[Fault]:
    """Everything wrong with these entries and with the events, subjects and disclosures behind them.

    A value may be missing where an erasure in the ledger names it, and must be missing there.
    Reads five queries for the batch, and holds no more than the batch in memory.
    """
    ids = [row.event_id for row in rows]
    events = {told[0]: _Event(*told[1:]) for told in statements.execute(_EVENTS, [ids]).fetchall()}
    subjects: defaultdict[str, list[_About]] = defaultdict(list)
    for event_id, kind, subject_id, at in statements.execute(_SUBJECTS, [ids]).fetchall():
        subjects[event_id].append((kind, subject_id, at))
    values: defaultdict[str, list[_Value]] = defaultdict(list)
    for told in statements.execute(_VALUES, [ids]).fetchall():
        values[told[0]].append(_Value(*told[1:]))
    ciphers = seal.existing_aeads({value.subject_id for of_event in values.values() for value in of_event})
    erased = _erased(ids, subjects)
    for row in rows:
        where, data = f"entry {row.place}", row.entry
        try:
            parsed = read_entry(data)
        except formats.EntryError as problem:
            yield TreeFault(where, f"is not an entry: {problem}")
            continue
        if (leaf := formats.leaf_hash(data)) != row.leaf_hash:
            stated, what = row.leaf_hash.hex(), "does not have the hash it was sequenced with"
            yield TreeFault(where, what, Kind.DAMAGED, stated, leaf.hex())
        if parsed.origin != settings.SANAD_ORIGIN:
            yield Fault(where, "is of another ledger")
        event = events.get(row.event_id)
        if event is None or parsed.event_id != row.event_id.replace("-", ""):
            yield Fault(where, "is not the entry of its event")
            continue
        for what in _event_faults(event, data, parsed):
            yield Fault(where, what)
        for field in ALWAYS - parsed.commitments.keys():
            yield Fault(where, f"does not commit to its {field}: it is not one that this archive recorded")
        named = erased.get(row.event_id, frozenset())
        opened = yield from _opened(where, row.event_id, parsed, values[row.event_id], ciphers, named)
        for what in _value_faults(event, subjects[row.event_id], opened):
            yield Fault(where, what)


def _erased(ids: Sequence[str], subjects: Mapping[str, Sequence[_About]]) -> dict[str, frozenset[str]]:
    """What erasures in the ledger say they destroyed of these events."""
    if statements.fetch_one("SELECT FROM custody_event WHERE type = %s LIMIT 1", [Type.ERASE.value]) is None:
        return {}
    about = {UUID(one): [UUID(subject) for _, subject, _ in subjects.get(one, ())] for one in ids}
    return {str(event_id): fields for event_id, fields in explained(about).items()}


def _event_faults(event: _Event, data: bytes, parsed: formats.Entry) -> Iterator[str]:
    if event.entry != data:
        yield "is not the one its event was recorded with"
    if event.type != parsed.type:
        yield "its event row was changed: type"
    if event.outcome != parsed.outcome:
        yield "its event row was changed: outcome"
    if timestamp(event.at) != parsed.ts:
        yield "its event row was changed: time"


def _opened(
    where: str,
    event_id: str,
    parsed: formats.Entry,
    rows: Sequence[_Value],
    ciphers: Mapping[str, AESGCM],
    erased: frozenset[str],
) -> Generator[Fault, None, dict[str, Any]]:
    """Yields what does not open, and returns {field: value} of what does and has a column beside it."""
    values: dict[str, Any] = {}
    for row in rows:
        commitment = parsed.commitments.get(row.field)
        if commitment is None:
            yield Fault(where, f"a value of {row.field} stands beside it, which it does not hold")
            continue
        if row.field in erased:
            yield Fault(where, f"its value of {row.field} was erased, and stands again")
        try:
            plain = seal.unseal_with(ciphers[row.subject_id], f"{event_id}/{row.field}", row.sealed)
            held = _holds(commitment, row.field, plain)
            if row.field in COLUMNS or not held:
                values[row.field] = json.loads(plain[SALT_BYTES:].decode())
        except (seal.SealBroken, KeyError):
            yield Fault(where, f"its value of {row.field} does not open")
        except ValueError:
            yield Fault(where, f"its value of {row.field} is not one")
        else:
            if not held:
                yield Fault(where, f"its value of {row.field} is not the one that was recorded")
    told = {row.field for row in rows}
    for field in sorted(parsed.commitments.keys() - told - erased):
        yield Fault(where, f"its value of {field} is missing")
    return values


def _holds(commitment: bytes, field: str, plain: bytes) -> bool:
    """Whether salt and value are those that were committed to.

    A value is sealed in its canonical form, over which the commitment is made as it stands. Other bytes of the same
    value are the same value: then it is written anew. Raises ValueError for what is no value.
    """
    salt, value = plain[:SALT_BYTES], plain[SALT_BYTES:]
    message = b"archive/commit/v1\0%b\0%b" % (field.encode(), value)
    if len(salt) == SALT_BYTES and hmac.compare_digest(hmac.new(salt, message, sha256).digest(), commitment):
        return True
    return hmac.compare_digest(formats.commit(salt, field, json.loads(value)), commitment)


def _value_faults(event: _Event, subjects: Sequence[_About], values: dict[str, Any]) -> Iterator[str]:
    """The columns that pages filter by, against the recorded values; a value that did not open was told already."""
    if "agent" in values and values["agent"]["id"] != event.agent_id:
        yield "its event row was changed: agent"
    stated = values.get("compartment")
    if stated != event.compartment_id and "agent" in values:
        yield "its event row was changed: compartment"
    if "subjects" in values:
        recorded = sorted((subject["kind"], subject["id"]) for subject in values["subjects"])
        if sorted((kind, subject_id) for kind, subject_id, _ in subjects) != recorded:
            yield "the rows that say what it is about were changed"
    if any(at != event.at for _, _, at in subjects):
        yield "the rows that say what it is about were changed: time"

"""Telling an explained absence from a loss: a value may be missing only where an erasure in the ledger says so.

An erasure counts when its event stands in the ledger (or waits for its place), its row says what its entry says, and
its list of what was destroyed opens its commitment. A row of that type without an entry explains nothing, and neither
does a list that somebody wrote who has the database and not the keys.
"""

import hmac
import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from custody import seal
from custody.engine import SALT_BYTES
from custody.models import Disclosure, Entry, Event, EventSubject, Pending
from custody.vocabulary import Outcome, Type
from ledger.entry import EntryError, commit, parse_entry

FIELD = "erased"
Explained = dict[UUID, frozenset[str]]


def explained(subjects_of: Mapping[UUID, Collection[UUID]]) -> Explained:
    """What erasures say they destroyed of these events: {event: fields}. Three queries, and two for each erasure.

    `subjects_of` gives what each event is about: an erasure shares a subject with every event it erased from.
    """
    about = {subject for subjects in subjects_of.values() for subject in subjects}
    erasures = Event.objects.filter(type=Type.ERASE)
    sharing = EventSubject.objects.filter(event_id__in=erasures.values("id"), subject_id__in=about)
    found: dict[UUID, set[str]] = {}
    for event in erasures.filter(id__in=sharing.values("event_id")):
        for event_id, fields in destroyed_by(event).items():
            if event_id in subjects_of and event_id != event.id:
                found.setdefault(event_id, set()).update(fields)
    return {event_id: frozenset(fields) for event_id, fields in found.items()}


def destroyed_by(event: Event) -> Explained:
    """What one erasure event names as destroyed; nothing when it does not stand up to its entry."""
    value = statement(event)
    if value is None:
        return {}
    return {UUID(hex=event_id): frozenset(fields) for event_id, fields in value["values"].items()}


def statement(event: Event) -> dict[str, Any] | None:
    """The `erased` value of an erasure (custody.erasing.in_parts), None when it does not stand up to its entry."""
    data = bytes(event.entry)
    row = Entry.objects.filter(event_id=event.id).first()
    if row is None and not Pending.objects.filter(event_id=event.id).exists():
        return None
    try:
        parsed = parse_entry(data)
        disclosure = Disclosure.objects.get(event_id=event.id, field=FIELD)
        plain = seal.unseal(disclosure.subject_id, f"{event.id}/{FIELD}", bytes(disclosure.sealed))
        value: dict[str, Any] = json.loads(plain[SALT_BYTES:])
        made = commit(plain[:SALT_BYTES], FIELD, value)
    except (EntryError, Disclosure.DoesNotExist, seal.SealBroken, ValueError):
        return None
    said = (parsed.event_id, parsed.type, parsed.outcome)
    if (row is not None and bytes(row.entry) != data) or said != (
        event.id.hex,
        Type.ERASE.value,
        Outcome.SUCCESS.value,
    ):
        return None
    return value if hmac.compare_digest(made, parsed.commitments.get(FIELD, b"")) else None

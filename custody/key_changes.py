"""Changes of the ledger's keys: rotation, compromise, and a memory that was lost. Each is an entry of the ledger.

Rotation (docs/spec/ledger.md, section 10), each step safe to repeat after a kill:
1. `make`: the signer has a new key, which signs nothing yet.
2. `announce`: the entry sanad/key-add, placed and covered by a head of the old key: the handover.
3. `begin`: from now on both sign.
4. `stop`, then `retire`: the old key signs no more, and the entry sanad/key-retire says so. Its file is destroyed.

`make`, `begin` and `stop` need the signer's folder, the others the right to record. Where the two are on different
machines, each is done where it can be.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings

from custody import ledger_keys, signer_state
from custody.engine import Agent, Subject, acting, opened, record, timestamp
from custody.ledger_keys import LedgerKey
from custody.models import Checkpoint, Entry, Event
from custody.signer_state import State
from custody.vocabulary import Outcome, Type
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.merkle import MAX_SIZE
from ledger.note import NoteError, decode_vkey

UNBORN = MAX_SIZE  # the first size of a key that signs nothing yet
MOST_NAMED = 200  # events named in an entry; all are counted, and their ids hashed
LEFT = (Type.PACKAGE, Type.EXPORT)


class KeyRefused(Exception):
    """The change cannot be made now. The message says why; nothing was changed."""


def ledger_subject() -> Subject:
    """What the events of the ledger's own keys are about."""
    return Subject("ledger", uuid5(NAMESPACE_URL, f"sanad:{settings.SANAD_ORIGIN}"))


def make() -> LedgerKey:
    """A new key that signs nothing yet; the one that is there already where a rotation is under way."""
    with signer_state.held():
        state = _state()
        waiting = [key for key in state.keys if key.start == UNBORN]
        if waiting:
            return waiting[0]
        if len([key for key in state.keys if key.signs]) != 1:
            raise KeyRefused("two keys sign now: retire the old one first")
        key = LedgerKey(signer_state.make_key().vkey, start=UNBORN)
        signer_state.write(state, replace(state, keys=(*state.keys, key)))
        return key


def announce(vkey: str, *, by: Agent, at: datetime) -> UUID:
    """Record that a key is added, once: the id of the event. Raises KeyRefused for a key of another ledger."""
    _of_this_ledger(vkey)
    known = _event_of(Type.ADD_KEY, vkey)
    if known is not None:
        return known
    with acting():
        return record(Type.ADD_KEY, by=by, at=at, subjects=[ledger_subject()], fields={"key": {"vkey": vkey}})


def handed_over(event_id: UUID) -> bool:
    """Whether a published head covers the entry of an announcement: `begin` may follow."""
    row, head = Entry.objects.filter(event_id=event_id).first(), ledger_keys.published_head()
    return row is not None and head is not None and row.index < head.size


def begin(vkey: str, event_id: UUID) -> LedgerKey:
    """Let the new key sign beside the old one, which has signed a head that covers the announcement."""
    with signer_state.held():
        state = _state()
        key = _named(state, decode_vkey(vkey).key_id.hex())
        if key.start != UNBORN:
            return key
        row = Entry.objects.filter(event_id=event_id).first()
        if row is None or row.index >= state.size:
            raise KeyRefused("no signed head covers the announcement of this key yet: is the signer at work?")
        begun = replace(key, start=row.index + 1, event=event_id.hex)
        signer_state.write(state, replace(state, keys=_changed(state, key, begun)))
        return begun


def stop(key_id: str) -> LedgerKey:
    """Let an old key sign no more, once its successor has signed. Raises KeyRefused."""
    with signer_state.held():
        state = _state()
        key = _named(state, key_id)
        if not key.signs:
            return key
        others = [other for other in state.signing(state.size) if other != key]
        if not others or not all(_signed(state.note, other) for other in others):
            raise KeyRefused("no other key has signed a head yet: add one first, and wait until it has")
        stopped = replace(key, end=state.size)
        signer_state.write(state, replace(state, keys=_changed(state, key, stopped)))
        return stopped


def retire(vkey: str, end: int, *, by: Agent, at: datetime) -> UUID:
    """Record that a key which has stopped signs no head over more than `end` entries; once. Returns the event's id."""
    known = _event_of(Type.RETIRE_KEY, vkey)
    if known is not None:
        return known
    with acting():
        return record(
            Type.RETIRE_KEY,
            by=by,
            at=at,
            subjects=[ledger_subject()],
            fields={"key": {"vkey": vkey}, "to": {"last_size": end}},
        )


def destroy(key_id: str) -> None:
    """Take the private half of a retired key away. Raises KeyRefused while it signs."""
    with signer_state.held():
        key = _named(_state(), key_id)
        if key.signs:
            raise KeyRefused("this key still signs")
        signer_state.destroy_key(key)


@dataclass(frozen=True)
class Compromise:
    """What was done about a key that others may have. `left` are the events by which bundles left under it."""

    event_id: UUID
    lost: LedgerKey
    fresh: LedgerKey
    left: Sequence[UUID]


def compromised(key_id: str, *, since: datetime, last_good: Checkpoint, by: Agent, at: datetime) -> Compromise:
    """Stop a key at once, begin a new one, and record since when the old one is not to be believed.

    `last_good` is the last head that is known to be the archive's own, for example because others hold it. No key hands
    over to the new one: a thief could do that as well. Readers are told of it as of the first. Raises KeyRefused.
    """
    with signer_state.held():
        state = _state()
        key = _named(state, key_id)
        if last_good.size > state.size or not _signed(last_good.note, key):
            raise KeyRefused("the last good head is not one that this key has signed")
        fresh = next((other for other in reversed(state.keys) if other.signs and not other.event), key)
        if not key.compromised:
            fresh = LedgerKey(signer_state.make_key().vkey, start=state.size)
            gone = tuple(_ended(other, state.size, last_good.size, key) for other in state.keys)
            key = next(other for other in gone if other.vkey == key.vkey)
            signer_state.write(state, replace(state, keys=(*gone, fresh)))
    signer_state.destroy_key(key)
    left = list(
        Event.objects.filter(type__in=LEFT, outcome=Outcome.SUCCESS, at__gte=min(since, last_good.signed_at))
        .order_by("at", "pk")
        .values_list("pk", flat=True)
    )
    ids = [event_id.hex for event_id in left]
    known = _event_of(Type.COMPROMISE_KEY, key.vkey)
    if known is not None:
        return Compromise(known, key, fresh, left)
    with acting():
        event_id = record(
            Type.COMPROMISE_KEY,
            by=by,
            at=at,
            subjects=[ledger_subject()],
            fields={
                "key": {"vkey": key.vkey},
                "to": {"vkey": fresh.vkey, "start": fresh.start},
                "since": timestamp(since),
                "last_good": {"size": last_good.size, "root": bytes(last_good.root).hex()},
                "left": {
                    "count": len(ids),
                    "sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
                    "events": ids[:MOST_NAMED],
                },
            },
        )
    return Compromise(event_id, key, fresh, left)


def _ended(key: LedgerKey, size: int, good: int, stolen: LedgerKey) -> LedgerKey:
    """With a stolen key every other one of its time ends too: they lay in one folder."""
    if not key.signs:
        return key
    trusted = good if key.vkey == stolen.vkey else None
    if key.start == UNBORN:
        return replace(key, end=size)
    return replace(key, end=size, trusted=trusted)


def _state() -> State:
    state = signer_state.read()
    if state is None:
        raise KeyRefused("the signer has no memory here: do this where it runs, after its first start")
    return state


def _named(state: State, key_id: str) -> LedgerKey:
    found = [key for key in state.keys if key.key_id == key_id]
    if not found:
        known = ", ".join(key.key_id for key in state.keys)
        raise KeyRefused(f"this ledger has no key {key_id}; it has {known}")
    return found[0]


def _changed(state: State, old: LedgerKey, new: LedgerKey) -> tuple[LedgerKey, ...]:
    return tuple(new if key == old else key for key in state.keys)


def _signed(note: str, key: LedgerKey) -> bool:
    try:
        open_checkpoint(note, [key.verifier])
    except (NoteError, CheckpointError):
        return False
    return True


def _of_this_ledger(vkey: str) -> None:
    try:
        if decode_vkey(vkey).name != settings.SANAD_ORIGIN:
            raise KeyRefused("the key is of another ledger")
    except NoteError as problem:
        raise KeyRefused(f"not a key: {problem}") from None


def _event_of(type: Type, vkey: str) -> UUID | None:
    events = list(Event.objects.filter(type=type, outcome=Outcome.SUCCESS).values_list("pk", flat=True))
    for event_id, fields in opened(events).items():
        if "key" in fields and fields["key"][1] == {"vkey": vkey}:
            return event_id
    return None

"""Changing the key-encryption key: a new one is made, everything is wrapped anew, the old one is destroyed much later.

1. `begin` makes the key (in a file, or in a token), lists it as the next one, records that, and makes it current; from
   then on whatever is new is wrapped under it. Done again after a kill it goes on with the key that was made.
2. `custody.rewrapping.rewrap` wraps what is there anew. The old key stays in the list and opens what it wrapped.
3. `finish` records that nothing needs an older key any more.
4. `destroy` takes an old key away when no row needs it and nothing wrapped with it for an hour. It is never done by
   itself: a backup of the database from before the rotation opens with the old key alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from custody import keys, rewrapping, wrapping
from custody.engine import Agent, Subject, acting, record
from custody.keys import KEK, Listed, Ring
from custody.models import Event, EventSubject
from custody.token_keys import Token, destroy_token_key, make_token_key
from custody.vocabulary import Type

KEPT_FOR = timedelta(hours=1)  # an act that wrapped under the old key has ended, or its transaction has
BEGUN, FINISHED, DESTROYED = "begun", "finished", "destroyed"
KIND = "wrapping_key"


class RotationRefused(Exception):
    """This step cannot be made now; nothing was changed."""


def begin(*, by: Agent, at: datetime, token: Token | None = None) -> Listed:
    """Make a new key-encryption key and let it wrap from now on; with `token` it is made there and never leaves it.

    Raises KeyProblem when the key cannot be made or does not open what it wrapped.
    """
    keys.provider()  # which refuses a folder that is not the one
    folder = keys.key_folder()
    with _alone(folder):
        ring = keys.read_ring(folder)
        if ring.next is None:
            made = _make(folder, token)
            ring = replace(ring, keys=(*ring.keys, made), next=made.id)
            keys.write_ring(folder, ring)
        coming = next(listed for listed in ring.keys if listed.id == ring.next)
        _must_work(folder, coming)
        with acting():
            if not _recorded(coming.id, BEGUN):
                where = "token" if coming.token else "file"
                _record(coming.id, BEGUN, by=by, at=at, more={"where": where, "from": ring.current})
        old = [
            replace(listed, replaced_at=at.timestamp()) if listed.id == ring.current else listed for listed in ring.keys
        ]
        keys.write_ring(folder, Ring(coming.id, tuple(old)))
        return coming


def finish(*, by: Agent, at: datetime) -> str:
    """Record, once for each key, that every data key is wrapped under the current one. Its id, in hex.

    Raises RotationRefused while rows are left.
    """
    with acting():
        current = keys.provider().current.hex()
        if left := rewrapping.left():
            raise RotationRefused(f"{left} keys are not wrapped under the key {current} yet; run this again")
        ring = keys.read_ring(keys.key_folder())
        if len(ring.keys) > 1 and not _recorded(current, FINISHED):
            _record(current, FINISHED, by=by, at=at, more={"rows": sum(rewrapping.users().values())})
        return current


def destroy(*, by: Agent, at: datetime, key_id: str) -> None:
    """Destroy an old key for good: its file or the key in its token. Raises RotationRefused, KeyProblem.

    What only an old backup of the database still has under it can never be opened again.
    """
    keys.provider()
    folder = keys.key_folder()
    with _alone(folder):
        ring = keys.read_ring(folder)
        listed = next((one for one in ring.keys if one.id == key_id), None)
        if listed is None:
            raise RotationRefused(f"the archive has no key {key_id}")
        if listed.doomed:
            _take_away(folder, ring, listed)
            return
        if key_id in (ring.current, ring.next) or listed.replaced_at is None:
            raise RotationRefused(f"the key {key_id} is in force; make another one first")
        if at.timestamp() - listed.replaced_at < KEPT_FOR.total_seconds():
            raise RotationRefused(f"the key {key_id} was in force less than {KEPT_FOR} ago; an act may still hold it")
        with acting():
            rewrapping.hold_still()
            used = rewrapping.users()
            needing = used.get(bytes.fromhex(key_id), 0) + (used.get(None, 0) if not listed.token else 0)
            if needing:
                raise RotationRefused(f"{needing} rows need the key {key_id}; wrap them anew first")
            _record(key_id, DESTROYED, by=by, at=at, more={})
        # From here on nobody loads it; it stays listed until it is gone, so that a step that fails can be done again.
        doomed = replace(listed, doomed=True)
        ring = replace(ring, keys=tuple(doomed if one == listed else one for one in ring.keys))
        keys.write_ring(folder, ring)
        _take_away(folder, ring, doomed)


def _take_away(folder: Path, ring: Ring, listed: Listed) -> None:
    if listed.token:
        destroy_token_key(keys.token_of(listed), bytes.fromhex(listed.id))
    else:
        keys.shred(folder / listed.file)
    keys.write_ring(folder, replace(ring, keys=tuple(one for one in ring.keys if one.id != listed.id)))


def _make(folder: Path, token: Token | None) -> Listed:
    if token is not None:
        return Listed(make_token_key(token).hex(), module=str(token.module), token=token.label)
    name = f"{KEK}-{token_bytes(4).hex()}"
    secret = keys.read_or_make_secret(folder / name)
    return Listed(wrapping.key_id(secret).hex(), file=name)


def _must_work(folder: Path, listed: Listed) -> None:
    """A key that cannot open what it wrapped is found before anything is wrapped with it."""
    key = keys.load(folder, listed)
    data, context = token_bytes(wrapping.KEY_BYTES), wrapping.associated_data(key.id, "probe/")
    if key.open(key.seal(data, context), context) != data:
        raise keys.KeyProblem(f"the key {listed.id} does not give back what it was given")


def _record(key_id: str, step: str, *, by: Agent, at: datetime, more: dict[str, Any]) -> None:
    record(
        Type.WRAPPING_KEY,
        by=by,
        at=at,
        subjects=[Subject(KIND, _subject(key_id))],
        fields={"to": {"key": key_id, "step": step, **more}},
    )


def _recorded(key_id: str, step: str) -> bool:
    """The first event about a key is that it began, the second that everything is under it."""
    about = EventSubject.objects.filter(kind=KIND, subject_id=_subject(key_id)).values("event_id")
    return Event.objects.filter(type=Type.WRAPPING_KEY, id__in=about).count() > (BEGUN, FINISHED).index(step)


def _subject(key_id: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"sanad:wrapping-key:{key_id}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two rotations at once the second is refused."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "key-encryption.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RotationRefused("another rotation is under way") from None
        yield
    finally:
        os.close(descriptor)


__all__ = ["RotationRefused", "begin", "destroy", "finish"]

"""The signer: signs a head only after deriving it anew from the stored entries and checking it grows the last one.

1. Its memory (custody.signer_state) lies outside the database and is never restored from a backup. A database that
   went backwards, or that tells of heads this signer never signed, is refused, and stays refused.
2. It hashes with code of its own (Peaks): a fault in the sequencer's tree code does not get signed.
3. The memory is durable before the signature can be seen: a kill in between costs one unseen checkpoint, which is
   published as it is; the other order could let two heads of one size out.
4. Of two signers started by mistake one waits for the other's lock. Where there is no common lock, on two machines,
   the database takes each number of a checkpoint once: the second signer refuses.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from custody import ledger_keys, signer_state
from custody.alarm import Kind
from custody.leaves import Leaves, Peaks
from custody.ledger_keys import Head, LedgerKey, vkey
from custody.locating import new_tile_fault
from custody.models import Checkpoint, Entry
from custody.sequencer import entries, read_tile, tree_size
from custody.signer_state import MemoryLost, SignerRefused, State
from ledger.checkpoint import CheckpointError, format_checkpoint, open_checkpoint
from ledger.entry import EntryError, parse_entry
from ledger.grow import root_from_tiles
from ledger.merkle import ProofError
from ledger.note import NoteError
from ledger.sign import sign_note

HEARTBEAT = timedelta(seconds=settings.SANAD_HEARTBEAT)
CLOCK_TOLERANCE = timedelta(seconds=120)

log = logging.getLogger("custody.signer")

__all__ = [
    "HEARTBEAT",
    "Memory",
    "MemoryLost",
    "Peaks",
    "SignerRefused",
    "follows",
    "link",
    "memory",
    "sign_head",
    "vkey",
]


@dataclass(frozen=True)
class Memory:
    """What the signer remembers of the last head it signed: `chain` and `count` cover every checkpoint ever signed."""

    size: int
    root: bytes
    chain: bytes
    count: int


def link(previous: bytes, note: str, signed_at: datetime, *, heartbeat: bool) -> bytes:
    """The next value of the chain over checkpoints: SHA-256(previous || SHA-256(note) || time || mark).

    It starts with b"". The mark, + or -, says whether the head is a heartbeat.
    """
    return hashlib.sha256(_unmarked(previous, note, signed_at) + (b"+" if heartbeat else b"-")).digest()


def follows(previous: bytes, row: Checkpoint) -> bool:
    """Whether a checkpoint's row is the next one after those that lead to `previous`.

    Heads signed before marks were bound have none. Nobody can take one for the other: the value in the row is bound by
    the heads after it and, in the end, by the signer's memory.
    """
    unmarked = hashlib.sha256(_unmarked(previous, row.note, row.signed_at)).digest()
    marked = link(previous, row.note, row.signed_at, heartbeat=row.heartbeat)
    return bytes(row.chain) in (marked, unmarked)


def _unmarked(previous: bytes, note: str, signed_at: datetime) -> bytes:
    stamp = signed_at.astimezone(UTC).isoformat(timespec="microseconds").encode()
    return previous + hashlib.sha256(note.encode()).digest() + stamp


def memory() -> Memory | None:
    """What the signer remembers, None before its first signature; for the signer itself. Raises SignerRefused."""
    state = signer_state.read()
    if state is None or not state.count:
        return None
    return Memory(state.size, Peaks(state.size, state.peaks).root(), state.chain, state.count)


def leaves() -> Leaves:
    """The signer's own list of entry hashes."""
    return Leaves(signer_state.folder() / "leaves")


def sign_head(*, force: bool = False) -> Checkpoint | None:
    """Sign the present head if it grew, or if its time has come: at every multiple of HEARTBEAT since 1970, UTC.

    The latter carry `heartbeat`: only they are shown to outsiders of the archive's own
    accord, so that nobody reads from them when who was busy.
    With `force` a head is signed in any case. Returns the new checkpoint, None when there was nothing to sign.
    Raises SignerRefused; then nothing is signed.
    """
    with signer_state.held():
        state = signer_state.read() or _begin()
        reason = signer_state.distrusted()
        if reason is not None:
            raise reason
        size = grown_size(state.size)
        unpublished = _unpublished(state)
        if unpublished:
            log.warning("publishing the signed head of size %s, which was not stored", state.size)
            return _publish(state)
        now = _time(state)
        due = state.heartbeat_at is None or _beat(now) > _beat(state.heartbeat_at)
        if size == state.size and state.count and not due and not force:
            _tell(state)
            return None
        return _publish(_signed(state, size, now, heartbeat=due))


def grown_size(signed: int) -> int:
    """How many entries are stored. Raises SignerRefused when that is fewer than were signed."""
    size = tree_size()
    if size < signed:
        raise SignerRefused(
            f"the ledger went backwards: {signed} entries were signed, {size} are stored",
            kind=Kind.WENT_BACKWARDS,
            where=f"entries {size} to {signed - 1}",
            expected=str(signed),
            found=str(size),
        )
    return size


def now() -> datetime:
    """The clock of this machine, UTC."""
    return datetime.now(UTC)


def accept_clock() -> None:
    """Whoever runs the signer says that the clock is right: the next signature takes its time, whatever it is."""
    with signer_state.held():
        state = signer_state.read()
        if state is None:
            raise MemoryLost("the signer has no memory yet, and no clock to accept")
        signer_state.write(state, replace(state, boot="accepted"))


def _begin() -> State:
    """The first memory, if nothing was ever signed. Raises MemoryLost otherwise."""
    if Checkpoint.objects.exists() or ledger_keys.ledger_keys():
        raise MemoryLost("the signer has lost its memory state.json, and heads were signed before")
    return signer_state.begin()


def _unpublished(state: State) -> bool:
    """Whether the last signed head has not reached its row. Raises SignerRefused when the rows are not its own."""
    row = Checkpoint.objects.order_by("-number").first()
    number = row.number if row else 0
    if number == state.count:
        if row is None or bytes(row.chain) == state.chain:
            return False
        raise _foreign(row, state)
    if row is not None and number > state.count:
        raise _foreign(row, state)
    if number < state.count - 1:
        raise SignerRefused(
            f"checkpoints are missing: {state.count} were signed, {number} are stored",
            kind=Kind.MISSING,
            where=f"checkpoints {number + 1} to {state.count}",
            expected=str(state.count),
            found=str(number),
        )
    return True


def _foreign(row: Checkpoint, state: State) -> SignerRefused:
    """A stored head that this memory does not know: of a second signer, of an old memory, or of a forger."""
    where, known = f"checkpoint {row.number}", [key.verifier for key in state.keys]
    try:
        open_checkpoint(row.note, known)
    except (NoteError, CheckpointError):
        return SignerRefused(
            f"{where} was not signed with a key of this ledger",
            kind=Kind.REWRITTEN,
            where=where,
            expected=state.chain.hex(),
            found=bytes(row.chain).hex(),
        )
    if row.number == state.count:
        return SignerRefused(
            f"{where} was signed with this ledger's key, and not by this signer: another one is at work",
            kind=Kind.RIVAL,
            where=where,
            expected=state.chain.hex(),
            found=bytes(row.chain).hex(),
        )
    return SignerRefused(
        f"the signer's memory is older than the ledger: it knows {state.count} checkpoints, {row.number} are stored; "
        "it was restored from a backup, or another signer is at work",
        kind=Kind.MEMORY_LOST,
        where="signer",
        expected=str(row.number),
        found=str(state.count),
    )


def _time(state: State) -> datetime:
    """The time of a signature, later than the one before. Raises SignerRefused when the clock was set."""
    at = now()
    if state.signed_at is None or state.boot == "accepted":
        return at
    boot, uptime = signer_state.boot()
    expected = state.signed_at
    if boot and boot == state.boot:
        expected += timedelta(seconds=uptime - state.uptime)
        if abs(at - expected) > CLOCK_TOLERANCE:
            raise _clock("was set", expected, at)
    elif at < expected - CLOCK_TOLERANCE:
        raise _clock("went back", expected, at)
    return max(at, state.signed_at + timedelta(microseconds=1))


def _clock(what: str, expected: datetime, found: datetime) -> SignerRefused:
    return SignerRefused(
        f"the clock of the signer {what}: {found - expected} away from where it should be"
        if found > expected
        else f"the clock of the signer {what}: {expected - found} behind where it should be",
        kind=Kind.CLOCK,
        where="clock",
        expected=expected.isoformat(timespec="seconds"),
        found=found.isoformat(timespec="seconds"),
    )


def _signed(state: State, size: int, at: datetime, *, heartbeat: bool) -> State:
    """The memory after one more signature; on the disk when this returns."""
    grown, fresh = _grown(Peaks(state.size, state.peaks), size)
    signing = state.signing(size)
    if not signing:
        raise MemoryLost(f"no key of this ledger may sign a head of {size} entries")
    text = format_checkpoint(settings.SANAD_ORIGIN, grown.size, grown.root())
    note = sign_note(text, *(signer_state.private_key(key) for key in signing))
    leaves().put(state.size, fresh)
    boot, uptime = signer_state.boot()
    signed = replace(
        state,
        count=state.count + 1,
        size=grown.size,
        peaks=tuple(grown.peaks),
        note=note,
        chain=link(state.chain, note, at, heartbeat=heartbeat),
        signed_at=at,
        heartbeat_at=at if heartbeat else state.heartbeat_at,
        heartbeat=heartbeat,
        boot=boot,
        uptime=uptime,
    )
    return signer_state.write(state, signed)


def _grown(tree: Peaks, size: int) -> tuple[Peaks, Sequence[bytes]]:
    """The signed tree with the entries up to `size`, each hashed from its stored bytes; and their hashes."""
    start, fresh = tree.size, []
    for entry in entries(start, size):
        if entry.index != tree.size:
            break
        leaf, stated = hashlib.sha256(b"\x00" + bytes(entry.entry)).digest(), bytes(entry.leaf_hash)
        if leaf != stated:
            raise SignerRefused(
                f"entry {entry.index} does not have the hash it was sequenced with",
                kind=Kind.DAMAGED,
                where=f"entry {entry.index}",
                expected=stated.hex(),
                found=leaf.hex(),
            )
        _must_be_ours(entry)
        fresh.append(leaf)
        tree.add(leaf)
    if tree.size != size:
        raise SignerRefused(
            f"entry {tree.size} is missing from the ledger", kind=Kind.MISSING, where=f"entry {tree.size}"
        )
    try:
        right = root_from_tiles(size, read_tile) == tree.root()
    except ProofError:
        right = False
    if not right:
        raise new_tile_fault(leaves(), start, fresh, tree.root())
    return tree, fresh


def _must_be_ours(row: Entry) -> None:
    """Raise SignerRefused unless the bytes are an entry of this ledger, and that of the row's event.

    Once signed it could not be taken out again, and every scrub would tell of it.
    """
    try:
        entry = parse_entry(bytes(row.entry))
        wrong = "" if entry.origin == settings.SANAD_ORIGIN else "is of another ledger"
        wrong = wrong or ("" if entry.event_id == row.event_id.hex else "is not that of its event")
    except EntryError as problem:
        wrong = f"is not an entry: {problem}"
    if wrong:
        raise SignerRefused(f"entry {row.index} {wrong}", kind=Kind.DAMAGED, where=f"entry {row.index}")


def _publish(state: State) -> Checkpoint:
    """Store the head that the memory holds. Raises SignerRefused when another head has its number."""
    assert state.signed_at is not None
    try:
        with transaction.atomic():
            published = Checkpoint.objects.create(
                number=state.count,
                size=state.size,
                root=Peaks(state.size, state.peaks).root(),
                note=state.note,
                signed_at=state.signed_at,
                chain=state.chain,
                heartbeat=state.heartbeat,
            )
    except IntegrityError:
        raise SignerRefused(
            f"checkpoint {state.count} is stored already: another signer is at work",
            kind=Kind.RIVAL,
            where=f"checkpoint {state.count}",
        ) from None
    _tell(state)
    return published


def _tell(state: State) -> None:
    """Let the other processes know the keys and the last published head."""
    if tuple(ledger_keys.ledger_keys()) != _public(state):
        ledger_keys.publish_keys(_public(state))
    told = ledger_keys.published_head()
    if state.signed_at is not None and (told is None or told.count != state.count or told.chain != state.chain):
        root = Peaks(state.size, state.peaks).root()
        ledger_keys.publish_head(Head(state.size, root, state.chain, state.count, state.signed_at))


def _public(state: State) -> tuple[LedgerKey, ...]:
    """The keys a published head bears witness of: one that has signed nothing yet is nobody's business."""
    return tuple(key for key in state.keys if key.start <= state.size)


def _beat(at: datetime) -> int:
    return int(at.timestamp() // HEARTBEAT.total_seconds())

"""The signer: signs a head only after deriving it anew from the stored entries and checking it grows the last one.

1. Its memory is a small state file of its own, outside the database and never restored from a backup: the last signed
   size, the peaks of its tree, its note, and the chain over every note it ever signed. A database that went backwards
   or changed under a signed head is refused, and stays refused.
2. It hashes with code of its own (Peaks): a fault in the sequencer's tree code does not get signed.
3. One signature at a time, by a file lock. The state is durable before the signature can be seen: a kill in between
   costs one unseen checkpoint, which is published as it is; the other order could let two heads of one size out.
"""

import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from custody import keys
from custody.models import Checkpoint
from custody.sequencer import LedgerBroken, entries, read_tile, tree_size
from ledger.checkpoint import format_checkpoint
from ledger.grow import root_from_tiles
from ledger.merkle import ProofError
from ledger.sign import Ed25519Signer, sign_note

HEARTBEAT = timedelta(minutes=5)
_NEEDED = {"size", "peaks", "note", "signed_at", "chain", "count"}

log = logging.getLogger("custody.signer")


class SignerRefused(LedgerBroken):
    """The stored ledger is not a continuation of what was signed before. Nothing was signed."""


class Peaks:
    """The roots of the perfect subtrees that make up the first `size` leaves: all a signer must remember."""

    def __init__(self, size: int = 0, peaks: list[bytes] | None = None) -> None:
        self.size, self.peaks = size, list(peaks or [])

    def add(self, leaf: bytes) -> None:
        self.peaks.append(leaf)
        complete = self.size + 1
        while complete % 2 == 0:
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(hashlib.sha256(b"\x01" + left + right).digest())
            complete //= 2
        self.size += 1

    def root(self) -> bytes:
        """The RFC 9162 tree head of the leaves so far, 32 bytes."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


@dataclass(frozen=True)
class Memory:
    """What the signer remembers of the last head it signed: `chain` and `count` cover every checkpoint ever signed."""

    size: int
    root: bytes
    chain: bytes
    count: int


@cache
def _private_key() -> bytes:
    return keys.read_or_make_secret(Path(settings.SANAD_KEYS) / "ledger-ed25519")


@cache
def vkey() -> str:
    """The public verifier key of this archive's ledger (C2SP signed-note vkey)."""
    return Ed25519Signer(settings.SANAD_ORIGIN, _private_key()).vkey


def link(previous: bytes, note: str, signed_at: datetime) -> bytes:
    """The next value of the chain over checkpoints: SHA-256(previous || SHA-256(note) || time). It starts with b""."""
    stamp = signed_at.astimezone(UTC).isoformat(timespec="microseconds").encode()
    return hashlib.sha256(previous + hashlib.sha256(note.encode()).digest() + stamp).digest()


def memory() -> Memory | None:
    """What the signer remembers, None before its first signature. Raises SignerRefused when its state is damaged."""
    state = _read()
    if not state:
        return None
    peaks = _peaks(state)
    return Memory(peaks.size, peaks.root(), bytes.fromhex(state["chain"]), state["count"])


def sign_head(*, rederive: bool = False) -> Checkpoint | None:
    """Sign the present head if it grew, or if the last signature is older than the heartbeat.

    With `rederive` every stored entry is hashed again from the first; otherwise only those after the last signed head.
    Returns the new checkpoint, None when there was nothing to sign. Raises SignerRefused; then nothing is signed.
    """
    with _state() as state:
        signed = _peaks(state)
        size = tree_size()
        if not state and Checkpoint.objects.exists():
            raise SignerRefused(f"the signer has lost its memory {_path().name}, and heads were signed before")
        if size < signed.size:
            raise SignerRefused(f"the ledger went backwards: {signed.size} entries were signed, {size} are stored")
        if rederive:
            _refuse_unless_unchanged(signed)
        if state and not Checkpoint.objects.filter(size=signed.size, chain=bytes.fromhex(state["chain"])).exists():
            log.warning("publishing the signed head of size %s, which was not stored", signed.size)
            return _publish(state, signed.root())
        now = datetime.now(UTC)
        last = datetime.fromisoformat(state["signed_at"]) if state else None
        if size == signed.size and last is not None and now - last < HEARTBEAT:
            return None
        grown = _grown(signed, size)
        note = sign_note(
            format_checkpoint(settings.SANAD_ORIGIN, grown.size, grown.root()),
            Ed25519Signer(settings.SANAD_ORIGIN, _private_key()),
        )
        state.update(
            chain=link(bytes.fromhex(state.get("chain", "")), note, now).hex(),
            count=state.get("count", 0) + 1,
            size=grown.size,
            peaks=[peak.hex() for peak in grown.peaks],
            note=note,
            signed_at=now.isoformat(timespec="microseconds"),
        )
        keys.write_durably(_path(), json.dumps(state))
        return _publish(state, grown.root())


def _grown(signed: Peaks, size: int) -> Peaks:
    """The signed tree with the entries up to `size`, each hashed from its stored bytes."""
    grown = Peaks(signed.size, signed.peaks)
    for entry in entries(signed.size, size):
        if entry.index != grown.size:
            raise SignerRefused(f"entry {grown.size} is missing from the ledger")
        leaf = hashlib.sha256(b"\x00" + bytes(entry.entry)).digest()
        if leaf != bytes(entry.leaf_hash):
            raise SignerRefused(f"entry {entry.index} does not have the hash it was sequenced with")
        grown.add(leaf)
    if grown.size != size:
        raise SignerRefused(f"entry {grown.size} is missing from the ledger")
    try:
        stored = root_from_tiles(size, read_tile)
    except ProofError as problem:
        raise SignerRefused(f"the tiles do not hold the tree: {problem}") from None
    if stored != grown.root():
        raise SignerRefused(f"the tiles do not lead to the root of the {size} stored entries")
    return grown


def _publish(state: dict[str, Any], root: bytes) -> Checkpoint:
    with transaction.atomic():
        return Checkpoint.objects.create(
            size=state["size"],
            root=root,
            note=state["note"],
            signed_at=datetime.fromisoformat(state["signed_at"]),
            chain=bytes.fromhex(state["chain"]),
        )


def _refuse_unless_unchanged(signed: Peaks) -> None:
    derived = Peaks()
    for entry in entries(0, signed.size):
        if entry.index != derived.size:
            raise SignerRefused(f"entry {derived.size} is missing from the ledger")
        derived.add(hashlib.sha256(b"\x00" + bytes(entry.entry)).digest())
    if derived.root() != signed.root():
        raise SignerRefused(f"the first {signed.size} entries are not those that were signed")


def _peaks(state: dict[str, Any]) -> Peaks:
    return Peaks(state.get("size", 0), [bytes.fromhex(peak) for peak in state.get("peaks", [])])


def _path() -> Path:
    return Path(settings.SANAD_KEYS) / "signer-state.json"


def _read() -> dict[str, Any]:
    """The state, {} before the first signature. A damaged one is never replaced by a guess: raises SignerRefused."""
    path = _path()
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        state = None
    if not isinstance(state, dict) or not state.keys() >= _NEEDED:
        raise SignerRefused(f"the signer's memory {path.name} is damaged")
    return state


@contextmanager
def _state() -> Iterator[dict[str, Any]]:
    """The signer's memory, under a file lock: one signature at a time, whatever the number of processes."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _read()

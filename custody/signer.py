"""The signer: signs a head only after deriving it anew from the stored entries and checking it grows the last one.

Its memory is its own small state file {size, root, note}, outside the database and never restored from a backup:
a database that went backwards or changed under a signed head is refused, and stays refused.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from custody import keys
from custody.models import Checkpoint
from custody.sequencer import entries, tree_size
from ledger.checkpoint import format_checkpoint
from ledger.note import Ed25519Signer, sign_note

HEARTBEAT = timedelta(minutes=5)


class SignerRefused(Exception):
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
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


@cache
def _private_key() -> bytes:
    return keys.read_or_make_secret(Path(settings.SANAD_KEYS) / "ledger-ed25519")


@cache
def vkey() -> str:
    """The public verifier key of this archive's ledger (C2SP signed-note vkey)."""
    return Ed25519Signer(settings.SANAD_ORIGIN, _private_key()).vkey


def sign_head(*, rederive: bool = False) -> Checkpoint | None:
    """Sign the present head if it grew, or if the last signature is older than the heartbeat.

    With `rederive` every stored entry is hashed again from the first; otherwise only those after the last signed head.
    Returns the new checkpoint, None when there was nothing to sign. Raises SignerRefused; then nothing is signed.
    """
    with _state() as state:
        signed = Peaks(state.get("size", 0), [bytes.fromhex(peak) for peak in state.get("peaks", [])])
        size = tree_size()
        if size < signed.size:
            raise SignerRefused(f"the ledger went backwards: {signed.size} entries were signed, {size} are stored")
        if rederive:
            _refuse_unless_unchanged(signed)
        if "note" in state and not Checkpoint.objects.filter(size=signed.size).exists():
            # Signed, then killed before the note was stored: publish that very note, never a second one of its size.
            signed_at = datetime.fromisoformat(state["signed_at"])
            return Checkpoint.objects.create(
                size=signed.size, root=signed.root(), note=state["note"], signed_at=signed_at
            )
        now = datetime.now(UTC)
        last = datetime.fromisoformat(state["signed_at"]) if "signed_at" in state else None
        if size == signed.size and last is not None and now - last < HEARTBEAT:
            return None
        grown = Peaks(signed.size, signed.peaks)
        for entry in entries(signed.size, size):
            if entry.index != grown.size:
                raise SignerRefused(f"entry {grown.size} is missing from the ledger")
            leaf = hashlib.sha256(b"\x00" + bytes(entry.entry)).digest()
            if leaf != bytes(entry.leaf_hash):
                raise SignerRefused(f"entry {entry.index} does not have the hash it was sequenced with")
            grown.add(leaf)
        text = format_checkpoint(settings.SANAD_ORIGIN, grown.size, grown.root())
        note = sign_note(text, Ed25519Signer(settings.SANAD_ORIGIN, _private_key()))
        state.update(
            size=grown.size, peaks=[peak.hex() for peak in grown.peaks], note=note, signed_at=now.isoformat()
        )
        # The state is durable before the signature can be seen: a kill in between costs one unseen checkpoint,
        # the other order could let two different heads of one size leave the house.
        _save(state)
        with transaction.atomic():
            return Checkpoint.objects.create(size=grown.size, root=grown.root(), note=note, signed_at=now)


def _refuse_unless_unchanged(signed: Peaks) -> None:
    derived = Peaks()
    for entry in entries(0, signed.size):
        if entry.index != derived.size:
            raise SignerRefused(f"entry {derived.size} is missing from the ledger")
        derived.add(hashlib.sha256(b"\x00" + bytes(entry.entry)).digest())
    if derived.root() != signed.root():
        raise SignerRefused(f"the first {signed.size} entries are not those that were signed")


def _path() -> Path:
    return Path(settings.SANAD_KEYS) / "signer-state.json"


@contextmanager
def _state() -> Iterator[dict[str, Any]]:
    """The signer's memory, under a file lock: one signature at a time, whatever the number of processes."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield json.loads(path.read_text()) if path.exists() else {}


def _save(state: dict[str, Any]) -> None:
    path = _path()
    temporary = path.with_suffix(".new")
    with open(temporary, "w") as handle:
        json.dump(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

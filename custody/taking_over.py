"""The first start after an archive whose sequencer signed: the signer takes over its key, its memory and its past.

That version kept `ledger-ed25519`, `signer-state.json` and `ledger-alarm.json` in the folder of the archive's keys.
They are moved, never copied: afterwards no other process can read the key. The ledger goes on under its origin and key.

1. Only a signer that never had a memory takes one over, and only from a state that its own key has signed.
2. The new memory is on the disk before the old is removed; a kill in between is made good at the next start.
3. Nothing is signed before a whole scrub has found the stored tree to be what the old memory says.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from custody import keys, ledger_keys, signer_state
from custody.alarm import LedgerBroken
from custody.leaves import Peaks
from custody.ledger_keys import LedgerKey
from custody.signer_state import CACHEDIR_TAG, MemoryLost, State
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.durable import sync_folder
from ledger.note import NoteError
from ledger.sign import Ed25519Signer

KEY, MEMORY, LOCK, ALARM = "ledger-ed25519", "signer-state.json", "signer-state.lock", "ledger-alarm.json"
_GONE = ".ledger-ed25519.moved"


@dataclass(frozen=True)
class TakenOver:
    """The key that goes on signing, after how many heads and entries it has signed."""

    vkey: str
    count: int
    size: int


def take_over() -> TakenOver | None:
    """Give the signer what the version before left for it; None when there is nothing, as in every start but the first.

    Raises MemoryLost when what was left is not whole: then nothing was changed.
    """
    if not _old(KEY).exists():
        _remove(_old(_GONE))
        return None
    with signer_state.held():
        signer = _key()
        state = signer_state.read()
        if state is None:
            if ledger_keys.ledger_keys():
                raise MemoryLost("the signer has lost its memory state.json, and an older one is no replacement")
            state = _begun(_state(signer), signer)
        elif signer.vkey not in {key.vkey for key in state.keys}:
            raise MemoryLost(f"{KEY} is the key of another signer than the one at work; find out who put it there")
        if state.count and not ledger_keys.ledger_keys():
            ledger_keys.publish_keys(state.keys)  # readers need it for the heads that are there
    for name in (MEMORY, LOCK, ALARM):
        _old(name).unlink(missing_ok=True)
    _old(KEY).replace(_old(_GONE))  # what a kill leaves half overwritten is no key
    sync_folder(Path(settings.SANAD_KEYS))
    _remove(_old(_GONE))
    sync_folder(Path(settings.SANAD_KEYS))
    return TakenOver(signer.vkey, state.count, state.size)


def _key() -> Ed25519Signer:
    try:
        return Ed25519Signer(settings.SANAD_ORIGIN, keys.read_secret(_old(KEY)))
    except (OSError, keys.KeyProblem, NoteError) as problem:
        raise MemoryLost(f"the signing key {KEY} cannot be taken over ({type(problem).__name__})") from None


def _state(signer: Ed25519Signer) -> State:
    """The old memory as a new one. Raises MemoryLost unless the key signed the head it tells of."""
    own = (LedgerKey(signer.vkey),)
    try:
        old = json.loads(_old(MEMORY).read_text())
        state = State(
            keys=own,
            count=old["count"],
            size=old["size"],
            peaks=tuple(bytes.fromhex(peak) for peak in old["peaks"]),
            note=old["note"],
            chain=bytes.fromhex(old["chain"]),
            signed_at=datetime.fromisoformat(old["signed_at"]),
        )
        head = open_checkpoint(state.note, [own[0].verifier])
        derived = Peaks(state.size, state.peaks).root()
    except FileNotFoundError:
        return State(keys=own)  # it made its key and signed nothing; if it did, the stored heads will tell
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NoteError, CheckpointError):
        raise MemoryLost(f"the memory {MEMORY} of the version before is damaged") from None
    if (head.size, head.root, head.origin) != (state.size, derived, settings.SANAD_ORIGIN) or state.count < 1:
        raise MemoryLost(f"the memory {MEMORY} of the version before does not say what its head says")
    return state


def _begun(state: State, signer: Ed25519Signer) -> State:
    """Key, reason not to sign yet, and memory, in an order in which a kill leaves none or all."""
    folder = signer_state.folder()
    (folder / "CACHEDIR.TAG").write_text(CACHEDIR_TAG)
    secret = keys.encode_secret(keys.read_secret(_old(KEY)))
    keys.write_durably(folder / f"new-{signer.key_id.hex()}", secret)
    if state.count:
        standing = _old(ALARM).exists()
        why = "the version before had raised its alarm" if standing else "it was taken over from the version before"
        signer_state.distrust(LedgerBroken(f"the ledger was not derived anew yet: {why}"))
    return signer_state.write(None, state)


def _remove(path: Path) -> None:
    """A secret is overwritten first. On flash storage old blocks may outlive this."""
    if path.exists():
        with path.open("r+b") as handle:
            handle.write(bytes(path.stat().st_size))
            handle.flush()
            os.fsync(handle.fileno())
        path.unlink()


def _old(name: str) -> Path:
    return Path(settings.SANAD_KEYS) / name

"""What the signer keeps for itself, in a folder no other process reads: its memory, its keys, its lock.

    state.json     the memory: the last signed head, the peaks of its tree, the chain over all heads, the keys
    key-<id>       the private key of one key id (0600)
    leaves         the hash of every entry as it was signed, 32 bytes each, to name the one that was changed
    scrub-*.json   how far the present scrub of the tree, and of the values, has come
    distrust.json  the fault of the tree that a scrub found: nothing is signed before a whole scrub finds none

Never restored from a backup: an old memory would sign a second past. The memory is replaced by compare-and-set: whoever
writes it holds the lock and has read the very generation that is replaced.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from custody import keys
from custody.alarm import Kind, LedgerBroken
from custody.ledger_keys import LedgerKey
from ledger.durable import sync_folder
from ledger.note import NoteError
from ledger.sign import Ed25519Signer

CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Left out of backups: see docs/howto/ledger-keys.md\n"
_TIME = "microseconds"


class SignerRefused(LedgerBroken):
    """The stored ledger is not a continuation of what was signed before. Nothing was signed."""


class MemoryLost(SignerRefused):
    """The signer does not know what it signed before. It never begins anew by itself."""

    def __init__(self, what: str) -> None:
        super().__init__(what, kind=Kind.MEMORY_LOST, where="signer")


@dataclass(frozen=True)
class State:
    """The signer's memory after its `count`-th head. `peaks` are of the tree of `size` entries; times are UTC."""

    keys: tuple[LedgerKey, ...]
    generation: int = 0
    count: int = 0
    size: int = 0
    peaks: tuple[bytes, ...] = ()
    note: str = ""
    chain: bytes = b""
    signed_at: datetime | None = None
    heartbeat_at: datetime | None = None
    heartbeat: bool = False
    boot: str = ""
    uptime: float = field(default=0.0)

    def signing(self, size: int) -> list[LedgerKey]:
        """The keys that sign a head of that size now."""
        return [key for key in self.keys if key.signs and key.may_sign(size)]


@contextmanager
def held() -> Iterator[None]:
    """The signer's folder for this process alone. Waits for another one that holds it."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read() -> State | None:
    """The memory, None in a folder that never had one. A damaged one is never replaced by a guess: MemoryLost."""
    path = folder() / "state.json"
    try:
        return _parsed(json.loads(path.read_text()))
    except FileNotFoundError:
        if next(folder().glob("key-*"), None) is not None:
            raise MemoryLost(
                f"the signer has lost its memory: {path.name} is gone and a signing key is there"
            ) from None
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise MemoryLost(f"the signer's memory {path.name} is damaged") from None


def write(old: State | None, new: State) -> State:
    """Replace the memory `old`, which the caller has read under the lock, by `new`; on the disk when this returns.

    Raises SignerRefused when another process replaced it meanwhile: two signers are at work.
    """
    found = read()
    if (found.generation if found else 0) != (old.generation if old else 0):
        raise SignerRefused("another signer has replaced the memory meanwhile", kind=Kind.RIVAL, where="signer")
    new = replace(new, generation=(old.generation if old else 0) + 1)
    keys.write_durably(folder() / "state.json", json.dumps(_stored(new)))
    return new


def replace_lost(new: State) -> State:
    """A memory in place of one that is lost or damaged, which is kept beside it; the caller holds the lock."""
    path = folder() / "state.json"
    if path.exists():
        path.replace(folder() / f"state.lost-{secrets.token_hex(4)}.json")
    keys.write_durably(path, json.dumps(_stored(new)))
    return new


def begin() -> State:
    """The first memory of a new ledger, with its first key. Raises SignerRefused when there is one already."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder() / "CACHEDIR.TAG").write_text(CACHEDIR_TAG)
    key = make_key()
    return write(None, State(keys=(LedgerKey(key.vkey),)))


def make_key() -> Ed25519Signer:
    """A new private key, on the disk as `new-<id>` until `keep_key`: one without a memory of it is no key."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    seed = secrets.token_bytes(keys.KEY_BYTES)
    signer = Ed25519Signer(settings.SANAD_ORIGIN, seed)
    keys.write_durably(folder() / f"new-{signer.key_id.hex()}", keys.encode_secret(seed))
    return signer


def private_key(key: LedgerKey) -> Ed25519Signer:
    """The key that signs. Raises MemoryLost when its file is gone or of another key."""
    path, fresh = folder() / f"key-{key.key_id}", folder() / f"new-{key.key_id}"
    if fresh.exists() and not path.exists():
        fresh.rename(path)
        sync_folder(folder())
    try:
        signer = Ed25519Signer(settings.SANAD_ORIGIN, keys.read_secret(path))
    except (OSError, keys.KeyProblem, NoteError) as problem:
        raise MemoryLost(f"the signing key {key.key_id} cannot be used: {_why(problem)}") from None
    if signer.vkey != key.vkey:
        raise MemoryLost(f"the file of the signing key {key.key_id} holds another key")
    return signer


def destroy_key(key: LedgerKey) -> None:
    """A key that signs no more is overwritten and removed. On flash storage old blocks may outlive this."""
    for path in (folder() / f"key-{key.key_id}", folder() / f"new-{key.key_id}"):
        if path.exists():
            with path.open("r+b") as handle:
                handle.write(bytes(path.stat().st_size))
                handle.flush()
                os.fsync(handle.fileno())
            path.unlink()
    sync_folder(folder())


def boot() -> tuple[str, float]:
    """(this boot of the machine, seconds since it began): a clock nobody sets. ("", 0.0) where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):
        return "", 0.0


def distrust(broken: LedgerBroken) -> None:
    """Sign nothing from now on, for this reason."""
    reason = {
        "what": str(broken),
        "kind": broken.kind,
        "where": broken.where,
        "expected": broken.expected,
        "found": broken.found,
    }
    keys.write_durably(folder() / "distrust.json", json.dumps(reason))


def distrusted() -> SignerRefused | None:
    """Why nothing may be signed, None when the last scrub found the tree whole. A damaged reason is one."""
    try:
        reason = json.loads((folder() / "distrust.json").read_text())
        reason["kind"] = Kind(reason["kind"])
        return SignerRefused(reason.pop("what"), **reason)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return SignerRefused("a scrub found the tree wrong", kind=Kind.BROKEN)


def trust_again() -> None:
    """A whole scrub found the tree to be what was signed."""
    (folder() / "distrust.json").unlink(missing_ok=True)


def folder() -> Path:
    return Path(settings.SANAD_SIGNER)


def forget_unused_keys(known: Sequence[LedgerKey]) -> None:
    """Files of keys that were made and never came into the memory: a kill between the two."""
    ids = {key.key_id for key in known}
    for path in folder().glob("new-*"):
        if path.name.removeprefix("new-") not in ids:
            path.unlink()


def _stored(state: State) -> dict[str, Any]:
    return asdict(state) | {
        "keys": [asdict(key) for key in state.keys],
        "peaks": [peak.hex() for peak in state.peaks],
        "chain": state.chain.hex(),
        "signed_at": _text(state.signed_at),
        "heartbeat_at": _text(state.heartbeat_at),
    }


def _parsed(stored: dict[str, Any]) -> State:
    state = State(
        **stored
        | {
            "keys": tuple(LedgerKey(**key) for key in stored["keys"]),
            "peaks": tuple(bytes.fromhex(peak) for peak in stored["peaks"]),
            "chain": bytes.fromhex(stored["chain"]),
            "signed_at": _time(stored["signed_at"]),
            "heartbeat_at": _time(stored["heartbeat_at"]),
        }
    )
    numbers = (state.generation, state.count, state.size)
    if any(type(number) is not int or number < 0 for number in numbers) or not state.keys:
        raise ValueError("not a memory")
    if len(state.peaks) != state.size.bit_count() or any(len(peak) != 32 for peak in state.peaks):
        raise ValueError("not the peaks of that size")
    if (state.count > 0) != (state.signed_at is not None) or (state.count > 0) != bool(state.note):
        raise ValueError("not a memory of a head")
    return state


def _text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec=_TIME) if at else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _why(problem: Exception) -> str:
    if isinstance(problem, FileNotFoundError):
        return "its file is gone"
    return str(problem) if isinstance(problem, keys.KeyProblem) else type(problem).__name__

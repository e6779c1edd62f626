"""A signer whose memory is lost gets one again, from a ledger that is checked whole against a head somebody trusts.

Never by itself: whoever empties the signer's folder must not thereby make it forget. A person names a checkpoint that
others hold, a cosigner, a court, an export, and the ledger in the database has to be a continuation of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from custody import ledger_keys, signer, signer_state
from custody.agreement import TreeFault
from custody.engine import Agent, acting, record
from custody.key_changes import KeyRefused, ledger_subject
from custody.leaves import Leaves, Peaks
from custody.ledger_keys import LedgerKey
from custody.models import Checkpoint
from custody.sequencer import entries, tree_size
from custody.signer_state import MemoryLost, State
from custody.verify import Pass, head_faults
from custody.vocabulary import Type
from ledger.checkpoint import Checkpoint as Head
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.entry import leaf_hash
from ledger.note import NoteError


@dataclass(frozen=True)
class Established:
    """The new memory: after which stored head the signer goes on, and whether it has a new key."""

    head: Checkpoint
    trusted: Head
    fresh: LedgerKey | None
    event_id: UUID


def establish(note: str, keys: Sequence[LedgerKey], *, new_key: bool, by: Agent, at: datetime) -> Established:
    """Give the signer the memory of the newest stored head, if all that is stored continues the trusted one.

    `note` is the checkpoint that the operator trusts, `keys` those of the ledger. With `new_key` the old ones end and a
    new one begins, of which readers have to be told. Raises KeyRefused, in words; then nothing was changed.
    """
    _must_be_lost()
    try:
        trusted = open_checkpoint(note, [key.verifier for key in keys])
    except (NoteError, CheckpointError) as problem:
        raise KeyRefused(f"the checkpoint you trust is not one of this ledger: {problem}") from None
    newest = _newest(trusted)
    fault = next((fault for fault in _faults() if isinstance(fault, TreeFault)), None)
    if fault is not None:
        raise KeyRefused(f"the stored ledger is not whole: {fault.where} {fault.what}")
    with signer_state.held():
        _must_be_lost()
        tree = _tree(trusted, newest)
        signing, fresh = list(keys), None
        if new_key:
            fresh = LedgerKey(signer_state.make_key().vkey, start=newest.size)
            signing = [key if key.end is not None else _ended(key, newest.size) for key in keys] + [fresh]
        else:
            for key in keys:
                if key.signs:
                    _must_be_there(key)
        state = State(
            keys=tuple(signing),
            generation=1,
            count=newest.number,
            size=newest.size,
            peaks=tuple(tree.peaks),
            note=newest.note,
            chain=bytes(newest.chain),
            signed_at=newest.signed_at,
            heartbeat_at=newest.signed_at,
            heartbeat=newest.heartbeat,
        )
        signer_state.replace_lost(state)
    with acting():
        event_id = record(
            Type.ESTABLISH_SIGNER,
            by=by,
            at=at,
            subjects=[ledger_subject()],
            fields={
                "from": {"size": trusted.size, "root": trusted.root.hex()},
                "to": {"size": newest.size, "root": bytes(newest.root).hex(), "checkpoints": newest.number},
                **({"key": {"vkey": fresh.vkey}} if fresh else {}),
            },
        )
    return Established(newest, trusted, fresh, event_id)


def _must_be_lost() -> None:
    try:
        state = signer_state.read()
    except MemoryLost:
        return
    row = Checkpoint.objects.order_by("-number").first()
    if state is not None and (row is None or row.number <= state.count):
        raise KeyRefused("the signer has its memory; there is nothing to establish")


def _newest(trusted: Head) -> Checkpoint:
    newest = Checkpoint.objects.order_by("-number").first()
    if newest is None or newest.size < trusted.size or tree_size() < newest.size:
        stored = min(newest.size if newest else 0, tree_size())
        raise KeyRefused(
            f"the stored ledger is older than the checkpoint you trust: it has {stored} signed entries, "
            f"the checkpoint {trusted.size}; restore what is missing first"
        )
    return newest


def _faults() -> list[object]:
    found: list[object] = list(head_faults(None))
    whole = Pass.begin(None, values=False)
    while not whole.finished:
        found += whole.step()
    return found


def _tree(trusted: Head, newest: Checkpoint) -> Peaks:
    """The tree of the newest head, hashed anew; its list of hashes is kept. Raises KeyRefused if it is another one."""
    tree, known, batch = Peaks(), signer.leaves(), list[bytes]()
    list_ = Leaves(known.path.with_name("leaves.new"))
    list_.put(0, [])
    reached = trusted.size == 0
    for entry in entries(0, newest.size):
        batch.append(leaf_hash(bytes(entry.entry)))
        tree.add(batch[-1])
        if len(batch) == 4096:
            list_.put(tree.size - len(batch), batch)
            batch = []
        if tree.size == trusted.size:
            reached = tree.root() == trusted.root
    list_.put(tree.size - len(batch), batch)
    if not reached or tree.size != newest.size or tree.root() != bytes(newest.root):
        raise KeyRefused("the stored entries do not lead to the checkpoint you trust: this is another past")
    list_.path.replace(known.path)
    return tree


def _ended(key: LedgerKey, size: int) -> LedgerKey:
    return LedgerKey(key.vkey, min(key.start, size), size, key.trusted, key.event)


def _must_be_there(key: LedgerKey) -> None:
    try:
        signer_state.private_key(key)
    except MemoryLost as problem:
        raise KeyRefused(f"{problem}; restore it, or begin a new key with --new-key") from None


def known_keys(vkeys: Sequence[str]) -> list[LedgerKey]:
    """The keys told to everybody, or where that file is lost too, the one key that the operator names."""
    told = list(ledger_keys.ledger_keys())
    missing = [vkey for vkey in vkeys if vkey not in {key.vkey for key in told}]
    if told and missing:
        raise KeyRefused("the key you name is none of those this ledger told of")
    if not told and len(vkeys) != 1:
        raise KeyRefused("ledger-keys.json is lost too: name the key that signed with --vkey")
    return told or [LedgerKey(vkeys[0])]

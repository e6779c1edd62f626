"""Proofs out of the database: that an event stands at its index under a signed head."""

from dataclasses import dataclass
from uuid import UUID

from custody.models import Checkpoint, Entry
from custody.sequencer import read_tile
from ledger.entry import leaf_hash
from ledger.grow import inclusion_proof
from ledger.merkle import verify_inclusion


@dataclass(frozen=True)
class Proof:
    """An entry, its place, the hashes that lead to the root, and the signed checkpoint that carries the root."""

    index: int
    entry: bytes
    path: list[bytes]
    checkpoint: Checkpoint


def newest_checkpoint() -> Checkpoint | None:
    """The largest signed head, the latest signature of it."""
    return Checkpoint.objects.order_by("-size", "-signed_at").first()


def proof_of(event_id: UUID, checkpoint: Checkpoint | None = None) -> Proof | None:
    """The proof of an event under the given (or newest) checkpoint; None while the event is not inside it yet.

    Raises ledger.merkle.ProofError when the stored tree does not lead to the signed root: tampering, or a damaged disk.
    """
    row = Entry.objects.filter(event_id=event_id).first()
    return proof_at(row.index, checkpoint) if row is not None else None


def proof_at(index: int, checkpoint: Checkpoint | None = None) -> Proof | None:
    """The proof of the entry at an index, as proof_of; None when no signed head covers it (yet)."""
    head = checkpoint or newest_checkpoint()
    row = Entry.objects.filter(index=index).first()
    if head is None or row is None or row.index >= head.size:
        return None
    entry = bytes(row.entry)
    path = inclusion_proof(row.index, head.size, read_tile)
    verify_inclusion(leaf_hash(entry), row.index, head.size, path, bytes(head.root))
    return Proof(row.index, entry, path, head)

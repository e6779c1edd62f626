"""Proofs out of the database: that an event stands at its index under a signed head."""

from dataclasses import dataclass
from uuid import UUID

from custody import statements
from custody.models import Checkpoint
from custody.sequencer import read_tile, read_tiles
from ledger.entry import leaf_hash
from ledger.grow import TILE_HEIGHT, TileReader, inclusion_proof
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


def newest_heartbeat() -> Checkpoint | None:
    """The newest head signed at a fixed time: the one that outsiders are shown unless they ask for what came since."""
    return Checkpoint.objects.filter(heartbeat=True).order_by("-size", "-signed_at").first()


def proof_of(event_id: UUID, checkpoint: Checkpoint | None = None) -> Proof | None:
    """The proof of an event under the given (or newest) checkpoint; None while the event is not inside it yet.

    Raises ledger.merkle.ProofError when the stored tree does not lead to the signed root: tampering, or a damaged disk.
    """
    row = statements.fetch_one("SELECT index FROM custody_entry WHERE event_id = %s", [event_id])
    return proof_at(row[0], checkpoint) if row is not None else None


def proof_at(index: int, checkpoint: Checkpoint | None = None) -> Proof | None:
    """The proof of the entry at an index, as proof_of; None when no signed head covers it (yet)."""
    head = checkpoint or newest_checkpoint()
    row = statements.fetch_one("SELECT entry FROM custody_entry WHERE index = %s", [index])
    if head is None or row is None or index >= head.size:
        return None
    entry: bytes = row[0]
    path = inclusion_proof(index, head.size, _prefetched(index, head.size))
    verify_inclusion(leaf_hash(entry), index, head.size, path, bytes(head.root))
    return Proof(index, entry, path, head)


def _prefetched(index: int, size: int) -> TileReader:
    """The tiles that hold the entry's side and the tree's right edge, read at once; any other one by one."""
    wanted, level = set(), 0
    while size >> TILE_HEIGHT * level:
        last = (size >> TILE_HEIGHT * level) - 1
        wanted |= {(level, min(index >> TILE_HEIGHT * level, last) >> TILE_HEIGHT), (level, last >> TILE_HEIGHT)}
        level += 1
    tiles = read_tiles(wanted)
    return lambda level, index: tiles.get((level, index)) or read_tile(level, index)

"""What shows that a log has two pasts, kept by a cosigner: one file for each head that contradicts what it holds.

Evidence is a head under the log's own key that cannot be true together with the one held, by itself or by the proof it
came with. Anybody can send the log's public heads again with a proof that is none: that shows nothing and leaves
nothing. So only who holds the log's key can cause a file here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ledger.checkpoint import Checkpoint
from ledger.durable import write_durably
from ledger.merkle import ProofError, empty_root, node_hash, verify_consistency
from ledger.note import to_base64

MOST = 10_000  # files of at most some KiB: a thief of the log's key does not fill the disk


def contradicts(size: int, root: bytes, checkpoint: Checkpoint, proof: Sequence[bytes]) -> str:
    """In words, how a head shows another past than the held one of `size` entries; "" when it does not show one.

    A proof from a size that is a power of two does not carry the old root (RFC 9162, section 2.1.4.1), so there only a
    head of the same size shows it.
    """
    if checkpoint.size == 0 and checkpoint.root != empty_root():
        return "it gives the empty tree another root"
    if checkpoint.size == size and checkpoint.root != root:
        return "it has another root for the same size"
    if not 0 < size < checkpoint.size or size & (size - 1) == 0:
        return ""
    other = _old_root(size, checkpoint.size, proof)
    try:
        verify_consistency(size, other, checkpoint.size, checkpoint.root, proof)
    except ProofError:
        return ""
    return f"its own proof leads to another root of {size} entries" if other != root else ""


def _old_root(old: int, new: int, proof: Sequence[bytes]) -> bytes:
    """The root of the old size that the steps of a proof make, whether or not it is one (RFC 9162, section 2.1.4.2)."""
    position, last, root = old - 1, new - 1, b"".join(proof[:1])
    while position & 1:
        position, last = position >> 1, last >> 1
    for step in proof[1:]:
        if position & 1 or position == last:
            root = node_hash(step, root)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        position, last = position >> 1, last >> 1
    return root


def keep(folder: Path, *, how: str, held: str, checkpoint: Checkpoint, note: str, proof: Sequence[bytes]) -> bool:
    """Keep a contradiction, once for each size and root. True when it is a new one. Raises OSError.

    `held` and `note` are the two signed heads.
    """
    origin = hashlib.sha256(checkpoint.origin.encode()).hexdigest()
    path = folder / f"{checkpoint.size}-{checkpoint.root.hex()}-{origin[:16]}.txt"
    if path.exists() or (folder.exists() and sum(1 for _ in folder.iterdir()) >= MOST):
        return False
    steps = "".join(f"{to_base64(step)}\n" for step in proof)
    heads = f"The head that was cosigned here:\n\n{held}\nWhat was refused:\n\n{note}\nIts proof:\n\n{steps}"
    write_durably(path, f"Refused: {how}.\n\n{heads}".encode())
    return True

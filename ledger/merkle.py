"""The Merkle tree of RFC 9162 section 2 (SHA-256): hashes, the check of proofs, and the names of C2SP tlog-tiles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES, TILE_WIDTH, MAX_SIZE = 32, 256, 1 << 62


class ProofError(ValueError):
    """A proof does not hold, or the tree it is asked of cannot give one. The message says why."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(01 || left || right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def empty_root() -> bytes:
    """The root of the tree without leaves: SHA-256 of nothing."""
    return hashlib.sha256().digest()


def perfect_root(hashes: bytes) -> bytes:
    """The root over a power of two of concatenated 32-byte hashes."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_BYTES:
        hashes = b"".join([sha256(b"\1" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """The C2SP tlog-tiles path of a tile: tile/0/x001/x234/067, or ….p/112 for a partial one.

    With "entries" as the level that of the entry bundle of a tile of level 0.
    """
    path = f"{index % 1000:03d}" if width == TILE_WIDTH else f"{index % 1000:03d}.p/{width}"
    while index >= 1000:
        index //= 1000
        path = f"x{index % 1000:03d}/{path}"
    return f"tile/{level}/{path}"


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """True if the leaf hash is at `index` in the tree (RFC 9162 section 2.1.3.2), else raise ProofError."""
    if not 0 <= index < size < MAX_SIZE:
        raise ProofError(f"no leaf {index} in a tree of size {size}")
    position, last, result = index, size - 1, checked(leaf)
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            result = node_hash(checked(sibling), result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, checked(sibling))
        position, last = position >> 1, last >> 1
    if last or result != checked(root):
        raise ProofError("the inclusion proof is too short or leads to another root")
    return True


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """True if the new tree starts with the old (RFC 9162 section 2.1.4.2), else raise ProofError. Size 0 is refused."""
    if not 0 < old <= new < MAX_SIZE:
        raise ProofError(f"no consistency proof from size {old} to {new}")
    if old == new:
        if proof or checked(old_root) != checked(new_root):
            raise ProofError("equal sizes have the empty proof and one root")
        return True
    path = [checked(step) for step in proof]
    if old & (old - 1) == 0:
        path.insert(0, checked(old_root))
    if not path:
        raise ProofError("the consistency proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_result = new_result = path[0]
    for step in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            old_result, new_result = node_hash(step, old_result), node_hash(step, new_result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_result = node_hash(new_result, step)
        position, last = position >> 1, last >> 1
    if last or (old_result, new_result) != (checked(old_root), checked(new_root)):
        raise ProofError("the consistency proof is too short or leads to other roots")
    return True


def checked(value: bytes) -> bytes:
    """The value, if it has the length of a hash. Raises ProofError."""
    if len(value) != HASH_BYTES:
        raise ProofError(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
    return value

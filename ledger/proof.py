"""Offline proofs that an entry is in the ledger (C2SP tlog-proof): index, inclusion path and signed checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import leaf_hash
from ledger.merkle import HASH_BYTES, MAX_SIZE, ProofError, verify_inclusion
from ledger.note import MAX_NOTE_BYTES, NoteError, Verifier, split_note, to_base64, unbase64

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 8 * 1024

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True)
class Proof:
    """A parsed proof, nothing of it verified. `path` runs from the leaf's sibling up; `note` is the checkpoint."""

    index: int
    path: Sequence[bytes]
    note: str


def format_proof(index: int, path: Sequence[bytes], note: bytes | str) -> str:
    """The text of a .tlog-proof file. `note` is the signed checkpoint, verbatim."""
    checkpoint = note.decode("utf-8") if isinstance(note, bytes) else note
    return "".join([f"{HEADER}\n", f"index {index}\n", *(f"{to_base64(step)}\n" for step in path), "\n", checkpoint])


def parse_proof(data: bytes | str) -> Proof:
    """The proof in a .tlog-proof file. The `extra` line, which nothing authenticates, is refused. Raises ProofError."""
    if len(data) > MAX_PROOF_BYTES:
        raise ProofError("the proof file is too long")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeError:
        raise ProofError("the proof file is not UTF-8") from None
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != HEADER or not gap:
        raise ProofError("not a tlog-proof version 1")
    match = _INDEX.match(lines[1]) if len(lines) > 1 else None
    if match is None or int(match[1]) >= MAX_SIZE:
        raise ProofError("the proof file has no index")
    try:
        path = [unbase64(line) for line in lines[2:]]
        split_note(note)
    except NoteError as problem:
        raise ProofError(f"malformed proof file: {problem}") from None
    if len(path) > 64 or any(len(step) != HASH_BYTES for step in path):
        raise ProofError("malformed inclusion path")
    return Proof(int(match[1]), tuple(path), note)


def verify_proof(proof: Proof, entry: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """The signed checkpoint that covers these exact entry bytes.

    Raises ProofError when they are not in its tree at the proof's index, NoteError or CheckpointError when the
    checkpoint is not the log's.
    """
    checkpoint = open_checkpoint(proof.note, verifiers)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint

"""Proof files: C2SP tlog-proof, and for consistency the body of C2SP tlog-witness add-checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import leaf_hash
from ledger.merkle import HASH_BYTES, MAX_SIZE, ProofError, verify_inclusion
from ledger.note import MAX_NOTE_BYTES, Ed25519Verifier, NoteError, split_note, to_base64, unbase64

HEADER = "c2sp.org/tlog-proof@v1\n"
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 8 * 1024

_NUMBER = re.compile(r"(index|old) (0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True)
class Proof:
    """A parsed file, nothing of it verified. `path` are 32-byte hashes as RFC 9162 orders them; `note` the checkpoint.

    `index` is the entry's in an inclusion proof, and the old tree's size in a consistency proof.
    """

    index: int
    path: Sequence[bytes]
    note: str


def format_proof(index: int, path: Sequence[bytes], note: bytes | str) -> str:
    """The text of a .tlog-proof file. `note` is the signed checkpoint, verbatim."""
    return HEADER + _format("index", index, path, note)


def format_consistency(old: int, path: Sequence[bytes], note: bytes | str) -> str:
    """The text of a .consistency file, from the tree of size `old` to that of the signed checkpoint `note`."""
    return _format("old", old, path, note)


def _format(word: str, number: int, path: Sequence[bytes], note: bytes | str) -> str:
    checkpoint = note.decode("utf-8") if isinstance(note, bytes) else note
    return "".join([f"{word} {number}\n", *(f"{to_base64(step)}\n" for step in path), "\n", checkpoint])


def parse_proof(data: bytes | str) -> Proof:
    """The proof in a .tlog-proof file. The `extra` line, which nothing authenticates, is refused. Raises ProofError."""
    return _parse(HEADER, "index", data)


def parse_consistency(data: bytes | str) -> Proof:
    """The proof in a .consistency file. Raises ProofError."""
    return _parse("", "old", data)


def _parse(header: str, word: str, data: bytes | str) -> Proof:
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeError:
        raise ProofError("the proof file is not UTF-8") from None
    head, _, note = text.removeprefix(header).partition("\n\n")
    first, *lines = head.split("\n")
    match = _NUMBER.match(first)
    if len(data) > MAX_PROOF_BYTES or not text.startswith(header):
        raise ProofError("the proof file is too long or of another kind")
    if match is None or match[1] != word or int(match[2]) >= MAX_SIZE:
        raise ProofError(f"the proof file has no {word}")
    try:
        path = tuple(unbase64(line) for line in lines)
        split_note(note)
    except NoteError as problem:
        raise ProofError(f"malformed proof file: {problem}") from None
    if len(path) > 64 or any(len(step) != HASH_BYTES for step in path):
        raise ProofError("malformed path")
    return Proof(int(match[2]), path, note)


def verify_proof(proof: Proof, entry: bytes, verifiers: Sequence[Ed25519Verifier]) -> Checkpoint:
    """The signed checkpoint that covers these exact entry bytes.

    Raises ProofError when they are not in its tree at the proof's index, NoteError or CheckpointError when the
    checkpoint is not the log's.
    """
    checkpoint = open_checkpoint(proof.note, verifiers)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint

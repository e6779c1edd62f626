"""Checkpoints (C2SP tlog-checkpoint): origin, tree size and root hash as the text of a signed note."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.merkle import HASH_BYTES, MAX_SIZE
from ledger.note import ED25519, Ed25519Verifier, NoteError, open_note, to_base64, unbase64

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n\Z")


CheckpointError = NoteError  # the text of the note is not a checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: `size` leaves under the 32-byte `root`. `signed_by`: given keys that signed it."""

    origin: str
    size: int
    root: bytes
    signed_by: Sequence[Ed25519Verifier] = field(default=(), compare=False)


def format_checkpoint(origin: str, size: int, root: bytes) -> str:
    """The note text of a checkpoint, without extension lines. Raises CheckpointError."""
    if not origin or "\n" in origin or not 0 <= size < MAX_SIZE or len(root) != HASH_BYTES:
        raise CheckpointError("a checkpoint has an origin, a size and a root of 32 bytes")
    return f"{origin}\n{size}\n{to_base64(root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text. Extension lines, which nobody can audit, are refused. Raises CheckpointError."""
    match = _TEXT.match(text)
    if match is None or int(match[2]) >= MAX_SIZE:
        raise CheckpointError("a checkpoint has three lines: origin, size, root")
    return Checkpoint(match[1], int(match[2]), unbase64(match[3]))


def open_checkpoint(note: bytes | str, verifiers: Sequence[Ed25519Verifier]) -> Checkpoint:
    """The checkpoint of a note signed by a given key that carries the log's own name.

    Raises NoteError when none has signed (see open_note), CheckpointError when the text is no checkpoint.
    """
    opened = open_note(note, verifiers)
    head = parse_checkpoint(opened.text)
    signed_by = tuple(key for key in opened.signed_by if key.kind == ED25519 and key.name == head.origin)
    if not signed_by:
        raise NoteError("the key of another log has signed the checkpoint")
    return Checkpoint(head.origin, head.size, head.root, signed_by)

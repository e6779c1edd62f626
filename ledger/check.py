"""One bundle under examination: reading what stands in it, and telling what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ledger import bag
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.entry import Entry
from ledger.merkle import verify_inclusion
from ledger.note import Ed25519Verifier, split_note
from ledger.proof import MAX_PROOF_BYTES, parse_proof
from ledger.report import Report, Result
from ledger.shape import misfit
from ledger.source import BundleError, Source

_ITEM = {"id": str, "kind": "item"}
_INDEX = r"(0|[1-9][0-9]{0,17})"
_NAMED = {kind: re.compile(re.escape(path).replace(r"\{\}", _INDEX) + r"\Z") for kind, path in bag.PLACES.items()}


@dataclass
class Event:
    """One entry of the bundle, with the fields it discloses."""

    index: int
    entry: Entry
    leaf: bytes
    fields: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def items(self) -> Collection[str]:
        """The ids of the items that it discloses to be about."""
        subjects = self.fields.get("subjects")
        return {one["id"] for one in subjects if not misfit(one, _ITEM, "")} if isinstance(subjects, list) else ()

    def done(self, *types: str) -> bool:
        """Whether it is a success of one of these types."""
        return self.entry.type in types and self.entry.outcome == "success"


class Check:
    """`numbers`: indices and sizes by kind of file; `heads` and `notes`: the earlier heads without fault.

    `gone`: fields that erasures explain, by event; `destroyed`: ids of the items whose content they do.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self.source, self.report, self.tell, self.attempt = source, report, report.tell, report.attempt
        self.numbers: dict[str, set[int]] = {kind: set() for kind in bag.PLACES}
        self.keys: list[Ed25519Verifier] = []
        self.note = b""
        self.events: dict[str, Event] = {}
        self.heads: dict[int, Checkpoint] = {}
        self.notes: dict[str, Checkpoint] = {}
        self.gone: dict[str, set[str]] = {}
        self.destroyed: set[str] = set()

    def read(self, path: str, limit: int) -> bytes | None:
        """A file's bytes, or None after telling why not."""
        try:
            return self.source.read(path, limit)
        except BundleError as problem:
            self.tell(path, problem.code, str(problem))
            return None

    def parse(self, path: str, limit: int, code: str, call: Callable[..., Result], *more: object) -> Result | None:
        """A file read and parsed, or None after telling why not."""
        data = self.read(path, limit)
        return None if data is None else self.attempt(path, code, "is malformed", call, data, *more)

    def list_files(self) -> None:
        """Fill `numbers`; tell what stands among the ledger's files and is none."""
        for path in sorted(self.source.files):
            if path.startswith(("data/ledger/", "data/disclosures/")) and path not in (bag.VKEY, bag.CHECKPOINT):
                found = [(kind, match[1]) for kind, pattern in _NAMED.items() if (match := pattern.match(path))]
                for kind, number in found:
                    self.numbers[kind].add(int(number))
                if not found and not path.startswith(bag.LOG):
                    self.tell(path, "file-unexpected", "is not one of the ledger's files")

    def head(self, where: str, note: bytes) -> Checkpoint | None:
        """The checkpoint of a note signed by one of the bundle's keys, or None after telling why it is not."""
        head = self.attempt(where, "checkpoint-malformed", "is not a checkpoint", read_checkpoint, note)
        if head is None or not self.keys:
            return None
        return self.attempt(where, "checkpoint-signature", "is not validly signed", open_checkpoint, note, self.keys)

    def included(self, path: str, event: Event, heads: Mapping[str, Checkpoint] | None) -> Checkpoint | None:
        """The one of these heads (by their notes) under which a proof file shows the event; None after telling why not.

        Without heads only the file's form and index are checked.
        """
        proof = self.parse(path, MAX_PROOF_BYTES, "proof-malformed", parse_proof)
        if proof is None:
            return None
        head = heads.get(proof.note) if heads else None
        if proof.index != event.index or (heads is not None and head is None):
            self.tell(path, "proof-mismatch", "is for another entry or checkpoint")
        elif head:
            given = (event.leaf, event.index, head.size, proof.path, head.root)
            if self.attempt(path, "proof-invalid", "does not prove its entry", verify_inclusion, *given):
                return head
        return None


def read_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint of a note, nothing of it verified. Raises NoteError or CheckpointError."""
    return parse_checkpoint(split_note(note)[0])

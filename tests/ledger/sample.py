"""A small ledger and its bundle, the same bytes every time: for tests and for the golden vectors."""

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import bag
from ledger.bundle import BundleWriter
from ledger.checkpoint import format_checkpoint
from ledger.entry import commit, encode_entry, leaf_hash, parse_entry
from ledger.grow import inclusion_proof, new_tiles, root_from_tiles
from ledger.proof import format_proof
from ledger.sign import Ed25519Signer, sign_note
from ledger.source import open_source

ORIGIN = "sample.sanad.example/ledger"
SEED = bytes(range(32))
PAYLOADS = {
    "SY-2025-000001": ("photograph.jpg", "image/jpeg", b"\xff\xd8\xff\xe0 a photograph that is none\n"),
    "SY-2025-000002": ("testimony.txt", "text/plain", "شهادة مسجّلة للاختبار\n".encode()),
}


@dataclass
class Log:
    """A ledger in memory: entries, tiles and what its commitments hide."""

    rng: random.Random = field(default_factory=lambda: random.Random(2025))
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(ORIGIN, SEED))
    entries: list[bytes] = field(default_factory=list)
    opened: list[dict[str, tuple[bytes, Any]]] = field(default_factory=list)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def read_tile(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")

    def record(self, type: str, fields: dict[str, Any], *, outcome: str = "success", blob: str | None = None) -> int:
        index = len(self.entries)
        opened = {name: (self.rng.randbytes(32), value) for name, value in fields.items()}
        entry = encode_entry(
            origin=ORIGIN,
            event_id=self.rng.randbytes(16).hex(),
            ts=f"2025-03-08T05:{index // 60 % 60:02d}:{index % 60:02d}.250Z",
            type=type,
            outcome=outcome,
            blob=blob,
            commitments={name: commit(salt, name, value) for name, (salt, value) in opened.items()},
        )
        self.tiles.update(new_tiles(index, [leaf_hash(entry)], self.read_tile))
        self.entries.append(entry)
        self.opened.append(opened)
        return index

    def note(self) -> str:
        size = len(self.entries)
        return sign_note(format_checkpoint(ORIGIN, size, root_from_tiles(size, self.read_tile)), self.signer)

    def proof(self, index: int) -> str:
        return format_proof(index, inclusion_proof(index, len(self.entries), self.read_tile), self.note())

    def id_of(self, index: int) -> str:
        return parse_entry(self.entries[index]).event_id


def sample_log() -> tuple[Log, dict[str, list[int]]]:
    """A log of two items' events among others, and the indices of each item's events by accession number."""
    log, events = Log(), {}
    for number, (accession, (_, media_type, data)) in enumerate(PAYLOADS.items(), 1):
        log.record("sanad/sign-in", {"agent": {"id": "somebody", "kind": "person"}})
        subject = [{"kind": "item", "id": item_id(number)}]
        stated = {
            "accession": accession,
            "media_type": media_type,
            "sha256": hashlib.sha256(data).hexdigest(),
            "sha512": hashlib.sha512(data).hexdigest(),
            "size": len(data),
        }
        received = log.record(
            "ingestion",
            {"agent": {"id": "agent", "kind": "person"}, "object": stated, "subjects": subject},
            blob=hashlib.sha256(b"ciphertext" + data).hexdigest(),
        )
        described = log.record(
            "metadata modification", {"from": {}, "to": {"title": "وصف"}, "subjects": subject, "note": "a remark"}
        )
        events[accession] = [received, described]
    log.record("sanad/refusal", {"agent": {"id": "somebody", "kind": "person"}}, outcome="refused")
    return log, events


def item_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def write_bundle(target: Path) -> Log:
    """The sample bundle at `target`. The remark on each item stays closed."""
    log, events = sample_log()
    with BundleWriter(target, [("Source-Organization", "Sample archive"), ("Bagging-Date", "2025-03-20")]) as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        for number, (accession, indices) in enumerate(events.items(), 1):
            name, media_type, data = PAYLOADS[accession]
            catalogue = {
                "id": item_id(number),
                "media_type": media_type,
                "exhibit": f"P-{number}",
                "events": [log.id_of(index) for index in indices],
            }
            writer.add_item(accession, name, [data], catalogue)
            for index in indices:
                opened = {name: pair for name, pair in log.opened[index].items() if name != "note"}
                writer.add_entry(index, log.entries[index], log.proof(index), opened)
        writer.finish()
    return log


def rewrite_manifests(root: Path) -> None:
    """Make the BagIt part of a changed bundle right again, as a forger would: nothing in it is signed."""
    with open_source(root) as source:
        digests = {}
        for path in source.files:
            hasher = bag.Hasher()
            for chunk in source.chunks(path):
                hasher.update(chunk)
            digests[path] = hasher.digests()
    payload = {path: value for path, value in digests.items() if path.startswith("data/")}
    lines = (root / "bag-info.txt").read_text().splitlines()
    oxum = f"Payload-Oxum: {sum(value.size for value in payload.values())}.{len(payload)}"
    lines = [oxum if line.startswith("Payload-Oxum:") else line for line in lines]
    (root / "bag-info.txt").write_text("".join(f"{line}\n" for line in lines))
    for algorithm in bag.ALGORITHMS:
        (root / f"manifest-{algorithm}.txt").write_bytes(bag.format_manifest(algorithm, payload))
    tags = {}
    for path in bag.TAG_FILES:
        hasher = bag.Hasher()
        hasher.update((root / path).read_bytes())
        tags[path] = hasher.digests()
    for algorithm in bag.ALGORITHMS:
        (root / f"tagmanifest-{algorithm}.txt").write_bytes(bag.format_manifest(algorithm, tags))

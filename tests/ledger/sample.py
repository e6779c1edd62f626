"""Small ledgers and their bundles, the same bytes every time: for tests and for the golden vectors.

`python -m tests.ledger.sample KIND FOLDER` writes one; the kinds are those of KINDS.
"""

import hashlib
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import bag
from ledger.bundle import BundleWriter, Hasher, format_manifest
from ledger.checkpoint import format_checkpoint
from ledger.entry import commit, encode_entry, leaf_hash, parse_entry
from ledger.grow import consistency_proof, inclusion_proof, new_tiles, root_from_tiles
from ledger.proof import format_proof
from ledger.sign import CosignatureSigner, Ed25519Signer, sign_note
from ledger.source import open_source
from tests.ledger.der import response

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


PARTS = ("withheld", "erased", "rotated", "cosigned", "anchored", "logged")
KINDS: dict[str, tuple[str, ...]] = {"plain": (), **{part: (part,) for part in PARTS}, "whole": PARTS}
#: Logs that break a rule of their own making, so that no change of the bundle's files can show it.
KINDS |= {"usurped": ("usurped",), "misstated": ("misstated",)}
KEYS = [Ed25519Signer(ORIGIN, seed) for seed in (SEED, b"\x0b" * 32, b"\x0c" * 32)]
COSIGNERS = [
    CosignatureSigner(f"partner-{number}.example/cosigner", bytes([number]) * 32, lambda: 1_743_500_000)
    for number in (1, 2, 3)
]


class Sample:
    """A log with what makes up one kind of bundle: written by `write`, which opens all fields but `note`."""

    def __init__(self, kind: str) -> None:
        self.log, self.items = sample_log()
        self.keys, self.signing = [KEYS[0]], [KEYS[0]]
        self.heads: dict[int, str] = {}
        self.handovers: dict[int, int] = {}
        self.anchors: dict[int, bytes] = {}
        self.more: list[int] = []
        self.erasure: int | None = None
        self.parts = KINDS[kind]
        for part in self.parts:
            getattr(self, f"_{part}", lambda: None)()

    def note(self) -> str:
        """The signed head of the log as it is now."""
        size = len(self.log.entries)
        text = format_checkpoint(ORIGIN, size, root_from_tiles(size, self.log.read_tile))
        cosigners = COSIGNERS if "cosigned" in self.parts else []
        return sign_note(text, *self.signing, *cosigners)

    def keep_head(self) -> int:
        """The head as it is now, for the bundle's earlier heads. Returns its size."""
        size = len(self.log.entries)
        self.heads[size] = self.note()
        return size

    def _item(self, accession: str, number: int) -> None:
        subject = [{"kind": "item", "id": item_id(number)}]
        stated = {"accession": accession, "sha256": "00" * 32, "sha512": "00" * 64, "size": 1}
        blob = hashlib.sha256(accession.encode()).hexdigest()
        fields = {"agent": {"id": "agent", "kind": "person"}, "object": stated, "subjects": subject}
        received = self.log.record("ingestion", fields, blob=blob)
        displayed = self.log.record("displaying", {"note": "a remark", "subjects": subject})
        self.items[accession] = [received, displayed]

    def _withheld(self) -> None:
        self._item("SY-2025-000003", 3)

    def _erased(self) -> None:
        self._item("SY-2025-000004", 4)
        received, displayed = self.items["SY-2025-000004"]
        blob = hashlib.sha256(b"SY-2025-000004").hexdigest()
        values = {self.log.id_of(received): ["object", "subjects"], self.log.id_of(displayed): ["note", "subjects"]}
        content = [{"accession": "SY-2025-000004", "blobs": [blob], "id": item_id(4)}]
        subjects = [{"kind": "item", "id": item_id(4)}]
        self.erasure = self.log.record(
            "sanad/erasure", {"erased": {"content": content, "values": values}, "subjects": subjects}
        )
        self.items["SY-2025-000004"].append(self.erasure)

    def _rotated(self) -> None:
        for key in KEYS[1:]:
            added = self.log.record("sanad/key-add", {"key": {"vkey": key.vkey}})
            self.handovers[added] = self.keep_head()
            retired = self.log.record("sanad/key-retire", {"key": {"vkey": self.keys[-1].vkey}})
            self.keys.append(key)
            self.signing = [key]
            self.more += [added, retired]

    def _usurped(self) -> None:
        """The added key itself signs the head that is to show its addition."""
        added = self.log.record("sanad/key-add", {"key": {"vkey": KEYS[1].vkey}})
        self.keys.append(KEYS[1])
        self.signing = [KEYS[1]]
        self.handovers[added] = self.keep_head()
        self.more.append(added)

    def _misstated(self) -> None:
        """An erasure that names no field of an event."""
        value = {"content": [], "values": {self.log.id_of(1): []}}
        self.more.append(self.log.record("sanad/erasure", {"erased": value}))

    def _anchored(self) -> None:
        size = self.keep_head()
        token = response(hashlib.sha256(self.heads[size].encode()).digest())
        stated = {"sha256": hashlib.sha256(token).hexdigest(), "size": size}
        anchor = self.log.record("sanad/anchor", {"token": stated})
        self.anchors[anchor] = token
        self.more.append(anchor)

    def _logged(self) -> None:
        if self.parts == ("logged",):
            for number in range(300):
                self.log.record("sanad/refusal", {"agent": {"id": str(number), "kind": "person"}}, outcome="refused")

    def write(self, target: Path) -> None:
        log, size, note = self.log, len(self.log.entries), self.note()
        with BundleWriter(
            target, [("Source-Organization", "Sample archive"), ("Bagging-Date", "2025-03-20")]
        ) as writer:
            writer.set_checkpoint(note, *(key.vkey for key in self.keys))
            for number, (accession, indices) in enumerate(self.items.items(), 1):
                row: dict[str, Any] = {
                    "id": item_id(int(accession[-1])),
                    "exhibit": f"P-{number}",
                    "events": [log.id_of(index) for index in indices],
                }
                if accession in PAYLOADS:
                    name, media_type, data = PAYLOADS[accession]
                    writer.add_item(accession, name, [data], row | {"media_type": media_type})
                elif accession == "SY-2025-000003":
                    writer.add_withheld(accession, row)
                else:
                    assert self.erasure is not None
                    writer.add_erased(accession, row, self.erasure)
            for index in sorted({index for indices in self.items.values() for index in indices} | {*self.more}):
                writer.add_entry(index, log.entries[index], self.proof(index, size, note), self.opened(index))
            for old, head in self.heads.items():
                writer.add_head(head, consistency_proof(old, size, log.read_tile))
            for index, old in self.handovers.items():
                writer.add_handover(index, self.proof(index, old, self.heads[old]))
            for index, token in self.anchors.items():
                writer.add_anchor(index, token)
            if "logged" in self.parts:
                writer.add_log(log.entries, log.read_tile)
            writer.finish()

    def opened(self, index: int) -> dict[str, tuple[bytes, Any]]:
        """What the bundle opens of an entry."""
        closed = {"note"}
        if index in self.items.get("SY-2025-000004", [])[:2]:
            closed |= {"object", "subjects"}
        return {name: pair for name, pair in self.log.opened[index].items() if name not in closed}

    def proof(self, index: int, size: int, note: str) -> str:
        return format_proof(index, inclusion_proof(index, size, self.log.read_tile), note)


def write_bundle(target: Path, kind: str = "plain") -> Log:
    """The sample bundle of a kind at `target`."""
    sample = Sample(kind)
    sample.write(target)
    return sample.log


def rewrite_manifests(root: Path) -> None:
    """Make the BagIt part of a changed bundle right again, as a forger would: nothing in it is signed."""
    with open_source(root) as source:
        digests = {}
        for path in source.files:
            hasher = Hasher()
            for chunk in source.chunks(path):
                hasher.update(chunk)
            digests[path] = hasher.digests()
    payload = {path: value for path, value in digests.items() if path.startswith("data/")}
    lines = (root / "bag-info.txt").read_text().splitlines()
    oxum = f"Payload-Oxum: {sum(value.size for value in payload.values())}.{len(payload)}"
    lines = [oxum if line.startswith("Payload-Oxum:") else line for line in lines]
    (root / "bag-info.txt").write_text("".join(f"{line}\n" for line in lines))
    for algorithm in bag.ALGORITHMS:
        (root / f"manifest-{algorithm}.txt").write_bytes(format_manifest(algorithm, payload))
    tags = {}
    for path in bag.TAG_FILES:
        hasher = Hasher()
        hasher.update((root / path).read_bytes())
        tags[path] = hasher.digests()
    for algorithm in bag.ALGORITHMS:
        (root / f"tagmanifest-{algorithm}.txt").write_bytes(format_manifest(algorithm, tags))


if __name__ == "__main__":
    write_bundle(Path(sys.argv[2]), sys.argv[1])

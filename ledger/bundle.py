"""Writing a bundle: what leaves the archive so that anyone can check it (docs/spec/ledger.md, section 9).

Streams into a hidden folder beside the target, synced to disk, and takes its name in one rename at the end: a
bundle is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import VERSION, bag
from ledger.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from ledger.disclosure import MAX_DISCLOSURE_BYTES, MAX_DISCLOSURE_DEPTH
from ledger.entry import EntryError, canonical, commit, leaf_hash, parse_entry
from ledger.grow import TileReader, tile_widths
from ledger.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    ProofError,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from ledger.note import Ed25519Verifier, NoteError, decode_vkey
from ledger.pack import member, resource, verifier_archive
from ledger.page import page
from ledger.proof import format_consistency, parse_proof
from ledger.source import CHUNK, BundleError, safe_path

if TYPE_CHECKING:
    from typing import Self

LANGUAGES = ("ar", "en", "fr")
VERIFIER = "data/verify/sanad-verify.pyz"
PAGE = "data/verify/verify.html"
_RESERVED = ("data/items/", "data/items.json", "data/ledger/", "data/disclosures/", "data/verify/", "data/README.")


@dataclass(frozen=True)
class Summary:
    """A finished bundle. `digest`: SHA-256 of tagmanifest-sha256.txt, which covers every byte of it."""

    path: Path
    items: int
    entries: int
    files: int
    size: int
    digest: str


class BundleWriter:
    """Writes one bundle to `target`, a folder that must not exist. Use as a context: an exception leaves nothing.

    Order: set_checkpoint before what it proves; the rest is free. Every method raises BundleError for input that the
    verifier would refuse by itself; verify_bundle on the finished folder sees how it all fits together.
    """

    def __init__(self, target: Path, info: Sequence[tuple[str, str]] = ()) -> None:
        """`info`: further lines of bag-info.txt, such as ("Source-Organization", "…"). No names of people."""
        if target.exists():
            raise BundleError(f"{target} exists")
        self._target, self._info = target, list(info)
        format_info(self._info)
        self._root = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        self._digests: dict[str, bag.Digests] = {}
        self._folded: set[str] = set()
        self._rows: dict[str, dict[str, Any]] = {}
        self._events: dict[str, int] = {}
        self._head: Checkpoint | None = None
        self._keys: list[Ed25519Verifier] = []
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Remove what was written, unless the bundle is finished."""
        shutil.rmtree(self._root, ignore_errors=True)

    def add_item(
        self, accession: str, name: str, chunks: Iterable[bytes], catalogue: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write one payload and its catalogue row, which is returned.

        `name` is made safe; it must not be the original name, which is protected. `catalogue`: id (the item's UUID
        as in the events' subjects), media_type, exhibit (str or None), events (event ids, 32 hex digits each), and
        optionally sha256, sha512, size: then the bytes must have them.
        """
        self._refuse_twice(accession)
        path = f"data/items/{accession}/{safe_name(name)}"
        digests = self._write(path, chunks)
        row = self._row(accession, "present", catalogue) | {
            "media_type": catalogue["media_type"],
            "path": path,
            "sha256": digests.sha256,
            "sha512": digests.sha512,
            "size": digests.size,
        }
        for key in ("sha256", "sha512", "size"):
            if key in catalogue and catalogue[key] != row[key]:
                raise BundleError(f"the bytes of {accession} do not have the {key} given")
        self._rows[accession] = row
        return row

    def add_withheld(self, accession: str, catalogue: Mapping[str, Any]) -> None:
        """An item whose bytes stay in the archive: its row alone. `catalogue`: id, exhibit, events as in add_item.

        Its receptions have to open `object` with the accession, which nothing else binds to the ledger.
        """
        self._refuse_twice(accession)
        self._rows[accession] = self._row(accession, "withheld", catalogue)

    def add_erased(self, accession: str, catalogue: Mapping[str, Any], erasure: int) -> None:
        """An item whose bytes were destroyed, as the entry with index `erasure` says. `catalogue` as above."""
        self._refuse_twice(accession)
        self._rows[accession] = self._row(accession, "erased", catalogue) | {"erasure": erasure}

    def _refuse_twice(self, accession: str) -> None:
        if accession in self._rows:
            raise BundleError(f"{accession} is there twice")

    def _row(self, accession: str, state: str, catalogue: Mapping[str, Any]) -> dict[str, Any]:
        closed = dict.fromkeys(("erasure", "media_type", "path", "sha256", "sha512", "size"))
        own = {"accession": accession, "events": list(catalogue["events"]), "exhibit": catalogue.get("exhibit")}
        return own | closed | {"id": str(catalogue["id"]), "state": state}

    def set_checkpoint(self, note: bytes | str, *vkeys: str) -> None:
        """The signed head that all proofs of this bundle lead to, and the log's keys, the oldest first.

        Each key after the first needs its sanad/key-add entry (add_entry), a head of an earlier key (add_head) and the
        handover (add_handover).
        """
        text = note.decode("utf-8") if isinstance(note, bytes) else note
        try:
            self._keys = [decode_vkey(vkey) for vkey in vkeys]
            self._head = open_checkpoint(text, self._keys)
        except (NoteError, CheckpointError) as problem:
            raise BundleError(f"the checkpoint is not valid: {problem}") from None
        self._note = text
        self._write(bag.CHECKPOINT, [text.encode()])
        self._write(bag.VKEY, [f"{vkey}\n".encode() for vkey in vkeys])

    def add_head(self, note: bytes | str, consistency: Sequence[bytes]) -> None:
        """An earlier head of this log, verbatim, and the consistency proof from it to the checkpoint."""
        text, head = note.decode("utf-8") if isinstance(note, bytes) else note, self._checkpoint()
        try:
            earlier = open_checkpoint(text, self._keys)
            verify_consistency(earlier.size, earlier.root, head.size, head.root, consistency)
        except (NoteError, CheckpointError, ProofError) as problem:
            raise BundleError(f"an earlier head is not valid: {problem}") from None
        self._write(bag.place("head", earlier.size), [text.encode()])
        proof = format_consistency(earlier.size, consistency, self._note)
        self._write(bag.place("consistency", earlier.size), [proof.encode()])

    def add_handover(self, index: int, proof: bytes | str) -> None:
        """Of a sanad/key-add at `index`: its .tlog-proof under one of the earlier heads."""
        self._write(bag.place("handover", index), [proof if isinstance(proof, bytes) else proof.encode()])

    def add_anchor(self, index: int, response: bytes) -> None:
        """The RFC 3161 response (DER) that the sanad/anchor entry at `index` records."""
        self._write(bag.place("anchor", index), [response])

    def add_log(self, entries: Iterable[bytes], read_tile: TileReader) -> None:
        """The whole log: every entry in order, as many as the checkpoint's size, and the tiles (ledger.grow)."""
        head, bundle, count = self._checkpoint(), bytearray(), 0
        self._write(f"{bag.LOG}checkpoint", [self._note.encode()])
        for entry in entries:
            bundle += len(entry).to_bytes(2, "big") + entry
            count += 1
            if count % TILE_WIDTH == 0:
                self._write(bag.LOG + tile_path("entries", count // TILE_WIDTH - 1), [bytes(bundle)])
                bundle.clear()
        if bundle:
            self._write(bag.LOG + tile_path("entries", count // TILE_WIDTH, count % TILE_WIDTH), [bytes(bundle)])
        if count != head.size:
            raise BundleError(f"the log has {count} entries and its head covers {head.size}")
        for level, index, width in tile_widths(count):
            hashes = read_tile(level, index)[: width * HASH_BYTES]
            self._write(bag.LOG + tile_path(level, index, width), [hashes])

    def add_entry(
        self, index: int, entry: bytes, proof: bytes | str, disclosures: Mapping[str, tuple[bytes, Any]]
    ) -> None:
        """One entry's exact bytes, its proof under this bundle's checkpoint, and {field: (salt, value)} to open."""
        head = self._checkpoint()
        try:
            parsed, path = parse_entry(entry), parse_proof(proof)
            if parsed.origin != head.origin:
                raise ProofError(f"it is of another log, {parsed.origin}")
            if path.index != index or path.note != self._note:
                raise ProofError("the proof is for another entry or checkpoint")
            verify_inclusion(leaf_hash(entry), index, head.size, path.path, head.root)
            for field, (salt, value) in disclosures.items():
                if parsed.commitments.get(field) != commit(salt, field, value):
                    raise EntryError(f"the disclosure of {field} does not open its commitment")
            opened = canonical_disclosure(parsed.event_id, disclosures)
        except (EntryError, ProofError) as problem:
            raise BundleError(f"entry {index}: {problem}") from None
        if parsed.event_id in self._events:
            raise BundleError(f"entry {index} repeats event {parsed.event_id}")
        self._events[parsed.event_id] = index
        self._write(bag.place("entry", index), [entry])
        self._write(bag.place("proof", index), [proof if isinstance(proof, bytes) else proof.encode()])
        if disclosures:
            self._write(bag.place("disclosure", index), [opened])

    def _checkpoint(self) -> Checkpoint:
        if self._head is None:
            raise BundleError("the checkpoint comes before what it proves")
        return self._head

    def add_document(self, path: str, data: bytes) -> None:
        """Another file, such as an index for people, at data/`path`. Its digest is checked and nothing else."""
        if f"data/{path}".startswith(_RESERVED):
            raise BundleError(f"{path} is a place of the bundle's own")
        self._write(f"data/{path}", [data])

    def finish(self) -> Summary:
        """Add catalogue, verifier, instructions and manifests; sync; give the folder its name."""
        if self._head is None:
            raise BundleError("the bundle has no checkpoint")
        for row in self._rows.values():
            missing = [event for event in row["events"] if event not in self._events]
            if missing:
                raise BundleError(f"{row['accession']} misses the entry of event {missing[0]}")
            row["events"].sort(key=self._events.__getitem__)
        rows = [self._rows[accession] for accession in sorted(self._rows)]
        try:
            catalogue = canonical({"format": bag.BUNDLE_FORMAT, "items": rows}, max_bytes=bag.MAX_ITEMS_BYTES)
        except EntryError as problem:
            raise BundleError(f"the catalogue: {problem}") from None
        self._write(bag.ITEMS, [catalogue])
        self._write(VERIFIER, [verifier_archive()])
        self._write(PAGE, [page()])
        for language in LANGUAGES:
            self._write(f"data/README.{language}.txt", [resource(f"README.{language}.txt")])
        payload = dict(self._digests)
        size = sum(digests.size for digests in payload.values())
        labels = {label for label, _ in self._info}
        own = [
            ("Bagging-Date", time.strftime("%Y-%m-%d", time.gmtime())),
            ("Bag-Software-Agent", f"sanad-ledger {VERSION}"),
        ]
        info = [
            *self._info,
            *(line for line in own if line[0] not in labels),
            ("Payload-Oxum", f"{size}.{len(payload)}"),
        ]
        self._write("bagit.txt", [bag.DECLARATION])
        self._write("bag-info.txt", [format_info(info)])
        for algorithm in bag.ALGORITHMS:
            self._write(f"manifest-{algorithm}.txt", [format_manifest(algorithm, payload)])
        tags = {path: self._digests[path] for path in bag.TAG_FILES}
        for algorithm in bag.ALGORITHMS:
            self._write(f"tagmanifest-{algorithm}.txt", [format_manifest(algorithm, tags)])
        for folder, _, _ in os.walk(self._root):
            _sync(Path(folder))
        if self._target.exists():
            raise BundleError(f"{self._target} exists")
        self._root.rename(self._target)
        _sync(self._target.parent)
        digest, files = self._digests["tagmanifest-sha256.txt"].sha256, len(self._digests)
        total = sum(digests.size for digests in self._digests.values())
        return Summary(self._target, len(rows), len(self._events), files, total, digest)

    def _write(self, path: str, chunks: Iterable[bytes]) -> bag.Digests:
        if not safe_path(path) or path.lower() in self._folded:
            raise BundleError(f"{path} is not a safe path or is there already")
        hasher = Hasher()
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as output:
            for chunk in chunks:
                hasher.update(chunk)
                output.write(chunk)
            output.flush()
            os.fsync(output.fileno())
        self._folded.add(path.lower())
        self._digests[path] = hasher.digests()
        return self._digests[path]


class Hasher:
    """Both digests and the size of bytes as they pass."""

    def __init__(self) -> None:
        self._sha256, self._sha512, self._size = hashlib.sha256(), hashlib.sha512(), 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._sha512.update(data)
        self._size += len(data)

    def digests(self) -> bag.Digests:
        return bag.Digests(self._sha256.hexdigest(), self._sha512.hexdigest(), self._size)


def format_manifest(algorithm: str, digests: Mapping[str, bag.Digests]) -> bytes:
    """A manifest file: one `digest  path` line per file, in path order."""
    return "".join(f"{getattr(digests[path], algorithm)}  {path}\n" for path in sorted(digests)).encode("ascii")


def canonical_disclosure(event_id: str, fields: Mapping[str, tuple[bytes, Any]]) -> bytes:
    """A disclosure file of {field: (salt, value)}. Raises EntryError when it is too long."""
    opened = {name: {"salt": salt.hex(), "value": value} for name, (salt, value) in fields.items()}
    value = {"event_id": event_id, "fields": opened}
    return canonical(value, max_bytes=MAX_DISCLOSURE_BYTES, max_depth=MAX_DISCLOSURE_DEPTH)


def format_info(info: Iterable[tuple[str, str]]) -> bytes:
    """bag-info.txt. Raises BundleError for a label or value that does not fit one line."""
    lines = [f"{label}: {value}" for label, value in info]
    if not all(bag.INFO_LINE.match(line) for line in lines):
        raise BundleError("bag-info.txt has a malformed label or value")
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def safe_name(name: str) -> str:
    """A file name every system can hold, from any text: plain ASCII, at most 100 characters, never empty."""
    stem, dot, extension = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-").rpartition(".")
    kept = (
        f"{stem[: 99 - len(extension)]}.{extension}" if dot and len(extension) <= 12 else (stem + dot + extension)[:100]
    )
    kept = kept.strip("._-") or "item"
    return kept if safe_path(kept) else f"item-{kept}"


def zip_bundle(folder: Path, target: Path) -> Path:
    """The finished bundle as one .zip (stored, ZIP64 where needed): the same bytes for the same bundle and name."""
    if target.exists():
        raise BundleError(f"{target} exists")
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as output:
            with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                files = (Path(base) / name for base, _, names in os.walk(folder) for name in names)
                for file in sorted(files, key=lambda file: file.relative_to(folder).as_posix()):
                    _zip_file(archive, f"{folder.name}/{file.relative_to(folder).as_posix()}", file)
            output.flush()
            os.fsync(output.fileno())
        partial.rename(target)
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _zip_file(archive: zipfile.ZipFile, name: str, file: Path) -> None:
    info = member(name)
    info.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(info, "w", force_zip64=info.file_size >= 1 << 31) as output:
        shutil.copyfileobj(source, output, CHUNK)


def _sync(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

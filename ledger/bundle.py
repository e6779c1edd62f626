"""Writing a bundle: what leaves the archive so that anyone can check it (docs/spec/ledger.md, section 9).

Streams into a hidden folder beside the target, synced to disk, and takes its name in one rename at the end: a
bundle is there whole or not at all.
"""

from __future__ import annotations

import io
import os
import pkgutil
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
from ledger.entry import EntryError, canonical, commit, leaf_hash, parse_entry
from ledger.merkle import ProofError, verify_inclusion
from ledger.note import NoteError, decode_vkey
from ledger.proof import parse_proof
from ledger.source import CHUNK, BundleError, safe_path

if TYPE_CHECKING:
    from typing import Self

LANGUAGES = ("ar", "en", "fr")
VERIFIER = "data/verify/sanad-verify.pyz"
_MODULES = (
    "__init__",
    "__main__",
    "bag",
    "checkpoint",
    "cosignature",
    "ed25519",
    "entry",
    "merkle",
    "note",
    "policy",
    "proof",
    "source",
    "verify",
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
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

    Order: set_checkpoint before add_entry; the rest is free. Every method raises BundleError for input that the
    verifier would refuse by itself; verify_bundle on the finished folder sees how it all fits together.
    """

    def __init__(self, target: Path, info: Sequence[tuple[str, str]] = ()) -> None:
        """`info`: further lines of bag-info.txt, such as ("Source-Organization", "…"). No names of people."""
        if target.exists():
            raise BundleError(f"{target} exists")
        self._target, self._info = target, list(info)
        bag.format_info(self._info)
        self._root = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        self._digests: dict[str, bag.Digests] = {}
        self._folded: set[str] = set()
        self._rows: dict[str, dict[str, Any]] = {}
        self._events: dict[str, int] = {}
        self._head: Checkpoint | None = None
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
        if accession in self._rows:
            raise BundleError(f"{accession} is there twice")
        path = f"data/items/{accession}/{safe_name(name)}"
        digests = self._write(path, chunks)
        row = {
            "accession": accession,
            "events": list(catalogue["events"]),
            "exhibit": catalogue.get("exhibit"),
            "id": str(catalogue["id"]),
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

    def set_checkpoint(self, note: bytes | str, vkey: str) -> None:
        """The signed head that all proofs of this bundle lead to, and the key that signed it."""
        text = note.decode("utf-8") if isinstance(note, bytes) else note
        try:
            self._head = open_checkpoint(text, [decode_vkey(vkey)])
        except (NoteError, CheckpointError) as problem:
            raise BundleError(f"the checkpoint is not valid: {problem}") from None
        self._note = text
        self._write(bag.CHECKPOINT, [text.encode()])
        self._write(bag.VKEY, [vkey.encode() + b"\n"])

    def add_entry(
        self, index: int, entry: bytes, proof: bytes | str, disclosures: Mapping[str, tuple[bytes, Any]]
    ) -> None:
        """One entry's exact bytes, its proof under this bundle's checkpoint, and {field: (salt, value)} to open."""
        if self._head is None:
            raise BundleError("the checkpoint comes before the entries")
        try:
            parsed, path = parse_entry(entry), parse_proof(proof)
            if parsed.origin != self._head.origin:
                raise ProofError(f"it is of another log, {parsed.origin}")
            if path.index != index or path.note != self._note:
                raise ProofError("the proof is for another entry or checkpoint")
            verify_inclusion(leaf_hash(entry), index, self._head.size, path.path, self._head.root)
            for field, (salt, value) in disclosures.items():
                if parsed.commitments.get(field) != commit(salt, field, value):
                    raise EntryError(f"the disclosure of {field} does not open its commitment")
            opened = bag.canonical_disclosure(parsed.event_id, disclosures)
        except (EntryError, ProofError) as problem:
            raise BundleError(f"entry {index}: {problem}") from None
        if parsed.event_id in self._events:
            raise BundleError(f"entry {index} repeats event {parsed.event_id}")
        self._events[parsed.event_id] = index
        self._write(bag.entry_path(index), [entry])
        self._write(bag.proof_path(index), [proof if isinstance(proof, bytes) else proof.encode()])
        if disclosures:
            self._write(bag.disclosure_path(index), [opened])

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
            catalogue = canonical({"format": bag.FORMAT, "items": rows}, max_bytes=bag.MAX_ITEMS_BYTES)
        except EntryError as problem:
            raise BundleError(f"the catalogue: {problem}") from None
        self._write(bag.ITEMS, [catalogue])
        self._write(VERIFIER, [verifier_archive()])
        for language in LANGUAGES:
            self._write(f"data/README.{language}.txt", [_resource(f"README.{language}.txt")])
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
        self._write("bag-info.txt", [bag.format_info(info)])
        for algorithm in bag.ALGORITHMS:
            self._write(f"manifest-{algorithm}.txt", [bag.format_manifest(algorithm, payload)])
        tags = {path: self._digests[path] for path in bag.TAG_FILES}
        for algorithm in bag.ALGORITHMS:
            self._write(f"tagmanifest-{algorithm}.txt", [bag.format_manifest(algorithm, tags)])
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
        hasher = bag.Hasher()
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


def verifier_archive() -> bytes:
    """The verifier as one file that Python 3.9 and later runs: the same bytes for the same version of it."""
    buffer = io.BytesIO(b"#!/usr/bin/env python3\n")
    buffer.seek(0, os.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        start = b"from ledger.__main__ import main\n\nraise SystemExit(main())\n"
        archive.writestr(_member("__main__.py"), start)
        for module in _MODULES:
            archive.writestr(_member(f"ledger/{module}.py"), _resource(f"{module}.py"))
    return buffer.getvalue()


def _zip_file(archive: zipfile.ZipFile, name: str, file: Path) -> None:
    member = _member(name)
    member.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(member, "w", force_zip64=member.file_size >= 1 << 31) as output:
        shutil.copyfileobj(source, output, CHUNK)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system, member.external_attr = 3, 0o100644 << 16
    return member


def _resource(name: str) -> bytes:
    data = pkgutil.get_data("ledger", name)
    if data is None:
        raise BundleError(f"{name} is missing from this installation")
    return data


def _sync(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

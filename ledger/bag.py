"""The BagIt 1.0 shape of a bundle (RFC 8493, narrowed): layout, manifests, and the check of every digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.source import BundleError

if TYPE_CHECKING:
    from ledger.check import Check

BUNDLE_FORMAT = "sanad-bundle/2"
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
ALGORITHMS = ("sha256", "sha512")
MAX_MANIFEST_BYTES, MAX_INFO_BYTES, MAX_ITEMS_BYTES = 256 << 20, 64 * 1024, 16 << 20

ITEMS, LOG = "data/items.json", "data/ledger/log/"
VKEY, CHECKPOINT = "data/ledger/vkey", "data/ledger/checkpoint"
PLACES = {
    "entry": "data/ledger/entries/{}.json",
    "proof": "data/ledger/proofs/{}.tlog-proof",
    "disclosure": "data/disclosures/{}.json",
    "handover": "data/ledger/keys/{}.tlog-proof",
    "anchor": "data/ledger/anchors/{}.tsr",
    "head": "data/ledger/heads/{}.checkpoint",
    "consistency": "data/ledger/heads/{}.consistency",
}
TAG_FILES = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "manifest-sha512.txt")
TAG_MANIFESTS = ("tagmanifest-sha256.txt", "tagmanifest-sha512.txt")

_LINE = re.compile(r"([0-9a-f]+)  ([!-~]+)")
INFO_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]*): ([^\x00-\x1f\x7f]*)\Z")


class Digests(NamedTuple):
    """Hex digests and the size in bytes of one file."""

    sha256: str
    sha512: str
    size: int


def stated_digests(value: Mapping[str, Any]) -> Digests | None:
    """Those a catalogue row or a reception states; None unless the size is a number."""
    size = value.get("size")
    return Digests(value.get("sha256", ""), value.get("sha512", ""), size) if type(size) is int else None


def digests_of(chunks: Iterable[bytes]) -> Digests:
    """Both digests and the size of bytes as they pass."""
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    for chunk in chunks:
        sha256.update(chunk)
        sha512.update(chunk)
        size += len(chunk)
    return Digests(sha256.hexdigest(), sha512.hexdigest(), size)


def place(kind: str, number: int) -> str:
    """The path of an entry's file of a kind (see PLACES) by its index, or of a head's by its size."""
    return PLACES[kind].format(number)


def parse_manifest(data: bytes, algorithm: str) -> dict[str, str]:
    """{path: hex digest}. Raises BundleError unless the bytes are exactly what format_manifest writes."""
    matches = [_LINE.fullmatch(line) for line in data.decode("ascii", "replace").split("\n")[:-1]]
    listed = {match[2]: match[1] for match in matches if match}
    whole = "".join(f"{digest}  {path}\n" for path, digest in sorted(listed.items())).encode()
    if whole != data or {len(digest) for digest in listed.values()} - {hashlib.new(algorithm).digest_size * 2}:
        raise BundleError("has lines that are malformed, twice or out of order, or digests of another length")
    return listed


def check_bag(check: Check) -> dict[str, Digests]:
    """Every file hashed once and compared with both kinds of manifest. Returns the digests found, by path."""
    source, tell = check.source, check.tell
    for path, code, why in source.unsafe:
        tell(path, code, why)
    found: dict[str, Digests] = {}
    for path in sorted(source.files):
        try:
            found[path] = digests_of(source.chunks(path))
        except BundleError as problem:
            tell(path, problem.code, str(problem))
    if check.read("bagit.txt", len(DECLARATION)) not in (DECLARATION, None):
        tell("bagit.txt", "declaration-malformed", "does not declare BagIt 1.0 in UTF-8")
    payload = {path for path in source.files if path.startswith("data/")}
    tags = set(source.files) - payload
    for path in sorted(tags - set(TAG_FILES) - set(TAG_MANIFESTS)):
        tell(path, "file-unexpected", "is not part of the bundle")
    for stem, expected in (("manifest", payload), ("tagmanifest", tags & set(TAG_FILES))):
        wrong = [(kind, _misstated(check, f"{stem}-{kind}.txt", kind, expected, found)) for kind in ALGORITHMS]
        for kind, paths in wrong:
            if any(other is not None and (paths or set()) - other for _, other in wrong):
                tell(f"{stem}-{kind}.txt", "manifest-mismatch", "disagrees with its twin of the other algorithm")
    _check_info(check, payload)
    return found


def _misstated(check: Check, name: str, kind: str, expected: set[str], found: dict[str, Digests]) -> set[str] | None:
    """The paths about which the manifest is not right, None when it cannot be read."""
    listed = check.parse(name, MAX_MANIFEST_BYTES, "manifest-malformed", parse_manifest, kind)
    if listed is None:
        return None
    both = expected & listed.keys() & found.keys()
    changed = {path for path in both if getattr(found[path], kind) != listed[path]}
    told = [("file-missing", "is listed in {} and missing", listed.keys() - expected)]
    told += [("file-unlisted", "is not listed in {}", expected - listed.keys())]
    told += [("digest-mismatch", "was changed: it has another digest than in {}", changed)]
    for code, what, paths in told:
        for path in sorted(paths):
            check.tell(path, code, what.format(name))
    return changed | expected ^ listed.keys()


def _check_info(check: Check, payload: set[str]) -> None:
    text = check.parse("bag-info.txt", MAX_INFO_BYTES, "info-malformed", bytes.decode)
    if text is not None:
        lines = text.split("\n")
        if lines.pop() != "" or not all(INFO_LINE.match(line) for line in lines):
            check.tell("bag-info.txt", "info-malformed", "has a malformed line")
        oxum = f"Payload-Oxum: {sum(check.source.files[path] for path in payload)}.{len(payload)}"
        if [line for line in lines if line.startswith("Payload-Oxum:")] != [oxum]:
            check.tell("bag-info.txt", "oxum-mismatch", f"does not state the payload found ({oxum})")

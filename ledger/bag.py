"""The BagIt 1.0 shape of a bundle (RFC 8493, narrowed): layout, manifests, and the check of every digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.source import BundleError, Source

FORMAT = "sanad-bundle/2"
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
ALGORITHMS = ("sha256", "sha512")
MAX_MANIFEST_BYTES = 256 << 20
MAX_INFO_BYTES = 64 * 1024
MAX_ITEMS_BYTES = 64 << 20

ITEMS = "data/items.json"
VKEY = "data/ledger/vkey"
CHECKPOINT = "data/ledger/checkpoint"
LOG = "data/ledger/log/"
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

Tell = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Digests:
    """Hex digests and the size in bytes of one file."""

    sha256: str
    sha512: str
    size: int

    @staticmethod
    def stated(value: Mapping[str, Any]) -> Digests | None:
        """Those a catalogue row or a reception states; None unless the size is a number."""
        size = value.get("size")
        return Digests(value.get("sha256", ""), value.get("sha512", ""), size) if type(size) is int else None

    def of(self, algorithm: str) -> str:
        return self.sha256 if algorithm == "sha256" else self.sha512


class Hasher:
    """Both digests and the size of bytes as they pass."""

    def __init__(self) -> None:
        self._sha256, self._sha512, self._size = hashlib.sha256(), hashlib.sha512(), 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._sha512.update(data)
        self._size += len(data)

    def digests(self) -> Digests:
        return Digests(self._sha256.hexdigest(), self._sha512.hexdigest(), self._size)


def place(kind: str, number: int) -> str:
    """The path of an entry's file of a kind (see PLACES) by its index, or of a head's by its size."""
    return PLACES[kind].format(number)


def parse_manifest(algorithm: str, data: bytes) -> dict[str, str]:
    """{path: hex digest}. Raises BundleError unless the bytes are exactly what format_manifest writes."""
    code = "manifest-malformed"
    width, listed, previous = hashlib.new(algorithm).digest_size * 2, {}, ""
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeError:
        raise BundleError("is not a manifest: not plain ASCII", code) from None
    if lines.pop() != "":
        raise BundleError("does not end in a newline", code)
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or len(match[1]) != width:
            raise BundleError(f"has a malformed line {number}", code)
        if match[2] <= previous:
            raise BundleError(f"lists a file twice or out of order in line {number}", code)
        listed[match[2]] = match[1]
        previous = match[2]
    return listed


def check_bag(source: Source, tell: Tell) -> dict[str, Digests]:
    """Every file hashed once and compared with both kinds of manifest. Returns the digests found, by path.

    What is wrong is told as (path, code, sentence part): missing, unlisted, changed, unsafe or unreadable files.
    """
    for path, code, why in source.unsafe:
        tell(path, code, why)
    found: dict[str, Digests] = {}
    for path in sorted(source.files):
        hasher = Hasher()
        try:
            for chunk in source.chunks(path):
                hasher.update(chunk)
        except BundleError as problem:
            tell(path, problem.code, str(problem))
        else:
            found[path] = hasher.digests()
    try:
        if source.read("bagit.txt", len(DECLARATION)) != DECLARATION:
            tell("bagit.txt", "declaration-malformed", "does not declare BagIt 1.0 in UTF-8")
    except BundleError as problem:
        tell("bagit.txt", problem.code, str(problem))
    payload = {path for path in source.files if path.startswith("data/")}
    tags = set(source.files) - payload
    for path in sorted(tags - set(TAG_FILES) - set(TAG_MANIFESTS)):
        tell(path, "file-unexpected", "is not part of the bundle")
    for stem, expected in (("manifest", payload), ("tagmanifest", tags & set(TAG_FILES))):
        wrong = {
            name: _check_manifest(source, name, algorithm, expected, found, tell)
            for algorithm in ALGORITHMS
            for name in [f"{stem}-{algorithm}.txt"]
        }
        for name, paths in wrong.items():
            if any(other is not None and (paths or set()) - other for other in wrong.values()):
                tell(name, "manifest-mismatch", "disagrees with its twin of the other algorithm")
    _check_info(source, payload, tell)
    return found


def _check_manifest(
    source: Source, name: str, algorithm: str, expected: set[str], found: Mapping[str, Digests], tell: Tell
) -> set[str] | None:
    """The paths about which the manifest is not right, None when it cannot be read."""
    try:
        listed = parse_manifest(algorithm, source.read(name, MAX_MANIFEST_BYTES))
    except BundleError as problem:
        tell(name, problem.code, str(problem))
        return None
    for path in sorted(set(listed) - expected):
        tell(path, "file-missing", f"is listed in {name} and missing")
    for path in sorted(expected - set(listed)):
        tell(path, "file-unlisted", f"is not listed in {name}")
    changed = {path for path in expected & set(listed) if path in found and found[path].of(algorithm) != listed[path]}
    for path in sorted(changed):
        tell(path, "digest-mismatch", f"was changed: its {algorithm} is not the one in {name}")
    return changed | expected ^ set(listed)


def _check_info(source: Source, payload: set[str], tell: Tell) -> None:
    try:
        lines = source.read("bag-info.txt", MAX_INFO_BYTES).decode("utf-8").split("\n")
    except BundleError as problem:
        tell("bag-info.txt", problem.code, str(problem))
        return
    except UnicodeError:
        tell("bag-info.txt", "info-malformed", "is not UTF-8")
        return
    oxum = f"Payload-Oxum: {sum(source.files[path] for path in payload)}.{len(payload)}"
    if lines.pop() != "" or not all(INFO_LINE.match(line) for line in lines):
        tell("bag-info.txt", "info-malformed", "has a malformed line")
    if [line for line in lines if line.startswith("Payload-Oxum:")] != [oxum]:
        tell("bag-info.txt", "oxum-mismatch", f"does not state the payload found ({oxum})")

"""BagIt (RFC 8493), strictly: a bag is what its manifests say, or it is refused in one sentence that says where.

Every payload file is listed in every payload manifest (up to 0.97: in one at least), everything listed is there,
nothing is listed twice, Payload-Oxum agrees, and fetch.txt names nothing that is not there already: nothing is ever
fetched. The digests are compared by `checked`, while the bytes are read for whatever purpose.
"""

import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from django.utils.translation import gettext as _

from incidents.shapes import ContainerProblem, names_problem, path_problem, shown_name

LONGEST_TAG_FILE = 64 << 20  # bytes of a manifest, of bag-info.txt, of fetch.txt
ALGORITHMS = {"sha512": 128, "sha384": 96, "sha256": 64, "sha224": 56, "sha1": 40, "md5": 32}  # hex digits; best first
ENCODINGS = {"utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1", "utf-16": "utf-16"}
VERSIONS = ("0.93", "0.94", "0.95", "0.96", "0.97", "1.0")
_DECLARATION = re.compile(
    r"BagIt-Version: (\d+\.\d+)[ \t]*(?:\r\n|\n|\r)Tag-File-Character-Encoding: ([A-Za-z0-9_-]+)[ \t]*(?:\r\n|\n|\r)?\Z"
)
_MANIFEST = re.compile(r"(tag)?manifest-([A-Za-z0-9-]+)\.txt\Z")
_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+(\S.*)\Z", re.DOTALL)
_FETCH = re.compile(r"(\S+)[ \t]+(\d+|-)[ \t]+(\S.*)\Z", re.DOTALL)
_OXUM = re.compile(r"(\d+)\.(\d+)\Z")


class Tree(Protocol):
    """The files of a bag by their paths within it, and their sizes in bytes; `folders` are those that it names."""

    files: Mapping[str, int]
    folders: set[str]

    def pieces(self, path: str) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Bag:
    """A complete bag. `expected`: {path: {algorithm: hex}} of all that a manifest lists; `manifest`: the best one."""

    version: str
    manifest: str
    info: list[tuple[str, str]]
    expected: Mapping[str, Mapping[str, str]] = field(repr=False)


def read_bag(tree: Tree) -> Bag:
    """Read and compare everything but the digests of what is listed. Raises ContainerProblem."""
    version, encoding = _declaration(tree)
    manifests = {found: name for name in tree.files if (found := _manifest(name))}
    payload = {algorithm: name for (tag, algorithm), name in manifests.items() if not tag}
    if not payload:
        _refuse(_("This bag has no payload manifest."))
    if "data" not in tree.folders and not any(path.startswith("data/") for path in tree.files):
        _refuse(_("This bag has no payload folder “data”."))
    if problem := names_problem(tree.files):
        _refuse(problem)
    expected: dict[str, dict[str, str]] = {}
    for (tag, algorithm), name in manifests.items():
        for path, digest in _listed(tree, name, encoding, version, algorithm, payload=not tag).items():
            expected.setdefault(path, {})[algorithm] = digest
    _require_listed(tree, expected, payload, version)
    info = _info(tree, version, encoding)
    _require_oxum(tree, info)
    _require_fetched(tree, version, encoding)
    best = next(payload[algorithm] for algorithm in ALGORITHMS if algorithm in payload)
    return Bag(version, best, info, expected)


def checked(bag: Bag, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; behind the last, ContainerProblem unless they have every digest that the bag lists for them."""
    listed = bag.expected.get(path, {})
    digests = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in listed}
    for piece in pieces:
        for digest in digests.values():
            digest.update(piece)
        yield piece
    for algorithm, digest in digests.items():
        if digest.hexdigest() != listed[algorithm]:
            words = {"path": shown_name(path), "algorithm": algorithm}
            _refuse(_("%(path)s does not have the %(algorithm)s digest that the bag lists for it.") % words)


def _declaration(tree: Tree) -> tuple[str, str]:
    if "bagit.txt" not in tree.files:
        _refuse(_("There is no bagit.txt: this is no bag."))
    raw = _bytes(tree, "bagit.txt", 1_000)
    if raw.startswith(codecs.BOM_UTF8):
        _refuse(_("bagit.txt begins with a byte order mark, which it must not."))
    found = _DECLARATION.match(raw.decode("utf-8", "replace"))
    if found is None:
        _refuse(_("bagit.txt does not hold exactly the two lines of a bag declaration."))
    version, encoding = found[1], ENCODINGS.get(found[2].lower())
    if version not in VERSIONS or encoding is None:
        _refuse(
            _("This bag is of version %(version)s in %(encoding)s, which is not read here.")
            % {"version": version, "encoding": found[2]}
        )
    return version, encoding


def _manifest(name: str) -> tuple[str, str] | None:
    found = _MANIFEST.match(name)
    if found is None:
        return None
    algorithm = found[2].lower().replace("-", "")
    if algorithm not in ALGORITHMS:
        _refuse(_("%(path)s is of an algorithm that is not known here.") % {"path": shown_name(name)})
    return found[1] or "", algorithm


def _listed(tree: Tree, name: str, encoding: str, version: str, algorithm: str, *, payload: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in _lines(tree, name, encoding):
        place = {"file": name, "line": number}
        parts = _LINE.match(line)
        if parts is None or len(parts[1]) != ALGORITHMS[algorithm]:
            _refuse(_("%(file)s, line %(line)s: this is no digest with a path.") % place)
        written = parts[2]
        if payload and written.startswith(("*data/", "*./data/")):
            written = written[1:]  # md5sum marks binary reading so
        path = _path(written, version)
        if problem := path_problem(path) if path not in tree.files else "":
            _refuse(f"{_('%(file)s, line %(line)s:') % place} {problem}")
        if payload != path.startswith("data/") or (not payload and path.startswith("tagmanifest-")):
            words = place | {"path": shown_name(path)}
            _refuse(_("%(file)s, line %(line)s: %(path)s does not belong into this manifest.") % words)
        if path in found:
            _refuse(_("%(file)s, line %(line)s: %(path)s is listed twice.") % (place | {"path": shown_name(path)}))
        if path not in tree.files:
            words = place | {"path": shown_name(path)}
            _refuse(_("%(file)s, line %(line)s: %(path)s is listed and is not in the bag.") % words)
        found[path] = parts[1].lower()
    return found


def _path(written: str, version: str) -> str:
    """The path of a line: what stands for line ends, and from 1.0 on for the percent sign (2.1.3), is put back."""
    if version != "1.0":
        written = written.removeprefix("./")
    signs = "0[AaDd]" if version != "1.0" else "0[AaDd]|25"
    return re.sub(f"%({signs})", lambda found: chr(int(found[1], 16)), written)


def _require_listed(
    tree: Tree, expected: Mapping[str, Mapping[str, str]], payload: Mapping[str, str], version: str
) -> None:
    for path in tree.files:
        if not path.startswith("data/"):
            continue
        listed = expected.get(path, {})
        missing = [payload[algorithm] for algorithm in payload if algorithm not in listed]
        if missing and (version == "1.0" or not listed):
            words = {"path": shown_name(path), "file": missing[0]}
            _refuse(_("%(path)s is in the bag and not in %(file)s.") % words)


def _info(tree: Tree, version: str, encoding: str) -> list[tuple[str, str]]:
    name = "bag-info.txt" if version not in ("0.93", "0.94", "0.95") else "package-info.txt"
    found: list[tuple[str, str]] = []
    for number, line in _lines(tree, name, encoding) if name in tree.files else ():
        label, colon, value = line.partition(":")
        if line[0] in " \t" and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif colon and label.strip():
            found.append((label.strip(), value.strip()))
        elif line.strip():
            _refuse(_("%(file)s, line %(line)s: this is no label with a value.") % {"file": name, "line": number})
    return found


def _require_oxum(tree: Tree, info: list[tuple[str, str]]) -> None:
    for value in {value for label, value in info if label.lower() == "payload-oxum"}:
        stated = _OXUM.match(value)
        sizes = [size for path, size in tree.files.items() if path.startswith("data/")]
        if stated is None or (int(stated[1][:30]), int(stated[2][:30])) != (sum(sizes), len(sizes)):
            _refuse(
                _("Payload-Oxum says %(said)s, and the payload is %(is)s.")
                % {"said": shown_name(value), "is": f"{sum(sizes)}.{len(sizes)}"}
            )


def _require_fetched(tree: Tree, version: str, encoding: str) -> None:
    """A bag may list where its files came from (2.2.3). What is not there yet, nobody fetches from here."""
    for number, line in _lines(tree, "fetch.txt", encoding) if "fetch.txt" in tree.files else ():
        parts = _FETCH.match(line)
        path = _path(parts[3], version) if parts else ""
        if path not in tree.files or not path.startswith("data/"):
            words = {"line": number, "path": shown_name(path or line)}
            _refuse(
                _("fetch.txt, line %(line)s: %(path)s is not in the bag. Nothing is fetched: ask for the whole bag.")
                % words
            )


def _lines(tree: Tree, name: str, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a tag file with their numbers, by any of the line ends (2.2); empty ones say nothing."""
    try:
        text = _bytes(tree, name, LONGEST_TAG_FILE).decode(encoding)
    except UnicodeDecodeError:
        _refuse(_("%(file)s is not in the encoding that bagit.txt says.") % {"file": name})
    if "\0" in text or (encoding == "utf-8" and text.startswith("\ufeff")):
        _refuse(_("%(file)s is not in the encoding that bagit.txt says.") % {"file": name})
    return ((number, line) for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1) if line)


def _bytes(tree: Tree, name: str, most: int) -> bytes:
    if tree.files[name] > most:
        _refuse(_("%(file)s is longer than %(most)s bytes.") % {"file": name, "most": most})
    return b"".join(tree.pieces(name))


def _refuse(words: str) -> NoReturn:
    raise ContainerProblem(words)

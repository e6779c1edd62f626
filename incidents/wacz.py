"""What a web archive (WACZ 1.1.1, specs.webrecorder.net/wacz) says of itself. It is kept whole, never shown or run.

Read are its datapackage.json, its pages and its signature as bounded JSON, and what it says of its files is compared
with them. A signature is noted, not verified: who signed, with what, when, as the archive says.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from incidents.shapes import ContainerProblem, shown_name
from incidents.zipped import Zip

LONGEST_JSON = 4 << 20
MOST_PAGES = 1_000
LONGEST_TEXT = 2_000
_PAGES = ("pages/pages.jsonl", "pages/extraPages.jsonl")
_SIGNED = ("software", "created", "hash", "domain", "version")


@dataclass(frozen=True)
class WebArchive:
    """Its own words, cut to LONGEST_TEXT. `faults`: where it contradicts itself. `pages`: at most MOST_PAGES."""

    title: str
    created: str
    software: str
    version: str
    page_count: int
    pages: list[dict[str, str]]
    signature: dict[str, str]
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def is_wacz(zipped: Zip) -> bool:
    return "datapackage.json" in zipped.files and any(path.startswith("archive/") for path in zipped.files)


def read_wacz(zipped: Zip) -> WebArchive:
    """Raises ContainerProblem when it holds no datapackage.json that can be read; other faults are listed."""
    package = _object(zipped, "datapackage.json")
    if package is None:
        raise ContainerProblem(_("%(file)s is missing or cannot be read.") % {"file": "datapackage.json"})
    meta = package.get("metadata")
    told = {**(meta if isinstance(meta, dict) else {}), **package}
    faults = [*_resource_faults(zipped, package), *_digest_faults(zipped)]
    pages = [page for path in _PAGES if path in zipped.files for page in _pages(zipped, path, faults)]
    return WebArchive(
        title=_text(told.get("title")),
        created=_text(told.get("created")),
        software=_text(told.get("software")),
        version=_text(told.get("wacz_version")),
        page_count=len(pages),
        pages=pages[:MOST_PAGES],
        signature=_signature(zipped),
        faults=faults,
    )


def _resource_faults(zipped: Zip, package: Mapping[str, Any]) -> Iterator[str]:
    resources = package.get("resources")
    listed = [each for each in resources if isinstance(each, dict)] if isinstance(resources, list) else []
    for each in listed:
        path = _text(each.get("path"))
        stats = each.get("stats") if isinstance(each.get("stats"), dict) else {}
        algorithm, _colon, digest = _text(each.get("hash")).rpartition(":")
        algorithm, digest = algorithm or _text(each.get("hashing")), digest or _text((stats or {}).get("hash"))
        if path not in zipped.files:
            yield _("%(path)s is listed and is not in it.") % {"path": shown_name(path)}
        elif algorithm not in ("sha256", "md5"):
            yield _("%(path)s is of an algorithm that is not known here.") % {"path": shown_name(path)}
        elif _digest(zipped, path, algorithm) != digest:
            yield _("%(path)s does not have the digest that is listed for it.") % {"path": shown_name(path)}
    known = {_text(each.get("path")) for each in listed} | {"datapackage.json", "datapackage-digest.json"}
    for path in zipped.files:
        if path not in known:
            yield _("%(path)s is in it and is not listed.") % {"path": shown_name(path)}


def _digest_faults(zipped: Zip) -> Iterator[str]:
    signed = _object(zipped, "datapackage-digest.json")
    if signed is not None and _text(signed.get("hash")) != f"sha256:{_digest(zipped, 'datapackage.json', 'sha256')}":
        yield _("%(path)s does not have the digest that is listed for it.") % {"path": "datapackage.json"}


def _signature(zipped: Zip) -> dict[str, str]:
    """What is said of the signature; empty when there is none. Nothing of it is verified here."""
    signed = (_object(zipped, "datapackage-digest.json") or {}).get("signedData")
    return {name: _text(signed.get(name)) for name in _SIGNED if name in signed} if isinstance(signed, dict) else {}


def _pages(zipped: Zip, path: str, faults: list[str]) -> Iterator[dict[str, str]]:
    for number, line in enumerate(_bytes(zipped, path).splitlines(), start=1):
        page = _parsed(line)
        if isinstance(page, dict) and "url" in page:
            yield {name: _text(page.get(name)) for name in ("url", "ts", "title") if page.get(name)}
        elif number > 1 and line.strip():
            faults.append(_("%(file)s, line %(line)s: this is no page.") % {"file": path, "line": number})


def _digest(zipped: Zip, path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in zipped.pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _object(zipped: Zip, path: str) -> dict[str, Any] | None:
    parsed = _parsed(_bytes(zipped, path)) if path in zipped.files else None
    return parsed if isinstance(parsed, dict) else None


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _bytes(zipped: Zip, path: str) -> bytes:
    if zipped.files[path] > LONGEST_JSON:
        raise ContainerProblem(_("%(file)s is longer than %(most)s bytes.") % {"file": path, "most": LONGEST_JSON})
    return b"".join(zipped.pieces(path))


def _text(value: Any) -> str:
    """Words without what cannot be seen; what is no text is nothing."""
    return "".join(c for c in value if c.isprintable())[:LONGEST_TEXT] if isinstance(value, str) else ""

"""Canaries: values that stand nowhere else in the world, and the search for them in everything an archive keeps.

A canary is looked for in the ways in which software writes text down: UTF-8, UTF-16, hexadecimal, base64 at every
offset, percent and JSON escapes, also within zip and gzip. Digests and keys are looked for as bytes, in hexadecimal
and in base64.
"""

import base64
import gzip
import io
import json
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CHUNK = 8 << 20
DEEPEST = 3  # containers within containers
_ARABIC = "بتثجحخدذرزسشصضطظعغفقكلمنهوي"


@dataclass(frozen=True)
class Canary:
    """One planted value: where it was planted, and the byte strings that would betray it."""

    name: str
    needles: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Hit:
    """A canary that was found: which, in what writing, where."""

    canary: str
    writing: str
    where: str


def word() -> str:
    """A fresh text of Latin letters and digits, the same in lower case, that no other text holds."""
    return "canary" + "".join(secrets.choice("bcdfghjkmnpqrstvwxz23456789") for _ in range(16))


def arabic_word() -> str:
    """A fresh text of Arabic letters that search leaves as they are."""
    return "".join(secrets.choice(_ARABIC) for _ in range(14))


def of_text(name: str, text: str) -> Canary:
    """A planted text."""
    utf8 = text.encode()
    writings = [
        ("utf-8", utf8),
        ("utf-16-le", text.encode("utf-16-le")),
        ("utf-16-be", text.encode("utf-16-be")),
        ("percent", quote(text).encode()),
        ("percent, small", quote(text).lower().encode()),
        ("json", json.dumps(text)[1:-1].encode()),
        *_coded(utf8),
    ]
    return Canary(name, _unique(writings))


def of_bytes(name: str, data: bytes) -> Canary:
    """A planted digest, key or sealed value."""
    return Canary(name, _unique([("bytes", data), *_coded(data)]))


def in_file(path: Path, canaries: Iterable[Canary], shown: str) -> Iterator[Hit]:
    """The canaries in a file's bytes, and in what is packed in it; in flat memory."""
    longest = max((len(needle) for canary in canaries for _, needle in canary.needles), default=1)
    left = {(canary.name, writing): needle for canary in canaries for writing, needle in canary.needles}
    with path.open("rb") as handle:
        start = handle.read(4)
        handle.seek(0)
        tail = b""
        while chunk := handle.read(CHUNK):
            window = tail + chunk
            for key in [key for key, needle in left.items() if needle in window]:
                del left[key]
                yield Hit(*key, shown)
            tail = window[-longest:]
    if start[:2] in (b"PK", b"\x1f\x8b"):
        yield from _packed(path.read_bytes(), canaries, shown, DEEPEST)


def in_bytes(data: bytes, canaries: Iterable[Canary], shown: str, depth: int = DEEPEST) -> Iterator[Hit]:
    """The canaries in bytes, and in what is packed in them."""
    for canary in canaries:
        for writing, needle in canary.needles:
            if needle in data:
                yield Hit(canary.name, writing, shown)
    yield from _packed(data, canaries, shown, depth)


def _packed(data: bytes, canaries: Iterable[Canary], shown: str, depth: int) -> Iterator[Hit]:
    if depth == 0:
        return
    if data[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    yield from in_bytes(archive.read(name), canaries, f"{shown} > {name}", depth - 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return
    elif data[:2] == b"\x1f\x8b":
        try:
            yield from in_bytes(gzip.decompress(data), canaries, f"{shown} > gzip", depth - 1)
        except (OSError, EOFError, zlib.error):
            return


def _coded(data: bytes) -> list[tuple[str, bytes]]:
    found = [("hex", data.hex().encode()), ("hex, capital", data.hex().upper().encode())]
    for offset in range(3):
        # What stands around the value decides the first and the last character: they are left out.
        made = base64.b64encode(b"\0" * offset + data)[4 if offset else 0 :]
        core = made[: len(made) - len(made) % 4 - 4]
        found += [
            (f"base64 at {offset}", core),
            (f"base64url at {offset}", core.replace(b"+", b"-").replace(b"/", b"_")),
        ]
    return found


def _unique(writings: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    seen: dict[bytes, str] = {}
    for writing, needle in writings:
        seen.setdefault(needle, writing)
    return tuple((writing, needle) for needle, writing in seen.items())

"""Reading an exported escrow file and opening its lines (docs/spec/keys.md, sections 4 and 5).

A damaged line is reported and costs that line alone: the others are read all the same.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage

FORMAT = "sanad-escrow/1"
PURPOSE = "sanad/escrow/v1"
MOST_LINE_BYTES = 1 << 20
_HEX64 = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LineBroken(Exception):
    """A line of the file is damaged, or is for other recipients."""


class FileRefused(Exception):
    """This is no escrow file, or no identity can be read."""


@dataclass(frozen=True)
class Line:
    """One object: where its bytes are, and the age file that holds its key."""

    number: int
    address: str
    blob: str
    age: bytes


@dataclass(frozen=True)
class Opened:
    """What the record of an object says. `key` is shown by no repr."""

    address: str
    blob: str
    name: str
    sha256: str | None
    size: int | None
    key: "Key"


class Key(bytes):
    """A data key that shows itself to nobody who prints it."""

    def __repr__(self) -> str:
        return "<a key>"

    __str__ = __repr__


def read_identities(path: Path) -> list[Any]:
    """The age X25519 identities of a file, `#` beginning a comment. Raises FileRefused, which shows none of it."""
    found = []
    for line in _text(path).splitlines():
        stated = line.partition("#")[0].strip()
        if stated:
            try:
                found.append(pyrage.x25519.Identity.from_str(stated))
            except pyrage.IdentityError:
                raise FileRefused(f"{path.name} holds something else than age X25519 identities") from None
    if not found:
        raise FileRefused(f"{path.name} holds no identity")
    return found


def read_lines(path: Path) -> Iterator[Line | LineBroken]:
    """The objects of an escrow file, a LineBroken in the place of each line that cannot be read.

    The last one is a LineBroken when the file is not whole: cut, or changed after it was written. Raises FileRefused
    when it is none.
    """
    digest, count, whole = hashlib.sha256(), 0, False
    with path.open("rb") as handle:
        for number, raw in enumerate(iter(lambda: handle.readline(MOST_LINE_BYTES), b""), 1):
            value = _value(raw)
            if number == 1:
                if not isinstance(value, dict) or value.get("format") != FORMAT:
                    raise FileRefused(f"{path.name} is not an escrow file of format {FORMAT}")
            elif isinstance(value, dict) and set(value) == {"count", "sha256"}:
                whole = value == {"count": count, "sha256": digest.hexdigest()} and not handle.read(1)
                break
            else:
                count += 1
                yield _line(number, value)
            digest.update(raw)
    if not whole:
        yield LineBroken("the escrow file is not whole: it was cut or changed after it was written")


def open_line(line: Line, identities: list[Any]) -> Opened:
    """The record of an object, tested against itself. Raises LineBroken."""
    try:
        plain = pyrage.decrypt(line.age, identities)
    except pyrage.DecryptError:
        raise LineBroken("no identity opens it: it is for other recipients, or damaged") from None
    record = _value(plain)
    try:
        key = Key(bytes.fromhex(record["key"]))
        opened = Opened(record["address"], record["blob"], record["name"], record["sha256"], record["size"], key)
        purpose, commitment = record["purpose"], record["commitment"]
    except (KeyError, TypeError, ValueError):
        raise LineBroken("its record is not of the form it should be") from None
    if purpose != PURPOSE or len(key) != 32 or not isinstance(opened.name, str):
        raise LineBroken("its record is not of the form it should be")
    if (opened.address, opened.blob) != (line.address, line.blob):
        raise LineBroken("its record is of another object")
    if hashlib.sha256(b"archive/key-commitment/v1" + key).hexdigest() != commitment:
        raise LineBroken("its key is not the one the record commits to")
    return opened


def _line(number: int, value: Any) -> Line | LineBroken:
    try:
        address, blob, age = value["address"], value["blob"], base64.b64decode(value["age"], validate=True)
        if _HEX64.fullmatch(address) and _UUID.fullmatch(blob):
            return Line(number, address, blob, age)
    except (KeyError, TypeError, ValueError):
        pass
    return LineBroken(f"line {number} is damaged")


def _value(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileRefused(f"{path} cannot be read") from None

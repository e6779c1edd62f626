"""Zips as other people's programs make them, and zips that no honest program makes."""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from incidents.zipped import Zip


def made(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    """A zip by Python's own zipfile."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as zipped:
        for name, data in files.items():
            zipped.writestr(zipfile.ZipInfo(name, (2025, 3, 8, 5, 10, 0)), data, method)
        zipped.comment = comment
    return out.getvalue()


def opened(data: bytes, **limits: int) -> Zip:
    return Zip(lambda at, length: data[at : at + length], len(data), **limits)


def read_all(data: bytes) -> dict[str, bytes]:
    zipped = opened(data)
    return {path: b"".join(zipped.pieces(path)) for path in zipped.files}


def replaced(data: bytes, mark: bytes, offset: int, new: bytes, *, number: int = 0) -> bytes:
    """The zip with bytes changed behind the number-th record that begins with this mark."""
    at = -1
    for _ in range(number + 1):
        at = data.index(mark, at + 1)
    return data[: at + offset] + new + data[at + offset + len(new) :]


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """The same zip with another name of equal length, in both places."""
    assert len(old) == len(new)
    return data.replace(old, new)


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def overlapping() -> bytes:
    """Two names for one stored content, as overlap bombs have millions of: both headers point at the same place."""
    data = made({"one.txt": b"the same bytes"}, method=zipfile.ZIP_STORED)
    at = data.index(CENTRAL)
    central = data[at : data.index(END)]
    twice = central + central
    end = struct.pack("<4s4H2LH", END, 0, 0, 2, 2, len(twice), at, 0)
    return data[:at] + twice + end


def quoted_overlap() -> bytes:
    """One member's content holds the next one's header and content, so its bytes are counted twice."""
    inner = made({"two.bin": b"x" * 100}, method=zipfile.ZIP_STORED)
    whole = inner[: inner.index(CENTRAL)]
    outer = made({"one.bin": whole}, method=zipfile.ZIP_STORED)
    at = outer.index(CENTRAL)
    second = bytearray(inner[inner.index(CENTRAL) : inner.index(END)])
    struct.pack_into("<L", second, 42, outer.index(LOCAL, 4))
    directory = outer[at : outer.index(END)] + bytes(second)
    return outer[:at] + directory + struct.pack("<4s4H2LH", END, 0, 0, 2, 2, len(directory), at, 0)


def bombs() -> Iterator[bytes]:
    yield made({"zeros": bytes(40 << 20)})


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path

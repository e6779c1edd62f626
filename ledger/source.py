"""Reading a bundle without unpacking it: a folder, or a .zip of one. Nothing in it is trusted.

Only regular files with safe ASCII paths count; links, devices and encrypted members are named as unsafe and never
opened. Memory is bounded by the number of files, never by what a header claims.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

CHUNK, MAX_FILES, MAX_DIRECTORY, _SLICE = 1 << 20, 1_000_000, 256 << 20, 1 << 16  # a slice inflates to 66 MiB at most

_SEGMENT = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?\Z")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)

_DEFLATED, _STREAMED, _FLAGS, _FULL = 8, 0x8, 0x80E, 0xFFFFFFFF  # flags: of deflate, streamed, a name in UTF-8
_EXTRA = frozenset({0x0001, 0x000A, 0x5455, 0x5855, 0x7855, 0x7875})  # ZIP64; times and owners by several systems
_Member = tuple[int, int, int, int, bytes, int, bytes]  # place, size, stored size, sum, flags to moment, mode, name
_RECORD, _END, _END64 = map(struct.Struct, ("<4s4x8s3L4H4xHL", "<4s4H2LH", "<4sQ4s2L4Q4sLQL"))


class BundleError(ValueError):
    """The bundle, or one file of it, cannot be read or made. The message says what and why, `code` for programs."""

    def __init__(self, what: str, code: str = "unreadable") -> None:
        super().__init__(what)
        self.code = code


def safe_path(path: str) -> bool:
    """Whether a path is relative, plain ASCII, at most 400 characters, and a file name on every system."""
    return len(path) <= 400 and all(_SEGMENT.match(part) and not _DEVICES.match(part) for part in path.split("/"))


class Source(ExitStack):
    """The files of a bundle: `files` maps path to size in bytes, `unsafe` is (path, code, why) of what is left out.

    Leaving it, or `close()`, releases what it has open. `pieces`: a file's bytes as they come; `chunks` counts them.
    """

    pieces: Callable[[str], Iterator[bytes]]

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, int] = {}
        self.unsafe: list[tuple[str, str, str]] = []
        self._folded: set[str] = set()

    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, exactly as many as its listed size. Raises BundleError."""
        left = self.files[path]
        try:
            for data in self.pieces(path):
                left -= len(data)
                if left < 0:
                    break
                yield data
        except (OSError, ValueError, zlib.error) as problem:
            raise BundleError(f"cannot be read ({type(problem).__name__})", "file-unreadable") from None
        if left:
            raise BundleError("does not have its listed size", "file-unreadable")

    def read(self, path: str, limit: int) -> bytes:
        """A whole small file. Raises BundleError when it is missing or longer than `limit` bytes."""
        if path not in self.files:
            raise BundleError("is missing", "file-missing")
        if self.files[path] > limit:
            raise BundleError(f"is longer than {limit} bytes", "file-too-long")
        return b"".join(self.chunks(path))

    def _add(self, path: str, size: int) -> None:
        if len(self.files) + len(self.unsafe) >= MAX_FILES:
            raise BundleError(f"has more than {MAX_FILES} files")
        if not safe_path(path):
            self.unsafe.append((path, "unsafe-path", "has a name that is not safe in a bundle"))
        elif path.lower() in self._folded:
            self.unsafe.append((path, "path-duplicate", "is there twice"))
        else:
            self._folded.add(path.lower())
            self.files[path] = size

    def _strip_top(self) -> str:
        """Archives usually hold the bundle as one folder: forget its name. Returns the prefix left out."""
        tops = {path.split("/", 1)[0] + "/" for path in self.files}
        top = next(iter(tops)) if len(tops) == 1 else ""
        if "bagit.txt" in self.files or f"{top}bagit.txt" not in self.files:
            return ""
        self.files = {path[len(top) :]: size for path, size in self.files.items()}
        return top


class Folder(Source):
    """A folder: several processes may read it at once."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(root / folder) as listing:
                for entry in listing:
                    path = folder + entry.name
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        self._add(path, status.st_size)
                    elif stat.S_ISDIR(status.st_mode) and safe_path(path):
                        folders.append(path + "/")
                    else:
                        self.unsafe.append((path, "unsafe-path", "is a link, a device or an unsafely named folder"))

    def pieces(self, path: str) -> Iterator[bytes]:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self._root / path, flags), "rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")


class _Zip(Source):
    """A zip of which every byte has one meaning, so that every reader of zips finds these files in it (section 9)."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file, self._places = self.enter_context(file), dict[str, "tuple[int, int, int, int]"]()
        members = self._directory()
        for member, following in zip(members, members[1:]):  # noqa: B905, RUF007
            _, size, packed, crc, about, mode, raw = member
            flags, method = struct.unpack_from("<2H", about)
            start, name = self._start(member, following[0], flags, method), raw.decode("utf-8", "replace")
            if flags & ~_FLAGS or method not in (0, _DEFLATED):
                self.unsafe.append((name, "unsafe-path", "is encrypted or compressed in an unknown way"))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
                self.unsafe.append((name, "unsafe-path", "is a link or a device"))
            elif not name.endswith("/") or size or packed or not safe_path(name[:-1]):
                self._add(name, size)
                self._places[name] = start, start + packed, crc, method
        self._top = self._strip_top()

    def _take(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _directory(self) -> list[_Member]:
        """The members by their places, and behind them where the directory begins. Its end has to end the file."""
        end = self._file.seek(0, os.SEEK_END) - _END.size
        wide = self._take(max(0, end - _END64.size), _END64.size)
        if wide[56:60] == b"PK\6\7":
            end, (count, size, start) = end - _END64.size, struct.unpack_from("<3Q", wide, 32)
        else:
            wide, (count, size, start) = b"", struct.unpack("<10xH2L2x", self._take(end, _END.size))
        narrow = min(count, 0xFFFF)
        tail = _END.pack(b"PK\5\6", 0, 0, narrow, narrow, min(size, _FULL), min(start, _FULL), 0)
        if wide:
            stated = (44, wide[12:16], 0, 0, count, count, size, start)
            tail = _END64.pack(b"PK\6\6", *stated, b"PK\6\7", 0, end, 1) + tail
        if self._take(end, len(tail)) != tail or start + size != end or size > MAX_DIRECTORY or count > MAX_FILES:
            raise BundleError("does not end in a directory of at most a million members, and nothing else")
        members, data, at, good = [(start, 0, 0, 0, b"", 0, b"")], self._take(start, size), 0, True
        for _ in range(count):
            mark, about, crc, packed, plain, named, extra, *none, mode, place = _RECORD.unpack_from(data, at)
            name, at = data[at + 46 : at + 46 + named], at + 46 + named + extra
            good = good and mark == b"PK\1\2" and not any(none)
            plain, packed, place = _widened([plain, packed, place], data[at - extra : at])
            members.append((place, plain, packed, crc, about, mode, name))
        if not good or at != size or min(members)[0]:
            raise BundleError("has a malformed directory, or does not begin with its first member")
        return sorted(members)

    def _start(self, member: _Member, end: int, flags: int, method: int) -> int:
        """Where a member's content begins: behind a header that says the same, and ending where the next begins."""
        at, size, packed, crc, about, _, name = member
        header, told, streamed = self._take(at, 30), (crc, packed, size), flags & _STREAMED
        local_crc, local_packed, local_size, named, extra = struct.unpack_from("<3L2H", header, 14)
        start, sizes = at + 30 + named + extra, _widened([local_size, local_packed], self._take(at + 30 + named, extra))
        stated = enumerate((local_crc, *sizes[::-1]))
        same = all(one == told[number] or (streamed and one == 0) for number, one in stated)
        behind, allowed = end - start - packed, [] if streamed else [b""]
        if streamed and method == _DEFLATED:
            sums = struct.pack("<3L" if behind < 20 else "<L2Q", *told)
            allowed = [sums, b"PK\7\10" + sums]
        same = same and (header[:4], header[6:14], self._take(at + 30, named)) == (b"PK\3\4", about, name)
        good = same and 0 <= behind <= 24 and self._take(end - behind, behind) in allowed
        if not good or (method == 0 and packed != size):
            raise BundleError("has bytes that belong to no member, or a header that is not what the directory tells")
        return int(start)

    def pieces(self, path: str) -> Iterator[bytes]:
        start, end, stated, method = self._places[self._top + path]
        packed, crc = (self._take(at, min(_SLICE, end - at)) for at in range(start, end, _SLICE)), 0
        for data in _inflated(packed) if method else packed:
            crc = zlib.crc32(data, crc)
            yield data
        if crc != stated:
            raise BundleError("does not have its checksum")


def _widened(sizes: list[int], extra: bytes) -> list[int]:
    """The sizes, those of 4 GiB and more from the ZIP64 field, beside which only times and owners may stand."""
    wide = b""
    while extra:
        kind, length = struct.unpack_from("<2H", extra)
        if kind not in _EXTRA or length > len(extra) - 4 or (kind == 1 and wide):
            raise BundleError("has a member with a field that is not known here")
        wide, extra = extra[4 : 4 + length] if kind == 1 else wide, extra[4 + length :]
    found = iter(struct.unpack(f"<{sizes.count(_FULL)}Q", wide))
    return [next(found) if size == _FULL else size for size in sizes]


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a deflate stream, which ends with the last byte of the last piece."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for data in pieces:
        yield inflater.decompress(data)
        if inflater.unused_data:
            break
    if not inflater.eof or inflater.unused_data:
        raise BundleError("is not one deflate stream")


def open_source(path: Path) -> Source:
    """The bundle at a path: a folder, or a file that is a zip. Raises BundleError."""
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise BundleError("is neither a folder nor a file")
    file = path.open("rb")
    try:
        return _Zip(file)
    except (OSError, ValueError, struct.error) as problem:
        file.close()
        raise BundleError(f"cannot be read ({type(problem).__name__}: {str(problem)[:100]})") from None

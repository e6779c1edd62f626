"""Reading a bundle without unpacking it: a folder, a .zip or a .tar of one. Nothing in it is trusted.

Only regular files with safe ASCII paths count; links, devices, encrypted or overlapping members are named as
unsafe and never opened. Memory is bounded by the number of files, never by what a header claims.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

CHUNK = 1 << 20
MAX_FILES = 1_000_000
MAX_HEADER_READ = 256 << 20  # the central directory of a zip
MAX_TAR_EXTENSION = 64 * 1024

_SEGMENT = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?\Z")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)


class BundleError(ValueError):
    """The bundle, or one file of it, cannot be read or made. The message says what and why."""


def safe_path(path: str) -> bool:
    """Whether a path is relative, plain ASCII, at most 400 characters, and a file name on every system."""
    segments = path.split("/")
    return len(path) <= 400 and all(_SEGMENT.match(part) and not _DEVICES.match(part) for part in segments)


class Source:
    """The files of a bundle: `files` maps path to size in bytes, `unsafe` says what was left out and why."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        self.unsafe: list[tuple[str, str]] = []
        self._folded: set[str] = set()

    def open(self, path: str) -> IO[bytes]:
        raise NotImplementedError

    def close(self) -> None:
        """Release the archive file, if there is one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, exactly as many as its listed size. Raises BundleError."""
        left = self.files[path]
        try:
            with self.open(path) as stream:
                while data := stream.read(CHUNK):
                    left -= len(data)
                    if left < 0:
                        break
                    yield data
        except Exception as problem:  # zipfile and zlib raise a dozen types for damaged members
            raise BundleError(f"cannot be read ({type(problem).__name__})") from None
        if left:
            raise BundleError("does not have its listed size")

    def read(self, path: str, limit: int) -> bytes:
        """A whole small file. Raises BundleError when it is missing or longer than `limit` bytes."""
        if path not in self.files:
            raise BundleError("is missing")
        if self.files[path] > limit:
            raise BundleError(f"is longer than {limit} bytes")
        return b"".join(self.chunks(path))

    def _add(self, path: str, size: int) -> bool:
        if len(self.files) + len(self.unsafe) >= MAX_FILES:
            raise BundleError(f"has more than {MAX_FILES} files")
        if not safe_path(path):
            return self._refuse(path, "has a name that is not safe in a bundle")
        if path.lower() in self._folded:
            return self._refuse(path, "is there twice")
        self._folded.add(path.lower())
        self.files[path] = size
        return True

    def _refuse(self, path: str, why: str) -> bool:
        self.unsafe.append((path, why))
        return False

    def _strip_top(self) -> str:
        """Archives usually hold the bundle as one folder: forget its name. Returns the prefix left out."""
        tops = {path.split("/", 1)[0] + "/" for path in self.files}
        top = next(iter(tops)) if len(tops) == 1 else ""
        if "bagit.txt" in self.files or f"{top}bagit.txt" not in self.files:
            return ""
        self.files = {path[len(top) :]: size for path, size in self.files.items()}
        return top


class _Folder(Source):
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
                        self._refuse(path, "is a link, a device or a folder with an unsafe name")

    def open(self, path: str) -> IO[bytes]:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._root / path, flags), "rb")


class _Capped(io.FileIO):
    """A file that refuses to be read into memory in one piece beyond the cap, whatever a header claims."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > MAX_HEADER_READ:
            raise BundleError("has a directory that is too large")
        return super().read(size) or b""


class _Zip(Source):
    def __init__(self, file: _Capped) -> None:
        super().__init__()
        self._file, self._zip = file, zipfile.ZipFile(file)
        end = 0
        for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
            name, mode = info.filename, info.external_attr >> 16
            if name.endswith("/") and not info.file_size:
                continue
            if info.header_offset < end or info.orig_filename != name:
                raise BundleError("has overlapping or misnamed members")
            end = info.header_offset + 30 + info.compress_size
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self._refuse(name, "is encrypted or compressed in an unknown way")
            elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                self._refuse(name, "is a link or a device")
            else:
                self._add(name, info.file_size)
        self._top = self._strip_top()

    def open(self, path: str) -> IO[bytes]:
        return self._zip.open(self._top + path)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class _Part(io.RawIOBase):
    def __init__(self, file: _Capped, offset: int, size: int) -> None:
        self._file, self._offset, self._left = file, offset, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        self._file.seek(self._offset)
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._offset, self._left = self._offset + len(data), self._left - len(data)
        return len(data)


class _Tar(Source):
    """A reader of its own for plain ustar, pax and GNU long names: tarfile hangs on some damaged archives."""

    def __init__(self, file: _Capped) -> None:
        super().__init__()
        self._file = file
        self._at: dict[str, int] = {}
        end, offset, name, size = os.fstat(self._file.fileno()).st_size, 0, "", -1
        while (block := self._block(offset, 512)) != bytes(512):
            if _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
                raise BundleError("has a damaged tar header")
            kind, length = block[156:157], size if size >= 0 else _number(block[124:136])
            data, offset = offset + 512, offset + 512 + -(-length // 512) * 512
            if offset > end:
                raise BundleError("is cut off")
            if kind in (b"x", b"L", b"g"):
                extension = self._block(data, length) if length <= MAX_TAR_EXTENSION else b""
                if kind == b"L":
                    name = _text(extension)
                elif kind == b"x":
                    found = _pax(extension)
                    name, size = found.get("path", name), _decimal(found.get("size", "-1"))
                continue
            if not name:
                name = _text(block[:100])
                prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
                name = f"{prefix}/{name}" if prefix else name
            name = name.removeprefix("./")
            if kind in (b"0", b"\0") and self._add(name, length):
                self._at[name] = data
            elif kind not in (b"0", b"\0", b"5"):
                self._refuse(name, "is a link or a device")
            name, size = "", -1
        self._top = self._strip_top()

    def _block(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise BundleError("is cut off")
        return data

    def open(self, path: str) -> IO[bytes]:
        return io.BufferedReader(_Part(self._file, self._at[self._top + path], self.files[path]), CHUNK)

    def close(self) -> None:
        self._file.close()


def open_source(path: Path) -> Source:
    """The bundle at a path, by what it is: a folder, a zip or a tar. Raises BundleError."""
    try:
        if path.is_dir():
            return _Folder(path)
        if not path.is_file():
            raise BundleError("is neither a folder nor a file")
        file = _Capped(path, "rb")
        try:
            zipped = file.read(2) == b"PK"
            file.seek(0)
            return _Zip(file) if zipped else _Tar(file)
        except BaseException:
            file.close()
            raise
    except BundleError:
        raise
    except Exception as problem:  # zipfile raises a dozen types for damaged archives
        raise BundleError(f"cannot be read ({type(problem).__name__}: {str(problem)[:100]})") from None


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & (1 << 8 * len(field) - 1) - 1
    return _decimal(field.strip(b" \0").decode("latin-1") or "0", 8)


def _decimal(text: str, base: int = 10) -> int:
    if text == "-1":
        return -1
    if len(text) > 20 or not text.isascii() or not text.isdigit():
        raise BundleError("has a damaged tar header")
    return int(text, base)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pax(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while data.strip(b"\0"):
        length = _decimal(data[:8].split(b" ", 1)[0].decode("latin-1"))
        if length > len(data):
            raise BundleError("has a damaged tar header")
        record, data = data[:length], data[length:]
        key, mark, value = record.partition(b" ")[2].partition(b"=")
        if not mark or not value.endswith(b"\n"):
            raise BundleError("has a damaged tar header")
        found[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
    return found

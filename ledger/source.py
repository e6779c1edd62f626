"""Reading a bundle without unpacking it: a folder, or a .zip of one. Nothing in it is trusted.

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
from contextlib import ExitStack
from pathlib import Path
from typing import IO

CHUNK, MAX_FILES, MAX_HEADER_READ = 1 << 20, 1_000_000, 256 << 20  # the last: the central directory of a zip

_SEGMENT = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?\Z")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)


class BundleError(ValueError):
    """The bundle, or one file of it, cannot be read or made. The message says what and why, `code` for programs."""

    def __init__(self, what: str, code: str = "unreadable") -> None:
        super().__init__(what)
        self.code = code


def safe_path(path: str) -> bool:
    """Whether a path is relative, plain ASCII, at most 400 characters, and a file name on every system."""
    segments = path.split("/")
    return len(path) <= 400 and all(_SEGMENT.match(part) and not _DEVICES.match(part) for part in segments)


class Source(ExitStack):
    """The files of a bundle: `files` maps path to size in bytes, `unsafe` is (path, code, why) of what is left out.

    Leaving it, or `close()`, releases what it has open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, int] = {}
        self.unsafe: list[tuple[str, str, str]] = []
        self._folded: set[str] = set()

    def open(self, path: str) -> IO[bytes]:
        raise NotImplementedError

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
        self._zip, end = self.enter_context(zipfile.ZipFile(self.enter_context(file))), 0
        for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
            name, mode = info.filename, info.external_attr >> 16
            if name.endswith("/") and not info.file_size:
                continue
            if info.header_offset < end or info.orig_filename != name:
                raise BundleError("has overlapping or misnamed members")
            end = info.header_offset + 30 + info.compress_size
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.unsafe.append((name, "unsafe-path", "is encrypted or compressed in an unknown way"))
            elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                self.unsafe.append((name, "unsafe-path", "is a link or a device"))
            else:
                self._add(name, info.file_size)
        self._top = self._strip_top()

    def open(self, path: str) -> IO[bytes]:
        return self._zip.open(self._top + path)


def open_source(path: Path) -> Source:
    """The bundle at a path: a folder, or a file that is a zip. Raises BundleError."""
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise BundleError("is neither a folder nor a file")
    file = _Capped(path, "rb")
    try:
        return _Zip(file)
    except Exception as problem:  # zipfile raises a dozen types for damaged archives
        file.close()
        raise BundleError(f"cannot be read ({type(problem).__name__}: {str(problem)[:100]})") from None

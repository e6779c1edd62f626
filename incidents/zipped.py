"""Reading a zip that nobody trusts, without unpacking it: a zip of which every byte has one meaning, or none at all.

Plain reading of fixed records (APPNOTE 6.3.10, section 4.3) and one deflate stream a member. Whatever two readers could
read in two ways is refused in one sentence that says what and where; archives inside are members like any other and
are never opened. Memory is bounded by the number of members, never by what a header claims.
"""

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from django.utils.translation import gettext as _

from incidents.shapes import ContainerProblem, names_problem, path_problem, shown_name

MOST_MEMBERS = 100_000
MOST_DIRECTORY = 64 << 20  # bytes of the central directory
MOST_BYTES = 256 << 30  # of all members, unpacked
MOST_RATIO = 250  # of unpacked to packed, above RATIO_FROM; deflate itself ends at 1,032
RATIO_FROM = 1 << 20
LONGEST_TAIL = 22 + 0xFFFF  # the end of a zip with the longest comment there can be
SLICE, MOST_AT_ONCE = 1 << 16, 1 << 20

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _STREAMED, _UTF8 = 0x0001, 0x0008, 0x0800
_KNOWN_FLAGS = 0x0006 | _STREAMED | _UTF8  # the two of deflate's effort mean nothing to a reader
_FULL, _FULL_SHORT = 0xFFFFFFFF, 0xFFFF
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_CENTRAL, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_ZIP64, _UNICODE_PATH, _AES = 0x0001, 0x7075, 0x9901

ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True)
class _Member:
    path: str
    size: int
    packed: int
    crc: int
    method: int
    flags: int
    raw: bytes
    place: int  # of the local header
    start: int = 0  # of the content


class Zip:
    """The members of a zip: `files` maps path to size in bytes. Raises ContainerProblem.

    `read_at(offset, length)` gives the bytes of the zip, fewer only behind its end; `size` is the zip's.
    """

    def __init__(self, read_at: ReadAt, size: int, *, most_bytes: int = MOST_BYTES) -> None:
        self._read_at, self._size = read_at, size
        directory, count, begin = self._end()
        members = self._central(directory, count)
        self._bound(members, most_bytes)
        members = list(self._placed(members, begin))
        files = [member for member in members if not member.path.endswith("/")]
        self.folders = {member.path.removesuffix("/") for member in members if member.path.endswith("/")}
        if problem := names_problem([member.path for member in files], self.folders):
            _refuse(problem)
        self._members = {member.path: member for member in files}
        self.files = {member.path: member.size for member in files}

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of a member as they come, as many as listed, with their checksum. Raises ContainerProblem."""
        member = self._members[path]
        size, crc = 0, 0
        for piece in self._inflated(member) if member.method == _DEFLATED else self._packed(member):
            size += len(piece)
            if size > member.size:
                _refuse(_("%(path)s holds more bytes than the zip says.") % {"path": shown_name(path)})
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != member.size:
            _refuse(_("%(path)s holds fewer bytes than the zip says.") % {"path": shown_name(path)})
        if crc != member.crc:
            _refuse(
                _("%(path)s does not have the checksum that the zip says: it is damaged.") % {"path": shown_name(path)}
            )

    def _packed(self, member: _Member) -> Iterator[bytes]:
        end = member.start + member.packed
        for at in range(member.start, end, SLICE):
            yield self._take(at, min(SLICE, end - at))

    def _inflated(self, member: _Member) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(member):
                left = packed
                if inflater.eof:
                    raise zlib.error("bytes behind the end of the stream")
                while left and not inflater.eof:
                    yield inflater.decompress(left, MOST_AT_ONCE)
                    left = inflater.unconsumed_tail
            while not inflater.eof and (rest := inflater.decompress(b"", MOST_AT_ONCE)):
                yield rest
        except zlib.error:
            _refuse(_("%(path)s cannot be unpacked: its bytes are damaged.") % {"path": shown_name(member.path)})
        if not inflater.eof or inflater.unused_data:
            _refuse(_("%(path)s cannot be unpacked: its bytes are damaged.") % {"path": shown_name(member.path)})

    def _take(self, at: int, length: int) -> bytes:
        data = self._read_at(at, length) if at >= 0 and at + length <= self._size else b""
        if len(data) != length:
            _refuse(_("This zip is cut off, or its directory points outside it (at byte %(at)s).") % {"at": at})
        return data

    def _end(self) -> tuple[bytes, int, int]:
        """The central directory, its number of members, and where it begins."""
        tail_at = max(0, self._size - LONGEST_TAIL)
        tail = self._take(tail_at, self._size - tail_at)
        ends = [at for at in _found(tail, b"PK\5\6") if _is_end(tail, at)]
        if not ends:
            _refuse(_("This is no zip, or it does not end as a zip does."))
        if len(ends) > 1 or tail.find(b"PK\5\6", ends[0] + 1) >= 0:
            _refuse(_("This zip has two ends: readers would find different files in it."))
        at = tail_at + ends[0]
        _mark, disk, first_disk, here, count, length, start, _comment = _END.unpack_from(tail, ends[0])
        if disk or first_disk or here != count:
            _refuse(_("This zip is one part of several."))
        if at >= _LOCATOR.size and self._take(at - _LOCATOR.size, 4) == b"PK\6\7":
            at, count, length, start = self._end64(at, (count, length, start))
        elif _FULL in (length, start) or count == _FULL_SHORT:
            _refuse(_("This zip says that it is a large one (ZIP64), and its ZIP64 records are missing or wrong."))
        if start + length != at:
            _refuse(
                _("Between the directory of this zip and its end are %(count)s bytes that belong to nothing.")
                % {"count": at - start - length}
            )
        if count > MOST_MEMBERS or length > MOST_DIRECTORY:
            _refuse(_("This zip has %(count)s members, more than %(most)s.") % {"count": count, "most": MOST_MEMBERS})
        return self._take(start, length), count, start

    def _end64(self, end: int, said: tuple[int, int, int]) -> tuple[int, int, int, int]:
        _mark, disk, at, disks = _LOCATOR.unpack(self._take(end - _LOCATOR.size, _LOCATOR.size))
        record = self._take(at, _END64.size) if at + _END64.size == end - _LOCATOR.size else b""
        if not record or disk or disks != 1:
            _refuse(_("This zip says that it is a large one (ZIP64), and its ZIP64 records are missing or wrong."))
        mark, length, _by, _needs, disk, first_disk, here, count, size, start = _END64.unpack(record)
        shorts = (min(count, _FULL_SHORT), min(size, _FULL), min(start, _FULL))
        agrees = all(
            short in (wide, full) for short, wide, full in zip(said, shorts, (_FULL_SHORT, _FULL, _FULL), strict=True)
        )
        if mark != b"PK\6\6" or length != 44 or disk or first_disk or here != count or not agrees:
            _refuse(_("This zip says that it is a large one (ZIP64), and its ZIP64 records are missing or wrong."))
        return at, count, size, start

    def _central(self, directory: bytes, count: int) -> list[_Member]:
        members, at = [], 0
        for number in range(1, count + 1):
            if len(directory) - at < _CENTRAL.size or directory[at : at + 4] != b"PK\1\2":
                _refuse(_("The directory of this zip breaks off at member %(number)s.") % {"number": number})
            fields = _CENTRAL.unpack_from(directory, at)
            _mark, _by, _needs, flags, method, _time, _date, crc, packed, size, named, extra, comment = fields[:13]
            disk, _internal, external, place = fields[13:]
            at += _CENTRAL.size
            raw, more = directory[at : at + named], directory[at + named : at + named + extra]
            at += named + extra + comment
            if at > len(directory) or disk:
                _refuse(_("The directory of this zip breaks off at member %(number)s.") % {"number": number})
            path = _path(raw, flags, more)
            size, packed, place = _widened(path, (size, packed, place), more)
            _check(path, flags, method, size, packed, external >> 16, more)
            members.append(_Member(path, size, packed, crc, method, flags, raw, place))
        if at != len(directory):
            _refuse(_("The directory of this zip holds more than its members."))
        return members

    def _bound(self, members: list[_Member], most_bytes: int) -> None:
        total = 0
        for member in members:
            total += member.size
            if member.size > RATIO_FROM and member.size > MOST_RATIO * member.packed:
                _refuse(
                    _("%(path)s would unpack to %(size)s bytes from %(packed)s: that is a bomb.")
                    % {"path": shown_name(member.path), "size": member.size, "packed": member.packed}
                )
        if total > most_bytes:
            _refuse(
                _("This zip would unpack to %(size)s bytes, more than %(most)s.") % {"size": total, "most": most_bytes}
            )

    def _placed(self, members: list[_Member], directory: int) -> Iterator[_Member]:
        """Each with the start of its content: they lie one behind the other, from the first byte to the directory."""
        members = sorted(members, key=lambda member: member.place)
        first = members[0].place if members else directory
        if first:
            _refuse(
                _("Before the first member of this zip are %(count)s bytes that belong to nothing.") % {"count": first}
            )
        ends = [following.place for _member, following in pairwise(members)] + [directory][: len(members)]
        for member, end in zip(members, ends, strict=True):
            yield self._started(member, end)

    def _started(self, member: _Member, end: int) -> _Member:
        shown = {"path": shown_name(member.path)}
        header = self._take(member.place, _LOCAL.size)
        mark, _needs, flags, method, _time, _date, crc, packed, size, named, extra = _LOCAL.unpack(header)
        after = member.place + _LOCAL.size
        raw, more = self._take(after, named), self._take(after + named, extra)
        if mark != b"PK\3\4" or (flags, method, raw) != (member.flags, member.method, member.raw):
            _refuse(_("%(path)s has another name or method in its own header than in the directory.") % shown)
        size, packed = _widened(member.path, (size, packed), more)
        told, stated = (crc, packed, size), (member.crc, member.packed, member.size)
        streamed = bool(flags & _STREAMED)
        if not all(one == two or (streamed and one == 0) for one, two in zip(told, stated, strict=True)):
            _refuse(_("%(path)s has another size or checksum in its own header than in the directory.") % shown)
        start = after + named + extra
        behind = end - start - member.packed
        if behind < 0:
            _refuse(_("%(path)s overlaps what follows it: the same bytes would be two files.") % shown)
        if self._take(end - behind, min(behind, 25)) not in (_descriptors(stated) if streamed else [b""]):
            _refuse(_("Behind %(path)s are bytes that belong to nothing.") % shown)
        return _Member(
            member.path, member.size, member.packed, member.crc, member.method, member.flags, raw, member.place, start
        )


def _found(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def _is_end(tail: bytes, at: int) -> bool:
    return len(tail) - at >= _END.size and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail)


def _descriptors(stated: tuple[int, int, int]) -> list[bytes]:
    """How the sums behind streamed content may stand: with or without mark, in 4 or 8 bytes (4.3.9)."""
    wide = struct.pack("<L2Q", *stated)
    narrow = [struct.pack("<3L", *stated)] if max(stated) <= _FULL else []
    return [mark + sums for sums in (*narrow, wide) for mark in (b"", b"PK\7\10")]


def _path(raw: bytes, flags: int, extra: bytes) -> str:
    try:
        path = raw.decode("utf-8")  # without the flag as well: what is no ASCII and is UTF-8 was meant to be
    except UnicodeDecodeError:
        _refuse(_("A member of this zip has a name that is no UTF-8: %(path)s.") % {"path": shown_name(raw)})
    for kind, value in _fields(path, extra):
        if kind == _UNICODE_PATH and value[5:] != raw:
            _refuse(_("%(path)s has a second, other name in the same zip.") % {"path": shown_name(path)})
    return path


def _fields(path: str, extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if length > len(extra) - 4:
            _refuse(_("%(path)s has a malformed extra field.") % {"path": shown_name(path)})
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]


def _widened(path: str, sizes: tuple[int, ...], extra: bytes) -> tuple[int, ...]:
    """The sizes, those of 4 GiB and more from the ZIP64 field (4.5.3), which holds them and nothing else."""
    wide = [value for kind, value in _fields(path, extra) if kind == _ZIP64]
    needed = sizes.count(_FULL)
    if len(wide) > 1 or (needed and not wide) or (wide and needed and len(wide[0]) < 8 * needed):
        _refuse(_("%(path)s has a malformed extra field.") % {"path": shown_name(path)})
    found = iter(struct.unpack_from(f"<{needed}Q", wide[0])) if needed else iter(())
    return tuple(next(found) if size == _FULL else size for size in sizes)


def _check(path: str, flags: int, method: int, size: int, packed: int, mode: int, extra: bytes) -> None:
    shown = {"path": shown_name(path)}
    if flags & _ENCRYPTED or method == 99 or any(kind == _AES for kind, _value in _fields(path, extra)):
        _refuse(_("%(path)s is encrypted: send it decrypted, or keep the zip as one item.") % shown)
    if flags & ~_KNOWN_FLAGS or method not in (_STORED, _DEFLATED):
        _refuse(_("%(path)s is packed in a way that is not read here.") % shown)
    folder = path.endswith("/")
    if stat.S_IFMT(mode) not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        _refuse(_("%(path)s is a link or a device, no file.") % shown)
    if (folder and (size or packed > 2)) or (method == _STORED and packed != size):
        _refuse(_("%(path)s says sizes that cannot be.") % shown)
    if problem := path_problem(path.removesuffix("/")):
        _refuse(problem)


def _refuse(words: str) -> NoReturn:
    raise ContainerProblem(words)

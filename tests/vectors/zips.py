"""Archives a reader accepts, with what they hold, and archives in which different readers of zips would find different
files, which every reader of bundles refuses. Written to zips.json by make.py."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

STREAMED, NAME_IN_UTF8 = 0x8, 0x800
FULL = 0xFFFFFFFF
#: What an ordinary tool may add beside a name: the times and the owner of a file.
TIMES, OWNER = b"UT\5\0\3\0\0\0\0", b"ux\x0b\0\1\4\0\0\0\0\4\0\0\0\0"
SUMS = b"PK\7\x08"


def deflated(data: bytes, final: bool = True) -> bytes:
    """A deflate stream of one block that is not compressed: the same bytes from whatever library."""
    return struct.pack("<B2H", final, len(data), len(data) ^ 0xFFFF) + data


@dataclass(frozen=True)
class Member:
    """One member, and where it departs from what an honest tool writes."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    mode: int = 0o100644
    packed: bytes | None = None
    local: dict[str, Any] = field(default_factory=dict)  # what the header says instead
    central: dict[str, Any] = field(default_factory=dict)  # what the directory says instead
    extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    disk: int = 0
    descriptor: str | None = None  # the layout, with SUMS before it when it is upper case

    def content(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data

    def stated(self) -> dict[str, Any]:
        size, packed = len(self.data), len(self.content())
        about = {"flags": self.flags, "method": self.method, "time": 0, "date": 33}
        return {**about, "crc": zlib.crc32(self.data), "packed": packed, "size": size, "name": self.name}

    def header(self) -> bytes:
        said = self.stated()
        if self.flags & STREAMED:
            said |= {"crc": 0, "packed": 0, "size": 0}
        said |= self.local
        numbers = [said[key] for key in ("flags", "method", "time", "date", "crc", "packed", "size")]
        sizes = (len(said["name"]), len(self.extra))
        return struct.pack("<4s5H3L2H", b"PK\3\4", 20, *numbers, *sizes) + bytes(said["name"]) + self.extra

    def behind(self) -> bytes:
        if self.descriptor is None:
            return b""
        said = self.stated()
        layout = {"l": "<3L", "q": "<L2Q"}[self.descriptor.lower()]
        mark = SUMS if self.descriptor.isupper() else b""
        return mark + struct.pack(layout, said["crc"], said["packed"], said["size"])

    def record(self, at: int) -> bytes:
        said = {**self.stated(), "at": at, **self.central}
        numbers = [said[key] for key in ("flags", "method", "time", "date", "crc", "packed", "size")]
        sizes = (len(said["name"]), len(self.central_extra), len(self.comment), self.disk, 0)
        start = struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x314, 20, *numbers, *sizes, self.mode << 16, said["at"])
        return start + bytes(said["name"]) + self.central_extra + self.comment


@dataclass(frozen=True)
class Archive:
    """A whole file: members, then the directory, then its end."""

    members: tuple[Member, ...]
    front: bytes = b""
    gap: bytes = b""  # before the directory
    behind: bytes = b""
    comment: bytes = b""
    wide: bool = False
    end: dict[str, int] = field(default_factory=dict)  # what the end says instead
    wide_end: dict[str, int] = field(default_factory=dict)
    order: Callable[[list[bytes]], list[bytes]] = list

    def bytes(self) -> bytes:
        data, records = self.front, []
        for member in self.members:
            records.append(member.record(len(data)))
            data += member.header() + member.content() + member.behind()
        data += self.gap
        start, directory = len(data), b"".join(self.order(records))
        count = {"disk": 0, "first": 0, "here": len(records), "count": len(records)}
        said = {**count, "length": len(directory), "start": start, "comment": len(self.comment)}
        tail = b""
        if self.wide:
            large = {**said, "length64": 44, "total": 1, "at": start + len(directory), **self.wide_end}
            numbers = [large[key] for key in ("disk", "first", "here", "count", "length", "start")]
            tail = struct.pack("<4sQ2H2L4Q", b"PK\6\6", large["length64"], 45, 45, *numbers)
            tail += struct.pack("<4sLQL", b"PK\6\7", 0, large["at"], large["total"])
        said |= self.end
        numbers = [said[key] for key in ("disk", "first", "here", "count", "length", "start", "comment")]
        return data + directory + tail + struct.pack("<4s4H2LH", b"PK\5\6", *numbers) + self.comment + self.behind


ONE, TWO = Member(b"bundle/bagit.txt", b"a bag\n"), Member(b"bundle/data/a.txt", b"the truth\n")
PACKED = replace(TWO, method=8)
STREAM = replace(PACKED, flags=STREAMED, descriptor="L")
OTHER = Member(b"bundle/data/a.txt", b"something else\n")
HONEST = Archive((ONE, TWO))
WIDE = struct.pack("<2H2Q", 1, 16, 10, 10)


def zips() -> list[dict[str, Any]]:
    """Rows of {why, bytes in hex, files: {path: hex} or null, when it MUST be refused}."""
    folder = Member(b"bundle/data/", b"", mode=0o40755)
    accepted = {
        "stored in one folder": HONEST,
        "at the root": Archive((replace(ONE, name=b"bagit.txt"), replace(TWO, name=b"data/a.txt"))),
        "deflated": Archive((ONE, PACKED)),
        "with folders": Archive((ONE, folder, TWO)),
        "with times and owners": Archive((ONE, replace(TWO, extra=TIMES + OWNER, central_extra=TIMES[:8] + b"\0"))),
        "streamed": Archive((ONE, STREAM)),
        "streamed, the size told before": Archive((ONE, replace(STREAM, local={"size": 10}))),
        "streamed, the descriptor without its mark": Archive((ONE, replace(STREAM, descriptor="l"))),
        "streamed, a wide descriptor": Archive((ONE, replace(STREAM, descriptor="Q"))),
        "streamed, a wide descriptor without its mark": Archive((ONE, replace(STREAM, descriptor="q"))),
        "a ZIP64 end": Archive((ONE, TWO), wide=True),
        "a ZIP64 header": Archive((ONE, replace(TWO, extra=WIDE, local={"packed": FULL, "size": FULL}))),
        "a ZIP64 record": Archive((ONE, replace(TWO, central_extra=WIDE, central={"packed": FULL, "size": FULL}))),
        "the directory in another order": Archive((ONE, TWO), order=lambda records: records[::-1]),
    }
    evil = Archive((OTHER,)).bytes()
    hidden = OTHER.header() + OTHER.content()
    whole = HONEST.bytes()
    refused: dict[str, Archive | bytes] = {
        "another archive in front": evil + whole,
        "another archive in front, the offsets set right": Archive((ONE, TWO), front=evil),
        "a member in front that the directory does not know": Archive((ONE, TWO), front=hidden),
        "a member before the directory that it does not know": Archive((ONE, TWO), gap=hidden),
        "a gap between members": Archive((replace(ONE, packed=ONE.data + b"\0", central={"packed": 6}), TWO)),
        "bytes before the directory": Archive((ONE, TWO), gap=b"\0"),
        "bytes behind the end": Archive((ONE, TWO), behind=b"\0"),
        "a remark at the end": Archive((ONE, TWO), comment=b"hello"),
        "a remark that is an archive": Archive((ONE, TWO), comment=evil),
        "an archive behind a remark's length": Archive((ONE, TWO), end={"comment": len(evil)}, behind=evil),
        "a remark of a member": Archive((ONE, replace(TWO, comment=b"hello"))),
        "the end counts fewer members": Archive((ONE, TWO), end={"here": 1, "count": 1}),
        "the end counts more members": Archive((ONE, TWO), end={"here": 3, "count": 3}),
        "the end counts two numbers of members": Archive((ONE, TWO), end={"here": 1}),
        "the end is of another disk": Archive((ONE, TWO), end={"disk": 7, "first": 7}),
        "a member on another disk": Archive((ONE, replace(TWO, disk=1))),
        "a shorter directory": Archive((ONE, TWO), end={"length": 63}),
        "a ZIP64 end of which the end says otherwise": Archive((ONE, TWO), wide=True, end={"start": 0}),
        "a ZIP64 end that is longer": Archive((ONE, TWO), wide=True, wide_end={"length64": 45}),
        "a ZIP64 end elsewhere": Archive((ONE, TWO), wide=True, wide_end={"at": 0}),
        "a ZIP64 end of two disks": Archive((ONE, TWO), wide=True, wide_end={"total": 2}),
        "a ZIP64 end that counts two numbers": Archive((ONE, TWO), wide=True, wide_end={"here": 1}),
        "stored, and longer than it says": Archive((ONE, replace(TWO, packed=TWO.data + b"and more"))),
        "stored, and shorter than it says": Archive((ONE, replace(TWO, packed=TWO.data[:-1]))),
        "deflated to more than it says": Archive((ONE, replace(PACKED, packed=deflated(TWO.data + b"more")))),
        "deflated to less than it says": Archive((ONE, replace(PACKED, packed=deflated(TWO.data[:-1])))),
        "deflated without an end": Archive((ONE, replace(PACKED, packed=deflated(TWO.data, final=False)))),
        "deflated, and bytes behind the stream": Archive((ONE, replace(PACKED, packed=deflated(TWO.data) + b"junk"))),
        "deflated, and one byte behind the stream": Archive((ONE, replace(PACKED, packed=deflated(TWO.data) + b"\0"))),
        "deflated of nothing": Archive((ONE, replace(PACKED, data=b"", packed=b""))),
        "another checksum": Archive((ONE, replace(TWO, local={"crc": 1}, central={"crc": 1}))),
        "another checksum in the header": Archive((ONE, replace(TWO, local={"crc": 1}))),
        "another name in the header": Archive((ONE, replace(TWO, local={"name": b"bundle/data/b.txt"}))),
        "another size in the header": Archive((ONE, replace(PACKED, local={"size": 9}))),
        "another method in the header": Archive((ONE, replace(TWO, local={"method": 8}))),
        "other flags in the header": Archive((ONE, replace(TWO, local={"flags": NAME_IN_UTF8}))),
        "another moment in the header": Archive((ONE, replace(TWO, local={"date": 34}))),
        "streamed, another size told before": Archive((ONE, replace(STREAM, local={"size": 9}))),
        "no sizes in a header that is not streamed": Archive((ONE, replace(TWO, local={"size": 0, "packed": 0}))),
        "streamed and stored": Archive((ONE, replace(TWO, flags=STREAMED, descriptor="L"))),
        "streamed and stored without a descriptor": Archive((ONE, replace(TWO, flags=STREAMED))),
        "streamed without a descriptor": Archive((ONE, replace(STREAM, descriptor=None))),
        "a descriptor of a member that is not streamed": Archive((ONE, replace(PACKED, descriptor="L"))),
        "a descriptor that says otherwise": Archive((ONE, replace(STREAM, central={"crc": 1}))),
        "encrypted": Archive((ONE, replace(TWO, flags=0x1))),
        "with a patch": Archive((ONE, replace(TWO, flags=0x20))),
        "compressed in another way": Archive((ONE, replace(TWO, method=12))),
        "another name in a field": Archive((ONE, replace(TWO, extra=b"up\6\0\1\0\0\0\0x"))),
        "another name in a field of the directory": Archive((ONE, replace(TWO, central_extra=b"up\6\0\1\0\0\0\0x"))),
        "a field that is cut off": Archive((ONE, replace(TWO, extra=b"UT\5\0"))),
        "a ZIP64 field that nothing asks for": Archive((ONE, replace(TWO, extra=WIDE))),
        "a ZIP64 field twice": Archive(
            (ONE, replace(TWO, extra=WIDE * 2, local={"packed": FULL, "size": FULL})),
        ),
        "a ZIP64 field that is too long": Archive((ONE, replace(TWO, extra=WIDE, local={"packed": FULL}))),
        "two members in one place": Archive((TWO, ONE, replace(TWO, central={"at": 0}))),
        "a member twice": Archive((ONE, TWO, OTHER)),
        "a link": Archive((ONE, replace(TWO, mode=0o120777))),
        "a folder that is a link": Archive((ONE, replace(folder, mode=0o120777), TWO)),
        "a folder with content": Archive((ONE, replace(folder, data=b"x"), TWO)),
        "a folder that leads out": Archive((ONE, replace(folder, name=b"../"), TWO)),
        "a name that leads out": Archive((ONE, TWO, Member(b"../x", b"x"))),
        "a name with a zero": Archive((ONE, TWO, Member(b"bundle/data/b\0c", b"x"))),
        "cut off": whole[:-1],
        "an end alone": b"PK\5\6" + bytes(18),
        "nothing": b"",
    }
    files = {"bagit.txt": ONE.data.hex(), "data/a.txt": TWO.data.hex()}
    rows: list[dict[str, Any]] = [
        {"why": why, "bytes": one.bytes().hex(), "files": files} for why, one in accepted.items()
    ]
    for why, made in refused.items():
        rows.append({"why": why, "bytes": (made.bytes() if isinstance(made, Archive) else made).hex(), "files": None})
    return rows

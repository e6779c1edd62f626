"""A zip is read in one way only, or refused in a sentence that says what and where."""

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from incidents import zipped
from incidents.shapes import ContainerProblem
from tests.incidents.zips import CENTRAL, END, LOCAL, made, opened, overlapping, quoted_overlap, read_all, replaced

FILES = {"a.txt": b"one", "inner/b.bin": os.urandom(300_000), "صورة.jpg": b"\xff\xd8" * 400, "empty": b""}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"collected on 8 March"])
def test_what_a_zip_holds_is_read_bit_by_bit(method: int, comment: bytes) -> None:
    assert read_all(made(FILES, method=method, comment=comment)) == FILES


def test_a_zip_written_to_a_pipe_and_one_with_large_fields_are_read() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as streamed:
        streamed.writestr("a.txt", b"one" * 1000)
    assert read_all(pipe.data) == {"a.txt": b"one" * 1000}
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w") as wide, wide.open("a.txt", "w", force_zip64=True) as member:
        member.write(b"one")
    assert read_all(large.getvalue()) == {"a.txt": b"one"}


def test_an_empty_zip_and_one_with_folders_have_no_other_files() -> None:
    assert opened(made({})).files == {}
    with_folder = opened(made({"folder/": b"", "folder/a": b"1"}))
    assert (with_folder.files, with_folder.folders) == ({"folder/a": 1}, {"folder"})


@pytest.mark.parametrize(
    "name",
    [
        "../out.txt",
        "a/../../out.txt",
        "/etc/passwd",
        "C:/autorun.inf",
        "a\\..\\b",
        "a//b",
        "./a",
        "~root/a",
        "line\nbreak",
        "bell\x07",
        "gpj.\u202eexe.jpg",
        "CON",
        "inner/nul.txt",
        "com1.log",
        "dot.",
        "blank ",
        "what?.txt",
        "x" * 256,
        "/".join("d" * 65),
    ],
)
def test_names_that_lead_elsewhere_or_deceive_are_refused(name: str) -> None:
    if name == "a\\..\\b":  # Python's writer would change it
        data = made({"a/../b": b""}).replace(b"a/../b", b"a\\..\\b")
    else:
        data = made({"innocent": b"1", name: b"2"})
    with pytest.raises(ContainerProblem) as refused:
        opened(data)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "names",
    [("photo.jpg", "PHOTO.JPG"), ("n\u00fa", "nu\u0301"), ("a", "a/b"), ("A", "a/b"), ("straße", "STRASSE")],
)
def test_names_that_are_one_name_on_some_system_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ContainerProblem, match=r"one name|a file and a folder"):
        opened(made(dict.fromkeys(names, b"1")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as twice:
        twice.writestr("a", b"1")
        twice.writestr("a", b"2")
    with pytest.raises(ContainerProblem, match="one name"):
        opened(out.getvalue())


def test_a_name_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(ContainerProblem, match="no UTF-8: caf%E9"):
        opened(made({"cafe": b"1"}).replace(b"cafe", b"caf\xe9"))


def test_encrypted_members_links_and_unknown_methods_are_refused() -> None:
    plain = made({"a.txt": b"one"})
    locked = replaced(replaced(plain, LOCAL, 6, b"\1\0"), CENTRAL, 8, b"\1\0")
    with pytest.raises(ContainerProblem, match=r"a\.txt is encrypted"):
        opened(locked)
    mode = struct.pack("<L", (stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(ContainerProblem, match=r"a\.txt is a link"):
        opened(replaced(plain, CENTRAL, 38, mode))
    with pytest.raises(ContainerProblem, match="packed in a way"):
        opened(made({"a.txt": b"one" * 99}, method=zipfile.ZIP_BZIP2))


def test_a_header_that_says_other_than_the_directory_is_refused() -> None:
    plain = made({"a.txt": b"one" * 100})
    for offset, new, words in (
        (30, b"b", "another name"),
        (8, b"\0\0", "another name or method"),
        (14, b"\1\2\3\4", "another size or checksum"),
        (22, b"\1\0\0\0", "another size or checksum"),
    ):
        with pytest.raises(ContainerProblem, match=words):
            opened(replaced(plain, LOCAL, offset, new))


def test_overlapping_members_are_refused() -> None:
    for data in (overlapping(), quoted_overlap()):
        with pytest.raises(ContainerProblem, match="overlaps"):
            opened(data)


def test_bytes_that_belong_to_nothing_are_refused() -> None:
    plain = made({"a.txt": b"one"})
    at = plain.index(CENTRAL)
    shifted = replaced(b"MZ\0\0" + plain, CENTRAL, 42, struct.pack("<L", 4))
    with pytest.raises(ContainerProblem, match="Before the first member"):
        opened(replaced(shifted, END, 16, struct.pack("<L", at + 4)))
    with pytest.raises(ContainerProblem, match="belong to nothing"):
        opened(b"#!/bin/sh\n" + plain)
    with pytest.raises(ContainerProblem, match="does not end as a zip"):
        opened(plain + b"x")
    with pytest.raises(ContainerProblem, match="two ends"):
        opened(made({"a.txt": b"one"}, comment=made({"b.txt": b"two"})))
    hiding = replaced(plain[:at] + b"hidden" + plain[at:], END, 16, struct.pack("<L", at + 6))
    with pytest.raises(ContainerProblem, match=r"Behind a\.txt"):
        opened(hiding)


def test_lies_about_numbers_and_places_are_refused() -> None:
    plain = made({"a.txt": b"one", "b.txt": b"two"})
    for mark, offset, new in (
        (END, 8, struct.pack("<2H", 3, 3)),
        (END, 8, struct.pack("<2H", 1, 1)),
        (END, 8, struct.pack("<2H", 1, 2)),
        (END, 8, struct.pack("<2H", 0xFFFF, 0xFFFF)),
        (END, 12, struct.pack("<L", 0xFFFFFFFF)),
        (END, 16, struct.pack("<L", 0xFFFFFFF0)),
        (END, 4, b"\1\0"),
        (CENTRAL, 42, struct.pack("<L", 0x7FFFFFFF)),
        (CENTRAL, 42, struct.pack("<L", 0xFFFFFFFF)),
        (CENTRAL, 24, struct.pack("<L", 0xFFFFFFFF)),
        (CENTRAL, 28, b"\xff\xff"),
        (CENTRAL, 34, b"\1\0"),
    ):
        with pytest.raises(ContainerProblem):
            opened(replaced(plain, mark, offset, new))
    for cut in range(len(plain)):
        with pytest.raises(ContainerProblem):
            opened(plain[:cut])


def test_every_single_changed_byte_is_refused_or_changes_nothing_that_counts() -> None:
    plain = made({"a.txt": b"one" * 30, "b.txt": b"two"})
    for at in range(len(plain)):
        changed = bytearray(plain)
        changed[at] ^= 0x55
        try:
            found = read_all(bytes(changed))
        except ContainerProblem:
            continue
        assert sorted(found.values()) == [b"one" * 30, b"two"]


def test_bombs_are_refused_before_a_byte_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContainerProblem, match="bomb"):
        opened(made({"zeros": bytes(40 << 20)}))
    with pytest.raises(ContainerProblem, match="would unpack to 10 bytes"):
        opened(made({"a": b"12345", "b": b"12345"}), most_bytes=9)
    monkeypatch.setattr(zipped, "MOST_MEMBERS", 1)
    with pytest.raises(ContainerProblem, match="has 2 members"):
        opened(made({"a": b"12345", "b": b"12345"}))


def test_a_member_that_holds_more_or_less_than_it_says_is_refused_while_it_is_read() -> None:
    plain = made({"a.txt": b"one" * 1000})
    for size in (2, 2_999, 3_001):
        lie = struct.pack("<L", size)
        data = replaced(replaced(plain, LOCAL, 22, lie), CENTRAL, 24, lie)
        with pytest.raises(ContainerProblem, match=r"a\.txt holds (more|fewer) bytes"):
            read_all(data)


def test_archives_inside_are_members_like_any_other() -> None:
    inner = made({"deep.txt": b"deep"})
    assert read_all(made({"inner.zip": inner})) == {"inner.zip": inner}


def test_every_real_nasty_zip_is_read_as_python_reads_it_or_refused(test_data: Path) -> None:
    taken = 0
    for path in sorted([*(test_data / "nasty").rglob("*.zip"), *(test_data / "wacz").glob("*.wacz")]):
        data = path.read_bytes()
        try:
            found = read_all(data)
        except ContainerProblem:
            continue
        taken += 1
        with zipfile.ZipFile(io.BytesIO(data)) as oracle:
            assert found == {name: oracle.read(name) for name in oracle.namelist() if not name.endswith("/")}
    assert taken >= 7

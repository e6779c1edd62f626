"""Reading hostile folders and archives: links, devices, bombs, lies in headers. Nothing hangs, nothing escapes."""

import os
import random
import struct
import zipfile
from pathlib import Path

import pytest

from ledger.bundle import zip_bundle
from ledger.source import BundleError, open_source
from ledger.verify import verify_bundle
from tests.ledger.sample import write_bundle
from tests.ledger.test_bundle import everything


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def problems(path: Path) -> dict[str, str]:
    report = verify_bundle(path)
    assert report.exit_code == 1
    return {problem.where: problem.what for problem in report.problems}


def test_a_compressed_zip_without_a_top_folder_verifies(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "flat.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in everything(bundle).items():
            archive.writestr(path, data)
    assert verify_bundle(tmp_path / "flat.zip").exit_code == 0


def test_links_and_devices_in_a_folder_are_named_and_not_opened(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    target = bundle / "data/items/SY-2025-000002/testimony.txt"
    target.unlink()
    target.symlink_to(tmp_path / "secret")
    (bundle / "data/folder").symlink_to(tmp_path)
    os.mkfifo(bundle / "data/pipe")
    (bundle / "data/loop").symlink_to(bundle)
    found = problems(bundle)
    for path in ("data/items/SY-2025-000002/testimony.txt", "data/folder", "data/pipe", "data/loop"):
        assert path in found
    assert "is a link" in found["data/pipe"]


@pytest.mark.parametrize(
    "name", ["data/صورة.jpg", "data/a b", "data/.DS_Store", "data/x.", "data/aux.txt", "data/per%0Acent"]
)
def test_a_file_with_an_unsafe_name_is_named(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"x")
    assert problems(bundle)[name] == "has a name that is not safe in a bundle"


@pytest.mark.parametrize(
    "name", ["../escape", "/absolute", "bundle/../../escape", "bundle\\escape", "C:/escape", "bundle/data/\x1b[31m"]
)
def test_an_archive_member_that_would_escape_is_named(bundle: Path, tmp_path: Path, name: str) -> None:
    zip_bundle(bundle, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    assert problems(tmp_path / "a.zip")[name] == "has a name that is not safe in a bundle"


def test_a_file_that_is_there_twice_is_named(bundle: Path, tmp_path: Path) -> None:
    zip_bundle(bundle, tmp_path / "a.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("bundle/data/items.json", b"other")
    assert problems(tmp_path / "a.zip")["bundle/data/items.json"] == "is there twice"


def test_a_link_in_a_zip_is_named(bundle: Path, tmp_path: Path) -> None:
    zip_bundle(bundle, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        link = zipfile.ZipInfo("bundle/data/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "link" in problems(tmp_path / "a.zip")["bundle/data/link"]


def test_members_compressed_in_an_unknown_way_are_named(bundle: Path, tmp_path: Path) -> None:
    zip_bundle(bundle, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("bundle/data/x", b"x" * 100)
    assert "compressed" in problems(tmp_path / "a.zip")["bundle/data/x"]


def test_a_member_that_unpacks_to_more_than_it_says_is_cut_off(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bagit.txt", bytes(50_000_000))
    data = (tmp_path / "bomb.zip").read_bytes()
    assert len(data) < 100_000
    lying = data.replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1_000))
    (tmp_path / "bomb.zip").write_bytes(lying)
    with open_source(tmp_path / "bomb.zip") as source, pytest.raises(BundleError, match=r"cannot be read|listed size"):
        source.read("bagit.txt", 1_000)


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Many names for one compressed member: the quadratic kind of bomb."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one", bytes(1000))
        archive.writestr("two", bytes(1000))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = bytes(4)
    (tmp_path / "a.zip").write_bytes(data)
    assert "belong to no member" in problems(tmp_path / "a.zip")["bundle"]


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"x" * 2000, bytes(100), b"\x1f\x8b" + bytes(600)]
)
def test_a_file_that_is_no_archive_is_invalid(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert problems(tmp_path / "file")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert problems(tmp_path / "pipe")["bundle"] == "is neither a folder nor a file"


def test_a_damaged_archive_is_invalid_or_holds_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    """700 random changes of the container: never a crash, never a good verdict on other content."""
    damaged = tmp_path / "damaged"
    whole = zip_bundle(bundle, tmp_path / "whole").read_bytes()
    content, rng, refused = everything(bundle), random.Random("zip"), 0
    for _ in range(700):
        data = bytearray(whole)
        spot = rng.randrange(len(data))
        change = rng.choice(["flip", "cut", "insert", "remove", "zero"])
        if change == "flip":
            data[spot] ^= 1 << rng.randrange(8)
        elif change == "cut":
            del data[spot:]
        elif change == "insert":
            data[spot:spot] = rng.randbytes(rng.choice([1, 4, 512]))
        elif change == "remove":
            del data[spot : spot + rng.choice([1, 4, 512])]
        else:
            data[spot : spot + 64] = bytes(len(data[spot : spot + 64]))
        damaged.write_bytes(data)
        if verify_bundle(damaged).exit_code:
            refused += 1
        else:
            with open_source(damaged) as source:
                assert {path: b"".join(source.chunks(path)) for path in source.files} == content
    assert refused > 350

"""Bags by RFC 8493: every case of the Library of Congress' conformance suite, and hostile bags of our own."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import bagit
import pytest

from incidents.bags import Bag, checked, read_bag
from incidents.batch import BagFolder
from incidents.shapes import ContainerProblem

MUST_REFUSE = ("invalid", "linux-only", "windows-only")


def read_whole(root: Path) -> Bag:
    """Everything about the bag compared, its digests too. Raises ContainerProblem."""
    tree = BagFolder(str(root))
    bag = read_bag(tree)
    for path in tree.files:
        for _piece in checked(bag, path, tree.pieces(path)):
            pass
    return bag


def oracle_says_valid(root: Path) -> bool:
    logging.disable(logging.CRITICAL)
    try:
        bagit.Bag(str(root)).validate()
    except bagit.BagError:
        return False
    finally:
        logging.disable(logging.NOTSET)
    return True


def cases(test_data: Path) -> Iterator[tuple[str, Path]]:
    for version in sorted((test_data / "bagit").iterdir()):
        for kind in sorted(version.iterdir()):
            for case in sorted(kind.iterdir()):
                yield kind.name, case


def test_every_conformance_case_is_judged_as_the_suite_says(test_data: Path) -> None:
    judged = 0
    for kind, case in cases(test_data):
        if kind == "valid":
            assert read_whole(case).version == case.parent.parent.name.removeprefix("v"), case
        elif kind in MUST_REFUSE:
            with pytest.raises(ContainerProblem) as refused:
                read_whole(case)
            assert len(str(refused.value)) > 20, case
        judged += 1
    assert judged >= 25


def test_a_path_that_is_listed_twice_is_refused_for_that_even_with_one_digest(test_data: Path, bag: Path) -> None:
    for version in ("v0.97", "v1.0"):
        for case in (test_data / "bagit" / version / "invalid").glob("same-filename-listed-twice-*"):
            assert refused(case).endswith("data/README is listed twice.")
    manifest = bag / "manifest-sha256.txt"
    manifest.write_text(manifest.read_text() * 2)
    retag(bag)
    assert refused(bag).startswith("manifest-sha256.txt, line 3:")


def test_nothing_is_accepted_that_the_other_implementation_refuses(test_data: Path) -> None:
    accepted = 0
    for _kind, case in cases(test_data):
        try:
            read_whole(case)
        except ContainerProblem:
            continue
        assert oracle_says_valid(case), case
        accepted += 1
    assert accepted >= 14


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A bag of version 1.0 that the other implementation made."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "one.txt").write_bytes(b"one")
    (tmp_path / "inner" / "صورة 1.jpg").write_bytes(b"\xff\xd8two")
    logging.disable(logging.CRITICAL)
    bagit.make_bag(str(tmp_path), {"Source-Organization": "A field team"}, checksums=["sha256", "sha512"])
    logging.disable(logging.NOTSET)
    declaration = tmp_path / "bagit.txt"
    declaration.write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    retag(tmp_path)
    assert read_whole(tmp_path).manifest == "manifest-sha512.txt"
    return tmp_path


def retag(root: Path) -> None:
    """The tag manifests anew, as whoever changes a bag would make them."""
    for name in ("sha256", "sha512"):
        listed = [path for path in sorted(root.glob("*.txt")) if not path.name.startswith("tagmanifest")]
        lines = [f"{hashlib.new(name, path.read_bytes()).hexdigest()}  {path.name}\n" for path in listed]
        (root / f"tagmanifest-{name}.txt").write_text("".join(lines))


def refused(root: Path) -> str:
    with pytest.raises(ContainerProblem) as problem:
        read_whole(root)
    return str(problem.value)


def test_a_changed_file_a_changed_manifest_and_a_changed_tag_file_are_refused(bag: Path) -> None:
    (bag / "data" / "one.txt").write_bytes(b"two")
    assert "data/one.txt does not have the sha" in refused(bag)
    (bag / "data" / "one.txt").write_bytes(b"one")
    info = bag / "bag-info.txt"
    info.write_text(info.read_text() + "Contact-Name: nobody\n")
    assert "bag-info.txt does not have the sha" in refused(bag)


def test_a_file_that_is_missing_or_listed_in_one_manifest_only_is_refused(bag: Path) -> None:
    manifest = bag / "manifest-sha256.txt"
    whole = manifest.read_text()
    manifest.write_text("".join(line for line in whole.splitlines(keepends=True) if "one.txt" not in line))
    retag(bag)
    assert refused(bag) == "data/one.txt is in the bag and not in manifest-sha256.txt."
    manifest.write_text(whole + "0" * 64 + "  data/never.txt\n")
    retag(bag)
    assert refused(bag) == "manifest-sha256.txt, line 3: data/never.txt is listed and is not in the bag."


@pytest.mark.parametrize(
    "line",
    [
        "{d}  ../out",
        "{d}  /etc/passwd",
        "{d}  data/../../out",
        "{d}  C:/x",
        "{d}  data\\x",
        "{d}  bagit.txt",
        "{d}",
        "xy  z",
    ],
)
def test_lines_that_lead_out_of_the_bag_or_are_none_are_refused(bag: Path, line: str) -> None:
    manifest = bag / "manifest-sha256.txt"
    manifest.write_text(manifest.read_text() + line.format(d="0" * 64) + "\n")
    retag(bag)
    assert refused(bag).startswith("manifest-sha256.txt, line 3:")


def test_line_ends_and_percent_signs_in_names_are_put_back_as_the_version_says(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "100% sure%0A").write_bytes(b"one")
    digest = hashlib.sha512(b"one").hexdigest()
    (tmp_path / "manifest-sha512.txt").write_text(f"{digest}  data/100%25 sure%250A\n")
    (tmp_path / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    assert list(read_whole(tmp_path).expected) == ["data/100% sure%0A"]
    (tmp_path / "bagit.txt").write_text("BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")
    assert "is listed and is not in the bag" in refused(tmp_path)


def test_what_fetch_txt_names_is_never_fetched(bag: Path) -> None:
    (bag / "fetch.txt").write_text("https://example.org/one.txt 3 data/one.txt\n")
    retag(bag)
    read_whole(bag)
    for name in ("data/absent.txt", "../one.txt", "bagit.txt"):
        (bag / "fetch.txt").write_text(f"https://example.org/x 3 {name}\n")
        retag(bag)
        assert "Nothing is fetched" in refused(bag)


@pytest.mark.parametrize(
    "declared",
    [
        "BagIt-Version: 1.0\n",
        "Tag-File-Character-Encoding: UTF-8\nBagIt-Version: 1.0\n",
        "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\nMore: lines\n",
        "BagIt-Version: 2.0\nTag-File-Character-Encoding: UTF-8\n",
        "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-7\n",
        "\ufeffBagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "",
    ],
)
def test_a_declaration_that_is_not_exactly_one_is_refused(bag: Path, declared: str) -> None:
    (bag / "bagit.txt").write_text(declared)
    retag(bag)
    assert refused(bag)


def test_links_unknown_algorithms_wrong_oxums_and_missing_payloads_are_refused(bag: Path, tmp_path: Path) -> None:
    info = bag / "bag-info.txt"
    whole = info.read_text()
    info.write_text(whole.replace("Payload-Oxum: ", "Payload-Oxum: 1"))
    retag(bag)
    assert refused(bag).startswith("Payload-Oxum says")
    info.write_text(whole)
    retag(bag)
    (bag / "manifest-crc32.txt").write_text("00000000  data/one.txt\n")
    assert "manifest-crc32.txt is of an algorithm" in refused(bag)
    (bag / "manifest-crc32.txt").unlink()
    (bag / "data" / "link").symlink_to("/etc/passwd")
    assert "a link, which is not followed" in refused(bag)
    (bag / "data" / "link").unlink()
    read_whole(bag)
    for name in ("manifest-sha256.txt", "manifest-sha512.txt"):
        (bag / name).unlink()
    assert refused(bag) == "This bag has no payload manifest."

"""Writing bundles: what the writer promises, and what it refuses before a court would."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bagit
import pytest

from ledger.bundle import BundleWriter, safe_name, zip_bundle
from ledger.checkpoint import format_checkpoint
from ledger.entry import commit
from ledger.grow import inclusion_proof, root_from_tiles
from ledger.pack import verifier_archive
from ledger.proof import format_proof
from ledger.sign import Ed25519Signer, sign_note
from ledger.source import BundleError, safe_path
from ledger.verify import verify_bundle
from tests.ledger.sample import PAYLOADS, SEED, Log, item_id, sample_log, write_bundle


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_the_same_content_makes_the_same_bundle_and_zip(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    write_bundle(tmp_path / "again" / "bundle")
    assert everything(bundle) == everything(tmp_path / "again" / "bundle")
    first = zip_bundle(bundle, tmp_path / "first.zip").read_bytes()
    assert zip_bundle(tmp_path / "again" / "bundle", tmp_path / "second.zip").read_bytes() == first
    assert verifier_archive() == (bundle / "data/verify/sanad-verify.pyz").read_bytes()


def test_another_bagit_implementation_accepts_the_bag(bundle: Path) -> None:
    bag = bagit.Bag(str(bundle))
    bag.validate()
    assert bag.version_info == (1, 0)
    assert sorted(bag.algorithms) == ["sha256", "sha512"]
    assert bag.info["Source-Organization"] == "Sample archive"


def test_the_zip_holds_the_bundle_as_one_folder_without_compression(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zip_bundle(bundle, tmp_path / "bundle.zip")) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"bundle/{path}": data for path, data in everything(bundle).items()
        }
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert verify_bundle(tmp_path / "bundle.zip").exit_code == 0


def test_what_is_there_is_not_overwritten(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists"):
        BundleWriter(bundle)
    (tmp_path / "there.zip").write_bytes(b"kept")
    with pytest.raises(BundleError, match="exists"):
        zip_bundle(bundle, tmp_path / "there.zip")
    assert (tmp_path / "there.zip").read_bytes() == b"kept"


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), BundleWriter(tmp_path / "bundle") as writer:  # noqa: PT012
        writer.add_document("index.html", b"<p>")
        writer.add_item("SY-2025-000001", "a.txt", broken(), catalogue())
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_not_there_before_it_is_finished(tmp_path: Path) -> None:
    log, _ = sample_log()
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        assert not (tmp_path / "bundle").exists()
        summary = writer.finish()
    assert summary.path == tmp_path / "bundle"
    assert (summary.items, summary.entries, summary.files) == (0, 0, len(everything(summary.path)))
    assert summary.size == sum(map(len, everything(summary.path).values()))
    assert verify_bundle(summary.path).exit_code == 0
    assert list(tmp_path.iterdir()) == [summary.path]


def test_documents_travel_with_their_digests(tmp_path: Path) -> None:
    log, _ = sample_log()
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(log.note().encode(), log.signer.vkey)
        writer.add_document("index.html", b"<p>")
        for path in ("items/x", "ledger/x", "verify/x", "disclosures/1.json", "README.en.txt", "items.json"):
            with pytest.raises(BundleError, match="own"):
                writer.add_document(path, b"")
        for path in (
            "index.html",
            "INDEX.html",
            "../out",
            "/out",
            "a//b",
            "تقرير.txt",
            "a b",
            "nul.txt",
            "a/.hidden",
            "",
        ):
            with pytest.raises(BundleError, match="safe path"):
                writer.add_document(path, b"")
        writer.finish()
    (tmp_path / "bundle/data/index.html").write_bytes(b"<P>")
    report = verify_bundle(tmp_path / "bundle")
    assert {problem.where for problem in report.problems} == {"data/index.html"}


def catalogue(**changes: Any) -> dict[str, Any]:
    return {"id": item_id(1), "media_type": "text/plain", "exhibit": None, "events": [], **changes}


def test_an_item_is_written_as_it_streams_and_compared_with_what_is_known(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "bundle") as writer:
        row = writer.add_item("SY-2025-000001", "a.txt", iter([b"one", b"", b"two"]), catalogue(size=6))
        assert (row["path"], row["size"]) == ("data/items/SY-2025-000001/a.txt", 6)
        with pytest.raises(BundleError, match="twice"):
            writer.add_item("SY-2025-000001", "b.txt", [b""], catalogue())
        with pytest.raises(BundleError, match="sha256"):
            writer.add_item("SY-2025-000002", "b.txt", [b""], catalogue(sha256="00" * 32))
        with pytest.raises(BundleError, match="safe path"):
            writer.add_item("../000003", "b.txt", [b""], catalogue())


def test_an_item_whose_event_is_missing_stops_the_bundle(tmp_path: Path) -> None:
    log, _ = sample_log()
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.add_item("SY-2025-000001", "a.txt", [b""], catalogue(events=[log.id_of(1)]))
        with pytest.raises(BundleError, match="no checkpoint"):
            writer.finish()
        writer.set_checkpoint(log.note(), log.signer.vkey)
        with pytest.raises(BundleError, match=f"SY-2025-000001 misses the entry of event {log.id_of(1)}"):
            writer.finish()


def test_a_checkpoint_of_another_key_is_refused(tmp_path: Path) -> None:
    log, _ = sample_log()
    with BundleWriter(tmp_path / "bundle") as writer, pytest.raises(BundleError, match="checkpoint is not valid"):
        writer.set_checkpoint(log.note(), Ed25519Signer("other.example", bytes(32)).vkey)


def test_an_entry_that_would_not_verify_is_refused(tmp_path: Path) -> None:
    log, _ = sample_log()
    older = log.proof(1)
    log.record("displaying", {})
    with BundleWriter(tmp_path / "bundle") as writer:
        with pytest.raises(BundleError, match="before"):
            writer.add_entry(1, log.entries[1], log.proof(1), {})
        writer.set_checkpoint(log.note(), log.signer.vkey)
        salt, value = log.opened[1]["object"]
        for index, entry, proof, opened in [
            (1, log.entries[2], log.proof(1), {}),
            (2, log.entries[1], log.proof(1), {}),
            (1, log.entries[1], older, {}),
            (1, log.entries[1], "no proof", {}),
            (1, b"no entry", log.proof(1), {}),
            (1, log.entries[1], log.proof(1), {"object": (salt, {**value, "size": 1})}),
            (1, log.entries[1], log.proof(1), {"object": (bytes(32), value)}),
            (1, log.entries[1], log.proof(1), {"unknown": (salt, value)}),
        ]:
            with pytest.raises(BundleError, match=f"entry {index}: "):
                writer.add_entry(index, entry, proof, opened)
        writer.add_entry(1, log.entries[1], log.proof(1).encode(), {"object": (salt, value)})
        with pytest.raises(BundleError, match="repeats"):
            writer.add_entry(1, log.entries[1], log.proof(1), {})
        assert commit(salt, "object", value).hex() in log.entries[1].decode()


def test_an_entry_of_another_log_is_refused(tmp_path: Path) -> None:
    log, _ = sample_log()
    other = Log(signer=Ed25519Signer("other.example", SEED), entries=log.entries, tiles=log.tiles)
    note = sign_note(format_checkpoint("other.example", 7, root_from_tiles(7, log.read_tile)), other.signer)
    proof = format_proof(1, inclusion_proof(1, 7, log.read_tile), note)
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(note, other.signer.vkey)
        with pytest.raises(BundleError, match="another log"):
            writer.add_entry(1, log.entries[1], proof, {})


def test_a_catalogue_that_does_not_fit_the_format_is_refused(tmp_path: Path) -> None:
    log, _ = sample_log()
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        writer.add_item("SY-2025-000001", "a.txt", [b""], catalogue(exhibit="\udcff"))
        with pytest.raises(BundleError, match="catalogue"):
            writer.finish()


def test_bag_info_takes_no_second_line() -> None:
    with pytest.raises(BundleError, match="malformed"):
        BundleWriter(Path("/nowhere/bundle"), [("Contact-Name", "x\nBag-Size: 1")])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.JPG", "photo.JPG"),
        ("../../etc/passwd", "etc_passwd"),
        ("صورة.jpg", "jpg"),
        ("", "item"),
        ("...", "item"),
        ("con.txt", "item-con.txt"),
        (".bashrc", "bashrc"),
        ("a\0b\n<c>.p d f", "a_b_c_.p_d_f"),
        ("x" * 300 + ".jpeg", "x" * 95 + ".jpeg"),
        ("x." + "y" * 300, "x." + "y" * 98),
        ("a" * 92 + "...pdf", "a" * 92 + "...pdf"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_path(f"data/items/SY-2025-000001/{safe}")


def test_the_sample_payloads_are_in_their_places(bundle: Path) -> None:
    for accession, (name, _, data) in PAYLOADS.items():
        assert (bundle / "data/items" / accession / name).read_bytes() == data

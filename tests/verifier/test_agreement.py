"""Both verifiers say the same of the same input. More of it: `python -m tests.verifier.mutate 50000`."""

import io
import random
import subprocess
import zipfile
from pathlib import Path
from typing import IO, Any

import pytest

from ledger.bundle import zip_bundle
from ledger.note import decode_vkey
from ledger.verify import Trust, verify_bundle
from tests.ledger.mutate import sample_files
from tests.ledger.sample import COSIGNERS, KEYS, KINDS, write_bundle
from tests.verifier.mutate import disagreements
from tests.verifier.node import Page, compared, encoded, python_report


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_random_changes_of_a_bundle_are_told_alike(page: Page, kind: str) -> None:
    for change, ours, theirs in disagreements(page, sample_files(kind), 20_000, 48):
        pytest.fail(f"{sorted(change)}\n{ours}\n{theirs}")


def test_a_disagreement_would_be_noticed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.check.verify_inclusion", lambda *_: True)
    assert list(disagreements(page, sample_files("plain"), 1, 150))


@pytest.mark.parametrize("kind", ["plain", "rotated", "cosigned", "whole"])
def test_trust_is_told_alike(page: Page, kind: str) -> None:
    files = sample_files(kind)
    page.hold(files)
    stranger = type(KEYS[0])("other.example", b"\x07" * 32)
    for trusted in ([], [KEYS[0]], [KEYS[1]], [KEYS[2]], [stranger], [stranger, KEYS[0]]):
        for required in (False, True):
            vkeys = [key.vkey for key in trusted]
            ours = python_report(files, Trust([decode_vkey(vkey) for vkey in vkeys], None, required))
            theirs = page.ask({"changes": {}, "trusted": vkeys, "requireKey": required})
            assert compared(ours) == compared(theirs)


def test_a_fingerprint_is_a_key_that_a_person_compared(page: Page) -> None:
    page.hold(sample_files("rotated"))
    first, last, none = (decode_vkey(KEYS[number].vkey) for number in (0, 2, 1))
    assert first.name == last.name == none.name
    verdicts = {}
    for key in KEYS:
        said = page.ask({"changes": {}, "fingerprint": page.call("vkey", key.vkey)})
        verdicts[key.vkey] = (said["exit_code"], said["trust"])
    assert set(verdicts.values()) == {(0, "pinned")}
    page.hold(sample_files("plain"))
    said = page.ask({"changes": {}, "fingerprint": page.call("vkey", KEYS[1].vkey)})
    assert (said["exit_code"], said["trust"]) == (2, "unknown")
    assert page.call("vkey", COSIGNERS[0].vkey, True)


def zipped(root: Path, compression: int, top: str = "bundle/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(top + file.relative_to(root).as_posix()), file.read_bytes(), compression)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zips") / "bundle"
    write_bundle(root)
    return root


def both(page: Page, data: bytes, folder: Path) -> tuple[Any, Any]:
    (folder / "a.zip").write_bytes(data)
    ours, theirs = verify_bundle(folder / "a.zip"), page.ask({"zip": encoded(data)})
    told = {(problem.where, problem.code) for problem in ours.problems}
    return (ours.exit_code, told), (theirs["exit_code"], {(one["where"], one["code"]) for one in theirs["problems"]})


def test_whole_archives_are_read_alike(page: Page, bundle: Path, tmp_path: Path) -> None:
    own = zip_bundle(bundle, tmp_path / "own.zip").read_bytes()
    for data in (own, zipped(bundle, zipfile.ZIP_DEFLATED, "")):
        ours, theirs = both(page, data, tmp_path)
        assert ours == theirs == (0, set())
    comment = zipped(bundle, zipfile.ZIP_STORED)[:-2] + b"\x05\0hello"
    for data in (b"front" + own, comment, own + b"behind"):
        ours, theirs = both(page, data, tmp_path)
        assert ours == theirs == (1, {("bundle", "unreadable")})


@pytest.mark.parametrize("how", ["-qr", "-q0r", "-qrfd", "-qrX", "-qrD", "| cat", "python", "python, streamed"])
def test_bundles_that_ordinary_tools_zipped_again_verify(page: Page, bundle: Path, tmp_path: Path, how: str) -> None:
    """Info-ZIP, into a file and into a pipe, and Python's zipfile, into a file and into what cannot seek."""
    target = tmp_path / "b.zip"
    if "python" not in how:
        command = f"zip -qr - bundle | cat > {target}" if how == "| cat" else f"zip {how} {target} bundle"
        subprocess.run(["sh", "-c", command], cwd=bundle.parent, check=True)
    else:
        with target.open("wb") as file:
            output: Any = file if how == "python" else Unseekable(file)
            with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(bundle.rglob("*")):
                    archive.write(path, path.relative_to(bundle.parent))
    ours, theirs = both(page, target.read_bytes(), tmp_path)
    assert ours == theirs == (0, set())


class Unseekable(io.RawIOBase):
    """A pipe: what is written cannot be gone back to."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def test_hostile_archives_are_read_alike(page: Page, bundle: Path, tmp_path: Path) -> None:
    whole = zipped(bundle, zipfile.ZIP_DEFLATED)

    def added(name: str, mode: int = 0o100644) -> bytes:
        buffer = io.BytesIO(whole)
        with zipfile.ZipFile(buffer, "a") as archive:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, b"x")
        return buffer.getvalue()

    hostile = [added(name) for name in ("../x", "/etc/x", "bundle/é", "bundle/data/con", "bundle/DATA/items.json")]
    hostile += [
        added("bundle/link", 0o120777),
        b"",
        b"PK",
        b"PK\x05\x06" + bytes(18),
        whole[:-1],
        whole[5:],
    ]
    for data in hostile:
        ours, theirs = both(page, data, tmp_path)
        assert ours == theirs
        assert ours[0] == 1


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_damaged_archives_get_the_same_exit_code(page: Page, bundle: Path, tmp_path: Path, compression: int) -> None:
    """Half of the damage is to headers and the directory, where readers differ."""
    whole, rng = zipped(bundle, compression), random.Random(compression)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        heads = [info.header_offset + spot for info in archive.infolist() for spot in range(30)]
    heads += list(range(whole.index(b"PK\x01\x02"), len(whole)))
    for _ in range(150):
        data = bytearray(whole)
        spot = rng.choice(heads) if rng.random() < 0.7 else rng.randrange(len(data))
        change = rng.randrange(4)
        if change < 2:
            data[spot] ^= 1 << rng.randrange(8)
        elif change == 2:
            del data[spot : spot + rng.randrange(1, 4)]
        else:
            data[spot:spot] = rng.randbytes(rng.randrange(1, 4))
        ours, theirs = both(page, bytes(data), tmp_path)
        assert ours[0] == theirs[0], (spot, change, ours, theirs)

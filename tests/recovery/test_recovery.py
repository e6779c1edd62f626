"""The archive is gone: of its store, an escrow file and one identity everything comes back."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest
from django.utils import timezone

from accounts.models import Role
from custody.engine import SYSTEM
from evidence import escrow_exports, store, streams
from evidence.models import Item
from ledger.entry import canonical
from tests import factories

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_FOUND = "its bytes are in none of the stores"
#: Real files of different kinds, one with nothing in it, one over several segments.
FILES = ("exif/**/*.jpg", "c2pa/**/*.jpg", "wacz/**/*.wacz", "proofmode/**/*", "rfc3161/**/*", "nasty/**/*")
OF_EACH = 2
OF_ZEROS = hashlib.sha256(b"archive/key-commitment/v1" + bytes(32)).hexdigest()


@dataclass
class Left:
    """What is left of an archive, and what has to come back: {name: bytes}."""

    store: Path
    escrow: Path
    identity: Path
    expected: dict[str, bytes]

    def run(self, *arguments: str, identity: Path | None = None) -> tuple[int, list[dict[str, Any]], str]:
        """The tool alone in a folder, without anything else of the archive and without its settings."""
        alone = self.store.parent / "alone"
        if not alone.exists():
            shutil.copytree(ROOT / "recovery", alone / "recovery", ignore=shutil.ignore_patterns("__pycache__"))
        argv = [sys.executable, "-m", "recovery", "--store", str(self.store), "--escrow", str(self.escrow)]
        argv += ["--identity", str(identity or self.identity), *arguments]
        ended = subprocess.run(argv, cwd=alone, env={"PATH": "/nowhere"}, capture_output=True, text=True, timeout=120)
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def leave(tmp_path: Path, settings: Any, files: dict[str, bytes]) -> Left:
    """An archive with escrow receives the files; its store and its export are copied elsewhere."""
    holder = pyrage.x25519.Identity.generate()
    (tmp_path / "recipients").write_text(f"{holder.to_public()}\n")
    settings.SANAD_ESCROW_RECIPIENTS = tmp_path / "recipients"
    settings.SANAD_STORES = (tmp_path / "archive").as_uri()
    compartment = factories.make_compartment(code="SY-2025")
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    expected = {}
    for name, data in files.items():
        item = factories.make_item(compartment, by=by, data=data, name=name)
        expected[item.accession] = data
    escrow_exports.export(by=SYSTEM, at=timezone.now(), path=tmp_path / "escrow.jsonl")
    (tmp_path / "archive").rename(tmp_path / "copied")
    identity = tmp_path / "identity"
    identity.write_text(f"# of a holder\n{holder}\n")
    return Left(tmp_path / "copied", tmp_path / "escrow.jsonl", identity, expected)


@pytest.fixture
def left(db: None, tmp_path: Path, settings: Any) -> Left:
    size = 2 * streams.SEGMENT + 4_321
    files = {"one.txt": b"one", "two.txt": b"two", "large.bin": secrets.token_bytes(size)}
    return leave(tmp_path, settings, files)


@pytest.mark.django_db
def test_real_files_come_back_bit_for_bit_under_their_accession_numbers(
    tmp_path: Path, settings: Any, test_data: Path
) -> None:
    found = [
        path for pattern in FILES for path in sorted(one for one in test_data.glob(pattern) if one.is_file())[:OF_EACH]
    ]
    assert len(found) >= 8
    left = leave(tmp_path, settings, {path.name: path.read_bytes() for path in found if path.stat().st_size})
    code, lines, said = left.run("--out", str(tmp_path / "out"))
    assert code == 0, said
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == left.expected
    assert [line["recovered"] and line["proven"] for line in lines] == [True] * len(left.expected)
    digests = {line["name"]: line["sha256"] for line in lines}
    assert digests == {item.accession: item.sha256 for item in Item.objects.all()}
    assert f"{len(left.expected)} objects recovered, 0 problems" in said


def test_it_needs_nothing_of_the_archive(left: Left, tmp_path: Path) -> None:
    program = "import sys, recovery.__main__; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    left.run("--test")
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "alone", env={"PATH": "/nowhere"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert not {"django", "psycopg", "evidence", "custody", "ledger", "archive"} & set(ended.stdout.split())


def test_what_is_recovered_is_for_its_owner_alone_and_no_link_or_pipe_leads_elsewhere(
    left: Left, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    for accession in left.expected:
        (out / f".{accession}.partial").symlink_to(elsewhere)
    assert left.run("--out", str(out))[0] == 0
    assert not elsewhere.exists()
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    stored = next(path for path in left.store.rglob("*") if path.is_file())
    stored.unlink()
    os.mkfifo(stored)
    code, told, _ = left.run("--test")
    assert code == 1
    assert [one["problem"] for one in told if not one["recovered"]] == ["what stands at its address is no file"]


def test_asked_again_it_changes_nothing_and_overwrites_nothing(left: Left, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert left.run("--out", str(out))[0] == 0
    assert left.run("--out", str(out))[0] == 0
    victim = min(out.iterdir())
    victim.write_bytes(b"something else")
    code, lines, _said = left.run("--out", str(out))
    assert code == 1
    assert [line["problem"] for line in lines if not line["recovered"]] == [
        f"another file stands at {victim.name} already"
    ]
    assert victim.read_bytes() == b"something else"


def test_a_test_run_writes_nothing(left: Left, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, lines, said = left.run("--test")
    assert (code, len(lines)) == (0, 3)
    assert "tested and good" in said
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and "alone" not in str(path)] == []


def test_another_identity_opens_nothing_and_no_identity_is_shown(left: Left, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(str(pyrage.x25519.Identity.generate()))
    code, lines, said = left.run("--out", str(tmp_path / "out"), identity=wrong)
    assert code == 1
    assert {line["problem"] for line in lines} == {"no identity opens it: it is for other recipients, or damaged"}
    assert list((tmp_path / "out").iterdir()) == []
    wrong.write_text("AGE-SECRET-KEY-1NOTREALLY")
    code, lines, said = left.run("--test", identity=wrong)
    assert (code, lines) == (2, [])
    assert "NOTREALLY" not in said
    wrong.write_text("# nothing\n")
    assert left.run("--test", identity=wrong)[0] == 2
    assert left.run("--test", identity=tmp_path / "absent")[0] == 2


@pytest.mark.parametrize("damage", ["changed", "no base64", "no JSON", "of another object", "gone", "cut"])
def test_a_damaged_line_costs_its_object_alone_and_is_told(left: Left, tmp_path: Path, damage: str) -> None:
    lines = left.escrow.read_bytes().splitlines(keepends=True)
    value = json.loads(lines[2])
    if damage == "changed":
        age = bytearray(base64.b64decode(value["age"]))
        age[-5] ^= 1
        lines[2] = canonical(value | {"age": base64.b64encode(age).decode()}) + b"\n"
    elif damage == "no base64":
        lines[2] = canonical(value | {"age": "!"}) + b"\n"
    elif damage == "no JSON":
        lines[2] = b"\xff\x00{\n"
    elif damage == "of another object":
        lines[2] = canonical(value | {"age": json.loads(lines[1])["age"]}) + b"\n"
    elif damage == "gone":
        del lines[2]
    else:
        lines = lines[:2]
    left.escrow.write_bytes(b"".join(lines))
    code, told, _said = left.run("--out", str(tmp_path / "out"))
    assert code == 1
    good = [line["name"] for line in told if line["recovered"]]
    assert len(good) == (1 if damage == "cut" else 2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(good)
    assert "not whole" in told[-1]["problem"]


def test_bytes_that_were_changed_or_are_gone_are_told_and_a_second_store_makes_them_good(
    left: Left, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    addresses = [json.loads(line)["address"] for line in left.escrow.read_bytes().splitlines()[1:-1]]
    for address in addresses:
        shutil.copy(left.store / address[:2] / address[2:4] / address, copy / address)  # flat, as a bucket is copied
    first, second = (left.store / one[:2] / one[2:4] / one for one in addresses[:2])
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    second.unlink()
    code, told, _said = left.run("--out", str(tmp_path / "out"))
    assert code == 1
    assert [line.get("problem") for line in told] == [
        "its stored bytes were changed: their SHA-256 is not their address", NOT_FOUND, None,
    ]  # fmt: skip
    code, told, _said = left.run("--store", str(copy), "--out", str(tmp_path / "out"))
    assert code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == left.expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": "00" * 32}, "not the one the record commits to"),
        (
            {"key": "00" * 32, "commitment": hashlib.sha256(b"archive/key-commitment/v1" + bytes(32)).hexdigest()},
            "open",
        ),
        ({"sha256": "00" * 32}, "another SHA-256 or size"),
        ({"size": 1}, "another SHA-256 or size"),
        ({"blob": "00000000-0000-4000-8000-000000000000"}, "of another object"),
        ({"address": "00" * 32}, "of another object"),
        ({"purpose": "another"}, "not of the form"),
        ({"key": "zz"}, "not of the form"),
    ],
)
def test_a_record_that_does_not_fit_its_object_is_refused(
    left: Left, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    """Whoever has a recipient can write an age file for it: what it says has to hold."""
    told = rewritten(left, changed).run("--out", str(tmp_path / "out"))[1]
    assert not told[0]["recovered"]
    assert said in told[0]["problem"]
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "..", "", ".hidden", "a/b", "a\nb", "x" * 101])
def test_a_name_that_is_no_plain_name_is_never_a_path(left: Left, tmp_path: Path, name: str) -> None:
    _code, told, _said = rewritten(left, {"name": name}).run("--out", str(tmp_path / "out"))
    assert told[0]["recovered"]
    assert told[0]["name"] == told[0]["address"]
    assert (tmp_path / "out" / told[0]["address"]).is_file()
    assert len(list((tmp_path / "out").iterdir())) == 3


def rewritten(left: Left, changed: dict[str, Any]) -> Left:
    """The escrow file with another record for its first object, sealed for the same holder."""
    holder = pyrage.x25519.Identity.from_str(left.identity.read_text().splitlines()[1])
    lines = left.escrow.read_bytes().splitlines()
    value = json.loads(lines[1])
    record = json.loads(pyrage.decrypt(base64.b64decode(value["age"]), [holder])) | changed
    value["age"] = base64.b64encode(pyrage.encrypt(canonical(record), [holder.to_public()])).decode()
    lines[1] = canonical(value)
    left.escrow.write_bytes(b"\n".join(lines) + b"\n")
    return left


def test_what_is_no_escrow_file_is_refused(left: Left, tmp_path: Path) -> None:
    left.escrow.write_bytes(b'{"format":"another"}\n')
    code, told, said = left.run("--test")
    assert (code, told) == (2, [])
    assert "not an escrow file" in said


def test_the_store_of_the_running_archive_can_be_read_in_place(db: None, tmp_path: Path, settings: Any) -> None:
    left = leave(tmp_path, settings, {"a": b"a"})
    left.store.rename(tmp_path / "archive")
    left.store = tmp_path / "archive"
    assert left.run("--test")[0] == 0
    assert store.path_of(Item.objects.get().blob.address).is_file()

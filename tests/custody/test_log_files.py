"""The exported ledger: complete, readable without this software, written so that a kill at any moment costs nothing."""

import hashlib
import os
import shutil
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from custody.alarm import EXPORT, Kind, LedgerBroken, alarm_of, alarms
from custody.log_files import HEADS, export, exported_entries, exported_head, split_bundle
from custody.models import Entry
from custody.sequencer import drain
from custody.signer import sign_head, vkey
from tests.custody.ledgers import as_owner, plant, signed_ledger


def foreign_checker() -> list[str] | None:
    """The command of a foreign checker of tlog-tiles, PyPI aics-tlog: named, on PATH, or of a Python 3.12 or later."""
    named = os.environ.get("ARCHIVE_TLOG_CHECKER") or shutil.which("aics-tlog")
    if named:
        return [named]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    pythons = [str(path) for version in ("3.12", "3.13", "3.14") for path in root.glob(f"{version}.*/bin/python")]
    pythons += filter(None, map(shutil.which, ("python3.12", "python3.13", "python3.14", "python3")))
    for python in pythons:
        command = [python, "-m", "aics_tlog"]
        if subprocess.run([*command, "--version"], capture_output=True).returncode == 0:
            return command
    return None


def grow(count: int) -> None:
    plant(count)
    drain()
    sign_head()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", HEADS)
    }


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, written down as it stands there."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


@pytest.mark.django_db
def test_before_the_first_signature_nothing_is_exported(tmp_path: Path) -> None:
    assert export(tmp_path) == 0
    assert files(tmp_path) == {}


@pytest.mark.django_db
def test_the_files_of_a_tree_of_seventy_thousand_are_those_the_specification_names(tmp_path: Path) -> None:
    """C2SP tlog-tiles, section Partial Tiles: its own example."""
    grow(70_000)
    assert export(tmp_path) == 70_000
    found = set(files(tmp_path))
    assert len([name for name in found if name.startswith("tile/0/") and ".p/" not in name]) == 273
    assert {name for name in found if not name.startswith(("tile/0/", "tile/entries/"))} == {
        "checkpoint",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert {name for name in found if ".p/" in name and name.startswith("tile/0/")} == {"tile/0/273.p/112"}
    assert {name.replace("entries", "0") for name in found if name.startswith("tile/entries/")} == {
        name for name in found if name.startswith("tile/0/")
    }


@pytest.mark.django_db
@pytest.mark.parametrize("steps", [[1], [3, 2], [256], [255, 1, 1], [300, 300, 7], [257, 1]])
def test_the_entries_out_of_the_files_alone_lead_to_the_signed_root(steps: list[int], tmp_path: Path) -> None:
    for step in steps:
        grow(step)
        export(tmp_path)
    entries = list(exported_entries(tmp_path))
    assert entries == [bytes(row.entry) for row in Entry.objects.order_by("index")]
    head = exported_head(tmp_path)
    assert head is not None
    assert tree_hash([hashlib.sha256(b"\0" + entry).digest() for entry in entries]) == head.root


@pytest.mark.django_db
def test_partial_tiles_of_every_signed_head_stay_until_the_full_one_is_there(tmp_path: Path) -> None:
    grow(3)
    grow(4)
    export(tmp_path)
    grow(10)
    export(tmp_path)
    widths = {"3", "7", "17"}
    for name in ("0", "entries"):
        assert {path.name for path in (tmp_path / "tile" / name / "000.p").iterdir()} == widths
    grow(300)
    export(tmp_path)
    for name in ("0", "entries"):
        assert sorted(path.name for path in (tmp_path / "tile" / name).iterdir()) == ["000", "001.p"]


@pytest.mark.django_db
def test_a_heartbeat_replaces_the_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    grow(5)
    export(tmp_path)
    before = files(tmp_path)
    assert sign_head(force=True) is not None
    export(tmp_path)
    after = files(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} <= {"checkpoint"}


@pytest.mark.django_db
def test_killed_at_any_write_the_next_export_makes_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(250)
    export(tmp_path / "begun")
    grow(4)
    grow(300)
    shutil.copytree(tmp_path / "begun", tmp_path / "whole")
    export(tmp_path / "whole")
    whole, step = files(tmp_path / "whole"), 0

    class Killed(BaseException):
        pass

    while True:
        step += 1
        folder, done = tmp_path / f"killed {step}", 0
        shutil.copytree(tmp_path / "begun", folder)

        def counted(real: Any, last: int = step) -> Any:
            def write(*given: Any, **named: Any) -> Any:
                nonlocal done
                done += 1
                if done == last:
                    raise Killed
                return real(*given, **named)

            return write

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", counted(os.fsync))
            patch.setattr(Path, "replace", counted(Path.replace))
            patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
            try:
                export(folder)
            except Killed:
                head = exported_head(folder)
                assert head is not None
                assert head.size in (250, 554)
                assert sum(1 for _ in exported_entries(folder)) == head.size
            else:
                break
        export(folder)
        left = files(folder)
        assert {name: data for name, data in left.items() if ".p/" not in name and ".new" not in name} == {
            name: data for name, data in whole.items() if ".p/" not in name
        }
        assert whole.items() <= left.items()
    assert step > 15


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE custody_entry SET entry = entry || 'x' WHERE \"index\" = 5", "entry 5 is not the one of its tile"),
        ('DELETE FROM custody_entry WHERE "index" = 5', "entry 5 is not the one of its tile"),
        ("UPDATE custody_tile SET hashes = overlay(hashes placing 'x'::bytea from 200)", "signed root"),
        ("UPDATE custody_tile SET hashes = substr(hashes, 1, 32)", "tiles do not hold the tree"),
    ],
)
def test_what_is_not_what_was_signed_is_not_exported(statement: str, said: str, tmp_path: Path) -> None:
    signed_ledger(4)
    export(tmp_path)
    before = files(tmp_path)
    signed_ledger(4)
    as_owner(statement)
    with pytest.raises(LedgerBroken, match=said):
        export(tmp_path)
    assert exported_head(tmp_path) is not None
    assert files(tmp_path)["checkpoint"] == before["checkpoint"]


@pytest.mark.django_db
def test_a_ledger_other_than_the_one_exported_before_is_refused(tmp_path: Path) -> None:
    signed_ledger(4)
    export(tmp_path)
    as_owner("DELETE FROM custody_checkpoint")
    with pytest.raises(LedgerBroken, match="no head is signed any more"):
        export(tmp_path)


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["tile/0/000.p/4", "tile/entries/000.p/4", "checkpoint"])
def test_a_damaged_file_is_told_and_never_written_over(damage: str, tmp_path: Path) -> None:
    signed_ledger(4)
    export(tmp_path)
    path = tmp_path / damage
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(LedgerBroken):
        list(exported_entries(tmp_path))


def test_a_bundle_that_ends_inside_an_entry_is_refused() -> None:
    assert split_bundle(b"\0\3abc\0\0") == [b"abc", b""]
    for damaged in (b"\0", b"\0\3ab", b"\0\3abc\0", b"\xff\xff" + b"x" * 65_535):
        with pytest.raises(LedgerBroken, match="damaged"):
            split_bundle(damaged)


@pytest.mark.django_db
def test_the_command_exports_and_says_why_it_does_not(tmp_path: Path) -> None:
    signed_ledger(3)
    said = StringIO()
    call_command("export_log", tmp_path, stdout=said)
    assert said.getvalue() == f"3 entries in {tmp_path}\n"
    signed_ledger(2)
    as_owner('DELETE FROM custody_entry WHERE "index" = 3')
    with pytest.raises(CommandError) as refused:
        call_command("export_log", tmp_path)
    assert refused.value.returncode == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_log", tmp_path / "file")


@pytest.mark.django_db
def test_what_it_finds_is_an_alarm_until_an_export_to_that_folder_succeeds(tmp_path: Path) -> None:
    signed_ledger(3)
    call_command("export_log", tmp_path / "own", stdout=StringIO())
    assert alarm_of(EXPORT) is None
    head = tmp_path / "own" / "checkpoint"
    published = head.read_bytes()
    head.write_bytes(published[:-5])
    signed_ledger(1)
    with pytest.raises(CommandError):
        call_command("export_log", tmp_path / "own")
    standing = alarm_of(EXPORT)
    assert standing is not None
    assert standing in alarms()
    assert (standing.kind, standing.where) == (Kind.BROKEN, str(tmp_path / "own"))
    assert "the exported checkpoint is damaged" in standing.what
    call_command("export_log", tmp_path / "other", stdout=StringIO())
    assert alarm_of(EXPORT) == standing
    head.write_bytes(published)
    call_command("export_log", tmp_path / "own", stdout=StringIO())
    assert alarm_of(EXPORT) is None


@pytest.mark.django_db
def test_the_auditors_role_is_enough_to_export(tmp_path: Path, as_role: Any) -> None:
    signed_ledger(3)
    as_role("auditor")
    assert export(tmp_path) == 3


@pytest.mark.django_db
def test_a_foreign_checker_of_tiled_logs_accepts_the_files(tmp_path: Path) -> None:
    checker = foreign_checker()
    if checker is None:
        pytest.skip("no Python 3.12 has aics-tlog; install it in one, or name its command in ARCHIVE_TLOG_CHECKER")
    grow(100)
    export(tmp_path / "log")
    old = tmp_path / "old-checkpoint"
    shutil.copy(tmp_path / "log" / "checkpoint", old)
    grow(500)
    export(tmp_path / "log")
    key = tmp_path / "vkey"
    key.write_text(vkey() + "\n")
    trusted = ["--tiles", str(tmp_path / "log"), "--vkey-file", str(key)]

    def accepts(*asked: str) -> bool:
        checked = subprocess.run([*checker, *asked, *trusted], capture_output=True, text=True)
        return checked.returncode == 0

    for index in (0, 99, 255, 256, 599):
        entry = tmp_path / "entry"
        entry.write_bytes(bytes(Entry.objects.get(index=index).entry))
        assert accepts("verify-inclusion", "--index", str(index), "--leaf", str(entry)), index
        entry.write_bytes(b"another")
        assert not accepts("verify-inclusion", "--index", str(index), "--leaf", str(entry)), index
    assert accepts("verify-consistency", "--old-checkpoint", str(old))

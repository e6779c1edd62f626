"""`manage.py ingest`: a folder of evidence becomes items of an incident, once each, and is itself left alone."""

import hashlib
import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.actions import revoke_grant
from accounts.models import Grant, Role
from custody.sequencer import drain
from custody.signer import sign_head
from evidence import blobs
from evidence.models import Item
from incidents import folder as folders
from incidents.models import Incident, Intake, Link
from ledger.receipt import verify_receipt
from ledger.verify import Trust
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "one.txt").write_bytes(b"one")
    (tmp_path / "inner" / "two.txt").write_bytes(b"two")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def ingest(folder: Path | str, into: Incident, **options: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON summary."""
    out, code = StringIO(), 0
    options = {"username": into.opened_by.username, "incident": into.code, "json": True} | options
    try:
        call_command("ingest", str(folder), stdout=out, stderr=StringIO(), **options)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue())


def everything_in(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def test_every_file_becomes_an_item_and_the_folder_is_left_as_it_was(folder: Path, incident: Incident) -> None:
    before = everything_in(folder)
    code, summary = ingest(folder, incident, stance="supports")
    assert code == 0
    assert {row["path"] for row in summary["ingested"]} == {"empty", "inner/two.txt", "one.txt"}
    for row in summary["ingested"]:
        data = (folder / row["path"]).read_bytes()
        item = Item.objects.get(accession=row["accession"])
        assert (row["sha256"], row["sha512"]) == (hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest())
        assert b"".join(blobs.read_blob(item.blob)) == data
        assert item.original_name == Path(row["path"]).name
        assert Link.objects.get(item=item).stance == "supports"
    assert everything_in(folder) == before


def test_a_second_run_does_nothing_and_a_new_or_changed_file_is_added(folder: Path, incident: Incident) -> None:
    ingest(folder, incident)
    code, summary = ingest(folder, incident)
    assert (code, len(summary["ingested"]), len(summary["already"])) == (0, 0, 3)
    assert Intake.objects.count() == 1
    (folder / "three.txt").write_bytes(b"three")
    (folder / "one.txt").write_bytes(b"another one")
    _code, summary = ingest(folder, incident)
    assert {row["path"] for row in summary["ingested"]} == {"three.txt", "one.txt"}
    assert Item.objects.count() == 5


def test_what_was_recorded_before_a_kill_is_not_made_again(folder: Path, incident: Incident) -> None:
    ingest(folder, incident)
    for journal in (Path(settings.SANAD_DATA) / "ingest").iterdir():
        whole = journal.read_bytes()
        journal.write_bytes(whole[: len(whole) // 2])  # killed in the middle of a line
    code, summary = ingest(folder, incident)
    assert (code, len(summary["ingested"]), len(summary["already"])) == (0, 0, 3)
    assert Item.objects.count() == 3


def test_the_journal_names_no_file(folder: Path, incident: Incident) -> None:
    ingest(folder, incident)
    journals = list((Path(settings.SANAD_DATA) / "ingest").glob("*.jsonl"))
    assert journals
    for journal in journals:
        assert b"two.txt" not in journal.read_bytes()
        assert journal.stat().st_mode & 0o077 == 0


def test_links_pipes_and_folders_outside_are_not_followed(
    folder: Path, incident: Incident, tmp_path_factory: Any
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"not evidence")
    (folder / "link").symlink_to(outside / "secret")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    code, summary = ingest(folder, incident)
    assert code == 0
    assert {row["path"] for row in summary["skipped"]} == {"link", "linked", "loop", "pipe"}
    assert Item.objects.count() == 3


def test_names_that_are_no_utf8_or_no_text_at_all_are_kept(folder: Path, incident: Incident) -> None:
    names = [b"\xff\xfe.jpg", b"new\nline", b"\xd8\xb5\xd9\x88\xd8\xb1\xd8\xa9.jpg", b"-rf *", b"\x1b[31mred", b"%41"]
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as handle:  # noqa: PTH118, PTH123  a name of bytes
            handle.write(name)
    code, summary = ingest(folder, incident)
    assert code == 0
    kept = {Item.objects.get(accession=row["accession"]).original_name for row in summary["ingested"]}
    assert {"%FF%FE.jpg", "newline", "صورة.jpg", "-rf *", "[31mred", "%41"} <= kept
    assert all(row["path"].isprintable() for row in summary["ingested"])


def test_a_file_that_cannot_be_taken_is_listed_and_the_others_arrive(
    folder: Path, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folders.read

    def changing(found: folders.Found) -> Iterator[bytes]:
        if found.shown == "one.txt":
            (folder / "one.txt").write_bytes(b"grown meanwhile")
        yield from real(found)

    monkeypatch.setattr("incidents.management.commands.ingest.read", changing)
    code, summary = ingest(folder, incident)
    assert code == 1
    assert [(row["path"], row["code"]) for row in summary["failed"]] == [("one.txt", "changed")]
    assert Item.objects.count() == 2
    monkeypatch.undo()
    code, summary = ingest(folder, incident)
    assert (code, [row["path"] for row in summary["ingested"]]) == (0, ["one.txt"])


def test_too_many_files_and_folders_too_deep_are_refused_before_anything_is_kept(
    folder: Path, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_FILES", 2)
    with pytest.raises(CommandError) as refused:
        ingest(folder, incident)
    assert refused.value.returncode == 2
    monkeypatch.setattr(folders, "MOST_FILES", 200)
    monkeypatch.setattr(folders, "DEEPEST", 0)
    with pytest.raises(CommandError):
        ingest(folder, incident)
    assert not Item.objects.exists()


def test_who_what_and_where_must_be_known(folder: Path, incident: Incident) -> None:
    reviewer = factories.make_user(Role.LEGAL_REVIEWER, incident.compartment)
    for options in (
        {"username": "nobody"},
        {"incident": "I-9999"},
        {"compartment": "NO-SUCH"},
        {"username": factories.stranger().username},
        {"username": reviewer.username},
    ):
        with pytest.raises(CommandError) as refused:
            ingest(folder, incident, **options)
        assert refused.value.returncode == 2
    with pytest.raises(CommandError):
        ingest(folder / "one.txt", incident)
    assert not Item.objects.exists()


def test_of_two_compartments_with_the_same_code_one_must_be_named(folder: Path, incident: Incident) -> None:
    other = factories.make_incident()
    factories.give(incident.opened_by, Role.INVESTIGATOR, other.compartment)
    with pytest.raises(CommandError) as refused:
        ingest(folder, incident)
    assert other.compartment.code in str(refused.value)
    code, summary = ingest(folder, incident, compartment=other.compartment.code)
    assert (code, summary["compartment"]) == (0, other.compartment.code)


def test_a_revoked_grant_ends_the_ingestion(folder: Path, incident: Incident) -> None:
    grant = Grant.objects.get(user=incident.opened_by)
    revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason="left")
    with pytest.raises(CommandError):
        ingest(folder, incident)
    assert not Item.objects.exists()


def test_each_line_for_people_has_accession_digests_and_path(folder: Path, incident: Incident) -> None:
    out = StringIO()
    call_command(
        "ingest",
        str(folder),
        incident=incident.code,
        username=incident.opened_by.username,
        stdout=out,
        stderr=StringIO(),
    )
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    digest = hashlib.sha256(b"two").hexdigest()
    assert any(f"sha256:{digest}" in line and line.endswith("inner/two.txt") for line in lines)


REAL = ("exif", "c2pa", "proofmode", "nasty", "collisions")


def test_all_real_files_arrive_bit_identical_by_command_line(test_data: Path, incident: Incident) -> None:
    expected: dict[str, list[str]] = {}
    for name in REAL:
        code, summary = ingest(test_data / name, incident)
        assert (code, summary["failed"]) == (0, [])
        files = [path for path in (test_data / name).rglob("*") if path.is_file() and not path.is_symlink()]
        assert len(summary["ingested"]) == len(files)
        for row in summary["ingested"]:
            expected.setdefault(row["sha512"], []).append(row["accession"])
        for path in files:
            assert hashlib.sha512(path.read_bytes()).hexdigest() in expected
    for item in Item.objects.select_related("blob"):
        data = b"".join(blobs.read_blob(item.blob))
        assert hashlib.sha512(data).hexdigest() == item.sha512
        assert item.accession in expected[item.sha512]
    assert Item.objects.count() == Link.objects.filter(incident=incident).count() > 600


def test_files_that_share_an_md5_or_sha1_stay_two_items(test_data: Path, incident: Incident) -> None:
    ingest(test_data / "collisions", incident)
    by_md5: dict[str, set[str]] = {}
    for item in Item.objects.select_related("blob"):
        data = b"".join(blobs.read_blob(item.blob))
        by_md5.setdefault(hashlib.md5(data, usedforsecurity=False).hexdigest(), set()).add(item.sha256)
    assert any(len(found) > 1 for found in by_md5.values())
    assert Item.objects.filter(duplicate_of__isnull=True).count() == Item.objects.values("sha256").distinct().count()


@pytest.mark.usefixtures("key_of_the_ledger")
def test_receipts_are_written_once_the_ledger_signed(
    folder: Path, incident: Incident, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("receipts")
    monkeypatch.setattr("evidence.receipts.RECORDED_WITHIN", 0.0)
    code, summary = ingest(folder, incident, receipts=str(kept))
    accessions = sorted(row["accession"] for row in summary["ingested"])
    assert (code, summary["receipts"]) == (0, {"recorded": [], "pending": accessions})
    drain()
    sign_head()
    code, summary = ingest(folder, incident, receipts=str(kept))
    assert (code, summary["receipts"]) == (0, {"recorded": accessions, "pending": []})
    assert sorted(path.name for path in kept.iterdir()) == [f"{name}.receipt.json" for name in accessions]
    for path in kept.iterdir():
        assert verify_receipt(path.read_bytes(), Trust()).exit_code == 0
    for wrong in (folder, kept / "missing"):
        with pytest.raises(CommandError) as refused:
            ingest(folder, incident, receipts=str(wrong))
        assert refused.value.returncode == 2

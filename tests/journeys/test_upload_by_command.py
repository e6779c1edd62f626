"""`sanad upload` as somebody far away runs it: a program of its own, a line that fails, the whole archive."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from ledger.receipt import verify_receipt
from ledger.verify import Trust
from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.line import Line
from tests.journeys.running import ROOT, RunningArchive

SIZE = 48 * 2**20
SLOW = 12 * 2**20
AGAIN = 0.05
SECONDS = 180


class Sender:
    """Runs the command with its own state and token against one address."""

    def __init__(self, home: Path, token: str) -> None:
        self.home, self.token = home, home / "token"
        self.token.write_text(token + "\n")
        self.token.chmod(0o600)

    def begin(self, folder: Path, server: str, incident: str, *more: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "sanad_client", "upload", str(folder), "--server", server, "--incident", incident]
        argv += ["--token-file", str(self.token), "--state", str(self.home / "state"), "--json", *more]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "client")}
        return subprocess.Popen(
            argv, env=environ, cwd=self.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, folder: Path, server: str, incident: str, *more: str) -> tuple[int, dict[str, Any]]:
        process = self.begin(folder, server, incident, *more)
        try:
            said, complained = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        assert said, complained
        return process.returncode, json.loads(said)


@pytest.fixture
def sender(visit: Visit, tmp_path: Path) -> Sender:
    page = visit("investigator")
    page.goto("/")
    made = page.evaluate(
        """async () => (await fetch("/api/v1/tokens/", {
            method: "POST",
            headers: {"Content-Type": "application/json",
                      "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value},
            body: JSON.stringify({purpose: "sends folders", read_only: false, days: 1}),
        })).json()"""
    )
    home = tmp_path / "home"
    home.mkdir()
    return Sender(home, made["secret"])


@pytest.fixture
def incident(visit: Visit) -> str:
    page = visit("investigator")
    acts.open_incident(page, "Sent by command")
    found = re.search(r"I-\d{4}", page.locator(".page-header").inner_text())
    assert found
    return found[0]


@pytest.fixture
def line(archive: RunningArchive) -> Iterator[Line]:
    with Line(archive.port, rate=SLOW) as line:
        yield line


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "film.bin").write_bytes(os.urandom(SIZE))
    return folder


def test_a_folder_of_photographs_is_held_bit_for_bit_with_receipts(
    sender: Sender, archive: RunningArchive, incident: str, test_data: Path, tmp_path: Path, visit: Visit
) -> None:
    folder = test_data / "exif" / "jpg" / "gps"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    code, told = sender.run(folder, archive.url, incident, "--receipts", str(receipts), "--stance", "supports")
    assert (code, told["failed"]) == (0, [])
    assert {row["path"]: row["sha256"] for row in told["held"]} == {n: acts.sha256(p) for n, p in files.items()}
    assert sorted(told["receipts"]["recorded"]) == sorted(row["accession"] for row in told["held"])
    for row in told["held"]:
        receipt = receipts / f"{row['accession']}.receipt.json"
        assert verify_receipt(receipt.read_bytes(), Trust(), content=files[row["path"]]).exit_code == 0
    page = visit("investigator")
    row = told["held"][0]
    page.goto(f"/items/{row['accession']}/")
    expect(page.get_by_text(row["path"].rpartition("/")[2]).first).to_be_attached()

    code, told = sender.run(folder, archive.url, incident, "--stance", "supports")
    assert (code, len(told["already"]), told["held"]) == (0, len(files), [])


def test_a_client_killed_in_the_middle_goes_on_and_sends_little_again(
    sender: Sender, incident: str, line: Line, film: Path
) -> None:
    process = sender.begin(film, line.url, incident)
    try:
        line.await_up(SIZE // 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    code, told = sender.run(film, line.url, incident)
    assert (code, told["failed"]) == (0, [])
    assert told["held"][0]["sha256"] == acts.sha256(film / "film.bin")
    assert line.up <= SIZE * (1 + AGAIN)


def test_a_line_that_is_cut_again_and_again_delays_and_loses_nothing(
    sender: Sender, incident: str, line: Line, film: Path
) -> None:
    process = sender.begin(film, line.url, incident)
    try:
        for number in range(1, 9):
            line.await_up(number * SIZE // 10)
            line.cut()
        said, complained = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, complained
    assert json.loads(said)["held"][0]["sha256"] == acts.sha256(film / "film.bin")
    assert line.up <= SIZE * (1 + AGAIN)


def test_an_archive_killed_meanwhile_is_waited_for(
    sender: Sender, archive: RunningArchive, incident: str, line: Line, film: Path
) -> None:
    process = sender.begin(film, line.url, incident)
    try:
        line.await_up(SIZE // 3)
        dead = archive.kill("web")
        archive.await_back("web", instead_of=dead)
        said, complained = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, complained
    assert json.loads(said)["held"][0]["sha256"] == acts.sha256(film / "film.bin")


def test_a_journal_that_was_lost_makes_no_item_twice(
    sender: Sender, archive: RunningArchive, incident: str, tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("Only once.\n")
    _, first = sender.run(folder, archive.url, incident)
    for journal in (sender.home / "state").iterdir():
        journal.unlink()
    code, second = sender.run(folder, archive.url, incident)
    assert code == 0
    assert second["held"][0]["accession"] == first["held"][0]["accession"]


def test_what_the_compartment_holds_is_left_out_when_asked(
    sender: Sender, archive: RunningArchive, incident: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, name in ((first, "a.txt"), (second, "b.txt")):
        folder.mkdir()
        (folder / name).write_text("The same words in two places.\n")
    _, told = sender.run(first, archive.url, incident)
    held = told["held"][0]["accession"]
    code, told = sender.run(second, archive.url, incident, "--skip-held")
    assert (code, told["held"], told["left_out"][0]["accession"]) == (0, [], held)


def test_a_revoked_token_or_a_foreign_incident_begins_nothing(
    sender: Sender, archive: RunningArchive, film: Path, incident: str
) -> None:
    process = sender.begin(film, archive.url, "I-9999")
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "you see no incident I-9999" in complained
    sender.token.write_text("sanad_" + "x" * 43)
    process = sender.begin(film, archive.url, incident)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "does not take this token" in complained

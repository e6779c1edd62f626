"""`bin/run` as a person uses it: what it refuses, what it prints, that a second start resumes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from archive import data_folder
from archive.postgres import SUPERUSER, database_url

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "bin" / "run"
START_SECONDS = 90


def clean_environ(**more: str) -> dict[str, str]:
    unwanted = ("SANAD_", "DATABASE_URL", "DJANGO_", "ARCHIVE_", "COV_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)} | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """For starts that are refused."""
    argv = [str(RUN), *map(str, arguments)]
    return subprocess.run(argv, env=clean_environ(**environ), capture_output=True, text=True, timeout=START_SECONDS)


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr that says why."""
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if not line.endswith("...")]
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return lines[0]


class Archive:
    """A started archive."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.port = free_port()
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(RUN), "--data", str(data), "--port", str(self.port), *arguments],
            env=clean_environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "Ctrl-C stops it" in line:
                break
        else:
            pytest.fail(f"bin/run ended: {self.said}")
        self.took = time.monotonic() - began

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://localhost:{self.port}{path}", timeout=20) as response:
            body: bytes = response.read()
            return body

    def stop(self, how: signal.Signals = signal.SIGINT) -> str:
        if self.process.poll() is None:
            self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=60)
        return said


@pytest.fixture
def data() -> Iterator[Path]:
    """With a space in its path, outside pytest's folders: those are closed to the account that runs the database."""
    home = Path(tempfile.mkdtemp(prefix="sanad run "))
    home.chmod(0o755)
    yield home / "my data"
    shutil.rmtree(home, ignore_errors=True)


def test_a_new_archive_starts_is_used_stops_and_resumes_with_the_same_data(data: Path) -> None:
    first = Archive(data, "--empty")
    try:
        account = re.search(r"^ +admin +(\S{16,}) +Administrator$", first.said, re.MULTILINE)
        assert account, first.said
        assert f"http://localhost:{first.port}/" in first.said
        assert json.loads(first.get("/health/")) == {"database": True}
        assert b"csrfmiddlewaretoken" in first.get("/accounts/login/")
        deadline = time.monotonic() + 30
        while not (data / "status" / "head.json").exists():
            assert time.monotonic() < deadline, "the signer signs nothing"
            time.sleep(0.1)
        keys = [path.name for path in (data / "signer").glob("key-*")]
        assert len(keys) == 1
    finally:
        ended = first.stop()
    assert first.process.returncode == 0, ended
    assert "stopped; the data is in" in ended
    assert "Traceback" not in first.said + ended
    assert not (data / "keys" / "first-accounts.json").exists(), "the password stays on the disk"
    assert not (data / "postgres" / "cluster" / "postmaster.pid").exists()
    origin = data_folder.read_origin(data)

    second = Archive(data)
    if second.took >= 10:  # other tests are at work on the same cores; once more before it counts
        second.stop()
        second = Archive(data)
    try:
        assert second.took < 10
        assert account[1] not in second.said
        assert "admin" not in second.said, "a second administrator or a sample was made"
        assert json.loads(second.get("/health/")) == {"database": True}
        refused = run("--data", data, "--port", str(free_port()))
        assert f"the data folder {data} is in use by process {second.process.pid}" in sentence(refused)
        assert refused.returncode == 75
    finally:
        second.stop(signal.SIGTERM)
    assert second.process.returncode == 0
    assert data_folder.read_origin(data) == origin


def test_each_process_has_its_own_database_role_and_the_ledger_is_kept_as_files(data: Path) -> None:
    archive = Archive(data, "--empty")
    try:
        deadline = time.monotonic() + 60
        while not (data / "ledger" / "checkpoint").exists():
            assert time.monotonic() < deadline, "nothing was exported"
            time.sleep(0.2)
        with psycopg.connect(database_url(data, role=SUPERUSER)) as connection:
            rows = connection.execute(
                "SELECT DISTINCT usename::text FROM pg_stat_activity"
                " WHERE datname = 'sanad' AND pid <> pg_backend_pid()"
            ).fetchall()
    finally:
        archive.stop()
    assert {name for (name,) in rows} == {"sanad_web", "sanad_sequencer", "sanad_signer", "sanad_auditor"}


def test_an_archive_that_was_killed_starts_again(data: Path) -> None:
    first = Archive(data, "--empty")
    first.process.kill()
    first.process.communicate(timeout=30)

    deadline = time.monotonic() + 30
    while (data / "postgres" / "cluster" / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    second = Archive(data)
    try:
        assert json.loads(second.get("/health/")) == {"database": True}
    finally:
        second.stop()
    assert second.process.returncode == 0


def test_a_killed_web_server_comes_back_by_itself(data: Path) -> None:
    archive = Archive(data, "--empty")
    try:
        children = subprocess.run(["pgrep", "-f", f"granian.*--port {archive.port}"], capture_output=True, text=True)
        pids = [int(pid) for pid in children.stdout.split()]
        assert pids
        os.kill(min(pids), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.3)
            try:
                assert json.loads(archive.get("/health/")) == {"database": True}
            except OSError:
                continue
            now = subprocess.run(["pgrep", "-f", f"granian.*--port {archive.port}"], capture_output=True, text=True)
            if min(pids) not in [int(pid) for pid in now.stdout.split()]:
                break
        else:
            pytest.fail("the web server did not come back")
    finally:
        said = archive.stop()
    assert "the web server ended (SIGKILL); starting it again" in said


def test_a_database_that_lost_a_process_is_started_again_and_all_that_ask_it_go_on(data: Path) -> None:
    archive, pid_file = Archive(data, "--empty"), data / "postgres" / "cluster" / "postmaster.pid"

    def server() -> int:
        return int(pid_file.read_text().split()[0])

    try:
        for whole in (False, True):
            before = server()
            session = psycopg.connect(database_url(data, role=SUPERUSER))
            os.kill(before if whole else session.info.backend_pid, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                time.sleep(0.2)
                try:
                    again = server() != before and json.loads(archive.get("/health/")) == {"database": True}
                except (OSError, ValueError, IndexError):
                    continue
                if again:
                    break
            else:
                pytest.fail("the database did not come back")
    finally:
        said = archive.stop()
    assert said.count("the database ended (") == 2
    assert archive.process.returncode == 0


def test_a_taken_port_is_said_and_nothing_is_made(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = run("--data", data, "--port", str(port))

    assert sentence(ended) == f"sanad: port {port} is taken by another program; choose another with --port."
    assert ended.returncode == 69
    assert not data.exists()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "٨"])
def test_a_port_that_is_none_is_refused(data: Path, port: str) -> None:
    ended = run("--data", data, f"--port={port}")

    assert ended.returncode == 2
    assert f"a port is a number from 1 to 65535, not '{port}'" in ended.stderr


def test_a_folder_with_other_things_is_no_data_folder(data: Path) -> None:
    data.mkdir()
    (data / "thesis.odt").write_text("x")

    ended = run("--data", data, "--port", str(free_port()))

    assert "holds other files (thesis.odt) and no archive" in sentence(ended)
    assert ended.returncode == 73
    assert [path.name for path in data.iterdir()] == ["thesis.odt"]


def test_a_broken_data_folder_is_said_and_left_as_it_is(data: Path) -> None:
    data_folder.prepare(data)
    (data / "sanad.json").write_text("{")

    ended = run("--data", data, "--port", str(free_port()))

    assert sentence(ended) == f"sanad: the file {data}/sanad.json is damaged; restore it from a backup."
    assert (data / "sanad.json").read_text() == "{"


def test_a_broken_database_is_said(data: Path) -> None:
    data_folder.prepare(data)
    (data / "postgres" / "cluster").mkdir()
    (data / "postgres" / "cluster" / "PG_VERSION").write_text("18\n")

    ended = run("--data", data, "--port", str(free_port()))

    assert re.fullmatch(r"sanad: the database in .* (does not start|cannot run): .*\.", sentence(ended))
    assert ended.returncode == 69


def test_a_parent_that_is_a_file_is_said(data: Path) -> None:
    data.write_text("x")

    assert "is a file; name another folder" in sentence(run("--data", data, "--port", str(free_port())))
    assert "cannot be used: Not a directory" in sentence(run("--data", data / "sub", "--port", str(free_port())))


def test_a_wrong_environment_is_said_before_the_archive_starts(data: Path) -> None:
    ended = run("--data", data, "--port", str(free_port()), SANAD_UPLOAD_LIMIT="a lot")

    assert "SANAD_UPLOAD_LIMIT must be a whole number, not 'a lot'." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 78


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_an_old_python_is_said(tmp_path: Path, shell: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"this machine has no {shell}")
    tools = tmp_path / "bin"
    tools.mkdir()
    old = tools / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && { echo "Python 3.9.2"; exit 0; }\nexit 1\n')
    old.chmod(0o755)
    for name in ("dirname", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")

    ended = subprocess.run([found, RUN], env={"PATH": str(tools)}, capture_output=True, text=True)

    assert sentence(ended) == "sanad: Python 3.11 or newer is needed, this is Python 3.9.2; install a newer python3."
    assert ended.returncode == 69


def test_no_python_is_said(tmp_path: Path) -> None:
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")

    ended = subprocess.run(["/bin/sh", RUN], env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    assert sentence(ended) == "sanad: Python 3.11 or newer is needed and there is no python3; install it."

"""The supervisor with small programs of its own, in a process that a test can signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from archive import processes, supervisor
from archive.postgres import PostgresProblem
from archive.supervisor import Supervisor
from custody import outages

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from pathlib import Path
from archive import supervisor
from archive.supervisor import Child, Supervisor

supervisor.FIRST_DELAY = 0.2
folder = Path(sys.argv[1])
child = '''
import os, signal, sys, time
name, folder = sys.argv[1], sys.argv[2]
def note(text):
    with open(folder + "/notes", "a") as notes:
        notes.write(name + " " + text + "\\\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
if name != "deaf":
    signal.signal(signal.SIGTERM, stop)
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(folder + "/" + name, "w") as own:
    own.write(str(os.getpid()))
note("started")
while True:
    time.sleep(0.05)
'''
def make(name):
    return Child(name, [sys.executable, "-c", child, name, str(folder)], stop_seconds=1.0, delay=0.2)
import os
children = [make(name) for name in sys.argv[2:]]
it = Supervisor(None, children, environ=dict(os.environ), folder=folder, say=lambda text: print(text, flush=True))
it.listen()
it.start()
it.run()
it.stop()
print("done", flush=True)
"""


class Running:
    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), *names], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for name in names:
            self.until(lambda name=name: f"{name} started" in self.notes())

    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def pid(self, name: str) -> int:
        return int((self.folder / name).read_text())

    def until(self, holds: object, seconds: float = 15) -> None:
        assert callable(holds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if holds():
                return
            time.sleep(0.02)
        pytest.fail(f"not reached in {seconds} s; notes: {self.notes()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=20)
        return said


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for path in tmp_path.iterdir():
        if path.name != "notes" and path.read_text().isdigit():
            with_pid = int(path.read_text())
            try:
                os.kill(with_pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_everything_stops_cleanly_the_web_server_first(folder: Path, how: signal.Signals) -> None:
    running = Running(folder, "web", "worker", "sequencer")

    said = running.stop(how)

    assert said.splitlines()[-1] == "done"
    assert running.process.returncode == 0
    assert running.notes()[-3:] == ["web stopped", "worker stopped", "sequencer stopped"]


def test_a_program_that_ends_is_started_again_and_said(folder: Path) -> None:
    running = Running(folder, "web", "worker")
    first = running.pid("worker")
    web = running.pid("web")

    os.kill(first, signal.SIGKILL)
    running.until(lambda: running.notes().count("worker started") == 2)

    assert running.pid("worker") != first
    assert running.pid("web") == web
    assert "worker ended (SIGKILL); starting it again" in running.stop()


def test_the_delay_doubles_while_a_program_keeps_ending(folder: Path) -> None:
    running = Running(folder, "web")
    for count in (1, 2):
        os.kill(running.pid("web"), signal.SIGKILL)
        running.until(lambda count=count: running.notes().count("web started") == count + 1)
    os.kill(running.pid("web"), signal.SIGKILL)
    time.sleep(0.3)

    assert running.notes().count("web started") == 3
    running.until(lambda: running.notes().count("web started") == 4)
    running.stop()


def test_a_program_that_does_not_listen_is_killed_after_its_time(folder: Path) -> None:
    running = Running(folder, "deaf")
    pid = running.pid("deaf")

    said = running.stop()

    assert "deaf did not finish in 1 s and was killed" in said
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_no_program_outlives_a_killed_supervisor(folder: Path) -> None:
    running = Running(folder, "web", "worker")
    pids = [running.pid("web"), running.pid("worker")]

    running.process.kill()
    running.process.communicate(timeout=10)

    running.until(lambda: not any(alive(pid) for pid in pids))


class Server:
    """Stands for the database's cluster: a program that can be killed, and that does not start every time."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.process: subprocess.Popen[bytes] | None = None
        self.starts: list[float] = []

    def start(self, *, wait: bool = True) -> None:
        self.starts.append(time.monotonic())
        if len(self.starts) > 1 and self.refusals:
            self.refusals -= 1
            raise PostgresProblem("its memory is still in use.")
        self.process = processes.start(["sleep", "1000"], environ=dict(os.environ))

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, how=signal.SIGTERM, seconds=5)


def test_a_database_that_does_not_start_at_once_is_tried_again_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.1)
    server, said = Server(refusals=3), list[str]()
    server.start()
    it = Supervisor(server, [], environ={}, folder=ROOT, say=said.append)  # type: ignore[arg-type]
    try:
        assert server.process is not None
        server.process.kill()
        assert it.wait(lambda: len(server.starts) == 5, 10), said
        assert not it.stopping
        assert server.process.poll() is None
        pauses = [later - before for before, later in pairwise(server.starts[1:])]
        assert pauses[0] < pauses[1] < pauses[2]
        assert said[0] == "the database ended (SIGKILL); starting it again"
        assert said[1:] == [f"its memory is still in use; starting it again in {pause} s" for pause in (0.1, 0.2, 0.4)]
        assert not it.wait(lambda: len(server.starts) > 5, 0.3), "a server that runs was started again"
    finally:
        server.stop()


def test_whatever_is_killed_how_often_its_next_start_is_soon_enough() -> None:
    """The longest pause and a slow start stay within the 30 s in which an archive is at work again."""
    assert supervisor.LONGEST_DELAY + outages.BACK_OFF[1] <= 10

"""A whole archive for the journeys: `bin/run` with its own data folder, and what may be done to it from outside."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0  # with painting the sample on a busy machine
BACK_SECONDS = 60.0
_ACCOUNT = re.compile(r"^ {4}(\S+) +(\S{12,}) +([A-Z][A-Za-z ]+)$", re.MULTILINE)
_OURS = ("SANAD_", "DATABASE_URL", "DJANGO_", "ARCHIVE_", "COV_", "PYTEST_")
PARTS = {"web": "granian", "worker": "procrastinate", "sequencer": "sequencer", "signer": "signer"}


class NotStarted(Exception):
    """The archive did not come up; the message holds what it said."""


@dataclass(frozen=True)
class Account:
    """A person of the sample."""

    username: str
    password: str
    role: str


class RunningArchive:
    """The sample archive on a free port. Leaving the context stops it and removes its data."""

    def __init__(self) -> None:
        # Not below pytest's folders: the account that runs the database for root must be able to pass through.
        self.home = Path(tempfile.mkdtemp(prefix="sanad-journeys-"))
        self.home.chmod(0o755)
        self.data = self.home / "data"
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self.accounts: dict[str, Account] = {}
        self._log = self.home / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(ROOT / "bin" / "run"), "--data", str(self.data), "--port", str(self.port)],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_greeting()
        except BaseException:
            self.__exit__()
            raise
        found = (Account(*match) for match in _ACCOUNT.findall(self.log()))
        self.accounts = {account.username: account for account in found}
        return self

    def __exit__(self, *ended: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _await_greeting(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops it." not in self.log():
            if self._process.poll() is not None:
                raise NotStarted(f"bin/run ended with {self._process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise NotStarted(f"bin/run was not ready in {START_SECONDS:.0f} s:\n{self.log()}")
            time.sleep(0.2)

    def log(self) -> str:
        """Everything that was said so far, without the passwords it printed."""
        said = self._log.read_text("utf-8", "replace")
        return said if not self.accounts else _ACCOUNT.sub(r"    \1 (password)", said)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def pid_of(self, part: str) -> int | None:
        """The process that the supervisor started for a part of PARTS, None while there is none."""
        assert self._process is not None
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in map(int, listed):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if PARTS[part].encode() in words:
                    return pid
        return None

    def kill(self, part: str) -> int:
        """kill -9 of a part with everything it started. Gives the process that is no more."""
        pid = self.pid_of(part)
        assert pid is not None, f"{part} is not running"
        os.killpg(pid, signal.SIGKILL)
        return pid

    @contextlib.contextmanager
    def halted(self, part: str) -> Iterator[None]:
        """The part stands still meanwhile, so that its work piles up."""
        pid = self.pid_of(part)
        assert pid is not None, f"{part} is not running"
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)

    def await_back(self, part: str, instead_of: int) -> None:
        """Until the supervisor has started the part again and the site answers. Raises TimeoutError."""
        deadline = time.monotonic() + BACK_SECONDS
        while time.monotonic() < deadline:
            pid = self.pid_of(part)
            if pid is not None and pid != instead_of and self.answers():
                return
            time.sleep(0.2)
        raise TimeoutError(f"{part} did not come back in {BACK_SECONDS:.0f} s")

    def stored(self, address: str) -> Path:
        """The file of the store with this address."""
        return self.data / "store" / address[:2] / address[2:4] / address

    @contextlib.contextmanager
    def damaged(self, address: str) -> Iterator[None]:
        """One bit of the stored object is another one on the disk; put back at the end."""
        path = self.stored(address)
        mode = path.stat().st_mode
        path.chmod(0o600)
        place = path.stat().st_size // 2
        _flip(path, place)
        try:
            yield
        finally:
            _flip(path, place)
            path.chmod(mode)


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)[0]
        handle.seek(place)
        handle.write(bytes([byte ^ 1]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

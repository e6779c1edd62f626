"""Keeps the archive's processes alive: the database, the web server, the worker, the sequencer and the signer.

1. The web server stops first, what works off its acts after it, the database last: each finishes what it was given.
2. One that ends is started again, after a delay that doubles from FIRST_DELAY to LONGEST_DELAY and is forgotten after
   HEALTHY_AFTER; so is the database, at once the first time. Whatever is killed how often, the archive is at work again
   within 30 s (`manage.py drill kills`). One that ended because the ledger is not what was signed looks at it again
   after ALARM_DELAY.
3. SIGTERM, SIGINT and SIGHUP stop everything. A second one does not hurry: a clean stop is what keeps data whole.
4. Should this process be killed, the kernel tells the children to stop (archive/processes.py).
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archive import processes
from archive.postgres import Cluster, PostgresProblem

FIRST_DELAY = 0.5
LONGEST_DELAY = 5.0
HEALTHY_AFTER = 5.0
LOOK_EVERY = 5.0
ALARM_DELAY = 60.0
ALARMS = range(10, 19)  # custody.alarm.EXIT_CODES

Say = Callable[[str], None]


@dataclass
class Child:
    """One supervised program.

    `stop_seconds` is how long it may take to finish its work. `when_orphaned` is sent should this process be killed;
    the database ends then too, and a program that would wait for it is killed: its transactions make that safe.
    """

    name: str
    argv: Sequence[str]
    stop_seconds: float
    when_orphaned: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = FIRST_DELAY
    due: float | None = field(default=None)


class Supervisor:
    """Runs until told to stop."""

    def __init__(
        self, cluster: Cluster | None, children: Sequence[Child], *, environ: Mapping[str, str], folder: Path, say: Say
    ) -> None:
        self._cluster = cluster
        self._children = list(children)
        self._environ = environ
        self._folder = folder
        self._say = say
        self._stopping = False
        self._database_started = time.monotonic()
        self._database_delay = 0.0
        self._database_due: float | None = None
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)

    def listen(self) -> None:
        """From here on signals are noticed; call before anything is started."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_soon)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    @property
    def stopping(self) -> bool:
        return self._stopping

    def start(self) -> None:
        for child in self._children:
            if not self._stopping:
                self._start(child)

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Supervise until the condition holds; False when told to stop or when the time is over."""
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            if until():
                return True
            self._look()
            self._sleep(0.1)
        return False

    def run(self) -> None:
        """Supervise until told to stop."""
        while not self._stopping:
            self._look()
            self._sleep(self._until_next())

    def stop(self) -> None:
        """Everything has ended when this returns."""
        for child in self._children:
            self._stop(child)
        if self._cluster is not None:
            self._cluster.stop()

    def _stop_soon(self, number: int, frame: object) -> None:
        self._stopping = True

    def _start(self, child: Child) -> None:
        child.due = None
        child.started = time.monotonic()
        try:
            child.process = processes.start(
                child.argv, environ=self._environ, when_orphaned=child.when_orphaned, cwd=self._folder
            )
        except OSError as problem:
            self._later(child, f"cannot be started ({problem.strerror})")

    def _stop(self, child: Child) -> None:
        if child.process is not None:
            in_time = processes.stop(child.process, how=signal.SIGTERM, seconds=child.stop_seconds)
            if not in_time:
                self._say(f"{child.name} did not finish in {child.stop_seconds:.0f} s and was killed")
            child.process = None

    def _look(self) -> None:
        self._look_at_database()
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                processes.sweep(child.process)
                child.process = None
                if now - child.started >= HEALTHY_AFTER:
                    child.delay = FIRST_DELAY
                if code in ALARMS:
                    child.delay = ALARM_DELAY
                self._later(child, f"ended ({_how(code)})")
            elif child.process is None and child.due is not None and now >= child.due:
                self._start(child)

    def _look_at_database(self) -> None:
        """It is not waited for: what else was killed is started meanwhile, and waits for it by itself."""
        if self._cluster is None:
            return
        process, now = self._cluster.process, time.monotonic()
        if process is not None and process.poll() is not None:
            processes.sweep(process)
            self._cluster.process = None
            if now - self._database_started >= HEALTHY_AFTER:
                self._database_delay = 0.0
            self._database_later(f"the database ended ({_how(process.returncode)})")
        if self._database_due is None or time.monotonic() < self._database_due:
            return
        self._database_due = None
        self._database_started = time.monotonic()
        try:
            self._cluster.start(wait=False)
        except PostgresProblem as problem:
            self._database_later(str(problem).rstrip("."))

    def _database_later(self, why: str) -> None:
        """At once the first time. One that does not start is tried again: a killed one's sessions hold its memory."""
        self._say(f"{why}; starting it again" + (f" in {self._database_delay:g} s" if self._database_delay else ""))
        self._database_due = time.monotonic() + self._database_delay
        self._database_delay = min(self._database_delay * 2 or FIRST_DELAY, LONGEST_DELAY)

    def _later(self, child: Child, why: str) -> None:
        self._say(f"{child.name} {why}; starting it again in {child.delay:g} s")
        child.due = time.monotonic() + child.delay
        child.delay = FIRST_DELAY if child.delay == ALARM_DELAY else min(child.delay * 2, LONGEST_DELAY)

    def _until_next(self) -> float:
        due = [at for at in (self._database_due, *(child.due for child in self._children)) if at is not None]
        return max(0.0, min([LOOK_EVERY, *(at - time.monotonic() for at in due)]))

    def _sleep(self, seconds: float) -> None:
        """Until a signal arrives, a child's end included."""
        ready, _, _ = select.select([self._wake_read], [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

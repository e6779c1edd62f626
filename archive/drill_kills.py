"""The kills drill: an archive of its own is started as bin/run starts it, put under load, and killed again and again.

1. SIGKILL at random instants for the web server and its worker process, the worker, the sequencer, the signer, the
   ledger's export, a session of the database, another of its processes, its server; sometimes two at once. Nothing is
   started again by the drill: what comes back is what the archive's own supervisor brings back.
2. After every EVERY kills nothing is killed until the archive has recovered: a file that is sent from then on is
   acknowledged, its receipt says that a signed head covers it, and every process is at work.
3. At the end the archive is stopped and archive.drill_kills_proof compares what was told with what stands.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from django.conf import settings

from archive import processes
from archive.drill_kills_load import Outsider, Stopped, Writer, in_threads, told
from archive.drill_kills_proof import STAGE, TOLD, Step

WRITERS = 4
EVERY = 20  # kills between two measured recoveries
MEAN, LONGEST = 0.4, 3.0  # seconds before a kill, exponentially distributed
AMID_ACTS = 0.35  # how often an act is awaited first: the other kills meet whatever the one before has left
TWO_AT_ONCE = 0.1
RECOVERS_WITHIN = 30.0  # seconds
GIVES_UP = 120.0  # seconds
READY, STOPS = 180.0, 120.0  # seconds
HEARTBEAT, SCRUB = "5", "60"  # seconds, as often as settings allow: they are to be killed too
WEB, WEB_PROCESS, WORKER, SEQUENCER, SIGNER, EXPORT = (
    "web server",
    "web server's process",
    "worker",
    "sequencer",
    "signer",
    "ledger's export",
)
SERVER, SESSION, PART = "database server", "database session", "database's own process"
#: How often each is killed, relative to each other.
WEIGHTS = {WEB: 1, WEB_PROCESS: 1, WORKER: 1, SEQUENCER: 3, SIGNER: 3, EXPORT: 1, SERVER: 1, SESSION: 2, PART: 1}
#: What is at work in an archive that has recovered; sessions of the database come and go.
AT_WORK = (WEB, WEB_PROCESS, WORKER, SEQUENCER, SIGNER, EXPORT, SERVER, PART)
_WORDS = {"granian": WEB, "procrastinate": WORKER, "sequencer": SEQUENCER, "signer": SIGNER, "export_log": EXPORT}
#: What a process of the ledger says when it takes a kill for an attack.
_ALARMS = ("nothing is signed", "cannot be continued", "is not exported", "Traceback")

Say = Callable[[str], None]


class NotPlayed(Exception):
    """The drill could not be played; the message says why."""


@dataclass(frozen=True)
class Kill:
    """When (time.monotonic()) what was killed, and how many acts had been acknowledged by then."""

    at: float
    what: str
    acknowledged: int


class Archive:
    """An archive as `bin/run` runs it, seen from outside: its processes by name."""

    def __init__(self, data: Path, port: int, log: Path) -> None:
        self.data, self.port, self.log = data, port, log
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("SANAD_", "DATABASE_"))}
        environ |= {"SANAD_HEARTBEAT": HEARTBEAT, "SANAD_SCRUB": SCRUB, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "archive.run", "--empty", "--data", str(data), "--port", str(port)]
        with log.open("ab") as output:
            self.process = processes.start(command, environ=environ, output=output, cwd=settings.BASE_DIR)

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY
        head = self.data / "status" / "head.json"  # before the first one a receipt has nothing to say
        while "Ctrl-C stops it" not in self.said() or not head.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotPlayed(f"the archive did not start:\n{self.said()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> int:
        """As Ctrl-C does. Returns the exit code; -9 when it had to be killed."""
        processes.stop(self.process, how=signal.SIGINT, seconds=STOPS)
        return self.process.returncode

    def note(self, line: str) -> None:
        """A line of the drill between those that the archive logs."""
        with self.log.open("a") as log:
            log.write(line + "\n")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def pids(self) -> dict[str, list[int]]:
        """What runs now, by name."""
        listed = subprocess.run(  # -ww: whole, whatever COLUMNS says
            ["ps", "-e", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 3) for line in listed.splitlines()]
        alive = [(int(pid), int(parent), args) for pid, parent, stat, args in rows if not stat.startswith("Z")]
        found: dict[str, list[int]] = {}
        for pid, parent, args in alive:
            if parent == self.process.pid and (name := _name(args)):
                found.setdefault(name, []).append(pid)
        for pid, parent, args in alive:
            if parent in found.get(WEB, ()):
                found.setdefault(WEB_PROCESS, []).append(pid)
            elif parent in found.get(SERVER, ()):
                found.setdefault(SESSION if "[local]" in args else PART, []).append(pid)
        return found


def _name(args: str) -> str:
    words = args.split()
    for word, name in _WORDS.items():
        if word in words:
            return name
    return SERVER if any(word.endswith("/postgres") for word in words[:1]) else ""


def play(home: Path, *, port: int, count: int, seed: int, say: Say) -> dict[str, Any]:
    """Start, load, kill, stop; what others were told is then in TOLD, for the proof. Raises NotPlayed."""
    stage = json.loads((home / STAGE).read_text())
    archive = Archive(home / "data", port, home / "archive.log")
    stopping, gave_up = threading.Event(), threading.Event()
    writers = [
        Writer(number, port, token, stage["incident"], seed, stopping if number else gave_up)
        for number, token in enumerate(stage["tokens"])
    ]
    outsider, began = Outsider(archive.data, stopping), time.monotonic()
    try:
        archive.await_ready()
        threads = in_threads(outsider.run, *(writer.run for writer in writers[1:]))
        kills, recoveries = _kill(archive, writers, outsider, gave_up, count=count, seed=seed, say=say)
        stopping.set()
        for thread in threads:
            thread.join(60)
        outsider.look()
    finally:
        stopping.set()
        code = archive.stop()
    acts = [act for writer in writers for act in writer.acts]
    keep = {"receive": ("accession", "sha256"), "verify": ("event_id",), "announce": ("intake",)}
    (home / TOLD).write_text(
        json.dumps(
            {
                "acts": [told(act, keep) for act in acts],
                "heads": list(outsider.heads.values()),
                "receipts": [receipt for writer in writers for receipt in writer.receipts],
                "kills": [asdict(kill) for kill in kills],
            }
        )
    )
    said, refusals = archive.said(), [writer.refusal for writer in writers if writer.refusal]
    alarms = [line for line in said.splitlines() if any(words in line for words in _ALARMS)]
    steps = [
        Step("no writer was refused what it may do", not refusals, "; ".join(refusals)),
        Step("no process took a kill for an attack, none failed otherwise", not alarms, "; ".join(alarms[:3])),
        Step("the archive stopped cleanly when it was told to", code == 0, f"exit {code}"),
    ]
    return {
        "seed": seed,
        "kills": dict(Counter(kill.what for kill in kills).most_common()),
        "under_load": sum(after.acknowledged > before.acknowledged for before, after in pairwise(kills)),
        "acknowledged": sum(act.acknowledged is not None for act in acts),
        "unanswered": sum(writer.unanswered for writer in writers),
        "seconds": time.monotonic() - began,
        "left_alone": recoveries,
        "steps": [asdict(step) for step in steps],
    }


def _kill(
    archive: Archive,
    writers: list[Writer],
    outsider: Outsider,
    gave_up: threading.Event,
    *,
    count: int,
    seed: int,
    say: Say,
) -> tuple[list[Kill], list[float]]:
    chance, kills, recoveries = random.Random(seed), list[Kill](), list[float]()  # noqa: S311  to be played again
    prober = writers[0]
    _recovered(archive, prober, gave_up, time.monotonic())
    while len(kills) < count:
        if chance.random() < AMID_ACTS:
            _await_act(writers, kills[-1].acknowledged if kills else 0)
        time.sleep(min(LONGEST, chance.expovariate(1 / MEAN)))
        if archive.process.poll() is not None:
            raise NotPlayed(f"the archive ended by itself:\n{archive.said()[-2000:]}")
        for _ in range(2 if chance.random() < TWO_AT_ONCE and len(kills) + 1 < count else 1):
            if (what := _kill_one(archive, chance)) is not None:
                kills.append(Kill(time.monotonic(), what, _acknowledged(writers)))
                archive.note(f"drill: {time.strftime('%H:%M:%S')} killed a {what}")
        if len(kills) // EVERY > len(recoveries) or len(kills) == count:
            recoveries.append(_recovered(archive, prober, gave_up, kills[-1].at))
            acts = sum(len(writer.acts) for writer in writers)
            words = f"{len(kills)} kills, {acts} acts, {outsider.covered} entries under a head"
            say(f"{words}; recovered in {recoveries[-1]:.1f} s")
    return kills, recoveries


def _acknowledged(writers: list[Writer]) -> int:
    return sum(act.acknowledged is not None for writer in writers for act in list(writer.acts))


def _await_act(writers: list[Writer], since: int) -> None:
    deadline = time.monotonic() + GIVES_UP
    while _acknowledged(writers) <= since and time.monotonic() < deadline:
        time.sleep(0.02)


def _kill_one(archive: Archive, chance: random.Random) -> str | None:
    """Kill one of what runs. Returns what; None when it had just ended by itself."""
    running = archive.pids()
    names = [name for name in WEIGHTS if running.get(name)]
    if not names:
        return None
    name = chance.choices(names, [WEIGHTS[name] for name in names])[0]
    try:
        os.kill(chance.choice(running[name]), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return name


def _recovered(archive: Archive, prober: Writer, gave_up: threading.Event, since: float) -> float:
    """Seconds until a file sent after the kill is recorded and every process is at work. Raises NotPlayed."""
    give_up = threading.Timer(GIVES_UP, gave_up.set)
    give_up.start()
    try:
        done = prober.recorded()
        while not all(archive.pids().get(name) for name in AT_WORK):
            if gave_up.is_set():
                raise Stopped
            time.sleep(0.1)
            done = time.monotonic()
    except Stopped:
        running = ", ".join(f"{name} {pids}" for name, pids in archive.pids().items())
        log = "\n".join(line for line in archive.said().splitlines() if line.startswith(("sanad:", "drill:")))
        raise NotPlayed(f"it did not recover in {GIVES_UP:.0f} s. At work: {running}\n{log[-3000:]}") from None
    finally:
        give_up.cancel()
    return done - since


def judged(result: dict[str, Any], proof: dict[str, Any]) -> dict[str, Any]:
    """The whole result, with the proof and with the recoveries held against RECOVERS_WITHIN."""
    every = [seconds for seconds in proof["recoveries"] if seconds is not None]
    never = len(proof["recoveries"]) - len(every)
    alone = result["left_alone"]
    in_time = bool(alone) and max(alone) < RECOVERS_WITHIN
    sooner = "after every kill, though others follow about a second later, an act comes under a signed head"
    steps = [
        Step("left alone, everything is at work and an act under a signed head within 30 s", in_time, spread(alone)),
        Step(sooner, not never, spread(every) + (f"; {never} never" if never else "")),
    ]
    steps = result["steps"] + proof["steps"] + [asdict(step) for step in steps]
    return result | {
        "every_kill": proof["recoveries"],
        "steps": steps,
        "failed": not all(step["good"] for step in steps),
    }


def spread(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum, for people."""
    if not seconds:
        return "none measured"
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{len(ordered)} measured: p50 {median(ordered):.1f} s, p99 {p99:.1f} s, max {ordered[-1]:.1f} s"

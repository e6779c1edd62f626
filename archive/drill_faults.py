"""The drill of faults: a reception is killed, or its disk and database fail it, at each of its system calls.

1. A child is forked that has everything loaded, and stops. `strace` takes hold of it with one fault for one call, and
   it goes on: it receives a file under an Idempotency-Key as the upload API does, and says so only when that returned.
2. What a child acknowledged must stand: one item of that key, with one event of reception, and bytes that open to what
   was sent. What it did not acknowledge stands whole or not at all.
3. Then the same request comes again without a fault. It must be answered, and there is one item and one event.

A system call's number is counted for each thread, as strace does. A fault that the child never reaches is told apart.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import DatabaseError, connections
from django.utils import timezone
from procrastinate.exceptions import ConnectorException

from accounts.models import User
from archive.sample.people import gather
from custody.models import Event, EventSubject
from custody.vocabulary import Type
from evidence import blobs, reconcile
from evidence.models import Item
from evidence.store import StoreProblem
from incidents import uploads
from incidents.actions import open_incident
from incidents.models import Intake
from incidents.vocabulary import Stance

SIZE = 3 * 2**20 + 12_345  # bytes of the file: several segments, and a tail
LONGEST = 30.0  # seconds for one reception, whatever fails
ATTACH = 5.0  # seconds until strace has hold
#: What a failing disk says, to the calls that reach a file.
DISK = {
    "openat": ("EIO", "ENOSPC", "EMFILE"),
    "write": ("EIO", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC", "EMLINK"),
    "mkdir": ("EIO", "ENOSPC"),
    "read": ("EIO",),
    "unlink": ("EIO",),
    "close": ("EIO",),
}
#: What a database that goes away says. Not to sendto: libpq then reads the server's last words, and this one lives.
LINE = {"recvfrom": ("ECONNRESET",)}
#: A disk that says it has written more than it has.
LIES = {"write": ("retval=1", "retval=8388608")}
#: The refusals that a sender understands; anything else is a fault of ours.
EXPECTED = (blobs.ReceptionRefused, StoreProblem, DatabaseError, ConnectorException)
_CALL = re.compile(r"(?:\[pid +)?(\d+)\]? +(\w+)\(")


class Fault(NamedTuple):
    """What is done to the `number`-th call of that name in any thread: strace's words for it."""

    call: str
    number: int
    done: str

    def __str__(self) -> str:
        return f"{self.done} at {self.call} {self.number}"


@dataclass
class Result:
    """What the drill counted; `wrong` holds every promise that was broken, in words."""

    calls: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    left_over: int = 0
    wrong: list[str] = field(default_factory=list)


class NotPlayed(Exception):
    """This machine has nothing to inject faults with; the message says what."""


class Drill:
    """An incident with an open intake, and one file that is sent again and again under new keys."""

    def __init__(self, home: Path) -> None:
        if shutil.which("strace") is None:
            raise NotPlayed("strace is not installed: it is what makes system calls fail (Debian: apt install strace)")
        team = gather()
        self.by: User = team["investigator"]
        now = timezone.now()
        fields = {"title": "A drill"}
        self.incident = open_incident(by=self.by, at=now, compartment_id=team.compartment.pk, fields=fields)
        said = {"stance": Stance.CONTEXT, "reasons": "A drill"}
        self.intake: Intake = uploads.announce(by=self.by, at=now, incident=self.incident, fields=said)
        self.trace = home / "trace"
        self.result = Result()

    def play(self, every: int = 1) -> Result:
        """All faults; with `every`, only each so many-th of them."""
        seen = self._calls_of_a_good_one()
        self.result.calls = dict(seen.most_common())
        for fault in list(faults(seen))[::every]:
            self._try(fault)
        found = reconcile.reconcile(remove=True, older_than=timedelta(0))
        self.result.left_over = len(found.without_row) + len(found.staging)
        self.result.wrong += [f"no bytes stand for {name}" for name in found.without_bytes]
        again = reconcile.reconcile(remove=False, older_than=timedelta(0))
        if again.without_row or again.staging:
            self.result.wrong.append("the reconciler left something behind")
        return self.result

    def _calls_of_a_good_one(self) -> Counter[str]:
        """{system call: how often the busiest thread makes it} in a reception without a fault."""
        key, data = uuid4(), _file()
        answer, _ = self._child(key, data, ["-o", str(self.trace)])
        if "accession" not in answer:
            raise NotPlayed(f"a reception under strace ends with {answer}; may processes be traced here?")
        threads: Counter[tuple[str, str]] = Counter()
        for line in self.trace.read_text(errors="replace").splitlines():
            if found := _CALL.match(line):
                threads[found[1], found[2]] += 1
        busiest: Counter[str] = Counter()
        for (_thread, call), count in threads.items():
            busiest[call] = max(busiest[call], count)
        return busiest

    def _try(self, fault: Fault) -> None:
        key, data = uuid4(), _file()
        kind = fault.done.partition("=")[0] if fault.call in DISK | LINE else "signal"
        self.result.tried[kind] = self.result.tried.get(kind, 0) + 1
        injected = f"inject={fault.call}:{fault.done}:when={fault.number}"
        answer, seconds = self._child(key, data, ["-o", "/dev/null", "-e", f"trace={fault.call}", "-e", injected])
        ended = "acknowledged" if "accession" in answer else answer.get("refused", "killed")
        self.result.ended[ended] = self.result.ended.get(ended, 0) + 1
        self.result.slowest = max(self.result.slowest, seconds)
        wrong = self.result.wrong
        if "unexpected" in answer:
            wrong.append(f"{fault}: {answer['unexpected']}")
        if seconds > LONGEST:
            wrong.append(f"{fault}: no end after {LONGEST:.0f} s")
        wrong += [f"{fault}: {words}" for words in self._stands(key, data, answer.get("accession"))]
        try:
            item = self._receive(key, data)
        except EXPECTED as problem:
            wrong.append(f"{fault}: the same request again is refused: {problem}")
            return
        if answer.get("accession") not in (None, item.accession):
            wrong.append(f"{fault}: the same request again is another item")
        wrong += [f"{fault}: asked again, {words}" for words in self._stands(key, data, item.accession)]

    def _stands(self, key: UUID, data: bytes, accession: str | None) -> Iterator[str]:
        """What is wrong with the items of a key; without an accession there may be none."""
        items = list(Item.objects.filter(received_by=self.by, idempotency_key=key).select_related("blob"))
        if len(items) != 1:
            if items or accession:
                yield f"{len(items)} items stand"
            return
        item = items[0]
        if accession not in (None, item.accession):
            yield "another accession number was acknowledged"
        about = EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
        events = Event.objects.filter(pk__in=about, type=Type.RECEIVE).count()
        if events != 1:
            yield f"{events} events of reception stand"
        if item.links.filter(incident=self.incident).count() != 1:
            yield "it is not linked to its incident once"
        try:
            opened = hashlib.sha256()
            for piece in blobs.read_blob(item.blob):
                opened.update(piece)
        except Exception as problem:
            yield f"its bytes do not open: {problem}"
            return
        if opened.digest() != hashlib.sha256(data).digest():
            yield "other bytes stand than were sent"

    def _receive(self, key: UUID, data: bytes) -> Item:
        """As the upload API receives a file."""
        earlier = uploads.earlier_item(self.by, key, intake=self.intake, sha256=hashlib.sha256(data).hexdigest())
        if earlier is not None:
            return earlier
        received = blobs.receive([data[start : start + 2**20] for start in range(0, len(data), 2**20)])
        return uploads.accept(
            by=self.by,
            at=timezone.now(),
            intake=self.intake,
            received=received,
            original_name="drill.bin",
            idempotency_key=key,
        )

    def _child(self, key: UUID, data: bytes, traced: list[str]) -> tuple[dict[str, Any], float]:
        """(what a child said before it ended, the seconds it took) under strace with these arguments."""
        connections.close_all()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_the_child(writing, key, data)
        os.close(writing)
        os.waitpid(child, os.WUNTRACED)
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", *traced, "-p", str(child)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_a_tracer(child)
            began = time.monotonic()
            os.kill(child, signal.SIGCONT)
            ended = _wait_for_the_end(child)
            seconds = time.monotonic() - began if ended else LONGEST + 1
        finally:
            tracer.terminate()
            tracer.wait()
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        return (json.loads(said) if said.endswith(b"}") else {}), seconds

    def _be_the_child(self, writing: int, key: UUID, data: bytes) -> None:
        """Stop; then receive, say how it ended, and be gone without cleaning up."""
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            said: dict[str, Any] = {"accession": self._receive(key, data).accession}
        except EXPECTED as problem:
            said = {"refused": type(problem).__name__}
        except BaseException as problem:
            said = {"unexpected": f"{type(problem).__name__}: {problem}"[:300]}
        os.write(writing, json.dumps(said).encode())
        os._exit(0)


def faults(calls: Counter[str]) -> Iterator[Fault]:
    """Every fault that is tried: a kill at each call, and at those of disk and line what else they can say."""
    for call, count in sorted(calls.items()):
        for number in range(1, count + 1):
            yield Fault(call, number, "signal=KILL")
            for said in (DISK | LINE).get(call, ()):
                yield Fault(call, number, f"error={said}")
            for lie in LIES.get(call, ()):
                yield Fault(call, number, lie)


def _file() -> bytes:
    return os.urandom(SIZE)


def _wait_for_a_tracer(child: int) -> None:
    until = time.monotonic() + ATTACH
    while time.monotonic() < until:
        if "TracerPid:\t0\n" not in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise NotPlayed("strace cannot take hold of a process here")


def _wait_for_the_end(child: int) -> bool:
    """Whether it ended by itself in time; it is killed if not."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False

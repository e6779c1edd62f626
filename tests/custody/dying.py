"""Processes that die, or whose disk fails, before a given step: steps are found by running, not listed by hand.

A step is whatever leaves the process: a round trip to the database (before it is sent, and after its answer came and
before anybody saw it), and a call that changes or syncs a file. Between two of them nothing outside can differ.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections

FILE_CALLS = frozenset(
    ("open", "write", "flush", "close", "__exit__", "truncate", "ftruncate", "fsync", "flock", "chmod", "replace")
) | frozenset(("rename", "link", "unlink", "remove", "mkdir", "rmdir"))
MOST = 2000  # steps: more means that it never ends


@dataclass(frozen=True)
class Ended:
    """How the process ended: `steps` it came to, the last of them the one it died before; `told` by whoever asked."""

    steps: list[str]
    finished: bool
    told: str
    problem: str


def dying(act: Callable[[], object], at: int, *, error: OSError | None = None) -> Ended:
    """Do the act in a process of its own that is killed before its step `at`; 0 lets it live.

    With `error` only calls on files are steps, and step `at` raises it instead. `told` is what the act returned.
    """
    connections.close_all()  # or the child would speak on its parent's session
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(act, at, error, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(pid, 0)
    by_kind = {kind: [line[1:] for line in lines if line[0] == kind] for kind in "s=!"}
    finished = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    assert finished or by_kind["!"] or os.WTERMSIG(status) == signal.SIGKILL
    return Ended(by_kind["s"], finished, "".join(by_kind["="]), "\n".join(by_kind["!"]))


def at_every_step(act: Callable[[], object], *, error: OSError | None = None) -> Iterator[Ended]:
    """The act again and again, dying before its first step, its second, and so on; the last one lives."""
    for at in count(1):
        ended = dying(act, at, error=error)
        assert error is not None or not ended.problem, ended.problem
        yield ended
        if len(ended.steps) < at:
            assert ended.finished, ended.problem
            return
        assert at < MOST


def _ours(frame: Any) -> str:
    """The function of the archive that asked the library for it."""
    while frame is not None and (
        not frame.f_code.co_filename.startswith(str(settings.BASE_DIR)) or ".venv" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return frame.f_code.co_name if frame is not None else "?"


def _child(act: Callable[[], object], at: int, error: OSError | None, pipe: int) -> None:
    seen = 0

    def step(name: str) -> None:
        nonlocal seen
        seen += 1
        os.write(pipe, f"s{name[:120]}\n".encode())
        if seen == at:
            if error is not None:
                raise error
            os.kill(os.getpid(), signal.SIGKILL)

    def profile(frame: Any, event: str, call: Any) -> None:
        if event != "c_call" or call.__name__ not in FILE_CALLS or frame.f_code is step.__code__:
            return
        owner = getattr(call, "__self__", None)
        module = getattr(owner, "__name__", type(owner).__module__)
        if module in ("posix", "_io", "io", "fcntl") and owner not in (sys.stdout, sys.stderr):
            step(f"file: {call.__name__} in {_ours(frame)}")

    def wait(self: Any, generator: Any, *args: Any, **kwargs: Any) -> Any:
        if error is not None:
            return original(self, generator, *args, **kwargs)
        caller = sys._getframe(1)
        sql = " ".join(str(caller.f_locals.get("query", "")).split())
        name = f"database: {caller.f_code.co_name} {sql}"
        step(f"before {name}")
        answer = original(self, generator, *args, **kwargs)
        step(f"after {name}")
        return answer

    code = 3
    try:
        original = psycopg.Connection.wait
        psycopg.Connection.wait = wait  # type: ignore[assignment, method-assign]
        sys.setprofile(profile)
        try:
            told = act()
        finally:
            sys.setprofile(None)
        os.write(pipe, f"={told}\n".encode())
        code = 0
    except BaseException:
        os.write(pipe, "".join(f"!{line}\n" for line in traceback.format_exc().splitlines()).encode())
    finally:
        os._exit(code)

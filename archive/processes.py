"""Starting and stopping child processes so that none outlives its parent and none is stopped by a stray Ctrl-C."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

_PR_SET_PDEATHSIG = 1


def start(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    when_orphaned: signal.Signals = signal.SIGTERM,
    output: IO[bytes] | int | None = None,
    **popen: Any,
) -> subprocess.Popen[bytes]:
    """A child in a process group of its own: the terminal's Ctrl-C reaches the parent alone, which stops in order.

    On Linux the kernel sends `when_orphaned` to it should the parent die without stopping it. Raises OSError.
    """
    return subprocess.Popen(
        argv,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=_die_with_parent(when_orphaned),  # noqa: PLW1509  the callers have one thread
        **popen,
    )


def stop(process: subprocess.Popen[bytes], *, how: signal.Signals, seconds: float) -> bool:
    """Ask, wait, then kill the whole group. True when it ended by itself within the time."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(seconds)
        in_time = True
    except subprocess.TimeoutExpired:
        in_time = False
    sweep(process)
    return in_time


def sweep(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's group: a killed web server must not leave a worker holding the port."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return arrange

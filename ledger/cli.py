"""sanad-verify: checks what an archive hands out, without network and without the archive. Exit codes: 0 verified,
1 invalid, 2 trust incomplete, 3 usage (docs/adr/0004)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ledger import VERSION
from ledger.note import Ed25519Verifier, NoteError, decode_vkey
from ledger.policy import MAX_POLICY_BYTES, PolicyError, parse_policy
from ledger.receipt import MAX_RECEIPT_BYTES, verify_receipt
from ledger.report import USAGE, Report, as_json, as_text
from ledger.verify import Trust, verify_bundle, verify_log

MAX_TRUST_BYTES = 1 << 20


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _Parser(prog="sanad-verify", description="Checks evidence without network and without us.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (
        ("verify", "check a bundle: a folder or a .zip"),
        ("receipt", "check a receipt"),
        ("log", "derive a whole log from a folder of C2SP tlog-tiles"),
    ):
        command = commands.add_parser(name, help=about)
        command.add_argument("path", type=Path)
        command.add_argument("--vkey", action="append", default=[], help="a key of the archive that you trust")
        command.add_argument("--trust", type=Path, help="a file of trusted keys, one a line, # for remarks")
        command.add_argument("--policy", type=Path, help="a C2SP tlog-policy: trusted logs, and a quorum of cosigners")
        command.add_argument("--require-key", action="store_true", help="do not take the key that came along")
        command.add_argument("--json", action="store_true", help="the report as JSON")
        if name == "receipt":
            command.add_argument("--content", type=Path, help="a file, to see whether the receipt is for it")
    options = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        options.path.stat()
        report = _check(options, _trust(options))
    except (OSError, UnicodeError, NoteError, PolicyError) as problem:
        print(f"sanad-verify: {problem}", file=sys.stderr)
        return USAGE
    print(as_json(report) if options.json else as_text(report))
    return report.exit_code


def _check(options: argparse.Namespace, trust: Trust) -> Report:
    try:
        if options.command != "receipt":
            return (verify_bundle if options.command == "verify" else verify_log)(options.path, trust)
        with options.path.open("rb") as file:
            data = file.read(MAX_RECEIPT_BYTES + 1)
        return verify_receipt(data, trust, name=str(options.path), content=options.content)
    except OSError:
        raise
    except Exception as problem:  # the last wall: what cannot be checked is not verified
        report = Report(str(options.path))
        report.tell("bundle", "internal", f"cannot be checked ({type(problem).__name__}: {problem})")
        return report


def _trust(options: argparse.Namespace) -> Trust:
    keys: list[Ed25519Verifier] = [decode_vkey(vkey.strip()) for vkey in options.vkey]
    if options.trust:
        with options.trust.open(encoding="utf-8") as file:
            lines = [line.strip() for line in file.read(MAX_TRUST_BYTES).splitlines()]
        keys += [decode_vkey(line) for line in lines if line and not line.startswith("#")]
    policy = None
    if options.policy:
        with options.policy.open("rb") as file:
            policy = parse_policy(file.read(MAX_POLICY_BYTES + 1))
    return Trust(keys, policy, options.require_key)


if __name__ == "__main__":
    raise SystemExit(main())

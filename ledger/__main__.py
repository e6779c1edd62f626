"""python -m ledger verify BUNDLE: the verifier an outsider runs. Exit codes: 0 verified, 1 invalid, 2 trust
incomplete, 3 usage (docs/adr/0004)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ledger import VERSION
from ledger.entry import EntryError, leaf_hash, parse_entry
from ledger.note import Ed25519Verifier, NoteError, decode_vkey, fingerprint
from ledger.verify import INVALID, UNTRUSTED, USAGE, VERIFIED, Item, Report, verify_bundle

MAX_TRUST_BYTES = 1 << 20
RESULTS = {VERIFIED: "VERIFIED", INVALID: "INVALID", UNTRUSTED: "TRUST INCOMPLETE"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["cosign"]:  # the partner's server, which is not in a bundle's verifier
        from ledger import cosigner_server

        return cosigner_server.main(given[1:])
    parser = _Parser(prog="sanad-verify", description="Checks bundles of evidence without network and without us.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="check a bundle: a folder, a .zip or a .tar")
    verify.add_argument("bundle", type=Path)
    verify.add_argument("--vkey", action="append", default=[], help="a key of the archive that you trust")
    verify.add_argument("--trust", type=Path, help="a file of trusted keys, one a line, # for remarks")
    verify.add_argument("--require-key", action="store_true", help="do not take the bundle's own key for granted")
    verify.add_argument("--json", action="store_true", help="the report as JSON")
    inspect = commands.add_parser("inspect", help="show one ledger entry")
    inspect.add_argument("entry", type=Path)
    options = parser.parse_args(given)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _inspect(options.entry) if options.command == "inspect" else _verify(options)
    except (OSError, UnicodeError) as problem:
        print(f"sanad-verify: {problem}", file=sys.stderr)
        return USAGE


def _verify(options: argparse.Namespace) -> int:
    if not options.bundle.exists():
        print(f"sanad-verify: there is no {options.bundle}", file=sys.stderr)
        return USAGE
    try:
        trusted = [decode_vkey(vkey.strip()) for vkey in options.vkey]
        trusted += _trust_file(options.trust) if options.trust else []
    except NoteError as problem:
        print(f"sanad-verify: a trusted key is not one: {problem}", file=sys.stderr)
        return USAGE
    try:
        report = verify_bundle(options.bundle, trusted=trusted, require_key=options.require_key)
    except Exception as problem:  # the last wall: what cannot be checked is not verified
        report = Report(str(options.bundle))
        report.tell(str(options.bundle), f"cannot be checked ({type(problem).__name__}: {problem})")
    print(as_json(report) if options.json else as_text(report))
    return report.exit_code


def _trust_file(path: Path) -> list[Ed25519Verifier]:
    with path.open(encoding="utf-8") as file:
        lines = [line.strip() for line in file.read(MAX_TRUST_BYTES).splitlines()]
    return [decode_vkey(line) for line in lines if line and not line.startswith("#")]


def _inspect(path: Path) -> int:
    data = path.read_bytes()
    try:
        entry = parse_entry(data)
    except EntryError as problem:
        print(f"not an entry: {problem}")
        return INVALID
    print(f"{entry.ts}  {entry.type}  {entry.outcome}\nlog    {entry.origin}\nevent  {entry.event_id}")
    print(f"leaf   {leaf_hash(data).hex()}\nblob   {entry.blob or 'none'}")
    for field, commitment in entry.commitments.items():
        print(f"commitment  {commitment.hex()}  {field}")
    return VERIFIED


def as_text(report: Report) -> str:
    """The verdict in plain sentences."""
    lines = [f"Bundle {_plain(report.bundle)}: {report.files} files, {report.entries} ledger entries."]
    if report.checkpoint:
        lines.append(f"Ledger {_plain(report.checkpoint.origin)}, signed at {report.checkpoint.size} entries.")
    lines.append("")
    lines += [line for item in report.items for line in _item_lines(report, item)]
    told = {problem for item in report.items for problem in item.problems}
    lines += [f"{_plain(problem.where)} {_plain(problem.what)}." for problem in report.problems if problem not in told]
    if report.more_problems:
        lines.append(f"... and {report.more_problems} more problems.")
    if report.vkey:
        lines += ["", f"Key of the bundle:  {_plain(report.vkey)}", f"Its fingerprint:    {fingerprint(report.vkey)}"]
        lines.append(_trust_sentence(report))
    lines += ["", f"{RESULTS[report.exit_code]} (exit code {report.exit_code})"]
    return "\n".join(lines)


def _item_lines(report: Report, item: Item) -> list[str]:
    title = item.accession + (f" (exhibit {_plain(item.exhibit)})" if item.exhibit else "")
    if item.problems:
        return [f"{title}: NOT verified.", *(f"  {_plain(p.where)} {_plain(p.what)}." for p in item.problems)]
    if report.checkpoint is None:
        return [f"{title}: NOT verified, because the ledger's signed head is not valid."]
    verdict = (
        f"{title}: byte for byte what the archive recorded on reception, {item.received_at}, in entry "
        f"{item.received_index}. Custody events, each in the signed ledger: {len(item.events)}. "
        f"Fields withheld: {item.withheld}."
    )
    return [verdict]


def _trust_sentence(report: Report) -> str:
    if report.trust == "pinned":
        return "The ledger's head is signed by a key you trust."
    if report.trust == "unknown":
        return "None of the keys you trust is of this ledger: the bundle is consistent, who signed it is not shown."
    if report.trust == "first use":
        return (
            "This key came with the bundle. Compare the fingerprint with the one the archive publishes, by another "
            "way than the bundle came; then give it as --vkey from now on."
        )
    return "The ledger's head is not valid under the keys given."


def as_json(report: Report) -> str:
    """The verdict for programs."""
    head = report.checkpoint
    return json.dumps(
        {
            "result": RESULTS[report.exit_code].lower(),
            "exit_code": report.exit_code,
            "bundle": report.bundle,
            "files": report.files,
            "entries": report.entries,
            "checkpoint": {"origin": head.origin, "size": head.size, "root": head.root.hex()} if head else None,
            "key": {"vkey": report.vkey, "fingerprint": report.key_fingerprint, "trust": report.trust},
            "items": [
                {
                    **{key: value for key, value in vars(item).items() if key != "problems"},
                    "verified": head is not None and not item.problems,
                    "problems": [vars(problem) for problem in item.problems],
                }
                for item in report.items
            ],
            "problems": [vars(problem) for problem in report.problems],
            "more_problems": report.more_problems,
        },
        ensure_ascii=False,
        indent=2,
    )


def _plain(text: str) -> str:
    """Text of a bundle without what could steer a terminal or turn the reading direction."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)[:500]


if __name__ == "__main__":
    raise SystemExit(main())

"""python -m recovery --store FOLDER --escrow FILE --identity FILE (--out FOLDER | --test)

Exit code 0 when every object of the escrow files was recovered (or tested), 1 when something was not, 2 when it could
not begin. One line of JSON for each object on standard output, the summary on standard error.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from recovery.escrow_file import FileRefused, Line, LineBroken, open_line, read_identities, read_lines
from recovery.objects import NotRecovered, recover


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))  # a core dump would hold identity and keys
    try:
        identities = [one for path in options.identity for one in read_identities(path)]
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        good = bad = 0
        for told in _each(options, identities):
            good, bad = (good + 1, bad) if told["recovered"] else (good, bad + 1)
            print(json.dumps(told, ensure_ascii=False, sort_keys=True), flush=True)
    except (FileRefused, OSError) as problem:
        print(f"recovery: {problem}", file=sys.stderr)
        return 2
    done = "recovered" if options.out is not None else "tested and good"
    print(f"recovery: {good} objects {done}, {bad} problems", file=sys.stderr)
    return 1 if bad or not good else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m recovery", description="Decrypt an archive's objects from its store and an escrow file."
    )
    parser.add_argument("--store", type=Path, action="append", required=True, help="a folder of stored objects")
    parser.add_argument("--escrow", type=Path, action="append", required=True, help="an exported escrow file")
    parser.add_argument("--identity", type=Path, action="append", required=True, help="a file of age identities")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="the folder to write what is recovered to")
    where.add_argument("--test", action="store_true", help="write nothing, only see whether everything opens")
    return parser.parse_args(arguments)


def _each(options: argparse.Namespace, identities: list[object]) -> Iterator[dict[str, object]]:
    """Of several escrow files each object is recovered once, from the first line that works."""
    done: set[str] = set()
    for path in options.escrow:
        for line in read_lines(path):
            if isinstance(line, LineBroken):
                yield {"recovered": False, "file": path.name, "problem": str(line)}
            elif line.blob not in done:
                told = _one(line, options, identities)
                if told["recovered"]:
                    done.add(line.blob)
                yield {"file": path.name, **told}


def _one(line: Line, options: argparse.Namespace, identities: list[object]) -> dict[str, object]:
    about: dict[str, object] = {"line": line.number, "address": line.address}
    try:
        made = recover(open_line(line, identities), options.store, options.out)
    except (LineBroken, NotRecovered) as problem:
        return {**about, "recovered": False, "problem": str(problem)}
    return {
        **about,
        "recovered": True,
        "name": made.name,
        "size": made.size,
        "sha256": made.sha256,
        "proven": made.proven,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

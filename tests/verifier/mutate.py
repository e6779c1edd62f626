"""Random changes of a bundle in memory, and both verifiers on each: `python -m tests.verifier.mutate 50000`."""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.entry import canonical
from ledger.report import as_json
from ledger.source import safe_path
from ledger.verify import verify_bundle
from tests.ledger.containers import Zipped
from tests.ledger.mutate import PROVEN, Files, mutation, right_manifests, sample_files
from tests.ledger.sample import KINDS
from tests.verifier.node import Changes, Page, changed, compared, encoded, python_report

VALUES: list[Any] = [None, True, 0, -1, 1, 2**53 - 1, "", "x", "success", [], {}, ["a", "a"], {"a": {}}, "0" * 64]


def edited(rng: random.Random, data: bytes) -> bytes:
    """A JSON file with one value, key or member changed, canonical again: what only the rules of a form refuse."""
    value = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        for key in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
            places.append((part, key))
            walk(part[key])

    walk(value)
    if not places:
        return data + b" "
    part, key = rng.choice(places)
    other = rng.choice(places)
    change = rng.randrange(6)
    if change == 0:
        del part[key]
    elif change == 1 and isinstance(part, dict):
        part[rng.choice(["", "a", key + "x", "\ufb33", "\U0001f600"])] = part.pop(key)
    elif change == 2:
        part[key] = json.loads(json.dumps(other[0][other[1]]))
    elif change == 3 and isinstance(part, list):
        part.append(json.loads(json.dumps(part[key])))
    elif change == 4 and isinstance(part[key], int):
        part[key] += rng.choice([-1, 1, 256])
    else:
        part[key] = rng.choice(VALUES)
    return canonical(value, max_bytes=1 << 26, max_depth=64)


def restructured(rng: random.Random, files: Files) -> dict[str, bytes]:
    """The bundle with one change of a kind that random bytes seldom hit; in half of them the manifests are right."""
    made, paths = dict(files), sorted(files)
    path = rng.choice(paths)
    kind = rng.choice(["edit", "edit", "edit", "edit", "move", "drop", "odd"])
    if kind == "move":  # the same kind of file under another number
        made[path.replace(rng.choice("0123456789"), rng.choice("0123456789"))] = files[path]
    elif kind == "drop":
        for gone in rng.sample(paths, 3):
            del made[gone]
    elif kind == "odd":
        odd = [
            path.upper(),
            f"{path}/x",
            f"{path} ",
            "data/ledger/x",
            "data/con.txt",
            "fetch.txt",
            "data/../x",
            "/x",
            "é",
        ]
        made[rng.choice(odd)] = files[path]
    else:
        path = rng.choice([path for path in paths if path.endswith(".json")])
        made[path] = edited(rng, files[path])
    if rng.random() < 0.5 and {"bag-info.txt", "bagit.txt"} <= made.keys() and all(path.isascii() for path in made):
        right_manifests(made)
    return made


def mutations(seed: int, files: Files, count: int) -> Iterator[Changes]:
    """The damage of the numbers from `seed` on (tests/ledger/mutate.py), and as many changes of structure."""
    rng = random.Random(seed)
    for number in range(seed, seed + count):
        made = restructured(rng, files) if number % 4 > 1 else mutation(number, files).files
        yield difference(files, made)


def difference(files: Files, made: Files) -> dict[str, bytes | None]:
    """What changes the files into others; None for what is not there any more."""
    here: dict[str, bytes | None] = {at: data for at, data in made.items() if files.get(at) != data}
    return here | dict.fromkeys(at for at in files if at not in made)


def encoded_changes(change: Changes) -> dict[str, str | None]:
    return {path: None if data is None else encoded(data) for path, data in change.items()}


def through_readers(page: Page, files: Files, seed: int, count: int) -> Iterator[tuple[str, Any, Any]]:
    """The same as `disagreements` of damaged zips and of damaged folders, read by what people use.

    Of a zip that is itself damaged exit codes are compared (spec section 14); a good one has to hold the same files.
    """
    page.hold(files)
    zips = [Zipped(files, deflated) for deflated in (False, True)]
    for number in range(seed, seed + count):
        if number % 2:
            made = mutation(number, files)
            change = next(mutations(number, files, 1)) if number % 4 == 1 else difference(files, made.files)
            on_disk = changed(files, change)
            if not all(safe_path(path) for path in on_disk):
                continue
            theirs = compared(page.ask({"changes": encoded_changes(change), "folder": True}))
            with tempfile.TemporaryDirectory() as folder:
                if not written(Path(folder) / "bundle", on_disk):
                    continue
                ours = compared(json.loads(as_json(verify_bundle(Path(folder) / "bundle"))))
            if json.loads(json.dumps(ours)) != json.loads(json.dumps(theirs)):
                yield f"folder, {sorted(change)}", ours, theirs
        else:
            one = zips[number // 2 % 2]
            done, data = one.mutation(number)
            wrong, report = one.fault(data)
            said = page.ask({"zip": encoded(data)})["exit_code"]
            if wrong or said != report.exit_code:
                yield f"zip, {done}", wrong or report.exit_code, said


def written(root: Path, files: Files) -> bool:
    """Write the files to a folder; False for paths that cannot stand there beside each other."""
    if len({path.lower() for path in files}) < len(files):
        return False
    try:
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
    except OSError:
        return False
    return True


def every_byte(page: Page, files: Files) -> Iterator[tuple[str, Any, Any]]:
    """One bit of each byte of everything but the programs and instructions, the manifests as they were, and made right
    for what the ledger proves. Yields where the verifiers do not say the same, or do not refuse it."""
    page.hold(files)

    def changes() -> Iterator[Changes]:
        for path in sorted(path for path in files if not path.startswith(("data/verify/", "data/README"))):
            for spot in range(len(files[path])):
                data = bytearray(files[path])
                data[spot] ^= 1 << spot % 8
                yield {path: bytes(data)}
                if path.startswith(PROVEN):
                    right = {**files, path: bytes(data)}
                    right_manifests(right)
                    yield difference(files, right)

    for change, said in page.reports(changes()):
        ours, theirs = compared(python_report(changed(files, change))), compared(said)
        if json.loads(json.dumps(ours)) != json.loads(json.dumps(theirs)):
            yield str(sorted(change)), ours, theirs
        elif said["exit_code"] != 1:
            yield str(sorted(change)), "a byte that neither minded", theirs


def unfound(change: Changes) -> bool:
    """Whether the manifests are as they were, so that any change has to be found."""
    return bool(change) and "tagmanifest-sha256.txt" not in change


def disagreements(page: Page, files: Files, seed: int, count: int) -> Iterator[tuple[Changes, Any, Any]]:
    """The changes on which the verifiers do not say the same: (change, Python's report, the page's)."""
    page.hold(files)
    for change, said in page.reports(mutations(seed, files, count)):
        ours = compared(python_report(changed(files, change)))
        theirs = compared(said)
        if json.loads(json.dumps(ours)) != json.loads(json.dumps(theirs)):
            yield change, ours, theirs
        elif said["exit_code"] == 0 and unfound(change):
            yield change, "a change that neither found", theirs


def main() -> int:
    parser = argparse.ArgumentParser(description="Both verifiers on random changes of sample bundles.")
    parser.add_argument("count", type=int, nargs="?", default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-byte", action="store_true", help="each byte of a small bundle instead")
    parser.add_argument("--kind", choices=sorted(KINDS), default="plain", help="of that small bundle")
    options = parser.parse_args()
    page, found, began = Page(), 0, time.monotonic()
    if options.every_byte:
        for done, ours, theirs in every_byte(page, sample_files(options.kind)):
            found += 1
            print(f"{done}\n    Python {str(ours)[:600]}\n    page   {str(theirs)[:600]}")
        page.close()
        print(f"every byte of the bundle {options.kind}: {found} faults, {time.monotonic() - began:.0f} s")
        return 1 if found else 0
    kinds = list(KINDS)
    for number, kind in enumerate(kinds):
        files = sample_files(kind)
        share = options.count // len(kinds) + (number < options.count % len(kinds))
        quarter = share // 4
        for done, ours, theirs in through_readers(page, files, options.seed + 1000 * number, quarter):
            found += 1
            print(f"{kind}, {done}\n    Python {str(ours)[:600]}\n    page   {str(theirs)[:600]}")
        for change, ours, theirs in disagreements(page, files, options.seed + number, share - quarter):
            found += 1
            if found <= 20:
                print(kind, sorted(change))
                for key in ours if isinstance(ours, dict) else ():
                    if ours[key] != theirs[key]:
                        print(f"  {key}\n    Python {str(ours[key])[:600]}\n    page   {str(theirs[key])[:600]}")
        about = f"{share} changes, {quarter} of them of its zip and its folder"
        print(f"{kind}: {about}, {found} disagreements so far, {time.monotonic() - began:.0f} s", flush=True)
    page.close()
    print(f"{options.count} changes, {found} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

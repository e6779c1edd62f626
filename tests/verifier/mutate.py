"""Random changes of a bundle in memory, and both verifiers on each: `python -m tests.verifier.mutate 50000`."""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger import bag
from ledger.bundle import format_manifest
from ledger.entry import canonical
from tests.ledger.sample import KINDS, write_bundle
from tests.ledger.test_mutations import CHANGES, damage
from tests.verifier.node import Changes, Files, Page, changed, compared, python_report, read_folder

VALUES: list[Any] = [None, True, 0, -1, 1, 2**53 - 1, "", "x", "success", [], {}, ["a", "a"], {"a": {}}, "0" * 64]
_DIGESTS: dict[bytes, bag.Digests] = {}


def digests(data: bytes) -> bag.Digests:
    if data not in _DIGESTS:
        hasher = bag.Hasher()
        hasher.update(data)
        if len(_DIGESTS) > 2000:
            _DIGESTS.clear()
        _DIGESTS[data] = hasher.digests()
    return _DIGESTS[data]


def remade(files: Files) -> dict[str, bytes]:
    """The BagIt part made right again, as a forger would."""
    result = dict(files)
    payload = {path: digests(data) for path, data in files.items() if path.startswith("data/")}
    oxum = f"Payload-Oxum: {sum(value.size for value in payload.values())}.{len(payload)}"
    lines = files["bag-info.txt"].decode().splitlines()
    info = "".join(f"{oxum if line.startswith('Payload-Oxum:') else line}\n" for line in lines)
    result["bag-info.txt"] = info.encode()
    for algorithm in bag.ALGORITHMS:
        result[f"manifest-{algorithm}.txt"] = format_manifest(algorithm, payload)
    tags = {path: digests(result[path]) for path in bag.TAG_FILES}
    for algorithm in bag.ALGORITHMS:
        result[f"tagmanifest-{algorithm}.txt"] = format_manifest(algorithm, tags)
    return result


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


def mutation(rng: random.Random, files: Files) -> Changes:
    """One random change; in half of them the unsigned manifests are right again."""
    paths = sorted(files)
    path, other = rng.sample(paths, 2)
    kind = rng.choice([*CHANGES, "edit", "edit", "edit", "edit", "move", "drop"])
    change: dict[str, bytes | None]
    if kind == "remove":
        change = {path: None}
    elif kind == "rename":
        change = {path: None, path + rng.choice(["x", ".", "/x", " "]): files[path]}
    elif kind == "exchange":
        change = {path: files[other], other: files[path]}
    elif kind == "copy":
        change = {rng.choice([path + ".copy", path.upper(), f"data/ledger/{path.split('/')[-1]}"]): files[path]}
    elif kind == "move":  # the same kind of file under another number
        change = {path.replace(rng.choice("0123456789"), rng.choice("0123456789")): files[path]}
    elif kind == "drop":
        change = dict.fromkeys(rng.sample(paths, 3))
    elif kind == "edit":
        path = rng.choice([path for path in paths if path.endswith(".json")])
        change = {path: edited(rng, files[path])}
    else:
        change = {path: damage(rng, files[path], kind) if files[path] else b"x"}
    made = changed(files, change)
    if rng.random() < 0.5 and "bag-info.txt" in made:
        with contextlib.suppress(UnicodeError, KeyError):
            made = remade(made)
    difference: dict[str, bytes | None] = {at: data for at, data in made.items() if files.get(at) != data}
    return difference | dict.fromkeys(at for at in files if at not in made)


def mutations(seed: int, files: Files, count: int) -> Iterator[Changes]:
    rng = random.Random(seed)
    for _ in range(count):
        yield mutation(rng, files)


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
    options = parser.parse_args()
    page, found, began = Page(), 0, time.monotonic()
    kinds = list(KINDS)
    for number, kind in enumerate(kinds):
        with tempfile.TemporaryDirectory() as folder:
            write_bundle(Path(folder) / "bundle", kind)
            files = read_folder(Path(folder) / "bundle")
        share = options.count // len(kinds) + (number < options.count % len(kinds))
        for change, ours, theirs in disagreements(page, files, options.seed + number, share):
            found += 1
            if found <= 20:
                print(kind, sorted(change))
                for key in ours if isinstance(ours, dict) else ():
                    if ours[key] != theirs[key]:
                        print(f"  {key}\n    Python {str(ours[key])[:600]}\n    page   {str(theirs[key])[:600]}")
        print(f"{kind}: {share} changes, {found} disagreements so far, {time.monotonic() - began:.0f} s", flush=True)
    page.close()
    print(f"{options.count} changes, {found} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

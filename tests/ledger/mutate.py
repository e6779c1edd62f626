"""Random damage to a whole bundle, by number: `mutation(seed, files)` is the same for everybody, whoever verifies it.

    python -m tests.ledger.mutate --count 50000             verify that many, each found and placed
    python -m tests.ledger.mutate --every-byte              one flip in each byte of a small bundle
    python -m tests.ledger.mutate --count 50 --export DIR   write the damaged bundles and the expected verdicts

Of eight numbers one is damage to the bytes of the bundle's .zip, and one is verified from a folder on disk
(tests/ledger/containers.py). Of the others, even seeds damage a bundle by accident: the manifests tell. Odd seeds are a
forger's, who changes what the ledger proves and makes the unsigned manifests right again.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ledger import bag
from ledger.bundle import format_manifest
from ledger.report import Report
from ledger.source import Source
from ledger.verify import verify_source
from tests.ledger.sample import write_bundle
from tests.vectors.bundles import compared_bundle

KIND = "whole"
CHANGES = (
    *("flip", "flip", "flip", "delete", "insert", "swap", "truncate", "duplicate", "append"),
    *("rename", "remove", "exchange", "copy", "empty"),
)
PROVEN = ("data/items/", "data/ledger/", "data/disclosures/")
#: Without these the bundle says less, and nothing false: leaving them out is a redaction.
REDACTIONS = frozenset({"data/disclosures/9.json", "data/ledger/anchors/16.tsr"})
#: What is not looked at without a valid head (section 9.2, step 2).
LEFT_OUT = ("data/ledger/heads/", "data/ledger/keys/", "data/ledger/anchors/", bag.LOG)
LIMIT = 20.0  # seconds for one verdict: more is a hang

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Mutation:
    """What was done, the paths it touched, and the bundle afterwards."""

    seed: int
    done: str
    touched: tuple[str, ...]
    forged: bool
    files: Files


class Memory(Source):
    """A bundle that is not on disk."""

    def __init__(self, files: Files) -> None:
        super().__init__()
        self._data = files
        for path, data in files.items():
            self._add(path, len(data))

    def pieces(self, path: str) -> Iterator[bytes]:
        yield self._data[path]


def sample_files(kind: str = KIND) -> dict[str, bytes]:
    """The bytes of a sample bundle by path."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bundle"
        write_bundle(root, kind)
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def mutation(seed: int, files: Files) -> Mutation:
    """The damage of that number to a bundle. Deterministic: Python's Random seeded with "mutation SEED"."""
    rng, forged = random.Random(f"mutation {seed}"), seed % 2 == 1
    paths = sorted(path for path in files if not forged or path.startswith(PROVEN))
    path, other = rng.sample(paths, 2)
    change, changed = rng.choice(CHANGES), dict(files)
    touched = [path]
    if change in ("remove", "rename"):
        del changed[path]
        if change == "rename":
            touched.append(path + "x")
            changed[path + "x"] = files[path]
    elif change == "exchange" and files[path] != files[other]:
        changed[path], changed[other] = files[other], files[path]
        touched.append(other)
    elif change == "copy":
        touched = [path + ".copy"]
        changed[touched[0]] = files[path]
    elif change == "empty":
        changed[path] = b""
    else:
        changed[path] = damaged(rng, files[path], "flip" if change == "exchange" else change)
    if forged:
        right_manifests(changed)
    return Mutation(seed, f"{change} {' '.join(touched)}", tuple(touched), forged, changed)


def damaged(rng: random.Random, data: bytes, change: str) -> bytes:
    """The bytes with one random change of that kind, never the same bytes."""
    if not data:
        return b"x"
    spot = rng.randrange(len(data))
    if change == "flip":
        return data[:spot] + bytes([data[spot] ^ rng.randrange(1, 256)]) + data[spot + 1 :]
    if change == "delete":
        return data[:spot] + data[spot + rng.randrange(1, 5) :]
    if change == "insert":
        return data[:spot] + rng.randbytes(rng.randrange(1, 5)) + data[spot:]
    if change == "truncate":
        return data[:spot]
    if change == "duplicate":
        return data[:spot] + data[spot:][: rng.randrange(1, 80)] + data[spot:]
    if change == "append":
        return data + rng.choice([b"\n", b" ", b"\0", b"\r", data])
    low, high = sorted((spot, rng.randrange(len(data))))
    swapped = data[:low] + data[high : high + 1] + data[low + 1 : high] + data[low : low + 1] + data[high + 1 :]
    return swapped if low != high and swapped != data else data + b"x"


def right_manifests(files: dict[str, bytes]) -> None:
    """Make the BagIt part fit the files again, as a forger would: nothing in it is signed."""
    payload = {path: _digests(data) for path, data in files.items() if path.startswith("data/")}
    oxum = f"Payload-Oxum: {sum(value.size for value in payload.values())}.{len(payload)}"
    info = files["bag-info.txt"].decode().splitlines()
    files["bag-info.txt"] = "".join(f"{oxum if line.startswith('Payload-Oxum:') else line}\n" for line in info).encode()
    for algorithm in bag.ALGORITHMS:
        files[f"manifest-{algorithm}.txt"] = format_manifest(algorithm, payload)
    tags = {path: _digests(files[path]) for path in bag.TAG_FILES}
    for algorithm in bag.ALGORITHMS:
        files[f"tagmanifest-{algorithm}.txt"] = format_manifest(algorithm, tags)


def _digests(data: bytes) -> bag.Digests:
    return bag.Digests(hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest(), len(data))


def related(path: str, files: Files) -> set[str]:
    """Where a report may place damage to a path that the manifests no longer tell of."""
    places = {path}
    rows = json.loads(files[bag.ITEMS])["items"]
    ids = {name: json.loads(files[name])["id"] for name in files if name.startswith("data/ledger/entries/")}
    number = path.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]
    entry = bag.place("entry", int(number)) if number.isdigit() else ""
    if entry in ids and not path.startswith((bag.LOG, "data/ledger/heads/")):
        places |= {bag.place(kind, int(number)) for kind in ("entry", "proof", "disclosure", "handover", "anchor")}
        places |= {row["accession"] for row in rows if ids[entry] in row["events"]}
        if json.loads(files[entry])["type"] == "sanad/erasure":
            places |= {row["accession"] for row in rows if row["erasure"] == int(number)}
    places |= {row["accession"] for row in rows if row["path"] and path.startswith(row["path"].rsplit("/", 1)[0])}
    if path.startswith("data/ledger/heads/"):
        places |= {name for name in files if name.startswith(("data/ledger/keys/", "data/ledger/anchors/"))}
    if path.startswith(bag.LOG):
        places |= {name for name in files if name.startswith(bag.LOG)}
    return places


def fault(made: Mutation, report: Report, files: Files) -> str | None:
    """What is wrong with the verdict on a damaged bundle, None when it is as it must be."""
    if made.forged and made.done.startswith("remove") and made.touched[0] in REDACTIONS:
        return None if report.exit_code == 0 else f"a redaction is refused: {report.problems[:2]}"
    if report.exit_code != 1 or any(problem.code == "internal" for problem in report.problems):
        return f"exit code {report.exit_code}"
    said = {problem.where for problem in report.problems}
    for path in made.touched:
        if made.forged and made.done.startswith("rename") and path in REDACTIONS:
            continue  # told of its new name alone
        if report.checkpoint is None and path.startswith(LEFT_OUT):
            continue  # the other of two files exchanged is the head or its keys, which is told
        if made.forged and path == bag.CHECKPOINT and report.checkpoint is not None and len(made.touched) == 2:
            continue  # an older head, signed too, in its place: what does not fit it is told, as is the other file
        if said.isdisjoint(related(path, files) if made.forged else {path}):
            return f"{path} is not named: {sorted(said)[:5]}"
    return None


def judged(made: Mutation, files: Files) -> tuple[str | None, Report]:
    """The fault in our verdict on a mutation, and the verdict."""
    began = time.monotonic()
    with Memory(made.files) as source:
        report = verify_source(source, "mutated")
    slow = time.monotonic() - began > LIMIT
    return "took too long" if slow else fault(made, report, files), report


def every_byte(files: Files) -> int:
    """Flip one bit of each byte of everything but the programs and instructions. Returns how many went unnoticed."""
    missed = 0
    for path in sorted(path for path in files if not path.startswith(("data/verify/", "data/README"))):
        for spot in range(len(files[path])):
            data = bytearray(files[path])
            data[spot] ^= 1 << spot % 8
            for forged in (False, True):
                changed = {**files, path: bytes(data)}
                if forged and not path.startswith(PROVEN):
                    continue
                if forged:
                    right_manifests(changed)
                wrong, _ = judged(Mutation(spot, f"flip {path} {spot}", (path,), forged, changed), files)
                if wrong:
                    print(f"byte {spot} of {path}: {wrong}")
                    missed += 1
    return missed


def main(arguments: list[str] | None = None) -> int:
    from tests.ledger import containers  # it damages as this module does

    parser = argparse.ArgumentParser(prog="tests.ledger.mutate")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=2025_03_06, help="the first number")
    parser.add_argument("--kind", default=KIND)
    parser.add_argument("--every-byte", action="store_true")
    parser.add_argument("--export", type=Path)
    options = parser.parse_args(arguments)
    files, missed, slowest, began = sample_files(options.kind), 0, 0.0, time.monotonic()
    if options.every_byte:
        return 1 if every_byte(files) else 0
    print(f"{options.count} mutations of the bundle {options.kind}, seeds from {options.seed}", flush=True)
    expected = {}
    zips, same = [containers.Zipped(files, deflated) for deflated in (False, True)], 0
    for seed in range(options.seed, options.seed + options.count):
        made, started = mutation(seed, files), time.monotonic()
        if seed % 8 == containers.ZIPPED and not options.export:
            done, data = zips[seed // 8 % 2].mutation(seed)
            wrong, report = zips[seed // 8 % 2].fault(data)
            made = replace(made, done=f"zip: {done}", forged=False)
            same += report.exit_code == 0
        else:
            judge = containers.from_folder if seed % 8 == containers.ON_DISK else judged
            wrong, report = judge(made, files)
        slowest = max(slowest, time.monotonic() - started)
        if wrong:
            print(f"seed {seed}: {made.done}{' (forged)' if made.forged else ''}: {wrong}")
            missed += 1
        if options.export:
            for path, data in made.files.items():
                file = options.export / str(seed) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            expected[seed] = {"done": made.done, **compared_bundle(report)}
    if options.export:
        (options.export / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    spent = time.monotonic() - began
    print(f"{options.count - missed} found and placed, {missed} not; {spent:.0f} s, the slowest {slowest:.2f} s")
    if same:
        print(f"of the zips {same} hold the very same files: damage to what no reader looks at")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Random damage to a whole bundle: always found, always placed, never a crash."""

import random
import shutil
from pathlib import Path

import pytest

from ledger.verify import verify_bundle
from tests.ledger.sample import rewrite_manifests, write_bundle
from tests.ledger.test_bundle import everything

CHANGES = [
    "flip",
    "flip",
    "flip",
    "delete",
    "insert",
    "swap",
    "truncate",
    "duplicate",
    "append",
    "rename",
    "remove",
    "exchange",
    "copy",
]
PROVEN = ("data/items/", "data/ledger/", "data/disclosures/")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutations") / "bundle"
    write_bundle(folder)
    return folder


def damage(rng: random.Random, data: bytes, change: str) -> bytes:
    """The bytes with one random change of that kind, never the same bytes."""
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
    other = rng.randrange(len(data))
    low, high = sorted((spot, other))
    swapped = data[:low] + data[high : high + 1] + data[low + 1 : high] + data[low : low + 1] + data[high + 1 :]
    return swapped if low != high and swapped != data else data + b"x"


def mutate(rng: random.Random, root: Path, files: dict[str, bytes], paths: list[str]) -> tuple[str, list[str]]:
    """Change the bundle on disk in one way. Returns what was done and the paths it touches."""
    path, other = rng.sample(paths, 2)
    change = rng.choice(CHANGES)
    if change == "remove":
        (root / path).unlink()
    elif change == "rename":
        (root / path).rename(root / f"{path}x")
    elif change == "exchange" and files[path] != files[other]:
        (root / path).write_bytes(files[other])
        (root / other).write_bytes(files[path])
        return f"exchange {path} and {other}", [path, other]
    elif change == "copy":
        shutil.copyfile(root / path, root / f"{path}.copy")
        return f"copy {path}", [f"{path}.copy"]
    else:
        (root / path).write_bytes(damage(rng, files[path], change if change != "exchange" else "flip"))
    return f"{change} {path}", [path]


def restore(root: Path, files: dict[str, bytes]) -> None:
    now = everything(root)
    for path in now.keys() - files.keys():
        (root / path).unlink()
    for path, data in files.items():
        if now.get(path) != data:
            (root / path).write_bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_every_damage_is_found_and_placed(bundle: Path, seed: int) -> None:
    files, rng = everything(bundle), random.Random(seed)
    for _ in range(400):
        done, touched = mutate(rng, bundle, files, sorted(files))
        report = verify_bundle(bundle)
        said = " ".join(f"{problem.where} {problem.what}" for problem in report.problems)
        restore(bundle, files)
        assert report.exit_code == 1, done
        assert all(path in said for path in touched), (done, said)
    assert verify_bundle(bundle).exit_code == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_damage_to_what_the_ledger_proves_is_found_under_right_manifests(bundle: Path, seed: int) -> None:
    """What a forger does who makes the unsigned manifests right again after each change."""
    files, rng = everything(bundle), random.Random(seed)
    proven = sorted(path for path in files if path.startswith(PROVEN))
    for _ in range(150):
        done, _ = mutate(rng, bundle, files, proven)
        rewrite_manifests(bundle)
        report = verify_bundle(bundle)
        restore(bundle, files)
        assert report.exit_code == 1, done
    assert verify_bundle(bundle).exit_code == 0


def test_every_byte_of_every_small_file_counts(bundle: Path) -> None:
    """One flipped bit in each byte of the ledger's own files, manifests made right."""
    files = everything(bundle)
    small = [path for path in files if path.startswith("data/ledger/") and "/5" not in path and "/2" not in path]
    assert len(small) >= 6
    for path in small:
        for spot in range(0, len(files[path]), 3):
            data = bytearray(files[path])
            data[spot] ^= 1
            (bundle / path).write_bytes(data)
            rewrite_manifests(bundle)
            assert verify_bundle(bundle).exit_code == 1, (path, spot)
        restore(bundle, files)

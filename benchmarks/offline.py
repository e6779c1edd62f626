"""How fast a stranger derives a whole log anew: the packed verifier's `log` on C2SP tlog-tiles, against named peers.

    python benchmarks/offline.py [--size 10000000] [--folder /tmp]

Writes a log of that many entries, as the archive exports it, and starts each reader as a process of its own: the
verifier that goes into bundles on all cores and on one, Go's x/mod tlog, and pymerkle over as many as it can hold.
Memory is that of a reader's processes together (proportional set size, looked at ten times a second).
"""

import argparse
import io
import multiprocessing
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ledger.checkpoint import format_checkpoint  # noqa: E402
from ledger.entry import parse_entry  # noqa: E402
from ledger.grow import root_from_tiles, root_of  # noqa: E402
from ledger.merkle import HASH_BYTES, TILE_WIDTH, perfect_root, tile_path  # noqa: E402
from ledger.pack import verifier_archive  # noqa: E402
from ledger.sign import Ed25519Signer, sign_note  # noqa: E402

ORIGIN = "sanad.example/benchmark"
PYMERKLE = 100_000  # entries: it keeps every node as an object, some 2 KiB for each entry
SEEN_EVERY = 0.1  # seconds between two looks at a reader's memory
GO_PATHS = ("/usr/share/gocode", str(Path.home() / "go"))
#: (type, fields, whether it names a ciphertext), by how often an archive in use records it.
KINDS = (
    ("displaying", ("agent", "compartment", "purpose", "subjects"), False, 60),
    ("dissemination", ("agent", "compartment", "object", "purpose", "subjects"), True, 12),
    ("fixity check", ("agent", "compartment", "object", "subjects"), True, 12),
    ("ingestion", ("agent", "compartment", "from", "object", "original_name", "subjects", "to"), True, 10),
    ("metadata modification", ("agent", "compartment", "from", "purpose", "subjects", "to"), False, 6),
)


class Read(NamedTuple):
    """One reader's run, its processes together: seconds from start to end, those of processors, most memory (bytes)."""

    seconds: float
    worked: float
    memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--size", type=int, default=1_000_000, help="entries of the log")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    offline(options.size, options.folder)


def offline(size: int, folder: Path) -> None:
    """Write the log, and print what each reader needs for it."""
    home = Path(tempfile.mkdtemp(prefix="sanad-log-", dir=folder))
    try:
        vkey = write_log(home / "log", size)
        verifier = home / "sanad-verify.pyz"
        verifier.write_bytes(verifier_archive())
        command = [sys.executable, "-I", str(verifier), "log", str(home / "log"), "--vkey", vkey]
        cores = sorted(os.sched_getaffinity(0))
        print(f"\nderiving the whole log offline, {size} entries, from the page cache")
        whole = _told(f"sanad-verify.pyz log, {len(cores)} cores", command, size, cores)
        alone = _told("sanad-verify.pyz log, 1 core", command, size, cores[:1])
        go = _go(home, size, cores)
        if go:
            ratio, of_work = whole.seconds / go.seconds, whole.worked / go.worked
            print(f"{'  ours takes':46}{ratio:>9.2f} x{of_work:>9.2f} x of processors")
        _pymerkle(home / "log", min(size, PYMERKLE), alone.worked / size)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _told(name: str, command: list[str], size: int, cores: list[int], environ: dict[str, str] | None = None) -> Read:
    read, said = _run(command, cores, environ)
    rate = size / read.seconds
    worked = f"{read.worked:>9.1f} s of processors"
    print(f"{name:46}{read.seconds:>9.1f} s{worked}{read.memory / 2**20:>7.0f} MiB{rate:>10.0f} entries/s", flush=True)
    assert not said, said
    return read


def _run(command: list[str], cores: list[int], environ: dict[str, str] | None) -> tuple[Read, str]:
    began, before, most = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), 0
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
    )
    os.sched_setaffinity(process.pid, cores)
    while process.poll() is None:
        most = max(most, _memory(process.pid))
        time.sleep(SEEN_EVERY)
    seconds = time.perf_counter() - began
    said, after = process.communicate()[0], resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Read(seconds, worked, most), "" if process.returncode == 0 else said[-2000:]


def _memory(pid: int) -> int:
    """Bytes: the proportional set size of a process and of those it started, 0 of one that has ended."""
    try:
        rolled = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) * 1024 for line in rolled if line.startswith("Pss:"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, StopIteration):
        return 0
    return own + sum(_memory(int(child)) for child in children)


# The log


def write_log(folder: Path, size: int) -> str:
    """A signed log of made-up entries as files, all but its content as the archive writes it. Returns its vkey."""
    began, level, roots = time.perf_counter(), 1, bytearray()
    for top in ("entries", "0"):
        (folder / "tile" / top).mkdir(parents=True)
    tasks = [(folder, first, min(size, first + TILE_WIDTH**2)) for first in range(0, size, TILE_WIDTH**2)]
    with multiprocessing.get_context("fork").Pool() as pool:
        for made in pool.imap(_write_part, tasks):
            roots += made
    while roots:
        below, roots = bytes(roots), bytearray()
        for index, start in enumerate(range(0, len(below), TILE_WIDTH * HASH_BYTES)):
            hashes = below[start : start + TILE_WIDTH * HASH_BYTES]
            _put(folder / tile_path(level, index, len(hashes) // HASH_BYTES), hashes)
            roots += perfect_root(hashes) if len(hashes) == TILE_WIDTH * HASH_BYTES else b""
        level += 1

    def read(level: int, index: int) -> bytes:
        width = min(TILE_WIDTH, (size >> 8 * level) - index * TILE_WIDTH)
        return (folder / tile_path(level, index, width)).read_bytes()

    signer = Ed25519Signer(ORIGIN, bytes(range(32)))
    note = sign_note(format_checkpoint(ORIGIN, size, root_from_tiles(size, read)), signer)
    (folder / "checkpoint").write_text(note)
    held = sum((folder / tile_path("entries", n)).stat().st_size for n in range(size // TILE_WIDTH))
    print(
        f"\n{size} entries written as tlog-tiles in {time.perf_counter() - began:.0f} s; "
        f"{held / max(1, size // TILE_WIDTH * TILE_WIDTH):.0f} bytes each with their length"
    )
    return signer.vkey


def _write_part(task: tuple[Path, int, int]) -> bytes:
    """The bundles and tiles of the entries [first, stop); the roots of the full ones."""
    folder, first, stop = task
    made, roots = _entries(first, stop), []
    parse_entry(made[0])
    for start in range(0, len(made), TILE_WIDTH):
        entries, index = made[start : start + TILE_WIDTH], (first + start) // TILE_WIDTH
        bundle = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
        hashes = b"".join(sha256(b"\0" + entry).digest() for entry in entries)
        _put(folder / tile_path("entries", index, len(entries)), bundle)
        _put(folder / tile_path(0, index, len(entries)), hashes)
        roots.append(perfect_root(hashes) if len(entries) == TILE_WIDTH else b"")
    return b"".join(roots)


def _entries(first: int, stop: int) -> list[bytes]:
    """Made-up entries in the form of real ones: digests of chance, three seconds from one to the next."""
    random_ = random.Random(first)
    kinds = random_.choices(KINDS, [kind[3] for kind in KINDS], k=stop - first)
    began, entries = datetime(2025, 3, 7, tzinfo=UTC), []
    for number, (type_, fields, blob, _) in enumerate(kinds, first):
        chance = os.urandom(16 + 32 * (len(fields) + blob)).hex()
        commitments = ",".join(
            f'"{field}":"{chance[at : at + 64]}"' for at, field in zip(range(32, 999, 64), fields, strict=False)
        )
        ts = (began + timedelta(seconds=3 * number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        stated = f'"{chance[-64:]}"' if blob else "null"
        entries.append(
            f'{{"blob":{stated},"c":{{{commitments}}},"id":"{chance[:32]}","log":"{ORIGIN}",'
            f'"outcome":"success","ts":"{ts}","type":"{type_}","v":1}}'.encode()
        )
    return entries


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# Peers


def go_command() -> tuple[list[str], dict[str, str]] | None:
    """How Go programs that use x/mod tlog are built here, None where that is not installed."""
    go = shutil.which("go") or next((str(path) for path in Path("/usr/lib").glob("go*/bin/go")), None)
    paths = [path for path in GO_PATHS if (Path(path) / "src/golang.org/x/mod/sumdb/tlog").is_dir()]
    if go is None or not paths:
        print("Go or golang.org/x/mod/sumdb/tlog is not installed (Debian: golang-go golang-golang-x-mod-dev)")
        return None
    return [go], os.environ | {"GO111MODULE": "off", "GOPATH": paths[0], "GOFLAGS": ""}


def _go(home: Path, size: int, cores: list[int]) -> Read | None:
    found = go_command()
    if found is None:
        return None
    command, environ = found
    environ["GOCACHE"] = str(home / "go-cache")
    built = [*command, "build", "-o", str(home / "tlog_peer"), str(ROOT / "benchmarks" / "tlog_peer.go")]
    subprocess.run(built, env=environ, check=True)
    return _told("Go x/mod tlog, from the same files", [str(home / "tlog_peer"), "log", str(home / "log")], size, cores)


def _pymerkle(folder: Path, count: int, ours: float) -> None:
    """`ours` in seconds of a processor for each entry. Reading is not counted to it."""
    try:
        from pymerkle import InmemoryTree
    except ImportError:
        print("pymerkle is not installed")
        return
    entries: list[bytes] = []
    for index in range(count // TILE_WIDTH):
        bundle = io.BytesIO((folder / tile_path("entries", index)).read_bytes())
        while length := bundle.read(2):
            entries.append(bundle.read(int.from_bytes(length, "big")))
    tree, began = InmemoryTree(algorithm="sha256"), time.process_time()
    for entry in entries:
        tree.append_entry(entry)
    root = tree.get_root()
    each = (time.process_time() - began) / len(entries)
    tiles = b"".join((folder / tile_path(0, index)).read_bytes() for index in range(len(entries) // TILE_WIDTH))
    assert root == root_of(tiles[at : at + HASH_BYTES] for at in range(0, len(tiles), HASH_BYTES))
    print(
        f"{f'pymerkle, {len(entries)} of them, in memory':46}{each * len(entries):>9.1f} s{1 / each:>24.0f} entries/s"
    )
    print(f"{'  ours takes, for each entry':46}{ours / each:>9.2f} x")


if __name__ == "__main__":
    main()

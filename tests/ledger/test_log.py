"""A log derived by several processes: the verdict of one alone, whatever is damaged and whoever dies."""

import hashlib
import json
import os
import random
import shutil
import threading
from pathlib import Path

import pytest

import ledger.log
from ledger.checkpoint import format_checkpoint
from ledger.grow import new_tiles, root_of
from ledger.merkle import TILE_WIDTH, tile_path
from ledger.note import decode_vkey
from ledger.report import Report
from ledger.sign import Ed25519Signer, sign_note
from ledger.verify import Trust, verify_log

SIGNER = Ed25519Signer("log.example/long", bytes(range(32)))
SIZE = 5 * TILE_WIDTH + 17
MUTATIONS = 300


def write(folder: Path, size: int) -> None:
    entries = [b"%d:" % number + b"e" * (number % 40) for number in range(size)]
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    files = {
        tile_path(level, index, len(hashes) // 32): hashes
        for (level, index), hashes in new_tiles(0, leaves, lambda *_: b"").items()
    }
    for start in range(0, size, TILE_WIDTH):
        bundle = entries[start : start + TILE_WIDTH]
        framed = b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)
        files[tile_path("entries", start // TILE_WIDTH, len(bundle))] = framed
    files["checkpoint"] = sign_note(format_checkpoint(SIGNER.name, size, root_of(leaves)), SIGNER).encode()
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "whole"
    write(folder, SIZE)
    return folder


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(ledger.log, "PART_TILES", 1)


def by(processes: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Report, int]:
    """The verdict with at most so many processes, and how many were started."""
    started, fork = [], os.fork

    def counted() -> int:
        started.append(fork())
        return started[-1]

    with monkeypatch.context() as patch:
        patch.setattr(ledger.log, "MAX_PROCESSES", processes)
        patch.setattr(os, "fork", counted)
        report = verify_log(folder, Trust([decode_vkey(SIGNER.vkey)]))
    for child in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
    return report, len(started)


def test_a_long_log_is_derived_by_a_process_on_each_core(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, started = by(16, whole, monkeypatch)
    assert (report.exit_code, report.log, started) == (0, SIZE, 3)


def test_a_short_one_a_machine_without_fork_and_one_with_threads_need_no_other_process(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, started = by(1, whole, monkeypatch)
    assert (alone.exit_code, alone.log, started) == (0, SIZE, 0)
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert by(16, whole, monkeypatch) == (alone, 0)
    monkeypatch.undo()
    monkeypatch.delattr(os, "fork")
    assert verify_log(whole, Trust([decode_vkey(SIGNER.vkey)])) == alone


def damage(folder: Path, chance: random.Random) -> str:
    """One to three faults of chance in the files of a log; which."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "checkpoint")
    done = []
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(files)
        data, how = bytearray(path.read_bytes() if path.exists() else b""), chance.randrange(8)
        at = chance.randrange(len(data) + 1)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif how == 1:
            del data[at:]
        elif how == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 9))
        elif how == 3:
            data += b"\0\1x"
        elif how == 4:
            data = bytearray(chance.choice(files).read_bytes() if chance.choice(files).exists() else b"")
        elif how == 5:
            data = bytearray(300_000 * 8)
        elif how == 6 and len(data) > 3:
            data[0:2] = b"\xff\xff"
        elif how == 7:
            path.unlink(missing_ok=True)
            done.append(f"{path.name} removed")
            continue
        path.write_bytes(data)
        done.append(f"{path.relative_to(folder)} {how}@{at}")
    return ", ".join(done)


def test_a_damaged_log_has_the_verdict_of_one_process_whatever_the_damage(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for seed in range(MUTATIONS):
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        done = damage(folder, random.Random(seed))
        many, started = by(16, folder, monkeypatch)
        alone, _ = by(1, folder, monkeypatch)
        assert (many, started) == (alone, 3), (seed, done)
        found |= {problem.code for problem in alone.problems}
        shutil.rmtree(folder)
    assert found == {"file-missing", "file-too-long", "log-malformed", "log-mismatch", "log-root"}


@pytest.mark.parametrize("last", [0, 1, 3, 4])
def test_what_a_process_that_dies_did_not_give_is_made_by_the_first(
    last: int, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the bundle of that number, before it gives anything of it."""
    first, part = os.getpid(), ledger.log._part

    def dying(check: object, folder: str, size: int, number: int) -> object:
        if os.getpid() != first and number >= last:
            os._exit(9)
        return part(check, folder, size, number)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.log, "_part", dying)
    report, started = by(16, whole, monkeypatch)
    assert (report.exit_code, report.log, started) == (0, SIZE, 3)


def test_a_line_that_a_death_cut_short_counts_for_nothing(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, dumps, pipe, ends = os.getpid(), json.dumps, os.pipe, [(0, 0)]

    def recorded() -> tuple[int, int]:
        ends.append(pipe())
        return ends[-1]

    def cut(value: object) -> str:
        text: str = dumps(value)
        if os.getpid() != first:
            os.write(ends[-1][1], text[:-9].encode())
            os._exit(9)
        return text

    monkeypatch.setattr(os, "pipe", recorded)
    monkeypatch.setattr(json, "dumps", cut)
    report, started = by(16, whole, monkeypatch)
    assert (report.exit_code, report.log, started) == (0, SIZE, 3)

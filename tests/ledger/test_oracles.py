"""Trees and proofs against implementations that are not ours: Go's x/mod tlog, and pymerkle."""

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import leaf_hash
from ledger.grow import consistency_proof, inclusion_proof, new_tiles, root_from_tiles, root_of, tile_widths
from ledger.merkle import ProofError, tile_path, verify_consistency, verify_inclusion
from ledger.verify import verify_bundle, verify_log
from tests import recipes
from tests.ledger.sample import Sample, write_bundle

MOST = 70_000
LEAVES = [leaf_hash(str(number).encode()) for number in range(MOST)]
TILES = new_tiles(0, LEAVES, lambda *_: b"")
SOURCE = Path(__file__).parent / "oracle" / "main.go"


def read(level: int, index: int) -> bytes:
    return TILES.get((level, index), b"")


class Oracle:
    """The Go program, asked one line at a time."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def go() -> Iterator[Oracle]:
    """Built once for a source, in .cache; several workers wait for the first."""
    compiler = recipes.go()
    program = recipes.CACHE / f"tlog-oracle-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    program.parent.mkdir(exist_ok=True)
    with (recipes.CACHE / "tlog-oracle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            environ = os.environ | {"GO111MODULE": "off", "GOPATH": recipes.GO_PATH, "GOFLAGS": ""}
            environ |= {"GOCACHE": str(recipes.CACHE / "go")}
            built = program.with_suffix(".new")
            subprocess.run([compiler, "build", "-o", built, SOURCE], env=environ, check=True)
            built.rename(program)
    oracle = Oracle(program)
    yield oracle
    oracle.close()


@st.composite
def asked(draw: st.DrawFn) -> tuple[int, int, int]:
    """(size, index, old): small sizes, sizes around tiles, and any up to MOST."""
    around = st.sampled_from([1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537])
    size = draw(st.integers(1, 40) | around | st.integers(1, MOST))
    return size, draw(st.integers(0, size - 1)), draw(st.integers(1, size))


@settings(max_examples=200, deadline=None)
@given(asked())
def test_roots_and_proofs_are_those_of_go(go: Oracle, numbers: tuple[int, int, int]) -> None:
    size, index, old = numbers
    told = go.ask(do="prove", size=size, index=index, old=old)
    assert told["holds"], told
    root, old_root = root_from_tiles(size, read), root_from_tiles(old, read)
    assert (root.hex(), old_root.hex()) == (told["root"], told["old_root"])
    inclusion, consistency = inclusion_proof(index, size, read), consistency_proof(old, size, read)
    assert [step.hex() for step in inclusion] == told["inclusion"]
    assert [step.hex() for step in consistency] == told["consistency"]
    assert verify_inclusion(LEAVES[index], index, size, inclusion, root)
    assert verify_consistency(old, old_root, size, root, consistency)


@settings(max_examples=300, deadline=None)
@given(asked(), st.data())
def test_a_changed_proof_is_refused_by_go_and_by_us_alike(
    go: Oracle, numbers: tuple[int, int, int], data: st.DataObject
) -> None:
    size, index, old = numbers
    root, old_root = root_from_tiles(size, read), root_from_tiles(old, read)
    record = data.draw(st.booleans())
    proof = inclusion_proof(index, size, read) if record else consistency_proof(old, size, read)
    position = data.draw(st.integers(0, len(proof)))
    change = data.draw(st.sampled_from(["none", "drop", "twice", "flip", "swap", "size", "number"]))
    if change == "drop":
        del proof[position : position + 1]
    elif change == "twice":
        proof.insert(position, proof[position] if position < len(proof) else root)
    elif change == "flip" and position < len(proof):
        proof[position] = bytes([proof[position][0] ^ 1]) + proof[position][1:]
    elif change == "swap":
        proof = proof[::-1]
    elif change == "size":
        size += 1
    elif change == "number":
        index, old = (index + 1) % size, old % size + 1
    asking = {"size": size, "root": root.hex(), "proof": [step.hex() for step in proof]}
    if record:
        holds = go.ask(do="record", index=index, hash=LEAVES[index].hex(), **asking)["holds"]
        ours = accepts(verify_inclusion, LEAVES[index], index, size, proof, root)
    else:
        holds = go.ask(do="tree", old=old, hash=old_root.hex(), **asking)["holds"]
        ours = accepts(verify_consistency, old, old_root, size, root, proof)
    assert holds == ours, (change, numbers)


def accepts(verify: Any, *values: Any) -> bool:
    try:
        return bool(verify(*values))
    except ProofError:
        return False


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=600), st.data())
def test_roots_and_inclusion_are_those_of_pymerkle(entries: list[bytes], data: st.DataObject) -> None:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    leaves = [leaf_hash(entry) for entry in entries]
    size = data.draw(st.integers(1, len(entries)))
    assert root_of(leaves[:size]) == tree.get_root(size)
    tiles = new_tiles(0, leaves, lambda *_: b"")
    index = data.draw(st.integers(0, size - 1))
    proof = tree.prove_inclusion(index + 1, size).serialize()
    path = inclusion_proof(index, size, lambda level, number: tiles.get((level, number), b""))
    assert proof["path"] == [step.hex() for step in (leaves[index], *path)]


def test_an_exported_log_is_read_by_go(go: Oracle, tmp_path: Path) -> None:
    """The tiles in a bundle authenticate against the signed root with another's tile reader."""
    write_bundle(tmp_path / "bundle", "logged")
    sample, folder = Sample("logged"), tmp_path / "bundle/data/ledger/log"
    size = len(sample.log.entries)
    head = verify_bundle(tmp_path / "bundle").checkpoint
    assert head is not None
    for index in (0, 255, 256, size - 1):
        told = go.ask(do="tiles", tiles=str(folder), size=size, root=head.root.hex(), index=index, old=256)
        assert told["holds"], told
        steps = [bytes.fromhex(step) for step in told["inclusion"]]
        assert verify_inclusion(leaf_hash(sample.log.entries[index]), index, size, steps, head.root)
    report = verify_log(folder)
    assert (report.exit_code, report.log, report.trust) == (2, size, "unknown")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "checkpoint",
        *(tile_path(*tile) for tile in tile_widths(size)),
        *(tile_path("entries", index, width) for level, index, width in tile_widths(size) if level == 0),
    }
    tile = folder / "tile/1/000.p/1"  # Go 0.7 leaves full tiles of small trees unauthenticated
    hashes = tile.read_bytes()
    tile.write_bytes(hashes[:-1] + bytes([hashes[-1] ^ 1]))
    assert not go.ask(do="tiles", tiles=str(folder), size=size, root=head.root.hex(), index=0, old=256)["holds"]
    assert {(problem.where, problem.code) for problem in verify_log(folder).problems} == {
        ("tile/1/000.p/1", "log-mismatch")
    }

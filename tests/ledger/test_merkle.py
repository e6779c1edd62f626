"""The tree against the definitions of RFC 9162 written out, published reference roots, and its own mutations."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import leaf_hash
from ledger.grow import (
    CompactTree,
    consistency_proof,
    inclusion_proof,
    new_tiles,
    peaks_from_tiles,
    root_from_tiles,
    root_of,
    tile_coordinates,
    tile_widths,
)
from ledger.merkle import ProofError, empty_root, node_hash, tile_path, verify_consistency, verify_inclusion

# The inputs and roots of Certificate Transparency's reference tree.
REFERENCE_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = st.integers(1, 1500) | st.sampled_from([255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 66000])
LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(66_000)]


def nothing(*_: int) -> bytes:
    return b""


def short(*_: int) -> bytes:
    return bytes(32 * 4)


TILES = new_tiles(0, LEAVES, nothing)


def read(level: int, index: int) -> bytes:
    return TILES.get((level, index), b"")


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1, as it is written there."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """RFC 9162 section 2.1.4.1, as it is written there."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_tree(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in REFERENCE_INPUTS[:size]]
    assert root_of(leaves).hex() == REFERENCE_ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == root_from_tiles(0, read) == CompactTree().root() == empty_root() == mth([])


def test_every_proof_of_every_small_tree_is_that_of_the_rfc_and_holds() -> None:
    for size in range(1, 34):
        leaves = LEAVES[:size]
        root = root_of(leaves)
        assert root == mth(leaves) == root_from_tiles(size, read)
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            assert proof == path(index, leaves)
            verify_inclusion(leaves[index], index, size, proof, root)
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, read)
            assert proof == subproof(old, leaves, True)
            verify_consistency(old, root_of(leaves[:old]), size, root, proof)


@settings(deadline=None, max_examples=60)
@given(SIZES, st.data())
def test_proofs_from_tiles_hold_for_every_historic_size(size: int, data: st.DataObject) -> None:
    root = root_from_tiles(size, read)
    assert root == root_of(LEAVES[:size])
    assert CompactTree(size, peaks_from_tiles(size, read)).root() == root
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, read), root)
    old = data.draw(st.integers(1, size))
    verify_consistency(old, root_of(LEAVES[:old]), size, root, consistency_proof(old, size, read))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_tiles_grown_in_steps_are_those_grown_at_once(steps: list[int]) -> None:
    tiles: dict[tuple[int, int], bytes] = {}
    size = 0
    for step in steps:
        tiles.update(new_tiles(size, LEAVES[size : size + step], lambda level, index: tiles.get((level, index), b"")))
        size += step
    assert tiles == new_tiles(0, LEAVES[:size], nothing)
    assert {key: len(data) // 32 for key, data in tiles.items()} == {
        (level, index): width for level, index, width in tile_widths(size)
    }


def test_tile_sizes_are_those_of_the_specification() -> None:
    """C2SP tlog-tiles, Partial Tiles: the worked examples for 70,000 and 256."""
    partial = [(level, index, width) for level, index, width in tile_widths(70_000) if width < 256]
    assert partial == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tile_widths(256)) == [(0, 0, 256), (1, 0, 1)]
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(1, 1, 17) == "tile/1/001.p/17"
    assert tile_coordinates(8, 256) == (1, 1, 0, 1)
    assert tile_coordinates(3, 33) == (0, 1, 8, 8)


def test_a_proof_reads_few_tiles() -> None:
    reads: list[tuple[int, int]] = []

    def counted(level: int, index: int) -> bytes:
        reads.append((level, index))
        return read(level, index)

    inclusion_proof(12_345, 66_000, counted)
    assert len(reads) == len(set(reads)) <= 6


def test_a_missing_or_short_tile_is_told() -> None:
    with pytest.raises(ProofError, match="tile 0/0"):
        root_from_tiles(10, nothing)
    with pytest.raises(ProofError, match="tile 0/0"):
        new_tiles(5, LEAVES[:1], short)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 300), st.data())
def test_every_change_of_an_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = root_of(LEAVES[:size]), inclusion_proof(index, size, read)
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    (
        changed,
        leaf,
        at,
        root_,
    ) = list(proof), LEAVES[index], index, root
    kind = rng.choice(["flip", "drop", "add", "leaf", "root", "index"])
    if kind == "flip" and proof:
        place = rng.randrange(len(proof))
        changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
    elif kind == "drop" and proof:
        del changed[rng.randrange(len(proof))]
    elif kind == "root":
        root_ = leaf_hash(root)
    elif kind == "index" and size > 1:
        at = rng.choice([other for other in (index - 1, index + 1) if 0 <= other < size])
    elif kind == "leaf":
        leaf = leaf_hash(leaf)
    else:
        changed.insert(rng.randrange(len(proof) + 1), bytes(32))
    with pytest.raises(ProofError):
        verify_inclusion(leaf, at, size, changed, root_)


@settings(deadline=None, max_examples=300)
@given(st.integers(2, 300), st.data())
def test_every_change_of_a_consistency_proof_is_refused(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    old_root, root, proof = root_of(LEAVES[:old]), root_of(LEAVES[:size]), consistency_proof(old, size, read)
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    changed = list(proof)
    kind = rng.choice(["flip", "drop", "add", "old", "new"])
    if kind == "flip":
        place = rng.randrange(len(proof))
        changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
    elif kind == "drop":
        del changed[rng.randrange(len(proof))]
    elif kind == "add":
        changed.insert(rng.randrange(len(proof) + 1), bytes(32))
    elif kind == "old":
        old_root = leaf_hash(old_root)
    else:
        root = leaf_hash(root)
    with pytest.raises(ProofError):
        verify_consistency(old, old_root, size, root, changed)


def test_nonsense_is_refused() -> None:
    root = root_of(LEAVES[:4])
    for index, size in [(4, 4), (-1, 4), (0, 0), (0, 1 << 62)]:
        with pytest.raises(ProofError):
            verify_inclusion(LEAVES[0], index, size, [], root)
        with pytest.raises(ProofError):
            inclusion_proof(index, size, read)
    for old, new in [(0, 4), (5, 4), (-1, 4), (0, 0)]:
        with pytest.raises(ProofError):
            verify_consistency(old, empty_root(), new, root, [])
        with pytest.raises(ProofError):
            consistency_proof(old, new, read)
    with pytest.raises(ProofError, match="equal"):
        verify_consistency(4, root, 4, root, [root])
    with pytest.raises(ProofError, match="one root"):
        verify_consistency(4, root, 4, LEAVES[0], [])
    with pytest.raises(ProofError, match="32 bytes"):
        verify_inclusion(b"short", 0, 1, [], root)
    with pytest.raises(ProofError, match="peaks"):
        CompactTree(3, [root])

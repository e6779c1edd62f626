"""The golden vectors of docs/spec/ledger.md: `python -m tests.vectors.make` writes them, the tests compare.

Everything follows from the fixed seeds of tests/ledger/sample.py, so another implementation can check itself against
the files alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ledger.entry import canonical, commit, leaf_hash
from ledger.grow import consistency_proof, inclusion_proof, new_tiles, root_from_tiles, tile_widths
from ledger.merkle import tile_path
from ledger.note import fingerprint
from ledger.sign import Ed25519Signer
from tests.ledger.sample import ORIGIN, SEED, sample_log
from tests.vectors import accepted
from tests.vectors.bundles import bundles
from tests.vectors.refused import refused
from tests.vectors.zips import zips

FOLDER = Path(__file__).parent
TREE_SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 1000)


def vectors() -> dict[str, Any]:
    """Every vector file by name."""
    return {
        "anchor": accepted.anchors(),
        "bundles": bundles(),
        "canonical": _canonical(),
        "commitment": _commitments(),
        "consistency": accepted.consistency(),
        "cosignature": accepted.cosignatures(),
        "ledger": _ledger(),
        "policy": accepted.policies(),
        "receipt": accepted.receipts(),
        "refused": refused(),
        "tree": _tree(),
        "zips": zips(),
    }


def _canonical() -> list[dict[str, str]]:
    values: list[Any] = [
        None,
        True,
        0,
        -9007199254740991,
        "",
        '\u0000\b\t\n\u000b\f\r\u001f"\\/\u007f\u2028',
        "الساحل السوري",
        [],
        {},
        {"b": [1, {"z": None, "a": False}], "a": "é", "A": "\U0001f54a"},
        {"\U0001f600": 1, "\ufb33": 2, "\u20ac": 3, "\r": 4, "1": 5},
    ]
    return [{"json": json.dumps(value), "canonical": canonical(value).hex()} for value in values]


def _commitments() -> list[dict[str, Any]]:
    cases: list[tuple[str, Any]] = [
        ("purpose", "review"),
        ("object", {"accession": "SY-2025-000001", "size": 31}),
        ("note", "ملاحظة"),
        ("to", None),
    ]
    rows = []
    for number, (field, value) in enumerate(cases):
        salt = hashlib.sha256(f"salt {number}".encode()).digest()
        rows.append(
            {"salt": salt.hex(), "field": field, "value": value, "commitment": commit(salt, field, value).hex()}
        )
    return rows


def _ledger() -> dict[str, Any]:
    log, _ = sample_log()
    signer = Ed25519Signer(ORIGIN, SEED)
    return {
        "origin": ORIGIN,
        "seed": SEED.hex(),
        "vkey": signer.vkey,
        "fingerprint": fingerprint(signer.vkey),
        "checkpoint": log.note(),
        "entries": [
            {
                "entry": entry.decode(),
                "leaf": leaf_hash(entry).hex(),
                "proof": log.proof(index),
                "fields": {
                    name: {"salt": salt.hex(), "value": value} for name, (salt, value) in log.opened[index].items()
                },
            }
            for index, entry in enumerate(log.entries)
        ],
    }


def _tree() -> dict[str, Any]:
    """Leaf i is the leaf hash of the decimal ASCII digits of i."""
    leaves = [leaf_hash(str(number).encode()) for number in range(max(TREE_SIZES))]
    tiles = new_tiles(0, leaves, lambda *_: b"")

    def read(level: int, index: int) -> bytes:
        return tiles.get((level, index), b"")

    trees = []
    for size in TREE_SIZES:
        index, old = size * 2 // 3, size // 2 or 1
        trees.append(
            {
                "size": size,
                "root": root_from_tiles(size, read).hex(),
                "index": index,
                "inclusion": [step.hex() for step in inclusion_proof(index, size, read)],
                "old": old,
                "old_root": root_from_tiles(old, read).hex(),
                "consistency": [step.hex() for step in consistency_proof(old, size, read)],
            }
        )
    return {
        "trees": trees,
        "tiles": {
            tile_path(level, index, width): hashlib.sha256(tiles[level, index]).hexdigest()
            for level, index, width in tile_widths(len(leaves))
        },
    }


def written(value: Any) -> str:
    """A vector file's text."""
    return json.dumps(value, ensure_ascii=True, indent=1) + "\n"


def main() -> None:
    for name, value in vectors().items():
        (FOLDER / f"{name}.json").write_text(written(value), encoding="ascii")


if __name__ == "__main__":
    main()

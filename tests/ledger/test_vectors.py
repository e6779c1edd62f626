"""The golden vectors are what this implementation makes, and they hold by what others compute."""

import hashlib
import hmac
import json
from typing import Any

import pytest
import rfc8785

from ledger.checkpoint import open_checkpoint
from ledger.entry import parse_entry
from ledger.merkle import verify_consistency, verify_inclusion
from ledger.note import decode_vkey
from ledger.proof import parse_proof, verify_proof
from tests.vectors.make import FOLDER, vectors, written

NAMES = ["canonical", "commitment", "ledger", "tree"]


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


def test_the_vector_files_are_what_the_command_writes() -> None:
    made = vectors()
    assert sorted(made) == NAMES
    for name, value in made.items():
        assert (FOLDER / f"{name}.json").read_text(encoding="ascii") == written(value)


def test_canonical_vectors_hold_by_another_implementation() -> None:
    for row in read("canonical"):
        assert rfc8785.dumps(json.loads(row["json"])).hex() == row["canonical"]


def test_commitment_vectors_hold_by_the_formula() -> None:
    for row in read("commitment"):
        message = b"archive/commit/v1\0" + row["field"].encode() + b"\0" + rfc8785.dumps(row["value"])
        assert hmac.new(bytes.fromhex(row["salt"]), message, hashlib.sha256).hexdigest() == row["commitment"]


def test_tree_vectors_verify() -> None:
    for row in read("tree")["trees"]:
        root, old_root = bytes.fromhex(row["root"]), bytes.fromhex(row["old_root"])
        leaf = hashlib.sha256(b"\0" + str(row["index"]).encode()).digest()
        inclusion, consistency = ([bytes.fromhex(step) for step in row[key]] for key in ("inclusion", "consistency"))
        verify_inclusion(leaf, row["index"], row["size"], inclusion, root)
        verify_consistency(row["old"], old_root, row["size"], root, consistency)


@pytest.mark.parametrize("index", range(7))
def test_ledger_vectors_verify(index: int) -> None:
    ledger = read("ledger")
    key, row = decode_vkey(ledger["vkey"]), ledger["entries"][index]
    entry = row["entry"].encode()
    assert rfc8785.dumps(json.loads(entry)) == entry
    assert hashlib.sha256(b"\0" + entry).hexdigest() == row["leaf"]
    assert verify_proof(parse_proof(row["proof"]), entry, [key]) == open_checkpoint(ledger["checkpoint"], [key])
    assert hashlib.sha256(ledger["vkey"].encode()).hexdigest() == ledger["fingerprint"].replace(" ", "")
    commitments = parse_entry(entry).commitments
    assert commitments.keys() == row["fields"].keys()
    for field, opening in row["fields"].items():
        message = b"archive/commit/v1\0" + field.encode() + b"\0" + rfc8785.dumps(opening["value"])
        assert hmac.new(bytes.fromhex(opening["salt"]), message, hashlib.sha256).digest() == commitments[field]

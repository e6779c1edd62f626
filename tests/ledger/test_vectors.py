"""The golden vectors are what this implementation makes, and they hold by what others compute."""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.anchor import parse_response
from ledger.checkpoint import open_checkpoint
from ledger.cosignature import cosigned_at, decode_cosigner_vkey
from ledger.disclosure import parse_disclosure
from ledger.entry import parse_canonical, parse_entry
from ledger.merkle import ProofError, verify_consistency, verify_inclusion
from ledger.note import decode_vkey, open_note, split_note
from ledger.policy import judge, parse_policy
from ledger.proof import parse_consistency, parse_proof, verify_proof
from ledger.receipt import verify_receipt
from ledger.source import BundleError, open_source
from ledger.verify import Trust
from tests.vectors.accepted import compared
from tests.vectors.make import FOLDER, vectors, written

NAMES = [
    *("anchor", "bundles", "canonical", "commitment", "consistency", "cosignature", "ledger", "policy", "receipt"),
    *("refused", "tree", "zips"),
]


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


def test_cosignature_vectors_hold_by_another_implementation() -> None:
    for row in read("cosignature"):
        _, signatures = split_note(row["note"])
        cosignature = signatures[1].signature
        assert cosigned_at(cosignature) == row["time"]
        assert row["message"] == f"cosignature/v1\ntime {row['time']}\n{row['text']}"
        key = decode_cosigner_vkey(row["vkey"])
        Ed25519PublicKey.from_public_bytes(key.public).verify(cosignature[8:], row["message"].encode())
        identity = hashlib.sha256(key.name.encode() + b"\n\x04" + key.public).digest()[:4]
        assert (signatures[1].name, signatures[1].key_id) == (key.name, identity)
        assert open_note(row["note"], [key]).signed_by == (key,)


def test_consistency_vectors_hold() -> None:
    for row in read("consistency"):
        continues(row)


def continues(row: Any) -> None:
    proof = parse_consistency(row["text"])
    head = open_checkpoint(proof.note, [decode_vkey(row["vkey"])])
    if proof.index != row["old"]:
        raise ProofError("of another size")
    verify_consistency(proof.index, bytes.fromhex(row["old_root"]), head.size, head.root, proof.path)


def test_policy_vectors_hold_by_counting() -> None:
    for row in read("policy"):
        quorum = judge(parse_policy(row["policy"].encode()), row["note"])
        assert (quorum.met, dict(quorum.cosigned), list(quorum.faults)) == (row["met"], row["cosigned"], [])
        signed = row["note"].count("cosigner ")
        if " any w1 w2 w3" in row["policy"]:
            assert row["met"] is (signed >= 1)
        if " 2 w1 w2 w3" in row["policy"]:
            assert row["met"] is (signed >= 2)
        if " all w1 w2 w3" in row["policy"]:
            assert row["met"] is (signed == 3)


def test_anchor_vectors_say_what_was_stamped() -> None:
    for row in read("anchor"):
        stamp = parse_response(bytes.fromhex(row["bytes"]))
        assert (stamp.algorithm, stamp.imprint.hex(), stamp.time) == (row["algorithm"], row["imprint"], row["time"])
        assert row["imprint"] == hashlib.new(row["algorithm"], b"head").hexdigest()


def test_receipt_vectors_have_the_verdict_they_state() -> None:
    for row in read("receipt"):
        report = verify_receipt(row["text"].encode(), Trust([decode_vkey(vkey) for vkey in row["vkeys"]]))
        assert compared(report) == {key: row[key] for key in ("exit_code", "trust", "problems")}, row["why"]
    verdicts = {row["why"]: row["exit_code"] for row in read("receipt")}
    assert {why for why, code in verdicts.items() if code == 0} == {
        "recorded",
        "further fields opened",
        "trusted",
        "trusted, among others",
        "signed by a later key",
        "signed by the first key before it was retired",
    }
    assert {why for why, code in verdicts.items() if code == 2} == {"pending", "no trusted key of this log"}


def whole(row: Any, key: str = "bytes") -> bytes:
    parts = [row[key], row.get("end", "")]
    start, end = (bytes.fromhex(part) if key == "bytes" else part.encode() for part in parts)
    return bytes(start + b"a" * row.get("pad", 0) + end)


REFUSERS: dict[str, Any] = {
    "canonical": lambda row: parse_canonical(whole(row)),
    "entry": lambda row: parse_entry(whole(row)),
    "vkey": lambda row: decode_vkey(row["text"]),
    "note": lambda row: open_note(whole(row, "text"), [decode_vkey(vkey) for vkey in row["vkeys"]]),
    "checkpoint": lambda row: open_checkpoint(row["text"], [decode_vkey(vkey) for vkey in row["vkeys"]]),
    "cosignature": lambda row: open_note(row["text"], [decode_cosigner_vkey(row["vkey"])]),
    "proof": lambda row: verify_proof(parse_proof(row["text"]), row["entry"].encode(), [decode_vkey(row["vkey"])]),
    "consistency": continues,
    "inclusion": lambda row: verify_inclusion(
        bytes.fromhex(row["leaf"]),
        row["index"],
        int(row["size"]),
        [bytes.fromhex(step) for step in row["path"]],
        bytes.fromhex(row["root"]),
    ),
    "disclosure": lambda row: parse_disclosure(whole(row), row["event_id"]),
    "policy": lambda row: parse_policy(whole(row)),
    "anchor": lambda row: parse_response(bytes.fromhex(row["bytes"])),
}


def refuses(reader: Any, row: Any) -> bool:
    try:
        reader(row)
    except ValueError:  # each kind has an error of its own
        return True
    return False


@pytest.mark.parametrize("kind", sorted(REFUSERS))
def test_what_must_be_refused_is(kind: str) -> None:
    refused = read("refused")
    assert sorted(refused) == sorted(REFUSERS)
    assert len(refused[kind]) >= 7
    for row in refused[kind]:
        assert refuses(REFUSERS[kind], row), row["why"]


def test_the_bundle_vectors_cover_every_code_of_the_specification() -> None:
    """A code that no vector shows is one that another implementation cannot check itself on."""
    spec = (FOLDER.parent.parent / "docs/spec/ledger.md").read_text()
    table = spec.partition("## 15. Codes")[2].partition("## 16.")[0]
    codes = {code for line in table.splitlines() if line.startswith("| `") for code in re.findall(r"`([a-z-]+)`", line)}
    shown = {code for row in [*read("bundles"), *read("receipt")] for _, code in row["problems"]}
    assert shown <= codes
    elsewhere = {"unreadable", "unsafe-path", "path-duplicate", "file-unreadable", "internal"}  # of containers
    assert codes - shown - elsewhere == set()


@pytest.mark.parametrize("row", read("zips"), ids=lambda row: row["why"])
def test_archives_hold_what_they_must_or_are_refused(row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(bytes.fromhex(row["bytes"]))
    try:
        with open_source(tmp_path / "a.zip") as source:
            held = {path: b"".join(source.chunks(path)).hex() for path in source.files}
            assert (None if source.unsafe or not held else held) == row["files"]
    except BundleError:
        assert row["files"] is None

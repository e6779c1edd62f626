"""The golden vectors of the specification by the page's own modules: what is accepted, and what must be refused."""

import base64
import hashlib
import hmac
import json
import random
from pathlib import Path
from typing import Any

import pytest

from ledger import ed25519
from ledger.merkle import tile_path
from tests.ledger.sample import KEYS, write_bundle
from tests.vectors.bundles import apply
from tests.vectors.make import FOLDER
from tests.verifier.node import Page, encoded


def vectors(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


def text(value: str) -> str:
    return encoded(value.encode())


def from_hex(value: str) -> str:
    return base64.b64encode(bytes.fromhex(value)).decode()


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refused(said: Any) -> bool:
    return isinstance(said, dict) and set(said) == {"refused"}


def test_canonical_values_are_read_and_written_as_they_are(page: Page) -> None:
    for row in vectors("canonical"):
        assert page.call("canonical", from_hex(row["canonical"])) == row["canonical"]


def test_commitments(page: Page) -> None:
    for row in vectors("commitment"):
        value = json.dumps(row["value"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert page.call("commit", row["salt"], row["field"], text(value)) == row["commitment"]


def test_digests_are_those_of_the_standard_library(page: Page) -> None:
    rng = random.Random(4)
    for size in [*range(0, 300, 7), 55, 56, 63, 64, 111, 112, 127, 128, 129, 100_000]:
        data = rng.randbytes(size)
        expected = [hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()]
        assert page.call("digests", encoded(data)) == expected
        pieces = [rng.randrange(1, 200) for _ in range(20)]
        assert page.call("pieces", encoded(data), pieces) == expected
    assert page.call("hmac", "0b" * 20, text("Hi")) == hmac.new(b"\x0b" * 20, b"Hi", hashlib.sha256).hexdigest()


def test_signatures_are_held_against_the_same_rules(page: Page) -> None:
    """Random damage, and the corners where verifiers disagree: small order, scalars and points that are not reduced."""
    order = 2**252 + 27742317777372353535851937790883648493
    rng, key = random.Random(8), KEYS[0]
    public, message = key.public, b"a message"
    signature = key.sign(message)
    grown = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    cases = [(public, message, signature), (public, message, signature[:32] + grown), (public, message, b"")]
    small = ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f", "01" + "00" * 30 + "80"]
    small += ["26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "ed" + "ff" * 30 + "7f"]
    for odd in small:
        cases += [(bytes.fromhex(odd), message, signature), (public, message, bytes.fromhex(odd) + bytes(32))]
        cases.append((bytes.fromhex(odd), message, bytes.fromhex(odd) + bytes(32)))
    for _ in range(60):
        whole = bytearray(public + signature)
        whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        cases.append((bytes(whole[:32]), message, bytes(whole[32:])))
    verdicts = []
    for public, message, signature in cases:
        ours = ed25519.verify(public, message, signature)
        assert page.call("verify", public.hex(), encoded(message), signature.hex()) == ours
        assert page.call("usable", public.hex()) == ed25519.usable(public)
        verdicts.append(ours)
    assert verdicts[0]
    assert not any(verdicts[1:])


def test_trees_and_tiles(page: Page) -> None:
    for row in vectors("tree")["trees"]:
        leaf = page.call("leaf", text(str(row["index"])))
        assert page.call("inclusion", leaf, row["index"], row["size"], row["inclusion"], row["root"]) is True
        proof = (row["old"], row["old_root"], row["size"], row["root"], row["consistency"])
        assert page.call("consistency", *proof) is True
        if row["consistency"]:
            assert refused(page.call("consistency", *proof[:4], row["consistency"][:-1]))
            assert refused(page.call("consistency", *proof[:4], [*row["consistency"], "00" * 32]))
    for level, index, width in [(0, 0, 1), (0, 999, 256), (1, 1000, 17), (2, 1234067, 256)]:
        assert page.call("tile", level, index, width) == tile_path(level, index, width)
        assert page.call("tile", "entries", index, width) == tile_path("entries", index, width)


def test_the_ledger(page: Page) -> None:
    ledger = vectors("ledger")
    assert page.call("vkey", ledger["vkey"]) == ledger["fingerprint"]
    head = page.call("checkpoint", ledger["checkpoint"], ledger["vkey"])
    assert head["origin"] == ledger["origin"]
    for index, row in enumerate(ledger["entries"]):
        assert page.call("leaf", text(row["entry"])) == row["leaf"]
        assert page.call("entry", text(row["entry"])) == json.loads(row["entry"])["id"]
        assert page.call("proof", text(row["proof"])) == str(index)


def test_cosignatures_policies_anchors_and_consistency_files(page: Page) -> None:
    for row in vectors("cosignature"):
        policy = f"witness w {row['vkey']}\nquorum w\n"
        said = page.call("policy", text(policy), row["note"])
        assert said == {"met": True, "cosigned": [["w", row["time"]]], "faulty": False}
    for row in vectors("policy"):
        said = page.call("policy", text(row["policy"]), row["note"])
        assert (said["met"], dict(said["cosigned"])) == (row["met"], row["cosigned"])
    for row in vectors("anchor"):
        expected = {"algorithm": row["algorithm"], "digest": row["imprint"], "time": row["time"]}
        assert page.call("anchor", from_hex(row["bytes"])) == expected
    for row in vectors("consistency"):
        assert page.call("consistencyFile", text(row["text"])) == str(row["old"])


@pytest.mark.parametrize(
    ("kind", "call", "arguments"),
    [
        ("canonical", "canonical", lambda row: [from_hex(row["bytes"])]),
        ("entry", "entry", lambda row: [from_hex(row["bytes"])]),
        ("vkey", "vkey", lambda row: [row["text"]]),
        ("note", "noteOf", lambda row: [row["text"], row["vkeys"]]),
        ("checkpoint", "checkpointOf", lambda row: [row["text"], row["vkeys"]]),
        ("cosignature", "cosigned", lambda row: [row["text"], row["vkey"]]),
        ("proof", "proven", lambda row: [text(row["text"]), text(row["entry"]), row["vkey"]]),
        ("consistency", "continued", lambda row: [text(row["text"]), str(row["old"]), row["old_root"], row["vkey"]]),
        (
            "inclusion",
            "inclusion",
            lambda row: [row["leaf"], str(row["index"]), str(row["size"]), row["path"], row["root"]],
        ),
        ("disclosure", "disclosure", lambda row: [from_hex(row["bytes"]), row["event_id"]]),
        ("policy", "policy", lambda row: [from_hex(row["bytes"])]),
        ("anchor", "anchor", lambda row: [from_hex(row["bytes"])]),
    ],
)
def test_what_must_be_refused_is_refused(page: Page, kind: str, call: str, arguments: Any) -> None:
    rows = vectors("refused")[kind]
    assert len(rows) >= 7
    for row in rows:
        assert refused(page.call(call, *arguments(row))), row["why"]


def test_every_kind_of_refusal_is_looked_at() -> None:
    marks: Any = test_what_must_be_refused_is_refused
    assert {case[0] for case in marks.pytestmark[0].args[1]} == set(vectors("refused"))


def test_receipts(page: Page) -> None:
    for row in vectors("receipt"):
        report = page.ask({"receipt": text(row["text"]), "trusted": row["vkeys"]})
        told = sorted([problem["where"], problem["code"]] for problem in report["problems"])
        got = (report["exit_code"], report["trust"], told, report["reception"])
        assert got == (row["exit_code"], row["trust"], row["problems"], row["reception"]), row["why"]


@pytest.mark.parametrize("number", range(len(vectors("bundles"))))
def test_bundles(page: Page, tmp_path: Path, number: int) -> None:
    row = vectors("bundles")[number]
    write_bundle(tmp_path / "bundle", row["kind"])
    apply(tmp_path / "bundle", row["steps"])
    page.hold(files_of(tmp_path / "bundle"))
    options = {"trusted": row["vkeys"], "policy": row["policy"], "requireKey": row["require_key"]}
    report = page.ask({"changes": {}, **options})
    assert report["exit_code"] == row["exit_code"]
    assert report["trust"] == row["trust"]
    told = {(problem["where"], problem["code"]) for problem in report["problems"]}
    assert told == {tuple(problem) for problem in row["problems"]}
    assert (report["policy"] or {}).get("met") == row["quorum_met"]
    assert [{key: item[key] for key in ("accession", "state", "verified")} for item in report["items"]] == row["items"]


@pytest.mark.parametrize("row", vectors("zips"), ids=lambda row: row["why"])
def test_archives(page: Page, row: dict[str, Any]) -> None:
    said = page.call("zip", from_hex(row["bytes"]))
    assert refused(said) if row["files"] is None else said == row["files"]


def test_what_a_person_types_is_a_fingerprint_a_key_or_a_policy(page: Page) -> None:
    vkey, none = KEYS[0].vkey, {"keys": 0, "policy": False, "fingerprint": None}
    printed = vectors("ledger")["fingerprint"]
    assert page.call("trust", "  \n# nothing\n") == none
    for typed in (printed, printed.replace(" ", ""), f"\u2066{printed.upper()}\u2069", printed.replace(" ", "\n")):
        assert page.call("trust", typed) == none | {"fingerprint": printed}
    assert page.call("trust", f"# ours\n {vkey} \r\n{KEYS[1].vkey}") == none | {"keys": 2}
    assert page.call("trust", f"log {vkey}\nquorum none") == none | {"policy": True}
    for wrong in ("hello", printed[:-1], vkey[:-2], "quorum w"):
        assert page.call("trust", wrong) is None

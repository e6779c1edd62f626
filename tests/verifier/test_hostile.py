"""Bundles that somebody with a key of their own signed in order to break a reader: both say the same, at once."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.bundle import BundleWriter
from ledger.checkpoint import format_checkpoint
from ledger.entry import canonical
from ledger.sign import sign_note
from tests.ledger.mutate import right_manifests, sample_files
from tests.ledger.sample import KEYS, ORIGIN, PAYLOADS, Log, item_id
from tests.ledger.test_limits import erasures_and_rows
from tests.verifier.node import Page, compared, python_report


def alike(page: Page, files: dict[str, bytes]) -> set[tuple[str, str]]:
    """The faults that both tell, each within seconds."""
    began = time.monotonic()
    ours = python_report(files)
    page.hold(files)
    theirs = page.ask({"changes": {}})
    assert time.monotonic() - began < 10
    assert compared(ours) == compared(theirs)
    return {(problem["where"], problem["code"]) for problem in ours["problems"]}


def bundle(folder: Path, entries: list[tuple[str, dict[str, Any]]], anchors: dict[int, bytes]) -> dict[str, bytes]:
    """A bundle without items whose own log holds these entries, all opened."""
    log = Log()
    for kind, fields in entries:
        log.record(kind, fields)
    with BundleWriter(folder / "bundle") as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        for index in range(len(entries)):
            writer.add_entry(index, log.entries[index], log.proof(index), log.opened[index])
        writer.finish()
    root = folder / "bundle"
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for index, data in anchors.items():
        files[f"data/ledger/anchors/{index}.tsr"] = data
    right_manifests(files)
    return files


@pytest.mark.parametrize(
    "token",
    [{}, {"size": 1}, {"size": True, "sha256": "x"}, {"sha256": hashlib.sha256(b"x").hexdigest()}, [], None, "size"],
    ids=str,
)
def test_an_anchor_entry_that_states_nothing(page: Page, tmp_path: Path, token: Any) -> None:
    files = bundle(tmp_path, [("sanad/anchor", {"token": token})], {0: b"x"})
    where = "data/ledger/anchors/0.tsr"
    assert {(where, "anchor-mismatch"), (where, "anchor-malformed")} <= alike(page, files)


def test_an_anchored_head_that_is_too_long_is_one_fault_of_one_file(page: Page) -> None:
    files = sample_files("anchored")
    head = next(path for path in files if path.endswith(".checkpoint"))
    files[head] += b"x" * 70_000
    right_manifests(files)
    told = alike(page, files)
    assert (head, "file-too-long") in told
    assert "bundle" not in {where for where, _ in told}


@pytest.mark.parametrize("size", [257, 2**32, 2**53 + 1, 2**62 - 1])
def test_a_head_that_claims_more_entries_than_there_are_files(page: Page, size: int) -> None:
    """Time and memory follow the bytes there are, not what a signed head claims."""
    files = sample_files("logged")
    note = sign_note(format_checkpoint(ORIGIN, size, bytes(32)), KEYS[0]).encode()
    files["data/ledger/checkpoint"] = files["data/ledger/log/checkpoint"] = note
    right_manifests(files)
    assert {code for _, code in alike(page, files)} >= {"file-missing"}


@pytest.mark.parametrize("size", [True, 1.5, "1", None, -1, 2**53 - 1], ids=str)
def test_a_reception_that_states_an_odd_size(page: Page, tmp_path: Path, size: Any) -> None:
    """A reader that takes true for 1 verifies what another refuses."""
    accession, data = next(iter(PAYLOADS)), b"x"
    stated = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    if isinstance(size, float):
        size = {"one": 1}
    log = Log()
    subject = [{"kind": "item", "id": item_id(1)}]
    log.record("ingestion", {"object": {**stated, "size": size}, "subjects": subject}, blob="0" * 64)
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        catalogue = {"id": item_id(1), "media_type": "text/plain", "exhibit": None, "events": [log.id_of(0)]}
        writer.add_item(accession, "x.txt", [data], catalogue)
        writer.add_entry(0, log.entries[0], log.proof(0), log.opened[0])
        writer.finish()
    root = tmp_path / "bundle"
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert alike(page, files) == {(accession, "reception-mismatch")}


def erasing(folder: Path, order: str, opened: bool) -> dict[str, bytes]:
    """A bundle of a withheld item, whose note an erasure says was destroyed: recorded `before` the note, or `after`."""
    accession, subject = next(iter(PAYLOADS)), [{"kind": "item", "id": item_id(1)}]

    def recorded(note_of: str) -> tuple[Log, int]:
        log = Log()
        stated = {"accession": accession, "sha256": "0" * 64, "sha512": "0" * 128, "size": 1}
        log.record("ingestion", {"object": stated, "subjects": subject}, blob="0" * 64)
        acts: list[tuple[str, dict[str, Any]]] = [
            ("sanad/erasure", {"erased": {"content": [], "values": {note_of: ["note"]}}}),
            ("displaying", {"note": "a remark", "subjects": subject}),
        ]
        for kind, fields in acts if order == "before" else acts[::-1]:
            log.record(kind, fields)
        return log, 2 if order == "before" else 1

    first, at = recorded("0" * 32)
    log, _ = recorded(first.id_of(at))  # the same salts and ids, whatever the values are
    with BundleWriter(folder / "bundle") as writer:
        writer.set_checkpoint(log.note(), log.signer.vkey)
        events = [log.id_of(index) for index in (0, at)]
        writer.add_withheld(accession, {"id": item_id(1), "exhibit": None, "events": events})
        for index, entry in enumerate(log.entries):
            closed = set() if opened else {"note"}
            told = {name: pair for name, pair in log.opened[index].items() if name not in closed}
            writer.add_entry(index, entry, log.proof(index), told)
        writer.finish()
    root = folder / "bundle"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("order", "erased"), [("after", 1), ("before", 0)])
def test_an_erasure_explains_what_was_before_it_alone(page: Page, tmp_path: Path, order: str, erased: int) -> None:
    files = erasing(tmp_path, order, opened=False)
    assert alike(page, files) == set()
    [item] = python_report(files)["items"]
    assert (item["erased"], item["withheld"]) == (erased, 1 - erased)


@pytest.mark.parametrize("order", ["after", "before"])
def test_an_erasure_contradicts_what_was_before_it_alone(page: Page, tmp_path: Path, order: str) -> None:
    told = alike(page, erasing(tmp_path, order, opened=True))
    expected = {("data/disclosures/1.json", "erasure-contradicted")} if order == "after" else set()
    assert told == expected


@pytest.mark.parametrize("value", ["A" * 12_000_000, "\n" * 4_000_000, '"' * 4_000_000, "é\\" * 2_000_000], ids=len)
def test_a_string_of_millions_of_characters(page: Page, value: str) -> None:
    """A reader whose patterns use its stack for each character fails by itself."""
    files = sample_files("plain")
    rows = json.loads(files["data/items.json"])
    rows["items"][0]["exhibit"] = value
    files["data/items.json"] = canonical(rows, max_bytes=1 << 26)
    right_manifests(files)
    assert alike(page, files) == set()


def test_many_erasures_and_many_events(page: Page) -> None:
    told = alike(page, erasures_and_rows(300, 100))
    assert {code for _, code in told} == {"event-not-of-item", "reception-missing"}


@pytest.mark.parametrize("marks", [500_000, 500_001])
def test_as_many_marks_as_a_catalogue_may_have(page: Page, marks: int) -> None:
    files = sample_files("plain")
    files["data/items.json"] = b"[" + b"0," * (marks - 1) + b"0]"
    right_manifests(files)
    assert ("data/items.json", "catalogue-malformed") in alike(page, files)


def test_an_erasure_explains_no_subjects_that_an_entry_does_not_commit_to(page: Page) -> None:
    files = sample_files("erased")
    told = set()
    for path in [path for path, data in files.items() if "/entries/" in path and b'"subjects":' in data]:
        changed = {**files, path: files[path].replace(b'"subjects":', b'"subjectt":')}
        right_manifests(changed)
        told |= {code for _, code in alike(page, changed)}
    assert "event-not-of-item" in told

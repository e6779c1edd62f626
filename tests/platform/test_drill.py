"""The erasure drill finds nothing after an erasure, and its search would find what is there."""

import base64
import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.conf import settings

from archive.canaries import in_bytes, in_file, of_bytes, of_text

TEXT = "canary of the coast, ساحل"


@pytest.mark.parametrize(
    ("writing", "data"),
    [
        ("utf-8", TEXT.encode()),
        ("utf-16-le", TEXT.encode("utf-16-le")),
        ("utf-16-be", TEXT.encode("utf-16-be")),
        ("hex", TEXT.encode().hex().encode()),
        ("hex, capital", TEXT.encode().hex().upper().encode()),
        ("json", json.dumps(TEXT).encode()),
        *(
            (f"base64 at {offset}", base64.b64encode(b"x" * (3 + offset) + TEXT.encode() + b"tail"))
            for offset in range(3)
        ),
    ],
)
def test_a_canary_is_found_in_every_writing_of_it(writing: str, data: bytes) -> None:
    canary = of_text("a title", TEXT)
    assert writing in {hit.writing for hit in in_bytes(b"before" + data + b"after", [canary], "here")}
    assert list(in_bytes(b"before" + data[:-9], [of_text("another", TEXT[::-1])], "here")) == []


def test_a_canary_is_found_across_reads_and_within_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.canaries.CHUNK", 16)
    canary = of_bytes("a digest", bytes(range(32)))
    for start in range(20):
        plain = tmp_path / "plain"
        plain.write_bytes(b"\xff" * start + bytes(range(32)) + b"\xff" * 40)
        assert [hit.writing for hit in in_file(plain, [canary], "plain")] == ["bytes"], start
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.gz", gzip.compress(bytes(range(32)).hex().encode()))
    assert [(hit.writing, hit.where) for hit in in_file(packed, [canary], "packed")] == [
        ("hex", "packed > inner.gz > gzip")
    ]


def test_the_erasure_drill_finds_canaries_before_and_none_after(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py"), "drill", "erasure", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    before = {row["place"]: row["found"] for row in result["before"]}
    assert before["database, dumped by pg_dump"] >= 15
    assert before["database, statistics of the planner"] > 0
    assert before["files, ingest/"] > 0
    assert before["pages and API, asked by everybody"] >= 15
    assert (result["found"], result["wrong"]) == ([], [])
    searched = {row["place"]: row["bytes"] for row in result["places"]}
    assert searched["database, table and index files"] > 10_000_000
    assert {row["found"] for row in result["places"] if "write-ahead" not in row["place"]} == {0}

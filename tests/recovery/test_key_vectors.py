"""The vectors of docs/spec/keys.md are what the archive reads and writes, and what the recovery tool reads."""

import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from custody import wrapping
from custody.keys import KeyRing, encode_secret
from custody.wrapping import KeyProblem
from evidence import streams
from evidence.blobs import associated_data, key_commitment
from recovery.escrow_file import Line, open_line, read_identities, read_lines
from recovery.objects import recover
from tests.vectors import keys as made


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.FILE.read_text("utf-8"))
    return found


def test_the_file_holds_what_the_specification_says(vectors: dict[str, Any]) -> None:
    assert {name: vectors[name] for name in ("envelope", "object")} == made.fixed()
    assert json.loads(vectors["escrow"]["record"]) == made.record()


def test_both_envelopes_open_in_their_row_alone(vectors: dict[str, Any], tmp_path: Path) -> None:
    told = vectors["envelope"]
    kek = tmp_path / "kek"
    kek.touch(mode=0o600)
    kek.write_text(encode_secret(bytes.fromhex(told["key_encryption_key"])))
    ring = KeyRing(tmp_path)
    assert ring.current.hex() == told["key_id"]
    assert wrapping.associated_data(ring.current, told["context"]).hex() == told["v2_associated_data"]
    for version in ("v1", "v2"):
        wrapped = bytes.fromhex(told[version])
        assert ring.unwrap(wrapped, told["context"]).hex() == told["data_key"]
        with pytest.raises(KeyProblem):
            ring.unwrap(wrapped, told["context"].replace("blob", "subject"))


def test_the_archive_opens_the_object(vectors: dict[str, Any]) -> None:
    told = vectors["object"]
    stored, key = bytes.fromhex(told["stored"]), bytes.fromhex(vectors["envelope"]["data_key"])
    bound = associated_data(UUID(told["blob"]))
    assert bound.decode() == told["associated_data"]
    opened = streams.decrypt_file(io.BytesIO(stored), len(stored), key, bound)
    assert b"".join(opened.read()).decode() == told["plain"]
    assert key_commitment(key) == told["commitment"]


def test_the_recovery_opens_file_and_object(vectors: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "identity").write_text(vectors["escrow"]["identity"])
    (tmp_path / "escrow").write_text(vectors["escrow"]["file"])
    (tmp_path / vectors["object"]["address"]).write_bytes(bytes.fromhex(vectors["object"]["stored"]))
    (line,) = read_lines(tmp_path / "escrow")
    assert isinstance(line, Line)
    opened = open_line(line, read_identities(tmp_path / "identity"))
    (tmp_path / "out").mkdir()
    assert recover(opened, [tmp_path], tmp_path / "out").proven
    assert (tmp_path / "out" / "SY-2025-000001").read_text() == vectors["object"]["plain"]

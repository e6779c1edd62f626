"""What a hostile bundle costs whoever checks it: bounded memory, and time by its bytes (section 14)."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ledger import bag
from ledger.entry import MAX_MARKS, EntryError, canonical, parse_canonical
from ledger.grow import inclusion_proof
from ledger.pack import verifier_archive
from ledger.proof import format_proof
from ledger.verify import verify_source
from tests.ledger.mutate import Memory, right_manifests, sample_files
from tests.ledger.sample import rewrite_manifests, sample_log, write_bundle

MOST = 300  # MiB that the packed verifier may take, the interpreter with it
ROW: dict[str, Any] = {
    **dict.fromkeys(("path", "sha256", "sha512", "size", "media_type", "exhibit", "erasure")),
    "state": "withheld",
}
MEASURED = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
)


def catalogue(rows: list[dict[str, Any]]) -> bytes:
    value = {"format": "sanad-bundle/2", "items": [ROW | row for row in rows]}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def hostile(kind: str, events: list[str]) -> bytes:
    """A catalogue within its limits, or just beyond one."""
    most = bag.MAX_ITEMS_BYTES
    if kind == "empty objects, too many":
        return b"[" + b"{}," * (most // 3 - 2) + b"{}]"
    if kind == "objects":
        return b"[" + b'{"a":0},' * (MAX_MARKS // 2 - 2) + b"{}]"
    if kind == "one string of wide characters":
        return b'["\xf0\x9f\x98\x80' + b"a" * (most - 8) + b'"]'
    if kind == "strings":
        return json.dumps([f"{number:031d}" for number in range(MAX_MARKS - 20_000)], separators=(",", ":")).encode()
    if kind == "one row of events that are not there":
        return catalogue([{"accession": "A", "id": "", "events": [f"{number:026d}" for number in range(480_000)]}])
    rows = range(38_000 if kind == "rows" else 28_000)
    listed = [] if kind == "rows" else events
    return catalogue([{"accession": f"A{number}", "id": str(number), "events": listed} for number in rows])


@pytest.mark.parametrize(
    "kind",
    [
        *("empty objects, too many", "objects", "one string of wide characters", "strings"),
        *("one row of events that are not there", "rows", "rows of the same events"),
    ],
)
def test_a_hostile_catalogue_takes_little_memory(kind: str, tmp_path: Path) -> None:
    log = write_bundle(tmp_path / "bundle")
    data = hostile(kind, [log.id_of(index) for index in (1, 2, 4, 5)])
    assert len(data) <= bag.MAX_ITEMS_BYTES
    (tmp_path / "bundle" / bag.ITEMS).write_bytes(data)
    rewrite_manifests(tmp_path / "bundle")
    (tmp_path / "verify.pyz").write_bytes(verifier_archive())
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.pyz"), "verify", "--json", str(tmp_path / "bundle")]
    told = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True)
    code, peak = map(int, told.stdout.split())
    assert code == 1
    assert peak < MOST


def test_a_catalogue_of_ten_thousand_items_with_thirty_events_keeps_within_the_limits() -> None:
    digests = {"sha256": "0" * 64, "sha512": "0" * 128, "size": 10**9, "media_type": "image/jpeg", "exhibit": "P-10000"}
    rows = []
    for number in range(10_000):
        accession, events = f"SY-2025-{number:06d}", [f"{number:06d}{event:026d}" for event in range(30)]
        path, own = f"data/items/{accession}/{accession}.jpg", "00000000-0000-4000-8000-000000000000"
        rows.append({"accession": accession, "id": own, "path": path, "events": events, "state": "present", **digests})
    data = catalogue(rows)
    assert parse_canonical(data, max_bytes=bag.MAX_ITEMS_BYTES)["items"][0]["accession"] == "SY-2025-000000"


def test_more_marks_than_the_limit_are_refused_before_anything_is_parsed() -> None:
    most = b"[" + b"0," * (MAX_MARKS - 1) + b"0]"
    assert len(parse_canonical(most, max_bytes=1 << 24)) == MAX_MARKS
    with pytest.raises(EntryError, match="commas"):
        parse_canonical(b"[0," + most[1:], max_bytes=1 << 24)


def erasures_and_rows(erasures: int, rows: int) -> dict[str, bytes]:
    """A bundle with so many erasures, of which each of so many items lists all as its events."""
    log, _ = sample_log()
    value = {"erased": {"content": [], "values": {"0" * 32: ["x"]}}}
    indices = [log.record("sanad/erasure", value) for _ in range(erasures)]
    kept = {
        path: data
        for path, data in sample_files("plain").items()
        if not path.startswith(("data/ledger", "data/disclosures", "data/items"))
    }
    note, size, ids = log.note(), len(log.entries), [log.id_of(index) for index in indices]
    kept |= {bag.CHECKPOINT: note.encode(), bag.VKEY: f"{log.signer.vkey}\n".encode()}
    for index, event_id in zip(indices, ids, strict=True):
        fields = {name: {"salt": salt.hex(), "value": value} for name, (salt, value) in log.opened[index].items()}
        kept[bag.place("entry", index)] = log.entries[index]
        kept[bag.place("proof", index)] = format_proof(
            index, inclusion_proof(index, size, log.read_tile), note
        ).encode()
        kept[bag.place("disclosure", index)] = canonical({"event_id": event_id, "fields": fields})
    kept[bag.ITEMS] = catalogue(
        [{"accession": f"A{number}", "id": str(number), "events": ids} for number in range(rows)]
    )
    right_manifests(kept)
    return kept


def test_time_grows_with_the_bytes_of_a_catalogue_and_not_with_erasures_times_events() -> None:
    """Each erasure was once looked into for each event of each item."""
    files = erasures_and_rows(600, 200)
    with Memory(files) as source:
        began = time.monotonic()
        report = verify_source(source, "hostile")
        spent = time.monotonic() - began
    assert report.exit_code == 1
    assert len(report.items) == 200
    assert spent < 10, spent  # 1 s for the signature and the proofs on a free core; it was a minute

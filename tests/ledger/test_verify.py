"""The verdict: what is wrong is found and named, also when a forger has made the manifests right again."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.bundle import BundleWriter
from ledger.checkpoint import format_checkpoint
from ledger.cli import main
from ledger.entry import canonical
from ledger.grow import root_from_tiles
from ledger.note import decode_vkey, fingerprint
from ledger.report import Report
from ledger.sign import Ed25519Signer, sign_note
from ledger.verify import Trust, verify_bundle
from tests.ledger.sample import ORIGIN, PAYLOADS, SEED, Log, item_id, rewrite_manifests, sample_log, write_bundle

OWN = Ed25519Signer(ORIGIN, SEED)
STRANGER = Ed25519Signer(ORIGIN, bytes(32))
FIRST, SECOND = PAYLOADS
MALFORMED = "data/items.json [catalogue-malformed]"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def forge(bundle: Path, path: str, change: Callable[[Any], None]) -> Report:
    """Change a JSON file, make every manifest right, verify."""
    value = json.loads((bundle / path).read_bytes())
    change(value)
    (bundle / path).write_bytes(canonical(value, max_bytes=1 << 20))
    rewrite_manifests(bundle)
    return verify_bundle(bundle)


def told(report: Report) -> str:
    assert report.exit_code == 1
    return "\n".join(f"{problem.where} [{problem.code}] {problem.what}" for problem in report.problems)


def faults(report: Report) -> set[tuple[str, str]]:
    assert report.exit_code == 1
    return {(problem.where, problem.code) for problem in report.problems}


def test_a_good_bundle_is_verified_item_by_item(bundle: Path) -> None:
    report = verify_bundle(bundle)
    assert (report.exit_code, report.problems, report.trust) == (0, [], "first use")
    assert report.checkpoint is not None
    assert (report.checkpoint.origin, report.checkpoint.size, report.entries) == (ORIGIN, 7, 4)
    assert [(key.vkey, key.signed) for key in report.keys] == [(OWN.vkey, True)]
    assert [(item.accession, item.exhibit, item.received_index, item.events) for item in report.items] == [
        (FIRST, "P-1", 1, [1, 2]),
        (SECOND, "P-2", 4, [4, 5]),
    ]
    assert [item.withheld for item in report.items] == [1, 1]


def test_rewriting_the_manifests_of_a_good_bundle_changes_nothing(bundle: Path) -> None:
    before = {path: path.read_bytes() for path in bundle.glob("*.txt")}
    rewrite_manifests(bundle)
    assert {path: path.read_bytes() for path in bundle.glob("*.txt")} == before


def test_a_changed_item_is_named_with_what_changed(bundle: Path) -> None:
    (bundle / f"data/items/{FIRST}/photograph.jpg").write_bytes(b"another photograph")
    report = verify_bundle(bundle)
    assert "it has another digest than in manifest-sha256.txt" in told(report)
    assert "it has another digest than in manifest-sha512.txt" in told(report)
    assert (
        f"{FIRST} [reception-mismatch] is not what the archive received: digests or size differ from entry 1"
        in told(report)
    )
    assert report.items[0].problems
    assert not report.items[1].problems


def test_a_changed_item_with_right_manifests_and_catalogue_is_still_named(bundle: Path) -> None:
    (bundle / f"data/items/{FIRST}/photograph.jpg").write_bytes(b"another photograph")
    rewrite_manifests(bundle)
    assert f"{FIRST} [payload-digest]" in told(verify_bundle(bundle))
    digests = {
        line.split()[1]: line.split()[0]
        for name in ("manifest-sha256.txt", "manifest-sha512.txt")
        for line in (bundle / name).read_text().splitlines()
        if "photograph" in line
    }
    assert len(digests) == 1
    sha256 = (bundle / "manifest-sha256.txt").read_text().split("  data/items/" + FIRST)[0][-64:]
    sha512 = (bundle / "manifest-sha512.txt").read_text().split("  data/items/" + FIRST)[0][-128:]
    report = forge(
        bundle, "data/items.json", lambda value: value["items"][0].update(sha256=sha256, sha512=sha512, size=18)
    )
    assert faults(report) == {(FIRST, "reception-mismatch")}


def test_swapped_items_are_named(bundle: Path) -> None:
    def swap(value: Any) -> None:
        first, second = value["items"]
        for key in ("events", "id"):
            first[key], second[key] = second[key], first[key]

    report = forge(bundle, "data/items.json", swap)
    assert {(FIRST, "reception-mismatch"), (SECOND, "statement-mismatch")} <= faults(report)


def test_an_event_of_another_item_is_named(bundle: Path) -> None:
    def borrow(value: Any) -> None:
        value["items"][0]["events"].append(value["items"][1]["events"][1])

    report = forge(bundle, "data/items.json", borrow)
    assert faults(report) == {(FIRST, "event-not-of-item")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda row: row.update(media_type="text/html"), f"{FIRST} [statement-mismatch]"),
        (lambda row: row.update(events=row["events"][1:]), f"{FIRST} [reception-missing]"),
        (lambda row: row["events"].append("0" * 32), f"{FIRST} [event-missing]"),
        (lambda row: row.update(path="data/items.json"), f"{FIRST} [payload-missing]"),
        (lambda row: row.update(accession="SY-2025-000009"), "SY-2025-000009 [payload-missing]"),
        (lambda row: row.update(accession="../../x"), MALFORMED),
        (lambda row: row.update(size="31"), MALFORMED),
        (lambda row: row.update(size=True), MALFORMED),
        (lambda row: row.update(exhibit=1), MALFORMED),
        (lambda row: row.update(events="abc"), MALFORMED),
        (lambda row: row.update(title="extra"), MALFORMED),
        (lambda row: row.pop("id"), MALFORMED),
        (lambda row: row.update(id=item_id(2)), "data/items.json [catalogue-duplicate]"),
    ],
)
def test_a_forged_catalogue_is_named(bundle: Path, change: Callable[[Any], None], expected: str) -> None:
    assert expected in told(forge(bundle, "data/items.json", lambda value: change(value["items"][0])))


@pytest.mark.parametrize(
    "value", [[], None, {"format": "sanad-bundle/1", "items": []}, {"format": "sanad-bundle/2", "items": {}}]
)
def test_another_catalogue_is_named(bundle: Path, value: Any) -> None:
    (bundle / "data/items.json").write_bytes(canonical(value))
    rewrite_manifests(bundle)
    assert MALFORMED in told(verify_bundle(bundle))


def test_a_payload_outside_the_catalogue_is_named(bundle: Path) -> None:
    report = forge(bundle, "data/items.json", lambda value: value["items"].pop())
    assert f"data/items/{SECOND}/testimony.txt [payload-uncatalogued]" in told(report)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda value: value["fields"]["agent"]["value"].update(id="x"), "disclosure-mismatch"),
        (
            lambda value: value["fields"]["object"]["value"].update(size=1),
            "disclosure-mismatch",
        ),
        (lambda value: value["fields"]["agent"].update(salt="00" * 32), "disclosure-mismatch"),
        (
            lambda value: value["fields"].update(place=value["fields"]["agent"]),
            "disclosure-unknown-field",
        ),
        (lambda value: value["fields"].pop("object"), "reception-closed"),
        (lambda value: value["fields"].pop("subjects"), "event-not-of-item"),
        (lambda value: value.update(event_id="0" * 32), "disclosure-malformed"),
        (lambda value: value["fields"]["agent"].update(salt="00"), "disclosure-malformed"),
        (lambda value: value["fields"].update(agent=[]), "disclosure-malformed"),
        (lambda value: value.update(more=1), "disclosure-malformed"),
        (lambda value: value.update(fields=[]), "disclosure-malformed"),
    ],
)
def test_a_forged_disclosure_is_named(bundle: Path, change: Callable[[Any], None], expected: str) -> None:
    report = forge(bundle, "data/disclosures/1.json", change)
    assert expected in told(report)
    assert report.items[0].problems
    assert not report.items[1].problems


def test_closing_a_field_is_a_redaction_and_no_fault(bundle: Path) -> None:
    report = forge(bundle, "data/disclosures/1.json", lambda value: value["fields"].pop("agent"))
    assert report.exit_code == 0
    assert report.items[0].withheld == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda value: value.update(ts="2025-03-09T05:00:01.250Z"),
            "[proof-invalid]",
        ),
        (lambda value: value.update(type="transfer"), "[proof-invalid]"),
        (lambda value: value.update(log="other.example"), "1.json [entry-foreign]"),
        (lambda value: value.update(v=2), "entries/1.json [entry-malformed]"),
        (lambda value: value.update(id="0" * 32), f"{FIRST} [event-missing]"),
    ],
)
def test_a_forged_entry_is_named(bundle: Path, change: Callable[[Any], None], expected: str) -> None:
    report = forge(bundle, "data/ledger/entries/1.json", change)
    assert expected in told(report)
    assert report.items[0].problems


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/ledger/entries/1.json", "proofs/1.tlog-proof [orphan]"),
        ("data/ledger/proofs/1.tlog-proof", "data/ledger/proofs/1.tlog-proof [file-missing]"),
        ("data/disclosures/1.json", f"{FIRST} [reception-closed]"),
        ("data/ledger/checkpoint", "data/ledger/checkpoint [file-missing]"),
        ("data/ledger/vkey", "data/ledger/vkey [file-missing]"),
        ("data/items.json", "data/items.json [file-missing]"),
        (f"data/items/{FIRST}/photograph.jpg", f"{FIRST} [payload-missing]"),
    ],
)
def test_a_missing_file_is_named_also_when_the_manifests_forget_it(bundle: Path, path: str, expected: str) -> None:
    (bundle / path).unlink()
    assert f"{path} [file-missing] is listed in manifest-sha512.txt and missing" in told(verify_bundle(bundle))
    rewrite_manifests(bundle)
    assert expected in told(verify_bundle(bundle))


@pytest.mark.parametrize("name", ["bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha512.txt"])
def test_a_missing_tag_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert name in told(verify_bundle(bundle))


@pytest.mark.parametrize(
    "path", ["data/extra.txt", "extra.txt", "data/items/extra.jpg", "data/ledger/entries/01.json", "fetch.txt"]
)
def test_an_unlisted_file_is_named(bundle: Path, path: str) -> None:
    (bundle / path).write_bytes(b"x")
    assert path in told(verify_bundle(bundle))


def test_a_file_listed_in_one_manifest_only_is_named(bundle: Path) -> None:
    manifest = bundle / "manifest-sha512.txt"
    manifest.write_text("".join(line for line in manifest.read_text().splitlines(True) if "vkey" not in line))
    assert "data/ledger/vkey [file-unlisted] is not listed in manifest-sha512.txt" in told(verify_bundle(bundle))


def test_a_wrong_payload_sum_is_named(bundle: Path) -> None:
    info = (bundle / "bag-info.txt").read_text()
    (bundle / "bag-info.txt").write_text(info.replace("Payload-Oxum: ", "Payload-Oxum: 1"))
    assert "bag-info.txt [oxum-mismatch]" in told(verify_bundle(bundle))
    (bundle / "bag-info.txt").write_bytes(b"\xff")
    assert "bag-info.txt [info-malformed]" in told(verify_bundle(bundle))


def test_a_head_signed_by_a_stranger_is_named(bundle: Path) -> None:
    checkpoint = (bundle / "data/ledger/checkpoint").read_text().split("\n\n")[0] + "\n"
    note = sign_note(checkpoint, STRANGER)
    (bundle / "data/ledger/checkpoint").write_text(note)
    rewrite_manifests(bundle)
    report = verify_bundle(bundle)
    assert faults(report) == {("data/ledger/checkpoint", "checkpoint-signature")}
    assert not any(report.verified(item) for item in report.items)


def test_a_bundle_wholly_signed_anew_is_caught_by_whoever_knows_the_key(tmp_path: Path) -> None:
    """The whole ledger made up under a forger's key: consistent in itself, so only a pinned key tells."""
    log, events = sample_log()
    forged = Log(signer=STRANGER, entries=log.entries, opened=log.opened, tiles=log.tiles)
    with BundleWriter(tmp_path / "forged") as writer:
        writer.set_checkpoint(forged.note(), STRANGER.vkey)
        writer.add_entry(1, forged.entries[1], forged.proof(1), {})
        writer.finish()
    assert verify_bundle(tmp_path / "forged").exit_code == 0
    report = verify_bundle(tmp_path / "forged", Trust([decode_vkey(OWN.vkey)]))
    assert faults(report) == {("data/ledger/checkpoint", "checkpoint-untrusted")}
    assert report.trust == "none"
    assert events


def test_a_head_of_another_size_with_the_same_root_is_named(bundle: Path) -> None:
    log, _ = sample_log()
    root = root_from_tiles(7, log.read_tile)
    (bundle / "data/ledger/checkpoint").write_text(sign_note(format_checkpoint(ORIGIN, 8, root), OWN))
    rewrite_manifests(bundle)
    assert ("data/ledger/proofs/1.tlog-proof", "proof-mismatch") in faults(verify_bundle(bundle))


def test_problems_are_counted_when_there_are_too_many(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    for number in range(1200):
        (tmp_path / f"bundle/data/{number}").touch()
    report = verify_bundle(tmp_path / "bundle")
    assert len(report.problems) == 1000
    assert report.more_problems > 1000


def test_an_item_is_not_called_verified_because_its_problem_was_only_counted(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    for number in range(1100):
        (tmp_path / f"bundle/data/{number}").touch()
    proof = tmp_path / "bundle/data/ledger/proofs/5.tlog-proof"
    proof.write_text(proof.read_text().replace("index 5", "index 6"))
    report = verify_bundle(tmp_path / "bundle")
    assert report.more_problems
    assert [bool(item.problems) for item in report.items] == [False, True]


def test_a_name_that_is_not_text_is_told(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / os.fsdecode(b"data/\xff\xfe")).touch()
    assert run("verify", bundle) == 1
    assert "has a name that is not safe in a bundle" in capsys.readouterr().out


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_exit_codes_say_what_was_shown(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = Ed25519Signer("elsewhere.example", bytes(32)).vkey
    assert run("verify", bundle) == 0
    assert fingerprint(OWN.vkey) in capsys.readouterr().out
    assert run("verify", bundle, "--vkey", OWN.vkey) == 0
    assert "signed by a key you trust" in capsys.readouterr().out
    assert run("verify", bundle, "--vkey", elsewhere, "--vkey", OWN.vkey, "--require-key") == 0
    assert run("verify", bundle, "--vkey", STRANGER.vkey, "--vkey", OWN.vkey) == 0
    assert run("verify", bundle, "--vkey", STRANGER.vkey) == 1
    assert run("verify", bundle, "--require-key") == 2
    assert run("verify", bundle, "--vkey", elsewhere) == 2
    assert "TRUST INCOMPLETE (exit code 2)" in capsys.readouterr().out
    trust = tmp_path / "trusted.txt"
    trust.write_text(f"# keys\n\n{elsewhere}\n{OWN.vkey}\n")
    assert run("verify", bundle, "--trust", trust) == 0
    trust.write_text("nonsense\n")
    assert run("verify", bundle, "--trust", trust) == 3
    trust.write_bytes(b"\xff\xfe")
    assert run("verify", bundle, "--trust", trust) == 3
    assert run("verify", bundle, "--trust", tmp_path / "missing") == 3
    assert run("verify", tmp_path / "missing") == 3
    assert run("verify", bundle, "--vkey", "nonsense") == 3
    for arguments in ([], ["verify"], ["verify", str(bundle), "--nonsense"], ["nonsense"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 3


def test_a_missing_key_does_not_hide_a_fault(bundle: Path) -> None:
    (bundle / "data/README.en.txt").write_text("other")
    assert run("verify", bundle, "--require-key") == 1


def test_the_report_names_items_in_plain_sentences(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / f"data/items/{SECOND}/testimony.txt").write_bytes(b"other words")
    assert run("verify", bundle) == 1
    out = capsys.readouterr().out
    assert (
        f"{FIRST} (exhibit P-1): byte for byte what the archive recorded on reception, 2025-03-08T05:00:01.250Z" in out
    )
    assert f"{SECOND} (exhibit P-2): NOT verified." in out
    assert out.count("[reception-mismatch]") == 1
    assert out.endswith("INVALID (exit code 1)\n")


def test_no_item_is_called_verified_under_a_broken_head(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "data/ledger/vkey").write_text("nonsense\n")
    assert run("verify", bundle) == 1
    out = capsys.readouterr().out
    assert out.count("NOT verified") == 2
    assert "byte for byte" not in out


def test_the_report_as_json_says_the_same(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["result"], report["exit_code"], report["problems"]) == ("verified", 0, [])
    assert [(item["accession"], item["verified"]) for item in report["items"]] == [(FIRST, True), (SECOND, True)]
    (bundle / f"data/items/{SECOND}/testimony.txt").write_bytes(b"other words")
    assert run("verify", bundle, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert [(item["accession"], item["verified"]) for item in report["items"]] == [(FIRST, True), (SECOND, False)]


def test_text_of_a_bundle_cannot_steer_the_terminal(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(bundle, "data/items.json", lambda value: value["items"][0].update(exhibit="\x1b[2J\u202eP-1"))
    assert run("verify", bundle) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_what_nobody_foresaw_is_not_verified(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Report:
        raise RuntimeError("surprise")

    monkeypatch.setattr("ledger.cli.verify_bundle", broken)
    assert run("verify", bundle) == 1


@pytest.mark.parametrize("flags", [[], ["-I", "-S"]], ids=["with the site's packages", "with the bare interpreter"])
def test_the_verifier_in_the_bundle_runs_alone(bundle: Path, tmp_path: Path, flags: list[str]) -> None:
    """From another folder, with and without `cryptography`: the same verdicts."""
    verifier = str(bundle / "data/verify/sanad-verify.pyz")
    command = [sys.executable, *flags, verifier, "verify", str(bundle)]
    good = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert "VERIFIED (exit code 0)" in good.stdout
    note = (bundle / "data/ledger/checkpoint").read_text()
    (bundle / "data/ledger/checkpoint").write_text(sign_note(note.split("\n\n")[0] + "\n", STRANGER))
    bad = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60
    )
    assert (bad.returncode, bad.stderr) == (1, "")


def test_bags_of_others_are_told_apart(test_data: Path) -> None:
    """The BagIt conformance suite: none is a bundle of ours, none breaks the reader."""
    bags = [folder.parent for folder in test_data.glob("bagit/v*/*/*/bagit.txt")]
    assert len(bags) > 10
    for bag in bags:
        assert verify_bundle(bag).exit_code == 1

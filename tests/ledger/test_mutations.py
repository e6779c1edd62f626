"""Random damage to a whole bundle: always found, always placed, never a crash. More of it: tests/ledger/mutate.py."""

from pathlib import Path

import pytest

from ledger.bag import place
from ledger.verify import verify_bundle
from tests.ledger.mutate import judged, main, mutation, related, sample_files
from tests.ledger.sample import KINDS

FILES = {kind: sample_files(kind) for kind in ("whole", "logged")}


@pytest.mark.parametrize("first", range(0, 1500, 250))
def test_every_damage_is_found_and_placed(first: int) -> None:
    files = FILES["whole"]
    for seed in range(first, first + 250):
        made = mutation(seed, files)
        wrong, _ = judged(made, files)
        assert wrong is None, (seed, made.done, wrong)


def test_damage_to_a_longer_log_is_found_and_placed() -> None:
    files = FILES["logged"]
    for seed in range(200):
        made = mutation(seed, files)
        wrong, _ = judged(made, files)
        assert wrong is None, (seed, made.done, wrong)


def test_one_number_is_one_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What another verifier is given is what this one was."""
    assert main(["--count", "6", "--seed", "40", "--export", str(tmp_path)]) == 0
    assert "6 found and placed, 0 not" in capsys.readouterr().out
    for seed in range(40, 46):
        made = mutation(seed, FILES["whole"])
        root = tmp_path / str(seed)
        assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == made.files.keys()
        assert verify_bundle(root).problems == judged(made, FILES["whole"])[1].problems


def test_a_verdict_that_misses_damage_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is judged: a verifier that does not look at proofs lets forged ones pass."""
    monkeypatch.setattr("ledger.check.verify_inclusion", lambda *_: True)
    files = FILES["whole"]
    assert any(judged(mutation(seed, files), files)[0] for seed in range(1, 400, 2))


def test_related_places_are_few() -> None:
    files = FILES["whole"]
    own = {place("entry", 1), place("proof", 1), place("disclosure", 1), place("handover", 1), place("anchor", 1)}
    assert related("data/ledger/proofs/1.tlog-proof", files) == {"SY-2025-000001", *own}
    assert set(KINDS) >= FILES.keys()

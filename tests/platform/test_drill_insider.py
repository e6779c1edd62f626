"""The insider drill: every attack is caught, by whom it should be, and an untouched archive raises no alarm."""

import json
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

#: Who has to be the first to tell, for some attacks of every kind.
FIRST = {
    "a row is changed by SQL injected into the web server": "database role",
    "triggers off; an entry's bytes are changed; triggers on again": "scrub",
    "the newest entries, their events, hashes and heads are deleted": "signer",
    "sealed values of two events are exchanged": "scrub of values",
    "an act that never was is put into the queue under a colleague's name": "sequencer",
    "injected SQL destroys every value and every key in one call": "database role",
    "injected SQL records an entry of another ledger, to stop signatures for good": "sequencer",
    "an event's row is deleted while it waits for its place": "sequencer",
    "heads that were signed when somebody acted are passed off as heartbeats": "scrub",
    "the bytes of an item are changed in the store": "item verification",
    "a fixity check is forged: one more that went well": "item verification",
    "a consent is widened in its record": "verification",
    "the same, with old copies of exported tiles and public files": "signer",
    "the stolen key signs another head, put in as the next one": "signer",
    "a fork for one auditor: two heads of one size, with copied key and memory": "cosigner",
    "everything is put back from one old backup, the signer and its memory too": "cosigner",
    "a receipt is forged: another digest": "receipt check",
    "a bundle is forged: another exhibit, and manifests that fit it": "bundle verifier",
}


@pytest.fixture(scope="module")
def drill() -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py"), "drill", "insider", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) == (not result["failed"])
    return result


def test_the_watchers_find_nothing_on_an_untouched_copy(drill: dict[str, Any]) -> None:
    assert drill["attacks"][0]["caught"], drill["attacks"][0]["said"]
    assert drill["attacks"][0]["said"] == ""


def test_every_attack_is_caught_and_told_in_a_sentence(drill: dict[str, Any]) -> None:
    attacks = [one for one in drill["attacks"][1:] if not one["known"]]
    assert [(one["attack"], one["said"]) for one in attacks if not one["caught"]] == []
    assert all(one["by"] and len(one["said"]) > 20 for one in attacks)
    assert len({one["attack"] for one in attacks}) == len(attacks) >= 63


def test_each_kind_of_attack_is_told_by_the_watcher_that_should(drill: dict[str, Any]) -> None:
    by = {one["attack"]: one["by"] for one in drill["attacks"]}
    assert {attack: by.get(attack) for attack in FIRST} == FIRST


def test_what_is_known_not_to_be_proven_is_played_and_said_to_be_so(drill: dict[str, Any]) -> None:
    """Whoever makes one of these provable takes it off this list, and out of docs/threat-model.md."""
    known = [one for one in drill["attacks"] if one["known"]]
    assert [one["said"] for one in known if one["said"]] == []
    assert len(known) == 4

"""The kills drill: nothing is lost in a short one, and its proof does see what a long one would have lost."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings

from archive.drill_kills_proof import Proof
from custody.engine import Subject, acting, record
from custody.keys import read_secret
from custody.models import Checkpoint, Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from evidence.receipts import receipt
from ledger.checkpoint import format_checkpoint
from ledger.sign import Ed25519Signer, sign_note
from tests import factories
from tests.custody.ledgers import happen

KILLS = 12


def test_a_short_drill_loses_nothing_and_recovers_in_time() -> None:
    command = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py"), "drill", "kills", "--json"]
    done = subprocess.run(
        [*command, "--count", str(KILLS), "--seed", "20250307"], capture_output=True, text=True, timeout=600
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert [(step["name"], step["said"]) for step in result["steps"] if not step["good"]] == []
    assert done.returncode == 0
    assert sum(result["kills"].values()) == KILLS == len(result["every_kill"])
    assert len(result["left_alone"]) == 1
    assert max(result["left_alone"]) < 30
    assert result["acknowledged"] > KILLS
    assert len(result["steps"]) >= 20


def act(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "asked": 1.0, "acknowledged": 2.0, "told": {}, "times_asked": 1} | more


def wrong(told: dict[str, Any]) -> set[str]:
    """The names of what the proof finds not to hold."""
    drain()
    sign_head()
    whole = {"acts": [], "heads": [], "receipts": [], "kills": []} | told
    return {step.name for step in Proof(whole).steps() if not step.good}


def described(title: str) -> UUID:
    with acting():
        return record(
            Type.DESCRIBE,
            by=factories.founder(),
            at=datetime.now(UTC),
            subjects=[Subject("item", uuid4())],
            fields={"to": {"title": title}},
        )


@pytest.fixture(autouse=True)
def ledger_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.SANAD_LEDGER = tmp_path / "ledger"


@pytest.mark.django_db
def test_the_proof_finds_nothing_wrong_with_what_was_told_truly() -> None:
    item = factories.make_item()
    described("Once")
    drain()
    head = sign_head()
    assert head is not None
    told = {
        "acts": [
            act("describe", "Once"),
            act("describe", "Never answered", acknowledged=None),
        ],
        "heads": [{"where": "the table", "note": head.note, "seen": 3.0, "number": head.number}],
        "receipts": [receipt(item).file.decode()],
    }
    assert wrong(told) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["describe", "verify", "receive", "announce"])
def test_an_acknowledged_act_that_is_not_there_is_lost(kind: str) -> None:
    happen()
    told = {"sha256": hashlib.sha256().hexdigest(), "accession": "SY-2025-000099"}
    found = wrong({"acts": [act(kind, str(uuid4()), told=told)]})
    assert f"{kind}: none lost that was acknowledged" in found


@pytest.mark.django_db
def test_an_act_that_is_there_twice_is_seen_even_when_nobody_was_answered() -> None:
    described("Twice")
    described("Twice")
    found = wrong({"acts": [act("describe", "Twice", acknowledged=None)]})
    assert found == {"describe: none happened twice"}


@pytest.mark.django_db
def test_a_head_of_another_past_is_seen_though_the_archives_own_key_signed_it() -> None:
    happen()
    drain()
    head = sign_head()
    assert head is not None
    (key,) = Path(settings.SANAD_SIGNER).glob("key-*")
    signer = Ed25519Signer(settings.SANAD_ORIGIN, read_secret(key))
    forged = sign_note(format_checkpoint(settings.SANAD_ORIGIN, 1, hashlib.sha256(b"another").digest()), signer)
    found = wrong({"heads": [{"where": "the export", "note": forged, "seen": 1.0}]})
    assert "every head that was seen leads to the last one" in found
    assert "none was seen that was not published in the end" in found


@pytest.mark.django_db
def test_a_head_that_was_in_the_table_and_is_not_any_more_is_seen() -> None:
    happen()
    drain()
    head = sign_head()
    assert head is not None
    seen = {"where": "the table", "note": head.note, "seen": 1.0, "number": head.number + 7}
    assert "none was taken back or replaced" in wrong({"heads": [seen]})


@pytest.mark.django_db
def test_a_receipt_of_an_event_that_is_gone_is_seen() -> None:
    item = factories.make_item()
    drain()
    sign_head()
    good = receipt(item).file.decode()
    other = good.replace(Event.objects.get(type=Type.RECEIVE).id.hex, uuid4().hex)
    assert other != good
    assert wrong({"receipts": [good, other]}) == {"every receipt that was handed out is good"}
    assert Checkpoint.objects.exists()

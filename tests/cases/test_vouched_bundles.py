"""A bundle carries what partners vouch for: cosignatures under its head, and timestamps that openssl can verify."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from cases.tasks import build
from custody.anchors import anchor_heads
from custody.ledger_keys import vkey
from custody.models import Cosignature
from custody.vocabulary import Type
from ledger.cosignature import decode_cosigner_vkey
from ledger.note import decode_vkey, open_note
from tests.cases.makers import make_bundle
from tests.cases.test_bundles import built, sealed_case, signed, stranger_verifies, unpacked
from tests.custody.authorities import OpensslAuthority, serving
from tests.custody.test_cosigners import BAR, trust
from tests.ledger.cosigners import cosigner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_head_is_a_heartbeat")]


@pytest.fixture(autouse=True)
def _own_files(settings: Any, tmp_path: Path) -> None:
    settings.SANAD_LEDGER_POLICY = tmp_path / "ledger-policy"
    settings.SANAD_AUTHORITIES = tmp_path / "authorities.toml"


def test_the_head_of_a_bundle_is_cosigned_when_it_is_made_and_a_policy_holds(tmp_path: Path, settings: Any) -> None:
    exhibit = sealed_case()
    signed()
    with cosigner(tmp_path / "state.json", [vkey()], name="bar.example/cosigner") as running:
        trust(("bar", running.verifier.vkey, running.url))
        folder = unpacked(built(exhibit), None, _made(tmp_path / "out"))
        key = decode_cosigner_vkey(running.verifier.vkey)
    note = (folder / "data" / "ledger" / "checkpoint").read_bytes()
    assert key in open_note(note, [decode_vkey(vkey()), key]).signed_by
    (tmp_path / "policy").write_text(f"log {vkey()}\nwitness bar {key.vkey}\nquorum bar\n")
    good = stranger_verifies(folder, "--policy", str(tmp_path / "policy"), "--json")
    assert good.returncode == 0, good.stdout
    assert json.loads(good.stdout)["policy"]["met"] is True
    (tmp_path / "policy").write_text(f"log {vkey()}\nwitness bar {BAR.vkey}\nquorum bar\n")
    assert stranger_verifies(folder, "--policy", str(tmp_path / "policy")).returncode == 2


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_partner_that_is_away_does_not_hold_a_bundle_back(tmp_path: Path) -> None:
    trust(("bar", BAR.vkey, "http://127.0.0.1:9/"))
    folder = unpacked(built(sealed_case()), None, _made(tmp_path / "out"))
    assert stranger_verifies(folder).returncode == 0
    assert not Cosignature.objects.exists()


def test_a_policy_that_is_not_one_is_told_and_nothing_leaves() -> None:
    bundle = make_bundle()
    signed()
    Path(_policy()).write_text("nonsense\n")
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert "policy" in bundle.problem


def _policy() -> str:
    from django.conf import settings

    return str(settings.SANAD_LEDGER_POLICY)


@pytest.mark.parametrize("test", [False, True])
def test_timestamps_that_cover_the_exhibits_leave_with_them_except_those_for_tests(
    tmp_path: Path, settings: Any, test: bool
) -> None:
    exhibit = sealed_case()
    signed()
    tsa = OpensslAuthority(tmp_path / "tsa")
    with serving(tsa.reply) as url:
        Path(settings.SANAD_AUTHORITIES).write_text(
            f'[[authority]]\nname = "a"\nurl = "{url}"\nroots = "{tsa.root}"\ntest = {"true" if test else "false"}\n'
        )
        assert anchor_heads(timezone.now()) == 1
        folder = unpacked(built(exhibit), None, _made(tmp_path / "out"))
        settings.SANAD_ANCHOR_EVERY = 60
        assert anchor_heads(timezone.now() + timedelta(hours=2)) == 1
    report = stranger_verifies(folder, "--json")
    assert report.returncode == 0, report.stdout
    responses = list((folder / "data" / "ledger").glob("anchors/*.tsr"))
    if test:
        assert responses == []
        return
    (response,) = responses
    (told,) = json.loads(report.stdout)["anchors"]
    head = folder / "data" / "ledger" / "heads" / f"{told['size']}.checkpoint"
    argv = ["openssl", "ts", "-verify", "-in", str(response), "-data", str(head), "-CAfile", str(tsa.root)]
    assert subprocess.run(argv, capture_output=True).returncode == 0
    assert json.loads((folder / "data/ledger/entries" / f"{response.stem}.json").read_text())["type"] == Type.ANCHOR

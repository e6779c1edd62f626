"""A receipt is pending until the ledger signs, recorded within seconds, and good for ever, also without us."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.actions import set_language
from accounts.models import Role
from custody.sequencer import drain
from custody.signer import sign_head, vkey
from evidence.models import Item
from evidence.receipts import receipt, write_receipts
from ledger.pack import verifier_archive
from tests import factories
from tests.evidence.test_erasure import erased

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("key_of_the_ledger")]
DATA = b"what the investigator sent"


@pytest.fixture
def item() -> Item:
    made = factories.make_item(data=DATA, name="canary-name.txt", title="Canary title")
    return Item.objects.get(pk=made.pk)


def settle() -> None:
    drain()
    sign_head()


def checked(folder: Path, data: bytes, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What the stand-alone verifier says, run by a bare interpreter in an empty environment."""
    (folder / "sanad-verify.pyz").write_bytes(verifier_archive())
    (folder / "receipt.json").write_bytes(data)
    command = [sys.executable, "-I", "-S", "sanad-verify.pyz", "receipt", "receipt.json", "--json", *arguments]
    done = subprocess.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60
    )
    return done.returncode, json.loads(done.stdout)


def test_a_stranger_checks_a_receipt_and_the_file_it_is_for(item: Item, tmp_path: Path) -> None:
    settle()
    (tmp_path / "sent").write_bytes(DATA)
    (tmp_path / "other").write_bytes(DATA + b"!")
    made = receipt(item)
    code, report = checked(tmp_path, made.file, "--content", "sent", "--vkey", vkey())
    assert (code, report["state"], report["trust"]) == (0, "recorded", "pinned")
    assert report["reception"]["accession"] == item.accession
    assert report["reception"]["sha256"] == item.sha256
    assert report["reception"]["size"] == len(DATA)
    assert report["reception"]["index"] == made.index
    assert checked(tmp_path, made.file, "--content", "other")[0] == 1
    assert checked(tmp_path, made.file.replace(item.sha256.encode(), b"0" * 64))[0] == 1


def test_it_is_pending_until_the_ledger_signs_and_says_so(item: Item, tmp_path: Path) -> None:
    made = receipt(item)
    assert (made.recorded, json.loads(made.file)["state"]) == (False, "pending")
    assert checked(tmp_path, made.file)[0] == 2
    drain()
    assert not receipt(item).recorded
    sign_head()
    assert receipt(item).recorded


def test_it_holds_no_name_and_no_word_of_the_content(item: Item) -> None:
    settle()
    told = receipt(item).file
    for secret in (b"anary", DATA, str(item.received_by_id).encode(), item.received_by.display_name.encode()):
        assert secret not in told


def test_a_receipt_handed_out_before_outlives_the_erasure_and_none_is_made_after(item: Item, tmp_path: Path) -> None:
    settle()
    kept = receipt(item).file
    client = factories.signed_in(item.received_by)
    erased(item)
    settle()
    (tmp_path / "sent").write_bytes(DATA)
    assert checked(tmp_path, kept, "--content", "sent", "--vkey", vkey())[0] == 0
    for name in ("receipt", "receipt_file", "receipt_words"):
        answer = client.get(reverse(f"evidence:{name}", args=[item.accession]))
        assert answer.status_code == 409
        assert "One handed out before still counts" in answer.content.decode()
    assert client.get(reverse("evidence:receipt_state", args=[item.accession])).status_code == 404
    assert client.get(f"/api/v1/items/{item.accession}/receipt/").status_code == 409


def test_the_page_waits_for_the_ledger_and_hands_out_the_file(item: Item) -> None:
    client = factories.signed_in(item.received_by)
    url = reverse("evidence:receipt", args=[item.accession])
    state = reverse("evidence:receipt_state", args=[item.accession])
    page = client.get(url).content.decode()
    assert f'data-poll="{state}"' in page
    assert "Download the receipt" not in page
    assert client.get(state).json()["state"] == "running"
    settle()
    assert client.get(state).json()["state"] == "done"
    page = client.get(url).content.decode()
    assert "data-poll" not in page.split("<main")[1]
    assert item.sha512 in page
    answer = client.get(reverse("evidence:receipt_file", args=[item.accession]))
    assert answer.content == receipt(item).file
    assert answer["Content-Disposition"] == f'attachment; filename="{item.accession}.receipt.json"'
    assert client.get(f"/api/v1/items/{item.accession}/receipt/").content == answer.content
    assert client.get(reverse("evidence:verifier")).content == verifier_archive()


@pytest.mark.parametrize(("language", "heading"), [("en", "RECEIPT"), ("fr", "REÇU"), ("ar", "إيصال")])
def test_in_words_it_speaks_the_language_of_the_person(item: Item, language: str, heading: str) -> None:
    settle()
    person = item.received_by
    set_language(by=person, language=language)
    client = factories.signed_in(person)
    told = client.get(reverse("evidence:receipt_words", args=[item.accession])).content.decode()
    assert told.startswith(heading)
    assert item.sha256 in told


def test_an_auditor_gets_it_and_a_stranger_does_not(item: Item) -> None:
    auditor = factories.make_user(Role.AUDITOR)
    for person, status in ((auditor, 200), (factories.stranger(), 404)):
        for name in ("receipt", "receipt_state", "receipt_file", "receipt_words"):
            answer = factories.signed_in(person).get(reverse(f"evidence:{name}", args=[item.accession]))
            assert answer.status_code == status, name


def test_receipts_are_written_to_a_folder_and_a_pending_one_never_replaces_a_recorded_one(
    item: Item, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.receipts.RECORDED_WITHIN", 0.0)
    assert write_receipts([item], tmp_path) == {item.accession: False}
    settle()
    assert write_receipts([item], tmp_path) == {item.accession: True}
    kept = (tmp_path / f"{item.accession}.receipt.json").read_bytes()
    assert json.loads(kept)["state"] == "recorded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evidence.receipts.proof_of", lambda *_: None)
        assert write_receipts([item], tmp_path) == {item.accession: False}
    assert (tmp_path / f"{item.accession}.receipt.json").read_bytes() == kept

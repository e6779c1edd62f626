"""Making the sample: whole or not at all, resumed after a kill, refused where it has no place."""

import io
import json
import os
import stat
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from archive.sample import building, people
from archive.sample.camera import Claims, photograph
from archive.sample.film import walk
from archive.sample.lettering import joined
from archive.sample.papers import inspection_report
from cases.models import Exhibit
from custody.models import Event
from evidence.models import Item
from evidence.sandbox import SandboxUnavailable
from tests.factories import founder
from verification.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    return tmp_path / "first-accounts.json"


def make(credentials: Path) -> str:
    said = io.StringIO()
    call_command("sample", credentials=str(credentials), stdout=said)
    return said.getvalue()


@pytest.mark.parametrize("broken", ["receive_items", "hand_out"])
def test_broken_off_before_the_end_nothing_is_there_and_it_is_made_anew(
    credentials: Path, few: int, unfinished: Path, broken: str
) -> None:
    with mock.patch.object(building, broken, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        make(credentials)

    assert not User.objects.exists()
    assert not Item.objects.exists()
    assert not Event.objects.exists()
    assert not credentials.exists()

    make(credentials)
    assert Run.objects.get().is_clean


def test_broken_off_during_the_audit_it_goes_on_where_it_stopped(credentials: Path, few: int, unfinished: Path) -> None:
    with mock.patch.object(building, "work", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        make(credentials)
    accounts = credentials.read_bytes()
    assert Run.objects.get().state == "queued"

    said = make(credentials)

    assert credentials.read_bytes() == accounts
    assert Run.objects.get().is_clean
    assert "the sample archive is ready" in said
    assert Item.objects.count() == few


def test_a_folder_that_cannot_be_written_is_said_and_the_archive_stays_empty(tmp_path: Path, few: int) -> None:
    with pytest.raises(CommandError, match="as empty as before"):
        make(tmp_path / "missing" / "accounts.json")

    assert not User.objects.exists()


def test_an_archive_of_others_is_left_alone(credentials: Path, unfinished: Path) -> None:
    founder()

    with pytest.raises(CommandError, match="already has people"):
        make(credentials)

    assert not credentials.exists()
    assert User.objects.count() == 1


def test_an_old_credentials_file_of_wider_mode_is_replaced(tmp_path: Path) -> None:
    credentials = tmp_path / "accounts.json"
    credentials.write_text("{}")
    credentials.chmod(0o644)
    old = os.umask(0)
    try:
        people.hand_out([{"username": "a", "password": "b", "role": "c"}], credentials)
    finally:
        os.umask(old)

    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert json.loads(credentials.read_text())["accounts"][0]["username"] == "a"


def test_the_media_are_the_same_at_every_making() -> None:
    claims = Claims("2025:03:08 17:42:10", latitude=35.1, longitude=36.15)

    assert photograph("burned-house", claims) == photograph("burned-house", claims)
    assert photograph("burned-house", None) != photograph("burned-house", claims)
    assert inspection_report() == inspection_report()
    assert walk("harbour", 1) == walk("harbour", 1)


def test_arabic_on_papers_is_joined_and_runs_from_right_to_left() -> None:
    # beh medial to its right neighbour, teh final: the word "bayt", and lam-alef as one form
    assert joined("بيت") == "\ufe96\ufef4\ufe91"
    assert joined("لا") == "\ufefb"
    assert joined("دار") == "\ufead\ufe8d\ufea9"


def test_where_nothing_can_be_examined_it_is_made_without_tendering_recordings(
    credentials: Path, few: int, unfinished: Path
) -> None:
    with mock.patch("evidence.sandbox.examine", side_effect=SandboxUnavailable("namespaces are denied")):
        make(credentials)
    tendered = Exhibit.objects.values_list("relevance", flat=True)
    assert "Loaded truck on a village road." in tendered
    assert not [words for words in tendered if words.startswith("W-000")]

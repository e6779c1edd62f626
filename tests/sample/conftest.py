"""Making the sample in tests: once whole for the tests that read it, of a few items for those that break it off."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import TestCase

from archive.management.commands.sample import UNFINISHED
from archive.sample.case import EXHIBITS, HELD_UP
from archive.sample.holdings import PIECES
from archive.sample.pieces import Piece
from archive.sample.testimonies import VOICES


@pytest.fixture(scope="session")
def few_pieces() -> tuple[Piece, ...]:
    """The pieces that cases, testimonies and corrections need, with their bytes made already."""
    needed = {tendered.item for tendered in (*EXHIBITS, *HELD_UP)} | {"consent-form", "clinic", "smoke"}
    needed |= {key for voice in VOICES for key in voice.recordings}

    def kept(piece: Piece) -> Piece:
        content = piece.make()
        return replace(piece, make=lambda: content)

    return tuple(kept(piece) for piece in PIECES if piece.key in needed)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, few_pieces: tuple[Piece, ...]) -> int:
    """The sample is made of a few items; gives how many."""
    monkeypatch.setattr("archive.sample.items.PIECES", few_pieces)
    return len(few_pieces)


@pytest.fixture(scope="module")
def made_for_all(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, dict[Path, bytes]]]:
    """The credentials of a sample that stands for a whole module, in a transaction that ends with it.

    And what the signer remembers of it, which the end of each test makes it forget.
    """
    credentials = tmp_path_factory.mktemp("sample") / "first-accounts.json"
    with django_db_blocker.unblock():
        atomics = TestCase._enter_atomics()  # type: ignore[attr-defined]
        try:
            call_command("sample", credentials=str(credentials), verbosity=0)
            yield credentials, remembered()
        finally:
            TestCase._rollback_atomics(atomics)  # type: ignore[attr-defined]


def remembered() -> dict[Path, bytes]:
    """The files of the signer and what it tells, by path."""
    folders = (settings.SANAD_SIGNER, settings.SANAD_STATUS)
    return {path: path.read_bytes() for folder in folders for path in folder.iterdir()}


@pytest.fixture
def unfinished() -> Iterator[Path]:
    """What `manage.py set_up` leaves in the data folder while the sample is under way."""
    marker = Path(settings.SANAD_DATA) / UNFINISHED
    marker.touch()
    yield marker
    marker.unlink(missing_ok=True)

"""Making the sample in tests: painted once in a process, recorded as often as a test needs it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import TestCase

from archive.management.commands.sample import UNFINISHED
from archive.sample import items
from archive.sample.pieces import Piece


@pytest.fixture(scope="session")
def painted_once() -> tuple[Piece, ...]:
    """The sample's pieces with their bytes made already."""

    def kept(piece: Piece) -> Piece:
        content = piece.make()
        return replace(piece, make=lambda: content)

    return tuple(kept(piece) for piece in items.PIECES)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, painted_once: tuple[Piece, ...]) -> None:
    """The sample is made from what was painted once."""
    monkeypatch.setattr(items, "PIECES", painted_once)


@pytest.fixture(scope="module")
def made_for_all(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
    painted_once: tuple[Piece, ...],
) -> Iterator[tuple[Path, bytes]]:
    """The credentials of a sample that stands for a whole module, in a transaction that ends with it.

    And what the signer remembers of it, which the end of each test makes it forget.
    """
    credentials = tmp_path_factory.mktemp("sample") / "first-accounts.json"
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(items, "PIECES", painted_once)
        atomics = TestCase._enter_atomics()
        try:
            call_command("sample", credentials=str(credentials), verbosity=0)
            yield credentials, (settings.SANAD_KEYS / "signer-state.json").read_bytes()
        finally:
            TestCase._rollback_atomics(atomics)


@pytest.fixture
def unfinished() -> Iterator[Path]:
    """What `manage.py set_up` leaves in the data folder while the sample is under way."""
    marker = Path(settings.SANAD_DATA) / UNFINISHED
    marker.touch()
    yield marker
    marker.unlink(missing_ok=True)

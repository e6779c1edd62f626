"""A web server of a test's own, and files to send to it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.incidents.serving import WebServer
from tests.incidents.tus_place import Place


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def server(place: Place, tmp_path: Path) -> Iterator[WebServer]:
    """After `place`: it ends before the test's database does."""
    with WebServer(tmp_path / "web.log", silence=4) as started:
        yield started


@pytest.fixture
def made(tmp_path: Path) -> Callable[[int], Path]:
    """A file of so many random bytes."""

    def make(size: int) -> Path:
        path = tmp_path / f"{size}.bin"
        path.write_bytes(os.urandom(size))
        return path

    return make

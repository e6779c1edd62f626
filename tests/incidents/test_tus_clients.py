"""Resumable uploads by clients that nobody here wrote, over lines with faults, to a real web server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evidence.models import Item
from incidents.models import Upload
from tests.fault_proxy import FaultyLine
from tests.incidents.serving import WebServer
from tests.incidents.tus_place import MIB, Place, held_as_sent

pytestmark = pytest.mark.django_db(transaction=True)


def test_tuspy_sends_a_file_in_chunks(place: Place, server: WebServer, made: Callable[[int], Path]) -> None:
    path = made(9 * MIB + 17)
    uploader = place.tuspy(server.url, path, 2 * MIB)
    uploader.upload()
    item = held_as_sent(uploader.url, path)
    assert item.original_name == "مشهد 1.mp4"


def test_tuspy_sends_chunks_with_checksums(place: Place, server: WebServer, made: Callable[[int], Path]) -> None:
    path = made(5 * MIB)
    uploader = place.tuspy(server.url, path, 2 * MIB, upload_checksum=True)
    uploader.upload()
    held_as_sent(uploader.url, path)


@pytest.mark.parametrize(
    "options", [{}, {"chunkSize": 3 * MIB}, {"uploadDataDuringCreation": True}, {"overridePatchMethod": True}]
)
def test_tus_js_client_sends_a_file(
    place: Place, server: WebServer, made: Callable[[int], Path], options: dict[str, Any]
) -> None:
    path = made(8 * MIB + 5)
    told = place.tus_js(server.url, path, **options)
    held_as_sent(told["url"], path)
    assert told["errors"] == 0


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_files_become_items_as_well(
    place: Place, server: WebServer, made: Callable[[int], Path], size: int
) -> None:
    path = made(size)
    held_as_sent(place.tus_js(server.url, path)["url"], path)


def test_over_a_line_that_is_cut_twenty_times_little_is_sent_again(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(60 * MIB)
    with FaultyLine(server.port, cut_every=3 * MIB - 7, cuts=20) as line:
        told = place.tus_js(line.url, path)
        assert line.cut == 20
        assert line.sent < path.stat().st_size + 21 * MIB  # a cut loses what was on its way and one read, no more
    assert Upload.objects.count() == 1
    held_as_sent(told["url"], path)


def test_tuspy_goes_on_where_the_line_was_cut(place: Place, server: WebServer, made: Callable[[int], Path]) -> None:
    path = made(24 * MIB)
    with FaultyLine(server.port, cut_every=5 * MIB, cuts=4) as line:
        uploader = place.tuspy(line.url, path, 24 * MIB)
        uploader.upload()
        assert line.cut == 4
    held_as_sent(uploader.url, path)


def one_of_each_kind(folder: Path) -> list[Path]:
    """The largest file of each suffix."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        best = found.get(path.suffix.lower())
        if best is None or path.stat().st_size > best.stat().st_size:
            found[path.suffix.lower()] = path
    return list(found.values())


def test_files_of_every_kind_arrive_to_the_bit_over_a_line_that_is_cut(
    place: Place, server: WebServer, test_data: Path
) -> None:
    paths = one_of_each_kind(test_data)
    assert len(paths) > 10
    with FaultyLine(server.port, cut_every=2 * MIB, cuts=8) as line:
        for path in paths:
            uploader = place.tuspy(line.url, path, 300_001)
            uploader.upload()
            held_as_sent(uploader.url, path)
    assert Item.objects.count() == len(paths)

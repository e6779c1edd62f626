"""Resumable uploads by clients that nobody here wrote, over lines with faults, to a real web server."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from tusclient.client import TusClient

from evidence import blobs
from evidence.models import Item
from incidents.models import Upload, UploadPart
from tests import factories
from tests.fault_proxy import FaultyLine
from tests.incidents.serving import WebServer, authorization
from tests.verifier.node import node

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT = Path(__file__).parent / "tus_client.mjs"
MIB = 1 << 20
TUS = "/api/v1/uploads/tus/"


class Place:
    """An intake of somebody who sends with a token."""

    def __init__(self) -> None:
        self.intake = factories.make_intake()
        self.headers = authorization(self.intake.by)
        self.metadata = {"intake": str(self.intake.pk), "filename": "مشهد 1.mp4"}

    def tuspy(self, url: str, path: Path, chunk: int, **more: Any) -> Any:
        client = TusClient(url + TUS, headers=self.headers)
        options = {"retries": 60, "retry_delay": 0.3} | more
        return client.uploader(str(path), chunk_size=chunk, metadata=self.metadata, **options)

    def tus_js(self, url: str, path: Path, **options: Any) -> Any:
        told = {
            "endpoint": url + TUS,
            "path": str(path),
            "headers": self.headers,
            "metadata": self.metadata,
            "retryDelays": [100, 300, 500, 1000, 1000, 1000, 2000, 2000, 2000],
        } | options
        done = subprocess.run(
            [node(), str(CLIENT), json.dumps(told)], capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def server(place: Place, tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(tmp_path / "web.log") as started:
        yield started


@pytest.fixture
def made(tmp_path: Path) -> Callable[[int], Path]:
    """A file of so many random bytes."""

    def make(size: int) -> Path:
        path = tmp_path / f"{size}.bin"
        path.write_bytes(os.urandom(size))
        return path

    return make


def upload_at(url: str) -> Upload:
    return Upload.objects.select_related("item").get(pk=UUID(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def held_as_sent(url: str, path: Path) -> Item:
    """The item that the upload became, which is what was sent to the bit; the upload keeps nothing beside it."""
    upload = upload_at(url)
    assert (upload.state, upload.problem_code) == ("held", "")
    assert upload.item is not None
    digest = hashlib.sha256()
    for piece in blobs.read_blob(upload.item.blob):
        digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest() == upload.item.sha256
    assert not UploadPart.objects.filter(upload=upload).exists()
    assert bytes(upload.wrapped_key) == bytes(upload.sealed_metadata) == b""
    assert not list(Path(blobs.settings.SANAD_STAGING).glob(f"{upload.blob_id}*"))
    return upload.item


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

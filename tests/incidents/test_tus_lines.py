"""Resumable uploads on bad lines and in a crowd: a real web server, cut, killed, silent, and asked by many at once."""

import base64
import hashlib
import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from custody.models import Event
from custody.vocabulary import Type
from evidence.models import Item
from incidents.models import Upload
from tests.custody.processes import running, wait_for
from tests.fault_proxy import FaultyLine
from tests.incidents.serving import WebServer
from tests.incidents.tus_place import MIB, TUS, Place, held_as_sent, upload_at
from tests.incidents.tus_sender import PART, encoded

pytestmark = pytest.mark.django_db(transaction=True)


class Sending:
    """Requests to a port in a program's name."""

    def __init__(self, place: Place, port: int) -> None:
        self.headers, self.port, self.intake = place.headers, port, str(place.intake.pk)

    def ask(self, method: str, url: str, body: bytes = b"", **headers: Any) -> tuple[int, dict[str, str]]:
        sent = self.headers | {"Tus-Resumable": "1.0.0"} | {k.replace("_", "-"): str(v) for k, v in headers.items()}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            line.request(method, url, body=body or None, headers=sent)
            answer = line.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            line.close()

    def begin(self, length: int, **said: str) -> tuple[int, dict[str, str]]:
        metadata = encoded(intake=self.intake, filename="a.bin", **said)
        return self.ask("POST", TUS, Upload_Length=length, Upload_Metadata=metadata)

    def patch(self, url: str, offset: int, body: bytes, **headers: Any) -> tuple[int, dict[str, str]]:
        return self.ask("PATCH", url, body, Upload_Offset=offset, Content_Type=PART, **headers)

    def offset(self, url: str) -> int:
        status, headers = self.ask("HEAD", url)
        assert status == 200
        return int(headers["upload-offset"])


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_killed_in_the_middle_goes_on_after_its_restart_with_what_it_acknowledged(
    place: Place, server: WebServer, made: Callable[[int], Path], tmp_path: Path
) -> None:
    path = made(96 * MIB)
    with FaultyLine(server.port, rate=24 * MIB) as line, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(place.tus_js, line.url, path)
        until(lambda: Upload.objects.filter(offset__gte=64 * MIB).exists())
        server.kill()
        acknowledged = Upload.objects.get().offset
        server.start()
        told = sending.result(timeout=120)
        again = line.sent - path.stat().st_size
    assert acknowledged >= 64 * MIB
    assert again < 40 * MIB
    assert "goes on under a new key" in server.log()
    log = tmp_path / "worker.log"
    with running(log, "procrastinate", "worker"):  # more than 64 MiB: the worker's
        wait_for(lambda: upload_at(told["url"]).state == "held", log)
    held_as_sent(told["url"], path)
    assert Item.objects.count() == 1


def test_a_silent_line_makes_way_for_the_next_request_and_nothing_it_brought_is_lost(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(6 * MIB)
    data = path.read_bytes()
    direct = Sending(place, server.port)
    _status, begun = direct.begin(len(data))
    url = begun["location"]
    blob_id = upload_at(url).blob_id
    with FaultyLine(server.port, halt_at=3 * MIB) as line:
        hanging = threading.Thread(target=lambda: _quietly(Sending(place, line.port), url, data), daemon=True)
        hanging.start()
        until(lambda: line.sent >= 3 * MIB)
        time.sleep(1.5)
        offset = direct.offset(url)
        assert 2 * MIB < offset < 3 * MIB
        assert direct.patch(url, offset, data[offset:])[0] == 204
    held_as_sent(url, path)
    assert upload_at(url).item is not None
    assert "under a new key" not in server.log()
    assert blob_id == upload_at(url).blob_id


def test_what_a_line_brought_is_kept_when_it_stays_silent(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    data = made(6 * MIB).read_bytes()
    url = Sending(place, server.port).begin(len(data))[1]["location"]
    with FaultyLine(server.port, halt_at=3 * MIB) as line:
        hanging = threading.Thread(target=lambda: _quietly(Sending(place, line.port), url, data), daemon=True)
        hanging.start()
        until(lambda: upload_at(url).offset > 2 * MIB and upload_at(url).writer is None)


def _quietly(sending: Sending, url: str, data: bytes) -> None:
    try:
        sending.patch(url, 0, data)
    except (OSError, http.client.HTTPException):
        return


def test_of_two_requests_at_once_the_second_waits_its_turn(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(8 * MIB)
    data = path.read_bytes()
    direct = Sending(place, server.port)
    url = direct.begin(len(data))[1]["location"]
    with FaultyLine(server.port, rate=2 * MIB) as line, ThreadPoolExecutor(1) as pool:
        first = pool.submit(Sending(place, line.port).patch, url, 0, data)
        until(lambda: line.sent > MIB)
        second = direct.patch(url, 0, b"something else entirely")
        assert (second[0], second[1]["retry-after"]) == (423, "1")
        assert first.result(timeout=60)[0] == 204
    held_as_sent(url, path)


def test_a_hundred_retries_of_one_request_at_once_make_one_item_and_one_event(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(3 * MIB)
    data = path.read_bytes()
    direct, used = Sending(place, server.port), str(uuid4())
    with ThreadPoolExecutor(50) as pool:
        begun = list(pool.map(lambda _n: direct.begin(len(data), key=used), range(100)))
        assert Counter(status for status, _headers in begun) == {201: 1, 200: 99}
        [url] = {headers["location"] for _status, headers in begun}
        assert direct.patch(url, 0, data[:-1])[0] == 204
        ends = list(pool.map(lambda _n: direct.patch(url, len(data) - 1, data[-1:])[0], range(100)))
        assert 204 in ends
        assert set(ends) <= {204, 409, 413, 423, 503}
        again = list(pool.map(lambda _n: direct.patch(url, len(data), b"")[0], range(100)))
        assert set(again) <= {204, 423, 503}
    held_as_sent(url, path)
    assert Item.objects.count() == Upload.objects.count() == 1
    assert Event.objects.filter(type=Type.RECEIVE).count() == 1


def test_a_request_that_lost_its_database_moves_nothing_and_the_next_goes_on(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(8 * MIB)
    data = path.read_bytes()
    direct = Sending(place, server.port)
    url = direct.begin(len(data))[1]["location"]
    with FaultyLine(server.port, rate=2 * MIB) as line, ThreadPoolExecutor(1) as pool:
        first = pool.submit(Sending(place, line.port).patch, url, 0, data)
        until(lambda: line.sent > 2 * MIB)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchall()
        offset = direct.offset(url)
        assert direct.patch(url, offset, data[offset:])[0] == 204
        assert first.result(timeout=60)[0] in (423, 500, 503)
    held_as_sent(url, path)
    assert Item.objects.count() == 1


def test_a_byte_that_the_line_changed_is_found_by_the_checksum_and_sent_again(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    path = made(3 * MIB)
    data = path.read_bytes()
    checksum = f"sha1 {base64.b64encode(hashlib.sha1(data).digest()).decode()}"
    url = Sending(place, server.port).begin(len(data))[1]["location"]
    with FaultyLine(server.port, flip_at=2 * MIB) as line:
        faulty = Sending(place, line.port)
        assert faulty.patch(url, 0, data, Upload_Checksum=checksum)[0] == 460
        assert faulty.offset(url) == 0
        assert faulty.patch(url, 0, data, Upload_Checksum=checksum)[0] == 204
    held_as_sent(url, path)


def test_a_byte_that_the_line_changed_makes_no_item_when_the_whole_was_declared(
    place: Place, server: WebServer, made: Callable[[int], Path]
) -> None:
    data = made(3 * MIB).read_bytes()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    with FaultyLine(server.port, flip_at=2 * MIB) as line:
        faulty = Sending(place, line.port)
        url = faulty.begin(len(data))[1]["location"]
        assert faulty.patch(url, 0, data, Repr_Digest=f"sha-256=:{digest}:")[0] == 422
    upload = upload_at(url)
    assert (upload.state, upload.problem_code) == ("failed", "digest_mismatch")
    assert not Item.objects.exists()


def test_uploads_leave_threads_for_those_who_read(place: Place, server: WebServer) -> None:
    direct = Sending(place, server.port)
    urls = [direct.begin(MIB)[1]["location"] for _n in range(13)]
    with FaultyLine(server.port, rate=200_000) as line, ThreadPoolExecutor(13) as pool:
        slow = Sending(place, line.port)
        answers = [pool.submit(slow.patch, url, 0, os.urandom(MIB)) for url in urls]
        until(lambda: any(answer.done() for answer in answers))
        assert direct.ask("GET", "/api/v1/me/")[0] == 200
        statuses = Counter(answer.result(timeout=60)[0] for answer in answers)
    assert statuses == {204: 12, 503: 1}

"""Lines on which nothing comes any more: they end, and leave every other connection alone."""

import http.client
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.incidents.serving import WebServer
from tests.incidents.test_tus_lines import Sending, until
from tests.incidents.tus_place import TUS, Place, upload_at
from tests.incidents.tus_sender import PART

pytestmark = pytest.mark.django_db(transaction=True)


def left_hanging(port: int, method: str, url: str, headers: dict[str, Any], body: bytes) -> socket.socket:
    """A request that announces a megabyte and brings little of it."""
    said = {"Host": "127.0.0.1", "Tus-Resumable": "1.0.0", "Content-Type": PART, "Content-Length": "1000000"} | headers
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    line.sendall(f"{method} {url} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return line


def answers(port: int, seconds: float) -> bool:
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        asking.request("GET", "/health/")
        return asking.getresponse().status in (200, 503)
    except OSError:
        return False
    finally:
        asking.close()


def test_silent_lines_on_every_thread_end_and_what_they_brought_is_kept(place: Place, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web.log", silence=2, threads=4) as server, ExitStack() as lines:
        sending = Sending(place, server.port)
        urls = [sending.begin(1_000_000)[1]["location"] for _n in range(4)]
        for url in urls:
            headers = place.headers | {"Upload-Offset": "0"}
            lines.enter_context(left_hanging(server.port, "PATCH", url, headers, b"x" * 9_000))
        until(lambda: answers(server.port, 2), 30)
        until(lambda: all(upload_at(url).offset > 4_000 for url in urls))


def test_a_line_on_which_bytes_move_survives_the_hanging_up_on_another(place: Place, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web.log", silence=2, threads=6) as server, ExitStack() as lines:
        sending = Sending(place, server.port)
        silent, slow = (sending.begin(1_000_000)[1]["location"] for _n in range(2))
        headers = place.headers | {"Upload-Offset": "0"}
        ended = lines.enter_context(left_hanging(server.port, "PATCH", silent, headers, b"x" * 9_000))
        going = lines.enter_context(left_hanging(server.port, "PATCH", slow, headers, b"y" * 40_000))
        for _n in range(12):
            time.sleep(0.5)
            going.sendall(b"y" * 80_000)
        assert ended.recv(100) == b""
        assert upload_at(silent).offset > 4_000
        assert going.recv(100).startswith(b"HTTP/1.1 204")
        assert upload_at(slow).state == "held"


@pytest.mark.parametrize(("method", "url"), [("POST", TUS), ("PUT", "/api/v1/uploads/")])
def test_a_body_of_nobody_known_holds_no_thread(place: Place, tmp_path: Path, method: str, url: str) -> None:
    with WebServer(tmp_path / "web.log", silence=60, threads=4) as server, ExitStack() as lines:
        hanging = [left_hanging(server.port, method, url, {"Upload-Length": "100"}, b"x") for _n in range(5)]
        for line in hanging:
            lines.enter_context(line)
        assert answers(server.port, 5)
        for line in hanging:
            assert line.recv(100).startswith((b"HTTP/1.1 401", b"HTTP/1.1 403"))


def test_a_refused_body_that_does_not_come_holds_a_thread_no_longer_than_the_silence(
    place: Place, tmp_path: Path
) -> None:
    with WebServer(tmp_path / "web.log", silence=2, threads=2) as server, ExitStack() as lines:
        url = Sending(place, server.port).begin(10)[1]["location"]
        for method, where in (("PATCH", url), ("PUT", "/api/v1/uploads/")):
            headers = place.headers | {"Upload-Offset": "0"}
            lines.enter_context(left_hanging(server.port, method, where, headers, b"x"))
        until(lambda: answers(server.port, 2), 30)

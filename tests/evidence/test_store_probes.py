"""Which stores are refused: an honest one passes every question, and each lie is caught by name."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from evidence import store_probes
from evidence.models import StoreCheck
from evidence.store_asking import LOCKED_SECONDS
from tests.evidence.conftest import Bucket, Setup, s3
from tests.platform.test_run import free_port

pytestmark = pytest.mark.django_db
Buckets = Callable[..., Bucket]
Change = Callable[[str, str, dict[str, str], bytes], "tuple[dict[str, str], bytes] | int"]
HOP = {"connection", "transfer-encoding", "expect", "keep-alive"}


@contextmanager
def a_server_before(endpoint: str, change: Change) -> Iterator[str]:
    """An S3 server that lies: it hands every request on to a real one, after `change(method, path, headers, body)`.

    `change` gives the headers and body to send on, or a status to answer at once. The signature covers the headers of
    the client alone that it lists, so what is not signed can be taken away, as a careless proxy or store would.
    """
    real = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def answer(self) -> None:
            self.close_connection = True
            length = int(self.headers.get("Content-Length", 0))
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            body = self.rfile.read(length)
            if len(body) < length:
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            changed = change(self.command, self.path, headers, body)
            if isinstance(changed, int):
                self.send_response(changed)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            line = http.client.HTTPConnection(real, timeout=30)
            try:
                line.request(self.command, self.path, body=changed[1], headers=changed[0])
                got = line.getresponse()
                data = got.read()
                self.send_response(got.status)
                for name, value in got.getheaders():
                    if name.lower() not in HOP | {"content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", got.headers.get("Content-Length", str(len(data))))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)
            finally:
                line.close()

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def failed(probed: list[store_probes.Probed]) -> set[str]:
    return {found.name for found in probed if not found.kept}


def test_a_real_store_with_a_compliance_lock_keeps_its_word(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket(lock=True)
    (far,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    probed = store_probes.check(far)
    assert [(found.name, found.detail) for found in probed if not found.kept] == []
    assert len(probed) == 27
    assert StoreCheck.objects.get().passed
    left = bucket.versions()
    assert all("/probe/" in one["Key"] for one in left)  # locked, and taken away by the next run


def test_a_real_store_without_locks_is_asked_nothing_of_them_and_left_clean(
    make_bucket: Buckets, stores: Setup
) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    probed = store_probes.check(far)
    assert (failed(probed), len(probed)) == (set(), 18)
    assert bucket.listed() == []


def test_a_bucket_that_locks_nothing_is_refused_for_a_lock(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    assert "refuses to delete a locked version" in failed(store_probes.check(far))


def forgets(client: Any, name: str) -> None:
    """Take a header out of every request before it is signed: as to a store that does not look at it."""

    def change(request: Any, **_: Any) -> None:
        del request.headers[name]

    client.meta.events.register("before-sign.s3", change)


@pytest.mark.parametrize(
    ("lost", "caught"),
    [
        (
            "If-None-Match",
            {
                "never overwrites under If-None-Match",
                "lets one of several writers win under If-None-Match",
                "never overwrites with parts under If-None-Match",
            },
        ),
        ("If-Match", {"replaces under If-Match only what was seen"}),
        ("Content-MD5", {"refuses bytes with a wrong Content-MD5", "refuses a part with a wrong digest"}),
        ("x-amz-checksum-sha256", {"refuses bytes with a wrong SHA-256", "refuses a part with a wrong digest"}),
        ("Range", {"gives ranges", "refuses a range beyond the end"}),
    ],
)
def test_a_store_that_does_not_look_at_what_it_is_told_is_refused(
    make_bucket: Buckets, stores: Setup, lost: str, caught: set[str]
) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    forgets(s3(far).client, lost)
    assert failed(store_probes.check(far)) == caught
    assert not StoreCheck.objects.get().passed


def test_a_store_that_answers_done_and_does_nothing_is_refused(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket(lock=True)

    def lie(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes] | int:
        if method == "DELETE" and "versionId" in path:
            return 204
        if method == "PUT" and "retention" in path.partition("?")[2]:
            return 200
        return headers, body

    with a_server_before(bucket.endpoint, lie) as endpoint:
        (far,) = stores.use(bucket.through(endpoint).url("&lock=COMPLIANCE&days=1"))
        caught = failed(store_probes.check(far))
    assert {
        "refuses to delete a locked version",
        "never deletes by bypass under COMPLIANCE",
        "never shortens a COMPLIANCE lock",
        "lengthens a lock",
    } <= caught


def test_a_store_that_lets_anybody_in_is_refused(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()

    def lie(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes] | int:
        signed = "Authorization" in headers or "Signature" in path
        return (headers, body) if signed else 200

    with a_server_before(bucket.endpoint, lie) as endpoint:
        (far,) = stores.use(bucket.through(endpoint).url())
        assert failed(store_probes.check(far)) == {"answers nobody without a valid signature"}


def test_an_archive_starts_with_honest_stores_alone_and_asks_again_after_a_week(
    make_bucket: Buckets, stores: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    assert store_probes.require_honest() == []
    asked = StoreCheck.objects.count()
    assert store_probes.require_honest() == []
    assert StoreCheck.objects.count() == asked == 1
    forgets(s3(far).client, "If-None-Match")
    with pytest.raises(store_probes.StoreLies, match="store far does not keep its word: not so: never overwrites"):
        store_probes.require_honest(at_most=timedelta(0))
    with pytest.raises(store_probes.StoreLies):  # one that failed is asked every time
        store_probes.require_honest()


def test_an_archive_starts_without_a_store_that_does_not_answer(
    stores: Setup, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    stores.use(near, f"s3://nowhere?endpoint=http://127.0.0.1:{free_port()}")
    assert store_probes.require_honest() == ["nowhere"]
    assert not StoreCheck.objects.exists()
    with pytest.raises(CommandError, match="not checked: nowhere") as error:
        call_command("check_object_store", stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 2


def test_a_folder_is_asked_too_and_one_that_is_open_to_others_is_refused(stores: Setup, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o700)
    out = StringIO()
    call_command("check_object_store", folder.as_uri(), stdout=out)
    assert "6 of 6 hold" in out.getvalue()
    assert list(folder.iterdir()) == []
    folder.chmod(0o755)
    with pytest.raises(CommandError, match="refused: files does not keep its word"):
        call_command("check_object_store", folder.as_uri(), stdout=StringIO())


def test_no_secret_is_in_what_the_command_prints(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()
    stores.use(bucket.url())
    out = StringIO()
    call_command("check_object_store", "far", stdout=out)
    assert "18 of 18 hold" in out.getvalue()
    assert bucket.cluster.secret_key not in out.getvalue()
    assert bucket.cluster.access_key not in out.getvalue()
    assert LOCKED_SECONDS <= 60

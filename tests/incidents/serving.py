"""The archive's web server as processes of its own, on the database of a test."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.actions import issue_token
from accounts.models import User

START_SECONDS = 60.0


class WebServer:
    """granian as bin/run starts it. A context that ends with its processes."""

    def __init__(self, log: Path, *, silence: int = 60, threads: int = 24, **environ: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log, self._threads = log, threads
        self._environ = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.incidents.server_settings",
            "SANAD_TESTED_DATABASE": str(connection.settings_dict["NAME"]),
            "ARCHIVE_TEST_SILENCE": str(silence),
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--no-ws", "--http", "1", "--workers", "1", "--blocking-threads", str(self._threads)]
        argv += ["--backpressure", "256", "--log-level", "error", "archive.wsgi:application"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, cwd=settings.BASE_DIR, env=self._environ, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, all of it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            asking.request("GET", "/health/")
            return asking.getresponse().status in (200, 503)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asking.close()


def authorization(user: User) -> dict[str, Any]:
    """The header of a program that acts for somebody."""
    _token, secret = issue_token(
        by=user, at=timezone.now(), purpose="sends files", read_only=False, life=timedelta(days=1)
    )
    return {"Authorization": f"Bearer {secret}"}

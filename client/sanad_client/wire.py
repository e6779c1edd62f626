"""Requests to one archive: encrypted, the certificate verified, no redirect followed, the token sent nowhere else."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

TIMEOUT = 60.0  # seconds without a byte
LARGEST_ANSWER = 8 << 20  # bytes


class BadAddress(Exception):
    """An address this client does not talk to, and why."""


class Silent(Exception):
    """No whole answer came: worth another try."""


class Untrusted(Exception):
    """The server's certificate does not hold. Never worth another try."""


class Stopped(Exception):
    """The person wants to stop."""


@dataclass(frozen=True)
class Answer:
    """What the archive said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The object in the body, {} when there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """The sentences of a refusal: {detail}, {errors: {...}} or {field: [...]}."""
        said = self.json()
        if isinstance(said.get("detail"), str):
            return str(said["detail"])
        errors = said.get("errors", said)
        lines = [f"{name}: {' '.join(map(str, many))}" for name, many in errors.items() if isinstance(many, list)]
        return "; ".join(lines) or f"status {self.status}"

    @property
    def after(self) -> float:
        """Seconds the server asks to wait."""
        asked = self.headers.get("retry-after", "")
        return float(asked) if asked.isdigit() else 0.0


class Archive:
    """One server. Each thread has a connection of its own, which is made anew when it breaks."""

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise BadAddress("--server is an address such as https://archive.example.org")
        if parts.username or parts.password:
            raise BadAddress("--server holds a name or password; give a token by file instead")
        if parts.scheme == "http" and not _here(host):
            raise BadAddress("plain http is for localhost only: anyone on the line could read evidence and token")
        self._host, self._port, self._secure = host, parts.port, parts.scheme == "https"
        self.address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token
        self._trust = ssl.create_default_context() if self._secure else None
        self._mine = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def url(self, path: str) -> str:
        """An absolute address below the server's. Raises Silent when a server sends elsewhere, as no archive does."""
        whole = urljoin(self.address + "/", path)
        ours, theirs = urlsplit(self.address), urlsplit(whole)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise Silent("the answer leads to another server")
        return whole

    def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        said: Any = None,
        body: Iterable[bytes] | None = None,
        length: int = 0,
    ) -> Answer:
        """One request; `said` goes as JSON, `body` as `length` bytes. Raises Silent, Untrusted, what `body` raises."""
        sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})}
        content: bytes | Iterable[bytes] | None = body
        if said is not None:
            content = json.dumps(said).encode()
            sent["Content-Type"] = "application/json"
        elif body is not None:
            sent["Content-Length"] = str(length)
        elif method == "POST":
            sent["Content-Length"] = "0"
        parts = urlsplit(self.url(path))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = self._connection()
        whole = False
        try:
            try:
                connection.request(method, target, body=content, headers=sent)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise  # it may have answered before it closed: else what follows fails too
            response = connection.getresponse()
            answered = response.read(LARGEST_ANSWER)
            whole = not response.will_close
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, answered)
        except ssl.SSLCertVerificationError as problem:
            raise Untrusted(problem.verify_message) from problem
        except (OSError, http.client.HTTPException) as problem:
            raise Silent(str(problem) or type(problem).__name__) from problem
        finally:
            if not whole:
                connection.close()  # http.client opens it again by itself

    def hang_up(self) -> None:
        """Every thread that waits for the archive hears Silent at once."""
        for connection in self._all:
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._new()
            self._all.append(connection)
        return connection

    def _new(self) -> http.client.HTTPConnection:
        proxies = urllib.request.getproxies()
        proxy = proxies.get("https" if self._secure else "http", "")
        if not proxy or _here(self._host) or urllib.request.proxy_bypass(self._host):
            if self._trust is not None:
                return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._trust)
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        way = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if way.scheme != "http" or self._trust is None or not way.hostname:
            raise BadAddress("the proxy of the environment must be an http:// one that makes tunnels")
        connection = http.client.HTTPSConnection(way.hostname, way.port or 8080, timeout=TIMEOUT, context=self._trust)
        connection.set_tunnel(self._host, self._port or 443)
        return connection


def _here(host: str) -> bool:
    """Whether a host is this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

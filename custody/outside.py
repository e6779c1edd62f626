"""Talking to partners on the network: addresses an operator configured, nothing followed, everything bounded."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 20.0  # a whole conversation, connecting and reading included
_CHUNK = 16 * 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OutsideProblem(Exception):
    """The partner could not be asked, or its answer is of no use. One sentence, for the audit desk."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came. `type` is the media type without parameters, in lower case."""

    status: int
    type: str
    body: bytes


def require_safe(url: str) -> str:
    """The address, if it may be asked: https, or http on this very machine; no account, query or fragment in it.

    Raises ValueError in words.
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port  # raises ValueError for a port that is none
    if not url.isascii() or any(character <= " " for character in url) or "\\" in url:
        raise ValueError(f"{url!r} is not an address")
    if not host or "@" in parts.netloc or "?" in url or "#" in url or port == 0:
        raise ValueError(f"{url!r} must be scheme, host and path, nothing else")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError(f"{url!r} must begin with https (http only for this machine)")
    return url


def ask(url: str, body: bytes | None, *, type: str = "", most: int, seconds: float = SECONDS) -> Reply:
    """POST the body, or GET without one. At most `most` bytes of answer and `seconds` altogether.

    Redirects are not followed and proxies of the environment not used: who is asked is who was configured.
    Raises OutsideProblem.
    """
    parts = urlsplit(require_safe(url))
    assert parts.hostname is not None
    headers = {"User-Agent": "sanad", "Accept": "*/*", "Connection": "close"} | ({"Content-Type": type} if type else {})
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=seconds / 2, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds / 2)
    ended = threading.Event()
    cutter: threading.Timer | None = None
    try:
        connection.connect()
        cutter = threading.Timer(seconds, _cut, [connection.sock, ended])
        cutter.daemon = True
        cutter.start()
        connection.request("GET" if body is None else "POST", parts.path or "/", body, headers)
        answer = connection.getresponse()
        data = _read(answer, most, time.monotonic() + seconds)
        if ended.is_set():  # what was cut looks like the end of an answer without a length
            raise TimeoutError
        return Reply(answer.status, answer.headers.get_content_type(), data)
    except OutsideProblem:
        raise
    except ssl.SSLCertVerificationError as problem:
        raise OutsideProblem(f"its TLS certificate is not trusted: {problem.verify_message}") from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        if ended.is_set() or isinstance(problem, TimeoutError):
            raise OutsideProblem(f"it did not answer within {seconds:.0f} s") from None
        raise OutsideProblem(f"it cannot be reached ({type_of(problem)})") from None
    finally:
        if cutter is not None:
            cutter.cancel()
        connection.close()


def type_of(problem: BaseException) -> str:
    """What went wrong without what the other side wrote: its text is not for our pages."""
    return problem.strerror or type(problem).__name__ if isinstance(problem, OSError) else type(problem).__name__


def _read(answer: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
    if answer.length is not None and answer.length > most:
        raise OutsideProblem(f"its answer is longer than {most} bytes")
    data = b""
    while chunk := answer.read1(_CHUNK):
        data += chunk
        if len(data) > most:
            raise OutsideProblem(f"its answer is longer than {most} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    if answer.length:
        raise OutsideProblem("its answer was cut off")
    return data


def _cut(raw: socket.socket, ended: threading.Event) -> None:
    """A read that waits for a dripping partner ends here; its own time-out starts anew with every byte."""
    ended.set()
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)

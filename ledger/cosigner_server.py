"""`python -m ledger cosign`: the cosigner as an HTTP server on the loopback interface, or once, by file.

It speaks plain HTTP for a reverse proxy in front, which ends TLS. Strict limits: a body of 68 KiB, 20 s for a
connection as a whole, 64 connections; a 65th is closed at once. SIGTERM and SIGINT end it with exit code 0.
Exit codes: 0 done, 1 refused to cosign, 3 usage or a state that cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger import ed25519
from ledger.cosigner import (
    MAX_BODY,
    SIZE_TYPE,
    Answer,
    Cosigner,
    CosignerProblem,
    Held,
    LogKey,
    decode_log_key,
    load,
)
from ledger.note import NoteError, fingerprint, open_note

CONNECTION_SECONDS = 20.0
IDLE_SECONDS = 10.0
CONNECTIONS = 64
STOP_SECONDS = 5.0
DONE, REFUSED, USAGE = 0, 1, 3

_MONITORED = re.compile(r"/([0-9a-f]{64})/checkpoint\Z")


class Server(ThreadingHTTPServer):
    """The loopback server. `cosigner` decides; this counts connections and cuts the slow ones."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], cosigner: Cosigner) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.cosigner = cosigner
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._answering = 0
        self._quiet = threading.Condition()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """As in socketserver; HTTPServer would ask the resolver for this machine's name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        cut = threading.Timer(CONNECTION_SECONDS, _cut, [request])
        cut.daemon = True
        cut.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            cut.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event; anything else is one line, and no request is printed."""
        problem = sys.exc_info()[1]
        if not isinstance(problem, OSError):
            say(f"a request failed: {type(problem).__name__}: {problem}")

    def answer(self, body: bytes) -> Answer:
        with self._quiet:
            self._answering += 1
        try:
            return self.cosigner.add_checkpoint(body)
        finally:
            with self._quiet:
                self._answering -= 1
                self._quiet.notify_all()

    def finish(self, seconds: float) -> bool:
        """Wait until no request is being decided. True when so within the time."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._answering, seconds)


class Handler(BaseHTTPRequestHandler):
    """The two addresses of a cosigner, and nothing else."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sanad-cosigner", ""
    timeout = IDLE_SECONDS
    server: Server

    def do_POST(self) -> None:
        if self.path != "/add-checkpoint":
            self._send(Answer(404, "there is only /add-checkpoint here\n"), last=True)
            return
        length = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(length) != 1 or not re.fullmatch(r"[0-9]{1,9}", length[0]):
            self._send(Answer(411, "a request states its length once\n"), last=True)
        elif int(length[0]) > MAX_BODY:
            self._send(Answer(413, f"a request has at most {MAX_BODY} bytes\n"), last=True)
        else:
            body = self.rfile.read(int(length[0]))
            if len(body) == int(length[0]):  # else the client is gone
                self._send(self.server.answer(body))

    def do_GET(self) -> None:
        match = _MONITORED.match(self.path)
        if match is None:
            self._send(Answer(404, "there is only /<origin hash>/checkpoint here\n"), last=True)
        else:
            with_body = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
            self._send(self.server.cosigner.newest(match[1]), last=with_body)

    def _send(self, answer: Answer, *, last: bool = False) -> None:
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if last:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Who asks is not written down; what is cosigned stands in the state."""


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def say(text: str) -> None:
    print(f"cosigner: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> int:
    """Run the command line after `cosign` and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ledger cosign", description="Vouch that a log only ever grows.")
    parser.add_argument("--state", type=Path, required=True, help="what was cosigned; never restore it from a backup")
    parser.add_argument(
        "--key", type=Path, help="the private key, made on first use (default: the state's name + .key)"
    )
    parser.add_argument("--name", help="the cosigner's name, chosen on first use, such as bar.example/cosigner")
    sizes = "VKEY, or 'VKEY FIRST-LAST' for one that signs heads of these sizes"
    parser.add_argument(
        "--log", action="append", default=[], metavar="KEY", help=f"a key of a log; is remembered. {sizes}"
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--listen", metavar="HOST:PORT", type=_address, help="serve HTTP there, for a proxy with TLS")
    how.add_argument("--checkpoint", type=Path, metavar="FILE", help="cosign one checkpoint, or a whole request file")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="its 'old' line and proof, if not in --checkpoint")
    try:
        options = parser.parse_args(argv)
    except SystemExit as ended:
        return USAGE if ended.code else DONE
    try:
        logs = [decode_log_key(key) for key in options.log]
        return _serve(options, logs) if options.listen else _once(options, logs)
    except (CosignerProblem, NoteError, OSError, UnicodeError) as problem:
        print(f"cosigner: {problem}", file=sys.stderr)
        return USAGE


def _cosigner(options: argparse.Namespace, given: list[LogKey]) -> Cosigner:
    """The cosigner of the command line. Logs that are given take the place of those remembered."""
    key = options.key or Path(f"{options.state}.key")
    memory, signer = load(options.state, key, options.name)
    if given:
        memory.keep(signer.vkey, memory.held, [str(log) for log in given])
    logs = [decode_log_key(key) for key in memory.logs]
    if not logs:
        raise CosignerProblem("it knows no log yet; give the key of each with --log.")
    say(f"the key of this cosigner is {signer.vkey}")
    say(f"its fingerprint is {fingerprint(signer.vkey)}")
    for name in dict.fromkeys(log.verifier.name for log in logs):
        held = memory.held.get(name)
        say(f"log {name}: {f'cosigned up to {held.size} entries' if held else 'nothing cosigned yet'}")
        if held is not None and not _vouched(held, [log for log in logs if log.verifier.name == name]):
            say(f"log {name}: NO KEY that may sign a head of {held.size} entries has signed the one cosigned last")
    if not ed25519.NATIVE:
        say("PyPI cryptography is not installed: signing is slower, and who shares this machine may time it.")
    return Cosigner(memory, signer, logs, tell=say)


def _vouched(held: Held, keys: Sequence[LogKey]) -> bool:
    """Whether the head cosigned last is one that these keys may sign: else somebody moved it with a key gone by."""
    try:
        return bool(open_note(held.note, [key.verifier for key in keys if key.may_sign(held.size)]).signed_by)
    except NoteError:
        return False


def _once(options: argparse.Namespace, logs: list[LogKey]) -> int:
    """Cosign one request from files; the cosigned checkpoint goes to stdout."""
    with options.checkpoint.open("rb") as file:
        body = file.read(MAX_BODY + 1)
    if options.proof:
        with options.proof.open("rb") as file:
            body = file.read(MAX_BODY + 1).rstrip(b"\n") + b"\n\n" + body
    answer = _cosigner(options, logs).add_checkpoint(body)
    if answer.status == 200:
        sys.stdout.buffer.write(body.partition(b"\n\n")[2] + answer.body.encode())
        sys.stdout.buffer.flush()
        return DONE
    if answer.type == SIZE_TYPE:
        say(f"not cosigned: this cosigner holds {answer.body.strip()} entries; ask for a request from that size.")
    else:
        say(f"not cosigned: {answer.body.strip()}")
    return REFUSED


def _serve(options: argparse.Namespace, logs: list[LogKey]) -> int:
    cosigner = _cosigner(options, logs)
    server = Server(options.listen, cosigner)
    say(f"listening on {options.listen[0]}:{server.server_port}")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    serving.start()
    while not stopping.wait(1.0):
        if not serving.is_alive():
            raise CosignerProblem("the server stopped by itself.")
    server.shutdown()
    server.server_close()
    server.finish(STOP_SECONDS)
    say("stopped")
    return DONE


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"give it as 127.0.0.1:8787, not {text!r}")
    return host.strip("[]"), int(port)

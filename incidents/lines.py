"""Request bodies as they come over a line that may be slow, silent or cut.

1. A thread reads the body; the request's own thread takes what it read, at most a few pieces later. So silence is
   noticed by whoever waits, and receiving goes on while the bytes before are hashed and encrypted.
2. `read(n)` of the server gives nothing before all n bytes are there. The reader asks for little on a slow line and for
   much on a fast one, so that little is lost when the line breaks.
3. A second request for the same upload in this process may ask a silent one to give up its place (`make_way`).
4. No request is answered while its body is still being read: granian, which runs every connection in one thread, stood
   still for all of them until that connection was closed [tried with 2.8.7]. So `end` waits for the reader, and hangs
   up on a line that stays silent: nobody listens there.
5. granian tells the host of a peer and not its port. So those connections of the host are ended on which neither side
   said anything for the whole silence, and which brought at least what this line took: idle ones beside it may be among
   them, one on which bytes move never is. A read of few bytes returns soon on a line that trickles.
"""

import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from enum import Enum
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Self
from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError

log = logging.getLogger("incidents.uploads")
LEAST, FIRST, MOST = 1, 64, 1 << 19  # bytes of one read
QUICK, SLOW = 0.05, 0.5  # seconds of one read
QUEUED = 4
TICK = 0.2  # seconds between two looks at what else there is to do
MAKE_WAY_AFTER = 1.0  # seconds of silence after which another request may take the place
HANDING_OVER = 5.0  # seconds that it takes at most
LOOK_AGAIN = 0.5  # seconds between two looks at a line that has to end

DRAINED, DRAINING = 8 << 20, 5.0  # bytes and seconds that are spent on the rest of a body nobody wants

TCP_INFO_RECEIVED = 128  # where bytes received stand in Linux's struct tcp_info, since 4.2

_at_work: dict[UUID, "Line"] = {}
_registry = threading.Lock()
_taken = 0


class NoPlace(Exception):
    """As many lines as the server takes at once are at work."""


class Ended(Enum):
    """Why a line gives no more."""

    WHOLE = "whole"  # everything that was announced
    BROKEN = "broken"
    SILENT = "silent"
    MADE_WAY = "made way"


class Line:
    """The body of one request for an upload. A context: inside it other requests of this process find it."""

    def __init__(
        self, upload_id: UUID, read: Callable[[int], bytes], length: int | None, *, silence: float, peer: str = ""
    ) -> None:
        """`length` is the body's in bytes, None when the sender does not say it; `silence` is in seconds.

        `peer` is the host at the other end of the connection.
        """
        self._upload_id, self._read, self._length, self._silence = upload_id, read, length, silence
        self._peer = peer
        self._reader: threading.Thread | None = None
        self._queue: Queue[bytes | None] = Queue(QUEUED)
        self._heard = time.monotonic()
        self._wanted, self._left = threading.Event(), threading.Event()
        self.ended: Ended | None = None
        self.taken = 0

    def pieces(self, most: int) -> Iterator[bytes]:
        """At most `most` bytes; an empty piece now and then while there is none. Afterwards `ended` says why it ended.

        A body that goes on beyond `most` ends with one byte more than that.
        """
        self._heard = time.monotonic()  # before it was a turn's or a re-encryption's time, and no silence
        wanted = most + 1 if self._length is None else min(self._length, most + 1)
        self._reader = threading.Thread(target=copy_context().run, args=(self._work, wanted), name="line", daemon=True)
        self._reader.start()
        while True:
            if self._wanted.is_set():
                self.ended = Ended.MADE_WAY
                return
            try:
                piece = self._queue.get(timeout=TICK)
            except Empty:
                if time.monotonic() - self._heard > self._silence:
                    self.ended = Ended.SILENT
                    return
                yield b""
                continue
            if piece is None:
                self.ended = Ended.WHOLE if self._length in (None, self.taken) else Ended.BROKEN
                return
            self.taken += len(piece)
            yield piece
            if self.taken > most:
                return

    @property
    def began(self) -> bool:
        """Whether anything of the body was asked for."""
        return self._reader is not None

    def end(self) -> None:
        """Wait until nobody reads the body any more. Call before the request is answered, with nothing held."""
        self._left.set()
        if self._reader is None:
            return
        self._reader.join(TICK)
        while self._reader.is_alive():
            if time.monotonic() - self._heard > self._silence:
                _hang_up(self._peer, self._silence, self.taken)
            self._reader.join(LOOK_AGAIN)

    def _work(self, wanted: int) -> None:
        size = FIRST
        while wanted:
            began = time.monotonic()
            try:
                piece = self._read(min(size, wanted))
            except (UnreadablePostError, OSError):
                piece = b""
            self._heard = time.monotonic()
            if not piece:
                break
            wanted -= len(piece)
            if not self._give(piece):
                return
            took = self._heard - began
            size = min(MOST, size * 2) if took < QUICK else max(LEAST, size // 4) if took > SLOW else size
        self._give(None)

    def _give(self, piece: bytes | None) -> bool:
        while not self._left.is_set():
            try:
                self._queue.put(piece, timeout=TICK)
            except Full:
                self._heard = time.monotonic()
                continue
            self._heard = time.monotonic()
            return True
        return False

    def __enter__(self) -> Self:
        with _registry:
            _at_work[self._upload_id] = self
        return self

    def __exit__(self, *_error: object) -> None:
        """Call this when the place is free again: whoever waits for it goes on."""
        with _registry:
            if _at_work.get(self._upload_id) is self:
                del _at_work[self._upload_id]
        self._left.set()

    def make_way(self) -> bool:
        """Ask this line, if it is silent, to keep what came and leave, and wait until it has, but not for ever."""
        if time.monotonic() - self._heard < MAKE_WAY_AFTER:
            return False
        self._wanted.set()
        return self._left.wait(HANDING_OVER)


def make_way(upload_id: UUID) -> bool:
    """Take back what a silent line of this process has of the upload. A line that is heard goes on undisturbed."""
    with _registry:
        line = _at_work.get(upload_id)
    return line is not None and line.make_way()


@contextmanager
def place(most: int) -> Iterator[None]:
    """One of the lines that this process takes at once: the other threads are for those who read. Raises NoPlace."""
    global _taken
    with _registry:
        if _taken >= most:
            raise NoPlace
        _taken += 1
    try:
        yield
    finally:
        with _registry:
            _taken -= 1


def drained(request: HttpRequest, *, known: bool) -> bool:
    """Read what is left of a body and throw it away. False when that was too much or took too long.

    Of a sender who is not `known` nothing is read: nobody waits for them.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.strip("0") == "" and not request.headers.get("Transfer-Encoding"):
        return True
    if not known:
        return False
    until = time.monotonic() + DRAINING
    peer, silence = request.META.get("REMOTE_ADDR", ""), settings.SANAD_UPLOAD_SILENCE
    line = Line(uuid4(), request.read, None, silence=silence, peer=peer)
    try:
        for _piece in line.pieces(DRAINED):
            if time.monotonic() > until:
                return False
        return line.ended is Ended.WHOLE
    finally:
        line.end()


def _hang_up(peer: str, silence: float, taken: int) -> None:
    """End the connections of this process to a host that brought so many bytes and are silent, both sides, so long."""
    folder = Path("/proc/self/fd")
    try:
        for entry in folder.iterdir() if folder.is_dir() else ():
            _hang_up_one(int(entry.name), peer, silence, taken)
    except Exception as problem:
        log.error("a silent line could not be ended: %s", type(problem).__name__)


def _hang_up_one(descriptor: int, peer: str, silence: float, taken: int) -> None:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return
        with socket.socket(fileno=os.dup(descriptor)) as found:
            if found.family not in (socket.AF_INET, socket.AF_INET6) or _host(found.getpeername()[0]) != _host(peer):
                return
            told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            if len(told) < TCP_INFO_RECEIVED + 8:
                return
            sent, heard = struct.unpack_from("=I", told, 44)[0], struct.unpack_from("=I", told, 52)[0]  # milliseconds
            brought = struct.unpack_from("=Q", told, TCP_INFO_RECEIVED)[0]
            if min(sent, heard) >= silence * 1_000 and brought >= taken:
                found.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed meanwhile
        return


def _host(address: str) -> str:
    return address.strip("[]").removeprefix("::ffff:")

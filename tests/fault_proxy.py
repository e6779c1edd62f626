"""A line with faults: passes TCP on and cuts, halts, slows or changes what a client sends, by its bytes."""

import contextlib
import socket
import struct
import threading
import time
from typing import Self

PIECE = 1 << 16


class FaultyLine:
    """Between a client and a port of this machine. Counts are of bytes that clients sent, over all connections.

    `cut_every` n bytes the connection that sends is cut, `cuts` times at most; at `halt_at` the connection stays open
    and silent; the byte at `flip_at` is another one; `rate` is in bytes a second.
    """

    def __init__(
        self,
        target: int,
        *,
        cut_every: int = 0,
        cuts: int = 0,
        halt_at: int = 0,
        flip_at: int = -1,
        rate: int = 0,
    ) -> None:
        self._target, self._every, self._cuts, self._halt, self._flip = target, cut_every, cuts, halt_at, flip_at
        self._rate = rate
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.sent = self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()
        with self._lock:
            for side in list(self._open):
                _end(side)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(PIECE):
                if not self._pass_on(data, client, server):
                    return
        _end(server)
        _end(client)

    def _pass_on(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        with self._lock:
            before, after = self.sent, self.sent + len(data)
            place = (self.cut + 1) * self._every
            if self._every and self.cut < self._cuts and after >= place:
                self.cut += 1
                self.sent = place
                server.sendall(data[: place - before])
                for side in (server, client):
                    _end(side)
                return False
            if self._halt and after >= self._halt:
                server.sendall(data[: self._halt - before])
                self.sent, self._halt = self._halt, 0
                return False
            if before <= self._flip < after:
                changed = bytearray(data)
                changed[self._flip - before] ^= 1
                data = bytes(changed)
            self.sent = after
        server.sendall(data)
        if self._rate:
            time.sleep(len(data) / self._rate)
        return True

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(PIECE):
                client.sendall(data)
        _end(client)


def _end(side: socket.socket) -> None:
    """At once, and what was on its way is lost."""
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        side.shutdown(socket.SHUT_RDWR)
    side.close()

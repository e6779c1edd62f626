"""A line to the archive that can be slow, that can be cut, and that counts what goes up it."""

import contextlib
import socket
import struct
import threading
import time
from typing import Self

PIECE = 32 * 1024  # bytes read at once; what a cut may lose is a few of them
AT_ONCE = struct.pack("ii", 1, 0)  # closing resets the connection: a sender is not left with a full buffer


class Line:
    """A TCP relay to a port of this machine. `up` is how many bytes came from the side of the sender."""

    def __init__(self, port: int, *, rate: float = 0) -> None:
        self.to, self.rate = port, rate  # bytes a second upwards, 0 for as fast as it goes
        self.up = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.2)
        self._over = threading.Event()
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._over.set()
        self._thread.join(5)
        self.cut()
        self._listening.close()

    def cut(self) -> None:
        """Every connection breaks now."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def await_up(self, count: int, *, seconds: float = 60) -> None:
        """Until `count` bytes went up. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.up < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.up} of {count} bytes went up the line in {seconds:.0f} s")
            time.sleep(0.01)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listening.accept()
            except TimeoutError:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to), timeout=5)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.settimeout(None)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._relay, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(far, near, False), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if upwards:
                    with self._lock:
                        self.up += len(piece)
                    if self.rate:
                        time.sleep(len(piece) / self.rate)
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        with self._lock:
            self._open -= {source, target}

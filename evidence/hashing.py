"""Digests computed beside other work: each in a thread of its own, so that reading, encrypting and writing never wait.

hashlib lets go of the interpreter lock for all but tiny updates. A queue of a few pieces bounds memory; order is kept.
"""

import hashlib
import threading
from queue import Queue
from types import TracebackType
from typing import Self

WAITING = 4  # pieces between the reader and a hash
INLINE = 1 << 20  # bytes that are hashed in place before a thread is worth its start


class Digest:
    """One digest of a stream. `update` gets immutable bytes; `hexdigest` waits for what was given."""

    def __init__(self, name: str) -> None:
        self._hasher = hashlib.new(name, usedforsecurity=True)
        self._queue: Queue[bytes | None] = Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._seen = 0

    def update(self, piece: bytes) -> None:
        self._seen += len(piece)
        if self._thread is None and self._seen <= INLINE:
            self._hasher.update(piece)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._queue.put(piece)

    def so_far(self) -> str:
        """The hex digest of what was given until now; more may follow."""
        self._queue.join()
        return self._hasher.copy().hexdigest()

    def hexdigest(self) -> str:
        self.close()
        return self._hasher.hexdigest()

    def close(self) -> None:
        """Let the thread end; what was given is hashed first. Closing twice is once."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._hasher.update(piece)
            self._queue.task_done()
        self._queue.task_done()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

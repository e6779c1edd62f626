"""Reading an object of S3 as a file: ranged requests in growing windows, each body read as it comes.

A body that breaks is asked for again from where it broke. Nothing is held but what the caller asked for.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from botocore.exceptions import BotoCoreError, IncompleteReadError
from urllib3.exceptions import HTTPError

from evidence.store_shape import Unreachable

FIRST_WINDOW = 2 << 20  # the first segment, and a jump, cost this much
LARGEST_WINDOW = 32 << 20
ATTEMPTS = 3


@contextmanager
def reader(window: Callable[[int, int], Any], size: int) -> Iterator[BinaryIO]:
    """A seekable file over `window(start, stop)`, which answers a streaming body. Reading raises StoreProblem."""
    raw = _Windows(window, size)
    try:
        yield cast(BinaryIO, io.BufferedReader(raw, 1 << 16))
    finally:
        raw.close()


class _Windows(io.RawIOBase):
    def __init__(self, window: Callable[[int, int], Any], size: int) -> None:
        super().__init__()
        self._ask, self._size = window, size
        self._at = 0
        self._body: Any = None
        self._body_at = self._body_stop = 0
        self._length = FIRST_WINDOW

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        problem: Exception | None = None
        for _attempt in range(ATTEMPTS):
            try:
                self._turn_to_position()
                data = self._body.read(min(wanted, self._body_stop - self._body_at))
                if not data:
                    raise IncompleteReadError(actual_bytes=self._body_at, expected_bytes=self._body_stop)
            except (BotoCoreError, HTTPError, OSError) as error:
                problem = error
                self._let_go()
                continue
            view[: len(data)] = data
            self._at += len(data)
            self._body_at = self._at
            return len(data)
        raise Unreachable(f"the store broke off while it was read ({type(problem).__name__})") from problem

    def _turn_to_position(self) -> None:
        if self._body is not None and self._body_at == self._at < self._body_stop:
            return
        # A reader who goes on gets larger windows; one who jumps reads little in vain.
        goes_on = self._body is not None and self._body_at == self._at
        self._length = min(2 * self._length, LARGEST_WINDOW) if goes_on else FIRST_WINDOW
        self._let_go()
        stop = min(self._at + self._length, self._size)
        self._body = self._ask(self._at, stop)
        self._body_at, self._body_stop = self._at, stop

    def _let_go(self) -> None:
        if self._body is not None:
            with suppress(Exception):  # the connection is given up, whatever state it is in
                self._body.close()
            self._body = None

    def close(self) -> None:
        self._let_go()
        super().close()

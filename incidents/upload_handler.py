"""Files of a plain multipart form, straight into the store: no plaintext ever lies in a temporary file.

Django pushes a form's files in chunks, `evidence.blobs.receive` pulls them; a bounded queue and one thread a file join
the two. The thread holds no database connection.
"""

import threading
from collections.abc import Iterator
from contextvars import copy_context
from queue import Queue
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.utils.translation import gettext as _

from evidence import blobs
from evidence.blobs import RECEIVE_READ, ReceptionRefused
from evidence.store import StoreProblem

QUEUED = 4  # chunks of 1 MiB between the parser and the store


class ReceivedFile(UploadedFile):  # type: ignore[type-arg]
    """A file of the form that stands in the store already, or the reason why it does not."""

    def __init__(self, name: str, received: blobs.Received | None, problem: Exception | None) -> None:
        super().__init__(None, name, "application/octet-stream", received.size if received else 0)
        self.received, self.problem = received, problem

    def close(self) -> None:
        """There is no open file behind it."""


class ReceivingHandler(FileUploadHandler):
    """Receives every file of a form. `discard` forgets what no item was made of."""

    chunk_size = RECEIVE_READ

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.files: list[ReceivedFile] = []
        self._reception: _Reception | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._reception = _Reception()
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._reception is not None
        self._reception.feed(raw_data)

    def file_complete(self, file_size: int) -> ReceivedFile:
        assert self._reception is not None
        received, problem = self._reception.finish(complete=True)
        self._reception = None
        made = ReceivedFile(self.file_name or "", received, problem)
        self.files.append(made)
        return made

    def discard(self) -> None:
        """End a reception that broke off, and forget every received file that no item names."""
        if self._reception is not None:
            self._reception.finish(complete=False)
            self._reception = None
        for made in self.files:
            if made.received is not None:
                blobs.discard(made.received)


class _Reception:
    """One file on its way: fed by the parser, read by the store's thread."""

    def __init__(self) -> None:
        self._queue: Queue[bytes | bool] = Queue(QUEUED)
        self._received: blobs.Received | None = None
        self._problem: Exception | None = None
        context = copy_context()  # the sender's language, for what the store has to say
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="reception")
        self._thread.start()

    def feed(self, data: bytes) -> None:
        if data:
            self._queue.put(data)

    def finish(self, *, complete: bool) -> tuple[blobs.Received | None, Exception | None]:
        self._queue.put(complete)
        self._thread.join()
        return self._received, self._problem

    def _run(self) -> None:
        pieces = self._pieces()
        try:
            self._received = blobs.receive(pieces)
        except (ReceptionRefused, StoreProblem) as problem:
            self._problem = problem
        except Exception as problem:
            self._problem = StoreProblem(type(problem).__name__)
        # What the store no longer wants is read to its end, or the parser would wait for room in the queue for ever.
        for _rest in self._left():
            pass

    def _pieces(self) -> Iterator[bytes]:
        self._ended = False
        while True:
            piece = self._queue.get()
            if isinstance(piece, bytes):
                yield piece
                continue
            self._ended = True
            if not piece:
                raise ReceptionRefused(
                    _("The line broke before the file had arrived. Nothing was kept; please send it again."),
                    "incomplete",
                    400,
                )
            return

    def _left(self) -> Iterator[bytes]:
        while not self._ended:
            piece = self._queue.get()
            if isinstance(piece, bytes):
                yield piece
            else:
                self._ended = True

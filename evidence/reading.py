"""Plaintext from whichever copy is good: each segment authenticates itself, and a wrong one is read elsewhere.

Wrong bytes never leave: what a copy gives is handed on only after its segment was authenticated, and another copy goes
on at the very next byte. Copies that were not good are told to `evidence.copies`, which has them looked at.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from evidence import copies, store, streams
from evidence.store_shape import Store, StoreProblem, Unreachable

log = logging.getLogger("evidence.reading")


@contextmanager
def open_copies(address: str, key: bytes | bytearray, associated_data: bytes) -> Iterator["Reader"]:
    """A reader of the stored object. Raises store.Missing, StoreProblem, StreamBroken when no copy begins well."""
    with ExitStack() as stack:
        yield Reader(stack, address, key, associated_data)


class Reader:
    """The plaintext of one object, any range, in 1 MiB of memory."""

    def __init__(self, stack: ExitStack, address: str, key: bytes | bytearray, associated_data: bytes) -> None:
        self._stack, self._address = stack, address
        self._key, self._associated_data = key, associated_data
        self._stores = store.order()
        self._failed: set[str] = set()
        self._now: tuple[Store, streams.Decryptor] | None = None
        self._problems: list[StoreProblem | streams.StreamBroken] = []
        self._turn()

    @property
    def plain_size(self) -> int:
        assert self._now is not None
        return self._now[1].plain_size

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The plaintext bytes [start, stop), by segment. Raises StreamBroken or StoreProblem when no copy is good."""
        position = start
        while True:
            assert self._now is not None
            one, decryptor = self._now
            try:
                for piece in decryptor.read(position, stop):
                    yield piece
                    position += len(piece)
                    self._failed.clear()  # a copy that is bad in one place may be the good one in another
            except (streams.StreamBroken, StoreProblem, OSError) as problem:
                self._note(one, problem)
                self._turn()
                continue
            return

    def _turn(self) -> None:
        """Go on with the next copy. Raises the problem that counts when there is none."""
        for one in self._stores:
            if one.name in self._failed:
                continue
            try:
                handle = self._stack.enter_context(one.open(self._address))
                size = handle.seek(0, os.SEEK_END)
                self._now = one, streams.decrypt_file(handle, size, self._key, self._associated_data)
            except (streams.StreamBroken, StoreProblem, OSError) as problem:
                self._note(one, problem)
                continue
            return
        for told in self._problems:
            if isinstance(told, streams.StreamBroken):
                raise told
        raise store.worst([told for told in self._problems if isinstance(told, StoreProblem)])

    def _note(self, one: Store, problem: streams.StreamBroken | StoreProblem | OSError) -> None:
        if isinstance(problem, OSError):
            problem = StoreProblem(f"the store could not read: {problem.strerror}")
        if isinstance(problem, Unreachable):
            store.rest(one)
        self._problems.append(problem)
        self._failed.add(one.name)
        if len(self._failed) < len(self._stores):
            log.error("the copy of %s in %s is not good, another is read: %s", self._address, one.name, problem)
            with suppress(Exception):  # whoever reads gets the bytes in any case
                copies.look_at(self._address)

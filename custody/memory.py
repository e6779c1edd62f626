"""Keys in memory: as few copies as Python allows, none in a repr, a debug page or a core dump.

What this cannot do: `bytes` that a library made on the way cannot be wiped, a copy may stay in freed memory until it is
used again, and memory that the system swaps out is on the disk (docs/howto/keys.md).
"""

import ctypes
import hmac
import resource
import sys
from typing import Self

_PR_SET_DUMPABLE = 4  # prctl(2)


class Secret(bytearray):
    """Key bytes that show themselves to nobody who prints them, and are overwritten when the `with` block ends."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """In constant time."""
        return isinstance(other, bytes | bytearray) and hmac.compare_digest(self, other)

    __hash__ = None

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Overwrite the bytes in place. Its length stays; what is copied elsewhere is not reached."""
        self[:] = bytes(len(self))


def no_core_dumps() -> None:
    """From now on this process leaves no core dump, and no other process of the same account may read its memory.

    prctl(PR_SET_DUMPABLE) and RLIMIT_CORE; children inherit the limit. A program started by it is readable again.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

"""HTTP byte ranges (RFC 9110, section 14) of content that never changes and is named by its digest."""

import re
from dataclasses import dataclass

_RANGES = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)\Z")
LONGEST = 200  # characters


class Unsatisfiable(Exception):
    """The range lies outside the content: 416."""


@dataclass(frozen=True)
class Span:
    """The bytes [start, stop) of content of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def asked(header: str | None, if_range: str | None, *, size: int, etag: str) -> Span | None:
    """The one range that was asked for, or None for the whole content. Raises Unsatisfiable.

    Several ranges, other units and malformed headers get the whole content, as the section allows; so does an If-Range
    that does not name exactly this content with a strong validator.
    """
    if not header or len(header) > LONGEST:
        return None
    if if_range is not None and if_range.strip() != etag:
        return None
    match = _RANGES.match(header.strip())
    if match is None or (not match["first"] and not match["last"]):
        return None
    if not match["first"]:
        suffix = int(match["last"])
        if suffix == 0 or size == 0:
            raise Unsatisfiable
        return Span(max(0, size - suffix), size, size)
    first = int(match["first"])
    if match["last"] and int(match["last"]) < first:
        return None
    if first >= size:
        raise Unsatisfiable
    stop = min(int(match["last"]) + 1, size) if match["last"] else size
    return Span(first, stop, size)

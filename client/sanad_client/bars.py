"""What a person sees while a folder is sent: a bar for all of it and one for each file on its way, or lines."""

from __future__ import annotations

import sys
import threading
from typing import Any

from tqdm import tqdm


class Bars:
    """Bars on a terminal's standard error; without a terminal a line for each file; nothing when quiet. Thread-safe."""

    def __init__(self, size: int, parallel: int, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty()
        self.lines = not quiet
        self._lock = threading.Lock()
        self._free = list(range(1, parallel + 1))
        style: dict[str, Any] = {"unit": "B", "unit_scale": True, "dynamic_ncols": True, "file": sys.stderr}
        self._style = {**style, "disable": not self.shown}
        self.total = tqdm(total=size, desc="all", position=0, **self._style)

    def file(self, shown: str, size: int) -> Bar:
        with self._lock:
            place = self._free.pop(0)
        return Bar(self, place, tqdm(total=size, desc=shown[-40:], position=place, leave=False, **self._style))

    def say(self, words: str) -> None:
        if self.lines:
            with self._lock:
                tqdm.write(words, file=sys.stderr)

    def give_back(self, place: int) -> None:
        with self._lock:
            self._free.append(place)
            self._free.sort()

    def moved(self, bytes_: int) -> None:
        with self._lock:
            self.total.update(bytes_)

    def close(self) -> None:
        self.total.close()


class Bar:
    """The bar of one file. Going back is allowed: what left and did not arrive leaves again."""

    def __init__(self, bars: Bars, place: int, bar: tqdm[Any]) -> None:
        self._bars, self._place, self._bar, self._at = bars, place, bar, 0

    def at(self, bytes_: int) -> None:
        self._bars.moved(bytes_ - self._at)
        self._bar.update(bytes_ - self._at)
        self._at = bytes_

    def waits(self, words: str) -> None:
        self._bar.set_postfix_str(words)

    def close(self) -> None:
        self._bar.close()
        self._bars.give_back(self._place)

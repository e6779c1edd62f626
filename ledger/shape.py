"""Whether a JSON value has a shape: the one way in which this package looks into what others wrote."""

from __future__ import annotations

import re
from typing import Any

ANY = re.compile("")
ANYTHING = (str, int, bool, list, dict, None)
HEX64 = re.compile(r"[0-9a-f]{64}\Z")


def misfit(value: Any, shape: Any, where: str) -> str | None:
    """The part of a value that departs from a shape, None when it fits.

    A shape is a type (exactly that), a pattern of text, a list with the shape of every member, a tuple of alternatives,
    an object with exactly these members, an object {pattern: shape} for any keys of the pattern, or the value itself.
    """
    if isinstance(shape, tuple):
        return None if any(misfit(value, one, where) is None for one in shape) else where
    if isinstance(shape, list):
        parts = [(member, shape[0], where) for member in value] if isinstance(value, list) else None
    elif isinstance(shape, dict):
        pattern = next(iter(shape))
        if not isinstance(value, dict):
            parts = None
        elif isinstance(pattern, re.Pattern):
            fit = all(pattern.match(key) for key in value)
            parts = [(member, shape[pattern], key[:40]) for key, member in value.items()] if fit else None
        else:
            parts = [(value[key], shape[key], key) for key in shape] if value.keys() == shape.keys() else None
    elif isinstance(shape, re.Pattern):
        return None if isinstance(value, str) and shape.match(value) else where
    else:
        fits = type(value) is shape if isinstance(shape, type) else type(value) is type(shape) and value == shape
        return None if fits else where
    if parts is None:
        return f"{where}: not exactly its members"
    return next((found for part in parts if (found := misfit(*part))), None)

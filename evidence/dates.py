"""Dates as evidence has them: an EDTF text and the earliest and latest day it can mean."""

import calendar
import re
from dataclasses import dataclass
from datetime import date

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from edtf import parse_edtf
from edtf.parser.edtf_exceptions import EDTFParseException

LONGEST = 60
_OPEN = re.compile(r"^\s*(\.\.)?/|/(\.\.)?\s*$")
_MOMENT = re.compile(r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$")


@dataclass(frozen=True)
class Dated:
    """The text as entered, and the inclusive days it spans; None where the interval is open."""

    text: str
    earliest: date | None
    latest: date | None


def parse(text: str) -> Dated:
    """Read an EDTF level 1 date, date-time or interval (ISO 8601-2). Empty text is no date.

    Raises ValidationError, in words, for what is no date: nothing is guessed.
    """
    text = text.strip()
    if not text:
        return Dated("", None, None)
    if len(text) > LONGEST:
        raise ValidationError(_("This date is too long."))
    if _MOMENT.match(text):
        day = _day(text[:10])
        return Dated(text, day, day)
    if "/" in text:
        start, _slash, end = text.partition("/")
        earliest = None if start.strip() in ("", "..") else _bounds(start)[0]
        latest = None if end.strip() in ("", "..") else _bounds(end)[1]
        if earliest is None and latest is None:
            raise ValidationError(_("An interval needs at least one end."))
        if earliest and latest and earliest > latest:
            raise ValidationError(_("The interval ends before it begins."))
        return Dated(text, earliest, latest)
    earliest, latest = _bounds(text)
    return Dated(text, earliest, latest)


def _bounds(text: str) -> tuple[date, date]:
    try:
        if "/" in text:
            raise ValueError("an interval has two ends")
        parsed = parse_edtf(text.strip())
        low, high = parsed.lower_strict(), parsed.upper_strict()
        return _clamped(low, last=False), _clamped(high, last=True)
    except (EDTFParseException, ValueError, TypeError, AttributeError, OverflowError, IndexError, KeyError):
        raise ValidationError(
            _(
                "“%(text)s” is not a date Sanad can read. "
                "Examples: 2025-03-08, 2025-03, 2025-03-06/2025-03-10, 2025-03-08?, 2025-03-XX."
            ),
            params={"text": text[:LONGEST]},
        ) from None


def _clamped(moment: tuple[int, ...], *, last: bool) -> date:
    year, month, day = moment[0], moment[1] or (12 if last else 1), moment[2]
    most = calendar.monthrange(year, month)[1]
    return date(year, month, min(day, most) if day else (most if last else 1))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValidationError(_("“%(text)s” is not a day of the calendar."), params={"text": text}) from None

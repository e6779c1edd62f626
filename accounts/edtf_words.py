"""EDTF dates (ISO 8601-2:2019, levels 0 and 1) in words of the reader's language."""

import re
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

DAY, MONTH = "j F Y", "F Y"  # day first in every language: 7/3 and 3/7 are never in question

_DATE = re.compile(r"(?P<year>-?[0-9X]{4})(?:-(?P<month>[0-9X]{2})(?:-(?P<day>[0-9X]{2}))?)?(?P<qualifier>[?~%])?\Z")
_MOMENT = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d(?::\d\d)?)(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?\Z")


def _season(number: str, year: str) -> str | None:
    seasons = {
        "21": _("spring %(year)s"),
        "22": _("summer %(year)s"),
        "23": _("autumn %(year)s"),
        "24": _("winter %(year)s"),
    }
    words = seasons.get(number)
    return words % {"year": year} if words else None


def _plain(year: str, month: str | None, day: str | None) -> str | None:
    """A date without its qualifier; None where we have no words for it."""
    if "X" in year:
        if month is None and re.fullmatch(r"\d{3}X", year):
            return _("%(decade)ss") % {"decade": year[:3] + "0"}
        return None
    if month is None:
        return year
    if month == "XX":
        return _("%(year)s, month unknown") % {"year": year}
    if season := _season(month, year):
        return season
    if "X" in month:
        return None
    try:
        first = date(int(year), int(month), 1)
        if day is None:
            return date_format(first, MONTH)
        if day == "XX":
            return _("%(month)s, day unknown") % {"month": date_format(first, MONTH)}
        return date_format(first.replace(day=int(day)), DAY) if "X" not in day else None
    except ValueError:
        return None


def _single(text: str) -> str | None:
    if moment := _MOMENT.match(text):
        try:
            shown = date_format(date.fromisoformat(moment["day"]), DAY)
        except ValueError:
            return None
        zone = {"Z": " UTC", None: ""}.get(moment["zone"], f" {moment['zone']}")
        return f"{shown}, {moment['time']}{zone}"
    found = _DATE.match(text)
    if found is None:
        return None
    words = _plain(found["year"], found["month"], found["day"])
    if words is None:
        return None
    if found["qualifier"] == "?":
        return _("%(date)s (uncertain)") % {"date": words}
    if found["qualifier"] == "~":
        return pgettext("approximate date", "about %(date)s") % {"date": words}
    if found["qualifier"] == "%":
        return pgettext("approximate date", "about %(date)s (uncertain)") % {"date": words}
    return words


def in_words(text: str) -> str:
    """An EDTF date in words; the text itself where it has none (sets, masks inside a number, exponents)."""
    if "/" not in text:
        return _single(text) or text
    start, _slash, end = text.partition("/")
    begins, ends = (None if part in ("", "..") else _single(part) for part in (start, end))
    if (begins is None and start not in ("", "..")) or (ends is None and end not in ("", "..")):
        return text
    if begins and ends:
        return _("%(start)s to %(end)s") % {"start": begins, "end": ends}
    if begins:
        return _("from %(start)s on") % {"start": begins}
    if ends:
        return _("until %(end)s") % {"end": ends}
    return _("at an unknown time")

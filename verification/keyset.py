"""Pages of long lists by the key of their last row: as fast at the end as at the beginning."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    """The rows of one page, and the cursors that lead on; "" where there is nothing more."""

    rows: list[M]
    newer: str
    older: str


def newest_first(found: QuerySet[M], *, moment: str, cursor: str, size: int) -> Page[M]:
    """A page of rows by (moment, key) descending. A cursor is `<`older or `>`newer, time, key; a broken one is none.

    The bound on the moment alone keeps the index in use; the second condition only sorts out equal moments.
    """
    ordered = found.order_by(f"-{moment}", "-pk")
    towards, at, key = _parsed(cursor)
    if at is None:
        rows = list(ordered[: size + 1])
        return Page(rows[:size], "", _cursor("<", rows[size - 1], moment) if len(rows) > size else "")
    if towards == "<":
        past = Q(**{f"{moment}__lte": at}) & (Q(**{f"{moment}__lt": at}) | Q(pk__lt=key))
        rows = list(ordered.filter(past)[: size + 1])
        more, rows = len(rows) > size, rows[:size]
        newer = _cursor(">", rows[0], moment) if rows else ""
        return Page(rows, newer, _cursor("<", rows[-1], moment) if more else "")
    past = Q(**{f"{moment}__gte": at}) & (Q(**{f"{moment}__gt": at}) | Q(pk__gt=key))
    rows = list(found.order_by(moment, "pk").filter(past)[: size + 1])
    more, rows = len(rows) > size, rows[:size][::-1]
    older = _cursor("<", rows[-1], moment) if rows else ""
    return Page(rows, _cursor(">", rows[0], moment) if more else "", older)


def _cursor(towards: str, row: Any, moment: str) -> str:
    return f"{towards}{getattr(row, moment).isoformat()},{row.pk}"


def _parsed(cursor: str) -> tuple[str, datetime | None, UUID | int | None]:
    towards, (at, _, key) = cursor[:1], cursor[1:].partition(",")
    if towards not in ("<", ">"):
        return "", None, None
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))
        return towards, moment if moment.tzinfo else None, int(key) if key.isdecimal() else UUID(key)
    except ValueError:
        return "", None, None

"""What the library asks: which items a person sees, narrowed by filters, page by page from the newest."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from accounts.permissions import permitted
from evidence.models import Derivative, Item
from evidence.search import LONGEST_QUERY, matches
from evidence.vocabulary import FixityOutcome, Kind

PAGE = 48
COUNT_LIMIT = 1_000  # beyond this, "more than": an exact count of a large list costs more than it tells
FAILED = [outcome.value for outcome in FixityOutcome if outcome not in (FixityOutcome.OK, FixityOutcome.PENDING)]


@dataclass(frozen=True)
class Filters:
    """What was asked of the library; each empty value filters nothing. Nonsense is read as nothing."""

    q: str = ""
    compartment: str = ""
    kind: str = ""
    family: str = ""
    language: str = ""
    graphic: str = ""
    fixity: str = ""
    since: str = ""
    until: str = ""
    duplicates: str = ""
    needs: str = ""

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> "Filters":
        """From a query string."""
        given = {name: str(params.get(name, "")).replace("\0", "")[:LONGEST_QUERY].strip() for name in cls.names()}
        return cls(**given)

    @classmethod
    def names(cls) -> list[str]:
        return [one.name for one in fields(cls)]

    @property
    def chosen(self) -> int:
        """How many filters are set, the search not counted."""
        return sum(1 for name in self.names() if name != "q" and getattr(self, name))

    def url(self, path: str, **changes: str) -> str:
        """The address of the list with these filters changed; always of its first page."""
        changed = replace(self, **changes)
        query = {name: getattr(changed, name) for name in self.names() if getattr(changed, name)}
        return f"{path}?{urlencode(query)}" if query else path

    def pairs(self) -> list[tuple[str, str]]:
        return [(name, getattr(self, name)) for name in self.names() if name != "q" and getattr(self, name)]


def library(user: Any, filters: Filters) -> QuerySet[Item]:
    """The items the person sees, without those that were erased.

    A filter on what people say of items looks only where the person may read that.
    """
    readable = permitted(user, "item.view_content", Item.objects.all())
    said = _said(filters)
    items = permitted(user, "item.view", Item.objects.filter(erased_at__isnull=True)).filter(_known(filters))
    if said is not None:
        items = items.filter(said, pk__in=readable.values("pk"))
    if filters.q:
        accession = Q(accession__istartswith=filters.q)
        found = matches(filters.q)
        if found is None:
            return items.none()
        items = items.filter(accession | Q(pk__in=found) & Q(pk__in=readable.values("pk")))
    return items


def _known(filters: Filters) -> Q:
    """What everyone who sees an item knows of it."""
    known = Q()
    if filters.compartment:
        known &= Q(compartment__code=filters.compartment)
    if filters.fixity == "ok":
        known &= Q(last_outcome=FixityOutcome.OK)
    elif filters.fixity == "failed":
        known &= Q(last_outcome__in=FAILED)
    elif filters.fixity == "never":
        known &= Q(last_verified_at__isnull=True)
    if filters.duplicates:
        known &= Q(duplicate_of__isnull=False)
    return known


def _said(filters: Filters) -> Q | None:
    """What only those who may see content know; None when none of it is asked."""
    asked: list[Q] = []
    if filters.kind in Kind.values:
        asked.append(Q(kind=filters.kind))
    if filters.family:
        asked.append(Q(media_type__startswith=f"{filters.family}/"))
    if filters.language:
        asked.append(Q(language=filters.language))
    if filters.graphic in ("yes", "no"):
        asked.append(Q(graphic=filters.graphic == "yes"))
    since, until = _day(filters.since), _day(filters.until)
    if since:
        asked.append(Q(created_latest__gte=since) | Q(created_latest__isnull=True, created_earliest__isnull=False))
    if until:
        asked.append(Q(created_earliest__lte=until) | Q(created_earliest__isnull=True, created_latest__isnull=False))
    if filters.needs == "description":
        asked.append(Q(title=""))
    elif filters.needs == "type":
        asked.append(Q(type_conflict=True))
    elif filters.needs == "examination":
        asked.append(Q(examined_at__isnull=True) | ~Q(examination_problem=""))
    if not asked:
        return None
    said = Q()
    for condition in asked:
        said &= condition
    return said


@dataclass(frozen=True)
class Page:
    """Some items, newest first, and the marks with which the pages beside it begin; "" where there is none."""

    items: Sequence[Item]
    newer: str
    older: str


def page(items: QuerySet[Item], *, after: str = "", before: str = "", size: int = PAGE) -> Page:
    """The page that follows the mark `after`, or precedes `before`; the first when neither can be read.

    Rows are compared as a whole, so that a page costs the same at any depth.
    """
    position = Tuple(F("received_at"), F("id"))
    rows = items.select_related("compartment", "duplicate_of").defer("search", "description", "sealed_claims")
    rows = rows.annotate(
        has_preview=Exists(Derivative.objects.filter(item=OuterRef("pk"), purpose="preview")),
        has_duplicates=Exists(Item.objects.filter(duplicate_of=OuterRef("pk"))),
    )
    forward, backward = _read_mark(after), _read_mark(before)
    if backward is not None and forward is None:
        found = list(rows.filter(TupleGreaterThan(position, backward)).order_by("received_at", "id")[: size + 1])
        more, shown = len(found) > size, found[:size][::-1]
        return Page(shown, _mark(shown[0]) if more and shown else "", _mark(shown[-1]) if shown else "")
    if forward is not None:
        rows = rows.filter(TupleLessThan(position, forward))
    found = list(rows.order_by("-received_at", "-id")[: size + 1])
    shown = found[:size]
    newer = _mark(shown[0]) if forward is not None and shown else ""
    return Page(shown, newer, _mark(shown[-1]) if len(found) > size else "")


def count(items: QuerySet[Item]) -> int:
    """How many there are, at most COUNT_LIMIT + 1."""
    return items.order_by().values("pk")[: COUNT_LIMIT + 1].count()


def languages(user: Any) -> list[str]:
    """The languages that items the person may read are said to be in."""
    readable = permitted(user, "item.view_content", Item.objects.all())
    return list(readable.exclude(language="").order_by("language").values_list("language", flat=True).distinct()[:50])


def _mark(item: Item) -> str:
    text = f"{item.received_at.isoformat()} {item.pk}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_mark(mark: str) -> tuple[datetime, UUID] | None:
    try:
        moment, _space, key = urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode().partition(" ")
        read = datetime.fromisoformat(moment)
        return (read, UUID(key)) if read.tzinfo is not None else None
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

"""Reading incidents: the question of a list, its facets, its pages, and what an incident's page shows."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Count, Exists, F, Func, Max, Min, OuterRef, Q, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan

from accounts.models import User
from accounts.permissions import permitted
from evidence.search import LONGEST_QUERY, MOST_WORDS, normalised
from incidents.models import Claim, Incident, Link, ViolationCategory
from incidents.vocabulary import Governorate, Status

PAGE = 50
MOST_COUNTED = 1_000
MOST_ON_MAP = 1_000


@dataclass(frozen=True)
class Question:
    """What a list asks for; every empty part asks for nothing."""

    q: str = ""
    compartment: str = ""
    category: str = ""
    status: str = ""
    governorate: str = ""
    place: str = ""
    since: date | None = None
    until: date | None = None
    has: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Question":
        """The question of a query string; what is no value of its part asks for nothing."""
        given = {name: str(value).replace("\0", "") for name, value in given.items()}
        return cls(
            q=str(given.get("q", "")).strip()[:LONGEST_QUERY],
            compartment=str(given.get("compartment", ""))[:20],
            category=str(given.get("category", ""))[:60],
            status=_one_of(given.get("status"), Status.values),
            governorate=_one_of(given.get("governorate"), Governorate.values),
            place=str(given.get("place", ""))[:200],
            since=_day(given.get("since")),
            until=_day(given.get("until")),
            has=_one_of(given.get("has"), ["items", "no-items", "claims", "no-claims"]),
        )

    def chosen(self) -> dict[str, str]:
        """The parts that ask for something, as they stand in a query string."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: str(value) for name, value in parts.items() if value}

    def without(self, *names: str) -> "Question":
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in names}
        return Question(**kept)


def asked(incidents: QuerySet[Incident], question: Question) -> QuerySet[Incident]:
    """The incidents of the queryset that answer the question. A date range keeps what may have happened in it."""
    for word in normalised(question.q).split()[:MOST_WORDS] if question.q else []:
        incidents = incidents.filter(search__contains=word)
    exact = {
        "compartment__code": question.compartment,
        "status": question.status,
        "governorate": question.governorate,
        "place_name": question.place,
    }
    incidents = incidents.filter(**{name: value for name, value in exact.items() if value})
    if question.category:
        held = Incident.categories.through.objects.filter(
            incident=OuterRef("pk"), violationcategory__code=question.category
        )
        incidents = incidents.filter(Exists(held))
    dated = Q(happened_earliest__isnull=False) | Q(happened_latest__isnull=False)
    if question.since:
        incidents = incidents.filter(dated, Q(happened_latest__isnull=True) | Q(happened_latest__gte=question.since))
    if question.until:
        begun = Q(happened_earliest__isnull=True) | Q(happened_earliest__lte=question.until)
        incidents = incidents.filter(dated, begun)
    if question.has:
        related = Exists(_active_links()) if question.has.endswith("items") else Exists(_active_claims())
        incidents = incidents.filter(~related if question.has.startswith("no-") else related)
    return incidents


def with_counts(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """With `items` and `claim_count`: active links and claims."""
    active = Q(links__withdrawn_at__isnull=True)
    return incidents.annotate(
        items=Count("links", filter=active, distinct=True),
        claim_count=Count("claims", filter=Q(claims__withdrawn_at__isnull=True), distinct=True),
    )


@dataclass(frozen=True)
class Page:
    """One keyset page, newest first; `newer` and `older` are opaque cursors or empty."""

    rows: list[Incident]
    newer: str
    older: str
    count: int
    capped: bool


class _Row(Func):
    function = "ROW"
    output_field = BooleanField()


def page(incidents: QuerySet[Incident], *, before: str = "", after: str = "", size: int = PAGE) -> Page:
    """The page older than cursor `before`, or newer than cursor `after`; a cursor that is none begins at the newest."""
    place = _Row(F("opened_at"), F("id"))
    counted = incidents.order_by()[: MOST_COUNTED + 1].count()
    older_than, newer_than = _opened(before), _opened(after)
    if newer_than is not None:
        rows = list(
            with_counts(incidents.filter(GreaterThan(place, _Row(*newer_than))))
            .select_related("compartment")
            .prefetch_related("categories")
            .order_by("opened_at", "id")[: size + 1]
        )
        more_newer, more_older = len(rows) > size, True
        rows = rows[:size][::-1]
    else:
        if older_than is not None:
            incidents = incidents.filter(LessThan(place, _Row(*older_than)))
        rows = list(
            with_counts(incidents)
            .select_related("compartment")
            .prefetch_related("categories")
            .order_by("-opened_at", "-id")[: size + 1]
        )
        more_newer, more_older = older_than is not None, len(rows) > size
        rows = rows[:size]
    return Page(
        rows=rows,
        newer=_cursor(rows[0]) if rows and more_newer else "",
        older=_cursor(rows[-1]) if rows and more_older else "",
        count=min(counted, MOST_COUNTED),
        capped=counted > MOST_COUNTED,
    )


def facet_counts(incidents: QuerySet[Incident], question: Question) -> dict[str, list[tuple[str, str, int]]]:
    """{facet: [(value, label, count)]}: each facet counted under all other parts of the question."""
    return {
        "compartment": [
            (code, f"{code} {title}", count)
            for code, title, count in _grouped(
                incidents, question, "compartment", "compartment__code", "compartment__title"
            )
        ],
        "status": _labelled(Status, _grouped(incidents, question, "status", "status")),
        "category": _categories(incidents, question),
        "governorate": _labelled(Governorate, _grouped(incidents, question, "governorate", "governorate")),
        "place": [
            (name, name, count) for name, count in _grouped(incidents, question, "place", "place_name")[:30] if name
        ],
        "has": [
            (value, value, asked(incidents, Question.of(question.chosen() | {"has": value})).count())
            for value in ("items", "no-items", "claims", "no-claims")
        ],
    }


def on_map(incidents: QuerySet[Incident]) -> list[Incident]:
    """Incidents with coordinates, newest first, at most MOST_ON_MAP."""
    placed = incidents.filter(latitude__isnull=False).select_related("compartment")
    return list(placed.order_by("-opened_at", "-id")[:MOST_ON_MAP])


def span(incidents: QuerySet[Incident]) -> tuple[date | None, date | None]:
    """The first and last day on which any of the incidents may have happened."""
    found = incidents.order_by().aggregate(first=Min("happened_earliest"), last=Max("happened_latest"))
    return found["first"], found["last"]


def links_of(user: User, incident: Incident) -> QuerySet[Link]:
    """The active links of an incident whose items the user may see."""
    links = Link.objects.filter(incident=incident, withdrawn_at__isnull=True)
    return permitted(user, "link.view", links).select_related("item", "linked_by").order_by("linked_at", "id")


def claims_of(user: User, incident: Incident) -> QuerySet[Claim]:
    """The claims of an incident, withdrawn ones too."""
    claims = Claim.objects.filter(incident=incident)
    return permitted(user, "claim.view", claims).prefetch_related("breakdown").select_related("recorded_by")


def _active_links() -> QuerySet[Link]:
    return Link.objects.filter(incident=OuterRef("pk"), withdrawn_at__isnull=True)


def _active_claims() -> QuerySet[Claim]:
    return Claim.objects.filter(incident=OuterRef("pk"), withdrawn_at__isnull=True)


def _grouped(incidents: QuerySet[Incident], question: Question, facet: str, *columns: str) -> list[tuple[Any, ...]]:
    answers = asked(incidents, question.without(facet))
    return list(answers.order_by().values_list(*columns).annotate(count=Count("pk")).order_by("-count", *columns))


def _labelled(choices: Any, rows: list[tuple[Any, ...]]) -> list[tuple[str, str, int]]:
    return [(value, str(choices(value).label), count) for value, count in rows if value]


def _categories(incidents: QuerySet[Incident], question: Question) -> list[tuple[str, str, int]]:
    answers = asked(incidents, question.without("category"))
    counted = ViolationCategory.objects.annotate(count=Count("incidents", filter=Q(incidents__in=answers)))
    return [(row.code, row.name, row.count) for row in counted if row.count]


def _one_of(value: Any, known: list[str]) -> str:
    return str(value) if value in known else ""


def _day(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def _cursor(incident: Incident) -> str:
    text = json.dumps([incident.opened_at.isoformat(), str(incident.id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[Value, Value] | None:
    try:
        at, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            return None
        return Value(moment), Value(UUID(key))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None

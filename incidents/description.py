"""What people say of incidents, links and claims, as ledger values: text, lists, integers, None for not stated."""

from decimal import Decimal
from typing import Any

from incidents.models import Claim, ClaimBreakdown, Incident, Link

#: What people say of an incident, and may correct; every change is in the ledger as from -> to. Besides: categories.
DESCRIBED = (
    "title",
    "title_ar",
    "governorate",
    "place_name",
    "place_name_ar",
    "latitude",
    "longitude",
    "precision",
    "gazetteer_code",
    "happened_edtf",
    "happened_basis",
    "narrative",
)
#: Those of them that hold people's own words, and could hold a name.
TEXTS = ("title", "title_ar", "place_name", "place_name_ar", "gazetteer_code", "narrative")
#: What an analyst says of a link.
ASSESSED = ("stance", "reasons", "source_reliability", "information_credibility")
#: What a claim states. Besides: breakdown.
CLAIMED = (
    "source",
    "document_title",
    "document_url",
    "measure",
    "scope_area",
    "period_edtf",
    "who_counts",
    "as_of",
    "minimum",
    "maximum",
    "counted",
    "note",
)
CLAIMED_TEXTS = ("source", "document_title", "document_url", "scope_area", "who_counts", "note")


def described(incident: Incident, categories: list[str]) -> dict[str, Any]:
    """The incident's described fields, with its categories' codes in order."""
    return {name: _value(getattr(incident, name)) for name in DESCRIBED} | {"categories": categories}


def assessed(link: Link) -> dict[str, Any]:
    return {name: _value(getattr(link, name)) for name in ASSESSED}


def claimed(claim: Claim, breakdown: list[ClaimBreakdown]) -> dict[str, Any]:
    rows = [{"dimension": row.dimension or None, "category": row.category, "count": row.count} for row in breakdown]
    return {name: _value(getattr(claim, name)) for name in CLAIMED} | {"breakdown": rows}


def _value(value: Any) -> str | int | None:
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    if isinstance(value, int):
        return int(value)
    return str(value) if value not in (None, "") else None

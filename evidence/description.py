"""What people say of an item, as opposed to what was received."""

import hashlib
from decimal import Decimal
from typing import Any

from evidence.models import Item
from ledger.entry import canonical

#: What people say of an item, and may correct; every change is in the ledger as from -> to.
DESCRIBED = (
    "kind",
    "title",
    "description",
    "language",
    "graphic",
    "created_edtf",
    "created_basis",
    "published_edtf",
    "published_basis",
    "collected_edtf",
    "collected_basis",
    "place_name",
    "place_name_ar",
    "latitude",
    "longitude",
    "precision",
    "gazetteer_code",
    "source_kind",
    "source",
    "acquired_by",
    "acquired_edtf",
    "acquired_where",
    "acquired_how",
    "acquired_tool",
)

#: Those of them that hold people's own words, and could hold a name.
TEXTS = (
    "title",
    "description",
    "language",
    "place_name",
    "place_name_ar",
    "gazetteer_code",
    "source",
    "acquired_by",
    "acquired_where",
    "acquired_tool",
)


def described(item: Item) -> dict[str, Any]:
    """The described fields as ledger values: text, booleans, and None for what is not stated."""
    return {name: _value(getattr(item, name)) for name in DESCRIBED}


def version_of(item: Item) -> str:
    """A name for exactly this description: two readers with the same version saw the same words."""
    return hashlib.sha256(canonical(described(item))).hexdigest()[:32]


def _value(value: Any) -> str | bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    return str(value) if value not in (None, "") else None

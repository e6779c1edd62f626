"""What is said of witnesses and testimonies in plain columns; every change is in the ledger as from -> to."""

from decimal import Decimal
from typing import Any

from django.db.models import Model

WITNESS = ("kind", "age_band", "vulnerabilities")
TESTIMONY = (
    "interview_edtf",
    "language",
    "interpreter",
    "interviewer",
    "others_present",
    "place_name",
    "place_name_ar",
    "latitude",
    "longitude",
    "precision",
    "gazetteer_code",
)
CONSENT = (
    "purposes",
    "recipients",
    "named_recipients",
    "identity_level",
    "recording_media",
    "recontact",
    "language",
    "interpreter",
    "explained_by",
    "form_version",
    "guardian",
    "given_edtf",
    "expires_at",
)


def as_values(row: Model, names: tuple[str, ...]) -> dict[str, Any]:
    """The named columns as ledger values: text, booleans, lists of text, ids of people, None for what is not stated."""
    return {name: _value(getattr(row, name)) for name in names}


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [str(part) for part in value]
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    if isinstance(value, Model):
        return str(value.pk)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value) if value not in (None, "") else None

"""What people say of an item, as the page tells it: grouped, with a dash for what nobody stated."""

from typing import Any

from django.template.defaultfilters import linebreaksbr
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.templatetags.ui import coordinates, edtf, when
from evidence.models import Item

Row = tuple[Any, Any] | tuple[Any, Any, Any]


def said(item: Item) -> list[tuple[str, list[Row]]]:
    """[(group, [(term, value, note)])]; a date's note is its basis, a place's its precision."""
    return [
        (
            _("What it shows"),
            [
                (_("Kind"), item.get_kind_display()),
                (_("Title"), _text(item.title)),
                (_("Description"), _text(item.description)),
                (_("Language"), _text(item.language)),
                (_("Graphic content"), _("yes") if item.graphic else _("no")),
            ],
        ),
        (
            _("Dates"),
            [
                (_("Created (shot, written)"), edtf(item.created_edtf), _basis(item, "created")),
                (_("Published"), edtf(item.published_edtf), _basis(item, "published")),
                (_("Collected"), edtf(item.collected_edtf), _basis(item, "collected")),
                (_("Received"), when(item.received_at), _("Set by the archive; it cannot be changed")),
            ],
        ),
        (
            _("Place"),
            [
                (_("Place"), _text(item.place_name)),
                (_("Place, in Arabic"), _text(item.place_name_ar)),
                (_("Coordinates"), _coordinates(item), item.get_precision_display() if item.precision else ""),
                (_("Gazetteer code"), _text(item.gazetteer_code)),
            ],
        ),
        (
            _("Source"),
            [
                (_("Kind of source"), item.get_source_kind_display() if item.source_kind else ""),
                (_("Source"), _text(item.source)),
            ],
        ),
        (
            _("Acquisition: how the copy was made"),
            [
                (_("By"), _text(item.acquired_by)),
                (_("On"), edtf(item.acquired_edtf)),
                (_("At"), _text(item.acquired_where)),
                (_("How"), item.get_acquired_how_display() if item.acquired_how else ""),
                (_("Tool"), _text(item.acquired_tool)),
            ],
        ),
    ]


def _text(value: str) -> SafeString | str:
    return format_html('<bdi dir="auto">{}</bdi>', linebreaksbr(value, autoescape=True)) if value else ""


def _basis(item: Item, prefix: str) -> str:
    stated = bool(getattr(item, f"{prefix}_edtf"))
    return str(getattr(item, f"get_{prefix}_basis_display")()) if stated else ""


def _coordinates(item: Item) -> SafeString | str:
    if item.latitude is None or item.longitude is None:
        return ""
    return coordinates(float(item.latitude), float(item.longitude))

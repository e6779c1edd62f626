"""How lists of items are shown: rows that hold only what the person may read, facets, addresses of pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from accounts.permissions import compartments
from accounts.templatetags.ui import grouped
from evidence.models import Item
from evidence.queries import COUNT_LIMIT, FAILED, Filters, languages
from evidence.vocabulary import FixityOutcome, Kind

KIND_ICONS = {
    Kind.PHOTO: "image",
    Kind.VIDEO: "video",
    Kind.AUDIO: "audio",
    Kind.DOCUMENT: "document",
    Kind.TEXT: "text",
    Kind.WEB_CAPTURE: "external",
}


@dataclass(frozen=True)
class Row:
    """One line or card. Where `readable` is false nothing in it speaks of content."""

    item: Item
    readable: bool
    describable: bool
    title: str
    kind: str
    icon: str
    thumbnail: bool
    badges: list[dict[str, str]]


def rows(user: Any, items: Iterable[Item]) -> list[Row]:
    """The rows for this person; items come from evidence.queries.page."""
    readable = {compartment.pk for compartment in compartments(user, "item.view_content")}
    describable = {compartment.pk for compartment in compartments(user, "item.describe")}
    return [_row(item, item.compartment_id in readable, item.compartment_id in describable) for item in items]


def _row(item: Item, readable: bool, describable: bool) -> Row:
    badges = []
    if item.last_outcome in FAILED:
        badges.append({"label": item.get_last_outcome_display(), "tone": "danger"})
    elif item.last_outcome == FixityOutcome.OK:
        badges.append({"label": item.get_last_outcome_display(), "tone": "ok"})
    if item.duplicate_of_id or getattr(item, "has_duplicates", False):
        badges.append({"label": _("Duplicate"), "tone": "info", "icon": "copy"})
    if readable and item.graphic:
        badges.append({"label": _("Graphic"), "tone": "warn", "icon": "eye-off"})
    if readable and item.type_conflict:
        badges.append({"label": _("Type conflict"), "tone": "warn"})
    if readable and item.examined_at is None:
        badges.append({"label": _("Being examined"), "tone": "info", "icon": "clock"})
    return Row(
        item=item,
        readable=readable,
        describable=describable,
        title=item.title if readable else "",
        kind=str(item.get_kind_display()) if readable else "",
        icon=("eye-off" if item.graphic else KIND_ICONS.get(Kind(item.kind), "file")) if readable else "lock",
        thumbnail=readable and not item.graphic and bool(getattr(item, "has_preview", False)),
        badges=badges,
    )


def facets(user: Any, filters: Filters, path: str) -> list[dict[str, Any]]:
    """The groups of the facets component. Who reads no content is offered nothing that would tell of it."""
    seen = compartments(user, "item.view")
    groups = [
        _group(filters, path, _("Compartment"), "compartment", [(one.code, one.code) for one in seen.order_by("code")]),
        _group(
            filters,
            path,
            _("Verification"),
            "fixity",
            [("ok", _("Verified")), ("failed", _("Failed")), ("never", _("Never verified"))],
        ),
        _group(filters, path, _("Copies"), "duplicates", [("yes", _("Exact duplicates"))]),
    ]
    if compartments(user, "item.view_content").exists():
        groups[1:1] = [
            _group(
                filters,
                path,
                _("Needs work"),
                "needs",
                [
                    ("description", _("No title yet")),
                    ("type", _("Type conflict")),
                    ("examination", _("Not examined, or with a problem")),
                ],
            ),
            _group(filters, path, _("Kind"), "kind", [(value, str(label)) for value, label in Kind.choices]),
            _group(
                filters,
                path,
                _("Media"),
                "family",
                [
                    ("image", _("Images")),
                    ("video", _("Video")),
                    ("audio", _("Audio")),
                    ("text", _("Text")),
                    ("application", _("Documents and other")),
                ],
            ),
            _group(filters, path, _("Graphic content"), "graphic", [("yes", _("Graphic")), ("no", _("Not graphic"))]),
            _group(filters, path, _("Language"), "language", [(code, code) for code in languages(user)]),
        ]
    return [group for group in groups if group["options"]]


def _group(filters: Filters, path: str, label: str, name: str, choices: list[tuple[str, str]]) -> dict[str, Any]:
    present = getattr(filters, name)
    return {
        "label": label,
        "options": [
            {
                "label": words,
                "url": filters.url(path, **{name: "" if present == value else value}),
                "active": present == value,
                "count": None,
            }
            for value, words in choices
        ],
    }


def search(filters: Filters) -> dict[str, Any]:
    return {
        "name": "q",
        "value": filters.q,
        "label": _("Search number, title, description"),
        "hidden": filters.pairs(),
    }


def mark_url(filters: Filters, path: str, **marks: str) -> str:
    """The address of another page of the same list, or "" when a mark is empty."""
    if not all(marks.values()):
        return ""
    base = filters.url(path)
    return f"{base}{'&' if '?' in base else '?'}{urlencode(marks)}"


def count_words(count: int) -> str:
    if count > COUNT_LIMIT:
        return _("More than %(count)s items") % {"count": grouped(COUNT_LIMIT)}
    return _("Items: %(count)s") % {"count": grouped(count)}

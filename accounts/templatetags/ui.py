"""The interface's template tags: icons, blocks around components, and how sizes, digests, times and dates are written.

Everything that mixes left-to-right runs (numbers, digests, names, codes) into Arabic text comes out inside `<bdi>`.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django import template
from django.middleware.csrf import get_token
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import get_language, get_language_bidi, ngettext
from django.utils.translation import gettext as _

from accounts.edtf_words import DAY, in_words

register = template.Library()

THEMES = ("light", "dark")
DIRECTIONAL = {"arrow", "back", "chevron", "exit", "library", "sign-out", "text", "list"}
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of img/icons.svg; decorative unless given a label. Those with a direction turn around in Arabic."""
    classes = "icon icon--directional" if name in DIRECTIONAL else "icon"
    href = f"{static('img/icons.svg')}#{name}"
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', classes, label, href)
    return format_html('<svg class="{}" aria-hidden="true" focusable="false"><use href="{}"/></svg>', classes, href)


@register.simple_block_tag(takes_context=True)
def wrap(context: template.Context, content: str, name: str, **parameters: Any) -> SafeString:
    """Render templates/components/<name>.html around a block: isolated like `include ... only`, with `content`.

    `{% wrap "card" title=_("Place") %} ... {% endwrap %}`. Forms inside components get their token.
    """
    assert context.template is not None
    found = context.template.engine.get_template(f"components/{name}.html")
    request = context.get("request")
    parameters |= {"content": content, "request": request}
    parameters["csrf_token"] = get_token(request) if request is not None else context.get("csrf_token", "")
    return SafeString(found.render(context.new(parameters)))  # rendered by the engine, which escaped it


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """The theme kept in the cookie: 'light', 'dark', or '' for what the device prefers."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    return chosen if chosen in THEMES else ""


@register.filter
def bdi(value: object) -> SafeString:
    """The value isolated from the direction of the text around it."""
    return format_html("<bdi>{}</bdi>", value)


@register.filter(name="zip")
def zip_lists(left: Iterable[Any], right: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Pairs of two lists; raises ValueError when their lengths differ: no column may get another's heading."""
    return list(zip(left, right, strict=True))


def grouped(value: int) -> str:
    """An integer with its thousands apart: a comma, in French a narrow space. Never a point: it reads as a fraction."""
    separator = "\u202f" if (get_language() or "").startswith("fr") else ","
    return f"{value:,}".replace(",", separator)


@register.filter
def number(value: int | None) -> SafeString:
    """A count, grouped and isolated; an en dash where there is none."""
    return mark_safe("–") if value is None else format_html("<bdi>{}</bdi>", grouped(int(value)))


def in_units(size: int) -> str:
    """Bytes in decimal units with three significant digits: 999 B, 1.25 MB, 4 GB."""
    power = min(int(math.log10(size)) // 3, len(UNITS) - 1) if size > 0 else 0
    amount = f"{size / 1000**power:.3g}" if power else str(size)
    if amount == "1e+03":
        power, amount = power + 1, "1"
    unit = {"B": _("B"), "kB": _("kB"), "MB": _("MB"), "GB": _("GB"), "TB": _("TB"), "PB": _("PB")}[UNITS[power]]
    return f"{amount}\u00a0{unit}"


@register.filter
def size(value: int | None) -> SafeString:
    """A size in bytes, readable, with the exact count as its title."""
    if value is None:
        return mark_safe("–")
    exact = ngettext("%(count)s byte", "%(count)s bytes", value) % {"count": grouped(value)}
    return format_html('<bdi class="nowrap" title="{}">{}</bdi>', exact, in_units(value))


@register.filter
def short(digest: str) -> SafeString:
    """The first and last characters of a digest: enough to compare by eye, never enough to prove."""
    text = str(digest)
    return format_html('<bdi class="mono" dir="ltr">{}</bdi>', text if len(text) <= 20 else f"{text[:8]}…{text[-8:]}")


@register.filter
def when(value: datetime | None) -> SafeString:
    """A moment in UTC, said so, to the minute; the exact second is in its title and in `datetime`."""
    if value is None:
        return mark_safe("–")
    moment = value.astimezone(UTC)
    shown = f"{date_format(moment.date(), DAY)}, {moment:%H:%M} UTC"
    exact = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return format_html('<time datetime="{}" title="{}"><bdi>{}</bdi></time>', exact, exact, shown)


@register.filter
def day(value: date | None) -> SafeString:
    """A calendar day, day first."""
    return mark_safe("–") if value is None else format_html("<bdi>{}</bdi>", date_format(value, DAY))


@register.filter
def ago(value: datetime | None) -> SafeString:
    """How long ago, in the largest unit; the exact moment is in its title."""
    if value is None:
        return mark_safe("–")
    if (timezone.now() - value).total_seconds() < 60:
        words = _("just now")
    else:
        words = _("%(time)s ago") % {"time": timesince(value, depth=1)}
    exact = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, words)


@register.filter
def edtf(text: str | None) -> SafeString:
    """An EDTF date in words ("about 7 March 2025"), its exact text as the title; without words it is shown as it is."""
    if not text:
        return mark_safe("–")
    return format_html('<bdi class="edtf" title="{}">{}</bdi>', text, in_words(str(text)))


@register.filter
def duration(seconds: float | None) -> SafeString:
    """A length of time as h:mm:ss or m:ss."""
    if seconds is None:
        return mark_safe("–")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return format_html("<bdi>{}</bdi>", shown)


@register.filter
def distance(metres: float | None) -> SafeString:
    """A precision: metres below a kilometre, then kilometres."""
    if metres is None:
        return mark_safe("–")
    if metres < 1000:
        return format_html("<bdi>{}</bdi>", _("%(count)s m") % {"count": f"{metres:g}"})
    return format_html("<bdi>{}</bdi>", _("%(count)s km") % {"count": f"{metres / 1000:g}"})


@register.simple_tag
def coordinates(latitude: float, longitude: float) -> SafeString:
    """Decimal degrees, latitude first, five places (about a metre) at most."""
    shown = f"{round(float(latitude), 5):g}, {round(float(longitude), 5):g}"
    return format_html('<bdi class="mono nowrap" dir="ltr">{}</bdi>', shown)


def _share(value: float) -> str:
    return f"{max(0.0, min(100.0, value)):.3f}%"


def placed(low: float, high: float, first: float, last: float, least: float = 0.8) -> dict[str, Any]:
    """Where a span lies on a scale, as `x` and `width` attributes in percent; mirrored where reading goes leftwards.

    `least` keeps a point visible; `wide` says the span is more than a point.
    """
    scale = (last - first) or 1.0
    start, width = (low - first) / scale * 100, max((high - low) / scale * 100, least)
    start = min(start, 100 - width)
    if get_language_bidi():
        start = 100 - start - width
    return {"x": _share(start), "width": _share(width), "wide": width > least}


def _ordinal(value: date | datetime) -> float:
    if isinstance(value, datetime):
        return value.astimezone(UTC).timestamp() / 86400
    return float((value - date(1970, 1, 1)).days)


@register.simple_tag
def date_spans(entries: Sequence[Any]) -> dict[str, Any]:
    """Entries with `earliest` and `latest` (date or UTC datetime, either may be None) laid out on one scale.

    Gives `rows` [(entry, {x, width, wide} or None)], `first` and `last` as dates for the scale's ends. A date counts
    to the end of its day.
    """
    known: list[tuple[float, float] | None] = []
    for entry in entries:
        low = entry["earliest"] if isinstance(entry, dict) else entry.earliest
        high = entry["latest"] if isinstance(entry, dict) else entry.latest
        if low is None and high is None:
            known.append(None)
            continue
        end = high if high is not None else low
        known.append((_ordinal(low if low is not None else high), _ordinal(end) + (not isinstance(end, datetime))))
    spans = [span for span in known if span is not None]
    if not spans:
        return {"rows": [(entry, None) for entry in entries], "first": None, "last": None}
    first, last = math.floor(min(low for low, _high in spans)), math.ceil(max(high for _low, high in spans))
    rows = [(entry, placed(*span, first, last) if span else None) for entry, span in zip(entries, known, strict=True)]
    return {"rows": rows, "first": _day(first), "last": _day(last - 1)}


def _day(days: float) -> date:
    return datetime.fromtimestamp(days * 86400, tz=UTC).date()


@register.simple_tag
def number_spans(claims: Sequence[Any]) -> dict[str, Any]:
    """Claims with `minimum` and `maximum` (either may be None) on one scale from zero. Their sum is never made.

    Gives `rows` [(claim, {x, width, wide} or None)] and `last`, the scale's end.
    """
    bounds: list[tuple[int, int] | None] = []
    for claim in claims:
        low = claim["minimum"] if isinstance(claim, dict) else claim.minimum
        high = claim["maximum"] if isinstance(claim, dict) else claim.maximum
        if low is None and high is None:
            bounds.append(None)
        else:
            bounds.append((low if low is not None else high, high if high is not None else low))
    last = max((high for bound in bounds if bound for high in bound), default=0)
    rows = [(claim, placed(*bound, 0, last) if bound else None) for claim, bound in zip(claims, bounds, strict=True)]
    return {"rows": rows, "last": last}


@register.filter
def listed(values: Iterable[object]) -> SafeString:
    """Values in one line, apart by the comma of the language."""
    comma = "، " if get_language_bidi() else ", "
    return format_html_join(comma, "{}", ((value,) for value in values))

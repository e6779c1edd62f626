"""The design language keeps its promises: words, numbers, contrast, direction, no inline code, a light first view."""

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.cookie import CookieStorage
from django.template import engines
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import translation

from accounts import gallery
from accounts.edtf_words import in_words
from accounts.templatetags import ui

ROOT = Path(settings.BASE_DIR)
STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
COMPONENTS = sorted((TEMPLATES / "components").glob("*.html"))
SPRITE = (STATIC / "img" / "icons.svg").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2025-03-07", "7 March 2025"),
        ("2025-03", "March 2025"),
        ("2025", "2025"),
        ("2025-03-07~", "about 7 March 2025"),
        ("2025-03?", "March 2025 (uncertain)"),
        ("2025-03%", "about March 2025 (uncertain)"),
        ("2025-03-XX", "March 2025, day unknown"),
        ("2025-XX-XX", "2025, month unknown"),
        ("202X", "2020s"),
        ("2025-21", "spring 2025"),
        ("2025-03-07/2025-03-09", "7 March 2025 to 9 March 2025"),
        ("../2025-03-10", "until 10 March 2025"),
        ("2025-03-10/..", "from 10 March 2025 on"),
        ("2025-03-07T14:20:00Z", "7 March 2025, 14:20:00 UTC"),
        ("[2025-03-07,2025-03-09]", "[2025-03-07,2025-03-09]"),
        ("2025-02-30", "2025-02-30"),
        ("2025-03-07/nonsense", "2025-03-07/nonsense"),
    ],
)
def test_an_edtf_date_is_said_in_words_or_shown_as_it_is(text: str, words: str) -> None:
    assert in_words(text) == words


def test_what_was_written_is_escaped_in_a_date() -> None:
    assert "<script>" not in ui.edtf("<script>")


def test_a_thousand_never_looks_like_a_fraction() -> None:
    for language, shown in {"en": "1,383", "ar": "1,383", "fr": "1\u202f383"}.items():
        with translation.override(language):
            assert ui.number(1383) == f"<bdi>{shown}</bdi>"


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0"), (999, "999"), (1000, "1"), (999_999, "1"), (2_411_724, "2.41"), (4 * 10**9, "4")]
)
def test_a_size_has_three_digits_at_most(size: int, shown: str) -> None:
    assert ui.in_units(size).split("\u00a0")[0] == shown


def test_a_less_certain_date_is_wider_and_time_runs_leftwards_in_arabic() -> None:
    entries = [
        {"earliest": date(2025, 3, 1), "latest": date(2025, 3, 10)},
        {"earliest": date(2025, 3, 1), "latest": date(2025, 3, 1)},
        {"earliest": None, "latest": None},
    ]
    with translation.override("en"):
        scale = ui.date_spans(entries)
    (_, wide), (_, narrow), (_, none) = scale["rows"]
    assert (wide["x"], wide["width"]) == ("0.000%", "100.000%")
    assert (narrow["x"], narrow["width"]) == ("0.000%", "10.000%")
    assert none is None
    assert (scale["first"], scale["last"]) == (date(2025, 3, 1), date(2025, 3, 10))
    with translation.override("ar"):
        assert ui.date_spans(entries)["rows"][1][1]["x"] == "90.000%"


def test_claims_share_a_scale_from_zero_and_are_never_added() -> None:
    claims = [{"minimum": 50, "maximum": 100}, {"minimum": None, "maximum": 200}, {"minimum": None, "maximum": None}]
    scale = ui.number_spans(claims)
    assert scale["last"] == 200
    assert scale["rows"][0][1] == {"x": "25.000%", "width": "25.000%", "wide": True}
    assert scale["rows"][2][1] is None


def test_a_moment_is_shown_in_utc_and_says_so() -> None:
    shown = ui.when(datetime(2025, 3, 7, 23, 2, 33, tzinfo=UTC))
    assert "7 March 2025, 23:02 UTC" in shown
    assert 'datetime="2025-03-07T23:02:33Z"' in shown


def page(language: str = "en", query: str = "messages") -> str:
    request = RequestFactory().get(f"/?{query}")
    request.COOKIES["theme"] = "dark"
    request.user = AnonymousUser()
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]  # what the middleware sets
    with translation.override(language):
        return gallery.gallery(request).content.decode()


@pytest.mark.parametrize("language", ["en", "ar", "fr"])
def test_the_gallery_shows_every_component_in_every_language(language: str) -> None:
    html = page(language)
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}" data-theme="dark">' in html
    named = set(
        re.findall(r'(?:components/|wrap ")([a-z_]+)(?:\.html)?"', (TEMPLATES / "components/gallery.html").read_text())
    )
    inner = set()
    for path in [*COMPONENTS, TEMPLATES / "base.html"]:
        inner |= set(re.findall(r'include "components/([a-z_]+)\.html"', path.read_text()))
    assert {path.stem for path in COMPONENTS} - named - inner - {"gallery", "page_header"} == set()


def test_every_component_states_its_parameters() -> None:
    for path in COMPONENTS:
        if path.stem != "gallery":
            assert path.read_text().startswith("{% comment %}\n"), path.name


def test_no_page_of_the_design_carries_inline_code_or_style() -> None:
    html = page()
    assert not re.search(r"<(?!/)[^>]*\s(?:style|on[a-z]+)\s*=", html)
    assert not re.search(r"<style\b", html)
    for script in re.findall(r"<script\b[^>]*>", html):
        assert " src=" in script or 'type="application/json"' in script, script


def test_every_icon_that_is_named_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', SPRITE))
    for path in TEMPLATES.rglob("*.html"):
        named = set(re.findall(r'{% icon "([a-z-]+)"', path.read_text()))
        assert named <= drawn, (path.name, named - drawn)
    assert drawn >= ui.DIRECTIONAL


def test_an_error_in_a_field_is_tied_to_it_and_what_was_written_stays() -> None:
    html = page()
    control = re.search(r'<input[^>]*id="id_happened"[^>]*>', html)
    assert control is not None
    assert 'value="last week"' in control[0]
    assert 'aria-invalid="true"' in control[0]
    assert 'aria-describedby="id_happened_helptext id_happened_error"' in control[0]
    assert 'id="id_happened_error"' in html
    assert 'id="id_happened_helptext"' in html
    assert "What was written stays." in html


def test_a_form_inside_wrap_brings_its_token() -> None:
    request = RequestFactory().get("/")
    template = engines["django"].from_string(
        '{% load ui %}{% wrap "confirm" label="Do" title="Do it?" action="/x/" confirm_label="Do it" %}'
        "{{ outer }}{% endwrap %}"
    )
    html = template.render({"outer": "<b>"}, request)
    assert re.search(r'name="csrfmiddlewaretoken" value="[A-Za-z0-9]{64}"', html)
    assert "&lt;b&gt;" in html


def test_an_error_page_says_what_happened_what_is_not_lost_and_what_to_do() -> None:
    request = RequestFactory().get("/")
    for code in ("400", "403", "403_csrf", "404", "409", "429"):
        html = render_to_string(f"{code}.html", {"reason": ""}, request)
        assert html.count("<p>") >= 3
        assert re.search(r"[Nn]othing", html), code
    assert "Nothing is half done" in render_to_string("500.html")


def blocks() -> Iterator[dict[str, str]]:
    css = (STATIC / "css" / "tokens.css").read_text()
    for body in re.findall(r':root(?:\[data-theme="dark"\]|:not\(\[data-theme="light"\]\))? \{([^}]*)\}', css):
        found = dict(re.findall(r"--([a-z-]+): ([^;]+);", body))
        if "paper" in found:
            yield found


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_the_two_dark_blocks_say_the_same() -> None:
    _light, preferred, chosen = blocks()
    assert preferred == chosen


def test_text_has_contrast_in_both_themes() -> None:
    for tokens in blocks():
        for ground in ("paper", "surface", "sunken"):
            for text in ("ink", "ink-soft", "accent", "danger", "ok", "warn", "info"):
                assert contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground, tokens["paper"])
            assert contrast(tokens["line-strong"], tokens[ground]) >= 3, ground
        for tone in ("accent", "danger", "ok", "warn", "info"):
            assert contrast(tokens[tone], tokens[f"{tone}-tint"]) >= 4.5, tone
        assert contrast(tokens["on-accent"], tokens["accent"]) >= 4.5
        assert contrast(tokens["on-danger"], tokens["danger"]) >= 4.5
        assert contrast(tokens["on-veil"], tokens["veil"]) >= 4.5


def test_styles_know_no_left_and_right() -> None:
    """Exceptions say why on their line: leaflet's panes and a turned image have no reading direction."""
    physical = re.compile(
        r"(?<![a-z-])(?:(?:margin|padding|border)-)?(?:left|right)(?:-[a-z]+)?\s*:|text-align:\s*(?:left|right)"
    )
    for path in (STATIC / "css").glob("*.css"):
        for line in path.read_text().splitlines():
            assert not physical.search(line) or "/*" in line, (path.name, line)


def test_the_first_view_is_light() -> None:
    """Page, styles and scripts of a plain page, compressed one by one as they are served: 70 KB at most."""
    html = page()
    base = (TEMPLATES / "base.html").read_text()
    served = [*re.findall(r"{% static '([^']+\.(?:css|js|svg))' %}", base), "img/icons.svg", "img/favicon.svg"]
    total = len(gzip.compress(html.encode())) + sum(
        len(gzip.compress((STATIC / name).read_bytes())) for name in set(served)
    )
    assert total <= 70_000, total

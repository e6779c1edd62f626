"""Dates as evidence has them: read or refused, never guessed."""

import contextlib
from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.dates import parse


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("", None, None),
        ("2025", date(2025, 1, 1), date(2025, 12, 31)),
        ("2025-03", date(2025, 3, 1), date(2025, 3, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2025-03-08", date(2025, 3, 8), date(2025, 3, 8)),
        ("2025-03-08?", date(2025, 3, 8), date(2025, 3, 8)),
        ("2025-03-08~", date(2025, 3, 8), date(2025, 3, 8)),
        ("2025-03-XX", date(2025, 3, 1), date(2025, 3, 31)),
        ("2025-XX", date(2025, 1, 1), date(2025, 12, 31)),
        ("202X", date(2020, 1, 1), date(2029, 12, 31)),
        ("2025-03-06/2025-03-10", date(2025, 3, 6), date(2025, 3, 10)),
        ("2025-03/2025-04", date(2025, 3, 1), date(2025, 4, 30)),
        ("2025-03-06/..", date(2025, 3, 6), None),
        ("../2025-03-10", None, date(2025, 3, 10)),
        ("2025-03-06/", date(2025, 3, 6), None),
        ("2025-03-08T05:10:00+03:00", date(2025, 3, 8), date(2025, 3, 8)),
        ("2025-03-08T05:10Z", date(2025, 3, 8), date(2025, 3, 8)),
        ("  2025-03-08  ", date(2025, 3, 8), date(2025, 3, 8)),
    ],
)
def test_a_date_spans_the_days_it_can_mean(text: str, earliest: date | None, latest: date | None) -> None:
    dated = parse(text)
    assert (dated.earliest, dated.latest) == (earliest, latest)
    assert dated.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "08/03/2025",
        "2025-13-01",
        "2025-02-30",
        "2025-3-8",
        "../..",
        "/",
        "2025-03-10/2025-03-06",
        "2025-02-30T10:00",
        "٢٠٢٥-٠٣-٠٨",
        "2025-03-08; DROP TABLE evidence_item",
        "9" * 61,
        "\x00",
        "2025-03-08/2025-03-09/2025-03-10",
        "y-999999999",
        "-0044-03-15",
        "0000",
    ],
)
def test_what_is_no_date_of_the_calendar_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse(text)
    assert refused.value.messages[0]


@settings(max_examples=200, deadline=None)
@given(st.dates(date(1, 1, 1)), st.integers(0, 4000))
def test_every_day_and_every_interval_is_read_as_it_is_written(first: date, days: int) -> None:
    last = min(first + timedelta(days=days), date.max) if first < date.max - timedelta(days=days) else first
    assert parse(first.isoformat()).earliest == parse(first.isoformat()).latest == first
    spanned = parse(f"{first.isoformat()}/{last.isoformat()}")
    assert (spanned.earliest, spanned.latest) == (first, last)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789-/.XuU?~%TZ:+ YyEe[]{},s"), max_size=24))
def test_whatever_is_typed_is_a_date_with_ordered_ends_or_a_validation_error(text: str) -> None:
    try:
        dated = parse(text)
    except ValidationError:
        return
    if dated.earliest and dated.latest:
        assert dated.earliest <= dated.latest


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=70))
def test_any_unicode_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValidationError):
        assert parse(text).text == text.strip()

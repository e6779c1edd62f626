"""The library: who sees what, search that forgives spelling, pages at any depth."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Compartment, Role, User
from evidence import actions, queries
from evidence.models import Item
from evidence.queries import Filters
from evidence.search import normalised
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Compartment:
    return factories.make_compartment()


@pytest.fixture
def person(place: Compartment) -> User:
    return factories.make_user(Role.INVESTIGATOR, place)


def found(user: User, **filters: str) -> set[str]:
    return {item.accession for item in queries.library(user, Filters(**filters))}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("أحمد الأحمد", "احمد الاحمد"),
        ("إدلب", "ادلب"),
        ("آمنة", "امنه"),
        ("مُسْتَشْفَى بانياس", "مستشفي بانياس"),
        ("مدرسة", "مدرسه"),
        ("سماء", "سما"),
        ("مسؤول", "مسوول"),
        ("أبو علي", "ابي علي"),
        ("بـانـيـاس", "بانياس"),
        ("شارع ٨ آذار", "شارع 8"),
        ("ﻻذقية", "لاذقية"),
        ("کوردی", "كوردي"),
        ("Élodie à Baniyas", "elodie a BANIYAS"),
        ("Baniyas,\nnorth", "north"),
        ("50% of it_all", "50%"),
        ("a\\b", "a\\b"),
    ],
)
def test_search_finds_what_is_spelt_otherwise(place: Compartment, person: User, written: str, asked: str) -> None:
    item = factories.make_item(place, by=person, title=written)
    factories.make_item(place, by=person, title="something else")
    assert found(person, q=asked) == {item.accession}
    assert found(person, q=written) == {item.accession}


def test_signs_of_patterns_are_searched_as_they_are(place: Compartment, person: User) -> None:
    factories.make_item(place, by=person, title="anything")
    for pattern in ("%", "_", "a%g", "any_hing", "\\"):
        assert found(person, q=pattern) == set()


def test_every_word_must_be_there_in_title_description_or_number(place: Compartment, person: User) -> None:
    item = factories.make_item(place, by=person, title="Courtyard at dusk", description="Two cars burn")
    assert found(person, q="burn courtyard") == {item.accession}
    assert found(person, q="burn meadow") == set()
    assert found(person, q=item.accession.lower()) == {item.accession}


def test_the_search_column_follows_every_description(place: Compartment, person: User) -> None:
    item = factories.make_item(place, by=person, title="before")
    actions.describe_item(by=person, at=timezone.now(), accession=item.accession, changes={"title": "after"})
    assert (found(person, q="before"), found(person, q="after")) == (set(), {item.accession})


def test_normalising_twice_is_normalising_once() -> None:
    for text in ("أبو محمد", "آآآ ﻻ", "ÀÉÎ ß İ", "  a \n b  ", "ابي ابي ابي"):
        assert normalised(normalised(text)) == normalised(text)


def test_search_uses_the_trigram_index(place: Compartment, person: User) -> None:
    factories.make_item(place, by=person, title="needle")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = queries.library(person, Filters(q="needle other")).explain()
    assert "item_search" in plan


def test_what_is_said_of_items_is_searched_only_where_it_may_be_read(place: Compartment, person: User) -> None:
    item = factories.make_item(place, by=person, title="Courtyard", language="ar", graphic=True)
    auditor = factories.make_user(Role.AUDITOR)
    assert found(auditor) == {item.accession}
    assert found(auditor, q=item.accession) == {item.accession}
    for filters in ({"q": "Courtyard"}, {"language": "ar"}, {"graphic": "yes"}, {"kind": "photo"}, {"needs": "type"}):
        assert found(auditor, **filters) == set(), filters


def test_another_compartment_is_not_seen_found_or_counted(place: Compartment, person: User) -> None:
    factories.make_item(factories.make_compartment(), title="Courtyard")
    assert found(person) == found(person, q="Courtyard") == set()


def test_filters_narrow(place: Compartment, person: User) -> None:
    yard = examined(factories.make_item(place, by=person, data=photograph(1), title="Yard", created_edtf="2025-03-07"))
    film = factories.make_item(place, by=person, kind="video", language="apc", created_edtf="2025-03/2025-04")
    copy = factories.make_item(place, by=person, data=photograph(1))
    actions.verify_item(by=person, at=timezone.now(), accession=film.accession)
    Item.objects.filter(pk=film.pk).update(last_outcome="changed", last_verified_at=timezone.now())
    y, f, c = yard.accession, film.accession, copy.accession
    for filters, expected in (
        ({"kind": "photo"}, {y}),
        ({"family": "image"}, {y}),
        ({"language": "apc"}, {f}),
        ({"fixity": "failed"}, {f}),
        ({"fixity": "never"}, {y, c}),
        ({"duplicates": "yes"}, {c}),
        ({"needs": "description"}, {f, c}),
        ({"needs": "examination"}, {f, c}),
        ({"since": "2025-03-08"}, {f}),
        ({"until": "2025-03-07"}, {y, f}),
        ({"since": "2025-03-07", "until": "2025-03-07"}, {y, f}),
        ({"since": "nonsense", "kind": "nonsense", "graphic": "maybe"}, {y, f, c}),
        ({"compartment": place.code}, {y, f, c}),
        ({"compartment": "OTHER"}, set()),
    ):
        assert found(person, **filters) == expected, filters


def test_every_page_follows_the_one_before_without_gap_or_repetition(place: Compartment, person: User) -> None:
    made = [factories.make_item(place, by=person).accession for _ in range(7)]
    same = timezone.now()
    Item.objects.filter(accession__in=made[2:6]).update(received_at=same)  # only the id orders these
    items = queries.library(person, Filters())
    seen, mark = [], ""
    while True:
        page = queries.page(items, after=mark, size=2)
        seen += [item.accession for item in page.items]
        if not page.older:
            break
        mark = page.older
    assert sorted(seen) == sorted(made)
    assert seen == [item.accession for item in items.order_by("-received_at", "-id")]
    back = queries.page(items, before=page.newer, size=2)
    assert [item.accession for item in back.items] == seen[4:6]


def test_a_page_is_found_by_comparing_rows_as_a_whole(place: Compartment, person: User) -> None:
    factories.make_item(place, by=person)
    items = queries.library(person, Filters())
    mark = queries._mark(items.get())
    with CaptureQueriesContext(connection) as asked:
        queries.page(items, after=mark)
    assert '("evidence_item"."received_at", "evidence_item"."id") < (' in asked[-1]["sql"]


@pytest.mark.parametrize("mark", ["x", "%%%", "MjAyNQ", "é", "bm90IGEgZGF0ZSAx"])
def test_a_mark_that_cannot_be_read_gives_the_first_page(place: Compartment, person: User, mark: str) -> None:
    item = factories.make_item(place, by=person)
    assert [one.pk for one in queries.page(queries.library(person, Filters()), after=mark).items] == [item.pk]


def test_counting_stops_where_it_tells_no_more(
    monkeypatch: pytest.MonkeyPatch, place: Compartment, person: User
) -> None:
    monkeypatch.setattr(queries, "COUNT_LIMIT", 2)
    for _ in range(5):
        factories.make_item(place, by=person)
    assert queries.count(queries.library(person, Filters())) == 3


def library(user: User, query: str = "") -> str:
    response = factories.signed_in(user).get(f"/items/{query}")
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


@pytest.mark.parametrize("view", ["cards", "table"])
def test_the_pages_show_no_picture_of_a_graphic_item(place: Compartment, person: User, view: str) -> None:
    plain = examined(factories.make_item(place, by=person, data=photograph(2)))
    graphic = examined(factories.make_item(place, by=person, data=photograph(3), graphic=True))
    page = library(person, f"?view={view}")
    assert graphic.accession in page
    assert f"/items/{graphic.accession}/preview/" not in page
    assert (f"/items/{plain.accession}/preview/" in page) is (view == "cards")


@pytest.mark.parametrize("view", ["cards", "table"])
def test_an_auditor_s_list_says_nothing_of_content(place: Compartment, person: User, view: str) -> None:
    item = examined(factories.make_item(place, by=person, data=photograph(), name="Layla.jpg", title="Courtyard"))
    page = library(factories.make_user(Role.AUDITOR), f"?view={view}")
    assert item.accession in page
    for word in ("Courtyard", "Layla", "Photograph", "/preview/"):
        assert word not in page, word


def test_an_empty_library_teaches_and_an_empty_search_offers_a_way_back(person: User) -> None:
    assert "exactly as it came" in library(person)
    assert "Nothing matches" in library(person, "?q=nothing")


def test_who_holds_no_role_is_refused() -> None:
    assert factories.signed_in(factories.stranger()).get("/items/").status_code == 403


def test_the_ticked_items_are_described_together_or_not_at_all(place: Compartment, person: User) -> None:
    items = [factories.make_item(place, by=person) for _ in range(3)]
    client = factories.signed_in(person)
    data: dict[str, Any] = {"item": [item.accession for item in items[:2]], "language": "ar", "graphic": "yes"}
    assert client.post("/items/describe/", data).status_code == 302
    assert list(Item.objects.order_by("accession").values_list("language", "graphic")) == [
        ("ar", True),
        ("ar", True),
        ("", False),
    ]
    wrong = client.post("/items/describe/", data | {"created_edtf": "some day", "source": "A channel"})
    assert wrong.status_code == 422
    text = wrong.content.decode()
    assert "some day" in text
    assert "A channel" in text
    assert not Item.objects.exclude(source="").exists()
    hidden = factories.make_item()
    assert client.post("/items/describe/", data | {"item": [items[2].accession, hidden.accession]}).status_code == 404
    assert Item.objects.get(pk=items[2].pk).language == ""
    assert client.post("/items/describe/", {"item": []}).status_code == 422
    assert client.post("/items/describe/", {"item": [items[0].accession]}).status_code == 422


def test_the_dashboard_says_what_needs_somebody_now(place: Compartment, person: User) -> None:
    client = factories.signed_in(person)
    assert "Open an incident and drag files into it" in client.get("/").content.decode()
    factories.make_item(place, by=person)
    page = client.get("/").content.decode()
    assert "?needs=description" in page
    assert "Not yet recorded" in page

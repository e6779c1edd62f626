"""The trail: filtered, paged, taken away safely, and itself on the trail. No content ever comes with it."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Compartment, Role, User
from custody.engine import Subject, acting, record
from custody.models import Event, EventSubject
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Outcome, Type
from evidence import actions as evidence_actions
from evidence.models import Item
from tests import factories
from verification import actions, trail_views
from verification.exports import cell
from verification.models import Run
from verification.vocabulary import Scope

pytestmark = pytest.mark.django_db

SECRETS = ("Qamar-secret-title", "Zayd-secret-name", "Layla-secret-description", "Hidden-place", "Hidden-source")


@pytest.fixture
def browser(auditor: User) -> Client:
    return factories.signed_in(auditor)


def text(response: Any) -> str:
    body = b"".join(response) if response.streaming else response.content
    return str(body.decode())


def shown(page: Any) -> list[Any]:
    return [row.event_id for row in page.context["rows"]]


def test_the_trail_shows_every_event_newest_first_with_agent_act_and_subject(
    browser: Client, items: list[Item]
) -> None:
    page = browser.get(reverse("verification:trail"))
    received = [row for row in page.context["rows"] if row.type == Type.RECEIVE]
    assert [row.about[0].shown for row in received] == [item.accession for item in reversed(items)]
    assert {row.agent for row in received} == {items[0].received_by.display_name}
    assert all(row.recorded and row.compartment == items[0].compartment.code for row in received)
    times = [row.at for row in page.context["rows"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("name", ["type", "outcome", "agent", "compartment", "item", "dates"])
def test_each_filter_shows_exactly_the_events_it_names(
    name: str, browser: Client, auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    factories.make_item()
    with acting():
        record(
            Type.VERIFY,
            by=auditor,
            at=datetime(2024, 2, 29, 23, 59, tzinfo=UTC),
            subjects=[Subject("item", items[0].pk)],
            compartment=compartment.pk,
            outcome=Outcome.FAILURE,
        )
    about = EventSubject.objects.filter(kind="item", subject_id=items[0].pk).values("event_id")
    query, expected = {
        "type": ({"type": "ingestion"}, Event.objects.filter(type="ingestion")),
        "outcome": ({"outcome": "failure"}, Event.objects.filter(outcome="failure")),
        "agent": (
            {"agent": items[0].received_by.username},
            Event.objects.filter(agent_id=items[0].received_by_id),
        ),
        "compartment": ({"compartment": compartment.code}, Event.objects.filter(compartment_id=compartment.pk)),
        "item": ({"item": items[0].accession}, Event.objects.filter(pk__in=about)),
        "dates": ({"since": "2024-02-29", "until": "2024-02-29"}, Event.objects.filter(at__year=2024)),
    }[name]
    wanted = list(expected.order_by("-at", "-id").values_list("pk", flat=True))
    assert wanted
    assert len(wanted) < Event.objects.count()
    assert shown(browser.get(reverse("verification:trail"), query)) == wanted


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"type": "nonsense"}, "type"),
        ({"agent": "nobody-here"}, "agent"),
        ({"agent": "\x00"}, "agent"),
        ({"item": "SY-1-000001"}, "item"),
        ({"compartment": "NOWHERE"}, "compartment"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2025-03-09", "until": "2025-03-08"}, "until"),
    ],
)
def test_a_filter_that_names_nothing_says_so_under_its_field(
    query: dict[str, str], field: str, browser: Client, items: list[Item]
) -> None:
    page = browser.get(reverse("verification:trail"), query)
    assert page.status_code == 422
    assert list(page.context["form"].errors) == [field]
    assert page.context["rows"] == []


def test_pages_lead_through_the_whole_trail_once_and_back(
    browser: Client, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_views, "PAGE", 4)
    base = reverse("verification:trail")
    page, seen = browser.get(base), []
    everything = list(Event.objects.order_by("-at", "-id").values_list("pk", flat=True))
    seen += shown(page)
    pages = 1
    while page.context["older_url"]:
        page = browser.get(base + page.context["older_url"])
        seen += shown(page)
        pages += 1
    assert seen == everything
    for _ in range(pages - 1):
        page = browser.get(base + page.context["newer_url"])
    assert shown(page) == everything[:4]


@pytest.mark.parametrize(
    "cursor", ["<", "<x", "<2025-01-01T00:00:00+00:00,x", ">2025,1", "%00", "<2025-01-01T00:00:00,1"]
)
def test_a_broken_page_address_shows_the_first_page(cursor: str, browser: Client, items: list[Item]) -> None:
    assert browser.get(reverse("verification:trail"), {"page": cursor}).status_code == 200


def test_events_of_the_same_moment_are_neither_lost_nor_shown_twice(
    browser: Client, auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_views, "PAGE", 3)
    at = timezone.now()
    for _ in range(8):
        with acting():
            record(Type.VIEW, by=auditor, at=at, subjects=[Subject("user", auditor.pk)])
    base, url, seen = reverse("verification:trail"), reverse("verification:trail") + "?type=displaying", []
    while url:
        page = browser.get(url)
        seen += shown(page)
        url = base + page.context["older_url"] if page.context["older_url"] else ""
    assert len(seen) == len(set(seen)) == 8


def test_the_trail_of_an_item_and_of_a_person_hold_their_events(browser: Client, items: list[Item]) -> None:
    item, someone = items[0], items[0].received_by
    about = EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
    page = browser.get(reverse("verification:item_trail", args=[item.accession]))
    assert shown(page) == list(Event.objects.filter(pk__in=about).order_by("-at", "-id").values_list("pk", flat=True))
    page = browser.get(reverse("verification:person_trail", args=[someone.pk]))
    assert shown(page) == list(
        Event.objects.filter(agent_id=someone.pk).order_by("-at", "-id").values_list("pk", flat=True)
    )


def test_a_compartments_auditor_reads_that_compartments_events_and_no_others(
    own_auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    elsewhere = factories.make_item()
    browser = factories.signed_in(own_auditor)
    rows = browser.get(reverse("verification:trail")).context["rows"]
    assert {row.compartment for row in rows} == {compartment.code}
    assert browser.get(reverse("verification:item_trail", args=[elsewhere.accession])).status_code == 404
    page = browser.get(reverse("verification:person_trail", args=[elsewhere.received_by_id]))
    assert page.context["rows"] == []


def readings() -> list[tuple[list[str], str]]:
    """What READ_TRAIL events are about, and whether they were a copy, oldest first."""
    from custody.engine import opened

    events = list(Event.objects.filter(type=Type.READ_TRAIL).order_by("at", "id"))
    values = opened([event.pk for event in events])
    return [
        ([subject["kind"] for subject in values[event.pk]["subjects"][1]][:1], values[event.pk]["purpose"][1])
        for event in events
    ]


def test_reading_a_trail_is_on_the_trail_once_in_five_minutes_and_each_copy_is_too(
    browser: Client, auditor: User, items: list[Item]
) -> None:
    item = items[0]
    for _ in range(2):
        browser.get(reverse("verification:item_trail", args=[item.accession]))
    assert readings() == [(["item"], "reading")]
    for name in ("item_trail_csv", "item_trail_print"):
        text(browser.get(reverse(f"verification:{name}", args=[item.accession])))
    assert readings()[1:] == [(["item"], "copy"), (["item"], "copy")]
    browser.get(reverse("verification:person_trail", args=[item.received_by_id]))
    browser.get(reverse("verification:trail"))
    assert readings()[3:] == [(["user"], "reading"), (["user"], "reading")]
    later = timezone.now() + timedelta(minutes=6)
    actions.read_trail(by=auditor, at=later, subject=Subject("item", item.pk), compartment=item.compartment_id)
    assert len(readings()) == 6


def test_what_was_refused_is_told_by_the_name_of_the_permission(
    browser: Client, compartment: Compartment, items: list[Item]
) -> None:
    protector = factories.make_user(Role.PROTECTION_OFFICER, compartment)
    factories.signed_in(protector).get(reverse("verification:desk"))
    page = browser.get(reverse("verification:trail"), {"outcome": "refused"})
    assert [(row.agent, row.permission) for row in page.context["rows"]] == [(protector.display_name, "item.verify")]


def test_the_csv_holds_the_whole_filtered_trail(browser: Client, items: list[Item]) -> None:
    answer = browser.get(reverse("verification:trail_csv"), {"type": "ingestion"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    body = text(answer)
    assert body.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(body.removeprefix("\ufeff"))))
    assert rows[0][:4] == ["Entry", "Event", "Time (UTC)", "Act"]
    assert [row[6] for row in rows[1:]] == [f"Item {item.accession}" for item in reversed(items)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "|"])
def test_no_cell_of_a_csv_is_a_formula(start: str, browser: Client) -> None:
    assert cell(f"{start}cmd") == f"'{start}cmd"
    if start in "=+-@|":
        someone = factories.make_user(display_name=f"{start}HYPERLINK()")
        factories.signed_in(someone).get(reverse("accounts:people"))
        body = text(browser.get(reverse("verification:person_trail_csv", args=[someone.pk])))
        assert f"'{start}HYPERLINK()" in body
        assert f",{start}HYPERLINK" not in body


def pages(run: Run, item: Item, person: User) -> Iterator[str]:
    for name, arguments in (
        ("desk", []),
        ("items", []),
        ("runs", []),
        ("run", [run.pk]),
        ("run_print", [run.pk]),
        ("run_csv", [run.pk]),
        ("run_progress", [run.pk]),
        ("item", [item.accession]),
        ("item_trail", [item.accession]),
        ("item_trail_csv", [item.accession]),
        ("item_trail_print", [item.accession]),
        ("person_trail", [person.pk]),
        ("person_trail_csv", [person.pk]),
        ("person_trail_print", [person.pk]),
        ("trail", []),
        ("trail_csv", []),
        ("trail_print", []),
        ("checkpoints", []),
    ):
        yield reverse(f"verification:{name}", args=arguments)
    yield reverse("accounts:home")
    for name, arguments in (
        ("verification-runs-list", []),
        ("verification-runs-detail", [run.pk]),
        ("verification-runs-results", [run.pk]),
        ("coverage-list", []),
        ("checkpoints-list", []),
    ):
        yield reverse(name, args=arguments)


def test_no_page_csv_or_api_of_an_audit_holds_a_title_a_name_or_a_word_of_a_description(auditor: User) -> None:
    """Everything that can be said of an item is planted, changed, spoilt and failed before the auditor looks."""
    title, name, description, place, source = SECRETS
    compartment = factories.make_compartment(title="Secret-investigation", description="Secret-purpose")
    investigator = factories.make_user(Role.INVESTIGATOR, compartment)
    item = factories.make_item(
        compartment,
        by=investigator,
        name=f"{name}.jpg",
        title=title,
        description=description,
        place_name=place,
        source=source,
    )
    evidence_actions.describe_item(
        by=investigator,
        at=timezone.now(),
        accession=item.accession,
        changes={"title": f"{title}-2", "acquired_by": name},
        reason=f"{description}-reason",
    )
    factories.make_testimony(factories.make_witness(compartment), text=description)
    drain()
    sign_head()
    Item.objects.filter(pk=item.pk).update(title=f"{title}-3")
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=timezone.now().timestamp() + 1e12)
    run.refresh_from_db()
    assert run.failed == 1
    drain()
    sign_head()
    browser = factories.signed_in(auditor)
    urls = [*pages(run, item, investigator)]
    urls += [reverse("verification:entry", args=[index]) for index in range(Event.objects.count())]
    urls += [reverse("entries-detail", args=[index]) for index in range(3)]
    for url in urls:
        answer = browser.get(url)
        assert answer.status_code in (200, 404), url
        body = text(answer)
        for secret in (*SECRETS, "Secret-investigation", "Secret-purpose"):
            assert secret not in body, f"{secret} on {url}"

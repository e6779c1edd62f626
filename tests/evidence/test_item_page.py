"""The page of one item, and describing it."""

import pytest
from django.utils import timezone

from accounts.actions import set_language
from accounts.edtf_words import in_words
from accounts.models import Role
from custody.models import Event
from custody.vocabulary import Type
from evidence import actions
from evidence.description import DESCRIBED, version_of
from evidence.models import Item
from evidence.readiness import readiness
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db


@pytest.fixture
def item() -> Item:
    made = factories.make_item(data=photograph(), name="Layla.jpg", title="Courtyard")
    return examined(made)


def page(item: Item, user: object = None, query: str = "") -> str:
    response = factories.signed_in(user or item.received_by).get(f"/items/{item.accession}/{query}")  # type: ignore[arg-type]
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def test_the_page_keeps_what_people_say_apart_from_what_the_device_claims(item: Item) -> None:
    text = page(item)
    said, claimed = text.index('id="said"'), text.index('id="claims"')
    assert said < text.index("Courtyard", said) < claimed < text.index("Phone Works")
    assert "35.182400, 35.940500" in text[claimed:]
    assert "What you sent is what we hold" in text
    assert item.sha256 in text
    assert item.sha512 in text
    assert "Layla.jpg" in text


def test_opening_the_page_is_a_custody_event_once_in_five_minutes(item: Item) -> None:
    for _ in range(3):
        page(item)
    assert Event.objects.filter(type=Type.VIEW, agent_id=item.received_by_id).count() == 1


@pytest.mark.usefixtures("key_of_the_ledger")
def test_an_auditor_sees_the_proof_and_nothing_of_the_content(item: Item) -> None:
    actions.describe_item(
        by=item.received_by,
        at=timezone.now(),
        accession=item.accession,
        changes={"source": "Channel-Nine", "title": "Meadow"},
        reason="heard from Layla",
    )
    auditor = factories.make_user(Role.AUDITOR)
    text = page(item, auditor)
    for word in ("Courtyard", "Meadow", "Layla", "Channel-Nine", "Phone Works", "35.1824", "/content/", "/preview/"):
        assert word not in text, word
    assert item.sha256 in text
    assert "Verify now" in text
    assert "Changed: " in text
    receipt = factories.signed_in(auditor).get(f"/items/{item.accession}/receipt/").content.decode()
    assert item.sha256 in receipt
    assert "Layla" not in receipt


def test_a_graphic_item_is_veiled_and_nothing_plays_by_itself(item: Item) -> None:
    actions.describe_item(by=item.received_by, at=timezone.now(), accession=item.accession, changes={"graphic": True})
    text = page(item)
    assert "data-veil" in text
    assert text.index("data-veil") < text.index(f"/items/{item.accession}/preview/")
    assert 'loading="lazy"' in text
    assert "autoplay" not in text


def test_a_type_conflict_is_told_in_words_and_nothing_is_shown() -> None:
    made = factories.make_item()
    actions.record_examination(
        at=timezone.now(), item_id=made.pk, puremagic="application/pdf", libmagic="text/html", claims=None, problem=""
    )
    text = page(made)
    assert "Two identifiers disagree" in text
    assert f"/items/{made.accession}/content/" not in text


def test_duplicates_link_to_each_other(item: Item) -> None:
    copy = factories.make_item(item.compartment, by=item.received_by, data=photograph())
    assert f"/items/{copy.accession}/" in page(item)
    assert f"/items/{item.accession}/" in page(copy)


def test_verify_now_shows_each_step(item: Item) -> None:
    client = factories.signed_in(factories.make_user(Role.AUDITOR))
    answer = client.post(f"/items/{item.accession}/verify/")
    assert answer.status_code == 302
    text = client.get(f"/items/{item.accession}/").content.decode()
    assert "The stored bytes were read; their digest is their address." in text
    assert "Part of it waits for the next signed checkpoint." in text


def test_the_story_tells_from_and_to_in_words(item: Item) -> None:
    actions.describe_item(
        by=item.received_by,
        at=timezone.now(),
        accession=item.accession,
        changes={"title": "Meadow", "graphic": True, "created_edtf": "2025-03-07~", "created_basis": "source"},
    )
    text = page(item)
    assert "<del><bdi>Courtyard</bdi></del> → <ins><bdi>Meadow</bdi></ins>" in text
    assert "<del>no</del> → <ins>yes</ins>" in text
    assert in_words("2025-03-07~") in text
    assert "Said by the source" in text


def form(item: Item, **changes: str) -> dict[str, str]:
    said = {name: str(getattr(item, name) or "") for name in DESCRIBED if name != "graphic"}
    return said | {"version": version_of(item), "reason": ""} | changes


def test_describing_saves_and_tells_from_what_to_what(item: Item) -> None:
    item.refresh_from_db()
    client = factories.signed_in(item.received_by)
    answer = client.post(f"/items/{item.accession}/describe/", form(item, title="Meadow", reason="seen again"))
    assert answer.status_code == 302
    assert Item.objects.get(pk=item.pk).title == "Meadow"
    assert Event.objects.filter(type=Type.DESCRIBE).count() == 1


def test_bad_input_names_the_field_and_keeps_what_was_typed(item: Item) -> None:
    item.refresh_from_db()
    client = factories.signed_in(item.received_by)
    sent = form(item, created_edtf="some day", latitude="35.1", description="A long text about the yard")
    answer = client.post(f"/items/{item.accession}/describe/", sent)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "is not a date Sanad can read" in text
    assert "Give both latitude and longitude, or neither." in text
    for typed in ("some day", "35.1", "A long text about the yard"):
        assert typed in text
    assert Item.objects.get(pk=item.pk).description == ""


def test_a_description_changed_meanwhile_is_409_and_nothing_typed_is_lost(item: Item) -> None:
    item.refresh_from_db()
    client = factories.signed_in(item.received_by)
    mine = form(item, title="My words")
    actions.describe_item(
        by=item.received_by, at=timezone.now(), accession=item.accession, changes={"title": "Their words"}
    )
    answer = client.post(f"/items/{item.accession}/describe/", mine)
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "My words" in text
    assert "Their words" in text
    assert Item.objects.get(pk=item.pk).title == "Their words"
    again = mine | {"version": version_of(Item.objects.get(pk=item.pk))}
    assert client.post(f"/items/{item.accession}/describe/", again).status_code == 302
    assert Item.objects.get(pk=item.pk).title == "My words"


@pytest.mark.parametrize("role", [Role.LEGAL_REVIEWER, Role.AUDITOR, Role.PROTECTION_OFFICER])
def test_who_may_not_describe_is_refused_on_form_and_post(item: Item, role: Role) -> None:
    place = None if role == Role.AUDITOR else item.compartment
    client = factories.signed_in(factories.make_user(role, place))
    assert client.get(f"/items/{item.accession}/describe/").status_code == 403
    assert client.post(f"/items/{item.accession}/describe/", {"title": "x"}).status_code == 403
    assert client.post(f"/items/{item.accession}/place/", {"precision": "exact"}).status_code == 403


def test_the_device_s_position_is_taken_over_with_the_precision_a_person_gives(item: Item) -> None:
    client = factories.signed_in(item.received_by)
    assert "Take this position over as the place" in page(item)
    assert client.post(f"/items/{item.accession}/place/", {"precision": "nowhere"}).status_code == 302
    assert Item.objects.get(pk=item.pk).latitude is None
    client.post(f"/items/{item.accession}/place/", {"precision": "vicinity"})
    placed = Item.objects.get(pk=item.pk)
    assert (str(placed.latitude), str(placed.longitude), placed.precision) == ("35.182400", "35.940500", "vicinity")


def test_without_a_claimed_position_there_is_nothing_to_take_over() -> None:
    made = factories.make_item()
    client = factories.signed_in(made.received_by)
    assert client.post(f"/items/{made.accession}/place/", {"precision": "exact"}).status_code == 409


def test_readiness_never_counts_what_only_a_device_claims_as_met(item: Item) -> None:
    item.refresh_from_db()
    elements = readiness(item, item.claims, [])
    assert [element.state for element in elements] == ["missing", "partly", "partly", "missing", "missing", "partly"]
    actions.describe_item(
        by=item.received_by,
        at=timezone.now(),
        accession=item.accession,
        changes={
            "created_edtf": "2025-03-07",
            "created_basis": "source",
            "place_name": "Baniyas",
            "latitude": "35.1824",
            "longitude": "35.9405",
            "precision": "locality",
            "description": "A yard.",
            "source_kind": "own",
            "source": "Team A",
            "acquired_by": "Team A",
        },
    )
    item.refresh_from_db()
    states = [element.state for element in readiness(item, item.claims, [])]
    assert states == ["met", "met", "partly", "met", "met", "partly"]


def test_a_page_in_arabic_reads_from_right_to_left(item: Item) -> None:
    set_language(by=item.received_by, language="ar")
    client = factories.signed_in(item.received_by)
    text = client.get(f"/items/{item.accession}/").content.decode()
    assert 'dir="rtl"' in text
    assert f'<bdi class="mono">{item.accession}</bdi>' in text

"""Items in the API: the same actions, the same refusals, the same bytes."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.actions import issue_token
from accounts.models import Role, User
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from evidence import actions
from evidence.models import Item
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db


@pytest.fixture
def item() -> Item:
    return examined(factories.make_item(data=photograph(), name="Layla.jpg", title="Courtyard"))


def api(user: User, *, read_only: bool = False) -> APIClient:
    _token, secret = issue_token(
        by=user, at=timezone.now(), purpose="tests", read_only=read_only, life=timedelta(days=1)
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_an_item_is_told_whole_to_who_may_read_it(item: Item) -> None:
    told = api(item.received_by).get(f"/api/v1/items/{item.accession}/").json()
    assert (told["readable"], told["original_name"], told["described"]["title"]) == (True, "Layla.jpg", "Courtyard")
    assert told["device_claims"]["make"] == "Phone Works"
    assert told["has_preview"] is True


def test_an_auditor_is_told_digests_and_nothing_of_content(item: Item) -> None:
    client = api(factories.make_user(Role.AUDITOR))
    for answer in (client.get(f"/api/v1/items/{item.accession}/"), client.get("/api/v1/items/")):
        text = answer.content.decode()
        assert item.sha256 in text
        for word in ("Courtyard", "Layla", "Phone Works", "image/jpeg", "described"):
            assert word not in text, word
    custody = client.get(f"/api/v1/items/{item.accession}/custody/").json()
    assert custody[0]["type"] == "ingestion"
    assert custody[0]["premis"].startswith("http://id.loc.gov/")
    assert all("fields_opened" not in line for line in custody)
    assert client.get(f"/api/v1/items/{item.accession}/content/").status_code == 403


def test_the_list_pages_by_marks_and_filters(item: Item) -> None:
    made = [factories.make_item(item.compartment, by=item.received_by, language="ar") for _ in range(3)]
    client = api(item.received_by)
    first = client.get("/api/v1/items/?limit=2&language=ar").json()
    assert (first["count"], first["previous"], len(first["results"])) == (3, None, 2)
    second = client.get(first["next"]).json()
    seen = [row["accession"] for row in first["results"] + second["results"]]
    assert seen == [one.accession for one in reversed(made)]
    assert second["next"] is None
    assert client.get(second["previous"]).json()["results"] == first["results"]


def views_of(item: Item) -> int:
    return sum(line.type == Type.VIEW for line in story("item", item.pk))


def test_the_list_tells_what_the_library_shows_and_no_word_more(item: Item) -> None:
    actions.describe_item(
        by=item.received_by,
        at=timezone.now(),
        accession=item.accession,
        changes={"description": "A man in blue.", "source": "A neighbour", "place_name": "Sanobar", "kind": "photo"},
    )
    answer = api(item.received_by).get("/api/v1/items/")
    (row,) = answer.json()["results"]
    assert (row["title"], row["kind"], row["media_type"], row["graphic"]) == ("Courtyard", "photo", "image/jpeg", False)
    for word in ("A man in blue", "A neighbour", "Sanobar", "Layla", "Phone Works", "described"):
        assert word not in answer.content.decode(), word
    assert views_of(item) == 0


def test_changing_nothing_is_a_reading_all_the_same(item: Item) -> None:
    told = api(item.received_by).patch(f"/api/v1/items/{item.accession}/", {}).json()
    assert told["original_name"] == "Layla.jpg"
    assert [line.type for line in story("item", item.pk)][-1] == Type.VIEW
    assert views_of(item) == 1
    actions.open_record(by=item.received_by, at=timezone.now(), accession=item.accession)
    assert views_of(item) == 1


def test_the_form_that_shows_the_description_is_a_reading(item: Item) -> None:
    assert "Courtyard" in factories.signed_in(item.received_by).get(f"/items/{item.accession}/describe/").text
    assert views_of(item) == 1


def test_describing_follows_the_version_and_names_wrong_fields(item: Item) -> None:
    client, url = api(item.received_by), f"/api/v1/items/{item.accession}/"
    version = client.get(url).json()["version"]
    changed = client.patch(url, {"title": "Meadow", "version": version})
    assert (changed.status_code, changed.json()["described"]["title"]) == (200, "Meadow")
    late = client.patch(url, {"title": "Lane", "version": version})
    assert (late.status_code, late.json()["code"]) == (409, "not_now")
    for field, value in (
        ("created_edtf", "some day"),
        ("kind", "rumour"),
        ("latitude", 91),
        ("title", "x" * 201),
        ("graphic", "perhaps"),
    ):
        wrong = client.patch(url, {field: value})
        assert (wrong.status_code, list(wrong.json())) == (400, [field]), wrong.json()
    assert Item.objects.get(pk=item.pk).title == "Meadow"


def test_what_cannot_be_described_is_not_changed_by_asking(item: Item) -> None:
    client, url = api(item.received_by), f"/api/v1/items/{item.accession}/"
    for name in ("sha256", "accession", "received_at", "compartment", "media_type"):
        client.patch(url, {name: "x", "title": "Meadow"})
    same = Item.objects.get(pk=item.pk)
    assert (same.sha256, same.accession, same.media_type) == (item.sha256, item.accession, item.media_type)


def test_bytes_come_by_range_and_as_a_download(item: Item) -> None:
    client, url = api(item.received_by), f"/api/v1/items/{item.accession}"
    part = client.get(f"{url}/content/", headers={"Range": "bytes=0-2", "Accept": "image/*"})
    assert (part.status_code, body(part)) == (206, photograph()[:3])
    whole = client.post(f"{url}/download/")
    assert body(whole) == photograph()
    assert "attachment" in whole.headers["Content-Disposition"]
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    assert body(client.get(f"{url}/preview/"))[8:12] == b"WEBP"


def test_verifying_answers_with_outcome_and_steps(item: Item) -> None:
    answer = api(factories.make_user(Role.AUDITOR)).post(f"/api/v1/items/{item.accession}/verify/").json()
    assert answer["outcome"] == "pending"
    assert answer["steps"][0]["name"] == "bytes"
    assert Event.objects.filter(type=Type.VERIFY).count() == 1


@pytest.mark.usefixtures("key_of_the_ledger")
def test_a_receipt_is_given(item: Item) -> None:
    receipt = api(item.received_by).get(f"/api/v1/items/{item.accession}/receipt/").json()
    assert (receipt["format"], receipt["state"]) == ("sanad-receipt/1", "pending")
    assert receipt["opened"]["object"]["value"]["accession"] == item.accession


def test_a_token_that_may_only_read_writes_nothing(item: Item) -> None:
    client = api(item.received_by, read_only=True)
    assert client.patch(f"/api/v1/items/{item.accession}/", {"title": "x"}).status_code == 403
    assert client.post(f"/api/v1/items/{item.accession}/verify/").status_code == 403
    assert client.get(f"/api/v1/items/{item.accession}/").status_code == 200


@pytest.mark.parametrize("path", ["", "content/", "preview/", "custody/", "receipt/"])
def test_a_stranger_is_told_nothing(item: Item, path: str) -> None:
    answer = api(factories.stranger()).get(f"/api/v1/items/{item.accession}/{path}")
    assert answer.status_code == 404
    empty: dict[str, Any] = api(factories.stranger()).get("/api/v1/items/").json()
    assert empty == {"count": 0, "next": None, "previous": None, "results": []}


def test_page_and_api_describe_by_the_same_action(item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    real = actions.describe_item

    def watched(**given: Any) -> Item:
        called.append(given["accession"])
        return real(**given)

    monkeypatch.setattr(actions, "describe_item", watched)
    api(item.received_by).patch(f"/api/v1/items/{item.accession}/", {"title": "a"})
    factories.signed_in(item.received_by).post("/items/describe/", {"item": [item.accession], "language": "ar"})
    assert called == [item.accession, item.accession]

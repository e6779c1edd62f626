"""Erasure in the browser and in the API: the same two persons, the same refusals, the same tombstone."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from custody.sequencer import drain
from custody.signer import sign_head
from evidence import erasure as acts
from evidence.models import Erasure, Item
from evidence.vocabulary import ErasureState
from tests import factories
from tests.evidence.makers import examined, photograph
from tests.evidence.test_erasure import asked, erased, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def item() -> Item:
    made = examined(factories.make_item(data=photograph(), name="canary-name.jpg", title="Canary title"))
    drain()
    sign_head()
    return Item.objects.get(pk=made.pk)


def of(role: Role, item: Item) -> Client:
    return factories.signed_in(person(role, item))


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined,no-any-return]


def test_one_asks_and_another_agrees_and_the_address_shows_a_tombstone(item: Item) -> None:
    archivist, officer = of(Role.ARCHIVIST, item), of(Role.PROTECTION_OFFICER, item)
    page = reverse("evidence:item", args=[item.accession])
    form = reverse("evidence:request_erasure", args=[item.accession])
    assert form in text(archivist.get(page))
    assert "Every exact copy" not in text(archivist.get(form))
    answer = archivist.post(form, {"ground": "person", "reason": "The family asks."})
    made = Erasure.objects.get()
    url = reverse("evidence:erasure", args=[made.pk])
    assert answer["Location"] == url
    assert "Agree and erase" not in text(archivist.get(url))
    assert "Withdraw my request" in text(archivist.get(url))
    assert url in text(officer.get(page))
    assert url in text(officer.get(reverse("evidence:erasures")))
    assert "Agree and erase" in text(officer.get(url))
    assert "Erasures to decide" in text(officer.get("/"))
    assert "has not signed the request yet" in text(
        officer.post(reverse("evidence:approve_erasure", args=[made.pk]), follow=True)
    )
    drain()
    sign_head(force=True)
    assert officer.post(reverse("evidence:approve_erasure", args=[made.pk])).status_code == 302
    told = text(of(Role.INVESTIGATOR, item).get(page))
    assert "This item was erased" in told
    assert "A person it concerns asked for it" in told
    assert "Two persons decided it" in told
    assert "anary" not in told
    assert item.sha256 not in told
    assert "The family asks." not in told
    assert "The family asks." in text(officer.get(url))


def test_the_form_asks_for_ground_and_reason_and_keeps_what_was_typed(item: Item) -> None:
    client = of(Role.ARCHIVIST, item)
    answer = client.post(reverse("evidence:request_erasure", args=[item.accession]), {"reason": "Half a request"})
    assert answer.status_code == 422
    assert "Half a request" in text(answer)
    assert not Erasure.objects.exists()


def test_a_colleague_of_another_compartment_sees_no_tombstone(item: Item) -> None:
    erased(item)
    outsider = factories.signed_in(factories.make_user(Role.INVESTIGATOR, factories.make_compartment()))
    assert outsider.get(reverse("evidence:item", args=[item.accession])).status_code == 404


def test_an_erased_item_is_in_no_list_and_no_search_and_its_content_is_gone(item: Item) -> None:
    erased(item)
    client = factories.signed_in(item.received_by)
    for query in ("", "?q=canary", f"?q={item.accession}"):
        assert f'href="{reverse("evidence:item", args=[item.accession])}"' not in text(client.get(f"/items/{query}"))
    for name in ("content", "preview", "text", "describe", "receipt"):
        assert client.get(reverse(f"evidence:{name}", args=[item.accession])).status_code in (403, 404, 409), name
    assert client.get(reverse("evidence:content", args=[item.accession])).status_code == 409
    assert client.post(reverse("evidence:download", args=[item.accession])).status_code == 409


def test_an_auditor_verifies_a_tombstone_from_both_pages(item: Item) -> None:
    erased(item)
    drain()
    sign_head()
    auditor = of(Role.AUDITOR, item)
    answer = auditor.post(reverse("evidence:verify", args=[item.accession]), follow=True)
    assert "Erased, and the ledger explains every absence" in text(answer)
    assert "Here the test stopped" not in text(answer)
    desk = text(auditor.get(reverse("verification:item", args=[item.accession])))
    assert "The absent values" in desk
    assert "Not as it must be" not in desk
    assert "Not reached" not in desk


def test_the_second_person_may_refuse_with_a_reason(item: Item) -> None:
    made, client = asked(item), of(Role.LEGAL_REVIEWER, item)
    url = reverse("evidence:refuse_erasure", args=[made.pk])
    assert client.post(url, {"reason": ""}).status_code == 422
    assert client.post(url, {"reason": "A court asked for it."}).status_code == 302
    assert Erasure.objects.get().state == ErasureState.REFUSED
    assert "A court asked for it." in text(client.get(reverse("evidence:erasure", args=[made.pk])))


def test_who_asked_is_refused_when_they_agree_with_themselves(item: Item) -> None:
    officer = person(Role.PROTECTION_OFFICER, item)
    made = asked(item, officer)
    answer = factories.signed_in(officer).post(reverse("evidence:approve_erasure", args=[made.pk]))
    assert answer.status_code == 403
    assert Erasure.objects.get().state == ErasureState.WAITING


def test_the_api_asks_decides_and_tells(item: Item) -> None:
    archivist, reviewer = of(Role.ARCHIVIST, item), of(Role.LEGAL_REVIEWER, item)
    url = f"/api/v1/items/{item.accession}/erasure/"
    assert archivist.post(url, {}, "application/json").status_code == 400
    answer = archivist.post(url, {"ground": "order", "reason": "Order 17."}, "application/json")
    assert answer.status_code == 201
    made = answer.json()
    assert (made["state"], made["items"]) == ("waiting", [item.accession])
    assert archivist.post(url, {"ground": "order", "reason": "Again."}, "application/json").status_code == 409
    assert archivist.post(f"/api/v1/erasures/{made['id']}/approve/").status_code == 403
    assert reviewer.get("/api/v1/erasures/").json()["results"][0]["id"] == made["id"]
    assert reviewer.post(f"/api/v1/erasures/{made['id']}/approve/").status_code == 409
    drain()
    sign_head(force=True)
    done = reviewer.post(f"/api/v1/erasures/{made['id']}/approve/").json()
    assert done["state"] == "done"
    told = reviewer.get(f"/api/v1/items/{item.accession}/").json()
    assert told["erased_at"] is not None
    assert (told["sha256"], told["size"], told["readable"]) == ("", 0, False)
    custody = reviewer.get(f"/api/v1/items/{item.accession}/custody/").json()
    assert "original_name" in custody[0]["erased"]
    assert reviewer.get(f"/api/v1/items/{item.accession}/content/").status_code == 409


def test_the_api_refuses_and_withdraws(item: Item) -> None:
    by = person(Role.ARCHIVIST, item)
    made = asked(item, by)
    assert factories.signed_in(by).post(f"/api/v1/erasures/{made.pk}/withdraw/").json()["state"] == "withdrawn"
    made = asked(item)
    reviewer = of(Role.LEGAL_REVIEWER, item)
    answer = reviewer.post(f"/api/v1/erasures/{made.pk}/refuse/", {"reason": "No."}, "application/json")
    assert answer.json()["state"] == "refused"


def test_an_expired_request_says_so(item: Item) -> None:
    made = acts.request_erasure(
        by=person(Role.ARCHIVIST, item),
        at=timezone.now() - acts.LIFE * 2,
        accession=item.accession,
        ground="order",
        reason="Order 17.",
    )
    told = text(of(Role.LEGAL_REVIEWER, item).get(reverse("evidence:erasure", args=[made.pk])))
    assert "Expired" in told
    assert "Agree and erase" not in told

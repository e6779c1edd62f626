"""`/api/v1/`: the same runs, checkpoints, entries and coverage for programs."""

import base64
import math
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Compartment, Role, User
from custody.models import Checkpoint, Entry
from custody.signer import vkey
from evidence import store
from evidence.models import Item
from ledger.note import decode_vkey
from ledger.proof import parse_proof, verify_proof
from tests import factories
from verification import actions
from verification.models import Run

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/verification-runs/"


@pytest.fixture
def browser(auditor: User) -> Client:
    return factories.signed_in(auditor)


def ask(browser: Client, **body: Any) -> Any:
    return browser.post(RUNS, body, content_type="application/json")


def test_a_run_is_asked_for_followed_and_read(browser: Client, items: list[Item]) -> None:
    store.path_of(items[1].blob.address).unlink()
    made = ask(browser, scope="everything")
    assert made.status_code == 201
    address = f"{RUNS}{made.json()['id']}/"
    assert (made.json()["state"], made.json()["clean"]) == ("queued", False)
    actions.work(run_id=Run.objects.get().pk, until=math.inf)
    told = browser.get(address).json()
    assert (told["state"], told["total"], told["done"], told["failed"], told["clean"]) == ("finished", 3, 3, 1, False)
    results = browser.get(f"{address}results/").json()["results"]
    assert [(row["accession"], row["outcome"]) for row in results] == [
        (items[1].accession, "missing"),
        (items[0].accession, "ok"),
        (items[2].accession, "ok"),
    ]
    assert [row["id"] for row in browser.get(RUNS).json()["results"]] == [told["id"]]


def test_a_compartment_is_named_by_its_code_and_a_selection_by_accession_numbers(
    browser: Client, compartment: Compartment, items: list[Item]
) -> None:
    assert ask(browser, scope="compartment", compartment=compartment.code).json()["compartment"] == compartment.code
    made = ask(browser, scope="selection", accessions=[items[0].accession])
    assert made.json()["accessions"] == [items[0].accession]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scope"),
        ({"scope": "all of it"}, "scope"),
        ({"scope": "compartment"}, "compartment"),
        ({"scope": "compartment", "compartment": "NOWHERE"}, "compartment"),
        ({"scope": "selection"}, "accessions"),
        ({"scope": "selection", "accessions": ["SY-0-000000"]}, "accessions"),
        ({"scope": "selection", "accessions": "SY-0-000000"}, "accessions"),
        ({"scope": "one", "accessions": []}, "accessions"),
    ],
)
def test_what_makes_no_sense_is_a_400_that_names_the_field(body: dict[str, Any], field: str, browser: Client) -> None:
    answer = ask(browser, **body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert not Run.objects.exists()


def test_a_run_is_cancelled_once(browser: Client, items: list[Item]) -> None:
    address = f"{RUNS}{ask(browser, scope='everything').json()['id']}/cancel/"
    assert browser.post(address).json()["state"] == "cancelled"
    assert browser.post(address).status_code == 409


def test_an_entry_comes_with_its_exact_bytes_and_a_proof_an_outsider_can_check(
    browser: Client, items: list[Item]
) -> None:
    answer = browser.get("/api/v1/ledger/entries/2/").json()
    exact = base64.b64decode(answer["entry"])
    assert exact == bytes(Entry.objects.get(index=2).entry)
    head = verify_proof(parse_proof(answer["proof"]), exact, [decode_vkey(vkey())])
    assert head.size == Checkpoint.objects.latest("pk").size
    assert browser.get("/api/v1/ledger/entries/99999/").status_code == 404


def test_checkpoints_are_listed_newest_first_with_their_notes(browser: Client, items: list[Item]) -> None:
    row = browser.get("/api/v1/checkpoints/").json()["results"][0]
    head = Checkpoint.objects.latest("pk")
    assert (row["size"], row["root_hash"], row["note"]) == (head.size, bytes(head.root).hex(), head.note)
    assert browser.get(f"/api/v1/checkpoints/{head.pk}/").json() == row


def test_coverage_is_a_row_for_each_compartment_one_verifies_in(
    own_auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    factories.make_item()
    rows = factories.signed_in(own_auditor).get("/api/v1/coverage/").json()
    assert [(row["compartment"], row["total"], row["never"], row["failed"]) for row in rows] == [
        (compartment.code, 3, 3, 0)
    ]


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.PROTECTION_OFFICER])
def test_who_verifies_nothing_gets_nothing(role: Role, compartment: Compartment, items: list[Item]) -> None:
    browser = factories.signed_in(factories.make_user(role, None if role == Role.ADMINISTRATOR else compartment))
    assert ask(browser, scope="everything").status_code == 403
    assert browser.get(RUNS).json()["results"] == []
    assert browser.get("/api/v1/checkpoints/").json()["results"] == []
    assert browser.get("/api/v1/coverage/").json() == []
    assert browser.get("/api/v1/ledger/entries/0/").status_code == 404


def test_every_route_of_the_app_is_named() -> None:
    assert reverse("verification-runs-list") == RUNS

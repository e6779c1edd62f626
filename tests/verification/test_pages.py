"""The audit desk as its readers meet it: who sees which part, and what each button does."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Compartment, Role, User
from custody.alarm import raise_alarm
from custody.models import Checkpoint, Entry, Event
from custody.sequencer import drain
from custody.signer import sign_head, vkey
from custody.vocabulary import Type
from evidence import store
from evidence.actions import verify_item
from evidence.models import FixityCheck, Item
from ledger.note import decode_vkey, fingerprint
from ledger.proof import parse_proof, verify_proof
from tests import factories
from verification import actions, views
from verification.models import Run, RunResult
from verification.vocabulary import Scope, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(auditor: User) -> Client:
    return factories.signed_in(auditor)


def text(response: Any) -> str:
    body = b"".join(response) if response.streaming else response.content
    return str(body.decode())


def finished(auditor: User) -> Run:
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=math.inf)
    run.refresh_from_db()
    return run


def test_the_desk_counts_what_was_verified_and_links_each_figure_to_its_list(
    browser: Client, auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    actions.request_run(by=auditor, at=timezone.now(), scope=Scope.ONE, accessions=[items[0].accession])
    verify_item(by=auditor, at=timezone.now(), accession=items[0].accession)
    page = browser.get(reverse("verification:desk"))
    whole = {tile["label"]: tile["value"] for tile in page.context["figures"]}
    assert whole["Verified in the last 7 days"] == 1
    assert whole["Never verified"] == 2
    assert whole["Failed their last check"] == 0
    for figure, expected in (("7", [items[0]]), ("never", items[1:]), ("all", items)):
        listed = browser.get(reverse("verification:items"), {"figure": figure, "compartment": compartment.code})
        assert [row.accession for row in listed.context["items"]] == [item.accession for item in expected]


def test_an_item_whose_reception_no_head_covers_yet_is_pending(browser: Client, compartment: Compartment) -> None:
    item = factories.make_item(compartment)
    listed = browser.get(reverse("verification:items"), {"figure": "pending"})
    assert [row.accession for row in listed.context["items"]] == [item.accession]
    drain()
    sign_head()
    listed = browser.get(reverse("verification:items"), {"figure": "pending"})
    assert listed.context["items"] == []


def test_the_desk_shows_what_anybody_can_compare_size_root_key_and_fingerprint(
    browser: Client, items: list[Item]
) -> None:
    page = text(browser.get(reverse("verification:desk")))
    head = Checkpoint.objects.latest("pk")
    assert bytes(head.root).hex() in page
    assert fingerprint(vkey()) in page
    assert reverse("verification:checkpoint_note", args=[head.pk]) in page


def test_an_alarm_of_the_signer_is_the_first_thing_on_the_desk_and_at_home(browser: Client, items: list[Item]) -> None:
    raise_alarm("entry 7 is missing from the ledger")
    for url in (reverse("verification:desk"), reverse("accounts:home")):
        page = text(browser.get(url))
        assert "entry 7 is missing from the ledger" in page
        assert 'role="alert"' in page


def test_a_signer_that_sleeps_is_told(browser: Client, compartment: Compartment) -> None:
    assert "No head is signed" in text(browser.get(reverse("verification:desk")))
    sign_head()
    assert "No head is signed" not in text(browser.get(reverse("verification:desk")))


def test_one_item_is_verified_with_one_press_and_each_step_is_shown(browser: Client, items: list[Item]) -> None:
    item = items[1]
    answer = browser.post(reverse("verification:verify_one"), {"accession": f" {item.accession.lower()} "})
    assert answer.headers["Location"] == reverse("verification:item", args=[item.accession])
    page = browser.get(answer.headers["Location"])
    assert [step.state for step in page.context["steps"]] == ["ok"] * 6
    body = text(page)
    assert body.count(item.blob.address) >= 2
    assert item.sha256 in body
    assert item.sha512 in body
    assert FixityCheck.objects.get(item=item).outcome == "ok"


def test_a_failed_step_is_named_and_those_after_it_were_not_reached(browser: Client, items: list[Item]) -> None:
    path = store.path_of(items[0].blob.address)
    path.chmod(0o600)
    path.write_bytes(b"other")
    browser.post(reverse("verification:verify_one"), {"accession": items[0].accession})
    page = browser.get(reverse("verification:item", args=[items[0].accession]))
    assert [step.state for step in page.context["steps"]] == ["wrong", "", "", "", "", ""]
    assert "Stored bytes were changed" in text(page)


def test_a_large_item_is_verified_in_the_background(
    browser: Client, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "AT_ONCE", 1)
    answer = browser.post(reverse("verification:verify_one"), {"accession": items[0].accession})
    run = Run.objects.get()
    assert (run.scope, run.accessions) == (Scope.ONE, [items[0].accession])
    assert answer.headers["Location"] == reverse("verification:run", args=[run.pk])


@pytest.mark.parametrize("typed", ["", "SY-1-000001", "\x00", "<script>", "'; DROP"])
def test_a_number_that_is_no_item_says_so_and_stays_in_the_field(browser: Client, typed: str) -> None:
    answer = browser.post(reverse("verification:verify_one"), {"accession": typed})
    assert answer.status_code == 422
    assert "There is no item with this number" in text(answer)
    assert answer.context["accession"] == typed.strip().upper().replace("\x00", "")


def test_ticked_items_become_a_selection(browser: Client, items: list[Item]) -> None:
    chosen = [items[0].accession, items[2].accession]
    answer = browser.post(reverse("verification:runs"), {"scope": "selection", "item": chosen})
    run = Run.objects.get()
    assert run.accessions == chosen
    assert answer.headers["Location"] == reverse("verification:run", args=[run.pk])


def test_ticking_nothing_says_what_is_missing(browser: Client, items: list[Item]) -> None:
    answer = browser.post(reverse("verification:runs"), {"scope": "selection"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["accessions"] == ["Name at least one item by its accession number."]


def test_numbers_typed_by_hand_are_split_and_an_unknown_one_is_named_with_the_text_kept(
    browser: Client, items: list[Item]
) -> None:
    typed = f"{items[0].accession.lower()}, {items[1].accession}\n{items[2].accession};"
    browser.post(reverse("verification:runs"), {"scope": "selection", "accessions": typed})
    assert Run.objects.get().accessions == [item.accession for item in items]
    answer = browser.post(reverse("verification:runs"), {"scope": "selection", "accessions": "XX-1-000001"})
    assert answer.status_code == 422
    assert "XX-1-000001" in str(answer.context["form"].errors["accessions"])
    assert "XX-1-000001</textarea>" in text(answer)


def test_a_compartment_is_chosen_by_its_code(browser: Client, compartment: Compartment, items: list[Item]) -> None:
    browser.post(reverse("verification:runs"), {"scope": "compartment", "compartment": compartment.code})
    assert Run.objects.get().compartment == compartment
    answer = browser.post(reverse("verification:runs"), {"scope": "compartment"})
    assert answer.context["form"].errors["compartment"] == ["Choose a compartment."]


def test_the_progress_of_a_run_can_be_followed_and_survives_a_reload(
    browser: Client, auditor: User, items: list[Item]
) -> None:
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    url = reverse("verification:run_progress", args=[run.pk])
    assert browser.get(url).json()["state"] == "waiting"
    actions.work(run_id=run.pk, until=0)
    actions.verify_next(at=timezone.now(), run_id=run.pk)
    told = browser.get(url).json()
    assert (told["state"], told["done"], told["total"]) == ("running", 1, 3)
    assert f'data-poll="{url}"' in text(browser.get(reverse("verification:run", args=[run.pk])))
    actions.work(run_id=run.pk, until=math.inf)
    told = browser.get(url).json()
    assert (told["state"], told["done"], told["total"]) == ("done", 3, 3)
    assert "data-poll" not in text(browser.get(reverse("verification:run", args=[run.pk])))


def test_while_the_ledger_is_checked_the_progress_counts_entries(
    browser: Client, auditor: User, items: list[Item]
) -> None:
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    Run.objects.filter(pk=run.pk).update(state=State.RUNNING, ledger_done=512, ledger_total=4000, total=3)
    told = browser.get(reverse("verification:run_progress", args=[run.pk])).json()
    assert (told["done"], told["total"]) == (512, 4000)
    assert "ledger" in told["message"]


def test_a_run_is_stopped_with_one_press_and_not_twice(browser: Client, auditor: User, items: list[Item]) -> None:
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    url = reverse("verification:cancel_run", args=[run.pk])
    assert browser.post(url).status_code == 302
    run.refresh_from_db()
    assert run.state == State.CANCELLED
    assert browser.post(url).status_code == 409


def test_faults_come_first_on_the_page_on_paper_and_in_the_csv(
    browser: Client, auditor: User, items: list[Item]
) -> None:
    path = store.path_of(items[2].blob.address)
    path.unlink()
    run = finished(auditor)
    Run.objects.filter(pk=run.pk).update(
        ledger_faults=[{"where": "entry 4", "what": "is missing from the ledger"}], ledger_fault_count=7
    )
    for name in ("run", "run_print"):
        page = text(browser.get(reverse(f"verification:{name}", args=[run.pk])))
        places = [page.index(word) for word in ("is missing from the ledger", items[2].accession, items[0].accession)]
        assert places == sorted(places)
    answer = browser.get(reverse("verification:run_csv", args=[run.pk]))
    rows = list(csv.reader(io.StringIO(text(answer).removeprefix("\ufeff"))))
    assert rows[1][:3] == ["entry 4", "Fault of the ledger", "is missing from the ledger"]
    assert rows[2][2] == "6 more faults"
    assert [row[0] for row in rows[3:]] == [items[2].accession, items[0].accession, items[1].accession]
    assert rows[3][1] == "Stored bytes are missing"


def test_an_entry_is_taken_away_with_a_proof_that_an_outsider_can_check(browser: Client, items: list[Item]) -> None:
    page = browser.get(reverse("verification:item", args=[items[1].accession]))
    index = page.context["reception"].entry.index
    exact = browser.get(reverse("verification:entry_bytes", args=[index])).content
    assert exact == bytes(Entry.objects.get(index=index).entry)
    proof = parse_proof(browser.get(reverse("verification:entry_proof", args=[index])).content)
    key = browser.get(reverse("verification:key")).content.decode().strip()
    head = verify_proof(proof, exact, [decode_vkey(key)])
    note = browser.get(reverse("verification:checkpoint_note", args=[Checkpoint.objects.latest("pk").pk]))
    assert note.content.decode() == proof.note
    assert head.size == Checkpoint.objects.latest("pk").size
    shown = text(browser.get(reverse("verification:entry", args=[index])))
    assert all(step.hex() in shown for step in proof.path)


def test_an_entry_no_head_covers_has_no_proof_yet_and_says_so(browser: Client, compartment: Compartment) -> None:
    factories.make_item(compartment)
    drain()
    index = Entry.objects.latest("index").index
    assert browser.get(reverse("verification:entry_proof", args=[index])).status_code == 404
    assert "No signed head covers this entry yet" in text(browser.get(reverse("verification:entry", args=[index])))


def test_checkpoints_are_listed_newest_first_over_pages(
    browser: Client, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    from verification import trail_views

    monkeypatch.setattr(trail_views, "PAGE", 2)
    for _ in range(4):
        factories.make_compartment()
        drain()
        sign_head()
    expected = list(Checkpoint.objects.order_by("-pk").values_list("size", flat=True))
    base = reverse("verification:checkpoints")
    page = browser.get(base)
    seen = [row.size for row, _root in page.context["checkpoints"]]
    while page.context["older_url"]:
        page = browser.get(base + page.context["older_url"])
        seen += [row.size for row, _root in page.context["checkpoints"]]
    assert seen == expected
    back = browser.get(reverse("verification:checkpoints") + page.context["newer_url"])
    assert [row.size for row, _root in back.context["checkpoints"]] == expected[-3:-1]


@pytest.mark.parametrize("role", [Role.ARCHIVIST, Role.INVESTIGATOR, Role.LEGAL_REVIEWER])
def test_who_verifies_items_sees_their_own_compartments_part(
    role: Role, compartment: Compartment, items: list[Item]
) -> None:
    elsewhere = factories.make_item()
    drain()
    there = Entry.objects.get(event_id=Event.objects.filter(compartment_id=elsewhere.compartment_id).latest("at").pk)
    browser = factories.signed_in(factories.make_user(role, compartment))
    page = text(browser.get(reverse("verification:desk")))
    assert compartment.code in page
    assert elsewhere.compartment.code not in page
    assert browser.get(reverse("verification:item", args=[items[0].accession])).status_code == 200
    assert browser.get(reverse("verification:item", args=[elsewhere.accession])).status_code == 404
    assert browser.get(reverse("verification:entry", args=[there.index])).status_code == 404
    assert browser.get(reverse("verification:trail")).status_code == 403
    assert browser.get(reverse("verification:item_trail", args=[items[0].accession])).status_code == 403


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.PROTECTION_OFFICER])
def test_who_verifies_nothing_is_refused_at_the_desk_and_sees_no_way_to_it(
    role: Role, compartment: Compartment
) -> None:
    browser = factories.signed_in(factories.make_user(role, None if role == Role.ADMINISTRATOR else compartment))
    assert browser.get(reverse("verification:desk")).status_code == 403
    assert f'href="{reverse("verification:desk")}"' not in text(browser.get(reverse("accounts:home")))


def test_runs_are_seen_by_who_asked_and_by_auditors_of_the_place(
    auditor: User, own_auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    archivist = factories.make_user(Role.ARCHIVIST, compartment)
    other = factories.make_user(Role.ARCHIVIST, compartment)
    outsider = factories.make_user(Role.AUDITOR, factories.make_compartment())
    run = actions.request_run(by=archivist, at=timezone.now(), scope=Scope.COMPARTMENT, compartment_id=compartment.pk)
    url = reverse("verification:run", args=[run.pk])
    assert [
        factories.signed_in(user).get(url).status_code for user in (archivist, auditor, own_auditor, other, outsider)
    ] == [200, 200, 200, 404, 404]


def test_the_home_page_tells_an_auditor_what_needs_them(browser: Client, auditor: User, items: list[Item]) -> None:
    page = text(browser.get(reverse("accounts:home")))
    assert reverse("verification:items") + "?figure=never" in page
    store.path_of(items[0].blob.address).unlink()
    run = finished(auditor)
    page = text(browser.get(reverse("accounts:home")))
    assert reverse("verification:items") + "?figure=failed" in page
    assert reverse("verification:run", args=[run.pk]) in page
    assert RunResult.objects.filter(run=run, outcome="missing").count() == 1


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_every_page_renders_in_the_other_languages(
    language: str, auditor: User, items: list[Item], tmp_path: Path
) -> None:
    User.objects.filter(pk=auditor.pk).update(language=language)
    run = finished(auditor)
    auditor.refresh_from_db()
    browser = factories.signed_in(auditor)
    for name, arguments in (
        ("desk", []),
        ("items", []),
        ("runs", []),
        ("run", [run.pk]),
        ("run_print", [run.pk]),
        ("item", [items[0].accession]),
        ("entry", [0]),
        ("checkpoints", []),
        ("trail", []),
        ("trail_print", []),
        ("item_trail", [items[0].accession]),
        ("person_trail", [auditor.pk]),
    ):
        page = browser.get(reverse(f"verification:{name}", args=arguments))
        assert page.status_code == 200, name
        assert f'lang="{language}"' in text(page)


def test_opening_the_desk_writes_nothing(browser: Client, items: list[Item]) -> None:
    before = Event.objects.count()
    browser.get(reverse("verification:desk"))
    browser.get(reverse("verification:checkpoints"))
    assert Event.objects.count() == before
    assert not Event.objects.filter(type=Type.READ_TRAIL).exists()

"""Two persons erase an item: nothing of it is left, the ledger explains every absence, and nobody does it alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts.models import Role, User
from accounts.permissions import NotNow, NotVisible, Refused
from custody import roles
from custody.models import Disclosure, Event, SubjectKey
from custody.sequencer import drain
from custody.signer import sign_head
from custody.story import story
from custody.verify import faults
from custody.vocabulary import Type
from evidence import actions, blobs, erasure, leftovers, store, tasks
from evidence.fixity import find
from evidence.models import Blob, Derivative, Erasure, Item
from evidence.vocabulary import ErasureState, FixityOutcome
from tests import factories
from tests.custody.ledgers import as_owner
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db

WHY = {"ground": "person", "reason": "The family asks for it."}


def settle() -> None:
    drain()
    sign_head()


@pytest.fixture
def item() -> Item:
    """An item that was received, examined, described, opened and verified, all of it recorded."""
    made = examined(factories.make_item(data=photograph(), name="canary-name.jpg"))
    by, now = made.received_by, timezone.now()
    said = {
        "title": "Canary title",
        "description": "Canary text",
        "source": "Canary source",
        "created_edtf": "2025-03-07",
    }
    actions.describe_item(by=by, at=now, accession=made.accession, changes=said)
    actions.open_content(by=by, at=now, accession=made.accession)
    settle()
    actions.verify_item(by=by, at=timezone.now(), accession=made.accession)
    settle()
    return Item.objects.get(pk=made.pk)


def person(role: Role, item: Item) -> User:
    return factories.make_user(role, item.compartment)


def asked(item: Item, by: User | None = None) -> Erasure:
    """Asked for, and the request is under a signed head."""
    by = by or person(Role.ARCHIVIST, item)
    made = erasure.request_erasure(by=by, at=timezone.now(), accession=item.accession, **WHY)
    settle()
    return made


def erased(item: Item) -> Erasure:
    """Asked for by one, approved by another, and finished."""
    request, by = asked(item), person(Role.PROTECTION_OFFICER, item)
    made = erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=request.id)
    leftovers.clear(made)
    return erasure.finish_erasure(at=timezone.now(), erasure_id=made.id)


def outcome(item: Item) -> tuple[FixityOutcome, str]:
    finding = find(Item.objects.get(pk=item.pk))
    return finding.outcome, finding.detail


def test_after_an_erasure_nothing_of_the_item_is_left_and_the_ledger_has_no_fault(item: Item) -> None:
    address, preview = item.blob.address, Derivative.objects.get(item=item).blob
    erased(item)
    settle()
    left = Item.objects.get(pk=item.pk)
    assert (left.accession, left.received_by_id, left.received_at) == (
        item.accession,
        item.received_by_id,
        item.received_at,
    )
    assert (left.title, left.description, left.source, left.sha256, left.sha512, left.size) == ("", "", "", "", "", 0)
    assert (bytes(left.sealed_name), left.sealed_claims, left.created_edtf) == (b"", None, "")
    assert left.search == left.accession.lower()
    assert bytes(left.blob.wrapped_key) == b""
    assert not Blob.objects.filter(pk=preview.pk).exists()
    for gone in (address, preview.address):
        assert not store.path_of(gone).exists()
    assert not SubjectKey.objects.filter(subject_id=item.id).exists()
    assert not Disclosure.objects.filter(subject_id=item.id).exists()
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []
    assert outcome(item) == (FixityOutcome.ERASED, "")


def test_its_custody_stays_as_a_story_of_who_and_when_with_explained_absences(item: Item) -> None:
    before = [(line.event_id, line.agent_id, line.at) for line in story("item", item.id)]
    erased(item)
    lines = story("item", item.id)
    assert [(line.event_id, line.agent_id, line.at) for line in lines][: len(before)] == before
    assert all(not line.lost for line in lines)
    reception = next(line for line in lines if line.type == Type.RECEIVE)
    assert reception.erased == {"object", "holding", "original_name", "to", "purpose"}
    assert [line.type for line in lines][-3:] == [Type.REQUEST_ERASURE, Type.ERASE, Type.DELETE]


def test_the_entry_names_ciphertexts_events_and_fields_and_no_value(item: Item) -> None:
    addresses = sorted([item.blob.address, Derivative.objects.get(item=item).blob.address])
    erased(item)
    line = next(line for line in story("item", item.id) if line.type == Type.ERASE)
    assert line.fields["erased"]["content"] == [{"accession": item.accession, "blobs": addresses, "id": str(item.id)}]
    values = line.fields["erased"]["values"]
    reception = Event.objects.get(type=Type.RECEIVE, compartment_id=item.compartment_id)
    assert values[reception.id.hex] == ["holding", "object", "original_name", "purpose", "to"]
    assert "anary" not in str(line.fields)
    assert line.fields["to"]["approved_by"] == str(line.agent_id) != line.fields["to"]["requested_by"]


def test_nobody_decides_on_a_request_of_their_own(item: Item) -> None:
    officer = person(Role.PROTECTION_OFFICER, item)
    made = asked(item, officer)
    with pytest.raises(Refused):
        erasure.approve_erasure(by=officer, at=timezone.now(), erasure_id=made.id)
    with pytest.raises(Refused):
        erasure.refuse_erasure(by=officer, at=timezone.now(), erasure_id=made.id, reason="no")
    assert outcome(item)[0] == FixityOutcome.OK


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.AUDITOR, Role.ADMINISTRATOR])
def test_other_roles_neither_ask_nor_decide(item: Item, role: Role) -> None:
    with pytest.raises((Refused, NotVisible)):
        asked(item, person(role, item))
    made = asked(item)
    with pytest.raises((Refused, NotVisible)):
        erasure.approve_erasure(by=person(role, item), at=timezone.now(), erasure_id=made.id)


def test_an_archivist_asks_and_does_not_decide(item: Item) -> None:
    made = asked(item)
    with pytest.raises(Refused):
        erasure.approve_erasure(by=person(Role.ARCHIVIST, item), at=timezone.now(), erasure_id=made.id)


def test_only_who_asked_takes_the_request_back_and_then_nobody_approves_it(item: Item) -> None:
    by = person(Role.ARCHIVIST, item)
    made = asked(item, by)
    with pytest.raises(Refused):
        erasure.withdraw_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=made.id)
    erasure.withdraw_erasure(by=by, at=timezone.now(), erasure_id=made.id)
    with pytest.raises(NotNow):
        erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=made.id)
    assert asked(item).state == ErasureState.WAITING


def test_a_refusal_says_why_and_ends_the_request(item: Item) -> None:
    made, by = asked(item), person(Role.LEGAL_REVIEWER, item)
    with pytest.raises(ValidationError):
        erasure.refuse_erasure(by=by, at=timezone.now(), erasure_id=made.id, reason=" ")
    closed = erasure.refuse_erasure(by=by, at=timezone.now(), erasure_id=made.id, reason="A court needs it.")
    assert (closed.state, closed.decision) == (ErasureState.REFUSED, "A court needs it.")
    assert outcome(item)[0] == FixityOutcome.OK


def test_a_request_of_two_weeks_ago_is_not_approved_and_may_be_made_anew(item: Item) -> None:
    made, later = asked(item), timezone.now() + erasure.LIFE + timedelta(seconds=1)
    with pytest.raises(NotNow, match="14 days"):
        erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=later, erasure_id=made.id)
    again = erasure.request_erasure(by=person(Role.ARCHIVIST, item), at=later, accession=item.accession, **WHY)
    assert again.pk != made.pk
    assert Erasure.objects.get(pk=made.pk).state == ErasureState.WITHDRAWN


def test_two_requests_do_not_wait_at_once(item: Item) -> None:
    asked(item)
    with pytest.raises(NotNow):
        asked(item)


def test_whoever_asked_must_still_be_allowed_to_when_the_second_one_agrees(item: Item) -> None:
    from accounts.actions import set_active

    by = person(Role.ARCHIVIST, item)
    made = asked(item, by)
    set_active(by=factories.founder(), at=timezone.now(), user_id=by.pk, active=False, reason="left")
    with pytest.raises(NotNow, match="no longer"):
        erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=made.id)


def test_every_exact_copy_of_the_compartment_goes_with_it_and_one_elsewhere_stays(item: Item) -> None:
    twin = factories.make_item(item.compartment, data=photograph())
    elsewhere = factories.make_item(data=photograph())
    assert twin.duplicate_of == item
    erased(item)
    settle()
    assert outcome(twin) == (FixityOutcome.ERASED, "")
    assert outcome(elsewhere)[0] == FixityOutcome.OK


def test_a_copy_that_came_after_the_request_has_to_be_seen_by_both(item: Item) -> None:
    made = asked(item)
    factories.make_item(item.compartment, data=photograph())
    with pytest.raises(NotNow, match="copy"):
        erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=made.id)


def test_the_same_bytes_may_come_again_and_are_a_duplicate_of_nothing(item: Item) -> None:
    erased(item)
    again = factories.make_item(item.compartment, data=photograph())
    assert again.duplicate_of is None
    assert again.accession != item.accession


def test_an_examination_that_comes_too_late_finds_nothing_and_leaves_nothing() -> None:
    item = factories.make_item(data=photograph())
    erased(item)
    tasks.examine(str(item.pk))
    made = blobs.receive([b"a preview"])
    actions.record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic="image/jpeg",
        libmagic="image/jpeg",
        claims={"make": "canary"},
        problem="",
        preview=(made, "image/webp", "a test"),
    )
    left = Item.objects.get(pk=item.pk)
    assert (left.media_type, left.sealed_claims, left.derivatives.count()) == ("", None, 0)
    assert not store.path_of(made.address).exists()


@pytest.mark.parametrize("act", [actions.open_content, actions.download_item, actions.open_text, actions.open_preview])
def test_what_is_erased_is_neither_opened_nor_handed_out(item: Item, act: Any) -> None:
    erased(item)
    with pytest.raises((NotNow, NotVisible, Refused)):
        act(by=item.received_by, at=timezone.now(), accession=item.accession)


def test_a_tampered_item_is_not_erased(item: Item) -> None:
    """An erasure is no way to get rid of the traces of a manipulation."""
    as_owner(
        "UPDATE custody_disclosure SET sealed = overlay(sealed placing 'x'::bytea from 30) "
        "WHERE field = 'agent' AND subject_id = %s",
        str(item.id),
    )
    made = asked(item)
    with pytest.raises(NotNow, match="do not open"):
        erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=made.id)


def test_an_erasure_that_was_killed_after_its_commit_is_finished_later(item: Item) -> None:
    address = item.blob.address
    made = erasure.approve_erasure(by=person(Role.LEGAL_REVIEWER, item), at=timezone.now(), erasure_id=asked(item).id)
    settle()
    assert store.path_of(address).exists()
    assert outcome(item) == (FixityOutcome.PENDING, "the erasure is not finished yet")
    leftovers.clear(Erasure.objects.get(pk=made.pk))
    erasure.finish_erasure(at=timezone.now(), erasure_id=made.id)
    settle()
    assert outcome(item) == (FixityOutcome.ERASED, "")
    assert erasure.finish_erasure(at=timezone.now(), erasure_id=made.id).finished_at is not None


def test_a_record_that_says_erased_without_an_erasure_in_the_ledger_is_an_alarm(item: Item) -> None:
    """Whoever has the database clears a record and its values, and calls it an erasure."""
    Item.objects.filter(pk=item.pk).update(erased_at=timezone.now(), title="", sha256="")
    as_owner("DELETE FROM custody_disclosure WHERE subject_id = %s", str(item.id))
    assert outcome(item) == (
        FixityOutcome.LEDGER,
        "the record says that it was erased, and no erasure in the ledger does",
    )
    assert any("is missing" in fault.what for fault in faults())


def test_values_that_are_put_back_are_an_alarm(item: Item) -> None:
    erased(item)
    settle()
    Item.objects.filter(pk=item.pk).update(title="Canary title")
    assert outcome(item) == (FixityOutcome.RECORD, "title in the record of an erased item says something")
    Item.objects.filter(pk=item.pk).update(title="")
    path = store.path_of(item.blob.address)
    path.write_bytes(b"from a backup")
    assert outcome(item) == (FixityOutcome.RECORD, f"erased bytes stand at {item.blob.address} again")
    path.unlink()
    assert outcome(item)[0] == FixityOutcome.ERASED
    Item.objects.filter(pk=item.pk).update(erased_at=None)
    assert outcome(item)[0] in (FixityOutcome.MISSING, FixityOutcome.LEDGER, FixityOutcome.RECORD)


def test_tables_are_scrubbed_by_a_role_for_it_and_one_that_may_not_says_so(settings: Any) -> None:
    for kind, may in (("cleaner", True), ("web", False), ("auditor", False)):
        account = connection.settings_dict | {"USER": roles.names(connection)[kind]}
        settings.SANAD_CLEANER_DATABASE = account
        if may:
            assert "pg_statistic" in leftovers.scrub_tables()
        else:
            with pytest.raises(leftovers.NotScrubbed, match="custody_disclosure"):
                leftovers.scrub_tables()

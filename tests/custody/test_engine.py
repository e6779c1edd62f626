"""Recording: inside the act, whole or not at all, with nothing of it in the clear."""

import json
from contextlib import nullcontext
from uuid import uuid4

import pytest
from django.utils import timezone

from custody.engine import SYSTEM, LedgerRefused, Subject, acting, in_order, opened, record
from custody.models import Disclosure, Entry, Event, EventSubject, Pending
from custody.seal import SealBroken
from custody.sequencer import drain
from custody.vocabulary import Outcome, Type
from ledger.entry import commit, parse_entry
from tests.custody.ledgers import as_owner, happen

pytestmark = pytest.mark.django_db


def test_an_event_outside_an_act_is_refused() -> None:
    with pytest.raises(LedgerRefused, match="inside the act"):
        record(Type.VIEW, by=SYSTEM, at=timezone.now(), subjects=[Subject("item", uuid4())])


def test_after_an_act_ended_in_an_error_the_next_event_outside_is_refused_too() -> None:
    with pytest.raises(ZeroDivisionError), acting():
        _ = 1 / 0
    with pytest.raises(LedgerRefused):
        record(Type.VIEW, by=SYSTEM, at=timezone.now(), subjects=[Subject("item", uuid4())])


def test_an_act_that_fails_leaves_no_event_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        _act_and_fail(nested=False)
    for model in (Event, EventSubject, Disclosure, Pending):
        assert not model._default_manager.exists()


def test_an_act_inside_an_act_is_undone_with_it() -> None:
    with pytest.raises(ZeroDivisionError):
        _act_and_fail(nested=True)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), 2**53, b"bytes", {"a": "x" * 70_000}, "\ud800", {1: "key"}],
    ids=["a float", "not a number", "too large", "bytes", "too long", "half a character", "a key that is no text"],
)
def test_a_value_the_format_does_not_hold_is_refused_and_nothing_is_written(value: object) -> None:
    with pytest.raises(LedgerRefused, match="does not fit"):
        happen(fields={"to": value})
    assert not Event.objects.exists()


def test_the_entry_shows_type_time_and_outcome_and_none_of_the_values() -> None:
    compartment, item = uuid4(), uuid4()
    event_id = happen(
        subject=Subject("item", item),
        compartment=compartment,
        outcome=Outcome.FAILURE,
        fields={"purpose": "a name nobody may read", "to": {"title": "a title"}},
    )
    event = Event.objects.get(pk=event_id)
    text = bytes(event.entry).decode()
    entry = parse_entry(bytes(event.entry))
    assert (entry.type, entry.outcome, entry.event_id) == ("displaying", "failure", event_id.hex)
    for secret in ("nobody", "title", str(item), item.hex, str(compartment), str(SYSTEM.id)):
        assert secret not in text
    assert set(json.loads(text)["c"]) == {"agent", "subjects", "compartment", "purpose", "to"}


def test_every_value_opens_its_commitment_under_a_salt_of_its_own() -> None:
    first = happen(fields={"purpose": "same"})
    second = happen(fields={"purpose": "same"})
    values = opened([first, second])
    entries = {event.id: parse_entry(bytes(event.entry)) for event in Event.objects.all()}
    for event_id in (first, second):
        for field, (salt, value) in values[event_id].items():
            assert commit(salt, field, value) == entries[event_id].commitments[field]
    assert entries[first].commitments["purpose"] != entries[second].commitments["purpose"]


def test_a_disclosure_moved_to_another_event_does_not_open() -> None:
    subject = Subject("item", uuid4())
    first, second = happen(subject=subject, fields={"note": "a"}), happen(subject=subject, fields={"note": "b"})
    as_owner(
        "UPDATE custody_disclosure t SET sealed = s.sealed FROM custody_disclosure s "
        "WHERE t.event_id = %s AND s.event_id = %s AND t.field = s.field AND t.field = 'note'",
        first,
        second,
    )
    with pytest.raises(SealBroken):
        opened([first])


def test_events_of_a_subject_come_in_the_order_of_the_ledger_with_those_without_a_place_last() -> None:
    subject = Subject("item", uuid4())
    placed = [happen(subject=subject) for _ in range(3)]
    drain()
    waiting = [happen(subject=subject) for _ in range(2)]
    assert [event.id for event in in_order(Event.objects.all())] == placed + waiting
    assert Entry.objects.count() == 3


def _act_and_fail(*, nested: bool) -> None:
    with acting():
        with acting() if nested else nullcontext():
            record(Type.VIEW, by=SYSTEM, at=timezone.now(), subjects=[Subject("item", uuid4())])
        _ = 1 / 0

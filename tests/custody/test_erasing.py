"""Erased values are gone for good; their absence is explained by the ledger, and any other absence is an alarm."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from custody import erased, erasing, keys, seal, statements
from custody.engine import SYSTEM, Software, Subject, acting, opened, record
from custody.models import Disclosure, Entry, Event, Pending, SubjectKey
from custody.proof import proof_of
from custody.sequencer import drain
from custody.signer import sign_head
from custody.story import story
from custody.verify import faults
from custody.vocabulary import Type
from tests.custody.ledgers import as_owner, happen

pytestmark = pytest.mark.django_db
ASKS, DECIDES = Software(uuid4(), "one"), Software(uuid4(), "another")


def found() -> list[str]:
    return [f"{fault.where}: {fault.what}" for fault in faults()]


def settle() -> None:
    drain()
    sign_head()


def asked(*subjects: Subject) -> Subject:
    """An erasure that one person asked for, under a signed head."""
    keeper = Subject("erasure", uuid4())
    with acting():
        record(Type.REQUEST_ERASURE, by=ASKS, at=timezone.now(), subjects=[keeper, *subjects])
    settle()
    return keeper


def erase(
    *subjects: Subject, also: dict[UUID, list[str]] | None = None, keeper: Subject | None = None, by: Software = DECIDES
) -> UUID:
    """An erasure of everything recorded of these, agreed on by two persons, in one act."""
    keeper, event_id = keeper or asked(*subjects), uuid4()
    with acting():
        planned = erasing.plan([subject.id for subject in subjects], also=also)
        for part in erasing.in_parts(planned.destroyed):
            event_id = record(
                Type.ERASE, by=by, at=timezone.now(), subjects=[keeper, *subjects], fields={"erased": part}
            )
        erasing.carry_out(planned, erasure=keeper.id)
    return event_id


@pytest.fixture
def item() -> Subject:
    """A subject with two recorded events, under a signed head."""
    subject = Subject("item", uuid4())
    happen(subject=subject, type=Type.RECEIVE, fields={"to": {"title": "A road"}, "original_name": "canary.jpg"})
    happen(subject=subject, fields={"purpose": "content"})
    settle()
    return subject


def test_an_erased_subject_has_no_fault_and_its_proofs_hold(item: Subject) -> None:
    happen(fields={"purpose": "another"})
    erase(item)
    assert found() == []
    settle()
    assert found() == []
    assert proof_of(story("item", item.id)[0].event_id) is not None


def test_no_value_and_no_key_of_it_is_left_and_who_and_when_still_open(item: Subject) -> None:
    first = story("item", item.id)[0].event_id
    stored = bytes(Disclosure.objects.get(event_id=first, field="original_name").sealed)
    wrapped = bytes(SubjectKey.objects.get(subject_id=item.id).wrapped)
    erase(item)
    assert not SubjectKey.objects.filter(subject_id=item.id).exists()
    assert not Disclosure.objects.filter(subject_id=item.id).exists()
    assert set(opened([first])[first]) == {"agent", "subjects"}
    line = story("item", item.id)[0]
    assert (line.erased, line.lost) == (frozenset({"original_name", "to"}), frozenset())
    # What was destroyed is the only thing that could open it: a thief of the old row has nothing without the key.
    key = keys.provider().unwrap(wrapped, f"subject/{item.id}")
    assert b"canary" in seal.unseal_with(AESGCM(key), f"{first}/original_name", stored)
    with pytest.raises(seal.SealBroken):
        seal.unseal(item.id, f"{first}/original_name", stored)


def test_a_field_under_another_key_is_destroyed_by_name_and_the_rest_of_its_event_stays(item: Subject) -> None:
    case = Subject("case", uuid4())
    with acting():
        event_id = record(
            Type.EXHIBIT,
            by=SYSTEM,
            at=timezone.now(),
            subjects=[case, item],
            fields={"to": {"relevance": "It shows him"}, "purpose": "tendered"},
        )
    settle()
    erase(item, also={event_id: ["to"]})
    settle()
    assert set(opened([event_id])[event_id]) == {"agent", "subjects", "purpose"}
    assert found() == []


def test_values_deleted_without_an_erasure_are_an_alarm(item: Subject) -> None:
    as_owner("DELETE FROM custody_disclosure WHERE subject_id = %s", str(item.id))
    told = found()
    assert "entry 0: its value of original_name is missing" in told
    assert "entry 0: its value of agent is missing" in told
    assert story("item", item.id)[0].lost == {"agent", "subjects", "to", "original_name"}


def test_a_value_lost_before_the_erasure_stays_an_alarm(item: Subject) -> None:
    as_owner("DELETE FROM custody_disclosure WHERE field = 'original_name'")
    erase(item)
    settle()
    assert found() == ["entry 0: its value of original_name is missing"]


def test_an_erasure_row_without_an_entry_explains_nothing(item: Subject) -> None:
    """Whoever has the database deletes values and forges the row of an erasure, in every table but the ledger."""
    forged = erase(item)
    as_owner("DELETE FROM custody_pending WHERE event_id = %s", str(forged))
    settle()
    assert erased.destroyed_by(Event.objects.get(pk=forged)) == {}
    assert "entry 0: its value of original_name is missing" in found()
    assert f"event {forged}: has no entry in the ledger and none is pending" in found()


def test_an_erasure_whose_list_does_not_open_explains_nothing(item: Subject) -> None:
    """Whoever has the database and not the keys appends an entry of his own: its list opens no commitment."""
    happen(fields={"purpose": "lost later"}, subject=Subject("item", UUID(int=7)))
    settle()
    real = erase(item)
    settle()
    assert found() == []
    as_owner(
        "UPDATE custody_disclosure SET sealed = overlay(sealed placing 'x'::bytea from 30) "
        "WHERE event_id = %s AND field = 'erased'",
        str(real),
    )
    assert "entry 0: its value of original_name is missing" in found()


def test_an_erasure_names_its_own_events_and_no_others(item: Subject) -> None:
    other = Subject("item", uuid4())
    lost = happen(subject=other, fields={"purpose": "content"})
    erase(item)
    settle()
    as_owner("DELETE FROM custody_disclosure WHERE event_id = %s AND field = 'purpose'", str(lost))
    assert found() == ["entry 2: its value of purpose is missing"]


def test_an_erased_value_that_stands_again_is_an_alarm(item: Subject) -> None:
    """An old backup of the values is put back."""
    first = story("item", item.id)[0].event_id
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE kept AS SELECT * FROM custody_disclosure WHERE field = 'original_name'")
        cursor.execute("CREATE TEMP TABLE keys AS SELECT * FROM custody_subjectkey")
    erase(item)
    settle()
    as_owner("INSERT INTO custody_disclosure SELECT * FROM kept")
    as_owner("INSERT INTO custody_subjectkey SELECT * FROM keys ON CONFLICT DO NOTHING")
    assert opened([first])[first]["original_name"][1] == "canary.jpg"
    assert found() == ["entry 0: its value of original_name was erased, and stands again"]


def test_a_long_story_is_erased_in_several_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "MOST_EVENTS", 3)
    subject = Subject("item", uuid4())
    for _ in range(7):
        happen(subject=subject, fields={"purpose": "content"})
    settle()
    erase(subject)
    settle()
    assert Event.objects.filter(type=Type.ERASE).count() == 3
    assert found() == []


def test_a_tampered_record_is_not_erased(item: Subject) -> None:
    as_owner("UPDATE custody_disclosure SET sealed = overlay(sealed placing 'x'::bytea from 30) WHERE field = 'agent'")
    keeper = asked(item)
    entries = (Disclosure.objects.count(), Pending.objects.count(), Entry.objects.count())
    with pytest.raises(seal.SealBroken):
        erase(item, keeper=keeper)
    assert (Disclosure.objects.count(), Pending.objects.count(), Entry.objects.count()) == entries


def test_what_one_person_says_destroys_nothing(item: Subject) -> None:
    keeper = asked(item)
    with pytest.raises(erasing.NotAgreed, match="two persons"):
        erase(item, keeper=keeper, by=ASKS)
    assert SubjectKey.objects.filter(subject_id=item.id).exists()
    assert found() == []


def test_a_request_that_no_signed_head_covers_destroys_nothing(item: Subject) -> None:
    keeper = Subject("erasure", uuid4())
    with acting():
        record(Type.REQUEST_ERASURE, by=ASKS, at=timezone.now(), subjects=[keeper, item])
    drain()
    with pytest.raises(erasing.NotAgreed, match="no signed head"):
        erase(item, keeper=keeper)
    sign_head()
    erase(item, keeper=keeper)


def test_a_request_that_was_closed_destroys_nothing(item: Subject) -> None:
    keeper = asked(item)
    with acting():
        record(Type.CLOSE_ERASURE, by=ASKS, at=timezone.now(), subjects=[keeper, item])
    with pytest.raises(erasing.NotAgreed, match="closed"):
        erase(item, keeper=keeper)


def test_an_erasure_destroys_what_was_asked_for_and_nothing_else(item: Subject) -> None:
    other, keeper = Subject("item", uuid4()), asked(item)
    lost = happen(subject=other, fields={"purpose": "content"})
    with pytest.raises(erasing.NotAgreed, match="not everything of it was asked for"):
        erase(item, other, keeper=keeper)
    with pytest.raises(erasing.NotAgreed, match="of another event"):
        erase(item, also={lost: ["purpose"]}, keeper=keeper)
    assert opened([lost])[lost]["purpose"][1] == "content"
    erase(item, keeper=keeper)


def test_an_announcement_goes_with_its_item_and_not_with_another_one(item: Subject) -> None:
    intake, incident = Subject("intake", uuid4()), Subject("incident", uuid4())
    with acting():
        record(Type.INGESTION_START, by=SYSTEM, at=timezone.now(), subjects=[intake, incident])
    keeper = asked(item)

    def erase_both() -> None:
        with acting():
            planned = erasing.plan([item.id, intake.id])
            (part,) = erasing.in_parts(planned.destroyed)
            record(Type.ERASE, by=DECIDES, at=timezone.now(), subjects=[keeper, item, intake], fields={"erased": part})
            erasing.carry_out(planned, erasure=keeper.id)

    with pytest.raises(erasing.NotAgreed, match="not everything of it was asked for"):
        erase_both()
    with acting():
        record(Type.TAG, by=SYSTEM, at=timezone.now(), subjects=[item, incident])
    erase_both()
    assert not SubjectKey.objects.filter(subject_id=intake.id).exists()


def test_who_acted_on_what_is_not_destroyed(item: Subject) -> None:
    keeper = asked(item)
    planned = replace(erasing.plan([item.id]), kept=[])
    with acting():
        record(Type.ERASE, by=DECIDES, at=timezone.now(), subjects=[keeper, item], fields={"erased": {}})
        with pytest.raises(erasing.NotAgreed, match="who acted"):
            erasing.carry_out(planned, erasure=keeper.id)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_an_erasure_of_another_transaction_destroys_nothing(item: Subject) -> None:
    """What injected SQL would try: an old erasure's name, and everything else after it."""
    keeper = asked(item)
    erase(item, keeper=keeper)
    happen(subject=item, fields={"purpose": "later"})
    with pytest.raises(erasing.NotAgreed, match="carried out before"), acting():
        erasing.carry_out(erasing.plan([item.id]), erasure=keeper.id)
    with pytest.raises(erasing.NotAgreed, match="carried out before"):
        erase(item, keeper=keeper)
    assert SubjectKey.objects.filter(subject_id=item.id).exists()


def test_no_erasure_is_carried_out_that_was_not_recorded(item: Subject, as_role: Callable[[str], None]) -> None:
    keeper = asked(item)
    as_role("web")
    with pytest.raises(erasing.NotAgreed, match="no erasure is recorded"), acting():
        erasing.carry_out(erasing.plan([item.id]), erasure=keeper.id)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Disclosure.objects.all().delete()
    erase(item, keeper=keeper)
    for kind in ("sequencer", "signer", "auditor", "cleaner"):
        as_role(kind)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            statements.execute("SELECT custody_erase_v2(NULL, NULL, NULL, NULL, NULL, NULL)", [])

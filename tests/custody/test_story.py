"""The custody of one subject, told in order."""

import re
from uuid import uuid4

import pytest

from custody.engine import SYSTEM, Subject
from custody.proof import newest_checkpoint, proof_of
from custody.seal import SealBroken
from custody.sequencer import drain
from custody.signer import sign_head
from custody.story import story
from custody.vocabulary import Outcome, Type
from tests.custody.ledgers import as_owner, happen

pytestmark = pytest.mark.django_db


def test_a_story_tells_the_acts_of_its_subject_oldest_first_with_their_values() -> None:
    subject = Subject("item", uuid4())
    first = happen(subject=subject, type=Type.RECEIVE, fields={"to": {"title": "A road"}})
    happen(subject=Subject("item", uuid4()))
    second = happen(subject=subject, type=Type.VERIFY, outcome=Outcome.FAILURE)
    lines = story("item", subject.id)
    assert [(line.event_id, line.type, line.outcome) for line in lines] == [
        (first, Type.RECEIVE, Outcome.SUCCESS),
        (second, Type.VERIFY, Outcome.FAILURE),
    ]
    assert lines[0].fields["to"] == {"title": "A road"}
    assert lines[0].agent_id == SYSTEM.id
    assert str(lines[0].label) == "Received"


def test_an_act_is_waiting_then_placed_then_recorded_under_a_signed_head() -> None:
    subject = Subject("item", uuid4())
    event_id = happen(subject=subject)

    def now() -> tuple[int | None, bool]:
        line = story("item", subject.id)[0]
        return line.index, line.recorded

    assert now() == (None, False)
    assert proof_of(event_id) is None
    drain()
    assert now() == (0, False)
    assert newest_checkpoint() is None
    sign_head()
    assert now() == (0, True)
    assert proof_of(event_id) is not None


def test_a_long_story_gives_its_newest_part() -> None:
    subject = Subject("item", uuid4())
    events = [happen(subject=subject) for _ in range(5)]
    assert [line.event_id for line in story("item", subject.id, newest=2)] == events[-2:]


def test_a_story_with_a_changed_value_is_not_told() -> None:
    subject = Subject("item", uuid4())
    event_id = happen(subject=subject, fields={"note": "as it was"})
    as_owner(
        "UPDATE custody_disclosure SET sealed = overlay(sealed placing 'x'::bytea from 40) "
        "WHERE event_id = %s AND field = 'note'",
        event_id,
    )
    with pytest.raises(SealBroken):
        story("item", subject.id)


def test_every_type_is_a_premis_term_with_an_address_or_one_of_ours() -> None:
    for type_ in Type:
        if type_.value.startswith("sanad/"):
            assert type_.premis is None
        else:
            assert re.fullmatch(r"http://id\.loc\.gov/vocabulary/preservation/eventType/[a-z]{3}", type_.premis or "")
        assert str(type_.label)
    codes = [type_.premis for type_ in Type if type_.premis]
    assert len(codes) == len(set(codes))

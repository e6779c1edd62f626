"""Whatever the owner of the tables changes in the ledger is found, and named."""

import hashlib
import tracemalloc
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.conf import settings

from custody import signer
from custody.agreement import Fault
from custody.engine import Subject
from custody.models import Disclosure, Entry, Event
from custody.sequencer import append, drain
from custody.signer import leaves, sign_head
from custody.verify import faults
from ledger.entry import encode_entry
from tests.custody.ledgers import TILE_OF_THE_LEAVES, as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db


def found() -> list[str]:
    return [f"{fault.where}: {fault.what}" for fault in faults()]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 520])
def test_a_ledger_nobody_touched_has_no_fault_at_any_size(size: int) -> None:
    signed_ledger(size)
    assert found() == []


def test_events_that_wait_are_no_fault() -> None:
    signed_ledger(3)
    happen()
    drain()
    happen()
    assert found() == []


def test_progress_counts_entries_up_to_the_last() -> None:
    signed_ledger(300)
    seen: list[tuple[int, int]] = []
    assert list(faults(lambda done, total: seen.append((done, total)))) == []
    assert seen == [(256, 300), (300, 300), (300, 300)]


THIRD = '(SELECT event_id FROM custody_entry WHERE "index" = 2)'


def changed_event(column: str, value: str) -> str:
    return f"UPDATE custody_event SET {column} = {value} WHERE id = {THIRD}"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            """UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 2""",
            "entry 2: is not an entry",
        ),
        (
            """UPDATE custody_entry SET leaf_hash = sha256('x') WHERE "index" = 2""",
            "entry 2: does not have the hash it was sequenced with",
        ),
        ("""DELETE FROM custody_entry WHERE "index" = 2""", "entry 2: is missing from the ledger"),
        (
            'UPDATE custody_entry t SET entry = s.entry FROM custody_entry s WHERE t."index" = 2 AND s."index" = 3',
            "entry 2: is not the entry of its event",
        ),
        (
            (
                'UPDATE custody_entry SET "index" = 4 - "index" + 1000 WHERE "index" IN (1, 3);'
                'UPDATE custody_entry SET "index" = "index" - 1000 WHERE "index" >= 1000'
            ),
            "checkpoint 5: the stored entries do not lead to its signed root: one of the entries 0 to 4 was changed",
        ),
        (
            'DELETE FROM custody_event WHERE id = (SELECT event_id FROM custody_entry WHERE "index" = 2)',
            "entry 2: is not the entry of its event",
        ),
        (changed_event("type", "'dissemination'"), "entry 2: its event row was changed: type"),
        (changed_event("outcome", "'refused'"), "entry 2: its event row was changed: outcome"),
        (changed_event("at", "at + interval '1 second'"), "entry 2: its event row was changed: time"),
        (changed_event("agent_id", "gen_random_uuid()"), "entry 2: its event row was changed: agent"),
        (changed_event("compartment_id", "gen_random_uuid()"), "entry 2: its event row was changed: compartment"),
        (changed_event("entry", "'x'::bytea"), "entry 2: is not the one its event was recorded with"),
        (
            (
                "UPDATE custody_eventsubject SET subject_id = gen_random_uuid() WHERE event_id = "
                '(SELECT event_id FROM custody_entry WHERE "index" = 2)'
            ),
            "entry 2: the rows that say what it is about were changed",
        ),
        (
            'DELETE FROM custody_eventsubject WHERE event_id = (SELECT event_id FROM custody_entry WHERE "index" = 2)',
            "entry 2: the rows that say what it is about were changed",
        ),
        (
            (
                "INSERT INTO custody_eventsubject (event_id, kind, subject_id, at) SELECT event_id, 'user', "
                'gen_random_uuid(), now() FROM custody_entry WHERE "index" = 2'
            ),
            "entry 2: the rows that say what it is about were changed",
        ),
        (
            (
                "UPDATE custody_disclosure SET sealed = overlay(sealed placing 'x'::bytea from 30) "
                "WHERE field = 'purpose' "
                'AND event_id = (SELECT event_id FROM custody_entry WHERE "index" = 2)'
            ),
            "entry 2: its value of purpose does not open",
        ),
        (
            (
                "DELETE FROM custody_disclosure WHERE field = 'purpose' "
                'AND event_id = (SELECT event_id FROM custody_entry WHERE "index" = 2)'
            ),
            "entry 2: its value of purpose is missing",
        ),
        (
            (
                "UPDATE custody_disclosure SET field = 'note' WHERE field = 'purpose' "
                'AND event_id = (SELECT event_id FROM custody_entry WHERE "index" = 2)'
            ),
            "entry 2: a value of note stands beside it, which it does not hold",
        ),
        (
            "UPDATE custody_tile SET hashes = overlay(hashes placing 'x'::bytea from 70)",
            "tile 0/0: is missing or was changed at entry 2",
        ),
        ("DELETE FROM custody_tile", "tile 0/0: is missing or was changed at entry 0"),
        (
            "UPDATE custody_checkpoint SET size = size - 1",
            "checkpoint 4: the row does not say what its signed note says",
        ),
        ("UPDATE custody_checkpoint SET root = sha256('x')", "checkpoint 5: the row does not say what its signed note"),
        (
            "UPDATE custody_checkpoint SET note = replace(note, E'\\n5\\n', E'\\n4\\n')",
            "checkpoint 5: the signature",
        ),
        ("DELETE FROM custody_checkpoint", "checkpoint 5: is the newest signed head, and its row is missing"),
        (
            "UPDATE custody_checkpoint SET signed_at = signed_at - interval '1 day'",
            "checkpoint 5: does not follow the one before it",
        ),
        (
            (
                "INSERT INTO custody_event (id, type, outcome, at, agent_id, entry) VALUES "
                "('00000000-0000-0000-0000-00000000beef', 'displaying', 'success', now(), gen_random_uuid(), 'x')"
            ),
            "event 00000000-0000-0000-0000-00000000beef: has no entry in the ledger and none is pending",
        ),
        (
            (
                "INSERT INTO custody_disclosure (event_id, field, subject_id, sealed) VALUES "
                "('00000000-0000-0000-0000-00000000beef', 'purpose', gen_random_uuid(), '')"
            ),
            "event 00000000-0000-0000-0000-00000000beef: is gone, and a value of it is left",
        ),
    ],
)
def test_a_change_made_with_sql_is_found_and_named(statement: str, expected: str) -> None:
    signed_ledger(5)
    assert found() == []
    assert as_owner(statement) > 0
    named = found()
    assert any(text.startswith(expected) for text in named), named


def test_a_key_destroyed_or_exchanged_is_named_by_the_values_that_do_not_open() -> None:
    subject = Subject("item", uuid4())
    happen(subject=subject, fields={"note": "kept"})
    signed_ledger(1)
    as_owner("DELETE FROM custody_subjectkey WHERE subject_id = %s", subject.id)
    fields = ("agent", "note", "subjects")
    assert sorted(found()) == [f"entry 0: its value of {field} does not open" for field in fields]


def test_a_checkpoint_taken_out_of_the_middle_is_noticed_by_the_one_after_it() -> None:
    for _ in range(3):
        signed_ledger(1)
    as_owner("DELETE FROM custody_checkpoint WHERE size = 2")
    assert found() == ["checkpoint 3: does not follow the one before it: a checkpoint was removed, added or changed"]


def test_a_database_put_back_to_an_older_true_state_is_noticed_by_the_signers_memory() -> None:
    signed_ledger(3)
    kept = list(Event.objects.values_list("pk", flat=True))
    signed_ledger(2)
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    as_owner("DELETE FROM custody_checkpoint WHERE size > 3")
    for table, column in (("event", "id"), ("eventsubject", "event_id"), ("disclosure", "event_id")):
        as_owner(f"DELETE FROM custody_{table} WHERE NOT {column} = ANY(%s)", kept)
    assert found() == [
        "checkpoint 5: is the newest signed head, and its row is missing",
        "ledger: 5 entries were signed and only 3 are stored",
    ]


def test_a_ledger_rewritten_throughout_by_an_owner_without_the_signers_key_is_noticed() -> None:
    """The entry, its hash, its event and its tile agree with each other: the signed root does not."""
    signed_ledger(4)
    as_owner(
        """UPDATE custody_entry SET entry = replace(encode(entry, 'escape'), '"success"', '"failure"')::bytea
           WHERE "index" = 1"""
    )
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")
    as_owner(
        """UPDATE custody_event e SET entry = n.entry, outcome = 'failure' FROM custody_entry n
           WHERE n.event_id = e.id AND n."index" = 1"""
    )
    as_owner(TILE_OF_THE_LEAVES)
    span = "checkpoint 4: the stored entries do not lead to its signed root: one of the entries 0 to 3 was changed"
    assert found() == ["entry 1: was rewritten together with its hash after it was signed", span]
    leaves().path.unlink()  # as for a worker, which may not look into the signer's folder
    assert found() == [span]


def test_a_damaged_list_of_hashes_accuses_no_entry() -> None:
    signed_ledger(4)
    with leaves().path.open("r+b") as handle:
        handle.seek(70)
        handle.write(b"xx")
    assert found() == []


def test_several_faults_are_all_named() -> None:
    signed_ledger(4)
    sealed = Disclosure.objects.filter(event_id=Entry.objects.get(index=3).event_id, field="agent")
    as_owner("UPDATE custody_event SET type = 'creation' WHERE id = %s", Entry.objects.get(index=0).event_id)
    as_owner("DELETE FROM custody_disclosure WHERE id = %s", sealed.get().pk)
    assert list(faults()) == [
        Fault("entry 0", "its event row was changed: type"),
        Fault("entry 3", "its value of agent is missing"),
    ]


def test_an_event_that_commits_to_nobody_is_not_one_this_archive_recorded() -> None:
    """Whoever adds entries to the tree needs no key for it, and may name a colleague in them."""
    signed_ledger(1)
    made, at = uuid4(), datetime(2025, 3, 10, tzinfo=UTC)
    entry = encode_entry(
        origin=settings.SANAD_ORIGIN,
        event_id=made.hex,
        ts="2025-03-10T00:00:00.000Z",
        type="displaying",
        outcome="success",
        blob=None,
        commitments={},
    )
    Event.objects.create(id=made, type="displaying", outcome="success", at=at, agent_id=uuid4(), entry=entry)
    append([(made, entry)])
    sign_head()
    what = "does not commit to its {}: it is not one that this archive recorded"
    assert sorted(found()) == [f"entry 1: {what.format(field)}" for field in ("agent", "subjects")]


def test_memory_stays_flat_however_long_the_ledger_is() -> None:
    def peak() -> int:
        tracemalloc.start()
        assert list(faults()) == []
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    signed_ledger(300)
    short = peak()
    signed_ledger(1200)
    assert peak() < short * 1.5


def test_acts_recorded_while_it_is_checked_are_neither_missed_nor_faults() -> None:
    signed_ledger(300)
    running = faults(lambda *_: _act_meanwhile())
    assert list(running) == []


def _act_meanwhile() -> None:
    happen()
    drain()
    sign_head()


def test_whether_a_head_is_a_heartbeat_is_bound_by_the_chain() -> None:
    signed_ledger(3)
    assert found() == []
    as_owner("UPDATE custody_checkpoint SET heartbeat = NOT heartbeat")
    assert "does not follow the one before it" in found()[0]


def test_heads_signed_before_marks_were_bound_still_follow_each_other() -> None:
    first, chain = signed_ledger(1), b""
    for row in [first, signed_ledger(1)]:
        chain = hashlib.sha256(signer._unmarked(chain, row.note, row.signed_at)).digest()
        as_owner("UPDATE custody_checkpoint SET chain = %s WHERE pk = %s".replace("pk", "id"), chain, row.pk)
    assert not [fault for fault in found() if "does not follow" in fault]

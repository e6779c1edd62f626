"""What this archive did not record does not get into the tree, and stops nobody else's events on their way there."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from custody import admission, statements
from custody.alarm import SEQUENCER, Kind, alarm_of
from custody.models import Entry, Event, Pending, Quarantine
from custody.scrub import scrub, scrub_values
from custody.sequencer import append, drain
from custody.signer import SignerRefused, sign_head
from ledger.entry import EntryError, encode_entry, parse_entry
from tests.custody.ledgers import as_owner, happen, plant, signed_ledger
from tests.custody.test_roles import signed_in_as

pytestmark = pytest.mark.django_db
AT = datetime(2025, 3, 10, tzinfo=UTC)


def entry(event_id: UUID, *, origin: str = "", **stated: Any) -> bytes:
    given: dict[str, Any] = {
        "origin": origin or settings.SANAD_ORIGIN,
        "event_id": event_id.hex,
        "ts": "2025-03-10T00:00:00.000Z",
        "type": "displaying",
        "outcome": "success",
        "blob": None,
        "commitments": {field: bytes(32) for field in ("agent", "subjects")},
    }
    return encode_entry(**given | stated)


def put_in(event_id: UUID, data: bytes) -> None:
    """A row of somebody who owns the tables, triggers off, with everything beside it that belongs there."""
    as_owner(
        "INSERT INTO custody_event (id, type, outcome, at, agent_id, entry)"
        " VALUES (%s, 'displaying', 'success', %s, gen_random_uuid(), %s)",
        event_id,
        AT,
        data,
    )
    as_owner(
        "INSERT INTO custody_eventsubject (event_id, kind, subject_id, at) VALUES (%s, 'item', %s, %s)",
        event_id,
        uuid4(),
        AT,
    )
    as_owner(
        "INSERT INTO custody_disclosure (event_id, field, subject_id, sealed)"
        " SELECT %s, field, gen_random_uuid(), '' FROM unnest(ARRAY['agent', 'subjects']) AS field",
        event_id,
    )
    as_owner("INSERT INTO custody_pending (event_id, created_at) VALUES (%s, now())", event_id)


def reason(event_id: UUID) -> str:
    return Quarantine.objects.get(event_id=event_id, released_at=None).reason


def all_is_well_but_for(event_id: UUID, why: str) -> None:
    """The other events of the batch have their places, are signed, and stay so; the alarm names this one."""
    others = [happen() for _ in range(2)]
    drain()
    assert why in reason(event_id)
    assert not Entry.objects.filter(event_id=event_id).exists()
    assert set(Entry.objects.values_list("event_id", flat=True)) >= set(others)
    assert sign_head(force=True) is not None
    assert scrub().clean
    assert sign_head(force=True) is not None
    with pytest.raises(CommandError) as ended:
        call_command("sequencer", "--once")
    assert ended.value.returncode == 18
    told = alarm_of(SEQUENCER)
    assert told is not None
    assert (told.kind, told.where) == (Kind.QUARANTINED, f"event {event_id}")
    assert why in told.what
    assert drain() == 0


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: b"garbage" * 1000, "its bytes are not an entry"),
        (lambda made: entry(made).replace(b',"v":1', b',"v": 1'), "its bytes are not an entry"),
        (lambda made: entry(made, origin="elsewhere.example/log"), "of another ledger"),
        (lambda _: entry(uuid4()), "that of another event"),
        (lambda made: entry(made, type="ingestion"), "its row does not say what its entry says"),
        (lambda made: entry(made, outcome="refused"), "its row does not say what its entry says"),
        (lambda made: entry(made, ts="2025-03-11T00:00:00.000Z"), "its row does not say what its entry says"),
        (lambda made: entry(made, commitments={"agent": bytes(32)}), "does not commit to who acted"),
        (lambda made: entry(made, commitments={}), "does not commit to who acted"),
    ],
)
def test_an_entry_that_is_none_of_this_ledger_waits_in_quarantine_and_nobody_else_does(
    make: Callable[[UUID], bytes], why: str
) -> None:
    signed_ledger(3)
    made = uuid4()
    put_in(made, make(made))
    all_is_well_but_for(made, why)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM custody_eventsubject WHERE event_id = %s", "what it is about"),
        ("UPDATE custody_eventsubject SET at = now() WHERE event_id = %s", "what it is about"),
        ("DELETE FROM custody_disclosure WHERE event_id = %s AND field = 'agent'", "who acted and on what are gone"),
        (
            "UPDATE custody_disclosure SET field = 'more' WHERE event_id = %s AND field = 'note'",
            "a value stands beside",
        ),
        ("UPDATE custody_event SET type = 'x' WHERE id = %s", "its row does not say what its entry says"),
        ("DELETE FROM custody_event WHERE id = %s", "values of it are left, so it was deleted"),
    ],
)
def test_an_event_that_was_changed_while_it_waited_is_kept_for_a_repair(statement: str, why: str) -> None:
    signed_ledger(3)
    made = happen(fields={"note": "a note"})
    as_owner(statement, made)
    all_is_well_but_for(made, why)
    assert Pending.objects.filter(event_id=made).exists()


def test_a_number_put_into_the_queue_is_told_and_stops_nothing() -> None:
    signed_ledger(3)
    made = uuid4()
    as_owner("INSERT INTO custody_pending (event_id, created_at) VALUES (%s, now())", made)
    all_is_well_but_for(made, "somebody put a number into the queue")


def test_an_event_that_is_queued_again_leaves_the_queue_and_is_told() -> None:
    signed_ledger(3)
    old = Entry.objects.get(index=0).event_id
    as_owner("INSERT INTO custody_pending (event_id, created_at) VALUES (%s, now())", old)
    late = happen()
    assert drain() == 1
    assert Entry.objects.get(index=3).event_id == late
    assert "has its place in the ledger already" in reason(old)
    assert not Pending.objects.exists()
    assert scrub().clean


def test_whoever_put_in_a_whole_batch_holds_up_nothing_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custody.sequencer.BATCH", 2)
    for _ in range(5):
        as_owner("INSERT INTO custody_pending (event_id, created_at) VALUES (gen_random_uuid(), now())")
    happen()
    assert drain() == 1
    assert admission.held().count() == 5


def test_after_a_repair_an_event_gets_its_place_and_the_alarm_goes() -> None:
    signed_ledger(3)
    made = happen()
    as_owner("UPDATE custody_event SET type = 'x' WHERE id = %s", made)
    assert drain() == 0
    call_command("requeue_events", str(made), stdout=StringIO())
    assert drain() == 0, "still wrong, it comes back"
    assert Quarantine.objects.filter(event_id=made).count() == 2
    as_owner("UPDATE custody_event SET type = 'displaying' WHERE id = %s", made)
    told = StringIO()
    call_command("requeue_events", "--list", stdout=told)
    assert f"{made}  " in told.getvalue()
    call_command("requeue_events", stdout=StringIO())
    assert drain() == 1
    call_command("sequencer", "--once")
    assert alarm_of(SEQUENCER) is None
    sign_head()
    assert scrub_values().clean


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM custody_quarantine",
        "TRUNCATE custody_quarantine",
        "UPDATE custody_quarantine SET reason = ''",
        "UPDATE custody_quarantine SET released_at = now()",
    ],
)
def test_what_was_held_back_is_neither_forgotten_nor_reworded(statement: str) -> None:
    signed_ledger(1)
    put = Quarantine.objects.create(event_id=uuid4(), reason="a reason", at=AT, released_at=AT)
    statements.execute("SET CONSTRAINTS ALL IMMEDIATE", [])
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        statements.execute(statement, [])
    assert Quarantine.objects.get() == put


@pytest.mark.parametrize("data", [b"", b"x" * 8193])
@pytest.mark.parametrize("table", ["event", "entry"])
def test_the_tables_take_no_entry_of_another_size(table: str, data: bytes) -> None:
    statement = {
        "event": "INSERT INTO custody_event (id, type, outcome, at, agent_id, entry)"
        " VALUES (gen_random_uuid(), 'x', 'success', now(), gen_random_uuid(), %s)",
        "entry": "INSERT INTO custody_entry (index, event_id, entry, leaf_hash)"
        " VALUES (0, gen_random_uuid(), %s, sha256(''))",
    }[table]
    with pytest.raises(IntegrityError, match="entry_fits"), transaction.atomic():
        statements.execute(statement, [data])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: b"garbage", "entry 3 is not an entry"),
        (lambda made: entry(made, origin="elsewhere.example/log"), "entry 3 is of another ledger"),
        (lambda _: entry(uuid4()), "entry 3 is not that of its event"),
    ],
)
def test_the_signer_looks_for_itself_and_signs_nothing_that_is_not_of_this_ledger(
    make: Callable[[UUID], bytes], why: str
) -> None:
    """A sequencer that was taken over puts it into the tree: it is not signed, and can still be taken out."""
    signed_ledger(3)
    made = uuid4()
    append([(made, make(made))])
    with pytest.raises(SignerRefused, match=why):
        sign_head()


@pytest.mark.django_db(transaction=True)
def test_injected_sql_adds_no_row_by_itself_and_cannot_take_the_sequencers_turn() -> None:
    signed_ledger(1)
    with signed_in_as("web") as session:
        for statement in (
            "INSERT INTO custody_pending (event_id, created_at) VALUES (gen_random_uuid(), now())",
            "INSERT INTO custody_event SELECT * FROM custody_event",
            "LOCK TABLE custody_quarantine IN SHARE UPDATE EXCLUSIVE MODE",
            "LOCK TABLE custody_pending IN ACCESS EXCLUSIVE MODE",
            "LOCK TABLE custody_entry IN ACCESS EXCLUSIVE MODE",
            "LOCK TABLE custody_event IN ROW EXCLUSIVE MODE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), session.transaction():
                session.execute(statement)
        session.execute("SELECT pg_advisory_lock(%s)", [0x53414E4144])
        happen()
        assert drain() == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"entry": lambda _: b"garbage"}, "invalid input syntax"),
        ({"entry": lambda _: entry(uuid4())}, "not that of its event"),
        ({"type": "ingestion"}, "not that of its event"),
        ({"at": datetime(2025, 3, 11, tzinfo=UTC)}, "not that of its event"),
        ({"fields": ["agent"], "sealed": [b""]}, "not those the entry commits to"),
        ({"fields": ["agent", "note", "subjects"], "sealed": [b""] * 3}, "not those the entry commits to"),
        ({"kinds": ["item", "item"]}, "about its subjects"),
        ({"kinds": [], "subjects": []}, "about its subjects"),
    ],
)
def test_the_function_that_records_takes_no_entry_that_is_not_of_its_event(change: dict[str, Any], why: str) -> None:
    made, subject = uuid4(), uuid4()
    given: dict[str, Any] = {
        "entry": entry,
        "type": "displaying",
        "at": AT,
        "fields": ["agent", "subjects"],
        "sealed": [b"", b""],
        "kinds": ["item"],
        "subjects": [subject],
    } | change
    call = "SELECT custody_record_v2(%s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s, %s, true, %s, %s)"
    row = [made, given["type"], "success", given["at"], uuid4(), None, given["entry"](made)]
    about = [given["kinds"], given["subjects"], subject, b"a key", given["fields"], given["sealed"]]
    with pytest.raises(Exception, match=why), transaction.atomic():
        statements.execute(call, row + about)
    assert not Event.objects.exists()


@pytest.mark.parametrize("what", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
def test_what_a_function_runs_as_owns_nothing_else_and_nobody_signs_in_as_it(what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, rolcanlogin, (SELECT count(*) FROM pg_class WHERE relowner = pg_roles.oid),"
            " (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relkind = 'r'"
            "  AND relnamespace = current_schema()::regnamespace"
            "  AND has_table_privilege(pg_roles.oid, pg_class.oid, %s))"
            " FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner"
            " WHERE proname IN ('custody_record_v2', 'custody_erase_v2') AND prosecdef ORDER BY proname",
            [what],
        )
        (erases, records) = cursor.fetchall()
    five = sorted(f"custody_{name}" for name in ("event", "eventsubject", "disclosure", "subjectkey", "pending"))
    may = {
        "INSERT": (["custody_disclosure"], five),
        "UPDATE": (None, None),
        "DELETE": (["custody_disclosure", "custody_subjectkey"], None),
        "TRUNCATE": (None, None),
    }[what]
    assert erases == ("custody_erase_v2", False, 0, may[0])
    assert records == ("custody_record_v2", False, 0, may[1])


_TEXT = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(
    fields=st.lists(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), max_size=5),
    type=st.one_of(st.just("displaying"), _TEXT),
    cut=st.integers(0, 400),
    put=_TEXT,
)
def test_what_is_taken_at_a_glance_is_what_the_parser_takes(fields: list[str], type: str, cut: int, put: str) -> None:
    """The glance may say "look again", and never "right" of bytes that the parser refuses."""
    made = UUID(int=7)
    members = ",".join(f'"{field}":"{"ab" * 32}"' for field in fields)
    data = (
        f'{{"blob":null,"c":{{{members}}},"id":"{made.hex}","log":"{settings.SANAD_ORIGIN}","outcome":"success",'
        f'"ts":"2025-03-10T00:00:00.000Z","type":"{type}","v":1}}'
    )
    data = data[:cut] + put + data[cut:] if cut < len(data) and put else data
    row = admission.Waiting(1, made, data.encode(), type, "success", AT, None, ["agent", "subjects"], 1, 0)
    seen = admission._fields(row)
    if seen is None:
        return
    parsed = parse_entry(data.encode())
    assert list(seen) == list(parsed.commitments)
    assert (parsed.event_id, parsed.origin, parsed.type) == (made.hex, settings.SANAD_ORIGIN, type)


def test_every_entry_of_this_archive_is_seen_at_a_glance() -> None:
    happen(fields={"purpose": "a", "note": "b", "to": {"c": 1}})
    plant(1)
    rows = admission.waiting(2)
    assert [admission._fields(row) for row in rows] == [
        ["agent", "note", "purpose", "subjects", "to"],
        ["agent", "subjects"],
    ]
    with pytest.raises(EntryError):
        parse_entry(b"{}")

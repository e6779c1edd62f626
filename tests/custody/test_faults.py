"""A fault at every step between an act and its exported place: afterwards all of a step is there, or nothing."""

import threading
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from archive.postgres import SUPERUSER
from custody import seal, statements
from custody.engine import LedgerRefused, Subject, acting, opened
from custody.models import Disclosure, Entry, Event, EventSubject, Pending, SubjectKey, Tile
from custody.sequencer import drain, read_tile, sequence_once, tree_size
from ledger.grow import root_from_tiles, root_of
from tests.custody.ledgers import happen, signed_ledger

ROWS = (Event, EventSubject, Disclosure, SubjectKey, Pending)
STEPS = ("look", "lock", "queue", "size", "right edge", "tiles", "removal")


def counts() -> dict[Any, int]:
    return {model: model._default_manager.count() for model in (*ROWS, Entry, Tile)}


def as_superuser(statement: str) -> None:
    database = connection.settings_dict
    with psycopg.connect(
        host=database["HOST"], dbname=database["NAME"], user=SUPERUSER, autocommit=True
    ) as administrator:
        administrator.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
def test_a_fault_in_any_table_of_an_event_undoes_the_whole_event(model: Any) -> None:
    happen()
    before = counts()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER fail AFTER INSERT ON {model._meta.db_table} FOR EACH ROW EXECUTE FUNCTION pg_temp.fail()"
        )
    with pytest.raises(DatabaseError, match="the disk is full"):
        happen(fields={"purpose": "a fault"})
    assert counts() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_connection_killed_at_any_step_of_sequencing_leaves_everything_and_the_next_time_does_it(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_ledger(3)
    events = [happen() for _ in range(4)]
    before, root = counts(), root_from_tiles(3, read_tile)
    execute, calls = statements.execute, []

    def killed(sql: str, parameters: Any) -> Any:
        calls.append(sql)
        if len(calls) == step + 1:
            as_superuser(f"SELECT pg_terminate_backend({connection.connection.info.backend_pid}, 5000)")
        return execute(sql, parameters)

    monkeypatch.setattr(statements, "execute", killed)
    with pytest.raises(DatabaseError):
        sequence_once()
    monkeypatch.undo()
    connection.close()
    assert len(calls) == step + 1
    assert counts() == before
    assert root_from_tiles(tree_size(), read_tile) == root
    assert drain() == 4
    rows = Entry.objects.order_by("index")
    assert [row.event_id for row in rows][3:] == events
    assert root_from_tiles(7, read_tile) == root_of(bytes(row.leaf_hash) for row in rows)


@pytest.mark.django_db(transaction=True)
def test_the_steps_above_are_those_that_sequencing_has(monkeypatch: pytest.MonkeyPatch) -> None:
    signed_ledger(3)
    happen()
    execute, calls = statements.execute, []

    def counted(sql: str, parameters: Any) -> Any:
        calls.append(sql)
        return execute(sql, parameters)

    monkeypatch.setattr(statements, "execute", counted)
    assert sequence_once() == 1
    assert len(calls) == len(STEPS), calls


@pytest.mark.django_db(transaction=True)
def test_first_acts_on_one_subject_at_once_seal_their_values_under_one_key() -> None:
    subject, events, together = Subject("item", uuid4()), [], threading.Barrier(8)

    def act() -> None:
        together.wait()
        events.append(happen(subject=subject, fields={"note": "at once"}))
        connection.close()

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events) == 8
    assert SubjectKey.objects.count() == 1
    assert {values["note"][1] for values in opened(events).values()} == {"at once"}


@pytest.mark.django_db
def test_a_key_that_was_undone_or_destroyed_within_the_act_is_never_used_again() -> None:
    subject = Subject("item", uuid4())
    with acting():
        part = transaction.atomic()
        part.__enter__()
        happen(subject=subject, fields={"note": "undone"})
        part.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        assert not SubjectKey.objects.exists()
        kept = happen(subject=subject, fields={"note": "kept"})
        first = SubjectKey.objects.get()
        first.delete()
        after = happen(subject=subject, fields={"note": "after the key was destroyed"})
    assert bytes(SubjectKey.objects.get().wrapped) != bytes(first.wrapped), "a destroyed key came back"
    assert opened([after])[after]["note"][1] == "after the key was destroyed"
    with pytest.raises(seal.SealBroken):
        opened([kept])


@pytest.mark.django_db
def test_a_key_that_changes_again_and_again_is_refused_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject("item", uuid4())
    happen(subject=subject)
    before = counts()
    monkeypatch.setattr(seal, "stored_cipher", seal.fresh_cipher)
    with pytest.raises(LedgerRefused, match="again and again"):
        happen(subject=subject)
    assert counts() == before

"""The tables of the ledger take new rows and no others, whoever asks through SQL."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from archive.postgres import SUPERUSER
from custody import roles
from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject, Pending, SubjectKey, Tile
from tests.custody.ledgers import happen, signed_ledger
from tests.custody.test_roles import signed_in_as

WRITTEN_ONCE: list[Any] = [Event, EventSubject, Entry, Checkpoint]
TABLES = [model._meta.db_table for model in apps.get_app_config("custody").get_models()]


def refused(statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("model", WRITTEN_ONCE, ids=lambda model: model.__name__)
@pytest.mark.parametrize("act", ["update", "delete", "truncate"])
def test_rows_of_the_ledger_are_neither_changed_nor_removed(model: Any, act: str) -> None:
    signed_ledger(3)
    table = model._meta.db_table
    column = "entry" if model in (Event, Entry) else "note" if model is Checkpoint else "kind"
    statement = {
        "update": f"UPDATE {table} SET {column} = {column}",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table}",
    }[act]
    refused(statement)
    assert model._default_manager.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "model"),
    [
        ("UPDATE custody_disclosure SET field = 'x'", Disclosure),
        ("TRUNCATE custody_disclosure", Disclosure),
        ("UPDATE custody_subjectkey SET wrapped = ''", SubjectKey),
        ("TRUNCATE custody_subjectkey", SubjectKey),
        ("UPDATE custody_pending SET event_id = gen_random_uuid()", Pending),
        ("TRUNCATE custody_pending", Pending),
        ("DELETE FROM custody_pending", Pending),
        ("DELETE FROM custody_tile", Tile),
        ("TRUNCATE custody_tile", Tile),
        ("UPDATE custody_tile SET hashes = substr(hashes, 1, 32)", Tile),
        ("UPDATE custody_tile SET hashes = overlay(hashes placing 'x'::bytea from 40)", Tile),
        ('UPDATE custody_tile SET "index" = 7', Tile),
    ],
)
def test_values_and_keys_are_not_rewritten_tiles_only_grow_and_waiting_events_stay(statement: str, model: Any) -> None:
    signed_ledger(3)
    happen()
    refused(statement)
    assert model._default_manager.exists()


@pytest.mark.django_db
def test_a_value_may_be_erased_because_crypto_shredding_must_be_possible() -> None:
    signed_ledger(1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM custody_disclosure")
        cursor.execute("DELETE FROM custody_subjectkey")
    assert not Disclosure.objects.exists()
    assert not SubjectKey.objects.exists()


@pytest.mark.django_db
def test_every_table_of_custody_is_guarded_and_for_replication_roles_too() -> None:
    """A new table fails here until its migration calls custody_guard_v1."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'custody\\_%'"
        )
        rows = cursor.fetchall()
    for trigger in ("append_only_rows", "append_only_truncate"):
        assert {table for table, name, _ in rows if name == trigger} == set(TABLES)
    assert {enabled for _, _, enabled in rows} == {"A"}


@pytest.fixture
def superuser() -> Iterator[psycopg.Connection[Any]]:
    database = connection.settings_dict
    with psycopg.connect(host=database["HOST"], dbname=database["NAME"], user=SUPERUSER) as found:
        yield found
        found.rollback()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [*WRITTEN_ONCE, Tile], ids=lambda model: model.__name__)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}"])
def test_a_session_that_says_it_replicates_is_refused_too(
    model: Any, statement: str, superuser: psycopg.Connection[Any]
) -> None:
    signed_ledger(2)
    superuser.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.IntegrityError, match="append-only"):
        superuser.execute(statement.format(model._meta.db_table))


@pytest.mark.django_db
def test_every_function_of_ours_looks_names_up_in_its_own_schema() -> None:
    """Otherwise whoever calls it, or writes to a table it guards, may show it a temporary table of that name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " AND proname ~ '^(custody|evidence|witnesses|incidents|cases|verification|accounts)_' ORDER BY proname"
        )
        found = dict(cursor.fetchall())
    # The one that indexes are made with names no table, has its body bound at its making, and would not be inlined.
    assert found.pop("evidence_normalised_v1") is None
    assert {"custody_record_v2", "custody_erase_v2", "custody_pending_placed_v1", "custody_append_only_v1"} <= set(
        found
    )
    assert {name: config for name, config in found.items() if config != ["search_path=public, pg_temp"]} == {}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", roles.KINDS)
def test_no_role_makes_a_temporary_table_to_be_taken_for_one_of_the_ledger(kind: str) -> None:
    signed_ledger(1)
    event = happen()
    with signed_in_as(kind) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("CREATE TEMP TABLE custody_entry (event_id uuid)")
    with connection.cursor() as cursor:  # the owner may, and the guard looks past it
        cursor.execute("CREATE TEMP TABLE custody_entry AS SELECT %s::uuid AS event_id", [event])
        with pytest.raises(IntegrityError, match="has no place in the ledger yet"):
            cursor.execute("DELETE FROM public.custody_pending")

"""The tables of the ledger take new rows and no others, whoever asks through SQL."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject, Tile
from tests.custody.ledgers import signed_ledger

pytestmark = pytest.mark.django_db

WRITTEN_ONCE: list[Any] = [Event, EventSubject, Entry, Checkpoint]


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
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert model._default_manager.exists()


@pytest.mark.parametrize(
    ("statement", "model"),
    [
        ("UPDATE custody_disclosure SET field = 'x'", Disclosure),
        ("TRUNCATE custody_disclosure", Disclosure),
        ("DELETE FROM custody_tile", Tile),
        ("TRUNCATE custody_tile", Tile),
    ],
)
def test_values_are_not_rewritten_and_tiles_do_not_go_away(statement: str, model: Any) -> None:
    signed_ledger(3)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert model._default_manager.exists()


def test_a_value_may_be_erased_because_crypto_shredding_must_be_possible() -> None:
    signed_ledger(1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM custody_disclosure")
    assert not Disclosure.objects.exists()


def test_the_triggers_fire_for_replication_roles_too() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgenabled FROM pg_trigger WHERE tgname LIKE 'append_only%'")
        rows = cursor.fetchall()
    assert {table for table, _ in rows} == {
        f"custody_{name}" for name in ("event", "eventsubject", "entry", "checkpoint", "disclosure", "tile")
    }
    assert {enabled for _, enabled in rows} == {"A"}

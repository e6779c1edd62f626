"""Statements of the ledger itself, past the ORM: bound by the server, which keeps their plan, values in binary."""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection


def execute(sql: str, parameters: Sequence[Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run in the transaction Django has open on its connection. Raises Django's database errors, as the ORM does."""
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        return cursor.execute(sql, parameters, binary=True)


def fetch_one(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row, None when there is none."""
    return execute(sql, parameters).fetchone()

"""Wrapping every data key anew under the current key-encryption key, row by row; no stored object is touched.

1. A batch is one transaction. It locks rows that nobody holds, in the order of their ids, unwraps each key, wraps it
   anew, opens what it made, and only then replaces the row's bytes. A row that another act holds is left to the next
   pass, so neither waits for the other.
2. A row is replaced only while it still holds what was read: a key that was destroyed meanwhile stays destroyed.
3. Killed at any point, what was committed is wrapped anew and the rest is as it was; both keys open. Run again, it
   goes on with what is left.
4. New rows are wrapped under the current key by themselves, so a pass that finds nothing is the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg import sql

from custody import keys, wrapping
from custody.keys import Sample

BATCH = 500  # rows in one transaction
HELD = 30  # seconds for acts to end that write keys
PASSES = 20  # in each of which rows that somebody held may be left


@dataclass(frozen=True)
class Wrapped:
    """A column of wrapped keys, an empty one being a destroyed key; its rows' contexts are `<purpose>/<id>`."""

    table: str
    id_column: str
    column: str
    purpose: str


@dataclass
class Tally:
    """What a run did: rows wrapped anew, and the contexts of those that no key of the archive opens."""

    rewrapped: int = 0
    unopened: list[str] = field(default_factory=list)


_COLUMNS: list[Wrapped] = [Wrapped("custody_subjectkey", "subject_id", "wrapped", "subject")]


def register(column: Wrapped) -> None:
    """Have the keys of another app's table wrapped anew with the rest."""
    if column not in _COLUMNS:
        _COLUMNS.append(column)


def rewrap(progress: Callable[[Tally], None] = lambda _tally: None) -> Tally:
    """Until nothing is left under an older key, except what does not open.

    Raises KeyProblem, RuntimeError when rows stay held by other acts. Needs the role that may update these tables, the
    owner's.
    """
    tally = Tally()
    for _pass in range(PASSES):
        broken: list[str] = []
        done = sum(_pass_over(column, broken, tally, progress) for column in _COLUMNS)
        tally.unopened = broken
        if not done and left() == len(broken):
            return tally
    raise RuntimeError("rows stay held by other acts; run this again")


def left() -> int:
    """Rows whose key is not wrapped under the current key-encryption key."""
    return sum(count for key, count in users().items() if key != keys.provider().current)


def users() -> dict[bytes | None, int]:
    """{key id: how many rows need that key}; None are those of version 1, from when the key had no name."""
    found: dict[bytes | None, int] = {}
    for column in _COLUMNS:
        statement = sql.SQL(
            "SELECT CASE get_byte({column}, 0) WHEN 2 THEN substr({column}, 2, {size}) END, count(*) FROM {table}"
            " WHERE length({column}) > 0 GROUP BY 1"
        ).format(**_names(column), size=sql.Literal(wrapping.KEY_ID_BYTES))
        with connection.cursor() as cursor:
            cursor.execute(statement)
            for key, count in cursor.fetchall():
                named = None if key is None else bytes(key)
                found[named] = found.get(named, 0) + count
    return found


def samples() -> list[Sample]:
    """A wrapped key of each key that rows need, from each table that is there and that this role may read."""
    found: list[Sample] = []
    for column in _COLUMNS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege(to_regclass(%s)::oid, 'SELECT')", [column.table])
            if not cursor.fetchone()[0]:
                continue
            cursor.execute(
                sql.SQL(
                    "SELECT DISTINCT ON (1) CASE get_byte({column}, 0) WHEN 2 THEN substr({column}, 2, {size}) END,"
                    " {id}, {column} FROM {table} WHERE length({column}) > 0"
                ).format(**_names(column), size=sql.Literal(wrapping.KEY_ID_BYTES))
            )
            for named, row, wrapped in cursor.fetchall():
                key = None if named is None else bytes(named)
                found.append(Sample(key, f"{column.purpose}/{row}", bytes(wrapped)))
    return found


def lost() -> list[str]:
    """The keys that rows need and this archive cannot open with. Raises KeyProblem."""

    def opens(sample: Sample) -> bool:
        try:
            keys.provider().unwrap(sample.wrapped, sample.context).wipe()
        except keys.KeyAway:
            raise
        except keys.KeyProblem:
            return False
        return True

    return keys.unopened(samples(), opens)


def hold_still() -> None:
    """Wait until no act has a wrapped key that is not committed, and let none begin until this transaction ends.

    Raises RuntimeError when an act goes on for longer than HELD.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{HELD}s"])
        for column in _COLUMNS:
            try:
                cursor.execute(sql.SQL("LOCK TABLE {table} IN SHARE MODE").format(**_names(column)))
            except OperationalError:
                raise RuntimeError("an act that writes keys does not end; run this again") from None


def _pass_over(column: Wrapped, broken: list[str], tally: Tally, progress: Callable[[Tally], None]) -> int:
    done, after = 0, UUID(int=0)
    while True:
        with transaction.atomic():
            rows = _batch(column, after)
            replaced = _replace(column, list(_anew(column, rows, broken)))
        done, tally.rewrapped = done + replaced, tally.rewrapped + replaced
        if not rows:
            return done
        after = rows[-1][0]
        progress(tally)


def _batch(column: Wrapped, after: UUID) -> list[tuple[UUID, bytes]]:
    statement = sql.SQL(
        "SELECT {id}, {column} FROM {table} WHERE {id} > %s AND length({column}) > 0 AND substr({column}, 1, {size})"
        " <> %s ORDER BY {id} LIMIT {batch} FOR UPDATE SKIP LOCKED"
    ).format(**_names(column), size=sql.Literal(wrapping.HEADER_BYTES), batch=sql.Literal(BATCH))
    with connection.cursor() as cursor:
        cursor.execute(statement, [after, wrapping.header(keys.provider().current)])
        return [(row, bytes(wrapped)) for row, wrapped in cursor.fetchall()]


def _anew(column: Wrapped, rows: list[tuple[UUID, bytes]], broken: list[str]) -> Iterator[tuple[UUID, bytes, bytes]]:
    ring = keys.provider()
    for row, wrapped in rows:
        context = f"{column.purpose}/{row}"
        try:
            key = ring.unwrap(wrapped, context)
        except keys.KeyAway:
            raise  # the row is as good as it was
        except keys.KeyProblem:
            broken.append(context)
            continue
        with key:
            made = ring.wrap(key, context)
            with ring.unwrap(made, context) as opened:
                if opened != key:
                    raise keys.KeyProblem(f"the key {ring.current.hex()} does not give back what it was given")
        yield row, wrapped, made


def _replace(column: Wrapped, made: list[tuple[UUID, bytes, bytes]]) -> int:
    if not made:
        return 0
    statement = sql.SQL(
        "UPDATE {table} AS held SET {column} = made.anew FROM unnest(%s::uuid[], %s::bytea[], %s::bytea[])"
        " AS made (id, old, anew) WHERE held.{id} = made.id AND held.{column} = made.old"
    ).format(**_names(column))
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(part) for part in zip(*made, strict=True)])
        return int(cursor.rowcount)


def _names(column: Wrapped) -> dict[str, sql.Composable]:
    return {
        "table": sql.Identifier(column.table),
        "id": sql.Identifier(column.id_column),
        "column": sql.Identifier(column.column),
    }

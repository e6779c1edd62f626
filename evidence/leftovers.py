"""What an erasure leaves outside its transaction: ciphertext without a key, journals, dead rows, statistics.

1. `clear` deletes the ciphertexts and asks the apps above for what they keep outside the database.
2. `scrub_tables` takes dead rows out of the tables and makes PostgreSQL's statistics anew: its lists of common values
   would otherwise show a title that no row has any more. The statistics are a table themselves.
3. A page that lost a row keeps its bytes until something else is written there, and the write-ahead log keeps them
   until it is recycled. `scrub_tables(rewrite=True)` writes the tables anew; nobody can work in them meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.errors import Diagnostic

from evidence import store
from evidence.erasure_parts import parts
from evidence.models import Blob, Derivative, Erasure, FixityCheck, Item

CUSTODY_TABLES = ("custody_disclosure", "custody_subjectkey")
STATISTICS = "pg_statistic"


class NotScrubbed(Exception):
    """Dead rows of erased values may still lie in a table: the database did not let this role clear it."""


def clear(erasure: Erasure) -> None:
    """Delete what the erasure's objects left behind. Raises what a part or the store raises; doing it again is safe.

    Raises store.Locked when all that is left are objects which a store keeps against deletion: nobody holds a key.
    """
    locks: list[store.Locked] = []
    for address in erasure.objects_left:
        if not Blob.objects.exclude(wrapped_key=b"").filter(address=address).exists():
            try:
                store.remove(address)
            except store.Locked as lock:
                locks.append(lock)
    for part in parts():
        part.afterwards(erasure.accessions)
    if locks:
        raise store.last_lock(locks)


def scrub_tables(*, rewrite: bool = False) -> list[str]:
    """VACUUM and ANALYZE every table an erasure writes in, outside any transaction. Returns their names.

    A session of its own, in the role for this and nothing else: whoever may VACUUM a table may also lock it, and the
    ledger with it. The role must own tables and database, or be a member of pg_maintain. Raises NotScrubbed when it is
    not: PostgreSQL itself only warns, and passes over the table.
    """
    own = [model._meta.db_table for model in (Item, Blob, Derivative, FixityCheck)]
    tables = [*CUSTODY_TABLES, *own, *(table for part in parts() for table in part.tables)]
    options = "FULL, ANALYZE" if rewrite else "ANALYZE"
    with _cleaner() as session, _no_warning(session), session.cursor() as cursor:
        for table in tables:
            cursor.execute(f"VACUUM ({options}) {session.ops.quote_name(table)}")
        cursor.execute(f"VACUUM {'(FULL) ' if rewrite else ''}{STATISTICS}")
    return [*tables, STATISTICS]


@contextmanager
def _cleaner() -> Iterator[Any]:
    """The same database as ever, as the cleaner."""
    session = connection.copy()
    account = settings.SANAD_CLEANER_DATABASE
    session.settings_dict |= {key: account.get(key) or "" for key in ("USER", "PASSWORD", "HOST", "PORT")}
    session.settings_dict["OPTIONS"] = account.get("OPTIONS") or {}
    try:
        yield session
    finally:
        session.close()


@contextmanager
def _no_warning(session: Any) -> Iterator[None]:
    session.ensure_connection()
    warnings: list[str] = []

    def heard(notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(notice.message_primary or "")

    session.connection.add_notice_handler(heard)
    try:
        yield
    finally:
        session.connection.remove_notice_handler(heard)
    if warnings:
        raise NotScrubbed("; ".join(warnings))

"""The database's roles: who may do what to which table, so that a fault in one process cannot reach past its work.

| role | is used by | may |
|---|---|---|
| owner | migrations | everything: it owns the tables |
| web | web server, worker, commands | other apps' tables; record and erase by two functions; add what partners say |
| sequencer | sequencer | add entries and tiles, let tiles grow, take pending rows away, hold events in quarantine |
| signer | signer, with its scrub | read the ledger, its values sealed; add checkpoints |
| auditor | the ledger's export, foreign checkers | read the ledger and digests; no value, key, name or description |
| cleaner | what clears tables after an erasure | VACUUM, and read nothing |
| recorder, eraser | nobody signs in as they | what one function each does to the ledger, which runs in their name |

Roles belong to a whole PostgreSQL server, so their names begin with the database's. They are granted anew after every
migration and at every set-up; a table of custody that is not listed here is open to nobody but its owner.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import ProgrammingError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

KINDS = ("web", "sequencer", "signer", "auditor", "cleaner")
#: {function: the role in whose name it runs}; they own nothing else, and nobody signs in as one of them.
DEFINERS = {"custody_record_v2": "recorder", "custody_erase_v2": "eraser"}
NAME_BYTES = 63  # PostgreSQL cuts longer names off
#: {table: {role: what it may do}}
LEDGER: dict[str, dict[str, str]] = {
    "custody_event": {
        "web": "SELECT",
        "sequencer": "SELECT (id, entry, type, outcome, at)",
        "signer": "SELECT",
        "auditor": "SELECT",
        "recorder": "INSERT",
        "eraser": "SELECT",
    },
    "custody_eventsubject": {
        "web": "SELECT",
        "sequencer": "SELECT (event_id, at)",
        "signer": "SELECT",
        "auditor": "SELECT",
        "recorder": "INSERT",
        "eraser": "SELECT",
    },
    "custody_disclosure": {
        "web": "SELECT",
        "sequencer": "SELECT (event_id, field)",
        "signer": "SELECT",
        "recorder": "INSERT",
        "eraser": "SELECT, INSERT, DELETE",
    },
    "custody_subjectkey": {
        "web": "SELECT, INSERT",  # what is sealed outside an event, such as an intake, is sealed before its event
        "signer": "SELECT",
        "recorder": "SELECT, INSERT",
        "eraser": "SELECT, DELETE",
    },
    "custody_pending": {
        "web": "SELECT",
        "sequencer": "SELECT, DELETE",
        "signer": "SELECT",
        "auditor": "SELECT",
        "recorder": "INSERT",
    },
    # UPDATE lets the sequencer lock it: that is its turn. What may be updated, the trigger says.
    "custody_quarantine": {
        "web": "SELECT",
        "sequencer": "SELECT, INSERT, UPDATE",
        "signer": "SELECT",
        "auditor": "SELECT",
    },
    "custody_entry": {
        "web": "SELECT",
        "sequencer": "SELECT, INSERT",
        "signer": "SELECT",
        "auditor": "SELECT",
        "eraser": "SELECT",
    },
    "custody_tile": {
        "web": "SELECT",
        "sequencer": "SELECT, INSERT, UPDATE (hashes)",
        "signer": "SELECT",
        "auditor": "SELECT",
    },
    "custody_checkpoint": {
        "web": "SELECT",
        "sequencer": "SELECT",
        "signer": "SELECT, INSERT",
        "auditor": "SELECT",
        "eraser": "SELECT",
    },
    "custody_cosignature": {"web": "SELECT, INSERT", "signer": "SELECT", "auditor": "SELECT"},
    "custody_anchor": {
        "web": "SELECT, INSERT, UPDATE (response, stamped_at, event_id)",
        "signer": "SELECT",
        "auditor": "SELECT",
    },
    "custody_correspondence": {"web": "SELECT, INSERT, UPDATE", "signer": "SELECT", "auditor": "SELECT"},
}
#: {function: the role that may call it}; nobody else may.
FUNCTIONS = {
    "custody_record_v2": "web",
    "custody_erase_v2": "web",
}
#: PostgreSQL's own roles that a role may be a member of. Not web: it comes with the right to lock every table.
MEMBER_OF = {"cleaner": ("pg_maintain",)}
#: What web may do to the tables of other apps, and to what the framework keeps.
OTHERS = "SELECT, INSERT, UPDATE, DELETE"
KEPT = {"django_migrations": "SELECT"}
_audited: dict[str, tuple[str, ...]] = {}


def open_to_auditor(table: str, *columns: str) -> None:
    """Let the auditor's role read these columns of another app's table: digests and what names their object."""
    _audited[table] = columns


def role_name(database: str, kind: str) -> str:
    """The role of this kind for a database: its name, an underscore, the kind; a long name is cut and told apart."""
    name = f"{database}_{kind}"
    if len(name.encode()) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(database.encode()).hexdigest()[:16]
    kept = database.encode()[: NAME_BYTES - len(f"_{digest}_{kind}")].decode(errors="ignore")
    return f"{kept}_{digest}_{kind}"


def names(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """{kind: role} of the connected database, those of the functions included."""
    database = _rows(connection, "SELECT current_database()")[0][0]
    return {kind: role_name(database, kind) for kind in (*KINDS, *DEFINERS.values())}


def missing_roles(connection: BaseDatabaseWrapper) -> list[str]:
    """Those that the server does not have yet."""
    wanted = names(connection)
    there = {name for (name,) in _rows(connection, "SELECT rolname::text FROM pg_roles")}
    return [name for name in wanted.values() if name not in there]


def statements_for_an_administrator(connection: BaseDatabaseWrapper, roles: Sequence[str]) -> list[str]:
    """What somebody with CREATEROLE runs where this archive's own account may not."""
    named, found = names(connection), []
    nobodys = {named[kind] for kind in DEFINERS.values()}
    for name in roles:
        role = sql.Identifier(name).as_string()
        if name in nobodys:
            owner = sql.Identifier(connection.settings_dict["USER"]).as_string()
            found += [f"CREATE ROLE {role} NOLOGIN;", f"GRANT {role} TO {owner} WITH INHERIT TRUE, SET TRUE;"]
        else:
            found.append(f"CREATE ROLE {role} LOGIN PASSWORD '...';")
    return found


def make_roles(connection: BaseDatabaseWrapper) -> list[str]:
    """Make the missing roles without a password, and be able to act in the name of those that nobody signs in as.

    Returns those this account may not make.
    """
    refused, named = [], names(connection)
    nobodys = {named[kind] for kind in DEFINERS.values()}
    for name in missing_roles(connection):
        role = sql.Identifier(name)
        try:
            with transaction.atomic(connection.alias):
                if name in nobodys:
                    _run(connection, sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
                    _run(connection, sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE").format(role))
                else:
                    _run(connection, sql.SQL("CREATE ROLE {} LOGIN").format(role))
        except ProgrammingError as problem:
            if getattr(problem.__cause__, "sqlstate", "") not in ("42501", "42710"):
                raise
            if name in missing_roles(connection):  # not made by another set-up meanwhile
                refused.append(name)
    return refused


def grant(connection: BaseDatabaseWrapper) -> None:
    """Give the roles that exist exactly what they may do and nothing else, in one transaction. Needs the owner."""
    absent = missing_roles(connection)
    roles = {kind: sql.Identifier(name) for kind, name in names(connection).items() if name not in absent}
    if not roles:
        return
    with transaction.atomic(connection.alias):
        for statement in _statements(connection, roles):
            _run(connection, statement)


def _statements(connection: BaseDatabaseWrapper, roles: dict[str, sql.Identifier]) -> Iterator[sql.Composed]:
    everyone = sql.SQL(", ").join([sql.SQL("PUBLIC"), *roles.values()])
    ((schema, database, owns_database),) = _rows(
        connection,
        "SELECT current_schema()::text, current_database()::text,"
        " pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()",
    )
    if owns_database:
        signing_in = sql.SQL(", ").join(roles[kind] for kind in KINDS if kind in roles)
        connect = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        yield connect.format(sql.Identifier(database), signing_in)
        # A temporary table could stand before the table of that name in a function that names no schema.
        yield sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM {}").format(sql.Identifier(database), everyone)
    inside = sql.Identifier(schema)
    yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(inside, sql.SQL(", ").join(roles.values()))
    for table in _own_tables(connection):
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.Identifier(table), everyone)
        for kind, privileges in allowed(table).items():
            if kind in roles:
                given = sql.SQL("GRANT {} ON {} TO {}")
                yield given.format(sql.SQL(privileges), sql.Identifier(table), roles[kind])
    yield from _given_away(connection, roles, inside)
    for function, kind in FUNCTIONS.items():
        called = sql.SQL(function)
        others = [role for name, role in roles.items() if name != DEFINERS[function]]
        refused = sql.SQL(", ").join([sql.SQL("PUBLIC"), *others])
        yield sql.SQL("REVOKE ALL ON FUNCTION {} FROM {}").format(called, refused)
        if kind in roles:
            yield sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(called, roles[kind])
    if "web" in roles:
        yield sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}").format(inside, roles["web"])
        # Tables made later by other means than a migration, such as an app added by hand
        later = sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT {} TO {}")
        for what in (f"{OTHERS} ON TABLES", "USAGE ON SEQUENCES"):
            yield later.format(inside, sql.SQL(what), roles["web"])
        if _rows(connection, _MEMBER, [names(connection)["web"]]):
            yield sql.SQL("REVOKE pg_maintain FROM {}").format(roles["web"])  # it had it before there was a cleaner
    # Dead rows of erased values are taken out of tables and statistics; PostgreSQL 17 has a role for that.
    maintains = "SELECT pg_has_role(oid, 'USAGE WITH ADMIN OPTION') FROM pg_roles WHERE rolname = 'pg_maintain'"
    if "cleaner" in roles and _rows(connection, maintains) == [(True,)]:
        yield sql.SQL("GRANT pg_maintain TO {}").format(roles["cleaner"])


_MEMBER = """
    SELECT FROM pg_auth_members
    JOIN pg_roles AS member ON member.oid = member JOIN pg_roles AS lent ON lent.oid = roleid
    WHERE member.rolname = %s AND lent.rolname = 'pg_maintain'
"""
_RUNS_AS = "SELECT pg_get_userbyid(proowner)::text, pg_has_role(%s, 'SET') FROM pg_proc WHERE proname = %s"


def _given_away(
    connection: BaseDatabaseWrapper, roles: dict[str, sql.Identifier], schema: sql.Identifier
) -> Iterator[sql.Composed]:
    """Each function to the role in whose name it runs; where this account may not do that, it stays the owner's."""
    named = names(connection)
    for function, kind in DEFINERS.items():
        for owner, may in _rows(connection, _RUNS_AS, [named[kind], function]) if kind in roles else ():
            if owner != named[kind] and may:
                yield sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(schema, roles[kind])
                yield sql.SQL("ALTER FUNCTION {} OWNER TO {}").format(sql.SQL(function), roles[kind])
                yield sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(schema, roles[kind])


def allowed(table: str) -> dict[str, str]:
    """{role: what it may do} for one table of the archive."""
    if table.startswith("custody_"):
        return LEDGER.get(table, {})
    columns = _audited.get(table)
    audited = {"auditor": f"SELECT ({', '.join(columns)})"} if columns else {}
    return {"web": KEPT.get(table, OTHERS)} | audited


def _own_tables(connection: BaseDatabaseWrapper) -> list[str]:
    found = _rows(
        connection,
        "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm') AND pg_has_role(relowner, 'USAGE') ORDER BY relname",
    )
    return [name for (name,) in found]


def _run(connection: BaseDatabaseWrapper, statement: sql.Composed) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _rows(connection: BaseDatabaseWrapper, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

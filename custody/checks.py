"""What is wrong before anything starts: keys that are not kept as they must be; and with `check --database default`
whether the database keeps the ledger's roles apart, as custody.roles says.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from custody import keys, rewrapping, roles

_HINT = "docs/howto/keys.md says how keys are kept."
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@register(Tags.security)
def key_encryption_keys(**_: Any) -> list[CheckMessage]:
    """E010 keys are not kept as they must be, W010 the token of the current key does not answer now.

    A process without keys has none to look at.
    """
    try:
        if keys.opens_values() and (problem := keys.provider().problem()):
            return [checks.Warning(problem, hint="Nothing can be received or opened meanwhile.", id="custody.W010")]
    except (keys.KeyProblem, OSError) as problem:
        return [Error(str(problem), hint=_HINT, id="custody.E010")]
    return []


@register(Tags.database)
def keys_that_rows_need(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E010 rows hold keys that are wrapped under a key which this archive does not have: it opens nothing of them."""
    if "default" not in (databases or ()):
        return []
    try:
        lost = rewrapping.lost()
    except (keys.KeyProblem, OSError) as problem:
        return [Error(str(problem), hint=_HINT, id="custody.E010")]
    return [
        Error(f"rows need the key {one}, which is not in {keys.LIST}", hint=_HINT, id="custody.E010") for one in lost
    ]


@register(Tags.database)
def database_roles(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W001 roles are missing, W002 this process owns the tables, E001 and E002 a role may do more than it should."""
    return [problem for alias in databases or () for problem in _problems(connections[alias])]


def _problems(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    if "custody_event" not in connection.introspection.table_names():
        return  # nothing to protect yet
    missing = roles.missing_roles(connection)
    if missing:
        yield checks.Warning(
            f"the database has no role {', '.join(missing)}: nothing but triggers keeps the web server from the ledger",
            hint="As an administrator of the database run: "
            + " ".join(roles.statements_for_an_administrator(connection, missing))
            + " Then run: manage.py database_roles",
            id="custody.W001",
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'custody_event'::regclass")
        (owner,) = cursor.fetchone()
        if owner:
            yield checks.Warning(
                "this process is connected as the owner of the ledger's tables",
                hint="Only migrations need that; docs/howto/run-and-data-folder.md says how to name the others.",
                id="custody.W002",
            )
        for function, kind in roles.DEFINERS.items():
            cursor.execute("SELECT pg_get_userbyid(proowner)::text FROM pg_proc WHERE proname = %s", [function])
            if cursor.fetchone() != (roles.names(connection)[kind],) and not missing:
                yield checks.Warning(
                    f"{function} does not run as {roles.names(connection)[kind]}, which could do nothing else",
                    hint="manage.py database_roles, by an account that is a member of it, puts it right.",
                    id="custody.W003",
                )
        for kind, name in roles.names(connection).items():
            if name in missing:
                continue
            cursor.execute(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                " OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid"
                " AND roleid <> ALL (SELECT oid FROM pg_roles AS lent WHERE rolname = ANY(%s)))"
                " FROM pg_roles WHERE rolname = %s",
                [list(roles.MEMBER_OF.get(kind, ())), name],
            )
            if cursor.fetchone()[0]:
                yield Error(
                    f"the role {name} has rights over the whole server or is a member of another", id="custody.E001"
                )
            for table in roles.LEDGER:
                yield from _excess(cursor, kind, name, table)


def _excess(cursor: Any, kind: str, name: str, table: str) -> Iterator[CheckMessage]:
    may = roles.LEDGER[table].get(kind, "")
    whole = [word for word in _PRIVILEGES if word in may and f"{word} (" not in may]
    cursor.execute(
        "SELECT privilege FROM unnest(%s::text[]) AS privilege WHERE has_table_privilege(%s, %s, privilege)",
        [list(_PRIVILEGES), name, table],
    )
    held = [privilege for (privilege,) in cursor.fetchall()]
    for privilege in held:
        if privilege not in whole:
            yield Error(
                f"the role {name} may {privilege} {table}, which it must not",
                hint="manage.py database_roles takes it away; ask who gave it.",
                id="custody.E002",
            )
    for privilege in whole:
        if privilege not in held:
            yield Error(
                f"the role {name} may not {privilege} {table}, which it must",
                hint="manage.py database_roles gives it back.",
                id="custody.E003",
            )

"""Which database a process uses, and as which of its roles (custody/roles.py)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

from archive import postgres

ROLES = tuple(postgres.ROLES)
#: What manage.py does as another role than web. The web server is started otherwise, and is web.
COMMANDS = {
    "owner": frozenset(
        {
            "database_roles",
            "flush",
            "makemigrations",
            "migrate",
            "replay_ledger",
            "requeue_events",
            "rotate_key",
            "sample",
            "set_up",
            "showmigrations",
            "sqlmigrate",
            "test",
        }
    ),
    "sequencer": frozenset({"sequencer"}),
    "signer": frozenset({"signer"}),
    "auditor": frozenset({"export_log"}),
}
URLS = {
    "owner": "DATABASE_URL",
    "web": "SANAD_WEB_DATABASE_URL",
    "sequencer": "SANAD_SEQUENCER_DATABASE_URL",
    "signer": "SANAD_SIGNER_DATABASE_URL",
    "auditor": "SANAD_AUDITOR_DATABASE_URL",
    "cleaner": "SANAD_CLEANER_DATABASE_URL",
}


#: A server whose host vanished is gone after half a minute; by itself a connection would wait for a quarter of an hour.
BOUNDED = {
    "connect_timeout": 10,  # seconds, as the others but the last, which is milliseconds (libpq)
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def role_of(argv: Sequence[str]) -> str:
    """The role for the program with these arguments: the least that its work needs."""
    if len(argv) > 1 and Path(argv[0]).name == "manage.py":
        return next((role for role, commands in COMMANDS.items() if argv[1] in commands), "web")
    return "web"


def connection(role: str, environment: Mapping[str, str], data: Path) -> dict[str, Any]:
    """Django's settings of the connection. Raises ImproperlyConfigured.

    On another server a role without a URL of its own uses DATABASE_URL: one account for everything, of which
    `manage.py check --database default` warns.
    """
    named = environment.get(URLS[role]) and URLS[role]
    if not named and environment.get("DATABASE_URL"):
        named = "DATABASE_URL"
    if named:
        return _from_url(named, environment[named])
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": postgres.DATABASE,
        "USER": postgres.ROLES[role],
        "HOST": str(postgres.socket_folder(data)),
    }


def _from_url(name: str, url: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = dict(environ.Env.db_url_config(url))
    except (environ.ImproperlyConfigured, ValueError):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name.") from None
    if found.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"{name} must name a PostgreSQL server (postgresql://...), no other database works.")
    found["OPTIONS"] = BOUNDED | found.get("OPTIONS", {})
    found["HOST"] = unquote(found["HOST"])  # a socket's folder is written with %2F in a URL
    return found

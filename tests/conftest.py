"""The session's real PostgreSQL, and what every test may ask for."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.custody.tokens import token

__all__ = ["token"]  # once for the session: imported into each module that asks, it would be made for each

_CLUSTER: Any = None


def pytest_sessionstart(session: pytest.Session) -> None:
    """The first process compiles the translations and starts the cluster; xdist's workers use both."""
    global _CLUSTER
    if hasattr(session.config, "workerinput"):
        return
    from archive.messages import compile_messages

    compile_messages(session.config.rootpath / "locale")
    if os.environ.get("ARCHIVE_TEST_DATABASE_URL"):
        return
    import psycopg

    from archive import data_folder, postgres
    from tests.settings import CLUSTER

    data_folder.prepare(CLUSTER)
    _CLUSTER = postgres.Cluster(CLUSTER, durable=False)
    _CLUSTER.start()
    with psycopg.connect(host=str(_CLUSTER.socket), user=postgres.SUPERUSER, dbname="postgres") as connection:
        connection.execute(f"ALTER ROLE {postgres.ROLE} CREATEDB CREATEROLE")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _CLUSTER is not None:
        _CLUSTER.stop()
        shutil.rmtree(_CLUSTER.socket, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """After a test with real transactions the database is copied back from a template.

    Emptying its tables is neither possible (custody refuses it) nor enough (migrations' rows would be gone).
    """
    from django.db import connection, connections
    from django.test import TransactionTestCase

    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    template = connection.ops.quote_name(connection.settings_dict["NAME"] + "_template")

    def copy(source: str, target: str) -> None:
        connections.close_all()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
            cursor.execute(f"REVOKE TEMPORARY ON DATABASE {target} FROM PUBLIC")  # as custody/roles.py; no copy has it

    def restore(case: TransactionTestCase) -> None:
        copy(template, name)

    with django_db_blocker.unblock():
        copy(name, template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", restore)
        yield
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {template}")


@pytest.fixture
def key_of_the_ledger(db: None) -> None:
    """The signer was at work before: it has a key, and signed the ledger as it stood."""
    from custody.signer import sign_head

    sign_head()


@pytest.fixture
def every_head_is_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partners are shown heartbeats alone, which are five minutes apart: here each signature is one."""
    from datetime import timedelta

    from custody import signer

    monkeypatch.setattr(signer, "HEARTBEAT", timedelta(microseconds=10))


@pytest.fixture(autouse=True)
def _no_memory_between_tests() -> Iterator[None]:
    """Throttles count in the cache; the signer remembers heads that the end of a test takes back.

    A thread speaks the language of its last request.
    """
    from django.conf import settings
    from django.core.cache import cache
    from django.utils import timezone, translation

    from custody import keys

    folders = (settings.SANAD_SIGNER, settings.SANAD_STATUS)
    yield
    cache.clear()
    translation.deactivate()
    timezone.deactivate()
    keys.provider.cache_clear()
    for folder in folders:
        for path in folder.iterdir():
            path.unlink()


@pytest.fixture
def as_role(db: None) -> Callable[[str], None]:
    """Go on in a role of the database (custody/roles.py) until the end of the test."""
    from django.db import connection

    from custody.roles import names

    def become(kind: str) -> None:
        role = connection.ops.quote_name(names(connection)[kind])
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("RESET ROLE")
            cursor.execute(f"GRANT {role} TO CURRENT_USER")
            cursor.execute(f"SET LOCAL ROLE {role}")

    return become


@pytest.fixture(autouse=True, scope="session")
def _a_variable_with_a_default_may_be_missing() -> Iterator[None]:
    """tests/settings.py makes a missing template variable an error; `|default` says that it is meant to be."""
    from django.template.base import FilterExpression

    resolve = FilterExpression.resolve

    def lenient(self: Any, context: Any, ignore_failures: bool = False) -> Any:
        meant = any(function.__name__ in ("default", "default_if_none") for function, _ in self.filters)
        return resolve(self, context, ignore_failures or meant)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilterExpression, "resolve", lenient)
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real evidence-like files, by ARCHIVE_TEST_DATA. Tests on it are skipped, saying so, without it."""
    named = os.environ.get("ARCHIVE_TEST_DATA")
    if not named:
        pytest.skip("ARCHIVE_TEST_DATA does not name the folder of test files")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"ARCHIVE_TEST_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser that bin/test found or installed."""
    named = os.environ.get("ARCHIVE_BROWSER") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not named:
        pytest.fail("no browser: run bin/test, which installs one, or set ARCHIVE_BROWSER to a Chromium")
    return named

"""When the ledger refuses, the act did not happen: no row of any table is added, changed or removed."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection

from custody import engine, statements
from custody.models import Pending
from tests.architecture.makers import ACTIONS, load

pytestmark = pytest.mark.django_db

#: Preferences and the like, which are no custody facts and write no event.
WITHOUT_EVENT = {"accounts.actions.set_language"}

load()


def fingerprint() -> dict[str, str]:
    """The content of every table, by name: two equal ones mean that nothing was added, changed or removed."""
    result = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t")
            result[table] = cursor.fetchone()[0]
    return result


def actions_in_the_code() -> set[str]:
    """Every public function of an app's modules of acts that takes `at`: acts happen at a moment."""
    found = set()
    places = [(app, name) for app in apps.get_app_configs() for name in ("actions", "bundles")]
    for app, place in places:
        if not (Path(app.path) / f"{place}.py").exists() or Path(app.path).parent != Path(settings.BASE_DIR):
            continue
        module = importlib.import_module(f"{app.name}.{place}")
        for name, member in inspect.getmembers(module, inspect.isfunction):
            own = member.__module__ == module.__name__ and not name.startswith("_")
            if own and "at" in inspect.signature(member).parameters:
                found.add(f"{module.__name__}.{name}")
    return found


def test_every_action_of_the_archive_is_held_to_this_promise() -> None:
    registered = {name.partition("[")[0] for name in ACTIONS}
    assert actions_in_the_code() - WITHOUT_EVENT - registered == set()


def refuse_the_entry(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    def encode(**_: Any) -> bytes:
        raise ValueError("the entry does not fit")

    monkeypatch.setattr(engine, "encode_entry", encode)
    return engine.LedgerRefused


def fail_at_the_last_row(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    def fetch_one(sql: str, parameters: Any) -> Any:
        found = statements.fetch_one(sql, parameters)
        if "custody_record" in sql:
            raise DatabaseError("the disk is full")
        return found

    monkeypatch.setattr(engine, "statements", SimpleNamespace(fetch_one=fetch_one))
    return DatabaseError


@pytest.mark.parametrize("broken", [refuse_the_entry, fail_at_the_last_row])
@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_act_the_ledger_refuses_leaves_no_trace(
    name: str, broken: Callable[[pytest.MonkeyPatch], type[Exception]], monkeypatch: pytest.MonkeyPatch
) -> None:
    act = ACTIONS[name]()
    before = fingerprint()
    error = broken(monkeypatch)
    with pytest.raises(error):
        act()
    monkeypatch.undo()
    assert fingerprint() == before


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_the_same_act_happens_and_is_recorded_when_the_ledger_accepts(name: str) -> None:
    act = ACTIONS[name]()
    recorded = Pending.objects.count()
    act()
    assert Pending.objects.count() > recorded


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_act_is_possible_in_the_role_of_the_web_server(name: str, as_role: Callable[[str], None]) -> None:
    """Nothing but the ledger's own processes needs more than that role may do (custody/roles.py)."""
    act = ACTIONS[name]()
    as_role("web")
    act()

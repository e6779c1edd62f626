"""The database's roles: what web, sequencer, signer and auditor may not do, the server refuses to each by name."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.checks import CheckMessage, run_checks
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from django.urls import reverse
from psycopg.errors import InsufficientPrivilege

from accounts.models import Role
from custody import roles
from custody.models import Checkpoint, Pending
from custody.proof import proof_at
from custody.scrub import scrub
from custody.sequencer import drain, tree_size
from custody.signer import sign_head
from tests.custody.ledgers import happen, signed_ledger
from tests.factories import make_compartment, make_item, make_user, signed_in

CUSTODY = sorted(model._meta.db_table for model in apps.get_app_config("custody").get_models())
COLUMN = {
    "custody_event": "entry",
    "custody_eventsubject": "kind",
    "custody_disclosure": "sealed",
    "custody_subjectkey": "wrapped",
    "custody_pending": "event_id",
    "custody_entry": "entry",
    "custody_tile": "hashes",
    "custody_checkpoint": "note",
    "custody_cosignature": "line",
    "custody_anchor": "response",
    "custody_correspondence": "problem",
    "custody_quarantine": "reason",
}
MAY = {
    "web": {f"INSERT custody_{name}" for name in ("cosignature", "anchor", "correspondence", "subjectkey")}
    | {"UPDATE custody_anchor", "UPDATE custody_correspondence"},
    "sequencer": {
        "INSERT custody_entry",
        "INSERT custody_tile",
        "UPDATE custody_tile",
        "DELETE custody_pending",
        "INSERT custody_quarantine",
        "UPDATE custody_quarantine",
    },
    "signer": {"INSERT custody_checkpoint"},
    "auditor": set[str](),
    "cleaner": set[str](),
}
READS = {
    "web": set(CUSTODY),
    "sequencer": {"custody_pending", "custody_entry", "custody_tile", "custody_checkpoint"} | {"custody_quarantine"},
    "signer": set(CUSTODY),
    "auditor": {f"custody_{name}" for name in ("event", "eventsubject", "pending", "entry", "tile", "checkpoint")}
    | {f"custody_{name}" for name in ("cosignature", "anchor", "correspondence", "quarantine")},
    "cleaner": set(),
}


def write(act: str, table: str) -> str:
    return {
        "INSERT": f"INSERT INTO {table} SELECT * FROM {table} WHERE false",
        "UPDATE": f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]} WHERE false",
        "DELETE": f"DELETE FROM {table} WHERE false",
        "TRUNCATE": f"TRUNCATE {table}",
    }[act]


@contextmanager
def signed_in_as(kind: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of this role's own, as a process of the archive has it."""
    database = connection.settings_dict
    role = roles.names(connection)[kind]
    with psycopg.connect(host=database["HOST"], dbname=database["NAME"], user=role, autocommit=True) as found:
        yield found


@pytest.mark.django_db
@pytest.mark.parametrize("act", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
@pytest.mark.parametrize("kind", roles.KINDS)
def test_what_a_role_may_write_of_the_ledger_is_listed_and_the_rest_is_refused(kind: str, act: str) -> None:
    with signed_in_as(kind) as session:
        for table in CUSTODY:
            if f"{act} {table}" in MAY[kind]:
                continue
            with pytest.raises(InsufficientPrivilege):
                session.execute(write(act, table))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", roles.KINDS)
def test_what_a_role_may_read_of_the_ledger_is_listed_and_the_rest_is_refused(kind: str) -> None:
    with signed_in_as(kind) as session:
        for table in CUSTODY:
            statement = f"SELECT * FROM {table} LIMIT 1"
            if table in READS[kind]:
                session.execute(statement)
                continue
            with pytest.raises(InsufficientPrivilege):
                session.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", roles.KINDS)
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE custody_entry DISABLE TRIGGER ALL",
        "DROP TABLE custody_entry",
        "DROP TRIGGER append_only_rows ON custody_entry",
        "CREATE OR REPLACE FUNCTION custody_append_only_v1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE TRIGGER mine BEFORE INSERT ON custody_entry FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1()",
        "ALTER TABLE custody_entry OWNER TO CURRENT_USER",
        "SET session_replication_role = replica",
        "SET ROLE sanad",
        "SET SESSION AUTHORIZATION sanad",
        "CREATE ROLE more",
        "CREATE TABLE mine ()",
        "COPY custody_event TO PROGRAM 'cat'",
        "UPDATE django_migrations SET name = name",
    ],
)
def test_no_role_reaches_past_its_tables(kind: str, statement: str) -> None:
    with signed_in_as(kind) as session, pytest.raises(InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", roles.KINDS)
def test_no_role_grants_itself_more(kind: str) -> None:
    statement = "GRANT ALL ON custody_event, custody_disclosure TO CURRENT_USER"
    with signed_in_as(kind) as session:
        with contextlib.suppress(InsufficientPrivilege):  # or a warning that nothing was granted
            session.execute(statement)
        held = session.execute(
            "SELECT has_table_privilege('custody_event', 'UPDATE')"
            " OR has_table_privilege('custody_disclosure', 'UPDATE')"
        ).fetchone()
    assert held == (False,)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sealed FROM custody_disclosure",
        "SELECT wrapped FROM custody_subjectkey",
        "SELECT title FROM evidence_item",
        "SELECT sealed_name FROM evidence_item",
        "SELECT * FROM evidence_item",
        "SELECT wrapped_key FROM evidence_blob",
        "SELECT narrative FROM incidents_incident",
        "SELECT pseudonym FROM witnesses_witness",
        "SELECT username FROM accounts_user",
    ],
)
def test_the_auditors_role_reads_no_value_name_or_description(statement: str) -> None:
    with signed_in_as("auditor") as session, pytest.raises(InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.django_db
def test_the_auditors_role_reads_the_digests() -> None:
    with signed_in_as("auditor") as session:
        session.execute("SELECT accession, sha256, sha512, size FROM evidence_item")
        session.execute("SELECT address, size FROM evidence_blob")
        session.execute("SELECT outcome, event_id FROM evidence_fixitycheck")


@pytest.mark.django_db
def test_web_records_the_sequencer_gives_places_and_the_signer_signs_and_scrubs(
    as_role: Callable[[str], None],
) -> None:
    as_role("web")
    happen(fields={"purpose": "in the role of the web server"})
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        drain()
    as_role("sequencer")
    assert drain() == 1
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        sign_head()
    as_role("signer")
    assert sign_head() is not None
    assert scrub().clean
    with pytest.raises(ProgrammingError, match="permission denied"):
        happen()
    as_role("web")
    assert (tree_size(), Pending.objects.count(), Checkpoint.objects.count()) == (1, 0, 1)


@pytest.mark.django_db
def test_pages_are_served_in_the_web_role(as_role: Callable[[str], None]) -> None:
    compartment = make_compartment()
    item = make_item(compartment)
    client = signed_in(make_user(Role.INVESTIGATOR, compartment))
    as_role("web")
    for url in ("/", reverse("evidence:library"), reverse("evidence:item", args=[item.accession]), "/incidents/"):
        assert client.get(url).status_code == 200, url


def test_every_table_of_custody_has_its_rights_stated() -> None:
    """A new table is open to nobody until custody/roles.py says to whom."""
    assert sorted(roles.LEDGER) == CUSTODY


def problems() -> list[CheckMessage]:
    return [
        found for found in run_checks(tags=["database"], databases=["default"]) if str(found.id).startswith("custody.")
    ]


@pytest.mark.django_db
def test_the_check_is_silent_but_for_the_tests_owning_the_tables() -> None:
    assert [problem.id for problem in problems()] == ["custody.W002"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("GRANT UPDATE ON custody_entry TO {web}", "may UPDATE custody_entry, which it must not"),
        ("GRANT ALL ON custody_event TO PUBLIC", "may TRUNCATE custody_event, which it must not"),
        ("GRANT SELECT ON custody_disclosure TO {auditor}", "may SELECT custody_disclosure, which it must not"),
        ("GRANT INSERT ON custody_event TO {web}", "may INSERT custody_event, which it must not"),
        ("REVOKE DELETE ON custody_pending FROM {sequencer}", "may not DELETE custody_pending, which it must"),
    ],
)
def test_rights_that_drifted_are_told_and_put_right(statement: str, said: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**roles.names(connection)))
    assert any(said in problem.msg for problem in problems())
    call_command("database_roles", stdout=StringIO())
    assert [problem.id for problem in problems()] == ["custody.W002"]


@pytest.mark.django_db
def test_an_account_that_may_not_make_roles_says_what_an_administrator_runs(
    monkeypatch: pytest.MonkeyPatch, as_role: Callable[[str], None]
) -> None:
    monkeypatch.setattr(roles, "role_name", lambda _database, kind: f"elsewhere_{kind}")
    (missing,) = [problem for problem in problems() if problem.id == "custody.W001"]
    assert 'CREATE ROLE "elsewhere_web" LOGIN' in str(missing.hint)
    monkeypatch.undo()
    as_role("web")
    monkeypatch.setattr(roles, "role_name", lambda _database, kind: f"elsewhere_{kind}")
    with pytest.raises(CommandError, match=r'CREATE ROLE "elsewhere_web" LOGIN PASSWORD'):
        call_command("database_roles")


def test_the_names_of_two_archives_on_one_server_differ_and_fit() -> None:
    long = "a" * 62
    assert roles.role_name("one", "web") == "one_web"
    assert len(roles.role_name(long, "sequencer").encode()) <= 63
    assert roles.role_name(long, "web") != roles.role_name(long + "b", "web")


@pytest.mark.django_db
def test_a_signed_ledger_is_proved_in_the_auditors_role(as_role: Callable[[str], None]) -> None:
    signed_ledger(3)
    as_role("auditor")
    assert proof_at(1) is not None

"""The archive a drill plays in: filled by the same actions as everybody's work, signed, and copied for every attack.

A copy is a database made from a template and copies of the folders beside it. Django's own connection always reaches
the copy under the archive's usual name, so that what watches it is the very code that watches a real archive.
"""

import shutil
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.utils import timezone
from psycopg import sql

from archive import postgres
from archive.sample.people import Team, gather
from cases import actions as case_actions
from cases import bundles
from cases.models import Bundle
from cases.tasks import build as build_bundle
from custody.log_files import export
from custody.models import Entry
from custody.sequencer import drain
from custody.signer import sign_head
from evidence import actions, blobs, tasks
from evidence.models import Item
from evidence.receipts import receipt
from witnesses import actions as witness_actions

FOLDERS = ("store", "staging", "keys", "signer", "status", "exports", "ledger")
EARLY, WHOLE = "early", "whole"


class Copies:
    """Kept states of the drill's archive. Whoever holds this is the database's superuser and reads every file."""

    def __init__(self, home: Path) -> None:
        self._home = home / "kept"
        self._data = Path(settings.SANAD_DATA)

    def keep(self, name: str) -> None:
        """Keep the whole archive as it stands now."""
        self._recreate(f"{postgres.DATABASE}_{name}", postgres.DATABASE)
        for folder in FOLDERS:
            if (self._data / folder).exists():
                shutil.copytree(self._data / folder, self._home / name / folder)

    def put_back(self, name: str, *, database: bool = True, folders: Sequence[str] = FOLDERS) -> None:
        """The database, these folders, or both are again as they were kept."""
        if database:
            self._recreate(postgres.DATABASE, f"{postgres.DATABASE}_{name}")
        for folder in folders:
            shutil.rmtree(self._data / folder, ignore_errors=True)
            if (self._home / name / folder).exists():
                shutil.copytree(self._home / name / folder, self._data / folder)

    @contextmanager
    def superuser(self) -> Any:
        """A session of the superuser, in one transaction, with every trigger of the ledger off until it commits."""
        with _connected(postgres.DATABASE) as session, session.transaction():
            tables = [row[0] for row in session.execute(_GUARDED)]
            for table in tables:
                session.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(sql.Identifier(table)))
            yield session
            for table, trigger in session.execute(_TRIGGERS).fetchall():  # and on again: nothing shows that they were
                session.execute(
                    sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(
                        sql.Identifier(table), sql.Identifier(trigger)
                    )
                )

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run one statement as the superuser. Returns how many rows it touched. Raises LookupError if it was none."""
        with self.superuser() as session:
            touched: int = session.execute(statement, parameters).rowcount
        if not touched:
            raise LookupError(f"the attack touched nothing: {statement}")
        return touched

    def one(self, query: str, *parameters: Any) -> tuple[Any, ...]:
        """The first row of a query. Raises LookupError when there is none."""
        with _connected(postgres.DATABASE) as session:
            row = session.execute(query, parameters).fetchone()
        if row is None:
            raise LookupError(f"no row: {query}")
        return row

    @contextmanager
    def kept(self, name: str) -> Any:
        """A session in a kept database, to read from it."""
        with _connected(f"{postgres.DATABASE}_{name}") as session:
            yield session

    @contextmanager
    def as_role(self, role: str) -> Any:
        """A session with the rights of another role of the database."""
        with _connected(postgres.DATABASE) as session:
            session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            yield session

    def _recreate(self, name: str, template: str) -> None:
        connections.close_all()
        with _connected("postgres") as session:
            made = sql.Identifier(name)
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(made))
            session.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    made, sql.Identifier(template), sql.Identifier(postgres.ROLE)
                )
            )
            session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(made))  # no copy has such rights


_GUARDED = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^(custody|evidence|witnesses)_'"
)
_TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D'
"""


def _connected(database: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host=str(postgres.socket_folder(Path(settings.SANAD_DATA))),
        port=postgres.PORT,
        user=postgres.SUPERUSER,
        dbname=database,
        autocommit=True,
    )


@dataclass
class Stage:
    """The filled archive with what others hold of it: a receipt and a bundle."""

    copies: Copies
    home: Path
    team: Team
    items: list[Item]
    consent: str
    receipt: bytes
    bundle: Path
    size: int


def prepare(home: Path) -> Stage:
    """Fill an empty archive; kept on the way as EARLY, and at the end as WHOLE."""
    copies, team = Copies(home), gather()
    items = [_received(team, number) for number in range(3)]
    _signed()
    copies.keep(EARLY)
    items += [_received(team, number) for number in range(3, 5)]
    for item in items[:2]:
        actions.open_content(by=team["investigator"], at=timezone.now(), accession=item.accession)
        actions.verify_item(by=team["auditor"], at=timezone.now(), accession=item.accession)
        _signed()
    consent = _consent(team)
    bundle = _bundle(team, items[0], home)
    _signed()
    made = receipt(Item.objects.get(pk=items[0].pk))
    copies.keep(WHOLE)
    return Stage(copies, home, team, items, consent, made.file, bundle, Entry.objects.count())


def _received(team: Team, number: int) -> Item:
    item = actions.receive_item(
        by=team["investigator"],
        at=timezone.now(),
        compartment_id=team.compartment.pk,
        received=blobs.receive([f"A note of the drill, number {number}.\n".encode() * 200]),
        original_name=f"note-{number}.txt",
        description={"title": f"Note {number}"},
    )
    tasks.examine(str(item.pk))
    item.refresh_from_db()
    return item


def _consent(team: Team) -> str:
    by = team["protection"]
    witness = witness_actions.open_witness(
        by=by, at=timezone.now(), compartment_id=team.compartment.pk, kind="eyewitness"
    )
    agreed = {
        "purposes": ["documentation"],
        "recipients": ["own_team"],
        "identity_level": "pseudonym",
        "recording_media": ["written"],
        "language": "ar",
        "explained_by": "Interviewer 1",
        "form_version": "2025-01",
        "given_edtf": "2025-03-20",
    }
    return str(witness_actions.record_consent(by=by, at=timezone.now(), witness_id=witness.pk, agreed=agreed).pk)


def _bundle(team: Team, item: Item, home: Path) -> Path:
    """A finished bundle as its recipient has it: an unpacked folder."""
    by = team["legal"]
    fields = {
        "title": "A drill",
        "forum": "domestic",
        "purpose": "documentation",
        "recipient_kind": "own_team",
        "recipient": "Drill",
        "summary": "",
    }
    case = case_actions.open_case(by=by, at=timezone.now(), compartment_id=team.compartment.pk, fields=fields)
    case_actions.add_exhibit(
        by=by, at=timezone.now(), case_id=case.pk, accession=item.accession,
        fields={"category": "context", "relevance": "A drill.", "notes": ""},
    )  # fmt: skip
    bundle = bundles.request_bundle(by=by, at=timezone.now(), case_id=case.pk)
    _signed()
    build_bundle(str(bundle.pk))
    bundle = Bundle.objects.get(pk=bundle.pk)
    if bundle.blob is None:
        raise RuntimeError(f"the bundle was not built: {bundle.problem}")
    packed, folder = home / "bundle.zip", home / "bundle"
    _write(packed, blobs.read_blob(bundle.blob))
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(folder)
    (unpacked,) = folder.iterdir()
    return unpacked


def _signed() -> None:
    drain()
    sign_head()
    export(Path(settings.SANAD_LEDGER))


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as handle:
        handle.writelines(chunks)

"""Descriptions from a table: every error by line and column, all rows or none, and the table kept."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow, Refused
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from evidence import blobs, store
from evidence.models import Item
from incidents import actions, tables
from incidents.models import Incident, Intake
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident()


@pytest.fixture
def items(incident: Incident) -> list[Item]:
    return [factories.make_item(incident.compartment) for _number in range(3)]


def brought(incident: Incident, text: str | bytes, **options: Any) -> tables.Outcome:
    data = text if isinstance(text, bytes) else text.encode()
    options = {"by": incident.opened_by, "at": timezone.now(), "original_name": "table.csv", **options}
    return tables.import_table(incident=incident, received=blobs.receive([data]), **options)


def rehearsed(incident: Incident, text: str | bytes) -> tables.Outcome:
    data = text if isinstance(text, bytes) else text.encode()
    return tables.rehearse_table(by=incident.opened_by, at=timezone.now(), incident=incident, data=data)


def errors(outcome: tables.Outcome) -> list[tuple[int, str]]:
    return [(error.line, error.column) for error in outcome.errors]


def test_all_rows_are_written_with_an_event_each_and_one_that_itemises_them(
    incident: Incident, items: list[Item]
) -> None:
    one, two, three = items
    table = (
        "accession,title,description,created_edtf,created_basis,latitude,longitude,precision,graphic\r\n"
        f'{one.accession},"A square, at dawn","line one\nline two",2025-03-07,source,35.36211,35.92759,locality,yes\r\n'
        f"{two.accession},صورة,,,,,,,no\r\n"
        f"{three.accession},,,,,,,,\r\n"
    )
    outcome = brought(incident, table, reason="the collector's list")
    assert errors(outcome) == []
    assert (outcome.changed, outcome.unchanged) == ([one.accession, two.accession], [three.accession])
    one.refresh_from_db()
    assert (one.title, one.description, one.graphic) == ("A square, at dawn", "line one\nline two", True)
    assert (str(one.latitude), one.created_earliest.isoformat() if one.created_earliest else "") == (
        "35.362110",
        "2025-03-07",
    )
    kept = outcome.item
    assert kept is not None
    assert b"".join(blobs.read_blob(kept.blob)) == table.encode()
    assert kept.links.get().incident == incident
    for item, changes in ((one, 1), (two, 1), (three, 0)):
        described = [line for line in story("item", item.pk) if line.type == Type.DESCRIBE]
        assert [line.fields["purpose"] for line in described] == ["the collector's list"] * changes
    (told,) = [line for line in story("item", kept.pk) if line.type == Type.IMPORT]
    assert told.fields["described"] == outcome.changed
    assert told.fields["object"] == {"accession": kept.accession, "sha256": kept.sha256}
    assert any(line.type == Type.IMPORT for line in story("item", one.pk))
    assert not any(line.type == Type.IMPORT for line in story("item", three.pk))


def test_one_wrong_cell_and_nothing_is_written(incident: Incident, items: list[Item]) -> None:
    stored, events = set(store.addresses()), Event.objects.count()
    table = (
        "accession;title;created_edtf;latitude;longitude;precision;kind;graphic\n"
        f"{items[0].accession};Good;2025-03-07;;;;;\n"
        f"{items[1].accession};Bad;the seventh;95;35;locality;painting;perhaps\n"
        "\n"
        f"{items[2].accession};Bad;the seventh;95;35;locality;painting;\n"
        f"{items[2].accession};Twice;;;;;;\n"
        "TEST-0-999999;Nowhere;;;;;;\n"
        ";No item;;;;;;\n"
        f"{items[0].accession};too few\n"
    )
    for outcome in (rehearsed(incident, table), brought(incident, table)):
        found = errors(outcome)
        assert (3, "graphic") in found
        assert (5, "created_edtf") in found
        assert {(6, "accession"), (7, "accession"), (8, "accession"), (9, "")} <= set(found)
        assert found == sorted(found)
        assert (outcome.changed, outcome.item) == ([], None)
    assert set(store.addresses()) == stored
    assert Event.objects.count() == events
    assert not Intake.objects.exists()
    assert Item.objects.count() == 3
    assert not Item.objects.exclude(title="").exists()


def test_a_rehearsal_says_what_would_change_and_writes_nothing(incident: Incident, items: list[Item]) -> None:
    events = Event.objects.count()
    outcome = rehearsed(incident, f"accession,title\n{items[0].accession},A square\n")
    assert (outcome.changed, outcome.errors, outcome.item) == ([items[0].accession], [], None)
    items[0].refresh_from_db()
    assert (items[0].title, Event.objects.count()) == ("", events)


def test_items_may_be_named_by_digest_unless_several_have_it(incident: Incident, items: list[Item]) -> None:
    copy = factories.make_item(incident.compartment, data=b"".join(blobs.read_blob(items[0].blob)))
    outcome = brought(incident, f"sha256,title\n{items[1].sha256.upper()},By digest\n{copy.sha256},Which\n")
    assert errors(outcome) == [(3, "sha256")]
    outcome = brought(incident, f"sha256,title\n{items[1].sha256.upper()},By digest\n")
    assert outcome.changed == [items[1].accession]


@pytest.mark.parametrize(
    ("table", "where"),
    [
        (b"", (1, "")),
        (b"title\nx\n", (1, "")),
        (b"accession,sha256,title\n", (1, "")),
        (b"accession,title,title\n", (1, "title")),
        (b"accession,received_at\n", (1, "")),
        (b"accession,title\nX,caf\xe9\n", (2, "")),
        (b"accession,title\nX,a\0b\n", (2, "")),
        (b'accession,title\nX,"open\n', (2, "")),
        (b'accession,title\nX,"a"b\n', (2, "")),
        (b"PK\3\4\x14\0\0\0", (1, "")),
    ],
)
def test_what_is_no_table_is_said_with_its_line(incident: Incident, table: bytes, where: tuple[int, str]) -> None:
    assert errors(rehearsed(incident, table))[0] == where


def test_a_table_of_a_spreadsheet_program_with_a_mark_and_a_tab_is_read(incident: Incident, items: list[Item]) -> None:
    outcome = rehearsed(incident, f"\ufeffAccession\tTitle\r\n{items[0].accession}\tA\r\n".encode())
    assert outcome.changed == [items[0].accession]


def test_every_naughty_string_is_kept_as_it_is_or_refused_in_words(
    test_data: Path, incident: Incident, items: list[Item]
) -> None:
    for text in json.loads((test_data / "naughty" / "blns.json").read_text())[:150]:
        cell = '"' + text.replace('"', '""') + '"'
        outcome = rehearsed(incident, f"accession,description\n{items[0].accession},{cell}\n")
        assert outcome.errors or len(outcome.changed + outcome.unchanged) == 1


def test_another_compartments_item_looks_like_none(incident: Incident) -> None:
    other = factories.make_item()
    unseen = rehearsed(incident, f"accession,title\n{other.accession},A\n").errors
    absent = rehearsed(incident, "accession,title\nNO-000001,A\n").errors
    assert [error.message for error in unseen] == [error.message for error in absent]
    factories.give(incident.opened_by, Role.INVESTIGATOR, other.compartment)
    assert rehearsed(incident, f"accession,title\n{other.accession},A\n").errors == unseen


def test_the_same_request_twice_is_one_import(incident: Incident, items: list[Item]) -> None:
    key, table = uuid4(), f"accession,title\n{items[0].accession},A square\n"
    first = brought(incident, table, idempotency_key=key)
    again = brought(incident, table, idempotency_key=key)
    assert first.item == again.item
    assert again.changed == []
    assert Event.objects.filter(type=Type.IMPORT).count() == 1


def test_too_many_rows_too_many_bytes_and_a_closed_incident_are_refused(
    incident: Incident, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{item.accession},A\n" for item in items)
    monkeypatch.setattr(tables, "MOST_ROWS", 2)
    assert (4, "") in errors(rehearsed(incident, f"accession,title\n{rows}"))
    monkeypatch.setattr(tables, "MOST_BYTES", 10)
    with pytest.raises(blobs.ReceptionRefused):
        brought(incident, f"accession,title\n{rows}")
    actions.change_status(
        by=incident.opened_by, at=timezone.now(), incident=incident, status="closed", reason="all is said"
    )
    with pytest.raises(NotNow):
        rehearsed(incident, f"accession,title\n{rows}")


def test_who_may_not_receive_may_not_import(incident: Incident) -> None:
    reviewer = factories.make_user(Role.LEGAL_REVIEWER, incident.compartment)
    with pytest.raises(Refused):
        brought(incident, "accession,title\n", by=reviewer)


def command(path: Path, incident: Incident, **options: Any) -> tuple[int, dict[str, Any]]:
    out, code = StringIO(), 0
    options = {"username": incident.opened_by.username, "incident": incident.code, "json": True} | options
    try:
        call_command("import_descriptions", str(path), stdout=out, stderr=StringIO(), **options)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue())


def test_the_command_rehearses_and_imports(incident: Incident, items: list[Item], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"accession,title\n{items[0].accession},A square\n")
    assert command(table, incident, dry_run=True)[1]["changed"] == [items[0].accession]
    code, told = command(table, incident)
    assert (code, told["changed"], told["item"] is not None) == (0, [items[0].accession], True)
    table.write_text("accession,title\nNO-1,A\n")
    code, told = command(table, incident)
    assert (code, told["errors"][0]["line"], told["errors"][0]["column"]) == (1, 2, "accession")
    with pytest.raises(CommandError) as refused:
        command(tmp_path / "missing.csv", incident)
    assert refused.value.returncode == 2

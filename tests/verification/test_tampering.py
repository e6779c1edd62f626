"""Whatever somebody who owns the disk and the tables changes behind an item is found by a run, and named."""

import math

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from custody.models import Entry, Event, EventSubject
from custody.proof import newest_checkpoint
from evidence import store
from evidence.models import Item
from ledger.sign import Ed25519Signer, sign_note
from tests import factories
from tests.custody.ledgers import as_owner
from verification import actions
from verification.models import Run, RunResult
from verification.vocabulary import Scope

pytestmark = pytest.mark.django_db

BLOB = "(SELECT blob_id FROM evidence_item WHERE id = %s)"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custody.verify.PUBLISHING", 0.0)


def named(auditor: User) -> tuple[Run, str]:
    """A finished run over everything, and every word it found: faults of the ledger and failed items."""
    run = actions.request_run(by=auditor, at=timezone.now(), scope=Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=math.inf)
    run.refresh_from_db()
    bad = [f"{row.accession}: {row.outcome}: {row.detail}" for row in RunResult.objects.filter(run=run) if not row.good]
    return run, "\n".join([*(f"{fault['where']}: {fault['what']}" for fault in run.ledger_faults), *bad])


def without_foreign_keys(table: str) -> None:
    """What an owner does before taking out a row that others point at."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint "
            "WHERE contype = 'f' AND confrelid = %s::regclass",
            [table],
        )
        for owner, name in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {owner} DROP CONSTRAINT "{name}"')


def test_untouched_everything_is_good(auditor: User, items: list[Item]) -> None:
    run, words = named(auditor)
    assert words == ""
    assert run.is_clean


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_bit_of_the_stored_bytes(place: str, auditor: User, items: list[Item]) -> None:
    path = store.path_of(items[1].blob.address)
    data = bytearray(path.read_bytes())
    data[{"first": 0, "middle": len(data) // 2, "last": -1}[place]] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    run, words = named(auditor)
    assert words.startswith(f"{items[1].accession}: changed: the bytes at {items[1].blob.address}")
    assert (run.failed, run.done) == (1, 3)


def test_bytes_cut_lengthened_taken_away_or_exchanged(auditor: User, items: list[Item]) -> None:
    cut, exchanged, gone = (store.path_of(item.blob.address) for item in items)
    for path in (cut, exchanged):
        path.chmod(0o600)
    exchanged.write_bytes(cut.read_bytes())
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    run, words = named(auditor)
    assert run.failed == 3
    assert f"{items[0].accession}: changed" in words
    assert f"{items[1].accession}: changed" in words
    assert f"{items[2].accession}: missing" in words


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("UPDATE evidence_item SET sha256 = repeat('0', 64) WHERE id = %s", "record: sha256"),
        ("UPDATE evidence_item SET sha512 = repeat('0', 128) WHERE id = %s", "record: sha512"),
        ("UPDATE evidence_item SET size = size + 1 WHERE id = %s", "record: size"),
        ("UPDATE evidence_item SET accession = 'SY-9-000001' WHERE id = %s", "record: accession"),
        ("UPDATE evidence_item SET title = 'Another title' WHERE id = %s", "record: title"),
        ("UPDATE evidence_item SET description = 'x' WHERE id = %s", "record: description"),
        ("UPDATE evidence_item SET created_edtf = '2024' WHERE id = %s", "record: created_edtf"),
        ("UPDATE evidence_item SET media_type = 'text/html' WHERE id = %s", "record: media_type"),
        ("UPDATE evidence_item SET received_at = received_at - interval '1 day' WHERE id = %s", "record: received_at"),
        ("UPDATE evidence_item SET sealed_name = '' WHERE id = %s", "record: the sealed original name"),
        (f"UPDATE evidence_blob SET wrapped_key = '' WHERE id = {BLOB}", "record: the key kept"),
        (
            f"UPDATE evidence_blob SET address = repeat('0', 64) WHERE id = {BLOB}",
            "missing: no bytes stand at 000",
        ),
        (
            (
                "UPDATE evidence_item SET received_by_id = (SELECT id FROM accounts_user WHERE username = 'founder') "
                "WHERE id = %s"
            ),
            "record: received_by",
        ),
    ],
)
def test_a_changed_row_of_an_item_or_its_blob(statement: str, outcome: str, auditor: User, items: list[Item]) -> None:
    assert as_owner(statement, items[1].pk) == 1
    changed = Item.objects.get(pk=items[1].pk).accession
    run, words = named(auditor)
    assert run.failed == 1
    assert words.startswith(f"{changed}: {outcome}"), words


def test_an_item_moved_to_a_compartment_where_others_may_see_it(auditor: User, items: list[Item]) -> None:
    as_owner("UPDATE evidence_item SET compartment_id = %s WHERE id = %s", factories.make_compartment().pk, items[0].pk)
    assert f"{items[0].accession}: record: compartment" in named(auditor)[1]


def test_two_items_whose_bytes_were_swapped(auditor: User, items: list[Item]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE evidence_item DROP CONSTRAINT evidence_item_blob_id_key")
    first, second = items[0], items[1]
    as_owner(
        "UPDATE evidence_item SET blob_id = CASE WHEN id = %s THEN %s::uuid ELSE %s::uuid END WHERE id IN (%s, %s)",
        first.pk,
        second.blob_id,
        first.blob_id,
        first.pk,
        second.pk,
    )
    run, words = named(auditor)
    assert run.failed == 2
    for item in (first, second):
        assert f"{item.accession}: record: the record points to other bytes" in words


def test_a_blob_row_taken_out(auditor: User, items: list[Item]) -> None:
    without_foreign_keys("evidence_blob")
    assert as_owner("DELETE FROM evidence_blob WHERE id = %s", items[0].blob_id) == 1
    run, words = named(auditor)
    assert f"{items[0].accession}: record: the record's row of the stored bytes is gone" in words
    assert (run.failed, run.done) == (1, 3)


def test_an_item_row_taken_out_is_missed_by_its_accession_number(auditor: User, items: list[Item]) -> None:
    without_foreign_keys("evidence_item")
    assert as_owner("DELETE FROM evidence_item WHERE id = %s", items[0].pk) == 1
    run, words = named(auditor)
    assert words == f"item {items[0].accession}: was received and is no longer there"
    assert not run.is_clean


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM custody_event WHERE id = %s", "is not the entry of its event"),
        ("UPDATE custody_event SET type = 'displaying' WHERE id = %s", "its event row was changed: type"),
        ("DELETE FROM custody_entry WHERE event_id = %s", "is missing from the ledger"),
        ("DELETE FROM custody_disclosure WHERE event_id = %s AND field = 'object'", "its value of object is missing"),
        ("DELETE FROM custody_eventsubject WHERE event_id = %s", "the rows that say what it is about were changed"),
    ],
)
def test_a_changed_row_of_a_reception_is_named_with_its_entry_and_with_its_item(
    statement: str, expected: str, auditor: User, items: list[Item]
) -> None:
    about = EventSubject.objects.filter(kind="item", subject_id=items[1].pk).values("event_id")
    event = Event.objects.get(type="ingestion", pk__in=about)
    index = Entry.objects.get(event_id=event.pk).index
    assert as_owner(statement, event.pk) >= 1
    run, words = named(auditor)
    assert f"entry {index}: {expected}" in words
    assert f"{items[1].accession}: " in words
    assert run.failed == 1


def test_a_tile_or_a_checkpoint_changed_leaves_no_item_proved(auditor: User, items: list[Item]) -> None:
    as_owner("UPDATE custody_tile SET hashes = sha256('x') || substr(hashes, 33)")
    run, words = named(auditor)
    assert "tile 0/0: is missing or was changed at entry 0" in words
    assert run.failed == 3
    assert words.count("ledger: the tree does not prove") == 3


def test_a_checkpoint_signed_by_another_key_proves_nothing(auditor: User, items: list[Item]) -> None:
    head = newest_checkpoint()
    assert head is not None
    text = head.note.partition("\n\n")[0] + "\n"
    forged = sign_note(text, Ed25519Signer(text.split("\n")[0], b"f" * 32))
    as_owner("UPDATE custody_checkpoint SET note = %s WHERE id = %s", forged, head.pk)
    run, words = named(auditor)
    assert f"checkpoint {head.size}: no trusted key has signed the note" in words
    assert run.failed == 3


def test_the_outcome_of_an_earlier_check_made_good_again(auditor: User, items: list[Item]) -> None:
    path = store.path_of(items[0].blob.address)
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(good[:-1])
    named(auditor)
    path.write_bytes(good)
    as_owner("UPDATE evidence_item SET last_outcome = 'ok' WHERE id = %s", items[0].pk)
    assert f"{items[0].accession}: record: last_outcome" in named(auditor)[1]

"""Whatever is changed behind the archive's back, verification finds it and names it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotVisible, Refused
from custody.models import Disclosure, Event, EventSubject
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from evidence import actions, store
from evidence.fixity import find
from evidence.models import Derivative, FixityCheck, Item
from evidence.vocabulary import FixityOutcome
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db


def settle() -> None:
    drain()
    sign_head()


@pytest.fixture
def item() -> Item:
    """An item that was received, examined, described and verified, all of it recorded."""
    made = factories.make_item(data=photograph(), name="IMG_1.jpg")
    examined(made)
    actions.describe_item(
        by=made.received_by,
        at=timezone.now(),
        accession=made.accession,
        changes={
            "title": "Courtyard",
            "description": "A yard.",
            "language": "ar",
            "created_edtf": "2025-03-07",
            "created_basis": "source",
            "published_edtf": "2025-03-08",
            "published_basis": "platform",
            "collected_edtf": "2025-03",
            "collected_basis": "analyst",
            "place_name": "Baniyas",
            "latitude": "35.1824",
            "longitude": "35.9405",
            "precision": "locality",
        },
    )
    settle()
    actions.verify_item(by=made.received_by, at=timezone.now(), accession=made.accession)
    settle()
    return Item.objects.get(pk=made.pk)


def as_owner(sql: str, parameters: list[Any], *tables: str) -> None:
    """What somebody with the database in their hands does: the append-only triggers are switched off first."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        assert cursor.rowcount >= 1
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def found(item: Item) -> tuple[FixityOutcome, str]:
    finding = find(Item.objects.get(pk=item.pk))
    assert not finding.good or finding.outcome in (FixityOutcome.OK, FixityOutcome.PENDING)
    return finding.outcome, finding.detail


def test_an_untouched_item_passes_every_step(item: Item) -> None:
    finding = find(item)
    assert finding.outcome == FixityOutcome.OK
    assert [step.name for step in finding.steps] == [
        "bytes",
        "reception",
        "record",
        "description",
        "examination",
        "ledger",
    ]
    assert all(step.good for step in finding.steps)
    assert finding.stored_sha256 == item.blob.address


def test_before_the_checkpoint_it_is_pending_and_not_verified() -> None:
    fresh = factories.make_item()
    assert found(fresh)[0] == FixityOutcome.PENDING
    check = actions.verify_item(by=fresh.received_by, at=timezone.now(), accession=fresh.accession)
    assert check.outcome == FixityOutcome.PENDING
    assert Item.objects.get(pk=fresh.pk).last_verified_at is None


@pytest.mark.parametrize("position", [0, 45, -1])
def test_one_changed_byte_is_found_and_its_address_is_named(item: Item, position: int) -> None:
    path = store.path_of(item.blob.address)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    outcome, detail = found(item)
    assert outcome == FixityOutcome.CHANGED
    assert item.blob.address in detail


def test_missing_bytes_are_found(item: Item) -> None:
    store.path_of(item.blob.address).unlink()
    assert found(item) == (FixityOutcome.MISSING, f"no bytes stand at {item.blob.address}")


def test_bytes_that_cannot_be_read_are_told_apart_from_missing_ones(item: Item) -> None:
    path = store.path_of(item.blob.address)
    path.unlink()
    path.mkdir()
    assert found(item)[0] == FixityOutcome.UNREADABLE
    path.rmdir()


def test_a_changed_preview_is_found(item: Item) -> None:
    path = store.path_of(Derivative.objects.get(item=item).blob.address)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    outcome, detail = found(item)
    assert outcome == FixityOutcome.CHANGED
    assert detail.startswith("preview: ")


OTHER: dict[str, Any] = {
    "accession": "TEST-999999-000001",
    "sha256": "0" * 64,
    "sha512": "0" * 128,
    "size": 1,
    "sealed_name": b"other",
    "received_at": timezone.now() - timedelta(days=400),
    "erased_at": timezone.now(),
    "idempotency_key": "00000000-0000-4000-8000-00000000000a",
    "kind": "video",
    "title": "Another yard",
    "description": "Another.",
    "language": "fr",
    "graphic": True,
    "created_edtf": "2025-03-09",
    "created_earliest": "2025-03-01",
    "created_latest": "2025-03-30",
    "created_basis": "device",
    "published_edtf": "2024",
    "published_earliest": "2024-01-01",
    "published_latest": "2024-12-31",
    "published_basis": "device",
    "collected_edtf": "",
    "collected_earliest": "2024-01-01",
    "collected_latest": "2024-12-31",
    "collected_basis": "device",
    "place_name": "Elsewhere",
    "place_name_ar": "مكان",
    "latitude": "33.0",
    "longitude": "36.0",
    "precision": "exact",
    "gazetteer_code": "SY01",
    "source_kind": "official",
    "source": "Somebody",
    "acquired_by": "Somebody",
    "acquired_edtf": "2025-03-01",
    "acquired_where": "Somewhere",
    "acquired_how": "message",
    "acquired_tool": "A tool",
    "media_type": "video/mp4",
    "media_type_puremagic": "video/mp4",
    "media_type_libmagic": "video/mp4",
    "type_conflict": True,
    "examined_at": timezone.now() - timedelta(days=3),
    "examination_problem": "none",
    "sealed_claims": b"other",
    "last_verified_at": timezone.now() + timedelta(days=1),
    "last_outcome": "changed",
}
#: Columns whose change breaks a key of the database, or which are computed by it.
NOT_BY_VALUE = {"id", "compartment", "blob", "received_by", "duplicate_of", "search", "erased_at"}


def test_every_column_of_an_item_is_in_this_test() -> None:
    assert {field.name for field in Item._meta.concrete_fields} == set(OTHER) | NOT_BY_VALUE


@pytest.mark.parametrize("column", sorted(OTHER))
def test_a_column_changed_by_sql_is_found(item: Item, column: str) -> None:
    as_owner(f"UPDATE evidence_item SET {column} = %s WHERE id = %s", [OTHER[column], item.pk])
    outcome, detail = found(item)
    assert outcome == (FixityOutcome.LEDGER if column == "erased_at" else FixityOutcome.RECORD), detail
    assert detail


def test_an_item_that_only_says_it_was_erased_is_found(item: Item) -> None:
    as_owner("UPDATE evidence_item SET erased_at = now() WHERE id = %s", [item.pk])
    assert not find(Item.objects.get(pk=item.pk)).good


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE evidence_fixitycheck SET outcome = 'changed'", "is not the one the ledger recorded"),
        ("UPDATE evidence_fixitycheck SET by_id = gen_random_uuid()", "is not the one the ledger recorded"),
        ("UPDATE evidence_fixitycheck SET event_id = gen_random_uuid()", "has no event in the ledger"),
        ("DELETE FROM evidence_fixitycheck", "is gone from the record"),
    ],
)
def test_a_fixity_check_that_was_forged_or_taken_out_is_found(item: Item, sql: str, words: str) -> None:
    if sql.startswith("DELETE"):
        FixityCheck.objects.filter(item=item).delete()
    else:
        as_owner(f"{sql} WHERE item_id = %s", [item.pk])
    outcome, detail = found(item)
    assert (outcome, words in detail) == (FixityOutcome.RECORD, True)


def test_an_item_moved_to_another_compartment_receiver_or_first_is_found(item: Item) -> None:
    other = factories.make_item()
    for column, value in (
        ("compartment_id", other.compartment_id),
        ("received_by_id", other.received_by_id),
        ("duplicate_of_id", other.pk),
    ):
        before = getattr(item, column)
        as_owner(f"UPDATE evidence_item SET {column} = %s WHERE id = %s", [value, item.pk])
        assert found(item)[0] == FixityOutcome.RECORD, column
        as_owner(f"UPDATE evidence_item SET {column} = %s WHERE id = %s", [before, item.pk])
    assert found(item)[0] == FixityOutcome.OK


def test_bytes_exchanged_for_those_of_another_item_are_found(item: Item) -> None:
    other = factories.make_item()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE evidence_blob a SET address = md5(a.address) || md5(a.address) WHERE id = %s", [item.blob_id]
        )
    assert found(item)[0] == FixityOutcome.MISSING
    as_owner("UPDATE evidence_blob SET address = %s WHERE id = %s", ["f" * 64, other.blob_id])
    as_owner("UPDATE evidence_blob SET address = %s WHERE id = %s", [other.blob.address, item.blob_id])
    assert found(item)[0] == FixityOutcome.RECORD


@pytest.mark.parametrize(
    ("column", "value"), [("size", 1), ("wrapped_key", b"\x01" + bytes(60)), ("key_commitment", "0" * 64)]
)
def test_a_changed_row_of_the_stored_bytes_is_found(item: Item, column: str, value: Any) -> None:
    as_owner(f"UPDATE evidence_blob SET {column} = %s WHERE id = %s", [value, item.blob_id])
    assert found(item)[0] == FixityOutcome.RECORD


@pytest.mark.parametrize(
    ("column", "value"),
    [("sha256", "0" * 64), ("size", 1), ("media_type", "text/html"), ("tool", "x"), ("made_at", timezone.now())],
)
def test_a_changed_row_of_the_preview_is_found(item: Item, column: str, value: Any) -> None:
    as_owner(f"UPDATE evidence_derivative SET {column} = %s WHERE item_id = %s", [value, item.pk])
    assert found(item)[0] == FixityOutcome.RECORD


def test_a_removed_preview_is_found(item: Item) -> None:
    as_owner("DELETE FROM evidence_derivative WHERE item_id = %s", [item.pk])
    assert found(item)[0] == FixityOutcome.RECORD


def events_of(item: Item, type: Type) -> Any:
    return Event.objects.filter(
        type=type, id__in=EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
    )


@pytest.mark.parametrize("type", [Type.RECEIVE, Type.DESCRIBE, Type.IDENTIFY, Type.EXTRACT, Type.CREATE])
def test_a_changed_entry_of_any_telling_event_is_found(item: Item, type: Type) -> None:
    event = events_of(item, type).get()
    changed = bytes(event.entry).replace(b'"success"', b'"refused"', 1)
    as_owner("UPDATE custody_event SET entry = %s WHERE id = %s", [changed, event.pk], "custody_event")
    assert found(item)[0] == FixityOutcome.LEDGER


def test_an_event_and_its_entry_changed_together_are_not_in_the_signed_tree(item: Item) -> None:
    event = events_of(item, Type.DESCRIBE).get()
    year = str(event.at.year).encode()
    changed = bytes(event.entry).replace(b'"ts":"' + year, b'"ts":"2001', 1)
    assert changed != bytes(event.entry)
    as_owner("UPDATE custody_event SET entry = %s WHERE id = %s", [changed, event.pk], "custody_event")
    as_owner("UPDATE custody_entry SET entry = %s WHERE event_id = %s", [changed, event.pk], "custody_entry")
    assert found(item)[0] == FixityOutcome.LEDGER


@pytest.mark.parametrize("type", [Type.RECEIVE, Type.DESCRIBE, Type.IDENTIFY])
def test_a_changed_or_removed_disclosure_is_found(item: Item, type: Type) -> None:
    row = Disclosure.objects.filter(event_id=events_of(item, type).get().pk, field="to").get()
    changed = bytes(row.sealed[:-1]) + bytes([row.sealed[-1] ^ 1])
    as_owner("UPDATE custody_disclosure SET sealed = %s WHERE id = %s", [changed, row.pk], "custody_disclosure")
    assert found(item)[0] == FixityOutcome.LEDGER
    as_owner("DELETE FROM custody_disclosure WHERE id = %s", [row.pk], "custody_disclosure")
    outcome, detail = found(item)
    assert outcome == FixityOutcome.LEDGER
    assert "missing" in detail


def test_a_removed_reception_is_found(item: Item) -> None:
    event = events_of(item, Type.RECEIVE).get()
    as_owner("DELETE FROM custody_eventsubject WHERE event_id = %s", [event.pk], "custody_eventsubject")
    assert found(item) == (FixityOutcome.LEDGER, "no reception of this item is in the ledger")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE custody_checkpoint SET note = replace(note, '— ', '— x')",
        "UPDATE custody_checkpoint SET root = decode(repeat('00', 32), 'hex')",
        "UPDATE custody_tile SET hashes = decode(repeat('00', length(hashes)), 'hex')",
    ],
)
def test_a_changed_checkpoint_or_tree_is_found(item: Item, sql: str) -> None:
    as_owner(sql, [], "custody_checkpoint", "custody_tile")
    assert found(item)[0] == FixityOutcome.LEDGER


def test_a_finding_is_kept_with_its_steps_and_is_a_custody_event(item: Item) -> None:
    auditor = factories.make_user(Role.AUDITOR)
    store.path_of(item.blob.address).unlink()
    check = actions.verify_item(by=auditor, at=timezone.now(), accession=item.accession)
    assert (check.outcome, check.steps[-1]["good"]) == (FixityOutcome.MISSING, False)
    event = Event.objects.get(pk=check.event_id)
    assert (event.type, event.outcome, event.agent_id) == (Type.VERIFY, "failure", auditor.pk)
    assert Item.objects.get(pk=item.pk).last_outcome == FixityOutcome.MISSING


def test_after_a_failure_is_repaired_the_item_verifies_again(item: Item) -> None:
    path = store.path_of(item.blob.address)
    kept = path.read_bytes()
    path.unlink()
    actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    path.write_bytes(kept)
    settle()
    check = actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    assert check.outcome == FixityOutcome.OK
    assert FixityCheck.objects.filter(item=item).count() == 3


def test_who_may_not_verify_is_refused_and_a_stranger_learns_nothing(item: Item) -> None:
    officer = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    with pytest.raises(Refused):
        actions.verify_item(by=officer, at=timezone.now(), accession=item.accession)
    with pytest.raises(NotVisible):
        actions.verify_item(by=factories.stranger(), at=timezone.now(), accession=item.accession)

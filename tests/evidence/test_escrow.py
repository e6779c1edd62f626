"""Every object's key is in escrow as long as it is a key, for its holders and for nobody else."""

import hashlib
import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pyrage
import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Role
from custody import keys
from custody.engine import SYSTEM, opened
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from custody.wrapping import KeyProblem
from evidence import erasure, erasure_parts, escrow, escrow_exports
from evidence.models import Blob, Escrow, EscrowExport, Item
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db


@pytest.fixture
def holders() -> list[Any]:
    """Two people who keep an identity offline."""
    return [pyrage.x25519.Identity.generate() for _ in range(2)]


@pytest.fixture
def name(settings: Any, tmp_path: Path) -> Callable[..., None]:
    """Name the recipients of now."""
    path = tmp_path / "recipients"
    settings.SANAD_ESCROW_RECIPIENTS = path
    written = iter(range(1000))

    def put(*identities: Any) -> None:
        lines = [f"{identity.to_public()}  # a holder" for identity in identities]
        path.write_text("\n".join(["# who may recover", *lines, "", f"# {next(written)}"]))

    return put


def record_of(row: Escrow, holder: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pyrage.decrypt(bytes(row.sealed), [holder]))
    return found


def told() -> list[dict[str, Any]]:
    events = Event.objects.filter(type=Type.ESCROW).order_by("at", "pk")
    return [opened([event.pk])[event.pk]["to"][1] for event in events]


def test_without_recipients_there_is_no_escrow_and_everything_works() -> None:
    factories.make_item(data=b"x")
    assert not Escrow.objects.exists()
    with pytest.raises(CommandError, match="no recipients are named"):
        call_command("escrow_keys", "--check")


def test_an_object_and_its_escrow_are_one_transaction_and_any_one_recipient_opens_it(
    holders: list[Any], name: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name(*holders)
    item = factories.make_item(data=b"the bytes", name="secret-name.jpg")
    row = Escrow.objects.get(blob_id=item.blob_id)
    records = [record_of(row, holder) for holder in holders]
    assert records[0] == records[1]
    assert records[0] == {
        "address": item.blob.address,
        "blob": str(item.blob_id),
        "commitment": item.blob.key_commitment,
        "key": keys.provider().unwrap(bytes(item.blob.wrapped_key), f"blob/{item.blob_id}").hex(),
        "name": item.accession,
        "purpose": "sanad/escrow/v1",
        "sha256": hashlib.sha256(b"the bytes").hexdigest(),
        "size": 9,
    }
    with pytest.raises(pyrage.DecryptError):
        record_of(row, pyrage.x25519.Identity.generate())

    def fails(*_: Any) -> None:
        raise KeyProblem("it cannot be sealed")

    count = Item.objects.count()
    monkeypatch.setattr(escrow, "seal", fails)
    with pytest.raises(KeyProblem):
        factories.make_item(item.compartment, by=item.received_by, data=b"never without escrow")
    assert (Item.objects.count(), Blob.objects.count(), Escrow.objects.count()) == (count, count, count)


def test_previews_are_in_escrow_under_the_name_of_their_item(holders: list[Any], name: Callable[..., None]) -> None:
    name(*holders)
    item = examined(factories.make_item(data=photograph()))
    row = Escrow.objects.get(blob_id=item.derivatives.get().blob_id)
    assert record_of(row, holders[0])["name"] == f"{item.accession}.preview"


def test_what_came_before_is_caught_up_and_a_new_recipient_gets_everything(
    holders: list[Any], name: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escrow_exports, "BATCH", 2)
    items = [examined(factories.make_item(data=photograph())) for _ in range(2)]
    name(holders[0])
    with pytest.raises(CommandError, match="Not everything"):
        call_command("escrow_keys", "--check", stdout=StringIO())
    batches = escrow_exports.catch_up(by=SYSTEM, at=timezone.now())
    assert next(batches) == 2
    del batches  # killed: what was sealed is
    assert escrow_exports.coverage() == (2, 4)
    call_command("escrow_keys", stdout=StringIO(), stderr=StringIO())
    assert escrow_exports.coverage() == (4, 4)
    by_name = {record_of(row, holders[0])["name"]: record_of(row, holders[0]) for row in Escrow.objects.all()}
    assert set(by_name) == {name for item in items for name in (item.accession, f"{item.accession}.preview")}
    assert by_name[items[0].accession]["sha256"] == items[0].sha256
    name(*holders)
    assert escrow_exports.coverage() == (0, 4)
    call_command("escrow_keys", stdout=StringIO(), stderr=StringIO())
    assert escrow_exports.coverage() == (4, 4)
    assert all(record_of(row, holders[1])["key"] for row in Escrow.objects.all())
    name(holders[1])  # one leaves: what is sealed from now on is not for them
    call_command("escrow_keys", stdout=StringIO(), stderr=StringIO())
    for row in Escrow.objects.all():
        with pytest.raises(pyrage.DecryptError):
            record_of(row, holders[0])
    assert [one["objects"] for one in told()] == [2] * 6


def test_a_key_that_does_not_open_keeps_no_other_object_out_of_escrow(
    holders: list[Any], name: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escrow_exports, "BATCH", 1)
    items = [factories.make_item(data=b"%d" % number) for number in range(3)]
    Blob.objects.filter(pk=items[0].blob_id).update(wrapped_key=b"\x01" + bytes(60))
    name(*holders)
    with pytest.raises(CommandError, match="the keys of 1 objects do not open"):
        call_command("escrow_keys", stdout=StringIO(), stderr=StringIO())
    assert escrow_exports.coverage() == (2, 3)


def test_a_row_of_escrow_is_never_changed_and_goes_with_its_key(holders: list[Any], name: Callable[..., None]) -> None:
    name(*holders)
    one, other = factories.make_item(data=b"1"), factories.make_item(data=b"2")
    with pytest.raises(IntegrityError, match="replaced, not changed"), transaction.atomic():
        Escrow.objects.filter(blob_id=one.blob_id).update(sealed=b"x")
    Blob.objects.filter(pk=one.blob_id).update(wrapped_key=b"")
    assert list(Escrow.objects.values_list("blob_id", flat=True)) == [other.blob_id]


def test_a_rotation_leaves_escrow_as_it_is(
    holders: list[Any], name: Callable[..., None], settings: Any, tmp_path: Path
) -> None:
    settings.SANAD_KEY_FOLDER = tmp_path / "keys"
    keys.provider.cache_clear()
    name(*holders)
    factories.make_item(data=b"1")
    row = bytes(Escrow.objects.get().sealed)
    call_command("rotate_key", "add", stdout=StringIO(), stderr=StringIO())
    assert bytes(Escrow.objects.get().sealed) == row


def test_an_erasure_takes_the_escrow_and_says_which_files_outside_must_go(
    holders: list[Any], name: Callable[..., None], tmp_path: Path
) -> None:
    name(*holders)
    item = examined(factories.make_item(data=photograph()))
    kept = factories.make_item(item.compartment, by=item.received_by, data=b"kept")
    first, second = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert list(escrow_exports.beyond(item.received_by, [item])) == []
    made = escrow_exports.export(by=SYSTEM, at=timezone.now(), path=first)
    assert "1 escrow file outside the archive holds" in next(escrow_exports.beyond(item.received_by, [item]))
    assert escrow_exports.holding_erased() == {}
    asked = erasure.request_erasure(
        by=factories.make_user(Role.ARCHIVIST, item.compartment), at=timezone.now(), accession=item.accession,
        ground="person", reason="The family asks for it.",
    )  # fmt: skip
    drain()
    sign_head()
    officer = factories.make_user(Role.PROTECTION_OFFICER, item.compartment)
    assert any("1 escrow file" in words for words in erasure.beyond(officer, [item]))
    erasure.approve_erasure(by=officer, at=timezone.now(), erasure_id=asked.pk)
    assert list(Escrow.objects.values_list("blob_id", flat=True)) == [kept.blob_id]
    assert escrow_exports.holding_erased() == {made.sha256: 1}
    escrow_exports.export(by=SYSTEM, at=timezone.now(), path=second)
    listed, warned = StringIO(), StringIO()
    call_command("export_escrow", "--list", stdout=listed, stderr=warned)
    assert listed.getvalue().count("out there") == 2
    assert warned.getvalue().startswith(made.sha256[:16])
    assert "1 objects that were erased" in warned.getvalue()
    call_command("export_escrow", "--destroyed", made.sha256, stdout=StringIO())
    assert escrow_exports.holding_erased() == {}
    assert [one["step"] for one in told()] == ["exported", "exported", "destroyed"]
    with pytest.raises(CommandError, match="no exported escrow file"):
        call_command("export_escrow", "--destroyed", "00" * 32)
    assert "evidence_escrow" in [table for part in erasure_parts.parts() for table in part.tables]


def test_the_file_has_the_digest_that_the_ledger_has_and_overwrites_nothing(
    holders: list[Any], name: Callable[..., None], tmp_path: Path
) -> None:
    name(*holders)
    path = tmp_path / "escrow.jsonl"
    with pytest.raises(escrow_exports.ExportRefused, match="nothing is in escrow"):
        escrow_exports.export(by=SYSTEM, at=timezone.now(), path=path)
    factories.make_item(data=b"1")
    out = StringIO()
    call_command("export_escrow", str(path), stdout=out, stderr=StringIO())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in out.getvalue()
    assert told()[-1]["sha256"] == EscrowExport.objects.get().sha256 == digest
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="is there already"):
        call_command("export_escrow", str(path))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_escrow", str(tmp_path / "nowhere" / "x"), stdout=StringIO(), stderr=StringIO())
    assert EscrowExport.objects.count() == 1
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nobody\n\n", "names none"),
        ("age1nobody\n", "line 1"),
        ("# x\nssh-ed25519 AAAA\n", "line 2"),
        ("AGE-SECRET-KEY-1QQQQ\n", "secret identity"),
    ],
)
def test_recipients_that_cannot_be_read_stop_the_start_and_every_reception(
    text: str, said: str, settings: Any, tmp_path: Path
) -> None:
    settings.SANAD_ESCROW_RECIPIENTS = tmp_path / "recipients"
    (tmp_path / "recipients").write_text(text)
    problems = run_checks()
    assert [problem.id for problem in problems] == ["evidence.E001"]
    assert said in problems[0].msg
    assert "QQQQ" not in problems[0].msg
    with pytest.raises(KeyProblem, match=said):
        factories.make_item(data=b"x")
    assert not Blob.objects.exists()


def test_a_file_of_recipients_that_disappears_does_not_end_escrow(
    holders: list[Any], name: Callable[..., None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(holders[0])
    items = [factories.make_item(data=b"%d" % number) for number in range(3)]
    path = Path(settings.SANAD_ESCROW_RECIPIENTS)
    name(holders[1])
    monkeypatch.setattr(escrow_exports, "BATCH", 1)
    run = escrow_exports.catch_up(by=SYSTEM, at=timezone.now())
    next(run)
    path.unlink()
    list(run)  # which goes on for those whom it began with
    assert all(record_of(row, holders[1])["key"] for row in Escrow.objects.all())
    assert Escrow.objects.count() == 3
    assert "evidence.E001" in [problem.id for problem in run_checks(databases=["default"])]
    with pytest.raises(KeyProblem, match="recipients is gone"):
        factories.make_item(items[0].compartment, by=items[0].received_by, data=b"never without escrow")
    path.write_text("")
    assert run_checks() == []
    factories.make_item(items[0].compartment, by=items[0].received_by, data=b"escrow was ended")
    assert Escrow.objects.count() == 3


@pytest.fixture(autouse=True)
def _keys_of_now() -> Iterator[None]:
    yield
    keys.provider.cache_clear()

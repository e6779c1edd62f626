"""The way of an act, killed before every step it has: record, sequence, sign, export, receive a file."""

import errno
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from custody.leaves import leads_to
from custody.log_files import export, exported_entries, exported_head
from custody.models import Checkpoint, Disclosure, Entry, Event, EventSubject, Pending
from custody.sequencer import drain, read_tile, sequence_once, tree_size
from custody.signer import leaves, sign_head
from custody.signer_state import MemoryLost
from custody.verify import faults
from custody.vocabulary import Type
from evidence import blobs
from evidence.models import Item
from incidents import uploads
from incidents.models import Link
from ledger.grow import consistency_proof, root_from_tiles, root_of
from ledger.merkle import verify_consistency
from tests import factories
from tests.custody.dying import at_every_step
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db(transaction=True)


def require_each_once(events: set[UUID]) -> None:
    """Each has a place or waits for one, never both, never twice; the tree is that of the entries."""
    placed = list(Entry.objects.order_by("index").values_list("index", "event_id", "leaf_hash"))
    waiting = list(Pending.objects.values_list("event_id", flat=True))
    assert sorted([event for _, event, _ in placed] + waiting) == sorted(events)
    assert [index for index, _, _ in placed] == list(range(len(placed)))
    assert root_from_tiles(len(placed), read_tile) == root_of(bytes(leaf) for _, _, leaf in placed)


def require_one_history() -> None:
    """Every head leads to the last one, numbers have no gap, and memory and list of hashes are of the last one."""
    heads = list(Checkpoint.objects.order_by("number"))
    last = heads[-1]
    assert [head.number for head in heads] == list(range(1, len(heads) + 1))
    for head in heads:
        path = consistency_proof(head.size, last.size, read_tile)
        assert verify_consistency(head.size, bytes(head.root), last.size, bytes(last.root), path)
    assert state()["note"] == last.note
    assert leads_to(leaves(), last.size, bytes(last.root))


def state() -> dict[str, Any]:
    path = Path(settings.SANAD_SIGNER) / "state.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"note": "", "count": 0}
    return stored


def went_through(steps: list[str], *parts: str) -> None:
    """The steps that were found are really those of the act: each part is among them."""
    for part in parts:
        assert any(part in step for step in steps), (part, steps)


def test_an_act_is_there_whole_or_not_at_all_and_always_when_it_was_acknowledged() -> None:
    signed_ledger(1)
    happened = set(Event.objects.values_list("id", flat=True))
    steps: list[str] = []
    for ended in at_every_step(lambda: happen(fields={"purpose": "to be killed"})):
        steps = ended.steps
        fresh = set(Event.objects.values_list("id", flat=True)) - happened
        assert len(fresh) <= 1
        assert {str(event) for event in fresh} == {ended.told} if ended.finished else ended.told == ""
        if any("after database: commit" in step for step in steps):
            assert len(fresh) == 1, steps
        for event in fresh:
            assert EventSubject.objects.filter(event_id=event).count() == 1
            assert set(Disclosure.objects.filter(event_id=event).values_list("field", flat=True)) == {
                "agent",
                "subjects",
                "purpose",
            }
        happened |= fresh
        require_each_once(happened)
    went_through(steps, "custody_record_v", "before database: commit")
    drain()
    require_each_once(happened)
    sign_head()
    assert list(faults()) == []


def test_sequencing_goes_on_wherever_it_was_killed() -> None:
    signed_ledger(3)
    events = set(Event.objects.values_list("id", flat=True))
    steps: list[str] = []
    for ended in at_every_step(sequence_once):
        steps = ended.steps
        events |= {happen(), happen()} if not ended.finished else set()
        require_each_once(events)
        size = tree_size()
        drain()
        require_each_once(events)
        assert tree_size() == len(events) >= size
        happen_next = happen()
        events.add(happen_next)  # so that there is work for the next one
    went_through(
        steps, "LOCK TABLE custody_quarantine", "DELETE FROM custody_pending", "INSERT INTO custody_tile", "commit"
    )
    went_through(steps, "copy")
    drain()
    sign_head()
    require_one_history()
    assert list(faults()) == []


def test_signing_goes_on_wherever_it_was_killed_and_signs_no_two_pasts() -> None:
    signed_ledger(3)
    steps: list[str] = []
    for ended in at_every_step(lambda: sign_head(force=True)):
        steps = ended.steps
        promised = state()
        happen()
        drain()
        while sign_head() is not None:
            pass
        assert Checkpoint.objects.get(number=promised["count"]).note == promised["note"]
        assert Checkpoint.objects.order_by("-number")[0].size == tree_size()
        require_one_history()
        happen()
        drain()
    went_through(
        steps,
        "flock in held",
        "fsync in write_durably",
        "in write_durably",
        "fsync in sync_folder",
        "custody_checkpoint",
    )
    went_through(steps, "write in put", "replace in publish_head")
    sign_head()
    assert list(faults()) == []


def test_the_first_head_and_the_first_key_survive_a_kill_at_any_step(tmp_path: Path, settings: Any) -> None:
    for _ in range(2):
        happen()
    drain()
    keys: list[str] = []
    number = 0

    def first() -> None:
        sign_head()

    def anew() -> None:
        nonlocal number
        number += 1
        as_owner("DELETE FROM custody_checkpoint")
        settings.SANAD_SIGNER, settings.SANAD_STATUS = tmp_path / f"signer-{number}", tmp_path / f"status-{number}"

    anew()
    for ended in at_every_step(first):
        promised = state()
        head = sign_head(force=True)
        assert head is not None
        assert promised["note"] in {row.note for row in Checkpoint.objects.all()} | {""}
        require_one_history()
        keys += [path.name for path in Path(settings.SANAD_SIGNER).glob("key-*")]
        assert len(keys) == number, "one ledger has two keys"
        assert list(faults()) == []
        if ended.finished:
            went_through(ended.steps, "in write_durably", "rename in private_key", "custody_checkpoint")
        anew()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk full", "disk fails"])
def test_a_disk_that_fails_at_any_call_costs_a_signature_and_never_the_memory(code: int) -> None:
    signed_ledger(3)
    steps, failed = list[str](), 0
    for ended in at_every_step(lambda: sign_head(force=True), error=OSError(code, "the disk fails")):
        steps = ended.steps
        failed += bool(ended.problem)
        assert not ended.problem or "the disk fails" in ended.problem or MemoryLost.__name__ in ended.problem
        happen()
        drain()
        while sign_head() is not None:
            pass
        require_one_history()
    assert failed >= 10
    went_through(steps, "write in write_durably", "fsync in write_durably")
    assert list(faults()) == []
    assert not list(Path(settings.SANAD_SIGNER).glob(".state.json*")), "half a memory was left behind"


def test_the_exported_ledger_goes_on_wherever_it_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    signed_ledger(255)
    export(folder)
    steps: list[str] = []
    for ended in at_every_step(lambda: export(folder)):
        steps = ended.steps
        head = exported_head(folder)
        assert head is not None
        entries = [bytes(row) for row in Entry.objects.order_by("index").values_list("entry", flat=True)]
        assert list(exported_entries(folder)) == entries[: head.size]
        assert export(folder) == len(entries)
        assert list(exported_entries(folder)) == entries
        signed_ledger(1)
    went_through(steps, "open in _put", "fsync in _put", "fsync in sync_folder", "write in _write_heads", "flock")


def test_a_file_that_is_sent_again_after_a_kill_at_any_step_is_held_once_and_whole() -> None:
    intake = factories.make_intake()
    by = intake.by
    size, keys = 3000, list[UUID]()

    def send(key: UUID) -> str:
        received = blobs.receive([key.bytes * (size // 16)])
        item = uploads.accept(
            by=by, at=timezone.now(), intake=intake, received=received, original_name="a.bin", idempotency_key=key
        )
        return item.accession

    steps: list[str] = []
    keys.append(uuid4())
    for ended in at_every_step(lambda: send(keys[-1])):
        steps, key = ended.steps, keys[-1]
        accession = send(key)
        assert ended.told in ("", accession)
        item = Item.objects.get(idempotency_key=key)
        assert b"".join(blobs.read_blob(item.blob)) == key.bytes * (size // 16)
        about = EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
        assert Event.objects.filter(type=Type.RECEIVE, id__in=about).count() == 1
        assert Link.objects.filter(item=item).count() == 1
        keys.append(uuid4())
    assert Item.objects.count() == len(keys) - 1
    went_through(steps, "fsync", "link", "custody_record_v", "before database: commit")
    drain()
    sign_head()
    assert list(faults()) == []

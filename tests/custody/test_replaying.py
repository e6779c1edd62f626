"""After a restore: what the signer signed stands again from its export, or nothing is changed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from custody.alarm import LedgerBroken
from custody.engine import SYSTEM
from custody.log_files import HEADS, export
from custody.models import Checkpoint, Disclosure, Entry, Event, Pending, Tile
from custody.replaying import NOBODY, Replayed, replay
from custody.sequencer import drain
from custody.signer import SignerRefused, sign_head
from custody.verify import faults
from custody.vocabulary import Type
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db
COMPARED = (Entry, Tile, Checkpoint)


def rows() -> list[list[dict[str, Any]]]:
    """Entries, tiles and checkpoints, without the numbers that the database gives."""
    dropped = {"id"}
    return [
        [
            {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
            for row in (
                {name: value for name, value in found.items() if name not in dropped}
                for found in model._default_manager.order_by("pk").values()
            )
        ]
        for model in COMPARED
    ]


def restored(folder: Path, size: int, *, late: bool = False) -> None:
    """As if an older backup had been put back after an export; with `late`, one with the next event still pending."""
    export(folder)
    newer = 'SELECT event_id FROM custody_entry WHERE "index" >= %s'
    events = f'{newer} AND "index" > {size}' if late else newer
    as_owner(f"DELETE FROM custody_disclosure WHERE event_id IN ({events})", size)
    as_owner(f"DELETE FROM custody_eventsubject WHERE event_id IN ({events})", size)
    as_owner(f"DELETE FROM custody_event WHERE id IN ({events})", size)
    if late:
        as_owner(
            "INSERT INTO custody_pending (event_id, created_at) "
            'SELECT event_id, now() FROM custody_entry WHERE "index" = %s',
            size,
        )
    as_owner('DELETE FROM custody_entry WHERE "index" >= %s', size)
    as_owner("UPDATE custody_tile SET hashes = substr(hashes, 1, %s * 32)", size)
    as_owner("DELETE FROM custody_checkpoint WHERE size > %s", size)


def replayed(folder: Path) -> Replayed:
    return replay(folder, by=SYSTEM, at=datetime.now(UTC))


def test_what_was_signed_stands_again_to_the_byte_and_the_signer_goes_on(tmp_path: Path) -> None:
    for count in (3, 2, 4):
        signed_ledger(count)
    before = rows()
    restored(tmp_path, 3)
    with pytest.raises(SignerRefused, match="went backwards"):
        sign_head()
    done = replayed(tmp_path)
    assert (done.start, done.stop, done.checkpoints, sum(done.lost.values())) == (3, 9, 2, 6)
    assert rows() == before
    assert Event.objects.filter(agent_id=NOBODY).count() == 6
    drain()
    head = sign_head()
    assert head is not None
    assert (head.size, head.number) == (10, 4)
    assert done.event_id is not None
    assert Event.objects.get(pk=done.event_id).type == Type.REPLAY
    assert export(tmp_path) == 10


def test_every_lost_value_is_told_and_nothing_else(tmp_path: Path) -> None:
    signed_ledger(3)
    signed_ledger(1)
    values = Disclosure.objects.count()
    restored(tmp_path, 3)
    lost = values - Disclosure.objects.count()
    replayed(tmp_path)
    drain()
    sign_head()
    found = list(faults())
    assert {fault.where for fault in found} == {"entry 3"}
    assert [fault.what.endswith("is missing") for fault in found] == [True] * lost


def test_an_event_that_was_pending_in_the_backup_gets_its_place_and_loses_nothing(tmp_path: Path) -> None:
    signed_ledger(3)
    signed_ledger(2)
    restored(tmp_path, 3, late=True)
    done = replayed(tmp_path)
    assert (done.stop, sum(done.lost.values())) == (5, 1)
    assert list(Pending.objects.values_list("event_id", flat=True)) == [done.event_id]


def test_what_happened_in_the_restored_database_before_the_replay_is_another_past(tmp_path: Path) -> None:
    signed_ledger(3)
    signed_ledger(2)
    restored(tmp_path, 3)
    happen()
    drain()
    before = rows()
    with pytest.raises(LedgerBroken, match="stored entry 3 is not the exported one"):
        replayed(tmp_path)
    assert rows() == before


def test_nothing_is_replayed_where_nothing_is_missing(tmp_path: Path) -> None:
    signed_ledger(3)
    export(tmp_path)
    assert replayed(tmp_path).event_id is None
    assert not Pending.objects.exists()


@pytest.mark.parametrize("changed", ["note", "chain", "signed_at", "missing", "cut", "no file"])
def test_an_export_whose_heads_do_not_hold_changes_nothing(tmp_path: Path, changed: str) -> None:
    for _ in range(3):
        signed_ledger(2)
    restored(tmp_path, 2)
    path = tmp_path / HEADS
    lines = path.read_text().splitlines()
    second = json.loads(lines[1])
    if changed == "missing":
        del lines[1]
    elif changed == "cut":
        lines.pop()
    else:
        other = {
            "note": second["note"].replace("\n4\n", "\n5\n"),
            "chain": "00" * 32,
            "signed_at": "2025-01-01T00:00:00+00:00",
        }
        lines[1] = json.dumps(second | ({changed: other[changed]} if changed in other else {}))
    path.write_text("\n".join(lines) + "\n")
    if changed == "no file":
        path.unlink()
    before = rows()
    with pytest.raises(CommandError):
        call_command("replay_ledger", tmp_path)
    assert rows() == before
    assert not Event.objects.filter(type=Type.REPLAY).exists()


def test_a_line_of_the_heads_that_a_kill_cut_short_is_written_anew(tmp_path: Path) -> None:
    signed_ledger(2)
    export(tmp_path)
    whole = (tmp_path / HEADS).read_bytes()
    (tmp_path / HEADS).write_bytes(whole + whole[:50])
    signed_ledger(1)
    export(tmp_path)
    found = [json.loads(line) for line in (tmp_path / HEADS).read_text().splitlines()]
    assert [row["number"] for row in found] == [1, 2]

"""`manage.py signer` as a process: killed, doubled, deceived; loud, and never signing two pasts."""

import errno
import json
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from custody import keys
from custody.alarm import EXIT_CODES, SCRUB, SIGNER, Kind, alarm_of
from custody.models import Checkpoint, Entry
from custody.scrub import last_result
from custody.sequencer import drain, tree_size
from custody.verify import faults
from tests.custody.ledgers import as_owner, happen, signed_ledger
from tests.custody.processes import all_signed, running, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "signer-under-test"


def critical(log: Path) -> list[str]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line["level"] == "critical"]


def test_an_event_is_under_a_signed_head_within_two_seconds_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log, "sequencer"), running(log, "signer") as process:
        happen()
        wait_for(all_signed, log)
        took = []
        for _ in range(3):
            happen()
            began = time.monotonic()
            wait_for(all_signed, log, 10)
            took.append(time.monotonic() - began)
        assert sorted(took)[1] < 2
        wait_for(lambda: last_result() is not None, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert list(faults()) == []
    assert alarm_of(SIGNER) is None


def test_killed_at_random_moments_under_load_it_leaves_one_consistent_chain_of_heads(tmp_path: Path) -> None:
    log = tmp_path / "log"
    recorded: list[Any] = []
    done = threading.Event()
    moments = random.Random(20250307)

    def write() -> None:
        while not done.is_set():
            recorded.append(happen(fields={"purpose": "load"}))
            done.wait(0.01)
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in writers:
        thread.start()
    try:
        with running(log, "sequencer"):
            for _ in range(6):
                before = Checkpoint.objects.count()
                with running(log, "signer") as process:
                    wait_for(lambda before=before: Checkpoint.objects.count() > before, log)  # type: ignore[misc]
                    time.sleep(moments.uniform(0, 1.2))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            done.set()
            for thread in writers:
                thread.join()
            with running(log, "signer"):
                wait_for(all_signed, log)
    finally:
        done.set()
    assert tree_size() == len(recorded)
    numbers = list(Checkpoint.objects.order_by("number").values_list("number", "size"))
    assert [number for number, _ in numbers] == list(range(1, len(numbers) + 1))
    assert [size for _, size in numbers] == sorted(size for _, size in numbers)
    assert list(faults()) == []


def test_two_at_once_take_turns_and_sign_one_chain(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log, "signer") as one, running(log, "signer") as other:
        for _ in range(4):
            happen()
            drain()
            wait_for(all_signed, log)
            time.sleep(0.5)
        assert (one.poll(), other.poll()) == (None, None)
    assert list(faults()) == []


def test_it_outlives_the_loss_of_its_database_connections(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log, "signer", name=NAME) as process:
        wait_for(all_signed, log)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [NAME])
            assert cursor.fetchall()
        happen()
        drain()
        wait_for(all_signed, log)
        assert process.poll() is None


def put_back() -> None:
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    as_owner("DELETE FROM custody_checkpoint WHERE size > 3")


def forget() -> None:
    shutil.rmtree(settings.SANAD_SIGNER)
    settings.SANAD_SIGNER.mkdir(mode=0o700)


def flip_a_bit() -> None:
    as_owner('UPDATE custody_entry SET entry = set_bit(entry, 9, 1 - get_bit(entry, 9)) WHERE "index" = 1')


def take_an_entry() -> None:
    as_owner('DELETE FROM custody_entry WHERE "index" = 1')


def set_the_clock() -> None:
    path = settings.SANAD_SIGNER / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"signed_at": "2099-01-01T00:00:00.000000+00:00", "boot": "another"}))


@pytest.mark.parametrize(
    ("attack", "kind", "source", "where"),
    [
        (put_back, Kind.WENT_BACKWARDS, SIGNER, "entries 3 to 4"),
        (forget, Kind.MEMORY_LOST, SIGNER, "signer"),
        (flip_a_bit, Kind.DAMAGED, SCRUB, "entry 1"),
        (take_an_entry, Kind.MISSING, SCRUB, "entry 1"),
        (set_the_clock, Kind.CLOCK, SIGNER, "clock"),
    ],
)
def test_what_it_refuses_is_in_the_exit_code_the_log_and_the_alarm_and_stays_refused(
    attack: Callable[[], None], kind: Kind, source: str, where: str, tmp_path: Path
) -> None:
    signed_ledger(3)
    signed_ledger(2)
    attack()
    before = Checkpoint.objects.count()
    for round_ in range(2):
        log = tmp_path / f"log-{round_}"
        with running(log, "signer") as process:
            assert process.wait(60) == EXIT_CODES[kind]
        assert len(critical(log)) == 1
        assert critical(log)[0].startswith(f"nothing is signed: {kind.value}: ")
        standing = alarm_of(source)
        assert standing is not None
        assert (standing.kind, standing.where) == (kind, where)
    if kind in (Kind.WENT_BACKWARDS, Kind.MEMORY_LOST, Kind.CLOCK):
        assert Checkpoint.objects.count() == before


def test_a_full_disk_is_said_costs_the_signature_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    signed_ledger(3)
    happen()
    drain()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keys, "write_durably", full)
    with pytest.raises(CommandError, match="No space left on device") as ended:
        call_command("signer", once=True)
    monkeypatch.undo()
    assert ended.value.returncode == 74
    assert Checkpoint.objects.count() == 1
    assert alarm_of(SIGNER) is None, "a full disk was taken for an attack"
    call_command("signer", once=True)
    assert all_signed()


def test_a_repaired_ledger_is_signed_again_without_further_ado(tmp_path: Path) -> None:
    signed_ledger(3)
    kept = bytes(Entry.objects.get(index=1).entry)
    flip_a_bit()
    log = tmp_path / "log"
    with running(log, "signer") as process:
        assert process.wait(60) == EXIT_CODES[Kind.DAMAGED]
    as_owner('UPDATE custody_entry SET entry = %s WHERE "index" = 1', kept)
    happen()
    drain()
    with running(log, "signer"):
        wait_for(all_signed, log)
    assert alarm_of(SIGNER) is None
    assert alarm_of(SCRUB) is None
    call_command("signer", once=True)

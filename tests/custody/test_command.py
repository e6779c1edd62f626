"""`manage.py sequencer`: at work until told to stop, through outages and kills, and loud about a broken ledger."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from custody.alarm import EXIT_CODES, SCRUB, SEQUENCER, Kind, alarm_of, clear_alarm, raise_alarm
from custody.models import Entry, Pending
from custody.sequencer import tree_size
from custody.verify import faults
from tests.custody.ledgers import as_owner, happen, signed_ledger
from tests.custody.processes import running, wait_for

NAME = "sequencer-under-test"


def all_placed() -> bool:
    return not Pending.objects.exists()


@pytest.mark.django_db
def test_once_gives_every_event_its_place() -> None:
    happen()
    happen()
    call_command("sequencer", once=True)
    assert tree_size() == 2
    assert all_placed()


@pytest.mark.django_db
def test_a_ledger_that_cannot_be_continued_raises_the_alarm_with_the_exit_code_of_its_kind() -> None:
    signed_ledger(3)
    as_owner("UPDATE custody_tile SET hashes = substr(hashes, 1, 32)")
    happen()
    with pytest.raises(CommandError) as refused:
        call_command("sequencer", once=True)
    assert refused.value.returncode == EXIT_CODES[Kind.DAMAGED] == 13
    assert Pending.objects.count() == 1
    standing = alarm_of(SEQUENCER)
    assert standing is not None
    assert (standing.kind, standing.where) == (Kind.DAMAGED, "tiles")


@pytest.mark.django_db(transaction=True)
def test_nothing_is_appended_to_a_tree_that_is_not_what_was_signed_until_that_is_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    raise_alarm("entry 1 is missing", kind=Kind.MISSING, source=SCRUB)
    happen()
    with running(log, "sequencer") as process:
        wait_for(lambda: "nothing is appended" in log.read_text(), log)
        time.sleep(2)
        assert Pending.objects.count() == 1
        clear_alarm(SCRUB)
        wait_for(all_placed, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.django_db(transaction=True)
def test_an_alarm_about_a_value_or_a_clock_holds_nothing_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    raise_alarm("the clock was set", kind=Kind.CLOCK)
    raise_alarm("entry 1: its value of note is missing", kind=Kind.VALUES, source=SCRUB)
    happen()
    with running(log, "sequencer"):
        wait_for(all_placed, log)


@pytest.mark.django_db(transaction=True)
def test_an_event_has_its_place_within_a_second_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    log = tmp_path / "log"
    happen()
    with running(log, "sequencer") as process:
        wait_for(all_placed, log)
        happen()
        began = time.monotonic()
        wait_for(all_placed, log, 5)
        assert time.monotonic() - began < 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.django_db(transaction=True)
def test_it_outlives_the_loss_of_its_database_connection(tmp_path: Path) -> None:
    log = tmp_path / "log"
    happen()
    with running(log, "sequencer", name=NAME) as process:
        wait_for(all_placed, log)
        for round_ in range(2):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [NAME]
                )
                assert cursor.fetchall()
            happen()
            wait_for(all_placed, log)
            assert tree_size() == round_ + 2
        assert process.poll() is None
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any("the database is away" in line["message"] for line in lines)


@pytest.mark.django_db(transaction=True)
def test_killed_again_and_again_under_load_it_gives_every_event_one_place(tmp_path: Path) -> None:
    log = tmp_path / "log"
    recorded: list[Any] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            recorded.append(happen(fields={"purpose": "load"}))
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for thread in writers:
        thread.start()
    try:
        for _ in range(3):
            before = tree_size()
            with running(log, "sequencer") as process:
                wait_for(lambda before=before: tree_size() > before + 20, log)  # type: ignore[misc]
                process.send_signal(signal.SIGKILL)
                process.wait()
    finally:
        done.set()
        for thread in writers:
            thread.join()
    call_command("sequencer", once=True)
    call_command("signer", once=True)
    rows = list(Entry.objects.order_by("index").values_list("index", "event_id"))
    assert [index for index, _ in rows] == list(range(len(recorded)))
    assert {event_id for _, event_id in rows} == set(recorded)
    assert list(faults()) == []


@pytest.mark.django_db(transaction=True)
def test_as_a_process_it_ends_with_the_code_and_one_line_that_says_where_the_ledger_broke(tmp_path: Path) -> None:
    log = tmp_path / "log"
    signed_ledger(3)
    as_owner("UPDATE custody_tile SET hashes = substr(hashes, 1, 32)")
    happen()
    with running(log, "sequencer") as process:
        assert process.wait(60) == EXIT_CODES[Kind.DAMAGED] == 13
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (told,) = [line["message"] for line in said if line["level"] == "critical"]
    assert told.startswith("the ledger cannot be continued: damaged: the tree cannot grow: tile 0/0")


@pytest.mark.django_db(transaction=True)
def test_as_a_process_it_goes_on_past_a_row_that_is_none_and_keeps_its_alarm(tmp_path: Path) -> None:
    log = tmp_path / "log"
    event_id = happen()
    as_owner("DELETE FROM custody_event WHERE id = %s", event_id)
    happen()
    with running(log, "sequencer") as process:
        wait_for(lambda: tree_size() == 1 and alarm_of(SEQUENCER) is not None, log)
        assert process.poll() is None
    alarm = alarm_of(SEQUENCER)
    assert alarm is not None
    assert (alarm.kind, alarm.where) == (Kind.QUARANTINED, f"event {event_id}")

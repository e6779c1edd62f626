"""`manage.py sequencer`: at work until told to stop, through outages and kills, and loud about a changed ledger."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from custody.alarm import alarm, clear_alarm, raise_alarm
from custody.management.commands.sequencer import ALARMED
from custody.models import Checkpoint, Entry, Pending
from custody.proof import newest_checkpoint
from custody.sequencer import tree_size
from custody.verify import faults
from tests.custody.ledgers import as_owner, happen, signed_ledger

NAME = "sequencer-under-test"


@pytest.fixture(autouse=True)
def _no_alarm_left() -> Iterator[None]:
    yield
    clear_alarm()


@contextmanager
def sequencer(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own on this test's database."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@{quote(str(database['HOST']), safe='')}/{database['NAME']}"
    environ = os.environ | {"ARCHIVE_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "sequencer"],
            cwd=settings.BASE_DIR,
            env=environ | {"PGAPPNAME": NAME},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def all_signed() -> bool:
    head = newest_checkpoint()
    return not Pending.objects.exists() and head is not None and head.size == tree_size()


@pytest.mark.django_db
def test_once_gives_every_event_its_place_and_signs() -> None:
    happen()
    happen()
    call_command("sequencer", once=True)
    assert tree_size() == 2
    assert Checkpoint.objects.latest("pk").size == 2


@pytest.mark.django_db
def test_a_changed_ledger_gets_nothing_appended_and_raises_the_alarm_with_exit_code_3() -> None:
    signed_ledger(3)
    as_owner('DELETE FROM custody_entry WHERE "index" = 1')
    happen()
    with pytest.raises(CommandError) as refused:
        call_command("sequencer", once=True)
    assert refused.value.returncode == ALARMED == 3
    assert Pending.objects.count() == 1
    standing = alarm()
    assert standing is not None
    assert standing.what == "entry 1 is missing from the ledger"


@pytest.mark.django_db
def test_the_alarm_keeps_its_first_time_and_ends_with_the_next_good_signature() -> None:
    raise_alarm("something is wrong")
    first = alarm()
    raise_alarm("something is wrong")
    assert alarm() == first
    call_command("sequencer", once=True)
    assert alarm() is None


def test_a_damaged_alarm_file_is_an_alarm() -> None:
    (Path(settings.SANAD_KEYS) / "ledger-alarm.json").write_text("{")
    standing = alarm()
    assert standing is not None
    assert "cannot be read" in standing.what


@pytest.mark.django_db(transaction=True)
def test_an_event_is_under_a_signed_head_within_seconds_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with sequencer(log) as process:
        wait_for(all_signed, log)
        happen()
        began = time.monotonic()
        wait_for(all_signed, log, 5)
        assert tree_size() == 1
        assert time.monotonic() - began < 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert list(faults()) == []


@pytest.mark.django_db(transaction=True)
def test_it_outlives_the_loss_of_its_database_connection(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with sequencer(log) as process:
        wait_for(all_signed, log)
        for round_ in range(2):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [NAME]
                )
                assert cursor.fetchall()
            happen()
            wait_for(all_signed, log)
            assert tree_size() == round_ + 1
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
            with sequencer(log) as process:
                wait_for(lambda before=before: tree_size() > before + 20, log)  # type: ignore[misc]
                process.send_signal(signal.SIGKILL)
                process.wait()
    finally:
        done.set()
        for thread in writers:
            thread.join()
    call_command("sequencer", once=True)
    rows = list(Entry.objects.order_by("index").values_list("index", "event_id"))
    assert [index for index, _ in rows] == list(range(len(recorded)))
    assert {event_id for _, event_id in rows} == set(recorded)
    assert list(faults()) == []


@pytest.mark.django_db(transaction=True)
def test_as_a_process_it_ends_with_code_3_and_one_line_that_says_where_the_ledger_broke(tmp_path: Path) -> None:
    log = tmp_path / "log"
    signed_ledger(3)
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 0""")
    with sequencer(log) as process:
        assert process.wait(60) == ALARMED
    said = log.read_text()
    assert "the first 3 entries are not those that were signed" in said
    assert any('"critical"' in line and '"custody.sequencer"' in line for line in said.splitlines())
    assert alarm() is not None

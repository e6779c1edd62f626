"""`manage.py sequencer`: gives events their place in the ledger and signs its heads, until told to stop."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connection

from custody.alarm import clear_alarm, raise_alarm
from custody.sequencer import LedgerBroken, drain, sequence_once
from custody.signer import sign_head

log = logging.getLogger("custody.sequencer")
CADENCE = 1.0  # seconds between signatures, so that their times do not tell who was busy
LOOK = 0.05  # seconds between two looks for events that wait: a notice from the database would slow every commit
REDERIVE = 24 * 3600.0  # seconds after which every stored entry is hashed again
BACK_OFF = (0.5, 30.0)  # seconds, the first and the longest wait for a database that is away
ALARMED = 3  # the exit code when the stored ledger is not what was signed

_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, which end it within about a second with exit code 0.

    1. It begins by hashing every stored entry: nothing is appended to a ledger that is not what was signed.
    2. A database that is away is waited for, with growing pauses; its return resumes where the tables stand.
    3. A ledger that was changed raises the alarm (custody.alarm), one line in the log, and exit code 3.
    """

    help = "Sequence committed custody events and sign checkpoints."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="sequence what is pending, sign, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopping = threading.Event()
        try:
            if options["once"]:
                self._begin()
                return
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stopping.set())
            self._persist(self._work)
        except LedgerBroken as broken:
            raise_alarm(str(broken))
            log.critical("the ledger is not what was signed: %s", broken)
            raise CommandError(f"The ledger is not what was signed: {broken}", returncode=ALARMED) from broken

    def _persist(self, work: Callable[[], None]) -> None:
        """Do the work until told to stop, again after each outage of the database."""
        wait, longest = BACK_OFF
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                work()
            except _AWAY:
                connection.close()
                if time.monotonic() - began > longest:
                    wait = BACK_OFF[0]
                log.warning("the database is away; trying again in %.1f s", wait)
                self.stopping.wait(wait)
                wait = min(wait * 2, longest)

    def _begin(self) -> None:
        sign_head(rederive=True)
        drain()
        sign_head()
        clear_alarm()

    def _work(self) -> None:
        self._begin()
        log.info("the sequencer is at work")
        rederived = next_signature = time.monotonic()
        while not self.stopping.is_set():
            now = time.monotonic()
            if now >= next_signature:
                rederive = now - rederived > REDERIVE
                sign_head(rederive=rederive)
                rederived = now if rederive else rederived
                next_signature = now + CADENCE
            self.stopping.wait(min(LOOK, max(0.0, next_signature - time.monotonic())))
            while sequence_once() and time.monotonic() < next_signature:
                pass

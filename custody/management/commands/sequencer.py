"""`manage.py sequencer`: gives committed events their place in the ledger, until told to stop."""

import logging
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.admission import sound_alarm
from custody.alarm import EXIT_CODES, OF_THE_TREE, SEQUENCER, Kind, LedgerBroken, alarms, raise_for
from custody.outages import persist
from custody.sequencer import drain, sequence_once

log = logging.getLogger("custody.sequencer")
LOOK_EVERY = 0.05  # seconds between two looks at the queue: a notice from the database would slow every commit
TOLD_EVERY = 1.0  # seconds between two looks at the quarantine
HELD_UP = 1.0  # seconds between two looks at an alarm that stands


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, which end it within about a second with exit code 0.

    1. A database that is away is waited for, with growing pauses; its return resumes where the tables stand.
    2. While an alarm says that the tree is not what was signed, nothing is appended to it; what happens waits.
    3. An event that is not one this archive recorded waits in quarantine, which is an alarm; the others go on.
    4. A ledger that cannot be continued raises the alarm, one line in the log, and the exit code of its kind.
    """

    help = "Give committed custody events their place in the ledger."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="sequence what is pending, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopping = threading.Event()
        try:
            if options["once"]:
                drain()
                if sound_alarm():
                    raise CommandError(
                        "Events are kept out of the ledger; see the log and docs/howto/ledger-keys.md.",
                        returncode=EXIT_CODES[Kind.QUARANTINED],
                    )
                return
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stopping.set())
            persist(self._work, self.stopping, log)
        except LedgerBroken as broken:
            raise_for(broken, SEQUENCER)
            log.critical("the ledger cannot be continued: %s", broken.sentence())
            raise CommandError(f"The ledger cannot be continued: {broken}", returncode=broken.exit_code) from broken

    def _work(self) -> None:
        log.info("the sequencer is at work")
        held_up, told = False, 0.0
        while not self.stopping.is_set():
            if self._is_held_up():
                if not held_up:
                    log.error("nothing is appended while the ledger is not what was signed")
                held_up = True
                self.stopping.wait(HELD_UP)
                continue
            held_up = False
            while sequence_once() and not self.stopping.is_set():
                pass
            if time.monotonic() - told > TOLD_EVERY:
                sound_alarm()
                told = time.monotonic()
            self.stopping.wait(LOOK_EVERY)

    @staticmethod
    def _is_held_up() -> bool:
        return any(alarm.source != SEQUENCER and alarm.kind in OF_THE_TREE for alarm in alarms())

"""`manage.py signer`: signs the heads of the ledger and scrubs it, until told to stop."""

import logging
import signal
import threading
import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from custody import keys, scrub, signer_state
from custody.alarm import SIGNER, LedgerBroken, clear_alarm, raise_for
from custody.keys import KeyAway, KeyProblem
from custody.outages import persist
from custody.signer import accept_clock, sign_head

log = logging.getLogger("custody.signer")
CADENCE = 1.0  # seconds between two looks at the ledger
AWAY = 60.0  # and before the values are compared again when their key cannot be used
EX_IOERR, EX_CONFIG = 74, 78


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, which end it within about a second with exit code 0.

    1. A database that is away is waited for, with growing pauses.
    2. A ledger that is not what was signed, a memory that is lost or a clock that was set raises the alarm
       (custody.alarm), one line in the log, and ends it with the exit code of its kind: 10 to 17, 3 for any other.
    3. A disk that is full or fails costs signatures, not the memory: one line in the log, exit code 74, and whoever
       supervises it starts it again.
    4. The scrub works beside the signatures. After one that found the tree wrong, a whole one comes before the next
       signature.
    """

    help = "Sign the heads of the ledger and scrub it."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="scrub the whole ledger, sign its head, and stop")
        parser.add_argument(
            "--accept-clock", action="store_true", help="say that the clock, which was set, is right now; and stop"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopping = threading.Event()
        self.broken: BaseException | None = None
        try:
            if options["accept_clock"]:
                accept_clock()
            elif options["once"]:
                scrub.scrub()
                if keys.opens_values():
                    scrub.scrub_values()
                sign_head()
                clear_alarm(SIGNER)
            else:
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, lambda *_: self.stopping.set())
                self._run()
        except LedgerBroken as broken:
            raise_for(broken, SIGNER)
            log.critical("nothing is signed: %s", broken.sentence())
            raise CommandError(f"Nothing is signed. {broken.sentence()}", returncode=broken.exit_code) from broken
        except KeyProblem as problem:
            log.critical("nothing is signed: %s", problem)
            raise CommandError(f"Nothing is signed: {problem}", returncode=EX_CONFIG) from problem
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            log.critical("nothing is signed: the signer's disk: %s", why)
            raise CommandError(f"Nothing is signed: the signer's disk: {why}", returncode=EX_IOERR) from problem

    def _run(self) -> None:
        scrubber = threading.Thread(target=self._scrub, name="scrub", daemon=True)
        try:
            persist(self._begin, self.stopping, log)
            if not self.stopping.is_set():
                scrubber.start()
            persist(self._sign, self.stopping, log)
        finally:
            self.stopping.set()
            if scrubber.is_alive():
                scrubber.join(5)
        if self.broken is not None:
            raise self.broken

    def _begin(self) -> None:
        """A tree found wrong before is looked at whole, at full speed, before anything is signed."""
        if signer_state.distrusted() is not None:
            scrub.scrub()
        sign_head()
        log.info("the signer is at work")

    def _sign(self) -> None:
        due = time.monotonic()
        while not self.stopping.is_set():
            sign_head()
            clear_alarm(SIGNER)
            due = max(due + CADENCE, time.monotonic())
            self.stopping.wait(due - time.monotonic())

    def _scrub(self) -> None:
        """In a thread and with a connection of its own, a quarter of the time."""

        def work() -> None:
            while not self.stopping.is_set():
                pause = CADENCE
                try:
                    if scrub.due(datetime.now(UTC)):
                        scrub.scrub(pause=self._rest)
                    elif scrub.due(datetime.now(UTC), scrub.VALUES):
                        scrub.scrub_values(pause=self._step_aside)
                except scrub.Stopped:
                    pass
                except KeyAway as problem:  # an outage, of which nothing is concluded; the pass goes on later
                    log.warning("the values were not compared: %s", problem)
                    pause = AWAY
                connection.close()
                self.stopping.wait(pause)

        try:
            persist(work, self.stopping, log)
        except BaseException as problem:
            self.broken = problem
            self.stopping.set()
        finally:
            connection.close()

    def _rest(self, seconds: float) -> None:
        if self.stopping.wait(seconds * (1 - scrub.SHARE) / scrub.SHARE):
            raise scrub.Stopped

    def _step_aside(self, seconds: float) -> None:
        self._rest(seconds)
        if scrub.due(datetime.now(UTC)):
            raise scrub.Stopped

"""`manage.py export_log DIR`: the signed ledger as files (C2SP tlog-tiles); with --follow, as it grows."""

import logging
import signal
import threading
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connection

from custody.alarm import EXPORT, LedgerBroken, alarm_of, clear_alarm, raise_for
from custody.log_files import export

log = logging.getLogger("custody.export_log")
CADENCE = 1.0  # seconds between two looks for a newer signed head
AGAIN = 10.0  # seconds after a database or a disk that was away


class Command(BaseCommand):
    """What is stored, signed and exported not agreeing raises the alarm, until an export to that folder succeeds."""

    help = "Export the signed ledger as files that any C2SP tlog-tiles reader can check."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "folder",
            type=Path,
            metavar="DIR",
            nargs="?",
            default=settings.SANAD_LEDGER,
            help="default: the data folder's",
        )
        parser.add_argument("--follow", action="store_true", help="go on as heads are signed, until told to stop")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            if options["follow"]:
                self._follow(folder)
            else:
                size = export(folder)
                _all_well(folder)
                self.stdout.write(f"{size} entries in {folder}")
        except LedgerBroken as broken:
            broken.where = broken.where or str(folder)
            raise_for(broken, EXPORT)
            log.critical("the ledger is not exported: %s", broken.sentence())
            raise CommandError(f"The ledger is not exported: {broken}", returncode=broken.exit_code) from broken
        except OSError as problem:
            raise CommandError(f"{folder} cannot be written: {problem.strerror or problem}.") from problem

    def _follow(self, folder: Path) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        while not stopping.is_set():
            wait = CADENCE
            try:
                export(folder)
                _all_well(folder)
            except (OperationalError, InterfaceError, psycopg.OperationalError):
                connection.close()
                log.warning("the database is away; exporting again in %.0f s", AGAIN)
                wait = AGAIN
            except OSError as problem:
                log.error("%s cannot be written (%s); exporting again in %.0f s", folder, problem.strerror, AGAIN)
                wait = AGAIN
            stopping.wait(wait)


def _all_well(folder: Path) -> None:
    """Another folder's export takes no alarm back."""
    standing = alarm_of(EXPORT)
    if standing is not None and standing.where in ("", str(folder)):
        clear_alarm(EXPORT)

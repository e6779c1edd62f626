"""`manage.py sequencer`: gives events their place in the ledger and signs its heads, until told to stop."""

import logging
import signal
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from custody.sequencer import drain
from custody.signer import SignerRefused, sign_head

log = logging.getLogger("sanad.sequencer")
CADENCE = 1.0  # seconds between looks when no notice arrives


class Command(BaseCommand):
    help = "Sequence committed custody events and sign checkpoints."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="sequence what is pending, sign, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = False

        def stop(*_: Any) -> None:
            nonlocal stopping
            stopping = True

        if not options["once"]:
            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
        try:
            drain()
            sign_head(rederive=True)
            if options["once"]:
                return
            with connection.cursor() as cursor:
                cursor.execute("LISTEN custody_pending")
            while not stopping:
                for _ in self._notices():
                    break
                drain()
                sign_head()
        except SignerRefused as refused:
            log.critical("signer refused: %s", refused)
            raise CommandError(f"The signer refuses to sign: {refused}", returncode=3) from refused

    @staticmethod
    def _notices() -> Any:
        raw: psycopg.Connection[Any] = connection.connection
        return raw.notifies(timeout=CADENCE, stop_after=1)

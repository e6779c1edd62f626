"""Working through outages of the database, for the processes of the ledger that run by themselves."""

import logging
import threading
import time
from collections.abc import Callable

import psycopg
from django.db import InterfaceError, OperationalError, connection

BACK_OFF = (0.25, 4.0)  # seconds, the first and the longest wait for a database that is away
AWAY = (OperationalError, InterfaceError, psycopg.OperationalError)


def persist(work: Callable[[], None], stopping: threading.Event, log: logging.Logger) -> None:
    """Do the work to its end, or until told to stop, again after each outage of the database, with growing pauses."""
    wait, longest = BACK_OFF
    while not stopping.is_set():
        began = time.monotonic()
        try:
            work()
            return
        except AWAY:
            connection.close()
            if time.monotonic() - began > longest:
                wait = BACK_OFF[0]
            log.warning("the database is away; trying again in %.1f s", wait)
            stopping.wait(wait)
            wait = min(wait * 2, longest)

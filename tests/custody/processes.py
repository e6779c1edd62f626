"""The commands of the ledger as processes of their own, on the database of a test."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from custody.models import Pending
from custody.proof import newest_checkpoint
from custody.sequencer import tree_size


@contextmanager
def running(log: Path, *command: str, name: str = "", **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py COMMAND`, which calls itself `name` to the database; killed at the end if it is still there."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@{quote(str(database['HOST']), safe='')}/{database['NAME']}"
    ours = {"ARCHIVE_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=os.environ | ours | {"PGAPPNAME": name or command[0]} | environ,
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], log: Path, seconds: float = 30) -> None:
    """Until it holds; what was logged says why it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def all_signed() -> bool:
    head = newest_checkpoint()
    return not Pending.objects.exists() and head is not None and head.size == tree_size()

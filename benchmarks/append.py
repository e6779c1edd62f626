"""Events a second: acts recorded by many writers while the sequencer drains, against plain rows by the same writers.

    python benchmarks/append.py [--writers 8] [--seconds 5]

Runs on a throw-away embedded cluster with durable commits. The peer inserts one row of the same bytes in a transaction
of its own: what the database alone can do. Printed: both rates, their ratio, and how fast a full queue drains.
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="sanad-bench-"))
    home.chmod(0o711)
    from archive import data_folder, postgres

    data_folder.prepare(home / "data")
    cluster = postgres.Cluster(home / "data")
    cluster.start()
    try:
        os.environ |= {"SANAD_DATA": str(home / "data"), "SANAD_INSECURE_HTTP": "1", "SANAD_LOG_LEVEL": "ERROR"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "archive.settings"
        measure(options.writers, options.seconds)
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def measure(writers: int, seconds: float) -> None:
    import django

    django.setup()
    from uuid import uuid4

    from django.core.management import call_command
    from django.db import connection, transaction
    from django.utils import timezone

    from custody.engine import SYSTEM, Subject, acting, record
    from custody.models import Event, Pending
    from custody.sequencer import drain, sequence_once, tree_size
    from custody.vocabulary import Type

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE plain (id uuid PRIMARY KEY, entry bytea NOT NULL)")
    subjects = [uuid4() for _ in range(64)]

    def act() -> None:
        with acting():
            subject = Subject("item", subjects[hash(threading.get_ident()) % 64])
            record(Type.VIEW, by=SYSTEM, at=timezone.now(), subjects=[subject], fields={"purpose": "benchmark"})

    act()
    sample = bytes(Event.objects.values_list("entry", flat=True).first() or b"")

    def plain() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO plain (id, entry) VALUES (%s, %s)", [uuid4(), sample])

    peer = rate(plain, writers, seconds)
    stop = threading.Event()

    def sequence() -> None:
        while not stop.is_set():
            if not sequence_once():
                stop.wait(0.05)
        connection.close()

    sequencer = threading.Thread(target=sequence)
    sequencer.start()
    ours = rate(act, writers, seconds)
    stop.set()
    sequencer.join()
    waiting = Pending.objects.count()
    drain()
    rate(act, writers, seconds)
    queue, began = Pending.objects.count(), time.perf_counter()
    drain()
    drained = queue / (time.perf_counter() - began)
    assert not Pending.objects.exists()
    print(f"{writers} writers, {seconds:g} s each, {os.cpu_count()} cores; the tree has {tree_size()} entries")
    print(f"plain INSERT, one row a transaction: {peer:9.0f} /s")
    print(
        f"recorded acts while sequencing:      {ours:9.0f} /s   {ours / peer:.2f} of the peer, {waiting} left waiting"
    )
    print(f"sequencer alone, a queue of {queue}:   {drained:9.0f} /s")


def rate(work: Callable[[], None], writers: int, seconds: float) -> float:
    """How often a second the writers together do the work."""
    from django.db import connection

    counts = [0] * writers
    begin = threading.Barrier(writers + 1)

    def write(number: int) -> None:
        begin.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            work()
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(writers)]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

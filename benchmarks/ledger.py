"""What the ledger costs and how fast it is: acts, bulk, the way to a signature, proofs, scrubs; against named peers.

    python benchmarks/ledger.py [--seconds 8] [--writers 1 4 16] [--size 1000000] [--only acts bulk proofs ...]

Runs on a throw-away embedded cluster with durable commits, on the disk of --folder, in the roles the archive has.
Printed are the machine's limits, our rates, those of the peers in the same run, and the ratios.
"""

import argparse
import bisect
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.offline import go_command, offline  # noqa: E402

PARTS = ("acts", "bulk", "proofs", "offline", "scrub")
SMALL = 100_000  # entries of the smaller tree
PROOFS = 2000
SCRUBBED = 10_000  # entries of the scrubs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement of acts")
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, default=1_000_000, help="entries of the larger tree")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if "offline" in options.only:
        offline(options.size, options.folder)
    if set(options.only) == {"offline"}:
        return
    with archive(options.folder) as home:
        _machine(home)
        if "acts" in options.only:
            acts(options.writers, options.seconds)
        if "scrub" in options.only:
            scrubs(SCRUBBED)
        if "bulk" in options.only:
            bulk(SMALL)
        if "proofs" in options.only:
            proofs([SMALL, options.size])


@contextmanager
def archive(folder: Path) -> Iterator[Path]:
    """A migrated archive of its own; Django is set up as its owner in this process, as web in the writers."""
    home = Path(tempfile.mkdtemp(prefix="sanad-bench-", dir=folder))
    home.chmod(0o711)
    from archive import data_folder, postgres

    data_folder.prepare(home / "data")
    cluster = postgres.Cluster(home / "data")
    cluster.start()
    os.environ |= {"SANAD_DATA": str(home / "data"), "SANAD_INSECURE_HTTP": "1", "SANAD_LOG_LEVEL": "ERROR"}
    os.environ |= {"DJANGO_SETTINGS_MODULE": "archive.settings", "SANAD_DATABASE_ROLE": "owner"}
    try:
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield home
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def _machine(home: Path) -> None:
    with (home / "probe").open("wb") as probe:
        began, synced = time.perf_counter(), 0
        while time.perf_counter() - began < 1:
            os.pwrite(probe.fileno(), b"x" * 8192, 0)
            os.fdatasync(probe.fileno())
            synced += 1
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}; "
        f"fdatasync of 8 KiB, one after the other: {synced} /s"
    )


# Acts


def acts(writers: list[int], seconds: float) -> None:
    """Durable commits a second, each an act with one event, with the sequencer and the signer at work beside them."""
    from django.db import connection

    from tests.factories import Role, make_compartment, make_item, make_user

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE plain (id uuid PRIMARY KEY, entry bytea NOT NULL)")
        cursor.execute("GRANT INSERT ON plain TO sanad_web")
    compartment = make_compartment()
    person = make_user(Role.INVESTIGATOR, compartment)
    items = [make_item(compartment, by=person).accession for _ in range(64)]
    connection.close()
    print(f"\nacts a second, each in a durable commit of its own; {seconds:g} s each")
    print(f"{'':46}" + "".join(f"{count:>5} writers" for count in writers))
    base = _rates("plain INSERT of one row with psycopg", plain, writers, seconds, ())
    with _processes("sequencer", "signer"), _heads_as_seen() as heads:
        for name, work, given in (
            ("an event without a lookup (a refusal)", refuse, (person.pk,)),
            ("a download: authorise, fetch, record", download, (person.pk, items)),
        ):
            ours = _rates(name, work, writers, seconds, given)
            print(f"{'  of the plain rows':46}" + "".join(f"{a / b:>13.2f}" for a, b in zip(ours, base, strict=True)))
        _wait_until_signed()
        time.sleep(1)  # for the last head to be seen
    _latencies(heads)


def plain(_: tuple[Any, ...]) -> Callable[[], None]:
    import psycopg
    from django.conf import settings

    database = settings.DATABASES["default"]
    connection = psycopg.connect(host=database["HOST"], user=database["USER"], dbname=database["NAME"])
    entry = b"x" * 500

    def work() -> None:
        connection.execute("INSERT INTO plain (id, entry) VALUES (%s, %s)", [uuid4(), entry])
        connection.commit()

    return work


def refuse(given: tuple[Any, ...]) -> Callable[[], None]:
    from django.utils import timezone

    from accounts.actions import record_refusal
    from accounts.models import User

    person = User.objects.get(pk=given[0])

    def work() -> None:
        record_refusal(
            by=person, at=timezone.now(), permission="item.view", kind=None, object_id=None, compartment=None
        )

    return work


def download(given: tuple[Any, ...]) -> Callable[[], None]:
    from django.utils import timezone

    from accounts.models import User
    from evidence.actions import download_item

    person, items = User.objects.get(pk=given[0]), given[1]
    return lambda: download_item(by=person, at=timezone.now(), accession=random.choice(items)) and None


def _rates(
    name: str, make: Callable[[tuple[Any, ...]], Callable[[], None]], writers: list[int], seconds: float, given: Any
) -> list[float]:
    rates = []
    context = multiprocessing.get_context("spawn")
    for count in writers:
        ready, results = context.Barrier(count), context.SimpleQueue()
        arguments = (make, given, seconds, ready, results)
        processes = [context.Process(target=_write, args=arguments) for _ in range(count)]
        for process in processes:
            process.start()
        rates.append(sum(results.get() for _ in processes))
        for process in processes:
            process.join()
    print(f"{name:46}" + "".join(f"{rate:>13.0f}" for rate in rates), flush=True)
    return rates


def _write(make: Any, given: Any, seconds: float, ready: Any, results: Any) -> None:
    os.environ["SANAD_DATABASE_ROLE"] = "web"
    import django

    django.setup()
    work = make(given)
    for _ in range(20):
        work()
    ready.wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        done += 1
    results.put(done / (time.perf_counter() - began))


@contextmanager
def _processes(*commands: str) -> Iterator[None]:
    """The archive's own processes, each in its own role."""
    from django.core.management import get_commands

    environ = {name: value for name, value in os.environ.items() if name != "SANAD_DATABASE_ROLE"}
    there = [command for command in commands if command in get_commands()]
    running = [subprocess.Popen([sys.executable, ROOT / "manage.py", name], env=environ) for name in there]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _wait_until_signed() -> None:
    from custody.models import Pending
    from custody.proof import newest_checkpoint
    from custody.sequencer import tree_size

    began = time.perf_counter()
    while Pending.objects.exists() or (head := newest_checkpoint()) is None or head.size < tree_size():
        time.sleep(0.01)
    print(f"the queue was sequenced and signed {time.perf_counter() - began:.1f} s after the last act")


@contextmanager
def _heads_as_seen() -> Iterator[list[tuple[float, int]]]:
    """(time, size) of each signed head, from when another connection sees its row: that is when anybody can use it."""
    import psycopg
    from django.conf import settings

    database, stopping = settings.DATABASES["default"], threading.Event()
    seen: list[tuple[float, int]] = []

    def look() -> None:
        account = {"host": database["HOST"], "user": database["USER"], "dbname": database["NAME"]}
        with psycopg.connect(**account, autocommit=True) as connection:
            while not stopping.is_set():
                row = connection.execute("SELECT max(size) FROM custody_checkpoint").fetchone()
                if row and row[0] is not None and (not seen or row[0] > seen[-1][1]):
                    seen.append((time.time(), row[0]))
                stopping.wait(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        stopping.set()
        watcher.join()


def _latencies(heads: list[tuple[float, int]]) -> None:
    """From the moment of the act, taken before its transaction begins, to when the first head over it is seen."""
    from django.db import connection

    sizes = [size for _, size in heads]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.index, extract(epoch FROM v.at) FROM custody_entry e JOIN custody_event v ON v.id = e.event_id"
            " ORDER BY e.index OFFSET 1000"
        )
        found = [heads[bisect.bisect_right(sizes, index)][0] - float(at) for index, at in cursor.fetchall()]
    _percentiles("act to signed checkpoint, under that load", found)


# Bulk


def bulk(count: int) -> None:
    """A full queue, drained by one sequencer."""
    from django.db import connection

    from custody.models import Pending
    from custody.sequencer import drain
    from tests.custody.ledgers import plant

    drain()
    plant(count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE custody_pending")
    began = time.perf_counter()
    drain()
    rate = count / (time.perf_counter() - began)
    assert not Pending.objects.exists()
    print(f"\none sequencer, a queue of {count}: {rate:.0f} entries/s")


# Scrubs


def scrubs(count: int) -> None:
    """Both passes over events as they are recorded, at full speed: the signer takes a quarter of the time for them."""
    from django.utils import timezone

    from custody import scrub
    from custody.engine import SYSTEM, Subject, acting, record
    from custody.sequencer import drain
    from custody.signer import sign_head
    from custody.vocabulary import Type

    compartment, items = uuid4(), [uuid4() for _ in range(count // 5)]
    for _ in range(0, count, 50):
        with acting():
            for _ in range(50):
                about = [Subject("item", random.choice(items))]
                fields = {"purpose": "record"}
                record(Type.VIEW, by=SYSTEM, at=timezone.now(), compartment=compartment, subjects=about, fields=fields)
    drain()
    sign_head()
    print(f"\nscrubs of {count} events with four values each")
    for name, work in (("of the tree", scrub.scrub), ("of the values beside it", scrub.scrub_values)):
        began, worked = time.perf_counter(), time.process_time()
        assert work().clean
        taken, own = time.perf_counter() - began, time.process_time() - worked
        each = f"{taken / count * 1000:>9.3f} ms an entry, {own / count * 1000:.3f} of it ours, not the database's"
        print(f"{name:46}{each}", flush=True)


# Proofs


def proofs(sizes: list[int]) -> None:
    """Inclusion proofs of random entries out of the database, each checked; and the peers' out of their own stores."""
    from custody.proof import newest_checkpoint, proof_at
    from custody.sequencer import tree_size
    from custody.signer import sign_head

    medians = []
    for size in sizes:
        _fill(size)
        sign_head()
        head = newest_checkpoint()
        assert head is not None
        assert head.size == tree_size() >= size
        for index in random.sample(range(head.size), 200):
            proof_at(index, head)
        times = []
        for index in random.sample(range(head.size), PROOFS):
            began = time.perf_counter()
            assert proof_at(index, head) is not None
            times.append(time.perf_counter() - began)
        medians.append(_percentiles(f"inclusion proof, {head.size} entries, from the database", times))
    print(f"{'  growth of the median':46}{medians[-1] / medians[0]:>9.2f} x")
    _pymerkle(SMALL, medians[0])
    _go(SMALL, medians[0])


def _fill(size: int) -> None:
    """Entries straight into the tree, without acts behind them."""
    from django.conf import settings
    from django.db import transaction

    from custody.sequencer import append, tree_size
    from ledger.entry import canonical

    commitments = ",".join(f'"{name}":"{"ab" * 32}"' for name in ("agent", "object", "subjects", "to"))
    form = (
        b'{"blob":null,"c":{%b},"id":"%%b","log":%%b,"outcome":"success","ts":"2025-03-10T08:00:00.000Z",'
        b'"type":"displaying","v":1}' % commitments.encode()
    )
    origin = canonical(settings.SANAD_ORIGIN)
    began, start = time.perf_counter(), tree_size()
    for first in range(start, size, 50_000):
        with transaction.atomic():
            made = [uuid4() for _ in range(first, min(first + 50_000, size))]
            append([(event_id, form % (event_id.hex.encode(), origin)) for event_id in made])
    if size > start:
        rate = (size - start) / (time.perf_counter() - began)
        print(f"\nentries and tiles written straight into the tree: {rate:.0f} /s")


def _pymerkle(count: int, ours: float) -> None:
    try:
        from pymerkle import InmemoryTree, verify_inclusion
    except ImportError:
        print("pymerkle is not installed")
        return
    tree = InmemoryTree(algorithm="sha256")
    for number in range(count):
        tree.append_entry(b"%d" % number + b"a" * 500)
    root, times = tree.get_root() if hasattr(tree, "get_root") else tree.get_state(), []
    for index in random.sample(range(1, count + 1), 200):
        began = time.perf_counter()
        verify_inclusion(tree.get_leaf(index), root, tree.prove_inclusion(index))
        times.append(time.perf_counter() - began)
    median = _percentiles(f"pymerkle, {count} entries, memory to verified", times)
    print(f"{'  ours takes':46}{ours / median:>9.2f} x")


def _go(count: int, ours: float) -> None:
    found = go_command()
    if found is None:
        return
    command, environ = found
    environ["GOCACHE"] = tempfile.mkdtemp()
    given = [*command, "run", str(ROOT / "benchmarks" / "tlog_peer.go"), "proofs", str(count), str(PROOFS)]
    said = subprocess.run(given, env=environ, capture_output=True, text=True)
    shutil.rmtree(environ["GOCACHE"], ignore_errors=True)
    if said.returncode:
        print(f"Go's tlog did not run: {said.stderr.strip().splitlines()[-1]}")
        return
    median = _percentiles(
        f"Go x/mod tlog, {count} entries, memory to verified", [float(n) for n in said.stdout.split()]
    )
    print(f"{'  ours takes':46}{ours / median:>9.2f} x")


def _percentiles(name: str, seconds: list[float]) -> float:
    cuts = statistics.quantiles(seconds, n=100)
    unit, factor = ("s", 1) if cuts[49] > 0.1 else ("ms", 1000)
    print(f"{name:58}p50 {cuts[49] * factor:.3f} {unit}, p99 {cuts[98] * factor:.3f} {unit}", flush=True)
    return cuts[49]


if __name__ == "__main__":
    main()

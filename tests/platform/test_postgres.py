"""The embedded server, for real: each test has a cluster of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from archive import data_folder, postgres
from archive.postgres import Cluster, PostgresProblem, database_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    """Open to the account that runs the server for root, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="sanad cluster "))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data(home: Path) -> Path:
    folder = home / "data"
    data_folder.prepare(folder)
    return folder


@pytest.fixture
def cluster(data: Path) -> Iterator[Cluster]:
    server = Cluster(data, durable=False)
    server.start()
    yield server
    server.stop()


def write(data: Path, text: str) -> None:
    with psycopg.connect(database_url(data)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [text])


def kept(data: Path) -> list[str]:
    with psycopg.connect(database_url(data)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM kept ORDER BY text")]


def test_the_archive_is_no_superuser_and_pages_are_checksummed(cluster: Cluster, data: Path) -> None:
    with psycopg.connect(database_url(data)) as connection:
        row = connection.execute(
            "SELECT usename::text, usesuper, current_setting('data_checksums'), current_setting('listen_addresses')"
            " FROM pg_user WHERE usename = current_user"
        ).fetchone()

    assert row == ("sanad", False, "on", "")


def test_a_cluster_made_before_there_were_roles_gets_them_at_its_next_start(cluster: Cluster, data: Path) -> None:
    with psycopg.connect(database_url(data, "postgres", postgres.SUPERUSER), autocommit=True) as connection:
        for role in (*postgres.ROLES.values(), *postgres.DEFINERS):
            if role != postgres.ROLE:
                connection.execute(f"DROP ROLE {role}")
    cluster.stop()

    cluster.start()

    with psycopg.connect(database_url(data)) as connection:
        rows = connection.execute(
            "SELECT rolname::text, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls"
            " FROM pg_roles WHERE rolname LIKE 'sanad%' ORDER BY rolname"
        ).fetchall()
    assert rows == sorted(
        [(name, True, False) for name in postgres.ROLES.values()] + [(name, False, False) for name in postgres.DEFINERS]
    )


def test_the_server_does_not_run_as_root(cluster: Cluster) -> None:
    assert cluster.process is not None
    owner = Path(f"/proc/{cluster.process.pid}").stat().st_uid

    assert owner != 0
    assert owner == (cluster.folder.stat().st_uid if os.geteuid() == 0 else os.geteuid())


def test_nobody_else_is_let_in(cluster: Cluster) -> None:
    """By the folder's mode, and by the server itself should the folder be opened by mistake."""
    assert cluster.socket.stat().st_mode & 0o777 == 0o700
    assert "trust" not in (cluster.home / "hba.conf").read_text()
    if os.geteuid() != 0:
        with pytest.raises(psycopg.OperationalError, match=r"ident|[Pp]eer"):
            psycopg.connect(host=str(cluster.socket), user="somebody", dbname="sanad")
        return
    cluster.socket.chmod(0o755)
    (cluster.socket / f".s.PGSQL.{postgres.PORT}").chmod(0o777)
    cluster.home.chmod(0o711)
    socket = str(cluster.socket)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover  another account, whose coverage nobody collects
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        try:
            psycopg.connect(host=socket, user="sanad", dbname="sanad")
            os.write(writer, b"let in")
        except psycopg.OperationalError as refused:
            os.write(writer, str(refused).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    said = os.read(reader, 10_000).decode()
    os.close(reader)

    assert "Peer authentication failed" in said


def test_data_survives_a_clean_stop(data: Path) -> None:
    cluster = Cluster(data, durable=False)
    cluster.start()
    write(data, "kept")
    cluster.stop()

    began = time.monotonic()
    cluster.start()
    took = time.monotonic() - began

    assert kept(data) == ["kept"]
    assert took < 2
    cluster.stop()
    assert not (cluster.folder / "postmaster.pid").exists()


def test_what_was_committed_survives_a_kill(data: Path) -> None:
    cluster = Cluster(data)
    cluster.start()
    write(data, "committed")
    assert cluster.process is not None
    os.killpg(cluster.process.pid, signal.SIGKILL)
    cluster.process.wait()
    assert (cluster.folder / "postmaster.pid").exists()

    again = Cluster(data)
    again.start()

    assert kept(data) == ["committed"]
    again.stop()


def test_the_pid_of_another_program_is_no_server(data: Path, cluster: Cluster) -> None:
    """After a restart of the machine the number in the pid file may belong to anything."""
    cluster.stop()
    (cluster.folder / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.folder}\n")

    cluster.start()

    write(data, "running")
    assert kept(data) == ["running"]


def test_a_server_that_lost_its_parent_is_taken_down_first(data: Path, cluster: Cluster) -> None:
    write(data, "before")

    second = Cluster(data, durable=False)
    second.start()

    assert cluster.process is not None
    assert cluster.process.wait(10) == 0
    assert kept(data) == ["before"]
    second.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_the_server_ends_when_its_parent_is_killed(data: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from archive.postgres import Cluster\n"
        "c = Cluster(Path(sys.argv[1]), durable=False); c.start(); print(c.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 20
    pid_file = data / "postgres" / "cluster" / "postmaster.pid"
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not pid_file.exists(), f"process {server} still runs"


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(home: Path) -> None:
    data = home / ("a long name " * 8).strip() / "data"
    data_folder.prepare(data)
    cluster = Cluster(data, durable=False)
    assert cluster.socket.parent == Path("/tmp")

    cluster.start()
    try:
        write(data, "reached")
        assert kept(data) == ["reached"]
        assert cluster.socket.stat().st_mode & 0o777 == 0o700
    finally:
        cluster.stop()
        shutil.rmtree(cluster.socket)


def test_a_short_folder_that_is_a_trap_is_refused(home: Path) -> None:
    data = home / ("a long name " * 8).strip() / "data"
    data_folder.prepare(data)
    cluster = Cluster(data, durable=False)
    cluster.socket.symlink_to(home)
    try:
        with pytest.raises(PostgresProblem, match="belongs to somebody else"):
            cluster.start()
    finally:
        cluster.socket.unlink()


def test_a_cluster_of_another_version_is_refused(data: Path, cluster: Cluster) -> None:
    cluster.stop()
    (cluster.folder / "PG_VERSION").write_text("12\n")

    with pytest.raises(PostgresProblem, match=r"is of PostgreSQL 12, this software brings 18\."):
        cluster.start()


def test_a_broken_cluster_says_why_in_one_sentence(data: Path, cluster: Cluster) -> None:
    cluster.stop()
    (cluster.folder / "global" / "pg_control").unlink()

    with pytest.raises(PostgresProblem, match=r"^the database in .* does not start: .*pg_control") as raised:
        cluster.start()

    assert "\n" not in str(raised.value)


def test_an_interrupted_set_up_leaves_no_half_cluster(data: Path) -> None:
    fresh = data / "postgres" / "cluster.new"
    (fresh / "base").mkdir(parents=True)
    cluster = Cluster(data, durable=False)

    cluster.start()

    write(data, "whole")
    cluster.stop()
    assert not fresh.exists()


def test_the_log_quotes_no_rows(data: Path, cluster: Cluster) -> None:
    with psycopg.connect(database_url(data), autocommit=True) as connection:
        connection.execute("CREATE TABLE people (name text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('a protected name')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="a protected name"):
            connection.execute("INSERT INTO people VALUES ('a protected name')")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 'a protected name' FROM nowhere")

    log = cluster.log.read_text()
    assert "duplicate key value" in log
    assert "protected" not in log

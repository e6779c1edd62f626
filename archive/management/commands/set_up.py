"""`manage.py set_up`: brings database, messages and static files to this version and fills a new archive."""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.actions import found_archive
from accounts.models import User
from archive.messages import compile_messages
from custody import rewrapping, roles
from custody.alarm import LedgerBroken
from custody.keys import LIST, KeyAway, KeyProblem, key_folder, stamp
from custody.taking_over import take_over
from evidence import store_probes
from evidence.store_shape import StoreProblem


class Command(BaseCommand):
    help = "Migrate the database, compile messages, collect static files and fill a new archive."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--empty", action="store_true", help="a new archive gets one administrator and no sample")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._migrate()
        except DatabaseError as problem:
            raise CommandError(f"the database cannot be brought up to date ({type(problem).__name__}).") from problem
        self._check_keys()
        self._check_stores()
        self._take_over()
        compile_messages(settings.LOCALE_PATHS[0])
        self._collect_static()
        self._fill(empty=options["empty"])

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        unknown = [key for key in executor.loader.applied_migrations if key not in executor.loader.disk_migrations]
        ours = {app.label for app in executor.loader.project_state().apps.get_app_configs()}
        newer = sorted(f"{app}.{name}" for app, name in unknown if app in ours)
        if newer:
            raise CommandError(
                f"the database was made by a newer version of this software ({newer[0]}); update the software."
            )
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("bringing the database up to date")
            call_command("migrate", interactive=False, verbosity=0)
        refused = roles.make_roles(connection)
        roles.grant(connection)
        if refused:
            self._say(f"the database has no role {', '.join(refused)}; see manage.py database_roles. Going on without")

    def _check_keys(self) -> None:
        """An archive that cannot open what it has does not start, and never makes a key in the place of one it lost."""
        try:
            lost = rewrapping.lost()
        except KeyAway as problem:
            if not stamp(key_folder()):
                raise CommandError(f"{problem}.") from problem
            self._say(f"{problem}. Going on without")  # a token may come back
            return
        except KeyProblem as problem:
            raise CommandError(f"{problem}.") from problem
        if lost:
            raise CommandError(f"rows need the key {' and '.join(lost)}, which is not in {LIST}.")

    def _check_stores(self) -> None:
        """A store that lies is not used; one that does not answer may come back."""
        try:
            silent = store_probes.require_honest()
        except StoreProblem as problem:
            raise CommandError(f"{problem}.") from problem
        for name in silent:
            self._say(f"store {name} does not answer, and was not checked. Going on without it")

    def _take_over(self) -> None:
        """A signer that is not given its memory raises the alarm; the archive is open meanwhile."""
        try:
            taken = take_over()
        except (LedgerBroken, OSError) as problem:
            self._say(f"the signer does not take over from the version before: {problem}. Going on without")
            return
        if taken is not None:
            self._say(f"the signer takes over key and memory: {taken.count} heads, {taken.size} entries")

    def _collect_static(self) -> None:
        root = Path(settings.STATIC_ROOT)
        root.parent.mkdir(parents=True, exist_ok=True)
        with (root.parent / "static.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two archives may start from one checkout
            self._collect_into(root)

    def _collect_into(self, root: Path) -> None:
        stamp = root / ".stamp"
        current = _fingerprint(_static_sources())
        if stamp.exists() and stamp.read_text() == current:
            return
        self._say("collecting static files")
        stamp.unlink(missing_ok=True)
        call_command("collectstatic", interactive=False, verbosity=0, clear=True, stdout=StringIO())
        stamp.write_text(current)

    def _fill(self, *, empty: bool) -> None:
        """A sample that was interrupted is finished at the next start: its marker stays until it is whole."""
        unfinished = settings.SANAD_DATA / "sample-unfinished"
        credentials = settings.SANAD_KEYS / "first-accounts.json"
        if not unfinished.exists():
            if User.objects.exists():
                return
            if empty:
                self._first_administrator(credentials)
                return
            unfinished.touch(mode=0o600)
        self._say("making the sample archive")
        call_command("sample", credentials=str(credentials), stdout=self.stderr)
        unfinished.unlink()

    def _first_administrator(self, credentials: Path) -> None:
        password = secrets.token_urlsafe(15)
        user = found_archive(username="admin", display_name="Administrator", password=password, at=timezone.now())
        account = {"username": user.username, "password": password, "role": "Administrator"}
        with os.fdopen(os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump({"accounts": [account]}, handle)

    def _say(self, text: str) -> None:
        self.stderr.write(f"sanad: {text} ...")


def _static_sources() -> Iterable[Path]:
    root = Path(settings.BASE_DIR)
    yield from sorted(path for path in (root / "static").rglob("*") if path.is_file())
    yield from (root / name for name in ("package-lock.json", "requirements.txt", "archive/staticfiles.py"))


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()

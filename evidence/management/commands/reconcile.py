"""`manage.py reconcile`: rows without bytes, bytes without rows, receptions that were never finished."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evidence.reconcile import STAGING_LIFE, reconcile


class Command(BaseCommand):
    help = "Compare the store with the database. Exits 1 when bytes are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        hours = int(STAGING_LIFE.total_seconds() // 3600)
        parser.add_argument("--dry-run", action="store_true", help="name leftovers and remove nothing")
        parser.add_argument(
            "--older-than", type=int, default=hours, metavar="HOURS", help=f"age of a leftover (default {hours})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["older_than"] < 1:
            raise CommandError("--older-than must be at least 1 hour: a reception may be under way.")
        found = reconcile(remove=not options["dry_run"], older_than=timedelta(hours=options["older_than"]))
        for name in found.without_bytes:
            self.stderr.write(f"MISSING  no bytes stand for {name}")
        for address in found.without_row:
            self.stdout.write(f"leftover {address}")
        for name in found.staging:
            self.stdout.write(f"leftover staging/{name}")
        for name, count in sorted(found.lacking.items()):
            self.stdout.write(f"lacking  {count} objects in {name}")
        if found.kept_by_a_lock:
            self.stdout.write(f"{found.kept_by_a_lock} leftovers are kept by a lock of their store, and go later")
        self.stdout.write(
            f"{found.rows} rows, {len(found.without_bytes)} without bytes; "
            f"{len(found.without_row) + len(found.staging)} leftovers, {found.removed} removed"
        )
        if found.without_bytes:
            raise CommandError(f"{len(found.without_bytes)} rows have no bytes: restore them from a backup.")
        if found.not_listed:
            raise CommandError(f"not listed, so nothing is concluded from them: {', '.join(found.not_listed)}")

"""`manage.py replay_ledger DIR`: after a restore, puts back the entries that the database lacks, from its export."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.alarm import LedgerBroken
from custody.engine import SYSTEM
from custody.keys import KeyProblem
from custody.replaying import replay


class Command(BaseCommand):
    """Stop the archive first. Ends with 1 and one sentence when the export does not continue what is stored."""

    help = "Put back the ledger's entries that a restored database lacks (docs/howto/restore-a-backup.md)."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "folder",
            type=Path,
            metavar="DIR",
            nargs="?",
            default=settings.SANAD_LEDGER,
            help="the exported ledger; default: the data folder's",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = replay(options["folder"], by=SYSTEM, at=timezone.now())
        except (LedgerBroken, KeyProblem) as refused:
            raise CommandError(f"{refused}.") from None
        except OSError as problem:
            raise CommandError(f"{options['folder']} cannot be read: {problem.strerror or problem}.") from None
        if done.event_id is None:
            self.stdout.write(f"Nothing is missing: {done.stop} entries are stored.")
            return
        self.stdout.write(f"Entries {done.start} to {done.stop - 1} stand again, with {done.checkpoints} checkpoints.")
        for kind, count in sorted(done.lost.items()):
            self.stdout.write(f"  values lost: {count} of {kind}")
        self.stdout.write(f"Recorded by event {done.event_id}.")

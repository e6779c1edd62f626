"""`manage.py escrow_keys`: put into escrow what is not, for the recipients of now; run again, it goes on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.engine import SYSTEM
from custody.wrapping import KeyProblem
from evidence import escrow, escrow_exports


class Command(BaseCommand):
    """Exit code 1 with one sentence when it cannot be done, and of --check when something is not in escrow."""

    help = "Catch up with the escrow of data keys, or say how far it is (docs/howto/keys.md)."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing, say how far it is")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not options["check"]:
                done = 0
                for count in escrow_exports.catch_up(by=SYSTEM, at=timezone.now()):
                    done += count
                    self.stderr.write(f"{done} sealed")
            named, covered = escrow.recipients(), escrow_exports.coverage()
        except (KeyProblem, escrow_exports.ExportRefused) as problem:
            raise CommandError(str(problem)) from None
        if not named.by_id:
            raise CommandError("no recipients are named: nothing is in escrow")
        self.stdout.write(f"{covered.covered} of {covered.objects} objects are in escrow for {', '.join(named.ids)}.\n")
        if covered.covered < covered.objects:
            raise CommandError("Not everything is in escrow.")

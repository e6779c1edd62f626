"""`manage.py erasures`: what waits, what was erased, what is not finished; and the rewriting of tables."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evidence import leftovers
from evidence.models import Erasure
from evidence.store import StoreProblem
from evidence.tasks import finish_or_postpone
from evidence.vocabulary import ErasureState


class Command(BaseCommand):
    help = "List erasures by accession number. Exits 1 when one is not finished."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--finish", action="store_true", help="clear what killed erasures left behind, now")
        parser.add_argument(
            "--rewrite",
            action="store_true",
            help="write the tables anew, so that no page keeps an erased value; the archive stands still meanwhile",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["finish"]:
            for found in Erasure.objects.filter(state=ErasureState.DONE, finished_at__isnull=True):
                try:
                    finish_or_postpone(found)
                except (StoreProblem, OSError, leftovers.NotScrubbed) as problem:
                    raise CommandError(f"{found.id} cannot be finished: {problem}") from None
        if options["rewrite"]:
            tables = leftovers.scrub_tables(rewrite=True)
            self.stdout.write(f"{len(tables)} tables were written anew")
        open_ones = 0
        for found in Erasure.objects.order_by("requested_at"):
            unfinished = found.state == ErasureState.DONE and found.finished_at is None
            locked = unfinished and found.locked_until is not None
            open_ones += unfinished and not locked
            state = "NOT FINISHED" if unfinished and not locked else str(found.state)
            moment = found.decided_at or found.requested_at
            self.stdout.write(
                f"{moment:%Y-%m-%dT%H:%M:%SZ}  {state:12}  {found.ground:8}  {' '.join(found.accessions)}"
            )
            if locked:
                self.stdout.write(
                    f"  the key is gone; a store keeps the ciphertext until {found.locked_until:%Y-%m-%d}"
                )
        if open_ones:
            raise CommandError(f"{open_ones} erasures are not finished: run with --finish")

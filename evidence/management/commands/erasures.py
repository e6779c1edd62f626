"""`manage.py erasures`: what waits, what was erased, what is not finished; and the rewriting of tables."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from evidence import erasure, leftovers
from evidence.models import Erasure
from evidence.store import StoreProblem
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
                    leftovers.clear(found)
                    leftovers.scrub_tables()
                except (StoreProblem, OSError, leftovers.NotScrubbed) as problem:
                    raise CommandError(f"{found.id} cannot be finished: {problem}") from None
                erasure.finish_erasure(at=timezone.now(), erasure_id=found.id)
        if options["rewrite"]:
            tables = leftovers.scrub_tables(rewrite=True)
            self.stdout.write(f"{len(tables)} tables were written anew")
        open_ones = 0
        for found in Erasure.objects.order_by("requested_at"):
            unfinished = found.state == ErasureState.DONE and found.finished_at is None
            open_ones += unfinished
            state = "NOT FINISHED" if unfinished else str(found.state)
            moment = found.decided_at or found.requested_at
            self.stdout.write(
                f"{moment:%Y-%m-%dT%H:%M:%SZ}  {state:12}  {found.ground:8}  {' '.join(found.accessions)}"
            )
        if open_ones:
            raise CommandError(f"{open_ones} erasures are not finished: run with --finish")

"""`manage.py requeue_events [EVENT ...]`: after a repair, have the sequencer look again at what is in quarantine."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from custody.admission import held, release


class Command(BaseCommand):
    """Releases are kept beside the reason, with their time. What is still wrong comes back into quarantine."""

    help = "List the events that the sequencer keeps out of the ledger, and let it look at them again."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("events", nargs="*", type=UUID, metavar="EVENT", help="default: all of them")
        parser.add_argument("--list", action="store_true", help="only tell them, with the reasons")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for row in held():
                self.stdout.write(f"{row.event_id}  {row.at:%Y-%m-%dT%H:%M:%SZ}  {row.reason}")
            return
        freed = release(options["events"])
        self.stdout.write(f"{len(freed)} events wait for the sequencer again")

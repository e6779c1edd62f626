"""`manage.py cosign_reply FILE`: what a cosigner without network brought back."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.cosignatures import Refused, take_reply
from ledger.note import MAX_NOTE_BYTES
from ledger.policy import PolicyError


class Command(BaseCommand):
    """Verifies the cosigned checkpoint in a file strictly, and stores its cosignatures with an entry of the ledger."""

    help = "Take in a cosigned checkpoint that came as a file."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                fresh = take_reply(file.read(MAX_NOTE_BYTES + 1), timezone.now())
        except (Refused, PolicyError) as problem:
            raise CommandError(f"Not taken: {problem}.") from problem
        except OSError as problem:
            raise CommandError(f"{options['file']}: {problem.strerror}.") from problem
        for received in fresh:
            self.stdout.write(f"{received.witness.name} cosigned at {received.at:%Y-%m-%d %H:%M:%S} UTC")
        if not fresh:
            self.stdout.write("nothing new in it")

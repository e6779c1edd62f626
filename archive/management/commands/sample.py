"""`manage.py sample`: fills an empty archive with the sample."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.permissions import NotNow
from archive.sample.building import AUDITOR, audit, build

UNFINISHED = "sample-unfinished"  # stands in the data folder while `manage.py set_up` waits for this command


class Command(BaseCommand):
    help = (
        "Fill an empty archive with the sample: one compartment, fictional incidents at real places, generated media. "
        "Killed at any moment it can be run again; an archive that already has people is left as it is."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--credentials", required=True, type=Path, help="where the accounts are written, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if not User.objects.exists():
            self._build(Path(options["credentials"]))
        elif not self._begun_here():
            raise CommandError("this archive already has people; the sample is only made in an empty one.")
        audit(self._say)
        self._say("the sample archive is ready")

    def _build(self, credentials: Path) -> None:
        try:
            credentials.parent.stat()  # before anything is painted for nothing
            build(credentials, self._say)
        except NotNow as refused:
            raise CommandError(str(refused.message)) from None
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise CommandError(f"the sample cannot be made: {reason}. The archive is as empty as before.") from problem

    def _begun_here(self) -> bool:
        unfinished: Path = settings.SANAD_DATA / UNFINISHED
        return unfinished.exists() and User.objects.filter(username=AUDITOR).exists()

    def _say(self, text: str) -> None:
        self.stdout.write(f"sanad: {text} ...")

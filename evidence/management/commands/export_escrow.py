"""`manage.py export_escrow FILE`: everything in escrow as one file for an offline medium, and which files are out."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.engine import SYSTEM
from custody.wrapping import KeyProblem
from evidence import escrow_exports
from evidence.models import EscrowExport


class Command(BaseCommand):
    """Exit code 1 with one sentence when it cannot be done."""

    help = "Write the escrow file, or list the files that are out there (docs/howto/keys.md)."

    def add_arguments(self, parser: Any) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the file to write; it must not be there")
        what.add_argument("--list", action="store_true", help="which files left the archive, and what is to be done")
        what.add_argument("--destroyed", metavar="SHA256", help="record that every copy of this file was destroyed")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["list"]:
                self._list()
            elif options["destroyed"]:
                found = escrow_exports.say_destroyed(by=SYSTEM, at=timezone.now(), sha256=options["destroyed"].lower())
                self.stdout.write(f"Recorded: the file of {found.made_at:%Y-%m-%d %H:%M}Z was destroyed.\n")
            else:
                self._write(options["file"])
        except (KeyProblem, escrow_exports.ExportRefused) as problem:
            raise CommandError(str(problem)) from None

    def _write(self, path: Path) -> None:
        covered = escrow_exports.coverage()
        if covered.covered < covered.objects:
            self.stderr.write(
                f"{covered.objects - covered.covered} of {covered.objects} objects are not in escrow for the "
                "recipients of now; run escrow_keys first."
            )
        made = escrow_exports.export(by=SYSTEM, at=timezone.now(), path=path)
        self.stdout.write(f"{made.objects_in_it} objects, SHA-256 {made.sha256}\n")
        self._warn()

    def _list(self) -> None:
        for made in EscrowExport.objects.all():
            end = f"destroyed {made.destroyed_at:%Y-%m-%d}" if made.destroyed_at else "out there"
            self.stdout.write(f"{made.sha256}  {made.made_at:%Y-%m-%d %H:%M}Z  {made.objects_in_it} objects  {end}\n")
        self._warn()

    def _warn(self) -> None:
        for sha256, count in escrow_exports.holding_erased().items():
            self.stderr.write(
                f"{sha256[:16]}... holds keys of {count} objects that were erased since: destroy every copy of it, "
                f"then run export_escrow --destroyed {sha256}"
            )

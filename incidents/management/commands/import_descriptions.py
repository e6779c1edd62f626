"""`manage.py import_descriptions TABLE --incident CODE --as USER`: items described by the rows of a CSV, or none."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, permitted
from evidence import blobs
from evidence.blobs import ReceptionRefused
from evidence.store import StoreProblem
from incidents import tables
from incidents.models import Incident

WRONG, USAGE = 1, 2


class Command(BaseCommand):
    help = (
        "Describe items by the rows of a CSV: all rows or none. The table becomes an item of the incident. Exits 1 "
        "when a cell is wrong, and lists each by line and column."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("table", metavar="TABLE")
        parser.add_argument("--incident", required=True, metavar="CODE")
        parser.add_argument("--compartment", default="", metavar="CODE", help="needed when two have such an incident")
        parser.add_argument("--as", required=True, dest="username", metavar="USER", help="who says so")
        parser.add_argument("--reason", default="", help="kept in the ledger with every change")
        parser.add_argument("--dry-run", action="store_true", help="list what is wrong or would change, write nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["username"], is_active=True).first()
        if by is None:
            raise CommandError(f"no person with the user name {options['username']} may sign in", returncode=USAGE)
        seen = permitted(by, "incident.view", Incident.objects.filter(code=options["incident"]))
        found = list(seen.filter(compartment__code=options["compartment"]) if options["compartment"] else seen)
        if len(found) != 1:
            problem = "add --compartment: several have" if found else f"{by.username} sees no incident"
            raise CommandError(f"{problem} {options['incident']}", returncode=USAGE)
        outcome = self._outcome(by, found[0], Path(options["table"]), options)
        if options["json"]:
            self.stdout.write(json.dumps(outcome.as_json(), ensure_ascii=False, indent=1))
        else:
            self._tell(outcome, dry=options["dry_run"])
        if outcome.errors:
            sys.exit(WRONG)

    def _outcome(self, by: User, incident: Incident, path: Path, options: dict[str, Any]) -> tables.Outcome:
        now = timezone.now()
        try:
            with path.open("rb") as handle:
                data = handle.read(tables.MOST_BYTES + 1)
            if len(data) > tables.MOST_BYTES:
                raise CommandError(f"a table has at most {tables.MOST_BYTES} bytes", returncode=USAGE)
            if options["dry_run"]:
                return tables.rehearse_table(by=by, at=now, incident=incident, data=data)
            return tables.import_table(
                by=by,
                at=now,
                incident=incident,
                received=blobs.receive([data]),
                original_name=path.name,
                reason=options["reason"],
            )
        except OSError as problem:
            raise CommandError(f"the table cannot be read: {problem.strerror}", returncode=USAGE) from None
        except (Refused, NotVisible):
            raise CommandError(f"{by.username} may not describe items there", returncode=USAGE) from None
        except (NotNow, ReceptionRefused, StoreProblem, ValidationError) as problem:
            words = "; ".join(problem.messages) if isinstance(problem, ValidationError) else str(problem)
            raise CommandError(words, returncode=USAGE) from None

    def _tell(self, outcome: tables.Outcome, *, dry: bool) -> None:
        for error in outcome.errors:
            where = f"line {error.line}" + (f", {error.column}" if error.column else "")
            self.stderr.write(f"{where}: {error.message}")
        for accession in outcome.changed:
            self.stdout.write(accession)
        done = "would be" if dry else "were"
        words = f"{len(outcome.changed)} of {outcome.rows} rows change an item"
        if outcome.errors:
            words = f"{len(outcome.errors)} errors: nothing {done} written"
        kept = f"; the table is {outcome.item.accession}" if outcome.item else ""
        self.stderr.write(f"{words}{kept}")

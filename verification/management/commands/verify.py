"""`manage.py verify`: an auditor's verification on the command line, waited for, with its verdict as exit code."""

import json
import sys
import time
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.exceptions import record_if_refused
from accounts.models import User
from accounts.permissions import NotVisible, Refused, compartments
from verification import actions
from verification.models import Run, RunResult
from verification.queries import results_seen
from verification.vocabulary import Scope, State

WRONG, USAGE = 1, 3
ARGPARSE_USAGE = 2
STRETCH = 0.3  # seconds of work between two looks at the progress bar
PAUSE = 0.1  # seconds between two looks while a worker does the work


class Command(BaseCommand):
    """Exit codes: 0 everything is as it was received and signed; 1 something is not, and is named; 3 usage.

    The work is a run like any other: it stands on the audit desk, and Ctrl-C cancels it.
    """

    help = "Verify items, a compartment, everything you may verify, or the ledger alone."

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            sys.exit(USAGE if end.code == ARGPARSE_USAGE else end.code)

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--item", action="append", metavar="ACCESSION", help="an item; may be given several times")
        what.add_argument("--compartment", metavar="CODE")
        what.add_argument("--all", action="store_true", help="everything the person may verify")
        what.add_argument("--ledger-only", action="store_true")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="who asks; kept in the ledger")
        parser.add_argument("--json", action="store_true", help="the verdict as JSON on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {options['user']}.", returncode=USAGE)
        run = self._asked(user, options)
        try:
            self._follow(run)
        except KeyboardInterrupt:
            run.refresh_from_db()
            if run.under_way:
                actions.cancel_run(by=user, at=timezone.now(), run_id=run.pk)
            raise CommandError("Cancelled; what was verified so far stays.", returncode=WRONG) from None
        bad = [row for row in results_seen(user, run) if not row.good]
        if options["json"]:
            self._print_json(run, bad)
        else:
            self._print(run, bad)
        if not run.is_clean:
            sys.exit(WRONG)

    def _asked(self, user: User, options: dict[str, Any]) -> Run:
        more: dict[str, Any] = {"scope": Scope.LEDGER if options["ledger_only"] else Scope.EVERYTHING}
        if options["item"]:
            more = {"scope": Scope.ONE if len(options["item"]) == 1 else Scope.SELECTION, "accessions": options["item"]}
        elif options["compartment"]:
            place = compartments(user, "item.verify").filter(code=options["compartment"]).first()
            if place is None:
                message = f"There is no compartment {options['compartment']} in which {user.username} verifies items."
                raise CommandError(message, returncode=USAGE)
            more = {"scope": Scope.COMPARTMENT, "compartment_id": place.pk}
        try:
            return actions.request_run(by=user, at=timezone.now(), **more)
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages), returncode=USAGE) from None
        except (Refused, NotVisible) as problem:
            record_if_refused(problem)
            raise CommandError(f"{user.username} may not do this.", returncode=USAGE) from None

    def _follow(self, run: Run) -> None:
        """Work through the run here, or watch while a worker does, with a bar on a terminal."""
        with tqdm(unit="entry", desc="ledger", disable=None if run.checks_ledger else True) as bar:
            actions.work(run_id=run.pk, until=0, progress=lambda done, total: _move(bar, done, total))
        with tqdm(unit="item", desc="items", disable=True if run.scope == Scope.LEDGER else None) as bar:
            while run.under_way:
                if not actions.work(run_id=run.pk, until=time.monotonic() + STRETCH):
                    time.sleep(PAUSE)  # it is over, or a worker has it
                run.refresh_from_db()
                _move(bar, run.done, run.total)

    def _print(self, run: Run, bad: list[RunResult]) -> None:
        for fault in run.ledger_faults:
            self.stdout.write(f"{fault['where']}: {fault['what']}")
        if run.ledger_fault_count > len(run.ledger_faults):
            self.stdout.write(f"... and {run.ledger_fault_count - len(run.ledger_faults)} more faults of the ledger")
        for row in bad:
            self.stdout.write(f"{row.accession}: {row.outcome}: {row.detail}")
        if run.unreached:
            self.stdout.write(f"{run.unreached} items could no longer be reached")
        if run.state != State.FINISHED:
            self.stdout.write(f"The run was {run.state}. {run.problem}".rstrip())
        entries = f"{run.ledger_total} ledger entries, {run.ledger_fault_count} faults; " if run.checks_ledger else ""
        verdict = "VERIFIED" if run.is_clean else "NOT VERIFIED"
        self.stdout.write(f"{verdict}: {entries}{run.done} of {run.total} items checked, {run.failed} failed.")

    def _print_json(self, run: Run, bad: list[RunResult]) -> None:
        answer = {
            "verified": run.is_clean,
            "run": str(run.pk),
            "state": run.state,
            "entries": run.ledger_total,
            "ledger_fault_count": run.ledger_fault_count,
            "ledger_faults": run.ledger_faults,
            "items": run.done,
            "failed": run.failed,
            "unreached": run.unreached,
            "failures": [{"accession": row.accession, "outcome": row.outcome, "detail": row.detail} for row in bad],
        }
        self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))


def _move(bar: "tqdm[NoReturn]", done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)

"""`manage.py ingest FOLDER --incident CODE --as USER`: every file below a folder becomes an item of an incident."""

import json
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, permitted
from evidence import blobs
from evidence.blobs import ReceptionRefused
from evidence.models import Item
from evidence.receipts import write_receipts
from evidence.store import StoreProblem
from incidents import uploads
from incidents.bodies import moment, name_of
from incidents.folder import FolderProblem, Found, Journal, Skipped, read, walk
from incidents.models import Incident, Intake
from incidents.vocabulary import Stance

SOME_FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Command(BaseCommand):
    help = (
        "Ingest every file below FOLDER into an incident. The folder is only read. Run it again to go on where it "
        "stopped: what is done is skipped. Exits 1 when a file failed, and lists which."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="FOLDER")
        parser.add_argument("--incident", required=True, metavar="CODE")
        parser.add_argument("--compartment", default="", metavar="CODE", help="needed when two have such an incident")
        parser.add_argument("--as", required=True, dest="username", metavar="USER", help="who receives the items")
        parser.add_argument("--stance", choices=Stance.values, default=Stance.CONTEXT)
        parser.add_argument("--reasons", default="", help="why they belong to the incident; kept in the ledger")
        parser.add_argument("--receipts", metavar="DIR", help="write each item's receipt there, once it is recorded")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["username"], is_active=True).first()
        if by is None:
            raise CommandError(f"no person with the user name {options['username']} may sign in", returncode=USAGE)
        incident = self._incident(by, options["incident"], options["compartment"])
        folder = options["folder"]
        if not Path(folder).is_dir():
            raise CommandError("FOLDER is not a folder", returncode=USAGE)
        receipts = Path(options["receipts"]) if options["receipts"] else None
        if receipts is not None and (
            not receipts.is_dir() or receipts.resolve().is_relative_to(Path(folder).resolve())
        ):
            raise CommandError("--receipts names a folder that there is, outside FOLDER", returncode=USAGE)
        reasons = options["reasons"] or "Ingested from a folder by command line."
        run = _Run(by, incident, options["stance"], reasons, quiet=options["json"], out=self.stdout)
        try:
            with Journal(folder, incident.pk) as journal:
                run.all_of(folder, journal)
        except FolderProblem as problem:
            raise CommandError(str(problem), returncode=USAGE) from None
        except (Refused, NotVisible):
            raise CommandError(f"{by.username} may not receive items there", returncode=USAGE) from None
        except NotNow as problem:
            raise CommandError(str(problem.message), returncode=USAGE) from None
        except ValidationError as problem:
            raise CommandError("; ".join(problem.messages), returncode=USAGE) from None
        except KeyboardInterrupt:
            self.stderr.write("Stopped. Nothing is lost: run it again to go on.")
            sys.exit(INTERRUPTED)
        if receipts is not None:
            run.write_receipts(receipts)
        self._report(run, incident, as_json=options["json"])
        if run.failed:
            sys.exit(SOME_FAILED)

    def _incident(self, by: User, code: str, compartment: str) -> Incident:
        seen = permitted(by, "incident.view", Incident.objects.select_related("compartment")).filter(code=code)
        found = list(seen.filter(compartment__code=compartment) if compartment else seen)
        if not found:
            raise CommandError(f"{by.username} sees no incident {code}", returncode=USAGE)
        if len(found) > 1:
            codes = ", ".join(sorted(row.compartment.code for row in found))
            raise CommandError(f"several compartments have {code}: add --compartment, one of {codes}", returncode=USAGE)
        return found[0]

    def _report(self, run: "_Run", incident: Incident, *, as_json: bool) -> None:
        if as_json:
            summary = {
                "incident": incident.code,
                "compartment": incident.compartment.code,
                "ingested": run.ingested,
                "already": run.already,
                "skipped": run.skipped,
                "failed": run.failed,
                **({"receipts": run.receipts} if run.receipts is not None else {}),
            }
            self.stdout.write(json.dumps(summary, ensure_ascii=False, indent=1))
            return
        for row in run.skipped:
            self.stderr.write(f"skipped  {row['path']}: {row['detail']}")
        for row in run.failed:
            self.stderr.write(f"FAILED   {row['path']}: {row['detail']}")
        if run.receipts is not None:
            words = f"{len(run.receipts['recorded'])} receipts recorded"
            pending = len(run.receipts["pending"])
            more = f", {pending} pending: run it again when the sequencer is at work" if pending else ""
            self.stderr.write(words + more)
        self.stderr.write(
            f"{len(run.ingested)} ingested, {len(run.already)} already there, {len(run.skipped)} skipped, "
            f"{len(run.failed)} failed, into {incident.compartment.code} {incident.code}"
        )


class _Run:
    """One run over a folder, and what became of each file."""

    def __init__(self, by: User, incident: Incident, stance: str, reasons: str, *, quiet: bool, out: Any) -> None:
        self.by, self.incident, self.stance, self.reasons = by, incident, stance, reasons
        self.quiet, self.out = quiet, out
        self.intake: Intake | None = None
        self.ingested: list[dict[str, Any]] = []
        self.already: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.receipts: dict[str, list[str]] | None = None

    def write_receipts(self, folder: Path) -> None:
        """The receipts of everything this run held or found held, into a folder. Raises CommandError."""
        held = [row["accession"] for row in (*self.ingested, *self.already)]
        items = permitted(self.by, "item.view", Item.objects.filter(accession__in=held, erased_at__isnull=True))
        try:
            states = write_receipts(items.order_by("accession"), folder)
        except OSError as problem:
            raise CommandError(f"receipts cannot be written: {problem.strerror}") from None
        self.receipts = {
            "recorded": [accession for accession, recorded in states.items() if recorded],
            "pending": [accession for accession, recorded in states.items() if not recorded],
        }

    def all_of(self, folder: str, journal: Journal) -> None:
        found: list[Found] = []
        for entry in walk(folder):
            if isinstance(entry, Skipped):
                self.skipped.append({"path": entry.shown, "detail": entry.why})
            else:
                found.append(entry)
        total = sum(entry.size for entry in found)
        shown = sys.stderr.isatty() and not self.quiet
        with tqdm(total=total, unit="B", unit_scale=True, disable=not shown, dynamic_ncols=True) as bar:
            for number, entry in enumerate(found, start=1):
                bar.set_postfix_str(f"{number}/{len(found)}", refresh=False)
                self._one(entry, journal, bar)

    def _one(self, entry: Found, journal: Journal, bar: Any) -> None:
        key = entry.key(self.incident.pk)
        done = journal.done.get(str(key))
        if done is None and (item := uploads.earlier_item(self.by, key)):
            # Recorded, then killed before the journal was written.
            done = _line(item, key)
            journal.add(done)
        if done is not None:
            self.already.append({"path": entry.shown, **done})
            bar.update(entry.size)
            return
        before = bar.n
        try:
            item = self._receive(entry, key, bar)
        except (ReceptionRefused, StoreProblem, NotNow, ValidationError) as problem:
            self.failed.append({"path": entry.shown, "code": _code(problem), "detail": _words(problem)})
            bar.update(before + entry.size - bar.n)
            return
        journal.add(_line(item, key))
        self.ingested.append({"path": entry.shown, **_line(item, key)})
        if not self.quiet:
            bar.clear()
            self.out.write(f"{item.accession}  sha256:{item.sha256}  sha512:{item.sha512}  {item.size}  {entry.shown}")

    def _receive(self, entry: Found, key: UUID, bar: Any) -> Item:
        if self.intake is None:
            said = {"stance": self.stance, "reasons": self.reasons}
            self.intake = uploads.announce(by=self.by, at=timezone.now(), incident=self.incident, fields=said)

        def pieces() -> Any:
            for piece in read(entry):
                yield piece
                bar.update(len(piece))

        received = blobs.receive(pieces(), declared_size=entry.size)
        return uploads.accept(
            by=self.by,
            at=timezone.now(),
            intake=self.intake,
            received=received,
            original_name=name_of(os.fsencode(Path(entry.path).name)),
            idempotency_key=key,
            file_time=moment(entry.mtime_ns / 1e9),
        )


def _line(item: Item, key: UUID) -> dict[str, Any]:
    return {
        "key": str(key),
        "accession": item.accession,
        "sha256": item.sha256,
        "sha512": item.sha512,
        "size": item.size,
        "duplicate_of": item.duplicate_of.accession if item.duplicate_of else None,
    }


def _code(problem: Exception) -> str:
    if isinstance(problem, ReceptionRefused):
        return problem.code
    return {"StoreProblem": "store", "NotNow": "not_now", "ValidationError": "invalid"}[type(problem).__name__]


def _words(problem: Exception) -> str:
    return "; ".join(problem.messages) if isinstance(problem, ValidationError) else str(problem)

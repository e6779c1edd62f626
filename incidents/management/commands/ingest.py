"""`manage.py ingest SOURCE --incident CODE --as USER`: a folder, a bag or a zip becomes items of an incident."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, permitted, require, require_compartment
from evidence import blobs
from evidence.blobs import ReceptionRefused
from evidence.models import Item
from evidence.receipts import write_receipts
from evidence.standing import standing
from evidence.store import StoreProblem
from evidence.streams import StreamBroken
from incidents import batch, uploads
from incidents.bodies import moment, name_of
from incidents.folder import FolderProblem, Found, Journal, Skipped, found_file, read, shown, walk
from incidents.models import Incident, Intake
from incidents.shapes import ContainerProblem
from incidents.state import require_not_closed
from incidents.vocabulary import Stance
from incidents.wacz import is_wacz, read_wacz
from incidents.zipped import Zip

SOME_FAILED, USAGE, INTERRUPTED = 1, 2, 130
PROBLEMS = (ContainerProblem, ReceptionRefused, StoreProblem, StreamBroken, NotNow, ValidationError)


class Command(BaseCommand):
    help = (
        "Ingest every file below a folder, a BagIt bag or a zip into an incident. The source is only read. Run it "
        "again to go on where it stopped: what is done is skipped. Exits 1 when a file failed, and lists which."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="SOURCE", help="a folder, or a .zip")
        parser.add_argument(
            "--bag", action="store_true", help="SOURCE is a bag (RFC 8493): all of it agrees, or nothing"
        )
        parser.add_argument("--unpack", action="store_true", help="the members of the zip become items too")
        parser.add_argument("--dry-run", action="store_true", help="read and compare everything, keep nothing, list it")
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
        if not Path(folder).is_dir() and not _is_zip(folder):
            raise CommandError("SOURCE is neither a folder nor a zip", returncode=USAGE)
        if options["unpack"] and Path(folder).is_dir():
            raise CommandError("--unpack is for a zip; a folder is taken as it is", returncode=USAGE)
        receipts = Path(options["receipts"]) if options["receipts"] else None
        if receipts is not None and (
            not receipts.is_dir() or receipts.resolve().is_relative_to(Path(folder).resolve())
        ):
            raise CommandError("--receipts names a folder that there is, outside SOURCE", returncode=USAGE)
        reasons = options["reasons"] or "Ingested from a folder by command line."
        run = _Run(by, incident, options["stance"], reasons, quiet=options["json"], out=self.stdout)
        try:
            if options["dry_run"]:
                run.rehearse(folder, bag=options["bag"], unpack=options["unpack"])
            else:
                with Journal(folder, incident.pk) as journal:
                    if options["bag"] or not Path(folder).is_dir():
                        run.container(folder, journal, bag=options["bag"], unpack=options["unpack"])
                    else:
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
        if receipts is not None and not options["dry_run"]:
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
                **({"web_archives": run.web_archives} if run.web_archives else {}),
                **({"would": run.would} if run.would is not None else {}),
                **({"receipts": run.receipts} if run.receipts is not None else {}),
            }
            self.stdout.write(json.dumps(summary, ensure_ascii=False, indent=1))
            return
        for row in run.skipped:
            self.stderr.write(f"skipped  {row['path']}: {row['detail']}")
        for row in run.failed:
            self.stderr.write(f"FAILED   {row['path']}: {row['detail']}")
        if run.would is not None:
            for row in run.would:
                self.stdout.write(f"{row['state']:8} {row['size']:>14}  {row['path']}")
            new = sum(row["state"] == "new" for row in run.would)
            self.stderr.write(f"Nothing was kept: {new} would be ingested, {len(run.would) - new} are already there")
            return
        for archive in run.web_archives:
            said = f"a web archive of {archive['page_count']} pages, made {archive['created'] or 'at no stated time'}"
            signed = "signed (not verified)" if archive["signature"] else "not signed"
            self.stderr.write(f"{archive['path']}: {said}, {signed}")
            for fault in archive["faults"]:
                self.stderr.write(f"{archive['path']}: {fault}")
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
        self.web_archives: list[dict[str, Any]] = []
        self.would: list[dict[str, Any]] | None = None
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

    def container(self, source: str, journal: Journal, *, bag: bool, unpack: bool) -> None:
        """Take a bag or a zip: all that is asked for of it, or nothing when anything in it is not as it says."""
        try:
            if Path(source).is_dir():
                parts, _bag = batch.parts_of_bag(batch.BagFolder(source), self.incident.pk)
                waiting, container = self._waiting(parts, journal)
                self._record(self._received(waiting), container, journal)
            else:
                self._zip(found_file(source), journal, bag=bag, unpack=unpack)
        except PROBLEMS as problem:
            where = shown(Path(source).name)
            self.failed.append({"path": where, "code": _code(problem), "detail": _words(problem)})

    def _zip(self, entry: Found, journal: Journal, *, bag: bool, unpack: bool) -> None:
        key = entry.key(self.incident.pk)
        name = name_of(os.fsencode(Path(entry.path).name))
        whole = batch.Part(name, entry.size, key, lambda: read(entry), moment(entry.mtime_ns / 1e9))
        waiting, container = self._waiting([whole], journal)
        taken = self._received(waiting)
        try:
            if taken:
                self._look_at(taken[0][1], shown(name))
            if bag or unpack:
                taken += self._members(container or taken[0][1], key, journal, bag=bag, unpack=unpack)
        except BaseException:
            for _part, received in taken:
                blobs.discard(received)
            raise
        self._record(taken, container, journal)

    def _look_at(self, stored: blobs.Received, path: str) -> None:
        """What a web archive says of itself, for the summary; of any other zip, and of one in disorder, nothing."""
        with suppress(ContainerProblem), batch.zip_of(stored) as zipped:
            if is_wacz(zipped):
                self.web_archives.append({"path": path, **read_wacz(zipped).as_json()})

    def _members(
        self, stored: Item | blobs.Received, key: UUID, journal: Journal, *, bag: bool, unpack: bool
    ) -> list[tuple[batch.Part, blobs.Received]]:
        with batch.zip_of(stored) as zipped:
            parts, _bag = batch.parts_of_zip(zipped, key, bag=bag)
            if not unpack:
                batch.read_through(parts)
                return []
            waiting, _first = self._waiting(parts, journal)
            return self._received(waiting)

    def rehearse(self, source: str, *, bag: bool, unpack: bool) -> None:
        """Read and compare all of it, and say what would be new. Raises FolderProblem, NotVisible, Refused, NotNow."""
        self.would = []
        require_not_closed(require(self.by, "incident.receive", Incident.objects.all(), pk=self.incident.pk))
        require_compartment(self.by, "item.receive", self.incident.compartment_id)
        try:
            for path, size, key in self._rehearsed(source, bag=bag, unpack=unpack):
                state = "already" if uploads.earlier_item(self.by, key) else "new"
                self.would.append({"path": path, "size": size, "state": state})
        except PROBLEMS as problem:
            self.would = []
            self.failed.append({"path": shown(Path(source).name), "code": _code(problem), "detail": _words(problem)})

    def _rehearsed(self, source: str, *, bag: bool, unpack: bool) -> Iterator[tuple[str, int, UUID]]:
        if not Path(source).is_dir():
            entry = found_file(source)
            yield entry.shown, entry.size, entry.key(self.incident.pk)
            if bag or unpack:
                with Path(source).open("rb") as handle:
                    zipped = Zip(lambda at, length: os.pread(handle.fileno(), length, at), entry.size)
                    parts, _bag = batch.parts_of_zip(zipped, entry.key(self.incident.pk), bag=bag)
                    batch.read_through(parts)
                    yield from ((shown(part.path), part.size, part.key) for part in parts if unpack)
        elif bag:
            parts, _bag = batch.parts_of_bag(batch.BagFolder(source), self.incident.pk)
            batch.read_through(parts)
            yield from ((shown(part.path), part.size, part.key) for part in parts)
        else:
            for each in walk(source):
                if isinstance(each, Skipped):
                    self.skipped.append({"path": each.shown, "detail": each.why})
                else:
                    yield each.shown, each.size, each.key(self.incident.pk)

    def _waiting(self, parts: list[batch.Part], journal: Journal) -> tuple[list[batch.Part], Item | None]:
        """The parts that are no items yet, and the item that the first of all is already."""
        waiting, first = [], None
        for number, part in enumerate(parts):
            done = self._done(part.key, journal)
            if done is None:
                waiting.append(part)
                continue
            self.already.append({"path": shown(part.path), **done})
            if number == 0:
                first = standing(self.by, "item.view_content", accession=done["accession"])
        return waiting, first

    def _received(self, parts: list[batch.Part]) -> list[tuple[batch.Part, blobs.Received]]:
        showing = sys.stderr.isatty() and not self.quiet
        total = sum(part.size for part in parts)
        with tqdm(total=total, unit="B", unit_scale=True, disable=not showing, dynamic_ncols=True) as bar:
            return batch.receive_together(parts, bar.update)

    def _record(self, taken: list[tuple[batch.Part, blobs.Received]], container: Item | None, journal: Journal) -> None:
        if not taken:
            return
        made = batch.record_together(by=self.by, intake=self._announced(), taken=taken, container=container)
        for part, item in made:
            journal.add(_line(item, part.key))
            self._tell(item, part.key, shown(part.path))

    def _done(self, key: UUID, journal: Journal) -> dict[str, Any] | None:
        done = journal.done.get(str(key))
        if done is None and (item := uploads.earlier_item(self.by, key)):
            # Recorded, then killed before the journal was written.
            done = _line(item, key)
            journal.add(done)
        return done

    def _tell(self, item: Item, key: UUID, path: str) -> None:
        self.ingested.append({"path": path, **_line(item, key)})
        if not self.quiet:
            self.out.write(f"{item.accession}  sha256:{item.sha256}  sha512:{item.sha512}  {item.size}  {path}")

    def _announced(self) -> Intake:
        if self.intake is None:
            said = {"stance": self.stance, "reasons": self.reasons}
            self.intake = uploads.announce(by=self.by, at=timezone.now(), incident=self.incident, fields=said)
        return self.intake

    def _one(self, entry: Found, journal: Journal, bar: Any) -> None:
        key = entry.key(self.incident.pk)
        done = self._done(key, journal)
        if done is not None:
            self.already.append({"path": entry.shown, **done})
            bar.update(entry.size)
            return
        before = bar.n
        try:
            item = self._receive(entry, key, bar)
        except PROBLEMS as problem:
            self.failed.append({"path": entry.shown, "code": _code(problem), "detail": _words(problem)})
            bar.update(before + entry.size - bar.n)
            return
        journal.add(_line(item, key))
        if not self.quiet:
            bar.clear()
        self._tell(item, key, entry.shown)

    def _receive(self, entry: Found, key: UUID, bar: Any) -> Item:
        intake = self._announced()

        def pieces() -> Any:
            for piece in read(entry):
                yield piece
                bar.update(len(piece))

        received = blobs.receive(pieces(), declared_size=entry.size)
        return uploads.accept(
            by=self.by,
            at=timezone.now(),
            intake=intake,
            received=received,
            original_name=name_of(os.fsencode(Path(entry.path).name)),
            idempotency_key=key,
            file_time=moment(entry.mtime_ns / 1e9),
        )


def _is_zip(path: str) -> bool:
    """A file that begins as a zip does; whether it is one, its reader says."""
    try:
        with Path(path).open("rb") as handle:
            return Path(path).is_file() and handle.read(4) in (b"PK\3\4", b"PK\5\6")
    except OSError:
        return False


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
    codes = {ContainerProblem: "container", NotNow: "not_now", ValidationError: "invalid", StoreProblem: "store"}
    return next((code for kind, code in codes.items() if isinstance(problem, kind)), "failed")


def _words(problem: Exception) -> str:
    return "; ".join(problem.messages) if isinstance(problem, ValidationError) else str(problem)

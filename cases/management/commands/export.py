"""`manage.py export`: write the bundle of a case file to a folder or a .zip outside the archive."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from accounts.exceptions import record_if_refused
from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, permitted
from cases import bundles, disclosure
from cases.coverage import must_be_covered
from cases.disclosure import Field, Preset
from cases.export import ExportProblem, build
from cases.models import CaseFile
from custody.ledger_keys import vkey
from ledger.bundle import zip_bundle
from ledger.note import fingerprint
from ledger.source import BundleError


class Command(BaseCommand):
    help = "Export the exhibits of a case file as a bundle that anyone can check with `python -m ledger verify`."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("case", help="case number, such as C-0001")
        parser.add_argument("--compartment", help="its compartment's code, where the number alone is not enough")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="the person who exports")
        parser.add_argument("--to", required=True, metavar="PATH", help="a new folder, or a new file ending in .zip")
        choice = parser.add_mutually_exclusive_group()
        names = ", ".join(Field.values)
        choice.add_argument("--open", nargs="*", metavar="FIELD", help=f"open these fields of events only: {names}")
        choice.add_argument("--withhold", nargs="+", metavar="FIELD", help="open all that may leave but these")
        choice.add_argument("--preset", choices=Preset.values, help="a sensible choice: " + ", ".join(Preset.values))
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["user"])
        except User.DoesNotExist:
            raise CommandError(f"Nobody here is called {options['user']}.", returncode=3) from None
        target = Path(options["to"])
        if target.exists():
            raise CommandError(f"{target} is there already; name a new place.", returncode=3)
        if not target.parent.is_dir():
            raise CommandError(f"The folder {target.parent} does not exist.", returncode=3)
        try:
            result = self._export(user, self._case(user, options), target, _opened(options))
        except (Refused, NotVisible) as refused:
            record_if_refused(refused)
            raise CommandError("You may not export this case file.", returncode=1) from None
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages), returncode=3) from None
        except NotNow as not_now:
            raise CommandError(str(not_now.message), returncode=1) from None
        except (ExportProblem, BundleError, OSError) as problem:
            raise CommandError(str(problem), returncode=1) from None
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(
                f"{result['items']} exhibits, {result['entries']} custody entries, {result['size']} bytes: {target}\n"
                f"{result['fields_opened']} values opened, {result['fields_withheld']} withheld\n"
                f"Ledger key {result['vkey']}\n  fingerprint {result['fingerprint']}\n"
                f"Anyone can check it:  python3 -m ledger verify {target}"
            )

    def _case(self, user: User, options: dict[str, Any]) -> CaseFile:
        found = permitted(user, "case.view", CaseFile.objects.select_related("compartment")).filter(
            code=options["case"]
        )
        if options["compartment"]:
            found = found.filter(compartment__code=options["compartment"])
        cases = list(found[:2])
        if not cases:
            raise CommandError(f"You see no case file {options['case']}.", returncode=3)
        if len(cases) > 1:
            raise CommandError("Several compartments have this case number; add --compartment CODE.", returncode=3)
        return cases[0]

    def _export(self, user: User, case_file: CaseFile, target: Path, opened: list[str]) -> dict[str, Any]:
        at = timezone.now()
        case_file, listed = bundles.export_outside(by=user, at=at, case_id=case_file.pk, opened=opened)
        with tqdm(total=1, desc="exporting", unit="exhibit", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.n = done
                bar.refresh()

            if target.suffix == ".zip":
                with tempfile.TemporaryDirectory(prefix=f".{target.stem}.", dir=target.parent) as folder:
                    inside = Path(folder) / target.stem
                    built = build(case_file, inside, listed=listed, until=at, opened=opened, progress=progress)
                    must_be_covered(case_file, timezone.now(), accessions={row[1] for row in listed})
                    zip_bundle(built.summary.path, target)
            else:
                built = build(case_file, target, listed=listed, until=at, opened=opened, progress=progress)
                try:
                    must_be_covered(case_file, timezone.now(), accessions={row[1] for row in listed})
                except NotNow:
                    shutil.rmtree(target)
                    raise
        return {
            "bundle": str(target),
            "items": built.summary.items,
            "entries": built.summary.entries,
            "fields_opened": built.opened,
            "fields_withheld": built.withheld,
            "size": built.summary.size,
            "tagmanifest_sha256": built.summary.digest,
            "vkey": vkey(),
            "fingerprint": fingerprint(vkey()),
        }


def _opened(options: dict[str, Any]) -> list[str]:
    """The fields to open. Raises ValidationError for one that there is not."""
    if options["preset"]:
        return Preset(options["preset"]).fields
    if options["withhold"]:
        return disclosure.withheld(disclosure.chosen(options["withhold"]))
    return disclosure.ALL if options["open"] is None else disclosure.chosen(options["open"])

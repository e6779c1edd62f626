"""`manage.py copy_store FROM TO`: bring everything that has a row into another store, and prove it.

Both lists are read beside each other, so that what is there already costs nothing: a run that was stopped goes on where
it stopped. Each copy is hashed on the way, read back, and recorded in the ledger.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from evidence import migrating, store
from evidence.store_shape import StoreProblem


class Command(BaseCommand):
    help = "Copy every object to another store of SANAD_STORES. Exits 1 when something could not be copied."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FROM", help="the name of the store to read")
        parser.add_argument("target", metavar="TO", help="the name of the store to fill")
        parser.add_argument(
            "--verify", action="store_true", help="also read and hash what stood in the target before this run"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source, target = store.named(options["source"]), store.named(options["target"])
            if source.name == target.name:
                raise CommandError("FROM and TO are the same store")
            with tqdm(unit="object", disable=None) as bar:
                done = migrating.copy_all(source, target, verify=options["verify"], tell=bar.update)
        except StoreProblem as problem:
            raise CommandError(f"stopped: {problem}. Run it again: it goes on where it stopped.") from None
        for address, words in done.failed:
            self.stderr.write(f"NOT COPIED {address}: {words}")
        self.stdout.write(
            f"{done.objects} objects: {done.there} stood there"
            f"{f' ({done.verified} read and hashed)' if options['verify'] else ''}, "
            f"{done.copied} copied and read back, {done.replaced} replaced, {len(done.failed)} failed"
        )
        if done.failed:
            raise CommandError(f"{len(done.failed)} objects are not in {target.name}")

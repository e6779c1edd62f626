"""`manage.py check_object_store`: whether stores keep their word. Exits 1 when one lies, 2 when one does not answer."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from evidence import store, store_probes
from evidence.store_shape import Store, StoreProblem
from evidence.store_urls import BadStoreUrl


class Command(BaseCommand):
    help = "Ask stores whether they compare digests, never overwrite, and keep locks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stores", nargs="*", metavar="STORE", help="a name, or a URL not in use yet (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        lying, silent = [], []
        for one in self._asked_for(options["stores"]):
            self.stdout.write(f"{one.name}: {one.where}")
            try:
                probed = store_probes.check(one)
            except StoreProblem as problem:
                self.stderr.write(f"  it cannot be asked: {problem}")
                silent.append(one.name)
                continue
            for found in probed:
                self.stdout.write(f"  {'yes' if found.kept else 'NO '}  {found.name}")
                if not found.kept:
                    self.stdout.write(f"       {found.detail}")
            kept = sum(found.kept for found in probed)
            self.stdout.write(f"  {kept} of {len(probed)} hold")
            if kept < len(probed):
                lying.append(one.name)
        if lying:
            raise CommandError(f"refused: {', '.join(lying)} does not keep its word")
        if silent:
            raise CommandError(f"not checked: {', '.join(silent)}", returncode=2)

    def _asked_for(self, named: list[str]) -> list[Store]:
        try:
            if not named:
                return list(store.stores())
            return [self._one(text) for text in named]
        except (StoreProblem, BadStoreUrl) as problem:
            raise CommandError(str(problem)) from None

    def _one(self, text: str) -> Store:
        if "://" not in text:
            return store.named(text)
        return store.made(text, Path(settings.SANAD_STORE_KEYS))[0]

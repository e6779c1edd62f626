"""`manage.py establish_signer`: gives the signer a memory again, from a checkpoint that the operator trusts."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.engine import SYSTEM
from custody.establishing import establish, known_keys
from custody.key_changes import KeyRefused
from custody.keys import KeyProblem
from ledger.note import fingerprint


class Command(BaseCommand):
    """Exit code 1 with one sentence when the ledger is no continuation of the checkpoint; then nothing was changed."""

    help = "Establish the memory of a signer that lost it (docs/howto/ledger-keys.md). Never done by itself."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--checkpoint", required=True, type=Path, metavar="FILE", help="the newest signed head that others hold"
        )
        parser.add_argument("--vkey", action="append", default=[], help="the ledger's key, where its file is lost too")
        parser.add_argument("--new-key", action="store_true", help="the signing key is lost too: begin a new one")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            note = options["checkpoint"].read_text("utf-8")
            done = establish(
                note, known_keys(options["vkey"]), new_key=options["new_key"], by=SYSTEM, at=timezone.now()
            )
        except (OSError, UnicodeDecodeError) as problem:
            raise CommandError(f"{options['checkpoint']} cannot be read: {type(problem).__name__}") from None
        except (KeyRefused, KeyProblem) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"The stored ledger continues the checkpoint over {done.trusted.size} entries.\n"
            f"The signer goes on after checkpoint {done.head.number}, over {done.head.size} entries.\n"
            f"Recorded by event {done.event_id}.\n"
        )
        if done.fresh:
            self.stdout.write(
                f"The new key, of which every reader has to be told:\n  {done.fresh.vkey}\n"
                f"  fingerprint {fingerprint(done.fresh.vkey)}\n"
            )

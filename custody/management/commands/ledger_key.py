"""`manage.py ledger_key compromised`: the signing key is, or may be, in other hands."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody import key_changes
from custody.engine import SYSTEM
from custody.key_changes import KeyRefused
from custody.models import Checkpoint
from custody.signer_state import SignerRefused
from ledger.note import fingerprint


class Command(BaseCommand):
    """Exit code 1 with one sentence when it cannot be done; then nothing was changed."""

    help = "Say that a signing key of the ledger was compromised (docs/howto/ledger-keys.md)."

    def add_arguments(self, parser: Any) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        compromised = acts.add_parser("compromised", help="stop signing with it, begin a new key, record since when")
        compromised.add_argument("key_id", metavar="KEY", help="the key id, 8 hex digits")
        compromised.add_argument("--since", required=True, metavar="TIME", help="UTC, such as 2025-03-07T10:00")
        compromised.add_argument(
            "--last-good",
            required=True,
            type=int,
            metavar="SIZE",
            help="the size of the last head that is ours for sure",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = datetime.fromisoformat(options["since"])
        except ValueError:
            raise CommandError("--since is a time such as 2025-03-07T10:00") from None
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
        good = Checkpoint.objects.filter(size=options["last_good"]).order_by("-number").first()
        if good is None:
            raise CommandError(f"no head over {options['last_good']} entries is stored")
        try:
            done = key_changes.compromised(options["key_id"], since=since, last_good=good, by=SYSTEM, at=timezone.now())
        except (KeyRefused, SignerRefused) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"Key {done.lost.key_id} signs nothing any more, and is believed up to size {done.lost.trusted}.\n"
            f"Recorded by event {done.event_id}. The new key, of which every reader has to be told:\n"
            f"  {done.fresh.vkey}\n  fingerprint {fingerprint(done.fresh.vkey)}\n"
            f"{len(done.left)} events by which bundles were made or left under the old key since then:\n"
        )
        for event_id in done.left:
            self.stdout.write(f"  {event_id}\n")

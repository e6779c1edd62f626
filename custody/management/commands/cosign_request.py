"""`manage.py cosign_request`: what a cosigner without network is brought, on stdout."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.cosignatures import Refused, newest_of, policy
from custody.cosigners import request
from custody.proof import newest_heartbeat
from ledger.policy import PolicyError


class Command(BaseCommand):
    """Prints the body of a C2SP tlog-witness add-checkpoint request for the newest heartbeat."""

    help = "Print a request for a cosigner without network; it answers with: python -m ledger cosign --checkpoint FILE"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--cosigner", metavar="NAME", help="its name in the policy file: the proof starts there")
        parser.add_argument("--since", type=int, metavar="SIZE", help="the size it says it holds")

    def handle(self, *args: Any, **options: Any) -> None:
        head = newest_heartbeat()
        if head is None:
            raise CommandError("Nothing is signed yet.")
        try:
            since = options["since"] if options["since"] is not None else _known(options["cosigner"])
            if not 0 <= since <= head.size:
                raise CommandError(f"The newest signed head has {head.size} entries, none starts from {since}.")
            self.stdout.write(request(head, since), ending="")
        except (Refused, PolicyError) as problem:
            raise CommandError(f"{problem}.") from problem


def _known(name: str | None) -> int:
    if name is None:
        return 0
    trusted = policy()
    if trusted is None or name not in trusted.witnesses:
        raise CommandError(f"The policy file names no cosigner {name}.")
    last = newest_of(trusted.witnesses[name])
    return last.checkpoint.size if last else 0

"""`manage.py rotate_ledger_key`: a new key of the ledger, an overlap in which both sign, the old one's end."""

import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody import key_changes
from custody.engine import SYSTEM
from custody.key_changes import KeyRefused
from custody.ledger_keys import LedgerKey, ledger_keys
from custody.signer_state import SignerRefused
from ledger.note import fingerprint

WAIT = 60.0  # seconds for the sequencer and the signer to cover the announcement


class Command(BaseCommand):
    """Exit code 1 with one sentence when a step cannot be made; each step may be repeated."""

    help = "Rotate the signing key of the ledger (docs/howto/ledger-keys.md)."

    def add_arguments(self, parser: Any) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("add", help="make a new key, announce it, and let it sign beside the old one")
        retire = steps.add_parser("retire", help="let an old key sign no more, and record it")
        retire.add_argument("key_id", metavar="KEY", help="the key id, 8 hex digits")
        steps.add_parser("make", help="the first part of add, where the signer runs: make a key")
        announce = steps.add_parser("announce", help="the second part of add, where the archive runs: record it")
        announce.add_argument("vkey")
        begin = steps.add_parser("begin", help="the third part of add, where the signer runs: let it sign")
        begin.add_argument("vkey")
        begin.add_argument("event", metavar="EVENT", help="the id that announce printed")
        stop = steps.add_parser("stop", help="the first part of retire, where the signer runs")
        stop.add_argument("key_id", metavar="KEY")
        record = steps.add_parser("record-retirement", help="the second part of retire, where the archive runs")
        record.add_argument("key_id", metavar="KEY")
        steps.add_parser("show", help="the keys and the sizes they sign")

    def handle(self, *args: Any, **options: Any) -> None:
        step = getattr(self, "_" + options["step"].replace("-", "_"))
        try:
            step(options)
        except (KeyRefused, SignerRefused) as problem:
            raise CommandError(str(problem)) from None

    def _add(self, options: dict[str, Any]) -> None:
        made = key_changes.make()
        event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
        deadline = time.monotonic() + WAIT
        while not key_changes.handed_over(event_id):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"The new key is announced by event {event_id} and does not sign yet: no signed head covers it. "
                    "Start the sequencer and the signer, then run this again."
                )
            time.sleep(0.2)
        begun = key_changes.begin(made.vkey, event_id)
        self._say(f"Both keys sign from size {begun.start} on. Publish the new one:", begun)
        self.stdout.write("Retire the old one when readers had time to take notice.\n")

    def _make(self, options: dict[str, Any]) -> None:
        made = key_changes.make()
        self._say("Made. Announce it where the archive runs:", made)

    def _announce(self, options: dict[str, Any]) -> None:
        event_id = key_changes.announce(options["vkey"], by=SYSTEM, at=timezone.now())
        self.stdout.write(f"Announced by event {event_id}. Begin it where the signer runs.\n")

    def _begin(self, options: dict[str, Any]) -> None:
        try:
            event_id = UUID(options["event"])
        except ValueError:
            raise CommandError("an event is named by its id") from None
        begun = key_changes.begin(options["vkey"], event_id)
        self._say(f"Both keys sign from size {begun.start} on.", begun)

    def _retire(self, options: dict[str, Any]) -> None:
        self._stop(options)
        self._record_retirement(options)
        key_changes.destroy(options["key_id"])

    def _stop(self, options: dict[str, Any]) -> None:
        stopped = key_changes.stop(options["key_id"])
        self.stdout.write(f"Key {stopped.key_id} signs no head over more than {stopped.end} entries.\n")

    def _record_retirement(self, options: dict[str, Any]) -> None:
        deadline = time.monotonic() + WAIT
        while (ended := self._ended(options["key_id"])) is None:
            if time.monotonic() > deadline:
                raise CommandError("The signer has not told yet that this key ended. Is it at work?")
            time.sleep(0.2)
        event_id = key_changes.retire(ended.vkey, ended.end or 0, by=SYSTEM, at=timezone.now())
        self.stdout.write(f"Retired by event {event_id}.\n")

    @staticmethod
    def _ended(key_id: str) -> LedgerKey | None:
        return next((key for key in ledger_keys() if key.key_id == key_id and not key.signs), None)

    def _show(self, options: dict[str, Any]) -> None:
        for key in ledger_keys():
            until = "signs" if key.signs else f"to {key.end}"
            trusted = f", believed up to {key.trusted}" if key.compromised else ""
            self.stdout.write(f"{key.key_id}  from {key.start}  {until}{trusted}\n")

    def _say(self, text: str, key: LedgerKey) -> None:
        self.stdout.write(f"{text}\n  {key.vkey}\n  fingerprint {fingerprint(key.vkey)}\n")

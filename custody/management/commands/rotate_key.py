"""`manage.py rotate_key`: another key-encryption key, and every data key wrapped anew; no stored object changes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody import key_rotation, keys, rewrapping
from custody.engine import SYSTEM
from custody.token_keys import Token


class Command(BaseCommand):
    """Exit code 1 with one sentence when a step cannot be made, 3 when keys were left that nothing opens.

    Each step may be repeated.
    """

    help = "Rotate the key-encryption key (docs/howto/keys.md)."

    def add_arguments(self, parser: Any) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        add = steps.add_parser("add", help="make a new key, let it wrap, and wrap everything anew")
        add.add_argument("--module", type=Path, metavar="FILE", help="make it in a token, by this PKCS#11 module")
        add.add_argument("--token", metavar="LABEL", help="the token's label")
        steps.add_parser("rewrap", help="go on wrapping what is still under an older key")
        destroy = steps.add_parser("destroy", help="destroy an old key that nothing needs")
        destroy.add_argument("key_id", metavar="KEY", help="the key id, 16 hex digits")
        steps.add_parser("show", help="the keys, and how many data keys need each")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, "_" + options["step"])(options)
        except (key_rotation.RotationRefused, keys.KeyProblem, RuntimeError) as problem:
            raise CommandError(str(problem)) from None

    def _add(self, options: dict[str, Any]) -> None:
        if (options["module"] is None) != (options["token"] is None):
            raise CommandError("A key in a token needs both --module and --token.")
        token = None
        if options["module"] is not None:
            token = Token(options["module"].absolute(), options["token"], Path(settings.SANAD_PKCS11_PIN_FILE))
        made = key_rotation.begin(by=SYSTEM, at=timezone.now(), token=token)
        self.stdout.write(f"Key {made.id} wraps from now on. Back up {keys.key_folder()} before you go on.\n")
        self._rewrap(options)

    def _rewrap(self, options: dict[str, Any]) -> None:
        tally = rewrapping.rewrap(lambda so_far: self.stderr.write(f"{so_far.rewrapped} wrapped anew"))
        self.stdout.write(f"{tally.rewrapped} data keys were wrapped anew.\n")
        if tally.unopened:
            for context in tally.unopened[:20]:
                self.stderr.write(f"no key opens {context}")
            raise CommandError(f"{len(tally.unopened)} rows open under no key of this archive.", returncode=3)
        current = key_rotation.finish(by=SYSTEM, at=timezone.now())
        self.stdout.write(f"Everything is under the key {current}.\n")

    def _destroy(self, options: dict[str, Any]) -> None:
        key_rotation.destroy(by=SYSTEM, at=timezone.now(), key_id=options["key_id"])
        self.stdout.write(f"Key {options['key_id']} is destroyed.\n")

    def _show(self, options: dict[str, Any]) -> None:
        keys.provider()
        ring, users = keys.read_ring(keys.key_folder()), rewrapping.users()
        for listed in ring.keys:
            where = f"token {listed.token}" if listed.token else f"file {listed.file}"
            state = "wraps" if listed.id == ring.current else "opens"
            if listed.doomed:
                state = "destroyed in the ledger, not gone yet: run destroy again"
            elif listed.replaced_at is not None:
                state += f", replaced {datetime.fromtimestamp(listed.replaced_at, UTC):%Y-%m-%d %H:%M}Z"
            count = users.get(bytes.fromhex(listed.id), 0)
            self.stdout.write(f"{listed.id}  {where}  {state}  {count} data keys\n")
        if None in users:
            self.stdout.write(f"{users[None]} data keys are in the form of before keys had names.\n")

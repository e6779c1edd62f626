"""`manage.py create_archive`: the first administrator of an empty archive."""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.actions import found_archive
from accounts.models import User
from accounts.permissions import NotNow

GENERATED_BYTES = 18


class Command(BaseCommand):
    help = (
        "Make the first administrator of an empty archive. Without --password-file a password is generated and "
        'printed once, as JSON: {"username": ..., "password": ...}.'
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--username", required=True)
        parser.add_argument("--display-name", help="the name colleagues see; the user name when left out")
        parser.add_argument("--password-file", help="a file whose first line is the password; - reads standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        display_name = options["display_name"] or username
        generated = options["password_file"] is None
        password = secrets.token_urlsafe(GENERATED_BYTES) if generated else _read(options["password_file"])
        try:
            validate_password(password, User(username=username, display_name=display_name))
            found_archive(username=username, display_name=display_name, password=password, at=timezone.now())
        except NotNow as refused:
            raise CommandError(str(refused.message)) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        made = {"username": username, **({"password": password} if generated else {})}
        self.stdout.write(json.dumps(made))


def _read(name: str) -> str:
    """The first line of the file, without its line ending. Raises CommandError when there is none."""
    try:
        text = sys.stdin.readline() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"the password file {name} cannot be read") from None
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise CommandError(f"the first line of the password file {name} is empty")
    return password

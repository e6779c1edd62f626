"""The sample's people, one and more for each role. Their names say that they are nobody."""

import json
import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from accounts.actions import accept_invitation, found_archive, grant_role, invite_user, open_compartment
from accounts.models import Compartment, Role, User

CODE = "SY-2025"
TITLE = "Syria's coast, March 2025"
DESCRIPTION = (
    "The sample compartment. Places are real; incidents, people, items and cases in it are invented. "
    "Real are only the published casualty figures in the overview, each quoted with its source and scope."
)
PASSWORD_BYTES = 12
SOON = timedelta(days=10)

#: (user name, name shown, role); the administrator founds the archive and grants the others their roles.
ADMINISTRATOR = ("administrator", "Administrator (sample)", Role.ADMINISTRATOR)
COLLEAGUES = (
    ("investigator", "Investigator (sample)", Role.INVESTIGATOR),
    ("investigator2", "Second investigator (sample)", Role.INVESTIGATOR),
    ("archivist", "Archivist (sample)", Role.ARCHIVIST),
    ("legal", "Legal reviewer (sample)", Role.LEGAL_REVIEWER),
    ("legal2", "Second legal reviewer (sample)", Role.LEGAL_REVIEWER),
    ("auditor", "Auditor (sample)", Role.AUDITOR),
    ("protection", "Protection officer (sample)", Role.PROTECTION_OFFICER),
)
NEWCOMER = ("newcomer", "New colleague (sample)")


@dataclass(frozen=True)
class Team:
    """The people at work, and where they work."""

    compartment: Compartment
    users: dict[str, User]
    accounts: list[dict[str, str]]

    def __getitem__(self, username: str) -> User:
        return self.users[username]


def gather() -> Team:
    """Found the archive, open the compartment, invite everybody and grant their roles."""
    username, display_name, role = ADMINISTRATOR
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    founder = found_archive(username=username, display_name=display_name, password=password, at=timezone.now())
    accounts = [{"username": username, "password": password, "role": str(role.label)}]
    compartment = open_compartment(by=founder, at=timezone.now(), code=CODE, title=TITLE, description=DESCRIPTION)
    users = {username: founder}
    for username, display_name, role in COLLEAGUES:
        user, secret = invite_user(by=founder, at=timezone.now(), username=username, display_name=display_name)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        users[username] = accept_invitation(secret=secret, password=password, at=timezone.now())
        grant_role(
            by=founder,
            at=timezone.now(),
            user_id=user.pk,
            role=role,
            compartment_id=compartment.pk,
            reason="Sample archive",
            expires_at=timezone.now() + SOON if username == "investigator2" else None,
        )
        accounts.append({"username": username, "password": password, "role": str(role.label)})
    username, display_name = NEWCOMER
    invite_user(by=founder, at=timezone.now(), username=username, display_name=display_name)
    return Team(compartment, users, accounts)


def hand_out(accounts: list[dict[str, str]], credentials: Path) -> None:
    """Write the accounts where only their owner reads them (0600), whole or not at all. Raises OSError."""
    made = credentials.with_name(credentials.name + ".new")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        json.dump({"accounts": accounts}, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    made.replace(credentials)

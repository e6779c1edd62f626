"""`manage.py database_roles`: makes the database's roles and gives each what it may do."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from custody import roles


class Command(BaseCommand):
    help = "Make the database's roles for web, sequencer and auditor, and give each exactly what it may do."

    def handle(self, *args: Any, **options: Any) -> None:
        refused = roles.make_roles(connection)
        roles.grant(connection)
        if refused:
            raise CommandError(
                "this account may not make roles. An administrator of the database runs:\n  "
                + "\n  ".join(roles.statements_for_an_administrator(connection, refused))
                + "\nThen run manage.py database_roles again."
            )
        self.stdout.write("\n".join(roles.names(connection).values()))

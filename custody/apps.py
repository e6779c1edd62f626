from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CustodyConfig(AppConfig):
    name = "custody"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from custody import checks  # noqa: F401  registers what `manage.py check --database default` asks

        post_migrate.connect(_grant, sender=self)


def _grant(using: str, **_: Any) -> None:
    """After the migrations of every app, so that no table is made without its rights."""
    from django.db import connections

    from custody import roles

    roles.make_roles(connections[using])
    roles.grant(connections[using])

"""Deferring the building of a bundle by name: the task lives above the actions that ask for it."""

from uuid import UUID

from procrastinate.contrib.django import app

BUILD = "cases.tasks.build"


def defer_bundle(bundle_id: UUID) -> None:
    """Put the build in the queue, in the transaction of the act."""
    app.configure_task(BUILD, lock=f"bundle/{bundle_id}").defer(bundle_id=str(bundle_id))

"""What is wrong before anything starts: an escrow that would not work."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from custody.wrapping import KeyProblem
from evidence import escrow


@register(Tags.security)
def escrow_recipients(**_: Any) -> list[CheckMessage]:
    """E001 the file of escrow recipients cannot be used as it is."""
    return _problems(ask=False)


@register(Tags.database)
def escrow_that_was_begun(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E001 something is in escrow, and the file of recipients is gone."""
    return _problems(ask=True) if "default" in (databases or ()) else []


def _problems(*, ask: bool) -> list[CheckMessage]:
    try:
        escrow.recipients(ask=ask)
    except KeyProblem as problem:
        return [Error(str(problem), hint="docs/howto/keys.md says how recipients are named.", id="evidence.E001")]
    return []

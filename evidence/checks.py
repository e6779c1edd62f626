"""What is wrong before anything starts: an escrow that would not work."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from custody.wrapping import KeyProblem
from evidence import escrow


@register(Tags.security)
def escrow_recipients(**_: Any) -> list[CheckMessage]:
    """E001 the file of escrow recipients cannot be used as it is."""
    try:
        escrow.recipients()
    except KeyProblem as problem:
        return [Error(str(problem), hint="docs/howto/keys.md says how recipients are named.", id="evidence.E001")]
    return []

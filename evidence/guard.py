"""What texts may not say, asked of the apps above: they know the names that no title, search or ledger may hold."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

Check = Callable[[UUID, Mapping[str, Any]], None]

_CHECKS: list[Check] = []


def register(check: Check) -> None:
    """Have every text asked about; the check gets the compartment and {field: text, a list of texts, or other}."""
    _CHECKS.append(check)


def require_unnamed(compartment_id: UUID, texts: Mapping[str, Any]) -> None:
    """Raises ValidationError on every field whose text names a witness of the compartment, without the name."""
    for check in _CHECKS:
        check(compartment_id, texts)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are new or say something else than before: what stays as it was is not asked about again."""
    return {name: value for name, value in after.items() if value != before.get(name)}

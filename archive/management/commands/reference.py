"""`manage.py reference`: writes docs/reference/ from the code, so that it cannot say something else."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import override

from accounts.models import Role
from accounts.permissions import rules
from custody.vocabulary import Type

NOTE = "<!-- Written by `manage.py reference`. Do not edit. -->"


class Command(BaseCommand):
    help = "Write docs/reference/ from the permission rules and the event types."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.BASE_DIR) / "docs" / "reference"
        with override("en"):
            pages = {"permissions.md": permissions(), "events.md": events()}
        stale = [name for name, text in pages.items() if not _is(folder / name, text)]
        if options["check"]:
            if stale:
                raise CommandError(f"out of date: {', '.join(stale)}; run manage.py reference")
            return
        for name in stale:
            (folder / name).write_text(pages[name], "utf-8")
            self.stdout.write(f"docs/reference/{name}")


def permissions() -> str:
    """Every permission, and the roles that carry it."""
    lines = [
        "# Permissions",
        "",
        NOTE,
        "",
        "A permission counts in the compartment in which the role is held, and only on what one may view. “own” is",
        "about one's own objects; a condition narrows a role further.",
        "",
        "| permission | " + " | ".join(str(role.label) for role in Role) + " | condition |",
        "|---|" + "---|" * (len(Role) + 1),
    ]
    for name, stated in sorted(rules().items()):
        held = ["own" if stated.roles is None else "●" if role in stated.roles else "" for role in Role]
        condition = ", ".join(
            text
            for text, holds in (("whole archive", stated.whole_archive), ("with a condition", stated.where is not None))
            if holds
        )
        lines.append(f"| `{name}` | " + " | ".join(held) + f" | {condition} |")
    return "\n".join(lines) + "\n"


def events() -> str:
    """Every event type, with its PREMIS term where there is one."""
    lines = [
        "# Event types",
        "",
        NOTE,
        "",
        "The first column is the exact string of a ledger entry. PREMIS 3 terms carry their `id.loc.gov` URI.",
        "",
        "| type | shown as | PREMIS |",
        "|---|---|---|",
    ]
    lines += [f"| `{kind.value}` | {kind.label} | {kind.premis or ''} |" for kind in Type]
    return "\n".join(lines) + "\n"


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text

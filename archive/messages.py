"""Compiles translations (.po to .mo) where they changed, without GNU gettext: a newcomer's machine need not have it."""

import secrets
from pathlib import Path

import polib


def compile_messages(folder: Path) -> list[Path]:
    """Write every missing or outdated .mo below the folder, each whole or not at all; the paths written.

    Raises OSError or ValueError for a .po that cannot be read.
    """
    written = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            polib.pofile(str(source)).save_as_mofile(str(temporary))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(target)
    return written

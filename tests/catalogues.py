"""What is wrong with a catalogue of translations."""

import re
from collections.abc import Iterator
from pathlib import Path

import polib

_PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_]*\}")


def problems(catalogue: Path, fresh: Path) -> Iterator[str]:
    """One line each for a string that is new in the sources, untranslated, doubtful, or whose placeholders differ.

    `fresh` is the same catalogue after makemessages has read the sources.
    """
    where = f"{catalogue.parent.parent.name}/{catalogue.stem}"
    for entry in polib.pofile(str(fresh)):
        if entry.obsolete:
            continue
        shown = entry.msgid if len(entry.msgid) <= 60 else entry.msgid[:57] + "..."
        if entry.fuzzy:
            yield f"{where}: doubtful (fuzzy): {shown!r}"
        elif not entry.translated():
            yield f"{where}: not translated: {shown!r}"
        else:
            yield from (f"{where}: {problem}: {shown!r}" for problem in _placeholders(entry))


def _placeholders(entry: polib.POEntry) -> Iterator[str]:
    if not entry.msgid_plural:
        if set(_PLACEHOLDER.findall(entry.msgid)) != set(_PLACEHOLDER.findall(entry.msgstr)):
            yield "other placeholders than the source"
        return
    wanted = set(_PLACEHOLDER.findall(entry.msgid_plural))
    for text in entry.msgstr_plural.values():
        # a form for exactly one, two or none may leave the number out
        if not set(_PLACEHOLDER.findall(text)) <= wanted:
            yield "a plural has other placeholders than the source"

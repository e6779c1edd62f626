"""What a name inside a container must look like, whatever system it came from, and how it is shown to people."""

import re
import unicodedata
from collections.abc import Iterable

from django.utils.translation import gettext as _

from incidents.bodies import name_of

LONGEST_PATH = 1_000  # characters
LONGEST_PART = 255  # bytes, what file systems take
DEEPEST = 64
LONGEST_SHOWN = 160
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|\Z)", re.IGNORECASE)
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")


class ContainerProblem(Exception):
    """A zip, a bag or what is in it cannot be taken: one sentence that names what, and where."""


def shown_name(path: str | bytes) -> str:
    """A name that no terminal and no page can misread: what cannot be seen as an escape, undecodable bytes as %XX."""
    text = name_of(path) if isinstance(path, bytes) else path
    seen = "".join(c if c.isprintable() and c not in _BIDI else ascii(c)[1:-1] for c in text)
    return seen if len(seen) <= LONGEST_SHOWN else seen[:LONGEST_SHOWN] + "…"


def path_problem(path: str) -> str:
    """Why this path, with / between its parts, is no safe name of a file on every system; empty when it is."""
    words = {"path": shown_name(path)}
    parts = path.split("/")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path) or "\\" in path:
        return _("%(path)s is no path inside: it is absolute, of a drive, or written with backslashes.") % words
    if any(part in ("", ".", "..") for part in parts):
        return _("%(path)s leads out of its folder, or nowhere.") % words
    if any(character in _BIDI or unicodedata.category(character) in _INVISIBLE for character in path):
        return _("%(path)s has characters in its name that cannot be seen or turn it around.") % words
    if any(_DEVICE.match(part) or part[-1] in " ." or re.search(r'[<>:"|?*]', part) for part in parts):
        return _("%(path)s is no name of a file on every system.") % words
    too_long = len(path) > LONGEST_PATH or any(len(part.encode()) > LONGEST_PART for part in parts)
    if too_long or len(parts) > DEEPEST:
        return _("%(path)s is too long or too deep.") % words
    return ""


def names_problem(files: Iterable[str], folders: Iterable[str] = ()) -> str:
    """Why these names are not one name each on every system (case, composed letters, files that are folders too)."""
    seen: dict[str, str] = {}
    inner: dict[str, str] = {}
    for path in files:
        folded = _folded(path)
        if folded in seen:
            words = {"path": shown_name(path), "other": shown_name(seen[folded])}
            return _("%(path)s and %(other)s are one name on some systems.") % words
        seen[folded] = path
        parts = folded.split("/")
        inner |= dict.fromkeys(("/".join(parts[:depth]) for depth in range(1, len(parts))), path)
    inner |= {_folded(path): path for path in folders}
    both = next((path for folded, path in seen.items() if folded in inner), None)
    return _("%(path)s is a file and a folder at once.") % {"path": shown_name(both)} if both else ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())

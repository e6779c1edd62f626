"""Showing untrusted bytes as text: decoded without guessing wildly, bounded, with nothing hidden in it."""

import codecs
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

MOST = 256 << 10  # bytes

#: Characters that turn the direction of text or hide in it; a reader must see that they are there.
MARKS = {
    0x061C: "ALM",
    0x200B: "ZWSP",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0xFEFF: "BOM",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Shown:
    """Text as safe HTML, the encoding it was read in, and whether it is all of it."""

    html: SafeString
    encoding: str
    whole: bool
    marks: int


def shown(data: bytes, *, whole: bool) -> Shown:
    """The bytes as HTML text. Undecodable bytes become U+FFFD; nothing in it can be markup."""
    decoded, encoding = decode(data)
    pieces: list[str] = []
    marks = 0
    plain: list[str] = []
    for character in decoded:
        name = MARKS.get(ord(character)) or _control(character)
        if name is None:
            plain.append(character)
            continue
        marks += 1
        pieces += [escape("".join(plain)), f'<mark class="mono small">{name}</mark>']
        plain = []
    pieces.append(escape("".join(plain)))
    html = mark_safe("".join(pieces))  # noqa: S308  every piece was escaped above
    return Shown(html, encoding, whole, marks)


def spelled(text: str) -> str:
    """The text with its marks of direction and hidden characters spelled out: photo‹RLO›gpj.exe."""
    return "".join(f"‹{MARKS[ord(character)]}›" if ord(character) in MARKS else character for character in text)


def decode(data: bytes) -> tuple[str, str]:
    """By byte order mark, else UTF-8, else Windows-1256 for Arabic letters; a cut last character is left out."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(data), "utf-8"
    except UnicodeDecodeError:
        text = data.decode("cp1256", "replace")
        if any("\u0600" <= character <= "\u06ff" for character in text):
            return text, "windows-1256"
        return data.decode("utf-8", "replace"), "utf-8"


def _control(character: str) -> str | None:
    code = ord(character)
    if character in "\n\t\r":
        return None
    return f"U+{code:04X}" if code < 0x20 or 0x7F <= code < 0xA0 else None

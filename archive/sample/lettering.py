"""Text on the sample's papers, Arabic included: letters are joined here, so no shaping library is needed."""

import unicodedata
from functools import cache
from pathlib import Path

from django.conf import settings
from PIL import ImageFont

ARABIC_FONT = (
    "node_modules/@fontsource-variable/noto-sans-arabic/files/noto-sans-arabic-arabic-wght-normal.woff2"  # OFL 1.1
)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def latin(size: int) -> Font:
    return ImageFont.load_default(size)


@cache
def arabic(size: int) -> Font:
    """The interface's own Arabic font. Raises OSError where the front-end packages are not installed."""
    path = Path(settings.BASE_DIR) / ARABIC_FONT
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def joined(text: str) -> str:
    """Arabic in its joined forms and in the order in which it is painted, from left to right."""
    forms = _forms()
    letters: list[str] = []
    for letter in text:
        if letters and letters[-1] == "ل" and letters[-1] + letter in forms:
            letters[-1] += letter
        else:
            letters.append(letter)
    painted, open_before = [], False
    for letter, following in zip(letters, [*letters[1:], ""], strict=True):
        own = forms.get(letter, {})
        opens = "initial" in own and "final" in forms.get(following, {})
        form = ("medial" if opens else "final") if open_before else ("initial" if opens else "isolated")
        painted.append(own.get(form, own.get("isolated", letter)))
        open_before = opens
    return "".join(reversed(painted))


@cache
def _forms() -> dict[str, dict[str, str]]:
    """{letter or lam-alef: {isolated, initial, medial, final: its form}} by Unicode's own decompositions."""
    found: dict[str, dict[str, str]] = {}
    for code in range(0xFE80, 0xFEFD):
        name, *parts = unicodedata.decomposition(chr(code)).split()
        found.setdefault("".join(chr(int(part, 16)) for part in parts), {})[name.strip("<>")] = chr(code)
    return found

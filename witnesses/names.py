"""The blind index over names: whether a person is known, answered without opening the vault.

A name is folded in this process, never in the database, and only HMAC-SHA-256 (RFC 2104) values under a key kept in a
file of its own are stored. Whoever has the database alone can neither read a name nor test one.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from django.conf import settings

from custody import keys

KEY_FILE = "witness-index"
PURPOSE = "witnesses/blind-index/v1"
LONGEST_NAME_PARTS = 6

#: Letters that writers of Arabic and Persian use for one another.
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("أإآٱٲٳ", "ا"),
        "ى": "ي",
        "ی": "ي",
        "ئ": "ي",
        "ؤ": "و",
        "ک": "ك",
        "ة": "ه",
        "ۀ": "ه",
        "ہ": "ه",
        "ء": None,
        "ـ": None,
    }
)
_ABD = re.compile(r"\b(?:عبد\s*|abd\s*)(?=ال|[aeu]l)")
_ARTICLE = re.compile(r"\b(?:ال(?=\w{2})|[ae]l[\s'’-]+)")
_KUNYA = re.compile(r"\b(?:ابي|ابا)\b")
_LATIN_KUNYA = re.compile(r"\b(?:abo|abou|abi|aba)\b")
_APOSTROPHE = re.compile(r"['’‘ʿʾ`]")
_NO_WORD = re.compile(r"[^\w\s]|_")
_DOUBLED = re.compile(r"(.)\1+")
_PREFIXES = "ولبفك"


def parts(name: str) -> list[str]:
    """The words of a name with their spelling folded: hamza, alef, ya and ta marbuta forms, diacritics, case, article.

    A compound such as Abd al-Rahman is one word, however it was spaced.
    """
    spread = unicodedata.normalize("NFKD", name.casefold())
    text = "".join(character for character in spread if not unicodedata.combining(character))
    text = unicodedata.normalize("NFC", text).translate(_FOLDED)
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = _ABD.sub(lambda found: "عبد" if found[0].startswith("ع") else "abd", text)
    text = re.sub(r"\b(abd)[aeu]l[\s'’-]*", r"\1", text)
    text = re.sub(r"\b(عبد)ال", r"\1", text)
    text = _ARTICLE.sub("", text)
    text = _KUNYA.sub("ابو", text)
    text = _LATIN_KUNYA.sub("abu", text)
    return _NO_WORD.sub(" ", _APOSTROPHE.sub("", text)).split()


def exact(name: str) -> str | None:
    """The whole name as one word, or None where there is no letter in it."""
    return "".join(parts(name)) or None


def similar(name: str) -> set[str]:
    """Weaker forms of a name of two parts or more: first with last part, and their consonants in a Latin spelling."""
    words = parts(name)
    if len(words) < 2:
        return set()
    first, last = _skeleton(words[0]), _skeleton(words[-1])
    spoken = {f"sounds {first} {last}"} if min(len(first), len(last)) >= 2 else set()
    return {f"ends {words[0]}{words[-1]}"} | spoken


def tokens(names: Iterable[str], birth_year: int | None) -> set[bytes]:
    """The index entries (32 bytes each) of a person known by these names."""
    found: set[bytes] = set()
    for name in names:
        if whole := exact(name):
            found.add(token("name", whole))
            found |= {token("similar", form) for form in similar(name)}
            if birth_year is not None:
                found |= {token(f"born {birth_year}", form) for form in (whole, *similar(name))}
    return found


def token(kind: str, form: str) -> bytes:
    """HMAC-SHA-256 of one folded form; the kind keeps forms of different meaning apart."""
    return _token(_key(), kind, form)


def mentioned(text: str) -> set[bytes]:
    """The index entries of every run of two to six words of a text."""
    words = parts(text)
    starts = range(len(words))
    forms = {form for start in starts for form in _runs(words[start : start + LONGEST_NAME_PARTS])}
    key = _key()  # once: a long text has thousands of forms
    return {_token(key, "name", form) for form in forms}


def _token(key: bytes, kind: str, form: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{form}".encode(), hashlib.sha256)


def _runs(words: Sequence[str]) -> Iterator[str]:
    run = ""
    for length, word in enumerate(words, 1):
        run += word
        if length >= 2:
            yield run
            for bare in (run[1:], run[2:]):  # "and", "to", "by" are written onto an Arabic name
                if set(run[: len(run) - len(bare)]) <= set(_PREFIXES):
                    yield bare


def _skeleton(word: str) -> str:
    """The consonants of a Latin spelling ("mhmd"); nothing for another script."""
    if not word.isascii():
        return ""
    text = word.replace("ph", "f").replace("ou", "u").replace("kh", "x").replace("gh", "g").replace("dh", "d")
    return _DOUBLED.sub(r"\1", re.sub(r"(?<=.)[aeiouy]", "", _DOUBLED.sub(r"\1", text)))


def _key() -> bytes:
    return _derived(Path(settings.SANAD_KEYS) / KEY_FILE)


@cache
def _derived(path: Path) -> bytes:
    return keys.derive(keys.read_or_make_secret(path), PURPOSE)

"""What the tests of witnesses share: items of any bytes, and a name that may be found nowhere."""

from collections.abc import Iterator
from itertools import count
from urllib.parse import quote

from django.utils import timezone

from accounts.models import Compartment, Role
from evidence import blobs
from evidence.actions import receive_item
from evidence.models import Item
from tests import factories
from witnesses.identity import RealIdentity

_bytes = count(1)

#: Invented, of words no page, table or log has otherwise.
NAME = "Zafiroun Qwintharbel"
NAME_AR = "ظافيرون قونثربل"
KUNYA = "Abu Wexlindor"
MOTHER = "Ombretta Vyskander"
PHONE = "+00 555 8317 4466"


def planted() -> RealIdentity:
    return RealIdentity(
        name=NAME, name_ar=NAME_AR, aliases=KUNYA, birth_date="1981-04", contacts=PHONE, relations=f"Mother: {MOTHER}"
    )


def encodings_of(word: str) -> Iterator[bytes]:
    """A word as it might lie around: plain, UTF-16, hexadecimal, percent-encoded, and base64 at any of its offsets."""
    import base64

    utf8 = word.encode()
    yield utf8
    for codec in ("utf-16-le", "utf-16-be"):
        yield word.encode(codec)
        yield word.encode(codec).hex().encode()
    yield utf8.hex().encode()
    yield quote(word).encode()
    yield word.encode("unicode_escape")
    for offset in range(3):
        # Of each alignment only the characters that do not depend on what stands before and after.
        text = base64.b64encode(b"\0" * offset + utf8)
        yield text[4 if offset else 0 : len(text) - 4 - len(text) % 4]


def make_item(compartment: Compartment, kind: str = "audio", content: bytes | None = None) -> Item:
    """An item of its own bytes, received by an investigator of the compartment."""
    content = content if content is not None else f"recording {next(_bytes)}".encode()
    return receive_item(
        by=factories.make_user(Role.INVESTIGATOR, compartment),
        at=timezone.now(),
        compartment_id=compartment.pk,
        received=blobs.receive([content]),
        original_name="recording.bin",
        description={"kind": kind},
    )

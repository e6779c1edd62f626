"""Who a witness really is: one JSON document per revision, sealed under the key of the identity record alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from custody import seal
from evidence.dates import parse
from witnesses.models import Identity, IdentityRevision

LONGEST = {
    "name": 200,
    "name_ar": 200,
    "aliases": 1_000,
    "birth_date": 60,
    "contacts": 4_000,
    "relations": 4_000,
    "notes": 10_000,
}


@dataclass(frozen=True, repr=False)
class RealIdentity:
    """A person's real identity. It has no readable repr: a traceback or a log line that holds it says nothing.

    `aliases` is one a line (kunya, nickname, other spellings); `birth_date` is EDTF or empty.
    """

    name: str = ""
    name_ar: str = ""
    aliases: str = ""
    birth_date: str = ""
    contacts: str = ""
    relations: str = ""
    notes: str = ""

    def __repr__(self) -> str:
        return "RealIdentity(…)"

    @property
    def names(self) -> list[str]:
        """Every name the person goes by."""
        return [name for name in (self.name, self.name_ar, *self.aliases.splitlines()) if name.strip()]

    @property
    def birth_year(self) -> int | None:
        """The year of birth where the date fixes one."""
        dated = parse(self.birth_date)
        if dated.earliest is None or dated.latest is None or dated.earliest.year != dated.latest.year:
            return None
        return dated.earliest.year


def checked(values: Mapping[str, Any]) -> RealIdentity:
    """The identity, trimmed. Raises ValidationError naming the field; no message repeats what was typed."""
    known = {field.name for field in fields(RealIdentity)}
    errors: dict[str, Any] = {name: _("This is not a field of an identity.") for name in values if name not in known}
    trimmed = {name: str(values.get(name) or "").strip() for name in known}
    for name, text in trimmed.items():
        if len(text) > LONGEST[name]:
            errors[name] = _("This is too long: at most %(count)s characters.") % {"count": LONGEST[name]}
        elif "\0" in text:
            errors[name] = _("This holds a character that cannot be kept.")
    if not trimmed["name"] and not trimmed["name_ar"]:
        errors["name"] = _("Give the name in Latin or in Arabic script.")
    if "birth_date" not in errors:
        try:
            parse(trimmed["birth_date"])
        except ValidationError:
            errors["birth_date"] = _("This is not a date Sanad can read. Examples: 1980-05-17, 1980, 1980~.")
    if errors:
        raise ValidationError(errors)
    return RealIdentity(**trimmed)


def sealed(identity: Identity, number: int, person: RealIdentity) -> bytes:
    """The person under the identity's own key, bound to its revision number. Call inside a transaction that writes."""
    return seal.seal(identity.id, _label(number), json.dumps(asdict(person), ensure_ascii=False).encode())


def unsealed(revision: IdentityRevision) -> RealIdentity:
    """The person. Only the vault calls this, after the opening is in the ledger. Raises custody.seal.SealBroken."""
    plain = seal.unseal(revision.identity_id, _label(revision.number), bytes(revision.sealed))
    return RealIdentity(**json.loads(plain))


def _label(number: int) -> str:
    return f"identity/{number}"

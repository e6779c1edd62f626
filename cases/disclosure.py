"""What a bundle opens of the custody events in it, and what stays a commitment: chosen by whoever asks for the bundle.

Whatever is withheld can be proven later: the entry holds its commitment. Two things are always open, because without
them nothing is proven: which item an event is about, and the digests and size of what was received.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.vocabulary import Type

#: What may leave of each kind of event; everything else of it stays sealed whatever is chosen.
MAY_LEAVE: dict[str, frozenset[str]] = {
    Type.RECEIVE: frozenset({"object"}),
    Type.IDENTIFY: frozenset({"from", "to"}),
    Type.VERIFY: frozenset({"object", "to"}),
    Type.CREATE: frozenset({"object"}),
    Type.EXTRACT: frozenset(),
    Type.DESCRIBE: frozenset(),
    Type.VIEW: frozenset(),
    Type.DOWNLOAD: frozenset(),
    Type.REFUSE: frozenset(),
    Type.TAG: frozenset(),
    Type.UNTAG: frozenset(),
    Type.EXHIBIT: frozenset(),
    Type.REVIEW: frozenset(),
    Type.PACKAGE: frozenset(),
    Type.EXPORT: frozenset(),
    Type.ANCHOR: frozenset({"object", "token"}),
}
#: What nothing is proven without.
ALWAYS_OPEN: dict[str, frozenset[str]] = {
    Type.RECEIVE: frozenset({"object"}),
    Type.ANCHOR: frozenset({"object", "token"}),
}
OF_EVERY_EVENT = frozenset({"agent", "compartment"})


class Field(models.TextChoices):
    """A field that may be opened or withheld, by its name in the entry."""

    AGENT = "agent", gettext_lazy("Who acted, as an opaque identifier without a name")
    COMPARTMENT = "compartment", gettext_lazy("The compartment, as an opaque identifier")
    FROM = "from", gettext_lazy("What the kind was before the examination")
    TO = "to", gettext_lazy("What examinations and verifications found")
    OBJECT = "object", gettext_lazy("What verifications and previews were about")


class Preset(models.TextChoices):
    """A sensible choice of fields."""

    FULL = "full", gettext_lazy("Everything that may leave")
    NO_AGENTS = "no_agents", gettext_lazy("Nobody who acted, not even as an identifier")
    DIGESTS = "digests", gettext_lazy("Digests and sizes only")

    @property
    def fields(self) -> list[str]:
        """The fields it opens, in the order of Field."""
        return [name for name in Field.values if self == Preset.FULL or (self == Preset.NO_AGENTS and name != "agent")]


ALL = Preset.FULL.fields


def chosen(names: Iterable[str]) -> list[str]:
    """The fields to open, each once, in the order of Field. Raises ValidationError on `opened` for an unknown one."""
    wanted = set(names)
    unknown = sorted(wanted - set(Field.values))
    if unknown:
        raise ValidationError(
            {
                "opened": _("There is no field “%(name)s”; choose from %(known)s.")
                % {"name": unknown[0][:40], "known": ", ".join(Field.values)}
            }
        )
    return [name for name in Field.values if name in wanted]


def withheld(opened: Collection[str]) -> list[str]:
    """The fields that stay closed."""
    return [name for name in Field.values if name not in opened]


def opened_of(type: str, fields: Any, opened: Collection[str]) -> dict[str, Any]:
    """Those of an event's {field: (salt, value)} that leave: what is always open, and what was chosen and may."""
    always = {"subjects"} | ALWAYS_OPEN.get(type, frozenset())
    may = OF_EVERY_EVENT | MAY_LEAVE[type]
    return {field: one for field, one in fields.items() if field in always or (field in may and field in opened)}

"""Custody events of witnesses and testimonies in words, for components/custody.html."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from accounts.queries import names_of
from custody.story import StoryLine
from witnesses.models import Consent, Testimony, Witness


def told(story: Iterable[StoryLine]) -> list[dict[str, Any]]:
    """Each event as {at, label, outcome, agent, text, details, index, recorded}, in the reader's language."""
    story = list(story)
    agents = names_of(line.agent_id for line in story)
    return [
        {
            "at": line.at,
            "label": line.label,
            "outcome": line.outcome.value,
            "agent": agents[line.agent_id],
            "text": _text(line.fields),
            "details": _details(line.fields),
            "index": line.index,
            "recorded": line.recorded,
        }
        for line in story
    ]


def _text(fields: Mapping[str, Any]) -> str:
    purpose = fields.get("purpose")
    return "" if purpose in (None, "", "content", "record") else str(purpose)


def _details(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What changed, from and to; what was named; nothing that only repeats who and when."""
    before, after, named = (fields.get(part) or {} for part in ("from", "to", "object"))
    rows = [(_term(name), _value(name, value)) for name, value in named.items() if value is not None]
    for name in dict.fromkeys((*before, *after)):
        old, new = _value(name, before.get(name)), _value(name, after.get(name))
        if name in before and name in after:
            rows.append((_term(name), f"{old} → {new}"))
        elif new != "–" or old != "–":
            rows.append((_term(name), new if name in after else old))
    return rows


def _term(name: str) -> str:
    own = {
        "pseudonym": _("Witness"),
        "number": _("Testimony"),
        "accession": _("Item"),
        "form": _("Signed form"),
        "revision": _("Revision"),
        "text_sha256": _("SHA-256 of the text"),
        "sealed_sha256": _("SHA-256 of the sealed record"),
        "status": _("Status"),
        "matches": _("Possible matches"),
        "permission": _("Permission"),
    }
    if name in own:
        return own[name]
    for model in (Testimony, Consent, Witness):
        for field in model._meta.get_fields():
            if field.name == name:
                words = str(getattr(field, "verbose_name", name))
                return words[:1].upper() + words[1:]
    return name


def _value(name: str, value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_value(name, part) for part in value)
    return _choice(name, str(value))


def _choice(name: str, value: str) -> str:
    """The label of a stored choice, else the value itself."""
    for model in (Testimony, Consent, Witness):
        for field in model._meta.get_fields():
            if field.name == name:
                source = getattr(field, "base_field", field)
                return str(dict(getattr(source, "flatchoices", ())).get(value, value))
    return value

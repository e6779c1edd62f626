"""The custody of an item in the reader's language: one sentence per event, and what changed as "from → to"."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Field
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.edtf_words import in_words
from accounts.queries import names_of
from accounts.templatetags.ui import in_units
from custody.story import StoryLine
from custody.vocabulary import Outcome, Type
from evidence.description import DESCRIBED
from evidence.models import Item
from evidence.text import spelled
from evidence.vocabulary import ErasureGround, FixityOutcome

LONGEST_SHOWN = 300  # characters of a value in the story
NOTHING = "–"


def told(story: Sequence[StoryLine], *, readable: bool) -> list[dict[str, Any]]:
    """The lines as the custody component shows them. Without `readable` no value that speaks of content is in them."""
    names = names_of(line.agent_id for line in story)
    return [
        {
            "event_id": line.event_id,
            "at": line.at,
            "type": line.type,
            "label": line.label,
            "outcome": line.outcome.value,
            "agent": names[line.agent_id],
            "text": _sentence(line, readable),
            "details": _details(line, readable),
            "index": line.index,
            "recorded": line.recorded,
        }
        for line in story
    ]


def _sentence(line: StoryLine, readable: bool) -> str:
    to, obj = _mapping(line.fields.get("to")), _mapping(line.fields.get("object"))
    if line.lost:
        return _("Recorded values are missing here, and no erasure explains it. Verify this item.")
    if line.type == Type.REQUEST_ERASURE:
        return _("Ground: %(ground)s.") % {"ground": _ground(to)}
    if line.type == Type.ERASE:
        return _("Two persons decided it. Ground: %(ground)s.") % {"ground": _ground(to)}
    if line.type == Type.DELETE and line.outcome == Outcome.REFUSED:
        return _("A store keeps the encrypted bytes for now. Nobody can open them: their key is gone.")
    if line.type in (Type.CLOSE_ERASURE, Type.DELETE):
        return ""
    if line.erased:
        return _("The values recorded here were erased.")
    if line.type == Type.RECEIVE:
        size = in_units(int(obj.get("size", 0)))
        first = _mapping(line.fields.get("holding")).get("duplicate_of")
        if first:
            return _("%(size)s arrived, the very bytes of %(first)s.") % {"size": size, "first": first}
        return _("%(size)s arrived; what was sent is what is held.") % {"size": size}
    if line.type == Type.UNPACK:
        names = {"member": obj.get("accession"), "container": _mapping(line.fields.get("container")).get("accession")}
        return _("%(member)s came out of %(container)s.") % {name: said or NOTHING for name, said in names.items()}
    if line.type == Type.IMPORT:
        described = line.fields.get("described")
        count = len(described) if isinstance(described, list) else 0
        words = ngettext(
            "The table %(table)s described %(count)s item.", "The table %(table)s described %(count)s items.", count
        )
        return words % {"table": obj.get("accession", NOTHING), "count": count}
    if line.type == Type.VIEW:
        what = {
            "record": _("The page of the item was opened."),
            "content": _("The content was opened."),
            "preview": _("The preview was shown."),
            "text": _("The text was read."),
        }
        return what.get(str(line.fields.get("purpose")), "")
    if line.type == Type.DESCRIBE:
        changed = [str(_label(name)) for name in to]
        return ngettext("Changed: %(names)s.", "Changed: %(names)s.", len(changed)) % {"names": ", ".join(changed)}
    if line.type == Type.IDENTIFY:
        if to.get("problem") and not to.get("media_type"):
            return _("The bytes could not be examined.")
        if to.get("conflict"):
            return _("Two identifiers disagree about what these bytes are.")
        return _("Identified as %(type)s.") % {"type": to.get("media_type", NOTHING)}
    if line.type == Type.EXTRACT:
        count = int(to.get("claims", 0))
        return ngettext(
            "%(count)s claim of the device was read.", "%(count)s claims of the device were read.", count
        ) % {"count": count}
    if line.type == Type.CREATE and obj.get("purpose") == "preview":
        return _("A preview was made; the original stayed as it is.")
    if line.type == Type.VERIFY:
        outcome = str(to.get("outcome", ""))
        return str(FixityOutcome(outcome).label) if outcome in FixityOutcome.values else ""
    if line.type == Type.REPLICATE:
        return _("A copy was made in the store %(store)s.") % {"store": obj.get("store", NOTHING)}
    if line.type == Type.REPAIR:
        return _("The copy in the store %(store)s was replaced from a good one.") % {"store": obj.get("store", NOTHING)}
    if line.type == Type.REFUSE:
        return _("Somebody without the right tried: %(permission)s.") % {"permission": to.get("permission", NOTHING)}
    return str(line.fields.get("purpose", "")) if readable else ""


def _ground(to: Mapping[str, Any]) -> str:
    ground = str(to.get("ground", ""))
    return str(ErasureGround(ground).label) if ground in ErasureGround.values else NOTHING


def _details(line: StoryLine, readable: bool) -> list[tuple[Any, Any]]:
    rows: list[tuple[Any, Any]] = []
    if line.type in (Type.REQUEST_ERASURE, Type.CLOSE_ERASURE, Type.ERASE, Type.DELETE):
        destroyed = _mapping(line.fields.get("erased"))
        if line.type == Type.ERASE:
            rows.append((_("events whose values were destroyed"), str(len(_mapping(destroyed.get("values"))))))
            rows += [
                (_("destroyed ciphertext, SHA-256"), _mono(blob))
                for content in destroyed.get("content", [])
                for blob in content["blobs"]
            ]
        return [*rows, (_("event"), _mono(str(line.event_id)))]
    obj = _mapping(line.fields.get("object"))
    for name, label in (("accession", _("accession number")), ("sha256", "SHA-256"), ("sha512", "SHA-512")):
        if obj.get(name):
            rows.append((label, _mono(obj[name])))
    if container := _mapping(line.fields.get("container")):
        rows.append((_("digest of the container, SHA-256"), _mono(container.get("sha256", NOTHING))))
    before, after = _mapping(line.fields.get("from")), _mapping(line.fields.get("to"))
    if readable:
        for name in dict.fromkeys([*before, *after]):
            if line.outcome == Outcome.REFUSED:
                break
            rows.append((_label(name), _change(name, before, after)))
        for name, label in (("original_name", _("original file name")), ("purpose", _("reason")), ("note", _("note"))):
            value = line.fields.get(name)
            if value and not (name == "purpose" and line.type == Type.VIEW):
                rows.append((label, _shown(name, value)))
    elif line.type == Type.VERIFY and after.get("detail"):
        rows.append((_("detail"), after["detail"]))
    rows.append((_("event"), _mono(str(line.event_id))))
    return rows


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> SafeString:
    new = _shown(name, after.get(name))
    if name not in before:
        return new
    # <del> and <ins> say "from" and "to" to a reader who hears the page.
    return format_html("<del>{}</del> → <ins>{}</ins>", _shown(name, before[name]), new)


def _shown(name: str, value: Any) -> SafeString:
    if value is None or value == "":
        return format_html("{}", NOTHING)
    if isinstance(value, bool):
        return format_html("{}", _("yes") if value else _("no"))
    if isinstance(value, (dict, list)):
        return format_html("<bdi>{}</bdi>", ", ".join(map(str, value))[:LONGEST_SHOWN])
    text = str(value)
    if name.endswith("_edtf"):
        text = in_words(text)
    elif name == "outcome" and text in FixityOutcome.values:
        text = str(FixityOutcome(text).label)
    elif name in DESCRIBED:
        choices = dict(_field(name).flatchoices or ())
        text = str(choices.get(text, text))
    elif name == "original_name":
        text = spelled(text)
    short = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
    return format_html("<bdi>{}</bdi>", short)


def _label(name: str) -> Any:
    if name in DESCRIBED:
        field = _field(name)
        if name.endswith("_basis"):
            return _("basis of “%(date)s”") % {"date": _field(name.replace("_basis", "_edtf")).verbose_name}
        return field.verbose_name
    other = {
        "media_type": _("type"),
        "conflict": _("identifiers disagree"),
        "problem": _("problem"),
        "claims": _("claims"),
        "sha256": _("digest of the claims"),
        "stored_sha256": _("digest read"),
        "outcome": _("outcome"),
        "detail": _("detail"),
        "incident": _("incident"),
        "stance": _("stance"),
        "reasons": _("reasons"),
    }
    return other.get(name, name.replace("_", " "))


def _field(name: str) -> "Field[Any, Any]":
    field = Item._meta.get_field(name)
    assert isinstance(field, Field)
    return field


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mono(value: Any) -> SafeString:
    return format_html('<bdi class="mono" dir="ltr">{}</bdi>', value)

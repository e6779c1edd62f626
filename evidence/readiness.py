"""The six elements of admissibility (Leiden Guidelines on digitally derived evidence), told honestly for one item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from custody.story import StoryLine
from custody.vocabulary import Type
from evidence.models import Item
from evidence.vocabulary import DateBasis, FixityOutcome, SourceKind

MET, PARTLY, MISSING = "met", "partly", "missing"


@dataclass(frozen=True)
class Element:
    """One element: whether the archive holds something for it, and in words what is there or lacks."""

    label: str
    state: str
    words: str


def readiness(item: Item, claims: Mapping[str, str], story: Sequence[StoryLine]) -> list[Element]:
    """The six elements. What only a device claims is never more than partly met: nobody stands behind it yet."""
    return [
        _date(item, claims),
        _location(item, claims),
        _events(item, story),
        _author(item, claims),
        _source(item),
        _custody(item, story),
    ]


def _date(item: Item, claims: Mapping[str, str]) -> Element:
    label = _("Date")
    if item.created_edtf and item.created_basis not in (DateBasis.UNKNOWN, DateBasis.DEVICE, DateBasis.FILE):
        return Element(label, MET, _("A person states when it was made, and on what basis."))
    if item.created_edtf:
        return Element(label, PARTLY, _("A date is given, but it rests on a device or no basis is stated."))
    if claims.get("created") or claims.get("gps_time"):
        return Element(label, PARTLY, _("Only the device claims a date. Say whether you hold it to be right."))
    return Element(label, MISSING, _("Nobody says when it was made."))


def _location(item: Item, claims: Mapping[str, str]) -> Element:
    label = _("Location")
    if item.latitude is not None and (item.place_name or item.place_name_ar):
        return Element(label, MET, _("A place is named, with coordinates and their precision."))
    if item.latitude is not None or item.place_name or item.place_name_ar:
        return Element(label, PARTLY, _("The place has a name or coordinates, not both."))
    if claims.get("gps_latitude"):
        return Element(label, PARTLY, _("Only the device claims a position. You can take it over as the place."))
    return Element(label, MISSING, _("Nobody says where it was made."))


def _events(item: Item, story: Sequence[StoryLine]) -> Element:
    label = _("Events depicted")
    links = sum((line.type == Type.TAG) - (line.type == Type.UNTAG) for line in story)
    described = bool(item.title and item.description)
    if links > 0 and described:
        return Element(label, MET, _("It is described and linked to an incident."))
    if links > 0:
        return Element(label, PARTLY, _("It is linked to an incident, but what it shows is not described."))
    if item.title or item.description:
        return Element(label, PARTLY, _("What it shows is described, but it is linked to no incident."))
    return Element(label, MISSING, _("Nobody says what it shows."))


def _author(item: Item, claims: Mapping[str, str]) -> Element:
    label = _("Author")
    if item.source_kind == SourceKind.OWN and item.acquired_by:
        return Element(label, MET, _("Made by our own team; who made it is named."))
    if item.source_kind == SourceKind.EYEWITNESS and item.source:
        return Element(label, PARTLY, _("It comes from an eyewitness; whether they made it is not stated here."))
    if claims.get("author") or claims.get("copyright"):
        return Element(label, PARTLY, _("Only the file names an author."))
    return Element(label, MISSING, _("Who made it is not known."))


def _source(item: Item) -> Element:
    label = _("Source")
    if item.source_kind and item.source:
        return Element(label, MET, _("Who or what it comes from is stated."))
    if item.source_kind or item.source:
        return Element(label, PARTLY, _("The source is only partly stated."))
    return Element(label, MISSING, _("Where it comes from is not stated."))


def _custody(item: Item, story: Sequence[StoryLine]) -> Element:
    label = _("Chain of custody")
    reception = next((line for line in story if line.type == Type.RECEIVE), None)
    acquired = bool(item.acquired_by and item.acquired_how and item.acquired_edtf)
    broken = item.last_outcome not in ("", FixityOutcome.OK, FixityOutcome.PENDING)
    if broken:
        return Element(label, MISSING, _("The last verification failed. Find out why before anything else."))
    if reception is None or not reception.recorded:
        return Element(label, PARTLY, _("Its reception waits for the next signed checkpoint."))
    if not acquired:
        return Element(
            label, PARTLY, _("Complete since it came here. Before that, who made the copy, when and how is not stated.")
        )
    if item.last_outcome != FixityOutcome.OK:
        return Element(label, PARTLY, _("Complete, but never verified since it came."))
    return Element(label, MET, _("From the source to today, and verified."))

"""Two case files for invented recipients: one ready to be exported, one that a withdrawn consent holds up."""

from dataclasses import dataclass

from django.utils import timezone

from archive.sample.people import Team
from cases.actions import add_exhibit, open_case, review_exhibit
from cases.models import CaseFile
from evidence.media_types import UNKNOWN
from evidence.models import Item


@dataclass(frozen=True)
class Tendered:
    """An exhibit: the item, what it does for the case, and what each reviewer said of it (user name, code, reasons)."""

    item: str
    category: str
    relevance: str
    notes: str = ""
    reviews: tuple[tuple[str, str, str], ...] = ()


PROSECUTOR = {
    "title": "Burning of a house near Qadmus (fictional)",
    "forum": "universal",
    "purpose": "domestic_prosecution",
    "recipient_kind": "foreign_authority",
    "recipient": "Federal Prosecutor of Examplia (fictional)",
    "summary": (
        "A fictional case of the sample archive. The prosecutor of an invented state asked for what the archive holds "
        "on the burned house. Exculpatory material is tendered with the rest."
    ),
}
EXHIBITS = (
    Tendered(
        "house-dusk",
        "crime_base",
        "Shows the damage on the evening of the day itself; the device claims time and position.",
        reviews=(
            ("legal", "key", "The only image from the day. Position lies within twenty metres of the house."),
            ("legal2", "key", "Agreed; the phone's clock should still be checked with its owner."),
        ),
    ),
    Tendered(
        "inspection",
        "crime_base",
        "Inspection record with photograph and sketch, signed on site.",
        reviews=(("legal", "corroborates", "Independent of the photograph and made by our own team."),),
    ),
    Tendered(
        "marked-wall",
        "inculpatory",
        "Marks in the east wall may come from shots fired at the house.",
        notes="Ask a ballistics expert before this is relied on.",
        reviews=(
            ("legal", "relevant", "If the marks are fresh they show that the house was fired at before it burned."),
            ("legal2", "doubtful", "Lichen grows in two of the marks: they are older. I would not rely on them."),
        ),
    ),
    Tendered(
        "interview-1",
        "inculpatory",
        "W-0001 saw smoke and two persons in the lane; does not identify anybody.",
        reviews=(("legal", "key", "First-hand and careful about its own limits. Read together with the correction."),),
    ),
    Tendered(
        "workshop",
        "exculpatory",
        "One of those alleged to have stood in the lane worked in this team on another day without any violence: "
        "the prosecutor must have it.",
        reviews=(("legal2", "relevant", "Weak but exculpatory: it is disclosed."),),
    ),
    Tendered("house-morning", "context", "The same house by daylight a week later, for comparison."),
)
MECHANISM = {
    "title": "Departures by night, preparatory file (fictional)",
    "forum": "un_body",
    "purpose": "un_mechanism",
    "recipient_kind": "un_mechanism",
    "recipient": "Investigative mechanism of the sample (fictional)",
    "summary": "A fictional file. One recording is held up: its witness has withdrawn consent.",
}
HELD_UP = (
    Tendered("truck", "context", "Loaded truck on a village road."),
    Tendered(
        "interview-3",
        "crime_base",
        "W-0003 tells why the family left.",
        reviews=(("legal", "corroborates", "Fits the field notes; hearsay on the other nights."),),
    ),
)


def open_cases(team: Team, items: dict[str, Item]) -> None:
    """Open both files, tender their exhibits and write the reviews."""
    for fields, exhibits in ((PROSECUTOR, EXHIBITS), (MECHANISM, HELD_UP)):
        case_file = open_case(by=team["legal"], at=timezone.now(), compartment_id=team.compartment.pk, fields=fields)
        for tendered in exhibits:
            # Where no process can be isolated nothing is examined, and a recording of unknown form is not tendered.
            if items[tendered.item].media_type != UNKNOWN:
                _tender(team, case_file, items[tendered.item], tendered)


def _tender(team: Team, case_file: CaseFile, item: Item, tendered: Tendered) -> None:
    exhibit = add_exhibit(
        by=team["legal"],
        at=timezone.now(),
        case_id=case_file.pk,
        accession=item.accession,
        fields={"category": tendered.category, "relevance": tendered.relevance, "notes": tendered.notes},
    )
    for username, assessment, note in tendered.reviews:
        review_exhibit(by=team[username], at=timezone.now(), exhibit_id=exhibit.pk, assessment=assessment, note=note)

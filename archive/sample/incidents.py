"""The sample's incidents: an overview that carries the published figures, and invented ones at real places."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from archive.sample.people import Team
from incidents.actions import change_status, open_incident
from incidents.gazetteer import place
from incidents.models import Incident
from incidents.vocabulary import Status

FICTION = "This is a fictional record of the sample archive: it describes nothing that happened and nobody who lives. "


@dataclass(frozen=True)
class Told:
    """An incident as the investigators tell it; `place` is a gazetteer code, `shift` degrees off its centre."""

    key: str
    title: str
    title_ar: str
    place: str
    precision: str
    happened: str
    categories: tuple[str, ...]
    narrative: str
    basis: str = "analyst"
    shift: tuple[str, str] = ("0", "0")
    draft: bool = False
    by: str = "investigator"


def located(code: str, precision: str, shift: tuple[str, str] = ("0", "0")) -> dict[str, Any]:
    """A place of the gazetteer as described fields, with its precision stated."""
    found = place(code)
    if found is None:
        raise LookupError(f"the gazetteer has no place {code}")
    return {
        "place_name": found.name,
        "place_name_ar": found.name_ar,
        "latitude": Decimal(found.latitude) + Decimal(shift[0]),
        "longitude": Decimal(found.longitude) + Decimal(shift[1]),
        "precision": precision,
        "gazetteer_code": found.code,
    }


LATAKIA, JABLEH, QARDAHA = "geonames:173576", "geonames:169304", "geonames:173364"
HAFFAH, SLINFAH, KASSAB = "geonames:173856", "geonames:164052", "geonames:168519"
BANIYAS, TARTUS, QADMUS = "geonames:171830", "geonames:163345", "geonames:173389"
SAFITA, DREIKISH, SHEIKH_BADR = "geonames:165060", "geonames:170572", "geonames:172743"
MASYAF, HAMIDIYAH = "geonames:167046", "geonames:173842"

OVERVIEW = Told(
    key="overview",
    title="Syria's coast, 6 to 12 March 2025: published casualty figures",
    title_ar="الساحل السوري، 6 إلى 12 آذار 2025: أرقام الضحايا المنشورة",
    place=JABLEH,
    precision="region",
    happened="2025-03-06/2025-03-12",
    basis="source",
    categories=("unlawful-killing",),
    narrative=(
        "The figures on this page are real and quoted as published: three sources, three scopes, three ways of "
        "counting. They are set side by side and never added together. Every other incident of the sample archive "
        "is fictional."
    ),
)

INCIDENTS = (
    Told(
        key="qadmus",
        title="House burned in a village near Qadmus",
        title_ar="إحراق منزل في قرية قرب القدموس",
        place=QADMUS,
        precision="locality",
        shift=("0.0121", "-0.0084"),
        happened="2025-03-08",
        categories=("protected-persons-objects", "forcible-displacement"),
        narrative=FICTION
        + "A two-storey house burned out in the afternoon. W-0001 saw smoke from across the valley at about three "
        "o'clock; a photograph of the same evening shows the roof fallen in. The residents had left the day before. "
        "Who set the fire is not known: two armed men in civilian clothes are alleged to have been in the lane.",
    ),
    Told(
        key="baniyas",
        title="Shops emptied in a street of Baniyas",
        title_ar="نهب متاجر في أحد شوارع بانياس",
        place=BANIYAS,
        precision="vicinity",
        shift=("0.0032", "0.0027"),
        happened="2025-03-07/2025-03-09",
        basis="source",
        categories=("sieges-economic-social-rights",),
        narrative=FICTION
        + "Five shops of one street were found open and empty on Sunday morning. Shutters of three others are intact. "
        "One source says that goods were carried away by owners themselves before they left: see the item that "
        "contradicts.",
    ),
    Told(
        key="jableh",
        title="Detentions at a road block south of Jableh",
        title_ar="احتجاز أشخاص عند حاجز جنوب جبلة",
        place=JABLEH,
        precision="locality",
        shift=("-0.0215", "0.0108"),
        happened="2025-03-07~",
        categories=("arbitrary-detention", "enforced-disappearance"),
        narrative=FICTION
        + "Travellers were stopped at concrete blocks on the coast road; three are alleged to have been taken away in "
        "a grey car. W-0002 was let through. Where the three were brought is not known.",
    ),
    Told(
        key="haffah",
        title="Clinic entrance damaged in al-Haffah",
        title_ar="أضرار في مدخل مستوصف في الحفة",
        place=HAFFAH,
        precision="exact",
        shift=("0.0009", "-0.0006"),
        happened="2025-03-09",
        categories=("protected-persons-objects",),
        narrative=FICTION
        + "Both glass doors of a clinic were broken in the night to Sunday. The clinic opened again on Monday. Whether "
        "stones or shots broke the glass is open; the analyst's note on the photograph says why.",
    ),
    Told(
        key="qardaha",
        title="Families leave a hill village above Qardaha",
        title_ar="نزوح عائلات من قرية فوق القرداحة",
        place=QARDAHA,
        precision="district",
        happened="2025-03-06/2025-03-10",
        basis="source",
        categories=("forcible-displacement",),
        narrative=FICTION
        + "About thirty families are said to have left in small trucks over four nights. Two photographs show loaded "
        "trucks; one of them carries a date that cannot be right.",
    ),
    Told(
        key="slinfah",
        title="Shots heard on the mountain road to Slinfah",
        title_ar="سماع إطلاق نار على طريق صلنفة الجبلي",
        place=SLINFAH,
        precision="locality",
        shift=("-0.0061", "-0.0142"),
        happened="2025-03-10?",
        basis="",
        categories=("unlawful-attacks",),
        draft=True,
        by="investigator2",
        narrative=FICTION
        + "A draft: one sound recording, no second source, and a date that its source is not sure of.",
    ),
    Told(
        key="tartus",
        title="Search of a workshop in Tartus",
        title_ar="تفتيش ورشة في طرطوس",
        place=TARTUS,
        precision="vicinity",
        shift=("0.0046", "0.0061"),
        happened="2025-03-11",
        categories=("arbitrary-detention",),
        narrative=FICTION
        + "A workshop was searched at noon and its door sealed. One worker was detained for a night and came home. "
        "A shop's camera, whose clock was checked, shows that no shot was fired: exculpatory for those who searched.",
    ),
    Told(
        key="safita",
        title="Night departures from villages around Safita",
        title_ar="مغادرة ليلية من قرى حول صافيتا",
        place=SAFITA,
        precision="district",
        happened="2025-03-08/2025-03-12",
        basis="source",
        categories=("forcible-displacement", "sieges-economic-social-rights"),
        narrative=FICTION
        + "Field notes and one sound recording speak of departures by night towards the south. Numbers differ widely "
        "and none of them was counted; no number is recorded here for that reason.",
    ),
    Told(
        key="dreikish",
        title="School used as a shelter in Dreikish",
        title_ar="مدرسة تستخدم مأوى في الدريكيش",
        place=DREIKISH,
        precision="exact",
        shift=("0.0014", "0.0011"),
        happened="2025-03-09/2025-03-12",
        categories=("children", "sieges-economic-social-rights"),
        narrative=FICTION + "Classes stopped for four days while families slept in the classrooms. Nobody was hurt.",
    ),
    Told(
        key="sheikh-badr",
        title="Fresh earth in an olive grove near Sheikh Badr",
        title_ar="تراب حديث في بستان زيتون قرب الشيخ بدر",
        place=SHEIKH_BADR,
        precision="locality",
        shift=("-0.0094", "0.0117"),
        happened="2025-03-08/2025-03-09",
        categories=("unlawful-killing",),
        narrative=FICTION
        + "A resident showed a place of fresh earth about five metres long. Nothing was opened: that is for a forensic "
        "team with the families' consent. What lies there is not known and is not claimed.",
    ),
    Told(
        key="masyaf",
        title="Car burned on the road from Masyaf",
        title_ar="احتراق سيارة على طريق مصياف",
        place=MASYAF,
        precision="vicinity",
        shift=("0.0087", "-0.0203"),
        happened="2025-03-07",
        basis="device",
        categories=("unlawful-attacks",),
        narrative=FICTION
        + "A burned-out car stands on the road. The same photograph reached the archive twice, from two sources; the "
        "second reception is linked to the first as an exact duplicate.",
    ),
    Told(
        key="latakia",
        title="Lights out in a quarter of Latakia",
        title_ar="انقطاع الكهرباء في حي من اللاذقية",
        place=LATAKIA,
        precision="vicinity",
        shift=("0.0052", "0.0098"),
        happened="2025-03-06",
        categories=("sieges-economic-social-rights",),
        narrative=FICTION
        + "A quarter was dark for one night. The harbour photograph of the next dawn shows lights again. Closed: a "
        "fault at a transformer explains it, and no violation was found.",
    ),
    Told(
        key="hamidiyah",
        title="River crossing near al-Hamidiyah",
        title_ar="عبور نهر قرب الحميدية",
        place=HAMIDIYAH,
        precision="locality",
        shift=("-0.0381", "0.0174"),
        happened="2025-03-XX",
        basis="",
        categories=(),
        draft=True,
        narrative=FICTION + "A draft without a day: people are said to have crossed the river on foot.",
    ),
    Told(
        key="kassab",
        title="Telephone lines cut near Kassab",
        title_ar="قطع خطوط الهاتف قرب كسب",
        place=KASSAB,
        precision="district",
        happened="2025-03-10/2025-03-11",
        basis="source",
        categories=("sieges-economic-social-rights",),
        narrative=FICTION + "One message says so. No item supports it yet: somebody must go and ask.",
    ),
)

#: What became of them once their items were linked: (incident, status, reason).
STATUSES = (
    ("overview", Status.UNDER_REVIEW, "Three sources, three scopes: no resolution between them is recorded."),
    ("qadmus", Status.UNDER_REVIEW, "Three items agree; a second analyst reads them."),
    ("tartus", Status.UNDER_REVIEW, "An exculpatory item came in: to be weighed before anything is concluded."),
    ("latakia", Status.CLOSED, "A technical fault explains what happened; no violation was found."),
)


def open_incidents(team: Team) -> dict[str, Incident]:
    """The overview and the invented ones, by key."""
    return {
        told.key: open_incident(
            by=team[told.by],
            at=timezone.now(),
            compartment_id=team.compartment.pk,
            fields={
                "title": told.title,
                "title_ar": told.title_ar,
                "governorate": "" if told is OVERVIEW else _governorate(told.place),
                **(_coast() if told is OVERVIEW else located(told.place, told.precision, told.shift)),
                "happened_edtf": told.happened,
                "happened_basis": told.basis,
                "narrative": told.narrative,
            },
            categories=told.categories,
            status=Status.DRAFT if told.draft else Status.OPEN,
        )
        for told in (OVERVIEW, *INCIDENTS)
    }


def settle(team: Team, incidents: dict[str, Incident]) -> None:
    """Move the incidents to where their work stands."""
    for key, status, reason in STATUSES:
        change_status(by=team["investigator"], at=timezone.now(), incident=incidents[key], status=status, reason=reason)


def _governorate(code: str) -> str:
    found = place(code)
    return str(found.governorate.value) if found else ""


def _coast() -> dict[str, Any]:
    return {
        "place_name": "Syria's coast",
        "place_name_ar": "الساحل السوري",
        "latitude": Decimal("35.2"),
        "longitude": Decimal("36.05"),
        "precision": OVERVIEW.precision,
    }

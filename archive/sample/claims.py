"""The three published casualty figures, quoted as their sources give them. These are real; nothing is added up."""

from datetime import date
from typing import Any

from django.utils import timezone

from archive.sample.people import Team
from incidents.claims import record_claim
from incidents.models import Incident

PERIOD = "2025-03-06/2025-03-12"
#: (what the source states, its breakdown as (dimension, category, count))
CLAIMS: tuple[tuple[dict[str, Any], tuple[tuple[str, str, int], ...]], ...] = (
    (
        {
            "source": "Syrian Observatory for Human Rights (SOHR)",
            "document_title": "Count of 12 March 2025, as reported that day by Shafaq News",
            "document_url": "https://www.shafaq.com/en/World/Death-toll-rises-to-1-383-in-Syria-s-coastal-violence",
            "measure": "killed",
            "scope_area": "Latakia, Tartus, Hama and Homs governorates",
            "period_edtf": PERIOD,
            "who_counts": "Civilians",
            "as_of": date(2025, 3, 12),
            "minimum": 1383,
            "maximum": 1383,
            "note": "A real published figure, not part of the fiction. Stated as “1,383 civilians”, by governorate.",
        },
        (("area", "Latakia", 683), ("area", "Tartus", 433), ("area", "Hama", 255), ("area", "Homs", 12)),
    ),
    (
        {
            "source": "National Committee for Investigation and Fact-Finding in the coastal events (Syria)",
            "document_title": "Statement of 22 July 2025, as reported by SANA",
            "document_url": "https://www.sana.sy/en/?p=365511",
            "measure": "killed",
            "scope_area": "Syria's coast",
            "period_edtf": "2025-03",
            "who_counts": "Dead with verified names; security personnel are counted apart",
            "as_of": date(2025, 7, 22),
            "minimum": 1426,
            "maximum": 1426,
            "counted": "named",
            "note": (
                "A real published figure, not part of the fiction. Stated as “1,426 dead” with verified names, and "
                "beside them 238 security personnel, whom the 1,426 do not include."
            ),
        },
        (("", "Dead with verified names", 1426), ("", "Security personnel, counted beside them", 238)),
    ),
    (
        {
            "source": "UN Independent International Commission of Inquiry on the Syrian Arab Republic",
            "document_title": "Report on the violence in the coastal region, published 14 August 2025",
            "document_url": (
                "https://syriacpress.com/blog/2025/08/14/un-syria-commission-of-inquiry-report-finds-"
                "syrian-coastal-massacres-amount-to-war-crimes-urges-justice-for-1400-killed"
            ),
            "measure": "killed",
            "scope_area": "Syria's coastal region",
            "period_edtf": "2025-03~",
            "who_counts": "People killed, stated as “about 1,400”",
            "as_of": date(2025, 8, 14),
            "minimum": 1400,
            "maximum": 1400,
            "note": "A real published figure, not part of the fiction. Stated as “about 1,400”: its source rounded it.",
        },
        (),
    ),
)


def record_claims(team: Team, overview: Incident) -> None:
    """Set the three figures side by side on the overview."""
    for fields, parts in CLAIMS:
        record_claim(
            by=team["investigator"],
            at=timezone.now(),
            incident=overview,
            fields=fields,
            breakdown=[{"dimension": by, "category": category, "count": count} for by, category, count in parts],
        )

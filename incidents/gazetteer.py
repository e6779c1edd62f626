"""The bundled gazetteer: Syria's towns and seats of subdistricts with coordinates (GeoNames, CC BY 4.0)."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from incidents.vocabulary import Governorate

PLACES = Path(__file__).resolve().parent / "data" / "places.tsv"
COLUMNS = ("code", "name", "name_ar", "governorate", "latitude", "longitude")


@dataclass(frozen=True)
class Place:
    """A place of the gazetteer; coordinates are the centre of a populated place, good to about a kilometre."""

    code: str
    name: str
    name_ar: str
    governorate: Governorate
    latitude: str
    longitude: str

    @property
    def label(self) -> str:
        """Both names and the governorate, by which two places of one name are told apart."""
        names = f"{self.name} · {self.name_ar}" if self.name_ar else self.name
        return f"{names} ({self.governorate.label})"


@cache
def places() -> dict[str, Place]:
    """Every place by its code, in the order of governorate and name."""
    with PLACES.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle, delimiter="\t")
        return {
            row["code"]: Place(
                code=row["code"],
                name=row["name"],
                name_ar=row["name_ar"],
                governorate=Governorate(row["governorate"]),
                latitude=row["latitude"],
                longitude=row["longitude"],
            )
            for row in rows
        }


def place(code: str) -> Place | None:
    return places().get(code)

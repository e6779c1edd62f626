"""The program that looks into untrusted bytes. It runs alone inside the sandbox (evidence/sandbox.py), never elsewhere.

Usage: python -I -S -B examiner.py PACKAGES, with the item's bytes on standard input. On standard output it writes
records `name length\\n` + that many bytes, each as soon as it is known, so that a parser that dies takes only what was
not found yet: puremagic, libmagic (a media type), claims (a JSON object of strings), preview (WebP), note (words), end.
"""

import json
import resource
import sys
from typing import Any, BinaryIO

MIB = 1 << 20
HEAD = MIB
MOST_INPUT = 256 * MIB
MOST_PIXELS = 120_000_000
PREVIEW_SIDE = 1280
MOST_FIELDS = 200
LONGEST_VALUE = 500

LIMITS = {
    resource.RLIMIT_CPU: 40,  # seconds
    resource.RLIMIT_AS: 1536 * MIB,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_NPROC: 64,
}


def emit(name: str, payload: bytes) -> None:
    sys.stdout.buffer.write(f"{name} {len(payload)}\n".encode() + payload)
    sys.stdout.buffer.flush()


def main(packages: str) -> None:
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))
    sys.path.insert(0, packages)
    head = read_up_to(sys.stdin.buffer, HEAD)
    libmagic = by_libmagic(head)
    puremagic = by_puremagic(head, libmagic)
    if looks_like_image(head, puremagic, libmagic):
        rest = read_up_to(sys.stdin.buffer, MOST_INPUT - len(head) + 1)
        if len(head) + len(rest) > MOST_INPUT:
            emit("note", b"too large for a preview")
        else:
            look_at_image(head + rest)
    emit("end", b"")


def read_up_to(stream: BinaryIO, most: int) -> bytes:
    pieces, left = [], most
    while left > 0 and (piece := stream.read(min(left, MIB))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def by_puremagic(head: bytes, libmagic: str) -> str:
    """Its best answer; of equally good ones (all kinds of zip look alike) the one that libmagic gives too."""
    import puremagic

    answers: list[Any] = []
    if head:
        try:
            answers = puremagic.magic_string(head)
        except Exception:  # its parsers raise whatever the bytes provoke; no answer is an answer
            answers = []
    best = [answer.mime_type for answer in answers if answer.confidence == answers[0].confidence and answer.mime_type]
    media_type = libmagic if libmagic in best else next(iter(best), "")
    emit("puremagic", media_type.encode())
    return media_type


def by_libmagic(head: bytes) -> str:
    # First: it points python-magic to the library of its wheel, which alone reads the wheel's magic file.
    import pylibmagic  # noqa: F401, I001

    import magic

    try:
        media_type = str(magic.Magic(mime=True).from_buffer(head))
    except magic.MagicException:
        media_type = ""
    emit("libmagic", media_type.encode())
    return media_type


def looks_like_image(head: bytes, *types: str) -> bool:
    return bool(head) and any(kind.startswith("image/") and "svg" not in kind for kind in types)


def look_at_image(data: bytes) -> None:
    import io

    import pillow_heif
    from PIL import Image, ImageFile

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses at twice this many
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = Image.open(io.BytesIO(data))
    except Exception as problem:
        emit("note", f"not readable as an image ({type(problem).__name__})".encode())
        return
    emit("claims", json.dumps(bounded(claims(image))).encode())
    try:
        emit("preview", preview(image))
    except MemoryError:
        emit("note", b"too large for a preview")
    except Exception as problem:
        emit("note", f"no preview could be made ({type(problem).__name__})".encode())


def claims(image: Any) -> dict[str, str]:
    """What the file says of itself, as flat text: nothing of it is taken as true."""
    found = {"format": str(image.format or ""), "width": str(image.width), "height": str(image.height)}
    try:
        exif = image.getexif()
        details, position = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    except Exception:
        return found
    names = {
        "make": exif.get(0x010F),
        "model": exif.get(0x0110),
        "software": exif.get(0x0131),
        "orientation": exif.get(0x0112),
        "modified": with_offset(exif.get(0x0132), details.get(0x9010), details.get(0x9290)),
        "author": exif.get(0x013B),
        "copyright": exif.get(0x8298),
        "image_description": exif.get(0x010E),
        "host_computer": exif.get(0x013C),
        "created": with_offset(details.get(0x9003), details.get(0x9011), details.get(0x9291)),
        "digitised": with_offset(details.get(0x9004), details.get(0x9012), details.get(0x9292)),
        "lens_make": details.get(0xA433),
        "lens": details.get(0xA434),
        "body_serial": details.get(0xA431),
        "lens_serial": details.get(0xA435),
        "exposure_time": details.get(0x829A),
        "f_number": details.get(0x829D),
        "iso": details.get(0x8827),
        "focal_length": details.get(0x920A),
        "flash": details.get(0x9209),
        "unique_id": details.get(0xA420),
        "gps_latitude": degrees(position.get(2), position.get(1), "S"),
        "gps_longitude": degrees(position.get(4), position.get(3), "W"),
        "gps_altitude": altitude(position.get(6), position.get(5)),
        "gps_time": gps_time(position.get(29), position.get(7)),
        "gps_direction": position.get(17),
        "gps_accuracy": position.get(31),
        "gps_method": position.get(27),
    }
    return found | {name: as_text(value) for name, value in names.items() if value not in (None, "", b"")}


def as_text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace")
    elif isinstance(value, tuple):
        value = " ".join(as_text(part) for part in value)
    elif not isinstance(value, str) and hasattr(value, "numerator"):
        value = number(value)
    kept = "".join(character if character.isprintable() else " " for character in str(value))
    return " ".join(kept.split())


def number(value: Any) -> str:
    try:
        return f"{float(value):.6f}".rstrip("0").rstrip(".")
    except (ZeroDivisionError, OverflowError, ValueError, TypeError):
        return str(value)


def with_offset(moment: Any, offset: Any, fraction: Any) -> str:
    """EXIF's "2025:03:08 05:10:00" as "2025-03-08T05:10:00+03:00"; what is not of that form stays as it is."""
    text = as_text(moment) if moment else ""
    if len(text) != 19 or text[4] != ":" or text[7] != ":" or not text[:4].isdigit() or text.startswith("0000"):
        return text
    digits = as_text(fraction) if fraction else ""
    zone = as_text(offset) if offset else ""
    return (
        f"{text[:10].replace(':', '-')}T{text[11:]}"
        + (f".{digits}" if digits.isdigit() else "")
        + (zone if zone == "Z" or (len(zone) == 6 and zone[0] in "+-") else "")
    )


def degrees(value: Any, reference: Any, negative: str) -> str:
    """Degrees, minutes, seconds as signed decimal degrees with six places; empty when it is no position."""
    try:
        parts = [float(part) for part in value]
        total = sum(part / 60**place for place, part in enumerate(parts[:3]))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return ""
    if not 0 <= total <= (90 if negative == "S" else 180):  # also false for what is not a number
        return ""
    side = as_text(reference).upper() if reference else ""
    return f"{-total if side.startswith(negative) else total:.6f}"


def altitude(value: Any, reference: Any) -> str:
    if value is None:
        return ""
    below = reference in (1, b"\x01")
    return ("-" if below else "") + as_text(value)


def gps_time(day: Any, clock: Any) -> str:
    """GPS time is UTC: 2025-03-08T02:10:00Z; without a day, the clock alone."""
    try:
        hours, minutes, seconds = (int(float(part)) for part in clock)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return as_text(day).replace(":", "-") if day else ""
    shown = f"{hours:02}:{minutes:02}:{seconds:02}Z"
    return f"{as_text(day).replace(':', '-')}T{shown}" if day else shown


def bounded(values: dict[str, str]) -> dict[str, str]:
    kept = list(values.items())[:MOST_FIELDS]
    return {name: value[:LONGEST_VALUE] for name, value in kept if value}


def preview(image: Any) -> bytes:
    """The image upright, at most PREVIEW_SIDE pixels on its longer side, as WebP without any metadata."""
    import io

    from PIL import Image, ImageOps

    image.draft("RGB", (PREVIEW_SIDE, PREVIEW_SIDE))  # a JPEG is decoded at the size that is needed
    image.load()
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        low, high = image.getextrema()
        scale = 255 / ((high - low) or 1)
        image = image.convert("F").point(lambda value: (value - low) * scale).convert("L")
    wanted = "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = ImageOps.exif_transpose(image)
    if image.mode != wanted:
        image = image.convert(wanted)
    image.info.clear()
    made = io.BytesIO()
    image.save(made, "WEBP", quality=80, method=4)
    return made.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])

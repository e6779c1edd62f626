"""What follows from a media type: whether two identifiers agree, what kind it likely is, how it is shown."""

from evidence.vocabulary import Kind

UNKNOWN = "application/octet-stream"

#: Types a browser may show in a page: none of them can run anything, and each is sent with exactly this type.
INLINE = {
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/webp": "image/webp",
    "image/gif": "image/gif",
    "image/avif": "image/avif",
    "image/bmp": "image/bmp",
    "video/mp4": "video/mp4",
    "video/webm": "video/webm",
    "video/ogg": "video/ogg",
    "video/quicktime": "video/mp4",
    "audio/mpeg": "audio/mpeg",
    "audio/mp4": "audio/mp4",
    "audio/ogg": "audio/ogg",
    "audio/wav": "audio/wav",
    "audio/flac": "audio/flac",
    "audio/webm": "audio/webm",
}
PDF = "application/pdf"
TEXT = ("text/plain", "text/csv", "application/json", "application/x-ndjson")

_SAME = {
    "image/jpg": "image/jpeg",
    "image/heif": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/vnd.microsoft.icon": "image/icon",
    "image/x-eps": "application/postscript",
    "image/ms-bmp": "image/bmp",
    "image/portable-greymap": "image/portable-graymap",
    "image/xpmi": "image/xpixmap",
    "image/jp2": "image/jpeg2000",
    "application/cdfv2": "application/msword",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "application/ogg": "audio/ogg",
    "video/m4v": "video/mp4",
    "video/3gpp2": "video/3gpp",
    "video/matroska": "video/webm",
    "application/zip-compressed": "application/zip",
    "application/rar-compressed": "application/rar",
    "application/vnd.rar": "application/rar",
    "application/java": "application/java-applet",
    "application/gzip-compressed": "application/gzip",
    "application/msdos-program": "application/dosexec",
    "application/vnd.microsoft.portable-executable": "application/dosexec",
    "text/xml": "application/xml",
    "text/json": "application/json",
    "text/rtf": "application/rtf",
}


def canonical(media_type: str) -> str:
    """One name for types that are named differently: lower case, without `x-`; "" for unknown."""
    family, _slash, name = media_type.lower().partition("/")
    plain = f"{family}/{name.removeprefix('x-')}" if name else ""
    plain = _SAME.get(plain, plain)
    return "" if plain in (UNKNOWN, "inode/empty") else plain


def disagree(one: str, other: str) -> bool:
    """Whether two identifiers contradict each other. Not knowing is no contradiction; text is text of any sort."""
    first, second = canonical(one), canonical(other)
    if not first or not second or first == second:
        return False
    pair = {first, second}
    if "text/plain" in pair:
        return not all(name.startswith("text/") or name in ("application/json", "application/xml") for name in pair)
    if "application/zip" in pair:
        other_name = (pair - {"application/zip"}).pop()
        return not other_name.startswith(("application/vnd.", "application/epub", "application/java-archive"))
    if pair == {"audio/ogg", "video/ogg"} or pair == {"audio/mp4", "video/mp4"}:
        return False
    return not pair <= {"video/mp4", "video/quicktime", "video/3gpp"}


def chosen(puremagic: str, libmagic: str) -> str:
    """The type an item is recorded with: libmagic's, or puremagic's where libmagic does not know."""
    for media_type in (libmagic, puremagic):
        if media_type and media_type != UNKNOWN:
            return media_type[:127]
    return UNKNOWN


def inline_type(media_type: str) -> str | None:
    """The type under which a browser may show the content, or None when it may only be saved."""
    plain = canonical(media_type)
    return INLINE.get(plain) or INLINE.get(media_type)


def is_text(media_type: str) -> bool:
    """Whether the text viewer can show it: as escaped text, whatever language it is written in."""
    return media_type in TEXT or media_type.startswith("text/") or media_type in ("application/xml", "image/svg+xml")


def kind_of(media_type: str) -> str:
    """The kind an item most likely is, by its type alone."""
    family = media_type.partition("/")[0]
    if media_type in ("text/plain", "text/csv", "application/json"):
        return Kind.TEXT
    if media_type in ("application/warc", "application/wacz", "text/html", "multipart/related"):
        return Kind.WEB_CAPTURE
    if media_type.startswith(("application/pdf", "application/msword", "application/vnd.", "application/rtf")):
        return Kind.DOCUMENT
    return {"image": Kind.PHOTO, "video": Kind.VIDEO, "audio": Kind.AUDIO, "text": Kind.TEXT}.get(family, Kind.OTHER)

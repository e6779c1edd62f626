"""What an item of the sample is: how its bytes are made, under which name it came, what is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archive.sample.camera import Claims, photograph

Link = tuple[str, str, str, str, int | None]  # incident, stance, reasons, source reliability, information credibility


@dataclass(frozen=True)
class Piece:
    """One item to receive. Without a title in `said` it waits to be described."""

    key: str
    name: str
    make: Callable[[], bytes]
    said: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    by: str = "investigator"


def shot(view: str, claims: Claims | None = None) -> Callable[[], bytes]:
    return lambda: photograph(view, claims)


def taken(day: str, clock: str, where: tuple[float, float] | None = None, **more: Any) -> Claims:
    latitude, longitude = where or (None, None)
    return Claims(taken=f"{day.replace('-', ':')} {clock}", latitude=latitude, longitude=longitude, **more)


COLLECTOR = {
    "source_kind": "local_group",
    "source": "Field collector 2 (pseudonym)",
    "acquired_by": "Investigator (sample)",
    "acquired_how": "device_copy",
    "acquired_where": "Partner's office",
    "acquired_tool": "Card reader, write-protected",
}
OWN = {
    "source_kind": "own",
    "source": "Investigator (sample)",
    "acquired_by": "Investigator (sample)",
    "acquired_how": "recorded",
    "acquired_tool": "Field phone 3",
}
CHANNEL = {
    "source_kind": "open_source",
    "source": "Public channel “Coast Notes” (fictional)",
    "acquired_by": "Archivist (sample)",
    "acquired_how": "downloaded",
    "acquired_tool": "Browser, with screen recording",
}
MESSAGE = {
    "source_kind": "eyewitness",
    "source": "Resident, under pseudonym R-11",
    "acquired_by": "Second investigator (sample)",
    "acquired_how": "message",
    "acquired_tool": "Messenger, forwarded as a file",
}


def made(day: str, basis: str = "device") -> dict[str, str]:
    return {"created_edtf": day, "created_basis": basis}


def got(day: str, origin: Mapping[str, str]) -> dict[str, str]:
    return {"collected_edtf": day, "collected_basis": "analyst", "acquired_edtf": day, **origin}


def photo(title: str, **more: Any) -> dict[str, Any]:
    return {"kind": "photo", "title": title, **more}


SCAN = {**OWN, "acquired_how": "scanned", "acquired_tool": "Flatbed scanner"}

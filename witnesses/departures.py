"""What has already left the archive: apps that give things away say so here, and a withdrawal lists it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Departure:
    """One item that was given to somebody, in words; `url` leads to the record of it where the reader may see it."""

    at: datetime
    accession: str
    what: str
    recipient: str
    url: str = ""


Provider = Callable[[Any, Collection[UUID]], Collection[Departure]]

_PROVIDERS: list[Provider] = []


def register(provider: Provider) -> None:
    """The provider gets the user and item ids, and answers with the departures of these items the user may know of."""
    _PROVIDERS.append(provider)


def departures(user: Any, items: Collection[UUID]) -> list[Departure]:
    """Everything of these items that already left, oldest first."""
    return sorted((gone for provider in _PROVIDERS for gone in provider(user, items)), key=lambda gone: gone.at)

"""What the apps above hold of an item: they may object to its erasure, and destroy with it what is theirs."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from custody.engine import Subject
from evidence.models import Item


@dataclass
class Taken:
    """What a part gave up, for the erasure to destroy and to name.

    `values`: {event: fields} recorded under keys that live on. `keyed`: subjects that lose their key as the item does.
    `addresses`: ciphertexts whose keys are gone.
    """

    values: dict[UUID, Collection[str]] = field(default_factory=dict)
    keyed: list[Subject] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """One app's part in an erasure.

    `objections`: why not now, in words for a person. `beyond`: what the erasure does not reach, for this person to
    know before deciding. `destroy`: clears the app's rows inside the act. `afterwards`: clears what lies outside the
    database, by accession number; it is asked again until it does not raise. `tables`: those it wrote in.
    """

    objections: Callable[[Sequence[Item], datetime], Iterator[str]] = lambda *_: iter(())
    beyond: Callable[[Any, Sequence[Item]], Iterator[str]] = lambda *_: iter(())
    destroy: Callable[[Sequence[Item], User, datetime], Taken] = lambda *_: Taken()
    afterwards: Callable[[Collection[str]], None] = lambda *_: None
    tables: tuple[str, ...] = ()


_PARTS: list[Part] = []


def register(part: Part) -> None:
    """Have an app asked at every erasure."""
    _PARTS.append(part)


def parts() -> Sequence[Part]:
    return tuple(_PARTS)

"""The ledger as a trail to read: who did what to what, when, with what outcome. No committed value but one is opened:
the name of a permission that was refused. Titles, names of witnesses, files and descriptions never come here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment, User
from accounts.permissions import permitted
from accounts.queries import names_of
from custody.engine import opened
from custody.models import Entry, Event, EventSubject
from custody.proof import newest_checkpoint
from custody.seal import SealBroken
from custody.vocabulary import Outcome, Type
from evidence.models import Item

PAGE = 50
CHUNK = 500  # events read at once for a whole trail

KINDS: dict[str, Any] = {
    "item": _("Item"),
    "user": _("Person"),
    "compartment": _("Compartment"),
    "incident": _("Incident"),
    "witness": _("Witness"),
    "testimony": _("Testimony"),
    "consent": _("Consent"),
    "identity": _("Identity"),
    "case": _("Case file"),
    "casefile": _("Case file"),
    "exhibit": _("Exhibit"),
    "bundle": _("Bundle"),
    "claim": _("Claim"),
    "link": _("Link"),
    "run": _("Verification run"),
    "grant": _("Grant"),
    "apitoken": _("API token"),
    "event": _("Ledger event"),
    "checkpoint": _("Checkpoint"),
}


@dataclass(frozen=True)
class About:
    """A subject as a reader of trails may know it: its kind, its public number or opaque id, its page for them."""

    kind: str
    shown: str
    url: str


@dataclass(frozen=True)
class Row:
    """One event of a trail. `recorded`: a signed head covers it. `permission`: what was refused."""

    event_id: UUID
    at: datetime
    type: Type
    outcome: Outcome
    agent_id: UUID
    agent: str
    about: list[About]
    compartment: str
    index: int | None
    recorded: bool
    permission: str


def events(user: User) -> QuerySet[Event]:
    """The events whose trail a person may read, newest first."""
    return permitted(user, "trail.view", Event.objects.all()).order_by("-at", "-id")


def of_item(user: User, item: Item) -> QuerySet[Event]:
    """Every event about an item."""
    about = EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
    return events(user).filter(pk__in=about)


def of_person(user: User, person: User) -> QuerySet[Event]:
    """Everything a person did."""
    return events(user).filter(agent_id=person.pk)


def rows(user: User, found: Sequence[Event]) -> list[Row]:
    """The given events for this reader, in the given order; seven queries whatever their number."""
    ids = [event.pk for event in found]
    index_of = dict(Entry.objects.filter(event_id__in=ids).values_list("event_id", "index"))
    head = newest_checkpoint()
    signed = head.size if head else 0
    agents = names_of(event.agent_id for event in found)
    codes = dict(Compartment.objects.filter(pk__in={event.compartment_id for event in found}).values_list("pk", "code"))
    subjects: defaultdict[UUID, list[EventSubject]] = defaultdict(list)
    for subject in EventSubject.objects.filter(event_id__in=ids).order_by("pk"):
        if ":" not in subject.kind:  # the kinds with a colon are notes of the archive to itself
            subjects[subject.event_id].append(subject)
    shown = _shown(user, [subject for group in subjects.values() for subject in group])
    result = []
    for event in found:
        index = index_of.get(event.pk)
        result.append(
            Row(
                event_id=event.pk,
                at=event.at,
                type=Type(event.type),
                outcome=Outcome(event.outcome),
                agent_id=event.agent_id,
                agent=agents[event.agent_id],
                about=[shown[subject.kind, subject.subject_id] for subject in subjects[event.pk]],
                compartment=codes.get(event.compartment_id, "") if event.compartment_id else "",
                index=index,
                recorded=index is not None and index < signed,
                permission=_permission(event) if event.type == Type.REFUSE else "",
            )
        )
    return result


def all_rows(user: User, found: QuerySet[Event]) -> Iterator[Row]:
    """A whole trail, newest first, in flat memory."""
    batch: list[Event] = []
    for event in found.iterator(chunk_size=CHUNK):
        batch.append(event)
        if len(batch) == CHUNK:
            yield from rows(user, batch)
            batch = []
    yield from rows(user, batch)


def _shown(user: User, subjects: Sequence[EventSubject]) -> dict[tuple[str, UUID], About]:
    ids: defaultdict[str, set[UUID]] = defaultdict(set)
    for subject in subjects:
        ids[subject.kind].add(subject.subject_id)
    items = permitted(user, "item.view", Item.objects.filter(pk__in=ids["item"]))
    people = permitted(user, "user.view", User.objects.filter(pk__in=ids["user"]))
    compartments = permitted(user, "compartment.view", Compartment.objects.filter(pk__in=ids["compartment"]))
    known: dict[tuple[str, UUID], tuple[str, str]] = {}
    for pk, accession in items.values_list("pk", "accession"):
        known["item", pk] = (accession, reverse("verification:item", args=[accession]))
    for person in people:
        known["user", person.pk] = (person.display_name, reverse("verification:person_trail", args=[person.pk]))
    for pk, code in compartments.values_list("pk", "code"):
        known["compartment", pk] = (code, "")
    result = {}
    for kind, group in ids.items():
        for pk in group:
            text, url = known.get((kind, pk), (str(pk)[:8], ""))
            result[kind, pk] = About(str(KINDS.get(kind, kind)), text, url)
    return result


def _permission(event: Event) -> str:
    """The one value that is opened: which permission was refused. Empty when it does not open."""
    try:
        stated = opened([event.pk])[event.pk].get("to")
    except SealBroken:
        return ""
    return str(stated[1].get("permission", "")) if stated and isinstance(stated[1], dict) else ""

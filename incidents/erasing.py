"""What incidents hold of an item, given up with it: links' reasons, and what was announced of files to come."""

import fcntl
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from custody.engine import Subject
from custody.engine import opened as recorded
from custody.models import Event, EventSubject
from custody.seal import SealBroken
from custody.vocabulary import Type
from evidence.description import TEXTS
from evidence.erasure_parts import Part, Taken
from evidence.models import Item
from incidents.models import Intake, Link, Member, Upload
from incidents.uploads import INTAKE_LIFE, opened

WITHDRAWN = "erased"


def destroy(items: Sequence[Item], by: User, at: datetime) -> Taken:
    """Withdraw the items' links without a word of why, and empty the announcements under which they came.

    An intake says the same of all its files; each item has its own copy, so emptying it takes nothing from the others.
    """
    links = Link.objects.filter(item__in=items)
    incidents = set(links.values_list("incident_id", flat=True))
    links.update(reasons="", withdrawn_reason="", source_reliability="", information_credibility=None)
    links.filter(withdrawn_at__isnull=True).update(withdrawn_by=by, withdrawn_at=at, withdrawn_reason=WITHDRAWN)
    taken = Taken(values=_said_of_containers(items))
    Member.objects.filter(item__in=items).update(sealed_path=b"")
    for item in items:
        before = Q(created_at__lte=item.received_at, created_at__gt=item.received_at - INTAKE_LIFE)
        slow = Q(pk__in=Upload.objects.filter(item=item).values("intake"))  # a file may arrive for longer than that
        intakes = Intake.objects.filter(before | slow, incident__in=incidents, by=item.received_by).exclude(sealed=b"")
        said = _said_at_reception(item)
        for intake in intakes.select_for_update():
            if _announced(intake, said):
                Intake.objects.filter(pk=intake.pk).update(sealed=b"")
                taken.keyed.append(Subject("intake", intake.id))
    return taken


def afterwards(accessions: Collection[str]) -> None:
    """Take erased items out of the journals of ingestions. Raises BlockingIOError while one is in use."""
    for path in sorted((Path(settings.SANAD_DATA) / "ingest").glob("*.jsonl")):
        with path.open("r+b") as handle:
            lines = handle.readlines()
            kept = [line for line in lines if not _names(line, accessions)]
            if len(kept) == len(lines):
                continue
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle.seek(0)
            kept = [line for line in handle.readlines() if not _names(line, accessions)]
            handle.seek(0)
            handle.write(b"".join(kept))
            handle.truncate()
            handle.flush()


def _said_at_reception(item: Item) -> Mapping[str, Any]:
    """The words with which the item came, as the ledger holds them; empty when they do not open."""
    about = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    for event_id in Event.objects.filter(type=Type.RECEIVE, id__in=about).values_list("id", flat=True):
        with suppress(SealBroken, KeyError):
            said = recorded([event_id])[event_id]["to"][1]
            return said if isinstance(said, dict) else {}
    return {}


def _announced(intake: Intake, said: Mapping[str, Any]) -> bool:
    """Whether the item came with the words of this announcement; of one that does not open nobody can tell."""
    try:
        description = opened(intake).description
    except (SealBroken, ValueError):
        return True
    return all((said.get(name) or "") == (description.get(name) or "") for name in TEXTS if name in description)


def _names(line: bytes, accessions: Collection[str]) -> bool:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and entry.get("accession") in accessions


def objections(items: Sequence[Item], at: datetime) -> Iterator[str]:
    """What is inside a container that stays would be erased in appearance only."""
    held = Member.objects.filter(item__in=items, container__erased_at__isnull=True).exclude(container__in=items)
    for accession in held.order_by("container__accession").values_list("container__accession", flat=True).distinct():
        yield _("It came out of %(container)s, which holds the same bytes: that one is erased first.") % {
            "container": accession
        }


def _said_of_containers(items: Sequence[Item]) -> dict[UUID, Collection[str]]:
    """Digest and accession number of a container, as recorded with each of its members under the member's own key."""
    members = Member.objects.filter(container__in=items).exclude(item__in=items).values("item_id")
    about = EventSubject.objects.filter(kind="item", subject_id__in=members).values("event_id")
    events = Event.objects.filter(type=Type.UNPACK, id__in=about)
    mine = EventSubject.objects.filter(kind="item", subject_id__in=[item.id for item in items]).values("event_id")
    return {event_id: ["container"] for event_id in events.filter(id__in=mine).values_list("id", flat=True)}


def beyond(user: Any, items: Sequence[Item]) -> Iterator[str]:
    """People wrote narratives after seeing the item: those are theirs to correct."""
    linked = Link.objects.filter(item__in=items, withdrawn_at__isnull=True).values("incident_id").distinct().count()
    if linked:
        yield ngettext(
            "It is linked to %(count)s incident. What its narrative says of it stays until somebody rewrites it.",
            "It is linked to %(count)s incidents. What their narratives say of it stays until somebody rewrites them.",
            linked,
        ) % {"count": linked}
    about = EventSubject.objects.filter(kind="item", subject_id__in=[item.id for item in items])
    tables = Event.objects.filter(type=Type.IMPORT, id__in=about.values("event_id")).count()
    if tables:
        yield ngettext(
            "%(count)s table that described it is an item of its own and stays until it is erased too.",
            "%(count)s tables that described it are items of their own and stay until they are erased too.",
            tables,
        ) % {"count": tables}


PART = Part(
    objections=objections,
    beyond=beyond,
    destroy=destroy,
    afterwards=afterwards,
    tables=("incidents_link", "incidents_intake", "incidents_member", "incidents_upload", "incidents_uploadpart"),
)

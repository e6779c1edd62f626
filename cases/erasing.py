"""What case files hold of an item: an exhibit is relied on and is not erased; what was once one is."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import permitted
from cases.departures import exported
from cases.models import Bundle, CaseFile, Exhibit, Review
from cases.vocabulary import ExportState
from custody.models import Event, EventSubject
from custody.vocabulary import Type
from evidence.erasure_parts import Part, Taken
from evidence.models import Blob, Item

UNDER_WAY = (ExportState.WAITING, ExportState.BUILDING)
#: What these events say of the item in reviewers' words, or by its digests.
TOLD = {
    Type.EXHIBIT: ("to", "purpose"),
    Type.DESCRIBE: ("from", "to"),
    Type.REVIEW: ("to",),
    Type.PACKAGE: ("object",),
    Type.EXPORT: ("object",),
}


def objections(items: Sequence[Item], at: datetime) -> Iterator[str]:
    """A court relies on what is tendered; a bundle that is being built would lose it half-way."""
    tendered = Exhibit.objects.filter(item__in=items, withdrawn_at__isnull=True).select_related("case_file", "item")
    for exhibit in tendered.order_by("case_file__code", "number"):
        yield _("%(accession)s is exhibit %(number)s of case file %(case)s. Withdraw the exhibit first.") % {
            "accession": exhibit.item.accession,
            "number": exhibit.number,
            "case": exhibit.case_file.code,
        }
    for bundle in _holding(items).filter(state__in=UNDER_WAY).select_related("case_file"):
        yield _("A bundle of case file %(case)s with it is being built. Wait for it, or cancel it.") % {
            "case": bundle.case_file.code
        }


def destroy(items: Sequence[Item], by: User, at: datetime) -> Taken:
    """Clear reviewers' words on withdrawn exhibits, and destroy finished bundles that hold the items in the clear."""
    taken = Taken()
    exhibits = Exhibit.objects.filter(item__in=items)
    Review.objects.filter(exhibit__in=exhibits).update(note="")
    exhibits.update(relevance="", notes="", withdrawn_reason="")
    accessions = {item.accession for item in items}
    for bundle in _holding(items).select_for_update():
        bundle.exhibits = [
            [number, name, "" if name in accessions else sha256] for number, name, sha256 in bundle.exhibits
        ]
        if bundle.blob is not None:
            taken.addresses.append(bundle.blob.address)
            gone, bundle.blob = bundle.blob_id, None
            bundle.state, bundle.sha256, bundle.digest, bundle.size = ExportState.DESTROYED, "", "", None
            bundle.save()
            Blob.objects.filter(pk=gone).delete()
        else:
            bundle.save(update_fields=["exhibits"])
    taken.values = _values(items)
    return taken


def beyond(user: Any, items: Sequence[Item]) -> Iterator[str]:
    """What left the archive cannot be called back; who has it is named to whoever may know."""
    for departure in exported(user, [item.id for item in items]):
        yield _("%(accession)s left the archive on %(day)s %(what)s, for %(recipient)s. Ask them to destroy it.") % {
            "accession": departure.accession,
            "day": departure.at.date().isoformat(),
            "what": departure.what,
            "recipient": departure.recipient,
        }
    seen = permitted(user, "case.view", CaseFile.objects.all())
    if _holding(items).filter(state=ExportState.READY, case_file__in=seen).exists():
        yield _("Finished bundles that hold it are destroyed with it; make new ones without it.")


def _holding(items: Sequence[Item]) -> Any:
    """The bundles that list one of the items. They all lie in case files that it was tendered in."""
    cases = Exhibit.objects.filter(item__in=items).values("case_file_id")
    listed = {item.accession for item in items}
    found = [
        bundle.pk
        for bundle in Bundle.objects.filter(case_file_id__in=cases)
        if any(row[1] in listed for row in bundle.exhibits)
    ]
    return Bundle.objects.filter(pk__in=found)


def _values(items: Sequence[Item]) -> dict[UUID, Collection[str]]:
    about = EventSubject.objects.filter(kind="item", subject_id__in=[item.id for item in items]).values("event_id")
    of_cases = EventSubject.objects.filter(kind="case", event_id__in=about).values("event_id")
    events = Event.objects.filter(Q(type__in=list(TOLD)), id__in=of_cases)
    return {event_id: TOLD[Type(kind)] for event_id, kind in events.values_list("id", "type")}


PART = Part(objections, beyond, destroy, tables=("cases_exhibit", "cases_review", "cases_bundle"))

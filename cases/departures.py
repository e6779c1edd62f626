"""What left the archive in bundles, for whoever withdraws a consent."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import permitted
from cases.models import CaseFile
from custody.models import Event, EventSubject
from custody.vocabulary import Outcome, Type
from evidence.models import Item
from witnesses.departures import Departure


def exported(user: Any, items: Collection[UUID]) -> list[Departure]:
    """Each time one of the items left in a bundle of a case file the user may see: when, to whom, of which case."""
    taken = EventSubject.objects.filter(kind="item", subject_id__in=items)
    events = Event.objects.filter(type=Type.EXPORT, outcome=Outcome.SUCCESS, id__in=taken.values("event_id"))
    at = dict(events.values_list("id", "at"))
    case_of = dict(EventSubject.objects.filter(kind="case", event_id__in=at).values_list("event_id", "subject_id"))
    cases = {case.pk: case for case in permitted(user, "case.view", CaseFile.objects.filter(pk__in=case_of.values()))}
    accessions = dict(Item.objects.filter(pk__in=items).values_list("pk", "accession"))
    return [
        Departure(
            at=at[event_id],
            accession=accessions[item_id],
            what=_("in a bundle of case file %(case)s") % {"case": cases[case_of[event_id]].code},
            recipient=cases[case_of[event_id]].recipient,
            url=reverse("cases:case", args=[case_of[event_id]]),
        )
        for event_id, item_id in taken.filter(event_id__in=at).values_list("event_id", "subject_id")
        if case_of.get(event_id) in cases
    ]

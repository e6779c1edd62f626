"""What witnesses' consents and testimonies have to say to the erasure of an item."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import permitted
from custody.models import Event, EventSubject
from custody.vocabulary import Type
from evidence.erasure_parts import Part, Taken
from evidence.models import Item
from witnesses.models import Consent, Recording

LINKS = (Type.LINK_RECORDING, Type.UNLINK_RECORDING)


def objections(items: Sequence[Item], at: datetime) -> Iterator[str]:
    """A signed form proves a consent as long as the consent counts."""
    counts = Q(withdrawn_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=at))
    for consent in Consent.objects.filter(counts, form_item__in=items).select_related("form_item"):
        yield _("%(accession)s is the signed form of a consent that counts. Withdraw the consent first.") % {
            "accession": consent.form_item.accession if consent.form_item else ""
        }


def destroy(items: Sequence[Item], by: User, at: datetime) -> Taken:
    """The link to a testimony stays, so that the testimony tells that there was a recording; why it was linked goes."""
    taken = Taken()
    about = EventSubject.objects.filter(kind="item", subject_id__in=[item.id for item in items]).values("event_id")
    for event_id in Event.objects.filter(type__in=LINKS, id__in=about).values_list("id", flat=True):
        taken.values[event_id] = ("purpose",)
    return taken


def beyond(user: Any, items: Sequence[Item]) -> Iterator[str]:
    """What is told in a testimony is told in its own words."""
    links = Recording.objects.filter(item__in=items, withdrawn_at__isnull=True).select_related("testimony")
    for link in permitted(user, "recording.view", links):
        number = link.testimony.number
        yield _("It is a recording of testimony %(number)s, whose written text stays.") % {"number": number}


PART = Part(objections, beyond, destroy)

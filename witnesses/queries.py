"""Questions the pages of witnesses and testimonies ask."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from accounts.models import User
from accounts.permissions import compartments, permitted
from custody.models import Event, EventSubject
from custody.story import StoryLine, lines
from custody.vocabulary import Type
from witnesses import names
from witnesses.consent import ENDS_SOON, newest_consents
from witnesses.models import Consent, NameToken, Recording, Testimony, Witness
from witnesses.vocabulary import ConsentState

#: Up to so many index entries are looked up one by one; more are compared with all of the compartment's, read once.
FEW_ENTRIES = 200


def naming(texts: Mapping[str, Sequence[str]], compartment_id: UUID) -> set[str]:
    """The fields of which a text names a witness of this compartment, asked of the blind index, opening nothing.

    A compartment without names costs one short query, whatever the texts' length.
    """
    index = NameToken.objects.filter(identity__witness__compartment_id=compartment_id)
    if not any(texts.values()) or not index.exists():
        return set()
    mentioned = {field: set().union(*map(names.mentioned, parts)) for field, parts in texts.items()}
    asked: set[bytes] = set().union(*mentioned.values())
    if len(asked) <= FEW_ENTRIES:
        index = index.filter(token__in=list(asked))
    held = {bytes(token) for token in index.values_list("token", flat=True)} if asked else set()
    return {field for field, entries in mentioned.items() if not held.isdisjoint(entries)}


def listed_witnesses(
    user: Any, at: datetime, *, query: str = "", kind: str = "", compartment: str = "", state: str = ""
) -> QuerySet[Witness]:
    """The witnesses the user may see; the query is part of a pseudonym, `state` a ConsentState at the moment.

    Each has `testimony_count`. Asking for a kind finds only those whose particulars the user may see.
    """
    witnesses = permitted(user, "witness.view", Witness.objects.select_related("compartment"))
    if query.strip():
        witnesses = witnesses.filter(pseudonym__icontains=query.strip()[:20].replace("\0", ""))
    if kind:
        known = permitted(user, "witness.view_details", Witness.objects.filter(kind=kind))
        witnesses = witnesses.filter(pk__in=known.values("pk"))
    if compartment:
        witnesses = witnesses.filter(compartment__code=compartment)
    if state:
        witnesses = _in_state(witnesses, state, at)
    return witnesses.annotate(testimony_count=Count("testimonies")).order_by("compartment__code", "pseudonym", "pk")


def _newest_of(outer: str, at: datetime) -> QuerySet[Consent]:
    """The newest consent of an outer row's witness, for a subquery."""
    known = Consent.objects.filter(witness=OuterRef(outer), recorded_at__lte=at)
    return known.order_by("-given_earliest", "-recorded_at", "-id")


def _in_state(witnesses: QuerySet[Witness], state: str, at: datetime) -> QuerySet[Witness]:
    newest = _newest_of("pk", at)
    rows = witnesses.annotate(
        newest=Subquery(newest.values("pk")[:1]),
        ends=Subquery(newest.values("expires_at")[:1]),
        taken_back=Subquery(newest.values("withdrawn_at")[:1]),
    )
    stands = rows.filter(newest__isnull=False, taken_back__isnull=True)
    soon = Q(ends__gt=at, ends__lte=at + ENDS_SOON)
    choices = {
        ConsentState.NONE: rows.filter(newest__isnull=True),
        ConsentState.WITHDRAWN: rows.filter(taken_back__isnull=False),
        ConsentState.EXPIRED: stands.filter(ends__lte=at),
        ConsentState.EXPIRING: stands.filter(soon),
        ConsentState.IN_FORCE: stands.filter(Q(ends__isnull=True) | Q(ends__gt=at + ENDS_SOON)),
    }
    return choices.get(ConsentState(state), rows.none())


def openings_of(witness: Witness) -> list[StoryLine]:
    """When the identity was opened, by whom and why, newest first."""
    return _openings(EventSubject.objects.filter(kind="witness", subject_id=witness.id).values("event_id"), newest=50)


def recent_openings(user: User, since: datetime) -> list[StoryLine]:
    """Openings since a moment in the compartments where the user may open identities, newest first."""
    events = Event.objects.filter(compartment_id__in=compartments(user, "identity.open").values("pk"), at__gte=since)
    return _openings(events.values("id"), newest=10)


def _openings(events: Any, *, newest: int) -> list[StoryLine]:
    found = Event.objects.filter(type=Type.OPEN_IDENTITY, id__in=events).order_by("-at", "-id")
    return lines(list(found.values_list("id", flat=True)[:newest]))


def witnesses_of(story: Collection[StoryLine]) -> dict[UUID, Witness]:
    """{event: witness} for openings."""
    subjects = EventSubject.objects.filter(kind="witness", event_id__in=[line.event_id for line in story])
    pairs = dict(subjects.values_list("event_id", "subject_id"))
    found = Witness.objects.in_bulk(list(pairs.values()))
    return {event: found[witness] for event, witness in pairs.items() if witness in found}


def ending_consents(user: User, at: datetime) -> list[Consent]:
    """The newest consents of visible witnesses that end within ENDS_SOON and were not withdrawn, soonest first."""
    visible = permitted(user, "consent.view", Consent.objects.filter(expires_at__gt=at, expires_at__lte=at + ENDS_SOON))
    candidates = set(visible.filter(withdrawn_at__isnull=True).values_list("witness_id", flat=True))
    newest = newest_consents(candidates, at).values()
    soon = [consent for consent in newest if consent.withdrawn_at is None and consent.expires_at is not None]
    return sorted(
        (consent for consent in soon if consent.expires_at and at < consent.expires_at <= at + ENDS_SOON),
        key=lambda consent: (consent.expires_at, consent.witness.pseudonym),
    )


def testimonies_without_consent(user: User, at: datetime) -> QuerySet[Testimony]:
    """Testimonies the user sees whose witness has no consent in force at the moment."""
    standing = Consent.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=at),
        withdrawn_at__isnull=True,
        pk=_newest_of("witness", at).values("pk")[:1],
    )
    visible = permitted(user, "testimony.view", Testimony.objects.select_related("witness", "compartment"))
    return visible.exclude(Exists(standing))


def recordings_of(user: User, testimony: Testimony) -> QuerySet[Recording]:
    """The items that record a testimony, as far as the user sees them."""
    links = permitted(user, "recording.view", Recording.objects.filter(testimony=testimony, withdrawn_at__isnull=True))
    return links.select_related("item")


def recorded_items(witness: Witness) -> list[UUID]:
    """The items that record any testimony of a witness, also where the link was withdrawn later."""
    return list(Recording.objects.filter(testimony__witness=witness).values_list("item_id", flat=True).distinct())

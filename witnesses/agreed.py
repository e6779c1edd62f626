"""Whether what the records say of consent is what was recorded in the ledger when it was given and taken back."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from custody.engine import opened, timestamp
from custody.models import Event, EventSubject
from custody.seal import SealBroken
from custody.vocabulary import Outcome, Type
from witnesses.models import Consent
from witnesses.particulars import CONSENT, as_values

BATCH = 100


def consent_faults() -> Iterator[tuple[UUID, str]]:
    """(consent, what is wrong) for each that is not as it was recorded; names columns, never their values.

    That the recorded values are those the entries commit to is custody.agreement's to test.
    """
    ids: list[UUID] = []
    for pk in Consent.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=1000):
        ids.append(pk)
        if len(ids) == BATCH:
            yield from _faults_of(ids)
            ids = []
    yield from _faults_of(ids)
    there = Consent.objects.filter(pk=OuterRef("subject_id"))
    recorded = Event.objects.filter(type=Type.CONSENT, outcome=Outcome.SUCCESS).values("id")
    gone = EventSubject.objects.filter(~Exists(there), kind="consent", event_id__in=recorded)
    for pk in gone.values_list("subject_id", flat=True).iterator(chunk_size=1000):
        yield pk, "was recorded and is no longer there"


def _faults_of(ids: list[UUID]) -> Iterator[tuple[UUID, str]]:
    events: dict[tuple[UUID, str], list[Event]] = {}
    about = EventSubject.objects.filter(kind="consent", subject_id__in=ids).values_list("event_id", "subject_id")
    subject_of = dict(about)
    for event in Event.objects.filter(type__in=(Type.CONSENT, Type.WITHDRAW_CONSENT), id__in=subject_of):
        events.setdefault((subject_of[event.id], event.type), []).append(event)
    for consent in Consent.objects.filter(pk__in=ids).select_related("form_item"):
        given = events.get((consent.pk, Type.CONSENT), [])
        taken = events.get((consent.pk, Type.WITHDRAW_CONSENT), [])
        try:
            for what in _differences(consent, given, taken):
                yield consent.pk, what
        except SealBroken:
            yield consent.pk, "its recorded values do not open"


def _differences(consent: Consent, given: list[Event], taken: list[Event]) -> Iterator[str]:
    if len(given) != 1 or len(taken) > 1:
        yield "is not recorded once in the ledger"
        return
    values = {field: value for field, (_, value) in opened([given[0].id])[given[0].id].items()}
    stated, present = values.get("to", {}), as_values(consent, CONSENT)
    for name in CONSENT:
        if _same(stated.get(name)) != _same(present[name]):
            yield f"{name} is not what was recorded"
    form = consent.form_item.accession if consent.form_item else None
    if values.get("object", {}).get("form") != form:
        yield "the signed form is not the one that was recorded"
    if {"kind": "witness", "id": str(consent.witness_id)} not in values.get("subjects", []):
        yield "the witness is not the one that was recorded"
    if timestamp(consent.recorded_at) != timestamp(given[0].at):
        yield "recorded_at is not when it was recorded"
    withdrawn = timestamp(consent.withdrawn_at) if consent.withdrawn_at else None
    if withdrawn != (timestamp(taken[0].at) if taken else None):
        yield "its withdrawal is not what was recorded"


def _same(value: Any) -> Any:
    """A moment as UTC: the ledger keeps the zone it was said in, the database does not."""
    if isinstance(value, str) and "T" in value:
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            return timestamp(moment) if moment.tzinfo else value
    return value

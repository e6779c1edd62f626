"""The ledger to read: events, trails of items and people, entries with their proofs, checkpoints, the key."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, permitted, require, require_anywhere
from accounts.requests import person
from custody.cosignatures import cosigned_note
from custody.engine import Subject
from custody.keys import KeyProblem
from custody.ledger_keys import vkey
from custody.models import Checkpoint, Entry, Event
from custody.proof import Proof, proof_at
from evidence.models import Item
from ledger.merkle import ProofError
from ledger.proof import format_proof
from verification import actions, reports
from verification import trail as trails
from verification.exports import csv_response
from verification.forms import TrailForm
from verification.keyset import newest_first
from verification.queries import ledger_state

PRINTED = 2000
PAGE = 50


@require_safe
@never_cache
def trail(request: HttpRequest) -> HttpResponse:
    """Every event the auditor may read, filtered; opening it is an event itself."""
    user = person(request)
    form, found = _chosen(request, user)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", user.pk))
    context = _paged(request, user, found) | {
        "areas": reports.areas(user, "trail"),
        "form": form,
        "filters": _filters(request),
    }
    return render(request, "verification/trail.html", context, status=200 if form.is_valid() else 422)


@require_safe
def trail_csv(request: HttpRequest) -> HttpResponseBase:
    user = person(request)
    _form, found = _chosen(request, user)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", user.pk), copy=True)
    return _csv(user, found, "ledger-trail.csv")


@require_safe
@never_cache
def trail_print(request: HttpRequest) -> HttpResponse:
    user = person(request)
    _form, found = _chosen(request, user)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", user.pk), copy=True)
    return _sheet(request, user, found, _("Trail of the ledger"), reverse("verification:trail"))


@require_safe
@never_cache
def item_trail(request: HttpRequest, accession: str) -> HttpResponse:
    """Everything that was done with one item."""
    user = person(request)
    item = _item(user, accession)
    _read_item(user, item)
    context = _paged(request, user, trails.of_item(user, item)) | {"areas": reports.areas(user, "items"), "item": item}
    return render(request, "verification/item_trail.html", context)


@require_safe
def item_trail_csv(request: HttpRequest, accession: str) -> HttpResponseBase:
    user = person(request)
    item = _item(user, accession)
    _read_item(user, item, copy=True)
    return _csv(user, trails.of_item(user, item), f"trail-{item.accession}.csv")


@require_safe
@never_cache
def item_trail_print(request: HttpRequest, accession: str) -> HttpResponse:
    user = person(request)
    item = _item(user, accession)
    _read_item(user, item, copy=True)
    heading = _("Trail of %(accession)s") % {"accession": item.accession}
    back = reverse("verification:item_trail", args=[item.accession])
    return _sheet(request, user, trails.of_item(user, item), heading, back)


@require_safe
@never_cache
def person_trail(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Everything that one person did, as far as the auditor may read it."""
    user = person(request)
    someone = _someone(user, user_id)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", someone.pk))
    context = _paged(request, user, trails.of_person(user, someone)) | {
        "areas": reports.areas(user, "trail"),
        "someone": someone,
    }
    return render(request, "verification/person_trail.html", context)


@require_safe
def person_trail_csv(request: HttpRequest, user_id: UUID) -> HttpResponseBase:
    user = person(request)
    someone = _someone(user, user_id)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", someone.pk), copy=True)
    return _csv(user, trails.of_person(user, someone), f"trail-{someone.username}.csv")


@require_safe
@never_cache
def person_trail_print(request: HttpRequest, user_id: UUID) -> HttpResponse:
    user = person(request)
    someone = _someone(user, user_id)
    actions.read_trail(by=user, at=timezone.now(), subject=Subject("user", someone.pk), copy=True)
    heading = _("Trail of %(name)s") % {"name": someone.display_name}
    back = reverse("verification:person_trail", args=[someone.pk])
    return _sheet(request, user, trails.of_person(user, someone), heading, back)


@require_safe
def checkpoints(request: HttpRequest) -> HttpResponse:
    """The signed heads, newest first."""
    user = person(request)
    require_anywhere(user, "checkpoint.view")
    seen = permitted(user, "checkpoint.view", Checkpoint.objects.all())
    page = newest_first(seen, moment="signed_at", cursor=request.GET.get("page", ""), size=PAGE)
    context = {
        "areas": reports.areas(user, "checkpoints"),
        "checkpoints": [(row, bytes(row.root).hex()) for row in page.rows],
        "newer_url": reports.page_url(request, page.newer),
        "older_url": reports.page_url(request, page.older),
        "ledger": ledger_state(),
    }
    return render(request, "verification/checkpoints.html", context)


@require_safe
def checkpoint_note(request: HttpRequest, checkpoint_id: int) -> HttpResponse:
    """The signed note of a checkpoint (C2SP tlog-checkpoint), byte for byte, and the cosignatures that came for it."""
    row = require(person(request), "checkpoint.view", Checkpoint.objects.all(), pk=checkpoint_id)
    return _file(cosigned_note(row).encode(), f"checkpoint-{row.size}.txt", "text/plain; charset=utf-8")


@require_safe
def key(request: HttpRequest) -> HttpResponse:
    """The public key of the ledger (C2SP vkey), to be kept by whoever checks proofs later."""
    require_anywhere(person(request), "checkpoint.view")
    try:
        return _file(f"{vkey()}\n".encode(), "ledger.vkey", "text/plain; charset=utf-8")
    except KeyProblem:
        raise NotNow(_("The ledger has no key yet: the signer makes it when it starts.")) from None


@require_safe
@never_cache
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """One entry of the ledger: its exact bytes, its leaf, and the proof under the newest signed head."""
    event, row = _entry(request, index)
    proof, broken = _proof(index)
    context: dict[str, Any] = {
        "areas": reports.areas(person(request), "checkpoints"),
        "entry": row,
        "text": bytes(row.entry).decode("utf-8", "replace"),
        "leaf": bytes(row.leaf_hash).hex(),
        "event": event,
        "proof": proof,
        "path": [step.hex() for step in proof.path] if proof else [],
        "root": bytes(proof.checkpoint.root).hex() if proof else "",
        "broken": broken,
    }
    return render(request, "verification/entry.html", context)


@require_safe
def entry_bytes(request: HttpRequest, index: int) -> HttpResponse:
    """The exact bytes of an entry."""
    _event, row = _entry(request, index)
    return _file(bytes(row.entry), f"entry-{index}.json", "application/json")


@require_safe
def entry_proof(request: HttpRequest, index: int) -> HttpResponse:
    """The proof of an entry (C2SP tlog-proof) under the newest signed head; 404 while none covers it."""
    user = person(request)
    _entry(request, index)
    proof, _broken = _proof(index)
    if proof is None:
        raise NotVisible(user, "entry.view")
    text = format_proof(proof.index, proof.path, proof.checkpoint.note)
    return _file(text.encode(), f"entry-{index}.tlog-proof", "text/plain; charset=utf-8")


def _entry(request: HttpRequest, index: int) -> tuple[Event, Entry]:
    """An entry by its place, where the reader may see its event."""
    user = person(request)
    require_anywhere(user, "entry.view")
    row = Entry.objects.filter(index=index).first() if index < 2**62 else None
    if row is None:
        raise NotVisible(user, "entry.view")
    return require(user, "entry.view", Event.objects.all(), pk=row.event_id), row


def _proof(index: int) -> tuple[Proof | None, str]:
    """The proof, or None and why the tree gives none."""
    try:
        return proof_at(index), ""
    except ProofError as problem:
        return None, str(problem)


def _item(user: User, accession: str) -> Item:
    require_anywhere(user, "trail.view")
    return require(user, "item.view", Item.objects.all(), accession=accession)


def _someone(user: User, user_id: UUID) -> User:
    require_anywhere(user, "trail.view")
    return require(user, "user.view", User.objects.all(), pk=user_id)


def _read_item(user: User, item: Item, *, copy: bool = False) -> None:
    actions.read_trail(
        by=user, at=timezone.now(), subject=Subject("item", item.pk), compartment=item.compartment_id, copy=copy
    )


def _chosen(request: HttpRequest, user: User) -> tuple[TrailForm, QuerySet[Event]]:
    require_anywhere(user, "trail.view")
    form = TrailForm(request.GET, user=user)
    found = trails.events(user)
    return form, found.filter(form.condition()) if form.is_valid() else found.filter(Q(pk__in=[]))


def _filters(request: HttpRequest) -> str:
    """The filters in the address, for the links to CSV and print."""
    query = request.GET.copy()
    query.pop("page", None)
    return query.urlencode()


def _paged(request: HttpRequest, user: User, found: QuerySet[Event]) -> dict[str, Any]:
    page = newest_first(found, moment="at", cursor=request.GET.get("page", ""), size=PAGE)
    return {
        "rows": trails.rows(user, page.rows),
        "newer_url": reports.page_url(request, page.newer),
        "older_url": reports.page_url(request, page.older),
    }


def _csv(user: User, found: QuerySet[Event], name: str) -> HttpResponseBase:
    header: list[Callable[[], str] | str] = [
        _("Entry"),
        _("Event"),
        _("Time (UTC)"),
        _("Act"),
        _("Outcome"),
        _("Agent"),
        _("About"),
        _("Compartment"),
        _("Permission refused"),
    ]
    return csv_response(name, header, (reports.trail_line(row) for row in trails.all_rows(user, found)))


def _sheet(request: HttpRequest, user: User, found: QuerySet[Event], heading: str, back: str) -> HttpResponse:
    rows = list(found[: PRINTED + 1])
    context = {
        "heading": heading,
        "rows": trails.rows(user, rows[:PRINTED]),
        "cut": len(rows) > PRINTED,
        "most": PRINTED,
        "ledger": ledger_state(),
        "printed_at": timezone.now(),
        "back": back,
    }
    return render(request, "verification/trail_print.html", context)


def _file(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response

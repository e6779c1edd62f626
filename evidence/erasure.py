"""Erasing an item for good: one person asks, a second one decides, and one transaction destroys.

1. An erasure is of bytes: every item of the compartment with the very same bytes is erased with the one asked for.
2. The second person holds a role that decides and is not the one who asked. Nobody erases what somebody relies on:
   exhibits, bundles under way and consents object, each in words; they are asked once the items are locked, as whoever
   attaches something locks them, too (evidence.standing).
3. The act destroys content keys, the item's key with every salt and value under it, the description and what other apps
   hold of it, and appends `sanad/erasure`, which names what is gone and holds none of it.
4. Ciphertext, journals and the database's own leftovers are cleared after the commit, again and again until it is done:
   from the commit on they are noise, because the key is gone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, can, require
from custody import erasing
from custody.engine import SYSTEM, Subject, acting, record, timestamp
from custody.seal import SealBroken
from custody.vocabulary import Outcome, Type
from evidence import jobs
from evidence.erasure_parts import Taken, parts
from evidence.guard import require_unnamed
from evidence.models import Accession, Blob, Derivative, Erasure, FixityCheck, Item
from evidence.standing import standing
from evidence.tombstone import CLEARED, empty
from evidence.vocabulary import ErasureState

LIFE = timedelta(days=14)  # in which the second person decides
LOCK_ASKED, LEGAL_HOLD_ASKED = timedelta(minutes=1), timedelta(days=1)
LONGEST_DECISION = 500  # characters


def request_erasure(*, by: User, at: datetime, accession: str, ground: str, reason: str) -> Erasure:
    """Ask that an item and its exact copies be erased; nothing is destroyed until a second person agrees.

    Raises NotVisible, Refused, ValidationError naming the field, NotNow with every objection.
    """
    with acting():
        item = standing(by, "item.request_erasure", accession=accession)
        items = copies(item, lock=True)
        if item not in items:
            raise NotNow(_("This item was erased. Its page says when, and on what ground."))
        if Erasure.objects.filter(item=item, state=ErasureState.WAITING, expires_at__gt=at).exists():
            raise NotNow(_("Somebody asked for this already; it waits for a second person."))
        for stale in Erasure.objects.filter(item=item, state=ErasureState.WAITING):
            _close(stale, ErasureState.WITHDRAWN, by=SYSTEM, at=at, decision="expired")
        _must_be_free(items, at)
        erasure = Erasure(
            item=item,
            accessions=[one.accession for one in items],
            ground=ground,
            reason=reason.strip(),
            requested_by=by,
            requested_at=at,
            expires_at=at + LIFE,
        )
        erasure.clean_fields(exclude=["decided_by", "item", "requested_by", "accessions", "objects_left"])
        require_unnamed(item.compartment_id, {"reason": reason})
        erasure.save()
        _record(Type.REQUEST_ERASURE, erasure, items, by=by, at=at, to={"ground": ground, "items": erasure.accessions})
        return erasure


def withdraw_erasure(*, by: User, at: datetime, erasure_id: UUID) -> Erasure:
    """Take one's own request back while it waits. Raises NotVisible, Refused, NotNow."""
    with acting():
        erasure = require(by, "erasure.withdraw", Erasure.objects.all(), lock=True, pk=erasure_id)
        _must_wait(erasure)
        return _close(erasure, ErasureState.WITHDRAWN, by=by, at=at, decision="")


def refuse_erasure(*, by: User, at: datetime, erasure_id: UUID, reason: str) -> Erasure:
    """Decide, as a second person, that the item stays. Raises NotVisible, Refused, NotNow, ValidationError."""
    with acting():
        erasure = require(by, "erasure.decide", Erasure.objects.select_related("item"), lock=True, pk=erasure_id)
        _must_wait(erasure)
        reason = reason.strip()
        if not reason or len(reason) > LONGEST_DECISION:
            raise ValidationError({"reason": _("Say why it stays, in at most 500 characters.")})
        require_unnamed(erasure.item.compartment_id, {"reason": reason})
        return _close(erasure, ErasureState.REFUSED, by=by, at=at, decision=reason)


def approve_erasure(*, by: User, at: datetime, erasure_id: UUID) -> Erasure:
    """Decide, as a second person, that it is erased, and erase it: from the commit on nobody can open it again.

    Raises NotVisible, Refused (also for one's own request), NotNow: it expired, copies came or went since, who asked
    may no longer ask, the request is not signed yet, somebody relies on an item, or recorded values do not open.
    """
    with acting():
        erasure = require(by, "erasure.decide", Erasure.objects.select_related("item"), lock=True, pk=erasure_id)
        _must_wait(erasure)
        if at >= erasure.expires_at:
            raise NotNow(
                _("This request is more than 14 days old. Ask anew, so that both decide on what is there now.")
            )
        if not can(erasure.requested_by, "item.request_erasure", erasure.item):
            raise NotNow(_("The person who asked may no longer ask for this. Somebody else has to ask anew."))
        # Whoever receives the same bytes meanwhile waits here, and finds nothing to be a duplicate of.
        Accession.objects.select_for_update().get(pk=erasure.item.compartment_id)
        if not erasing.is_signed(erasure.id):
            raise NotNow(_("The ledger has not signed the request yet. Try again in a few seconds."))
        items = copies(erasure.item, lock=True)
        if [one.accession for one in items] != erasure.accessions:
            raise NotNow(_("Since the request, a copy of the same bytes came or went. Ask anew."))
        _must_be_free(items, at)
        taken = _taken(items, by, at)
        content = [_content(item) for item in items]
        try:
            planned = erasing.plan(
                [item.id for item in items] + [subject.id for subject in taken.keyed], also=taken.values
            )
        except SealBroken:
            raise NotNow(
                _("Recorded values of this item do not open. Verify it and find out why, before anything is erased.")
            ) from None
        for item in items:
            _clear(item, at)
        # Recorded first: the database destroys nothing unless this and the request stand in the ledger.
        for part in erasing.in_parts(planned.destroyed, content):
            _record(
                Type.ERASE,
                erasure,
                items,
                by=by,
                at=at,
                more=taken.keyed,
                erased=part,
                to={"ground": erasure.ground, "requested_by": str(erasure.requested_by_id), "approved_by": str(by.id)},
            )
        erasing.carry_out(planned, erasure=erasure.id)
        erasure.state, erasure.decided_by, erasure.decided_at = ErasureState.DONE, by, at
        erasure.objects_left = sorted({*taken.addresses, *(blob for one in content for blob in one.blobs)})
        erasure.save()
        jobs.defer_finishing(erasure.id)
        return erasure


def finish_erasure(*, at: datetime, erasure_id: UUID) -> Erasure:
    """Record that no trace is left in store, journals and tables (evidence.leftovers cleared them). Once is enough."""
    with acting():
        erasure = Erasure.objects.select_for_update(of=("self",)).select_related("item").get(pk=erasure_id)
        if erasure.state != ErasureState.DONE or erasure.finished_at is not None:
            return erasure
        erasure.locked_until = None
        items = list(Item.objects.filter(accession__in=erasure.accessions).order_by("accession"))
        _record(
            Type.DELETE, erasure, items, by=SYSTEM, at=at, to={"objects": len(erasure.objects_left)}, reasoned=False
        )
        erasure.finished_at = at
        erasure.save(update_fields=["finished_at", "locked_until"])
        return erasure


def postpone_erasure(*, at: datetime, erasure_id: UUID, until: datetime | None) -> Erasure:
    """Record that a store keeps ciphertext of an erasure against deletion until a moment; None is a legal hold.

    The key is gone all the same. It is asked again then, after a legal hold every day; what is recorded, is so once.
    """
    with acting():
        erasure = Erasure.objects.select_for_update(of=("self",)).select_related("item").get(pk=erasure_id)
        if erasure.state != ErasureState.DONE or erasure.finished_at is not None:
            return erasure
        if erasure.locked_until is None:
            items = list(Item.objects.filter(accession__in=erasure.accessions).order_by("accession"))
            _record(
                Type.DELETE,
                erasure,
                items,
                by=SYSTEM,
                at=at,
                to={"objects": len(erasure.objects_left), "locked_until": timestamp(until) if until else None},
                outcome=Outcome.REFUSED,
                reasoned=False,
            )
        erasure.locked_until = max(until or at + LEGAL_HOLD_ASKED, at + LOCK_ASKED)
        erasure.save(update_fields=["locked_until"])
        return erasure


def copies(item: Item, *, lock: bool = False) -> list[Item]:
    """The item and every other of its compartment with the very same bytes, by accession number."""
    same = Item.objects.filter(
        compartment_id=item.compartment_id, sha256=item.sha256, sha512=item.sha512, erased_at__isnull=True
    )
    found = same.select_related("blob").order_by("accession")
    return list(found.select_for_update(of=("self",)) if lock else found)


def objections(items: Sequence[Item], at: datetime) -> list[str]:
    """Why these items cannot be erased now, in words; empty when nothing stands against it."""
    return [words for part in parts() for words in part.objections(items, at)]


def beyond(user: Any, items: Sequence[Item]) -> list[str]:
    """What an erasure would not reach, as far as this person may know it."""
    return [words for part in parts() for words in part.beyond(user, items)]


def _must_be_free(items: Sequence[Item], at: datetime) -> None:
    against = objections(items, at)
    if against:
        raise NotNow(" ".join(against))


def _must_wait(erasure: Erasure) -> None:
    if erasure.state != ErasureState.WAITING:
        raise NotNow(_("This request is decided: %(state)s.") % {"state": erasure.get_state_display()})


def _taken(items: Sequence[Item], by: User, at: datetime) -> Taken:
    taken = Taken()
    for part in parts():
        more = part.destroy(items, by, at)
        taken.keyed += more.keyed
        taken.addresses += more.addresses
        for event_id, fields in more.values.items():
            taken.values[event_id] = {*taken.values.get(event_id, ()), *fields}
    return taken


def _content(item: Item) -> erasing.Content:
    made = Derivative.objects.filter(item=item).values_list("blob__address", flat=True)
    return erasing.Content(item.id, item.accession, {item.blob.address, *made})


def _clear(item: Item, at: datetime) -> None:
    """Destroy the content keys and every word of the row. Address and key commitment stay, as in the ledger."""
    Blob.objects.filter(pk=item.blob_id).update(wrapped_key=b"", size=0)
    made = Derivative.objects.filter(item=item)
    gone = list(made.values_list("blob_id", flat=True))
    made.delete()
    Blob.objects.filter(pk__in=gone).delete()
    FixityCheck.objects.filter(item=item).update(detail="", steps=[])
    Item.objects.filter(duplicate_of=item).update(duplicate_of=None)
    for name in CLEARED:
        setattr(item, name, empty(name))
    item.sealed_name, item.sealed_claims = b"", None
    item.erased_at, item.last_verified_at, item.last_outcome = at, None, ""
    item.save()


def _close(erasure: Erasure, state: ErasureState, *, by: Any, at: datetime, decision: str) -> Erasure:
    erasure.state, erasure.decided_at, erasure.decision = state, at, decision
    erasure.decided_by = by if isinstance(by, User) else None
    erasure.save()
    items = list(Item.objects.filter(accession__in=erasure.accessions).order_by("accession"))
    _record(
        Type.CLOSE_ERASURE,
        erasure,
        items,
        by=by,
        at=at,
        to={"state": str(state.value), "decision": decision},
        outcome=Outcome.REFUSED if state == ErasureState.REFUSED else Outcome.SUCCESS,
    )
    return erasure


def _record(
    type: Type,
    erasure: Erasure,
    items: Sequence[Item],
    *,
    by: Any,
    at: datetime,
    to: dict[str, Any],
    more: Sequence[Subject] = (),
    erased: dict[str, Any] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    reasoned: bool = True,
) -> None:
    """Under the erasure's own key: what is told of it outlives the item's."""
    record(
        type,
        by=by,
        at=at,
        compartment=erasure.item.compartment_id,
        subjects=[Subject("erasure", erasure.id), *(Subject("item", item.id) for item in items), *more],
        outcome=outcome,
        fields={
            "to": to,
            **({"purpose": erasure.reason} if reasoned else {}),
            **({"erased": erased} if erased is not None else {}),
        },
    )


__all__ = [
    "approve_erasure",
    "beyond",
    "copies",
    "finish_erasure",
    "objections",
    "postpone_erasure",
    "refuse_erasure",
    "request_erasure",
    "withdraw_erasure",
]

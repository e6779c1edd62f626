"""Anchors: signed heads of the ledger, timestamped by authorities outside (docs/spec/ledger.md, section 12).

1. On a fixed cadence the newest heartbeat is queued for every authority, unless it holds nothing but the echo of
   earlier anchors and cosignatures.
2. The queue is drained oldest first, and stops at the first failure: offline it waits, and nothing overtakes.
3. Each response that is kept becomes an entry of the ledger, which holds its SHA-256.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from custody import seal
from custody.agreement import Fault
from custody.correspondence import alone, failed, is_due, succeeded, with_partner
from custody.cosignatures import LEDGER, entries_of, values_of
from custody.cosigners import has_news
from custody.engine import SYSTEM, acting, opened, record
from custody.models import Anchor, Checkpoint, Correspondence, Entry
from custody.outside import OutsideProblem
from custody.proof import newest_heartbeat
from custody.sequencer import read_tile
from custody.timestamps import AuthoritiesProblem, Authority, Refused, authorities, stamp, verified
from custody.verify import check_checkpoint
from custody.vocabulary import Type
from ledger.grow import consistency_proof

AT_ONCE = 50  # anchors of one authority in one round

log = logging.getLogger("custody.anchors")


@dataclass(frozen=True)
class Reach:
    """How it goes with one authority: its newest anchored head, how many wait, and what went wrong last."""

    authority: Authority
    newest: Anchor | None
    queued: int
    problem: str
    failed_at: datetime | None


def anchor_heads(now: datetime) -> int:
    """Queue the newest head where its time has come, and drain the queues. Returns how many anchors came.

    Raises AuthoritiesProblem. Two processes never do it at once: the second one returns 0.
    """
    found = authorities()
    if not found:
        return 0
    with alone() as mine:
        if not mine:
            return 0
        for authority in found:
            _queue(authority, now)
        return sum(_drain(authority, now) for authority in found)


def _queue(authority: Authority, now: datetime) -> None:
    last = Anchor.objects.filter(authority=authority.name).select_related("checkpoint").order_by("-pk").first()
    head = newest_heartbeat()
    if head is None or (
        last is not None and abs(now - last.queued_at) < timedelta(seconds=settings.SANAD_ANCHOR_EVERY)
    ):
        return
    if last is not None and not has_news(last.checkpoint.size, head.size):
        return
    Anchor.objects.create(
        authority=authority.name,
        checkpoint=head,
        imprint=hashlib.sha512(head.note.encode()).hexdigest(),
        queued_at=now,
        test=authority.test,
    )


def _drain(authority: Authority, now: datetime) -> int:
    talk = with_partner(Correspondence.AUTHORITY, authority.name)
    waiting = Anchor.objects.filter(authority=authority.name, response=None).select_related("checkpoint").order_by("pk")
    came = 0
    if not is_due(talk, now):
        return came
    for anchor in waiting[:AT_ONCE]:
        try:
            _anchor(authority, anchor)
        except (OutsideProblem, Refused) as problem:
            log.warning("timestamps of %s: %s", authority.name, problem)
            failed(talk, now, str(problem))
            return came
        came += 1
    if came:
        succeeded(talk, now)
    return came


def _anchor(authority: Authority, anchor: Anchor) -> None:
    try:
        check_checkpoint(anchor.checkpoint)
    except (ValueError, Checkpoint.DoesNotExist) as problem:
        raise Refused(f"nothing was sent, the queued head is not ours: {problem}") from None
    response, at = stamp(authority, anchor.checkpoint.note.encode())
    keep(anchor, response, at)


def keep(anchor: Anchor, response: bytes, at: datetime) -> None:
    """Store a verified response, with its entry of the ledger."""
    with acting():
        fields = _fields(anchor, response, at)
        event_id = record(Type.ANCHOR, by=SYSTEM, at=datetime.now(UTC), subjects=[LEDGER], fields=fields)
        waiting = Anchor.objects.filter(pk=anchor.pk, response=None)
        if not waiting.update(response=response, stamped_at=at, event_id=event_id):
            raise Refused("its anchor was kept already")
    log.info("the head of %s entries is anchored by %s", anchor.checkpoint.size, anchor.authority)


def _fields(anchor: Anchor, response: bytes, at: datetime) -> dict[str, Any]:
    return {
        "object": {"size": anchor.checkpoint.size, "root": bytes(anchor.checkpoint.root).hex()},
        "token": {
            "sha256": hashlib.sha256(response).hexdigest(),
            "size": anchor.checkpoint.size,
            "authority": anchor.authority,
            "time": at.astimezone(UTC).isoformat(timespec="seconds"),
            "test": anchor.test,
        },
    }


@dataclass(frozen=True)
class Anchored:
    """An anchor as it goes into a bundle: the entry that records it, and the timestamped head, which is an earlier one.

    `consistency` leads from `note`'s tree to that of the bundle's head.
    """

    event_id: UUID
    index: int
    note: str
    consistency: list[bytes]
    response: bytes


def anchored(head: Checkpoint, indices: Sequence[int]) -> list[Anchored]:
    """For each authority the earliest timestamps that cover the entries at these indices, and its newest one.

    All are recorded inside the head. Those of authorities for tests are left out. One anchor for a size of the tree.
    """
    rows = Anchor.objects.filter(response__isnull=False, test=False).select_related("checkpoint").order_by("pk")
    places = dict(
        Entry.objects.filter(event_id__in=rows.values("event_id"), index__lt=head.size).values_list("event_id", "index")
    )
    by_authority: dict[str, list[Anchor]] = {}
    for row in rows:
        if row.event_id in places:
            by_authority.setdefault(row.authority, []).append(row)
    chosen: dict[int, Anchor] = {}
    for mine in by_authority.values():
        earliest = (next((row for row in mine if row.checkpoint.size > index), None) for index in indices)
        for found in [*earliest, mine[-1]]:
            if found is not None:
                chosen.setdefault(found.checkpoint.size, found)
    return [
        Anchored(
            row.event_id,
            places[row.event_id],
            row.checkpoint.note,
            consistency_proof(size, head.size, read_tile) if 0 < size < head.size else [],
            bytes(row.response),
        )
        for size, row in sorted(chosen.items())
        if row.event_id is not None and row.response is not None and size
    ]


def reaches() -> list[Reach]:
    """How it goes with each configured authority. Raises AuthoritiesProblem."""
    talks = {talk.partner: talk for talk in Correspondence.objects.filter(kind=Correspondence.AUTHORITY)}
    result = []
    for authority in authorities():
        mine = Anchor.objects.filter(authority=authority.name).select_related("checkpoint")
        talk = talks.get(authority.name)
        result.append(
            Reach(
                authority,
                mine.filter(response__isnull=False).order_by("-checkpoint__size", "-pk").first(),
                mine.filter(response=None).count(),
                talk.problem if talk else "",
                talk.failed_at if talk and talk.problem else None,
            )
        )
    return result


def losses() -> Iterator[list[Fault]]:
    """The recorded timestamps whose row is gone or holds another response, in batches of the entries."""
    for rows in entries_of(Type.ANCHOR):
        kept = Anchor.objects.filter(event_id__in=[row.event_id for row in rows], response__isnull=False)
        stand = {
            (event_id, hashlib.sha256(response).hexdigest())
            for event_id, response in kept.values_list("event_id", "response")
            if response is not None
        }
        yield [
            Fault(f"entry {row.index}", f"records a timestamp of {token['authority']} that is not stored")
            for row, values in values_of(rows)
            for token in [values.get("token", (b"", None))[1]]
            if token is not None and (row.event_id, token["sha256"]) not in stand
        ]


def faults() -> Iterator[Fault]:
    """Every stored anchor that does not hold, or is not the one that was recorded when it came.

    Roots that are not configured any more cannot be asked: then the entry alone speaks for the response.
    """
    try:
        known = {authority.name: authority for authority in authorities()}
    except AuthoritiesProblem as problem:
        yield Fault("authorities", str(problem))
        known = {}
    for row in Anchor.objects.order_by("pk").iterator(chunk_size=100):
        where = f"anchor {row.pk}"
        try:
            note = row.checkpoint.note.encode()
        except Checkpoint.DoesNotExist:
            yield Fault(where, "its checkpoint is gone")
            continue
        if row.imprint != hashlib.sha512(note).hexdigest():
            yield Fault(where, "is not of its checkpoint")
        if row.response is None or row.stamped_at is None or row.event_id is None:
            continue
        response = bytes(row.response)
        try:
            values = opened([row.event_id])[row.event_id]
        except seal.SealBroken:
            continue  # custody.agreement tells it of the entry
        if values.get("token", (b"", None))[1] != _fields(row, response, row.stamped_at)["token"]:
            yield Fault(where, "is not the one that was recorded when it came")
        if row.authority in known:
            try:
                if verified(known[row.authority], note, response) != row.stamped_at:
                    yield Fault(where, "its row states another time than its token")
            except Refused as problem:
                yield Fault(where, f"does not hold: {problem}")

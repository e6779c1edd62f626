"""Cosignatures that came: verified, stored under their checkpoint, recorded in the ledger, and judged by the policy.

Who the cosigners are, and how many of them must have seen a head, stands in a policy file (C2SP tlog-policy;
docs/spec/ledger.md, section 7.2) that the operator keeps: `settings.SANAD_LEDGER_POLICY`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef

from custody import seal
from custody.agreement import Fault
from custody.engine import SYSTEM, Subject, acting, opened, record
from custody.models import Checkpoint, Correspondence, Cosignature, Entry, Event
from custody.outside import require_safe
from custody.vocabulary import Outcome, Type
from ledger.checkpoint import parse_checkpoint
from ledger.cosignature import cosigned_at
from ledger.note import NoteError, split_note, to_base64
from ledger.policy import NOBODY, Policy, PolicyError, Witness, judge, parse_policy

LEDGER = Subject("ledger:heads", UUID("00000000-0000-4000-8000-000000000002"))
SKEW = timedelta(minutes=10)  # how far a partner's clock may be from ours


class Refused(Exception):
    """No cosignature that holds was given. One sentence, for the audit desk."""


@dataclass(frozen=True)
class Received:
    """A verified cosignature of a checkpoint; `line` without its newline, `at` the time it states."""

    witness: Witness
    line: str
    at: datetime


@dataclass(frozen=True)
class Partner:
    """One cosigner as it stands: the largest head it cosigned and when (its clock), and what went wrong since."""

    witness: Witness
    size: int | None
    at: datetime | None
    problem: str
    failed_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """Who vouches for the ledger. `size` and `at`: the newest head with the quorum, and when it was complete.

    `needed` is "" where the policy asks for nobody; `broken` says why the policy file cannot be used.
    """

    partners: Sequence[Partner]
    needed: str
    met: bool
    size: int | None
    at: datetime | None
    broken: str = ""


def policy() -> Policy | None:
    """The policy file, None when there is none. Raises PolicyError, also for an address that may not be asked."""
    try:
        data = Path(settings.SANAD_LEDGER_POLICY).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise PolicyError(f"the policy file cannot be read: {problem.strerror}") from None
    found = parse_policy(data)
    for witness in found.witnesses.values():
        try:
            if witness.url is not None:
                require_safe(witness.url)
        except ValueError as problem:
            raise PolicyError(f"witness {witness.name}: {problem}") from None
    if found.logs and all(key.name != settings.SANAD_ORIGIN for key in found.logs):
        raise PolicyError(f"none of its log lines is of this ledger, {settings.SANAD_ORIGIN}")
    return found


def newest_of(witness: Witness) -> Cosignature | None:
    """The cosignature of the largest head this key gave us, the latest of it."""
    mine = Cosignature.objects.filter(cosigner=witness.verifier.name, key_id=witness.verifier.key_id.hex())
    return mine.select_related("checkpoint").order_by("-checkpoint__size", "-pk").first()


def verified(witness: Witness, head: Checkpoint, lines: bytes) -> Received:
    """The one line of the cosigner's key among signature lines, verified over the head; others are ignored.

    Raises Refused, also when it states a time before the head was signed or after now.
    """
    key, (text, _) = witness.verifier, split_note(head.note)
    try:
        signatures = split_note(text.encode() + b"\n" + lines)[1]
    except NoteError as problem:
        raise Refused(f"its answer is not made of signature lines: {problem}") from None
    mine = [line for line in signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if len(mine) != 1:
        raise Refused(f"its answer holds {len(mine)} signatures of the key in the policy, not one")
    stated = cosigned_at(mine[0].signature)
    if stated is None or not key.verify(text.encode(), mine[0].signature):
        raise Refused("its cosignature does not verify")
    now = datetime.now(UTC)
    at = datetime.fromtimestamp(min(stated, 253402300799), UTC)  # the last second of the year 9999
    if not head.signed_at - SKEW <= at <= now + SKEW:
        raise Refused(f"its clock says {at:%Y-%m-%d %H:%M} UTC, ours {now:%Y-%m-%d %H:%M}: one of them is wrong")
    return Received(witness, f"— {key.name} {to_base64(key.key_id + mine[0].signature)}", at)


def store(head: Checkpoint, given: Sequence[Received], now: datetime) -> int:
    """Keep verified cosignatures of a head, with one entry of the ledger for all of them. Returns how many."""
    if not given:
        return 0
    with acting():
        event_id = record(
            Type.COSIGN,
            by=SYSTEM,
            at=now,
            subjects=[LEDGER],
            fields={"object": _object(head), "cosignatures": [received.line for received in given]},
        )
        Cosignature.objects.bulk_create(
            Cosignature(
                checkpoint=head,
                cosigner=received.witness.verifier.name,
                key_id=received.witness.verifier.key_id.hex(),
                line=received.line,
                cosigned_at=received.at,
                event_id=event_id,
            )
            for received in given
        )
    return len(given)


def take_reply(data: bytes, now: datetime) -> list[Received]:
    """Store the cosignatures in a cosigned checkpoint that came as a file. Raises Refused or PolicyError.

    The checkpoint must be one of ours, signed as we signed it; at least one cosigner of the policy has cosigned it.
    """
    trusted = policy()
    if trusted is None:
        raise Refused("there is no policy file that says whom to believe")
    try:
        text, signatures = split_note(data)
        stated = parse_checkpoint(text)
    except ValueError as problem:
        raise Refused(f"the file is not a cosigned checkpoint: {problem}") from None
    rows = Checkpoint.objects.filter(size=stated.size, root=stated.root).order_by("pk")
    head = next((row for row in rows if split_note(row.note)[0] == text), None)
    if head is None:
        raise Refused(f"its checkpoint of {stated.size} entries was never signed here")
    present = {(line.name, line.key_id) for line in signatures}
    lines = data[len(text.encode()) + 1 :]
    given = [
        verified(witness, head, lines)
        for witness in trusted.witnesses.values()
        if (witness.verifier.name, witness.verifier.key_id) in present
    ]
    fresh = [received for received in given if not Cosignature.objects.filter(line=received.line).exists()]
    if not given:
        raise Refused("none of the cosigners in the policy has cosigned it")
    store(head, fresh, now)
    return fresh


def lines_of(head: Checkpoint) -> list[str]:
    """The newest cosignature line of each cosigner under heads of this very text, each ending in a newline."""
    text = split_note(head.note)[0]
    same = Cosignature.objects.filter(checkpoint__size=head.size).select_related("checkpoint").order_by("pk")
    newest = {(row.cosigner, row.key_id): f"{row.line}\n" for row in same if split_note(row.checkpoint.note)[0] == text}
    return [newest[key] for key in sorted(newest)]


def cosigned_note(head: Checkpoint) -> str:
    """The signed checkpoint with every cosignature that came for it: still one note, for whoever takes it away."""
    return head.note + "".join(lines_of(head))


def quorum_head(smallest: int) -> Checkpoint | None:
    """The largest head of at least that size that itself carries the cosignatures the policy asks for; else None.

    Raises PolicyError. None, too, where the policy asks for nobody.
    """
    trusted = policy()
    if trusted is None or trusted.quorum == NOBODY:
        return None
    lines = Cosignature.objects.filter(checkpoint=OuterRef("pk"))
    for head in Checkpoint.objects.filter(Exists(lines), size__gte=smallest).order_by("-size", "-pk")[:100]:
        if judge(trusted, cosigned_note(head)).met:
            return head
    return None


def standing() -> Standing:
    """Who vouches for the ledger now; with nobody where there is no policy file."""
    try:
        trusted = policy()
    except PolicyError as problem:
        return Standing([], "", False, None, None, str(problem))
    if trusted is None:
        return Standing([], "", False, None, None)
    talks = {talk.partner: talk for talk in Correspondence.objects.filter(kind=Correspondence.COSIGNER)}
    partners = []
    for witness in trusted.witnesses.values():
        last, talk = newest_of(witness), talks.get(witness.verifier.name)
        partners.append(
            Partner(
                witness,
                last.checkpoint.size if last else None,
                last.cosigned_at if last else None,
                talk.problem if talk else "",
                talk.failed_at if talk and talk.problem else None,
            )
        )
    needed = "" if trusted.quorum == NOBODY else _in_words(trusted)
    size, at = _newest_with_quorum(trusted)
    return Standing(partners, needed, size is not None or not needed, size, at)


def _in_words(trusted: Policy) -> str:
    group = trusted.groups.get(trusted.quorum)
    return f"{group[0]}/{len(group[1])}" if group else "1/1"


def _newest_with_quorum(trusted: Policy) -> tuple[int | None, datetime | None]:
    """The largest head that enough cosigners have seen: a cosigner of a larger head has seen the smaller ones, too.

    So a cosigner counts for every size up to its largest; and the time is when the last one needed said so.
    """
    if trusted.quorum == NOBODY:
        return None, None
    last = {name: newest_of(witness) for name, witness in trusted.witnesses.items()}
    sizes = sorted({row.checkpoint.size for row in last.values() if row}, reverse=True)
    for size in sizes:
        seen = {name: row.cosigned_at for name, row in last.items() if row and row.checkpoint.size >= size}
        if trusted.met(seen):
            return size, max(seen.values())
    return None, None


def faults() -> Iterator[Fault]:
    """Every stored cosignature that does not hold, or is not the one that was recorded when it came."""
    rows = Cosignature.objects.order_by("pk").iterator(chunk_size=256)
    while batch := list(islice(rows, 256)):
        yield from _faults_of(batch)


def losses() -> Iterator[list[Fault]]:
    """The recorded cosignatures whose row is gone or is another one, in batches of the entries that record them."""
    for rows in entries_of(Type.COSIGN):
        kept = Cosignature.objects.filter(event_id__in=[row.event_id for row in rows])
        stand = set(kept.values_list("event_id", "line"))
        found = []
        for row, values in values_of(rows):
            for line in values.get("cosignatures", (b"", []))[1]:
                if (row.event_id, line) not in stand:
                    name = line.removeprefix("— ").partition(" ")[0]
                    found.append(Fault(f"entry {row.index}", f"records a cosignature of {name} that is not stored"))
        yield found


def entries_of(type: Type) -> Iterator[list[Entry]]:
    """The entries of successful events of a type, in the order of the ledger, 256 at a time."""
    events = Event.objects.filter(type=type, outcome=Outcome.SUCCESS).values("id")
    rows = Entry.objects.filter(event_id__in=events).order_by("index").iterator(chunk_size=256)
    while batch := list(islice(rows, 256)):
        yield batch


def values_of(rows: Sequence[Entry]) -> Iterator[tuple[Entry, dict[str, tuple[bytes, Any]]]]:
    """Entries with their recorded values; what does not open is left out, custody.agreement tells it of the entry."""
    try:
        opening = opened([row.event_id for row in rows])
    except seal.SealBroken:
        if len(rows) > 1:
            for row in rows:
                yield from values_of([row])
        return
    yield from ((row, opening[row.event_id]) for row in rows)


def _faults_of(rows: Sequence[Cosignature]) -> Iterator[Fault]:
    heads = Checkpoint.objects.in_bulk({row.checkpoint_id for row in rows})
    recorded: dict[UUID, Any] = defaultdict(dict)
    broken: set[UUID] = set()
    for event_id in {row.event_id for row in rows}:
        try:
            recorded |= opened([event_id])
        except seal.SealBroken:
            broken.add(event_id)  # custody.agreement tells it of the entry
    for row in rows:
        where = f"cosignature {row.pk}"
        try:
            head, (signature,) = heads[row.checkpoint_id], split_note(f"x\n\n{row.line}\n")[1]
        except (KeyError, NoteError, ValueError):
            yield Fault(where, "is no signature line, or its checkpoint is gone")
            continue
        said = (signature.name, signature.key_id.hex(), cosigned_at(signature.signature))
        if said != (row.cosigner, row.key_id, int(row.cosigned_at.timestamp())):
            yield Fault(where, "its row does not say what its line says")
        if row.event_id not in broken:
            values = recorded[row.event_id]
            lines, about = values.get("cosignatures", (b"", []))[1], values.get("object", (b"", None))[1]
            if row.line not in lines or about != _object(head):
                yield Fault(where, "is not the one that was recorded when it came")


def _object(head: Checkpoint) -> dict[str, Any]:
    return {"size": head.size, "root": bytes(head.root).hex()}

"""Cosigners: partners who keep the newest head of this ledger and vouch that the next one continues it.

1. Who they are, and how many must have seen a head, stands in a policy file (C2SP tlog-policy) that the operator keeps.
2. On a fixed cadence each is sent the newest head with the proof that it continues the one it holds (C2SP tlog-witness).
3. What comes back is verified before it is stored, and its arrival is an entry of the ledger: one a round. Such entries
   alone are no reason for another round; a silent ledger is cosigned once in REFRESH.
4. A partner that holds a larger head, or one with another root, has seen a past that is not stored here. That is an alarm
   (custody.forks), with its note as the evidence.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef

from custody import forks
from custody.correspondence import alone, failed, is_due, succeeded, with_partner
from custody.engine import SYSTEM, Subject, acting, record
from custody.models import Checkpoint, Correspondence, Cosignature, Entry, Event
from custody.outside import OutsideProblem, Reply, ask, require_safe
from custody.proof import newest_checkpoint
from custody.sequencer import read_tile
from custody.signer import vkey
from custody.verify import check_checkpoint
from custody.vocabulary import Outcome, Type
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.cosignature import cosigned_at
from ledger.grow import consistency_proof, root_from_tiles
from ledger.merkle import MAX_SIZE, ProofError, verify_consistency
from ledger.note import NoteError, decode_vkey, split_note, to_base64
from ledger.policy import Policy, PolicyError, Witness, parse_policy
from ledger.proof import format_consistency

LEDGER = Subject("ledger", UUID("00000000-0000-4000-8000-000000000002"))
REFRESH = timedelta(hours=1)
MOST = 16 * 1024  # bytes of an answer
SKEW = timedelta(minutes=10)  # how far a partner's clock may be from ours
ECHO = (Type.COSIGN, Type.ANCHOR)

log = logging.getLogger("custody.cosigners")


class Refused(Exception):
    """The cosigner did not give a cosignature that holds. One sentence, for the audit desk."""


class Contradicted(Refused):
    """The cosigner has seen a head that the stored ledger does not lead to."""


@dataclass(frozen=True)
class Received:
    """A verified cosignature of a checkpoint."""

    witness: Witness
    line: str
    at: datetime


def policy() -> Policy | None:
    """The policy file, None when there is none. Raises PolicyError, also for an address that may not be asked."""
    path = Path(settings.SANAD_LEDGER_POLICY)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise PolicyError(f"the policy file cannot be read: {problem.strerror}") from None
    found = parse_policy(data)
    for witness in found.witnesses.values():
        try:
            require_safe(f"{witness.url.rstrip('/')}/" if witness.url is not None else "https://offline.invalid/")
        except ValueError as problem:
            raise PolicyError(f"witness {witness.name}: {problem}") from None
    if found.logs and all(key.name != settings.SANAD_ORIGIN for key in found.logs):
        raise PolicyError(f"none of its log lines is of this ledger, {settings.SANAD_ORIGIN}")
    return found


def ask_cosigners(now: datetime) -> int:
    """Ask every cosigner whose turn it is for the newest head. Returns how many cosignatures were stored.

    Raises PolicyError. Two processes never ask at once: the second one returns 0.
    """
    trusted = policy()
    if trusted is None:
        return 0
    with alone() as mine:
        if not mine:
            return 0
        received: dict[int, tuple[Checkpoint, list[Received]]] = {}
        for witness in trusted.witnesses.values():
            talk = with_partner(Correspondence.COSIGNER, witness.verifier.name)
            head = newest_checkpoint()
            if witness.url is None or head is None or not is_due(talk, now) or not _is_worth_asking(witness, head, now):
                continue
            try:
                given = _converse(witness, head)
            except (OutsideProblem, Refused) as problem:
                log.warning("cosigner %s: %s", witness.name, problem)
                failed(talk, now, str(problem))
            else:
                received.setdefault(head.pk, (head, []))[1].append(given)
                succeeded(talk, now, again_in=settings.SANAD_COSIGN_EVERY - 1)
        return sum(store(head, given, now) for head, given in received.values())


def _is_worth_asking(witness: Witness, head: Checkpoint, now: datetime) -> bool:
    """Whether the head holds anything but the echo of earlier cosignatures, or the last one is older than REFRESH."""
    last = newest_of(witness)
    if last is None or now - last.cosigned_at > REFRESH or last.cosigned_at - now > REFRESH:
        return True
    echo = Event.objects.filter(pk=OuterRef("event_id"), type__in=ECHO)
    grown = Entry.objects.filter(index__gte=last.checkpoint.size, index__lt=head.size)
    return grown.filter(~Exists(echo)).exists()


def newest_of(witness: Witness) -> Cosignature | None:
    """The cosignature of the largest head this key gave us."""
    mine = Cosignature.objects.filter(cosigner=witness.verifier.name, key_id=witness.verifier.key_id.hex())
    return mine.select_related("checkpoint").order_by("-checkpoint__size", "-pk").first()


def request(head: Checkpoint, old: int) -> str:
    """The add-checkpoint request for a head, from a size on; its proof was verified.

    Raises Refused when the stored tree does not give one: what is wrong then is ours, and nothing is sent.
    """
    try:
        check_checkpoint(head)
        proof = consistency_proof(old, head.size, read_tile) if 0 < old < head.size else []
        if old:
            verify_consistency(old, _root_at(old), head.size, bytes(head.root), proof)
    except (ValueError, ProofError) as problem:
        raise Refused(f"nothing was sent, the stored ledger gives no proof from {old} entries: {problem}") from None
    return format_consistency(old, proof, head.note)


def _root_at(size: int) -> bytes:
    signed = Checkpoint.objects.filter(size=size).order_by("pk").first()
    return bytes(signed.root) if signed is not None else root_from_tiles(size, read_tile)


def _converse(witness: Witness, head: Checkpoint) -> Received:
    """At most two questions: one from the size we know of, one from the size it says it holds."""
    last = newest_of(witness)
    known = last.checkpoint.size if last is not None else 0
    reply = _submit(witness, head, min(known, head.size))
    if reply.status == 409 and reply.type == "text/x.tlog.size":
        held = _size(reply)
        if held < known:
            raise Refused(f"it has forgotten: it cosigned {known} entries before, and says it holds {held}")
        if held > head.size:
            _look_into(witness, head, held, reply)
        reply = _submit(witness, head, held)
    if reply.status == 200:
        return verified(witness, head, reply.body)
    if reply.status in (409, 422):
        _look_into(witness, head, head.size, reply)
    meanings = {400: "does not understand the request", 403: "does not trust our key", 404: "does not know this ledger"}
    raise Refused(f"it {meanings.get(reply.status, 'failed')} (status {reply.status})")


def _submit(witness: Witness, head: Checkpoint, old: int) -> Reply:
    assert witness.url is not None
    body = request(head, old).encode()
    return ask(f"{witness.url.rstrip('/')}/add-checkpoint", body, type="text/plain; charset=utf-8", most=MOST)


def _size(reply: Reply) -> int:
    text = reply.body.removesuffix(b"\n").decode("ascii", "replace")
    if not text.isascii() or not text.isdigit() or len(text) > 19 or str(int(text)) != text or int(text) >= MAX_SIZE:
        raise Refused("it says a size that is none")
    return int(text)


def verified(witness: Witness, head: Checkpoint, body: bytes) -> Received:
    """The one line of the cosigner's key among signature lines, verified over the head. Raises Refused."""
    key, (text, _) = witness.verifier, split_note(head.note)
    try:
        lines = split_note(text.encode() + b"\n" + body)[1]
    except NoteError as problem:
        raise Refused(f"its answer is not made of signature lines: {problem}") from None
    mine = [line for line in lines if (line.name, line.key_id) == (key.name, key.key_id)]
    if len(mine) != 1:
        raise Refused(f"its answer holds {len(mine)} signatures of the key in the policy, not one")
    stated = cosigned_at(mine[0].signature)
    if stated is None or not key.verify(text.encode(), mine[0].signature):
        raise Refused("its cosignature does not verify")
    try:
        at = datetime.fromtimestamp(stated, UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused("its clock shows no time of ours") from None
    return Received(witness, f"— {key.name} {to_base64(key.key_id + mine[0].signature)}", at)


def require_now(received: Received) -> Received:
    """Raise Refused when the cosigner's clock and ours are apart: one of the two is wrong, and people must look."""
    if abs(received.at - datetime.now(UTC)) > SKEW:
        raise Refused(f"its clock says {received.at:%Y-%m-%d %H:%M} UTC: it is wrong, or ours is")
    return received


def store(head: Checkpoint, given: Sequence[Received], now: datetime) -> int:
    """Keep verified cosignatures of a head, with one entry for all of them. Returns how many."""
    if not given:
        return 0
    with acting():
        event_id = record(
            Type.COSIGN,
            by=SYSTEM,
            at=now,
            subjects=[LEDGER],
            fields={
                "object": {"size": head.size, "root": bytes(head.root).hex()},
                "cosignatures": [received.line for received in given],
            },
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


def _look_into(witness: Witness, head: Checkpoint, said: int, reply: Reply) -> None:
    """It holds what our head does not continue, or says so: find out what, keep it, and sound the alarm.

    Raises Contradicted, or Refused when what it shows does not contradict the stored ledger.
    """
    theirs, size, root = _shown(witness)
    newest = newest_checkpoint() or head
    if theirs:
        said = size
        if size <= newest.size and root == _root_at(size):
            raise Refused("it refuses a head that continues the one it shows")
    elif said <= newest.size and reply.status == 409 and reply.type == "text/x.tlog.size":
        raise Refused("it keeps changing the size it says it holds")
    kind = "rollback" if said > newest.size else "fork"
    answer = f"{reply.status} {reply.type}\n{reply.body[:MOST].decode('utf-8', 'replace')}"
    what = (
        f"it holds a head of {said} entries, and {newest.size} are stored here"
        if kind == "rollback"
        else f"it holds a head of {said} entries that the stored ledger does not lead to"
    )
    our_note = newest.note
    if forks.keep(
        cosigner=witness.verifier.name,
        kind=kind,
        size=said,
        their_note=theirs,
        our_note=our_note,
        our_size=newest.size,
        said=answer,
    ):
        log.critical("the ledger has two pasts: cosigner %s, %s", witness.name, what)
        _record_contradiction(witness, newest, kind, said, theirs)
    raise Contradicted(f"{what}{'' if theirs else '; it shows no signed head for it'}")


def _shown(witness: Witness) -> tuple[str, int, bytes]:
    """The head it shows to everybody (tlog-witness, monitoring), if our key has signed it: (note, size, root)."""
    assert witness.url is not None
    place = hashlib.sha256(settings.SANAD_ORIGIN.encode()).hexdigest()
    try:
        reply = ask(f"{witness.url.rstrip('/')}/{place}/checkpoint", None, most=80 * 1024)
        opened = open_checkpoint(reply.body, [decode_vkey(vkey())])
        if reply.status != 200 or opened.origin != settings.SANAD_ORIGIN:
            return "", 0, b""
        return reply.body.decode("utf-8"), opened.size, opened.root
    except (OutsideProblem, NoteError, CheckpointError):
        return "", 0, b""


def _record_contradiction(witness: Witness, head: Checkpoint, kind: str, said: int, note: str) -> None:
    with acting():
        record(
            Type.COSIGN,
            by=SYSTEM,
            at=datetime.now(UTC),
            subjects=[LEDGER],
            outcome=Outcome.FAILURE,
            fields={
                "object": {"size": head.size, "root": bytes(head.root).hex()},
                "to": {"cosigner": witness.verifier.name, "kind": kind, "size": said},
                "note": note[:8192],
            },
        )

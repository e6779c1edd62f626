"""Asking cosigners: partners who keep the newest head of this ledger and vouch that the next one continues it.

1. On a fixed cadence each is sent the newest heartbeat, with the proof that it continues the one held (C2SP
   tlog-witness).
2. What comes back is verified before it is stored (custody.cosignatures). Its arrival is an entry of the ledger, one a
   round. Such entries alone are no reason for another round; a silent ledger is cosigned once in REFRESH.
3. A partner that holds a larger head, or one with another root, has seen a past that is not stored here. That is an
   alarm (custody.forks), with its note as the evidence.
"""

import hashlib
import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef

from custody import forks
from custody.correspondence import alone, failed, is_due, succeeded, with_partner
from custody.cosignatures import LEDGER, SKEW, Received, Refused, newest_of, policy, store, verified
from custody.engine import SYSTEM, acting, record
from custody.ledger_keys import ledger_keys
from custody.models import Checkpoint, Correspondence, Entry, Event
from custody.outside import OutsideProblem, Reply, ask
from custody.proof import newest_checkpoint, newest_heartbeat
from custody.sequencer import read_tile
from custody.verify import check_checkpoint
from custody.vocabulary import Outcome, Type
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.grow import consistency_proof, root_from_tiles
from ledger.merkle import MAX_SIZE, ProofError, verify_consistency
from ledger.note import NoteError
from ledger.policy import Witness
from ledger.proof import format_consistency

REFRESH = timedelta(hours=1)
MOST = 16 * 1024  # bytes of an answer
ECHO = (Type.COSIGN, Type.ANCHOR)
SIZE_TYPE = "text/x.tlog.size"

log = logging.getLogger("custody.cosigners")


class Contradicted(Refused):
    """The cosigner has seen a head that the stored ledger does not lead to."""


def ask_cosigners(now: datetime, *, urgent: bool = False) -> int:
    """Ask every cosigner whose turn it is for the newest head. Returns how many cosignatures were stored.

    That is the newest heartbeat, so that nobody reads from the times when who was busy. `urgent`, for a bundle that
    somebody waits for, sends the newest of all and asks those that answered last time before their turn.

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
            head = newest_checkpoint() if urgent else newest_heartbeat()
            due = is_due(talk, now) or (urgent and not talk.failures)
            if witness.url is None or head is None or not due or not _is_worth_asking(witness, head, now):
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
    last = newest_of(witness)
    if last is not None and last.checkpoint.size > head.size:
        return False  # it was asked urgently since this heartbeat
    return last is None or abs(now - last.cosigned_at) > REFRESH or has_news(last.checkpoint.size, head.size)


def has_news(old: int, new: int) -> bool:
    """Whether anything but the echo of cosignatures and timestamps stands in entries `old` to `new` - 1."""
    echo = Event.objects.filter(pk=OuterRef("event_id"), type__in=ECHO)
    return Entry.objects.filter(~Exists(echo), index__gte=old, index__lt=new).exists()


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
    if reply.status == 409 and reply.type == SIZE_TYPE:
        held = _size(reply)
        if held < known:
            raise Refused(f"it has forgotten: it cosigned {known} entries before, and says it holds {held}")
        if held > head.size:
            _look_into(witness, head, held, reply)
        reply = _submit(witness, head, held)
    if reply.status == 200:
        received = verified(witness, head, reply.body)
        if datetime.now(UTC) - received.at > SKEW:
            raise Refused(f"it sent a cosignature of {received.at:%Y-%m-%d %H:%M} UTC, or its clock is behind")
        return received
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


def _look_into(witness: Witness, head: Checkpoint, said: int, reply: Reply) -> None:
    """It holds what our head does not continue, or says so: find out what, keep it, and sound the alarm.

    Raises Contradicted, or Refused when what it shows does not contradict the stored ledger.
    """
    theirs, size, root = _shown(witness)
    newest = newest_checkpoint() or head
    if theirs:
        said = size
        if size <= newest.size and root == _own_root(size):
            raise Refused("it refuses a head that continues the one it shows")
    elif said <= newest.size and reply.status == 409 and reply.type == SIZE_TYPE:
        raise Refused("it keeps changing the size it says it holds")
    kind = "rollback" if said > newest.size else "fork"
    answer = f"{reply.status} {reply.type}\n{reply.body[:MOST].decode('utf-8', 'replace')}"
    what = (
        f"it holds a head of {said} entries, and {newest.size} are stored here"
        if kind == "rollback"
        else f"it holds a head of {said} entries that the stored ledger does not lead to"
    )
    if forks.keep(
        cosigner=witness.verifier.name,
        kind=kind,
        size=said,
        their_note=theirs,
        our_note=newest.note,
        our_size=newest.size,
        said=answer,
    ):
        log.critical("the ledger has two pasts: cosigner %s, %s", witness.name, what)
        _record_contradiction(witness, newest, kind, said, theirs)
    raise Contradicted(f"{what}{'' if theirs else '; it shows no signed head for it'}")


def _own_root(size: int) -> bytes:
    try:
        return _root_at(size)
    except ProofError:
        return b""


def _shown(witness: Witness) -> tuple[str, int, bytes]:
    """(note, size, root) of the head it shows to everybody (tlog-witness, monitoring), if a key of ours signed it."""
    assert witness.url is not None
    place = hashlib.sha256(settings.SANAD_ORIGIN.encode()).hexdigest()
    own = [key.verifier for key in ledger_keys()]
    try:
        reply = ask(f"{witness.url.rstrip('/')}/{place}/checkpoint", None, most=80 * 1024)
        opened = open_checkpoint(reply.body, own)
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

"""Attacks with SQL injected into one process, in its database role; and rows put into the queue to stop the ledger."""

from datetime import datetime
from uuid import UUID, uuid4

import psycopg
from django.conf import settings

from archive import drill_theft  # noqa: F401  its attacks come before these
from archive.drill_attacks import ATTACKS, attack, refusal
from archive.drill_copies import Stage
from archive.drill_insider import Attack, Caught, Played
from archive.postgres import ROLE
from custody.engine import SYSTEM, Subject, acting, record, timestamp
from custody.vocabulary import Type
from ledger.entry import encode_entry

WEB, SEQUENCER = f"{ROLE}_web", f"{ROLE}_sequencer"
_EVENT = (
    "INSERT INTO custody_event (id, type, outcome, at, agent_id, entry)"
    " VALUES (%s, 'displaying', 'success', date_trunc('milliseconds', now()), gen_random_uuid(), %s)"
)
_QUEUED = "INSERT INTO custody_pending (event_id, created_at) VALUES (%s, now())"
_RECORD = (
    "SELECT custody_record_v2(%s, 'displaying', 'success', %s, %s, NULL, %s, ARRAY['item'], ARRAY[%s]::uuid[],"
    " %s, 'a key', true, ARRAY['agent', 'subjects'], ARRAY['x', 'x']::bytea[])"
)


@attack("injected SQL puts garbage among the events and into the queue")
def garbage(stage: Stage) -> Played:
    inserted = _EVENT.replace("%s", "gen_random_uuid()", 1).replace("%s", "'garbage'")
    return Played("custody_event", lambda: refusal(stage, WEB, inserted))


@attack("injected SQL has garbage recorded by the function that records")
def garbage_recorded(stage: Stage) -> Played:
    return Played("not that of its event", lambda: _recorded(stage, origin=settings.SANAD_ORIGIN, event_id=uuid4()))


@attack("injected SQL records an entry of another ledger, to stop signatures for good")
def foreign_entry(stage: Stage) -> Played:
    if _recorded(stage, origin="elsewhere.example/log") is not None:
        raise RuntimeError("the function refused what only the sequencer can tell")
    return Played("its entry is of another ledger")


@attack("injected SQL destroys every value and every key in one call")
def everything_erased(stage: Stage) -> Played:
    statement = (
        "SELECT custody_erase_v2(gen_random_uuid(), (SELECT array_agg(id) FROM custody_disclosure),"
        " (SELECT array_agg(subject_id) FROM custody_subjectkey), '{}', '{}', '{}')"
    )
    return Played("nothing is erased", lambda: refusal(stage, WEB, statement))


@attack("injected SQL locks the ledger against sequencer and signer")
def locked(stage: Stage) -> Played:
    statement = "LOCK TABLE custody_pending, custody_entry IN ACCESS EXCLUSIVE MODE"
    return Played("permission denied", lambda: refusal(stage, WEB, statement, "BEGIN"))


@attack("a sequencer that was taken over drops an event, with a temporary table before the guard's eyes")
def shadowed(stage: Stage) -> Played:
    statement = "CREATE TEMP TABLE custody_entry (event_id uuid)"
    return Played("temporary tables", lambda: refusal(stage, SEQUENCER, statement))


@attack("an event of 8,000 bytes of garbage is put into the queue, triggers off")
def garbage_queued(stage: Stage) -> Played:
    made = _put_in(stage, uuid4(), b"garbage!" * 1000)
    return Played(f"event {made} is kept out of the ledger: its bytes are not an entry")


@attack("an event that has its place is put into the queue again")
def queued_again(stage: Stage) -> Played:
    (old,) = stage.copies.one("SELECT event_id FROM custody_entry WHERE index = 0")
    stage.copies.execute(_QUEUED, old)
    return Played(f"event {old} is kept out of the ledger: it has its place")


@attack("a number without an event is put into the queue")
def number_queued(stage: Stage) -> Played:
    made = uuid4()
    stage.copies.execute(_QUEUED, made)
    return Played(f"event {made} is kept out of the ledger: its row is gone")


@attack("an event's row is deleted while it waits for its place")
def deleted_while_waiting(stage: Stage) -> Played:
    with acting():
        made = record(Type.VIEW, by=SYSTEM, at=_now(stage), subjects=[Subject("drill", uuid4())])
    stage.copies.execute("DELETE FROM custody_event WHERE id = %s", made)
    return Played(f"event {made} is kept out of the ledger: its row is gone; subjects or values of it are left")


@attack("heads that were signed when somebody acted are passed off as heartbeats")
def heartbeats_forged(stage: Stage) -> Played:
    stage.copies.execute("UPDATE custody_checkpoint SET heartbeat = NOT heartbeat")
    return Played("does not follow the one before it")


def all_attacks() -> list[Attack]:
    """Every attack there is, in the order in which they are played."""
    return list(ATTACKS)


def _put_in(stage: Stage, made: UUID, entry: bytes) -> UUID:
    with stage.copies.superuser() as session:
        session.execute(_EVENT, [made, entry])
        session.execute(_QUEUED, [made])
    return made


def _now(stage: Stage) -> datetime:
    (at,) = stage.copies.one("SELECT date_trunc('milliseconds', now())")
    now: datetime = at
    return now


def _recorded(stage: Stage, *, origin: str, event_id: UUID | None = None) -> Caught | None:
    """What the database says when the web server's role records an entry of its own making; None when it takes it."""
    made, subject, at = uuid4(), uuid4(), _now(stage)
    entry = encode_entry(
        origin=origin, event_id=(event_id or made).hex, ts=timestamp(at), type="displaying", outcome="success",
        blob=None, commitments={field: bytes(32) for field in ("agent", "subjects")},
    )  # fmt: skip
    with stage.copies.as_role(WEB) as session:
        try:
            session.execute(_RECORD, [made, at, uuid4(), entry, subject, subject])
        except psycopg.Error as refused:
            return Caught("database function", str(refused).splitlines()[0])
    return None

"""Attacks on what the archive keeps: tables, tiles, sealed values and stored bytes, by whoever is the superuser."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
from django.conf import settings

from archive.drill_copies import EARLY, Stage
from archive.drill_insider import Attack, Caught, Played
from archive.postgres import ROLE, SUPERUSER
from custody.engine import timestamp
from custody.vocabulary import Type
from evidence.store import path_of
from ledger.entry import canonical, encode_entry, leaf_hash
from ledger.merkle import HASH_BYTES

ATTACKS: list[Attack] = []
ENTRY = 7  # the entry that most attacks are about
_EVENT = f"(SELECT event_id FROM custody_entry WHERE index = {ENTRY})"


def attack(name: str, *, known: bool = False) -> Callable[[Callable[[Stage], Played]], Callable[[Stage], Played]]:
    """Put a function among the attacks, in the order of the file."""

    def add(play: Callable[[Stage], Played]) -> Callable[[Stage], Played]:
        ATTACKS.append(Attack(name, play, known))
        return play

    return add


@attack("a row is changed by SQL injected into the web server")
def by_the_web_role(stage: Stage) -> Played:
    return Played(
        "denied", lambda: refusal(stage, f"{ROLE}_web", f"UPDATE custody_event SET type = 'x' WHERE id = {_EVENT}")
    )


@attack("a row is changed by the tables' owner, triggers left on")
def by_the_owner(stage: Stage) -> Played:
    return Played("append-only", lambda: refusal(stage, ROLE, f"DELETE FROM custody_event WHERE id = {_EVENT}"))


@attack("the same, calling itself a replica so that triggers rest")
def as_a_replica(stage: Stage) -> Played:
    replica = "SET session_replication_role = replica"
    return Played("append-only", lambda: refusal(stage, SUPERUSER, "DELETE FROM custody_tile", replica))


@attack("triggers off; an entry's bytes are changed; triggers on again")
def entry_changed(stage: Stage) -> Played:
    stage.copies.execute(f"UPDATE custody_entry SET entry = overlay(entry placing 'x' from 20) WHERE index = {ENTRY}")
    return Played(f"entry {ENTRY}")


@attack("an entry is deleted in the middle")
def entry_deleted(stage: Stage) -> Played:
    stage.copies.execute(f"DELETE FROM custody_entry WHERE index = {ENTRY}")
    return Played(f"entry {ENTRY}")


@attack("the newest entries are deleted")
def truncated(stage: Stage) -> Played:
    stage.copies.execute("DELETE FROM custody_entry WHERE index >= %s", stage.size - 3)
    return Played(f"{stage.size - 3} are stored")


@attack("the newest entries, their events, hashes and heads are deleted")
def truncated_with_care(stage: Stage) -> Played:
    size = stage.size - 3
    with stage.copies.superuser() as session:
        session.execute(
            "DELETE FROM custody_event WHERE id IN (SELECT event_id FROM custody_entry WHERE index >= %s)", [size]
        )
        session.execute("DELETE FROM custody_entry WHERE index >= %s", [size])
        session.execute("UPDATE custody_tile SET hashes = substr(hashes, 1, %s) WHERE level = 0", [size * HASH_BYTES])
        session.execute("DELETE FROM custody_checkpoint WHERE size > %s", [size])
    return Played(f"{size} are stored")


@attack("two entries change places, hashes and tile with them")
def reordered(stage: Stage) -> Played:
    with stage.copies.superuser() as session:
        session.execute(f"UPDATE custody_entry SET index = -index WHERE index IN ({ENTRY}, {ENTRY + 1})")
        session.execute(f"UPDATE custody_entry SET index = {2 * ENTRY + 1} + index WHERE index < 0")
        session.execute(_TILE)
    return Played(f"entry {ENTRY}")


@attack("an entry is rewritten with its event, hash and tile")
def rewritten(stage: Stage) -> Played:
    event_id, data = stage.copies.one(f"SELECT event_id, entry FROM custody_entry WHERE index = {ENTRY}")
    changed = json.loads(data) | {"ts": "2024-01-01T00:00:00.000Z"}
    entry = canonical(changed, max_bytes=8192, max_depth=8)
    with stage.copies.superuser() as session:
        session.execute("UPDATE custody_event SET at = '2024-01-01Z', entry = %s WHERE id = %s", [entry, event_id])
        session.execute("UPDATE custody_eventsubject SET at = '2024-01-01Z' WHERE event_id = %s", [event_id])
        session.execute(
            "UPDATE custody_entry SET entry = %s, leaf_hash = %s WHERE index = %s", [entry, leaf_hash(entry), ENTRY]
        )
        session.execute(_TILE)
    return Played(f"entry {ENTRY}")


@attack("one bit of a tile is flipped")
def tile_flipped(stage: Stage) -> Played:
    bit = ENTRY * HASH_BYTES * 8
    stage.copies.execute(
        f"UPDATE custody_tile SET hashes = set_bit(hashes, {bit}, 1 - get_bit(hashes, {bit})) WHERE level = 0"
    )
    return Played("tile 0/0")


@attack("an event row names another person")
def other_agent(stage: Stage) -> Played:
    stage.copies.execute(f"UPDATE custody_event SET agent_id = gen_random_uuid() WHERE id = {_EVENT}")
    return Played(f"entry {ENTRY}: its event row was changed: agent")


@attack("an event row gets another time")
def other_time(stage: Stage) -> Played:
    stage.copies.execute(f"UPDATE custody_event SET at = at - interval '1 hour' WHERE id = {_EVENT}")
    return Played(f"entry {ENTRY}: its event row was changed: time")


@attack("an event row gets another type")
def other_type(stage: Stage) -> Played:
    stage.copies.execute(f"UPDATE custody_event SET type = 'sanad/view' WHERE id = {_EVENT}")
    return Played(f"entry {ENTRY}: its event row was changed: type")


@attack("what an event was about is taken out")
def subject_removed(stage: Stage) -> Played:
    stage.copies.execute(f"DELETE FROM custody_eventsubject WHERE event_id = {_EVENT}")
    return Played(f"entry {ENTRY}")


@attack("sealed values of two events are exchanged")
def ciphertexts_swapped(stage: Stage) -> Played:
    stage.copies.execute(
        f"""UPDATE custody_disclosure AS one SET sealed = other.sealed FROM custody_disclosure AS other
            WHERE one.field = 'agent' AND other.field = 'agent' AND other.event_id <> one.event_id
            AND (SELECT index FROM custody_entry WHERE event_id = one.event_id) IN ({ENTRY}, {ENTRY + 1})
            AND (SELECT index FROM custody_entry WHERE event_id = other.event_id) IN ({ENTRY}, {ENTRY + 1})"""
    )
    return Played(f"entry {ENTRY}: its value of agent")


@attack("a sealed value is deleted without an erasure")
def value_deleted(stage: Stage) -> Played:
    stage.copies.execute(f"DELETE FROM custody_disclosure WHERE field = 'agent' AND event_id = {_EVENT}")
    return Played(f"entry {ENTRY}: its value of agent is missing")


@attack("the key of an item's values is destroyed without an erasure")
def key_destroyed(stage: Stage) -> Played:
    stage.copies.execute("DELETE FROM custody_subjectkey WHERE subject_id = %s", stage.items[0].pk)
    return Played("does not open")


@attack("a value is deleted, and a row of an erasure forged to explain it")
def erasure_row_forged(stage: Stage) -> Played:
    stage.copies.execute(f"DELETE FROM custody_disclosure WHERE field = 'agent' AND event_id = {_EVENT}")
    _forge(stage, Type.ERASE, queued=False)
    return Played(f"entry {ENTRY}: its value of agent is missing")


@attack("the same, the erasure put into the queue so that it gets its place")
def erasure_queued(stage: Stage) -> Played:
    stage.copies.execute(f"DELETE FROM custody_disclosure WHERE field = 'agent' AND event_id = {_EVENT}")
    _forge(stage, Type.ERASE, queued=True, commitments={"erased": secrets.token_bytes(32)})
    return Played("does not commit to who acted")


@attack("a row of an erasure is forged, and nothing else")
def lone_erasure_row(stage: Stage) -> Played:
    return Played(f"event {_forge(stage, Type.ERASE, queued=False)}")


@attack("an act that never was is put into the queue under a colleague's name")
def act_forged(stage: Stage) -> Played:
    _forge(stage, Type.VIEW, queued=True)
    return Played("does not commit to")


@attack("the stored bytes of two items are exchanged in their records")
def blobs_swapped(stage: Stage) -> Played:
    one, other = stage.items[0], stage.items[1]
    with stage.copies.superuser() as session:
        session.execute("ALTER TABLE evidence_item DROP CONSTRAINT evidence_item_blob_id_key")
        for item, blob in ((one.pk, other.blob_id), (other.pk, one.blob_id)):
            session.execute("UPDATE evidence_item SET blob_id = %s WHERE id = %s", [blob, item])
        session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        session.execute("ALTER TABLE evidence_item ADD CONSTRAINT evidence_item_blob_id_key UNIQUE (blob_id)")
    return Played(one.accession)


@attack("the bytes of an item are changed in the store")
def bytes_changed(stage: Stage) -> Played:
    path = path_of(stage.items[0].blob.address)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    return Played(stage.items[0].accession)


@attack("the bytes of an item are deleted from the store")
def bytes_deleted(stage: Stage) -> Played:
    path_of(stage.items[0].blob.address).unlink()
    return Played(stage.items[0].accession)


@attack("an item gets other bytes, and record and digests that fit them")
def bytes_replaced(stage: Stage) -> Played:
    made = os.urandom(stage.items[0].blob.size)
    address = hashlib.sha256(made).hexdigest()
    path = path_of(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made)
    stage.copies.execute("UPDATE evidence_blob SET address = %s WHERE id = %s", address, stage.items[0].blob_id)
    stage.copies.execute("UPDATE evidence_item SET sha256 = %s WHERE id = %s", secrets.token_hex(32), stage.items[0].pk)
    return Played(stage.items[0].accession)


@attack("an item's row is deleted with what refers to it")
def item_deleted(stage: Stage) -> Played:
    item = stage.items[4].pk
    with stage.copies.superuser() as session:
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute("DELETE FROM evidence_fixitycheck WHERE item_id = %s", [item])
        session.execute("DELETE FROM evidence_item WHERE id = %s", [item])
    return Played(stage.items[4].accession)


@attack("a fixity check is forged: one more that went well")
def check_forged(stage: Stage) -> Played:
    stage.copies.execute(
        """INSERT INTO evidence_fixitycheck (id, item_id, at, by_id, outcome, detail, steps, event_id)
           SELECT gen_random_uuid(), item_id, at + interval '1 day', by_id, outcome, detail, steps, gen_random_uuid()
           FROM evidence_fixitycheck WHERE item_id = %s""",
        stage.items[0].pk,
    )
    return Played(stage.items[0].accession)


@attack("an item is said to be verified later than it was")
def check_dated(stage: Stage) -> Played:
    stage.copies.execute("UPDATE evidence_item SET last_verified_at = now() WHERE id = %s", stage.items[0].pk)
    return Played(stage.items[0].accession)


@attack("a consent is widened in its record")
def consent_widened(stage: Stage) -> Played:
    stage.copies.execute(
        "UPDATE witnesses_consent SET purposes = array_append(purposes, 'media') WHERE id = %s", stage.consent
    )
    return Played(f"consent {stage.consent}: purposes")


@attack("the ledger's tables are put back from an old backup, the rest stays")
def old_tables(stage: Stage) -> Played:
    with stage.copies.superuser() as session, stage.copies.kept(EARLY) as source:
        session.execute("SET LOCAL session_replication_role = replica")
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^custody_'"
        names = [name for (name,) in session.execute(tables).fetchall()]
        for name in names:
            session.execute(f'DELETE FROM "{name}"')
            given = source.cursor().copy(f'COPY "{name}" TO STDOUT (FORMAT BINARY)')
            taken = session.cursor().copy(f'COPY "{name}" FROM STDIN (FORMAT BINARY)')
            with given as rows, taken as copied:
                for data in rows:
                    copied.write(data)
    return Played("went backwards")


@attack("the whole database is put back from an old backup")
def old_database(stage: Stage) -> Played:
    stage.copies.put_back(EARLY, folders=[])
    return Played("went backwards")


@attack("the same, with old copies of exported tiles and public files")
def old_database_and_tiles(stage: Stage) -> Played:
    stage.copies.put_back(EARLY, folders=["ledger", "status", "exports"])
    return Played("went backwards")


#: What whoever knows the format writes over the only tile of a small ledger.
_TILE = "UPDATE custody_tile SET hashes = (SELECT string_agg(leaf_hash, ''::bytea ORDER BY index) FROM custody_entry)"


def refusal(stage: Stage, role: str, statement: str, before: str = "") -> Caught | None:
    """What the database says to a statement of this role; None when it does it."""
    by = "database trigger" if role in (ROLE, SUPERUSER) else "database role"
    with stage.copies.as_role(role) as session:
        if before:
            session.execute(before)
        try:
            session.execute(statement)
        except psycopg.Error as refused:
            return Caught(by, str(refused).splitlines()[0])
    return None


def _forge(stage: Stage, type: Type, *, queued: bool, commitments: dict[str, bytes] | None = None) -> UUID:
    """An event of the superuser's making, in a colleague's name, about what entry ENTRY is about."""
    made = uuid4()
    (at,) = stage.copies.one("SELECT date_trunc('milliseconds', now())")
    entry = encode_entry(
        origin=settings.SANAD_ORIGIN, event_id=made.hex, ts=timestamp(at), type=type.value, outcome="success",
        blob=None, commitments=commitments or {},
    )  # fmt: skip
    with stage.copies.superuser() as session:
        session.execute(
            "INSERT INTO custody_event (id, type, outcome, at, agent_id, entry) VALUES (%s, %s, 'success', %s, %s, %s)",
            [made, type.value, at, stage.team["archivist"].pk, entry],
        )
        session.execute(
            f"""INSERT INTO custody_eventsubject (event_id, kind, subject_id, at)
                SELECT %s, kind, subject_id, %s FROM custody_eventsubject WHERE event_id = {_EVENT}""",
            [made, at],
        )
        if queued:
            session.execute("INSERT INTO custody_pending (event_id, created_at) VALUES (%s, %s)", [made, at])
    return made

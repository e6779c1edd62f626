"""Attacks with what was stolen: the signing key, the signer's memory, the clock, and what others hold of the ledger."""

import hashlib
import json
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from archive.drill_attacks import attack
from archive.drill_copies import EARLY, WHOLE, Stage
from archive.drill_insider import Caught, Played, watch
from custody import anchors, signer, signer_state
from custody.correspondence import with_partner
from custody.cosigners import ask_cosigners
from custody.engine import SYSTEM, Subject, acting, record
from custody.forks import forks
from custody.ledger_keys import ledger_keys, vkey
from custody.models import Anchor, Correspondence
from custody.proof import newest_checkpoint
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from ledger.bag import CHECKPOINT, TAG_FILES, TAG_MANIFESTS, VKEY, digests_of
from ledger.bundle import format_manifest
from ledger.checkpoint import format_checkpoint
from ledger.disclosure import parse_openings
from ledger.entry import canonical, commit, encode_entry, leaf_hash, parse_entry
from ledger.note import decode_vkey
from ledger.proof import format_proof
from ledger.receipt import MAX_RECEIPT_BYTES, MAX_RECEIPT_DEPTH, format_receipt, verify_receipt
from ledger.report import Report
from ledger.sign import Ed25519Signer, sign_note
from ledger.verify import Trust, verify_bundle

COSIGNER, AUTHORITY = "bar.example/cosigner", "drill"
_ANOTHER_ROOT = hashlib.sha256(b"another past").digest()


@attack("a head is taken out of the middle")
def head_removed(stage: Stage) -> Played:
    stage.copies.execute("DELETE FROM custody_checkpoint WHERE number = 2")
    return Played("does not follow the one before it")


@attack("the newest two heads are taken away")
def newest_heads_removed(stage: Stage) -> Played:
    stage.copies.execute(
        "DELETE FROM custody_checkpoint WHERE number > (SELECT max(number) - 2 FROM custody_checkpoint)"
    )
    return Played("checkpoints are missing")


@attack("the stolen key signs another head, put in as the next one")
def head_added(stage: Stage) -> Played:
    _sign_another(stage, after=True)
    return Played("older than the ledger")


@attack("the stolen key signs another head, put in the newest one's place")
def head_replaced(stage: Stage) -> Played:
    _sign_another(stage, after=False)
    return Played("another one is at work")


@attack("the signer's clock is set back by an hour")
def clock_back(stage: Stage) -> Played:
    return Played("clock", lambda: _at_another_time(stage, timedelta(hours=-1)))


@attack("the signer's clock is set forward by a month")
def clock_forward(stage: Stage) -> Played:
    return Played("clock", lambda: _at_another_time(stage, timedelta(days=30)))


@attack("the signer's memory is put back from an old backup")
def old_memory(stage: Stage) -> Played:
    stage.copies.put_back(EARLY, database=False, folders=["signer"])
    return Played("memory is older than the ledger")


@attack("the signer's memory is deleted, to make it begin anew")
def no_memory(stage: Stage) -> Played:
    (Path(settings.SANAD_SIGNER) / "state.json").unlink()
    return Played("lost its memory")


@attack("the signer's whole folder is deleted, its key with it")
def no_signer(stage: Stage) -> Played:
    shutil.rmtree(settings.SANAD_SIGNER)
    return Played("lost its memory")


@attack("a fork for one auditor: two heads of one size, with copied key and memory")
def fork(stage: Stage) -> Played:
    with _cosigner(stage) as url:
        _trust(url)
        _happen(1)
        if ask_cosigners(datetime.now(UTC), urgent=True) != 1:
            raise RuntimeError(_problem())
        stage.copies.put_back(WHOLE)  # the copy of database, key and memory
        _trust(url)
        _happen(1)
        ask_cosigners(datetime.now(UTC))
        return Played("does not lead to", _told_by_the_cosigner())


@attack("everything is put back from one old backup, the signer and its memory too")
def old_everything(stage: Stage) -> Played:
    with _cosigner(stage) as url:
        _trust(url)
        if ask_cosigners(datetime.now(UTC), urgent=True) != 1:
            raise RuntimeError(_problem())
        stage.copies.put_back(EARLY)
        _trust(url)
        ask_cosigners(datetime.now(UTC))
        return Played("are stored here", _told_by_the_cosigner())


@attack("a cosignature is deleted, so that a partner seems to have seen less")
def cosignature_deleted(stage: Stage) -> Played:
    _cosigned(stage)
    stage.copies.execute("DELETE FROM custody_cosignature")
    return Played(f"records a cosignature of {COSIGNER}")


@attack("a cosignature's row is made to say that it came with another event")
def cosignature_moved(stage: Stage) -> Played:
    _cosigned(stage)
    stage.copies.execute("UPDATE custody_cosignature SET event_id = gen_random_uuid()")
    return Played("cosignature 1: is not the one that was recorded when it came")


@attack("a timestamp is deleted, to be able to say that the head is younger")
def timestamp_deleted(stage: Stage) -> Played:
    _timestamped()
    stage.copies.execute("DELETE FROM custody_anchor")
    return Played(f"records a timestamp of {AUTHORITY}")


@attack("a timestamp is exchanged for a later one")
def timestamp_exchanged(stage: Stage) -> Played:
    _timestamped()
    stage.copies.execute("UPDATE custody_anchor SET response = %s, stamped_at = now()", secrets.token_bytes(2000))
    return Played("anchor 1: is not the one that was recorded when it came")


@attack("a timestamp goes back into the queue, as if it had never come")
def timestamp_queued(stage: Stage) -> Played:
    _timestamped()
    stage.copies.execute("UPDATE custody_anchor SET response = NULL, stamped_at = NULL, event_id = NULL")
    return Played(f"records a timestamp of {AUTHORITY}")


@attack("a receipt is forged: another digest")
def receipt_digest(stage: Stage) -> Played:
    value = json.loads(stage.receipt)
    value["opened"]["object"]["value"]["sha256"] = "0" * 64
    forged = canonical(value, max_bytes=MAX_RECEIPT_BYTES, max_depth=MAX_RECEIPT_DEPTH)
    changed = "object that is not the one recorded"
    return Played(changed, lambda: _of_a_reader("receipt check", verify_receipt(forged, _trusting(stage))))


@attack("a receipt is forged whole: entry, tree and head by a key of the forger's")
def receipt_whole(stage: Stage) -> Played:
    value = json.loads(stage.receipt)
    entry, opened = parse_entry(value["entry"].encode()), parse_openings(value["opened"])
    salt, stated = opened["object"]
    stated = stated | {"sha256": "0" * 64}
    made = encode_entry(
        origin=entry.origin, event_id=entry.event_id, ts=entry.ts, type=entry.type, outcome=entry.outcome,
        blob=entry.blob, commitments=dict(entry.commitments) | {"object": commit(salt, "object", stated)},
    )  # fmt: skip
    forger = Ed25519Signer(settings.SANAD_ORIGIN, b"\7" * 32)
    note = sign_note(format_checkpoint(settings.SANAD_ORIGIN, 1, leaf_hash(made)), forger)
    forged = format_receipt(made, {"object": (salt, stated)}, forger.vkey, format_proof(0, [], note))
    return Played("trusted key", lambda: _of_a_reader("receipt check", verify_receipt(forged, _trusting(stage))))


@attack("a bundle is forged: another exhibit, and manifests that fit it")
def bundle_payload(stage: Stage) -> Played:
    folder = _bundle_copy(stage)
    (exhibit,) = (path for path in (folder / "data" / "items").rglob("*") if path.is_file())
    exhibit.write_bytes(exhibit.read_bytes() + b"What was never said.\n")
    _write_manifests(folder)
    changed = stage.items[0].accession
    return Played(changed, lambda: _of_a_reader("bundle verifier", verify_bundle(folder, _trusting(stage))))


@attack("a bundle is forged: its head signed by a key of the forger's")
def bundle_head(stage: Stage) -> Played:
    folder = _bundle_copy(stage)
    was = (folder / CHECKPOINT).read_bytes()
    forger = Ed25519Signer(settings.SANAD_ORIGIN, b"\7" * 32)
    note = sign_note(was.decode().partition("\n\n")[0] + "\n", forger).encode()
    for path in (folder / "data" / "ledger").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(was, note))
    (folder / VKEY).write_text(f"{forger.vkey}\n")
    _write_manifests(folder)
    return Played("trusted key", lambda: _of_a_reader("bundle verifier", verify_bundle(folder, _trusting(stage))))


@attack("an event is taken out of the queue before any head covers it", known=True)
def unseen_event(stage: Stage) -> Played:
    with acting():
        event_id = record(Type.VIEW, by=SYSTEM, at=datetime.now(UTC), subjects=[Subject("drill", uuid4())])
    with stage.copies.superuser() as session:
        for table in ("pending", "disclosure", "eventsubject"):
            session.execute(f"DELETE FROM custody_{table} WHERE event_id = %s", [event_id])
        session.execute("DELETE FROM custody_event WHERE id = %s", [event_id])
    return Played()


@attack("an act that never was is recorded with the archive's own key", known=True)
def act_with_the_key(stage: Stage) -> Played:
    with acting():
        record(
            Type.VIEW, by=stage.team["archivist"], at=datetime.now(UTC), subjects=[Subject("item", stage.items[0].pk)]
        )
    return Played()


@attack("an exhibit's words are changed in its row", known=True)
def exhibit_changed(stage: Stage) -> Played:
    stage.copies.execute("UPDATE cases_exhibit SET relevance = 'Of no relevance.'")
    return Played()


@attack("everything is put back from one old backup, and no cosigner knows more", known=True)
def old_everything_alone(stage: Stage) -> Played:
    stage.copies.put_back(EARLY)
    return Played()


def _sign_another(stage: Stage, *, after: bool) -> None:
    """A head over another root with the ledger's own key, chained as the signer would."""
    state = signer_state.read()
    if state is None or state.signed_at is None:
        raise RuntimeError("the drill's ledger was not signed")
    note = sign_note(
        format_checkpoint(settings.SANAD_ORIGIN, state.size, _ANOTHER_ROOT), signer_state.private_key(state.keys[-1])
    )
    at = state.signed_at + timedelta(seconds=1)
    with stage.copies.superuser() as session:
        number, previous = state.count + 1, state.chain
        if not after:
            number = state.count
            session.execute("DELETE FROM custody_checkpoint WHERE number = %s", [number])
            row = session.execute("SELECT chain FROM custody_checkpoint WHERE number = %s", [number - 1]).fetchone()
            previous = bytes(row[0])
        session.execute(
            "INSERT INTO custody_checkpoint (number, size, root, note, signed_at, chain, heartbeat)"
            " VALUES (%s, %s, %s, %s, %s, %s, false)",
            [number, state.size, _ANOTHER_ROOT, note, at, signer.link(previous, note, at, heartbeat=False)],
        )


def _at_another_time(stage: Stage, away: timedelta) -> Caught | None:
    right = signer.now
    signer.now = lambda: right() + away  # the machine's own clock is not the drill's to set
    try:
        return watch(stage)
    finally:
        signer.now = right


@contextmanager
def _cosigner(stage: Stage) -> Iterator[str]:
    """A partner's cosigner, a process of its own that has seen nothing yet; its policy line, killed at the end."""
    state = stage.home / f"cosigner-{uuid4().hex}.json"
    argv = [sys.executable, "-m", "ledger", "cosign", "--listen", "127.0.0.1:0", "--state", str(state)]
    argv += ["--name", COSIGNER, *(part for key in ledger_keys() for part in ("--log", key.vkey))]
    process = subprocess.Popen(argv, cwd=settings.BASE_DIR, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = ""
        while "listening on" not in said:
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"the cosigner ended: {said}")
            said += line
        key, port = re.search(r"key of this cosigner is (\S+)", said), re.search(r"127\.0\.0\.1:(\d+)", said)
        assert key is not None
        assert port is not None
        yield f"witness bar {key[1]} http://127.0.0.1:{port[1]}"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _trust(line: str) -> None:
    Path(settings.SANAD_LEDGER_POLICY).write_text(f"{line}\ngroup partners all bar\nquorum partners\n")


def _happen(times: int) -> None:
    for _ in range(times):
        with acting():
            record(Type.VIEW, by=SYSTEM, at=datetime.now(UTC), subjects=[Subject("drill", uuid4())])
    drain()
    sign_head()


def _cosigned(stage: Stage) -> None:
    """A partner's cosignature of the newest head, and its entry under a head of its own."""
    with _cosigner(stage) as url:
        _trust(url)
        if ask_cosigners(datetime.now(UTC)) != 1:
            raise RuntimeError(_problem())
    drain()
    sign_head()


def _timestamped() -> None:
    """The record of a timestamp of the newest head. No authority is asked: its record is attacked, not its token."""
    head, now = newest_checkpoint(), datetime.now(UTC)
    assert head is not None
    imprint = hashlib.sha512(head.note.encode()).hexdigest()
    anchor = Anchor.objects.create(authority=AUTHORITY, checkpoint=head, imprint=imprint, queued_at=now, test=True)
    anchors.keep(anchor, secrets.token_bytes(2000), now)
    drain()
    sign_head()


def _problem() -> str:
    return with_partner(Correspondence.COSIGNER, COSIGNER).problem


def _told_by_the_cosigner() -> Callable[[], Caught | None]:
    """The round was part of the act: what the desk was told is read while it stands."""
    kept, said = forks(), _problem()
    proven = [one for one in kept if one.proven]
    return lambda: Caught("cosigner", f"{said}; its signed head is kept as proof") if proven else None


def _trusting(stage: Stage) -> Trust:
    return Trust([decode_vkey(vkey())])


def _of_a_reader(by: str, report: Report) -> Caught | None:
    if not report.problems:
        return None
    first = report.problems[0]
    return Caught(by, f"{first.where} {first.what} ({first.code})")


def _bundle_copy(stage: Stage) -> Path:
    folder = stage.home / f"bundle-{uuid4().hex}"
    shutil.copytree(stage.bundle, folder)
    return folder


def _write_manifests(folder: Path) -> None:
    """Manifests of the payload and of the tags, as they would be had the bundle been made so."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    payload = {name: digests_of([path.read_bytes()]) for name, path in files.items() if name.startswith("data/")}
    for algorithm in ("sha256", "sha512"):
        (folder / f"manifest-{algorithm}.txt").write_bytes(format_manifest(algorithm, payload))
    info = folder / "bag-info.txt"
    size = f"Payload-Oxum: {sum(one.size for one in payload.values())}.{len(payload)}"
    info.write_text(re.sub(r"Payload-Oxum: \S+", size, info.read_text()))
    tags = {name: digests_of([(folder / name).read_bytes()]) for name in TAG_FILES}
    for name in TAG_MANIFESTS:
        algorithm = name.removeprefix("tagmanifest-").removesuffix(".txt")
        (folder / name).write_bytes(format_manifest(algorithm, tags))

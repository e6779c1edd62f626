"""Another key-encryption key: everything is wrapped anew, nothing is lost however it ends, no object is touched."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from archive.databases import role_of
from archive.management.commands import set_up
from custody import key_rotation, keys, rewrapping, seal, wrapping
from custody.engine import SYSTEM, opened
from custody.key_rotation import RotationRefused
from custody.memory import Secret
from custody.models import SubjectKey
from custody.story import story
from custody.token_keys import Token, TokenKey
from custody.vocabulary import Type
from evidence import blobs, escrow, escrow_exports, fixity, store
from evidence.blobs import Received
from evidence.models import Blob
from tests import factories
from tests.custody.dying import dying
from tests.custody.ledgers import happen
from tests.custody.test_keys import wrapped_as_before_keys_had_names
from verification import sweeps


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Keys of this test's own: its rotations are nobody else's."""
    settings.SANAD_KEY_FOLDER = tmp_path / "keys"
    keys.provider.cache_clear()
    yield settings.SANAD_KEY_FOLDER
    keys.provider.cache_clear()


def fill(count: int) -> dict[str, bytes]:
    """So many data keys of each kind: {context: key}."""
    found: dict[str, bytes] = {}
    for _ in range(count):
        subject, key = uuid4(), secrets.token_bytes(32)
        SubjectKey.objects.create(subject_id=subject, wrapped=keys.provider().wrap(key, f"subject/{subject}"))
        found[f"subject/{subject}"] = key
        found |= blob()
    return found


def blob() -> dict[str, bytes]:
    key = Secret(secrets.token_bytes(32))
    made = blobs.make_blob(Received(uuid4(), secrets.token_hex(32), 40, key, "ab", "cd", 0))
    return {f"blob/{made.pk}": bytes(key)}


def rows() -> dict[str, bytes]:
    """{context: wrapped key} as they stand."""
    found = {f"subject/{row.subject_id}": bytes(row.wrapped) for row in SubjectKey.objects.all()}
    return found | {f"blob/{row.pk}": bytes(row.wrapped_key) for row in Blob.objects.exclude(wrapped_key=b"")}


def all_open(known: dict[str, bytes]) -> bool:
    standing, ring = rows(), keys.provider()
    return all(ring.unwrap(standing[context], context) == key for context, key in known.items())


def rotate(step: str = "add", *arguments: str) -> str:
    out = StringIO()
    call_command("rotate_key", step, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def told() -> list[str]:
    """The steps that the ledger tells of, over all keys."""
    lines = []
    for listed in keys.read_ring(keys.key_folder()).keys:
        for line in story(key_rotation.KIND, key_rotation._subject(listed.id)):
            assert line.type == Type.WRAPPING_KEY
            lines.append(opened([line.event_id])[line.event_id]["to"][1]["step"])
    return lines


@pytest.mark.django_db
def test_every_data_key_is_wrapped_anew_and_no_stored_object_is_touched(folder: Path) -> None:
    item = factories.make_item(data=b"the same bytes")
    known = fill(3)
    standing = store.path_of(item.blob.address)
    before, was, first = rows(), (standing.stat().st_ino, standing.stat().st_mtime_ns), keys.provider().current
    assert "Everything is under the key" in rotate()
    after, current = rows(), keys.provider().current
    assert current != first
    assert {wrapped[1:9] for wrapped in after.values()} == {current}
    assert set(before) <= set(after)
    assert all(after[context] != wrapped for context, wrapped in before.items())
    assert all_open(known)
    assert (standing.stat().st_ino, standing.stat().st_mtime_ns) == was
    item.blob.refresh_from_db()
    assert b"".join(blobs.read_blob(item.blob)) == b"the same bytes"
    assert item.original_name
    assert told() == ["begun", "finished"]
    rotate("rewrap")
    assert rows() == after
    assert told() == ["begun", "finished"]


@pytest.mark.django_db
def test_keys_in_the_old_form_are_taken_over_by_the_first_rotation(folder: Path) -> None:
    keys.provider()
    subject, key = uuid4(), secrets.token_bytes(32)
    context = f"subject/{subject}"
    SubjectKey.objects.create(subject_id=subject, wrapped=wrapped_as_before_keys_had_names(folder, key, context))
    sealed = seal.seal(subject, "label", b"value")
    assert seal.unseal(subject, "label", sealed) == b"value"
    assert "1 data keys are in the form of before" in rotate("show")
    rotate()
    assert rows()[context][1:9] == keys.provider().current
    assert seal.unseal(subject, "label", sealed) == b"value"
    assert all_open({context: key})


@pytest.mark.django_db
def test_a_key_moved_to_another_row_opens_in_neither(folder: Path) -> None:
    one, other = factories.make_item(data=b"one").blob, factories.make_item(data=b"other").blob
    Blob.objects.filter(pk=one.pk).update(wrapped_key=other.wrapped_key)
    one.refresh_from_db()
    with pytest.raises(keys.KeyProblem):
        list(blobs.read_blob(one))
    moved = Blob.objects.get(pk=other.pk)
    with pytest.raises(keys.KeyProblem):  # nor does a blob's key open as a subject's
        keys.provider().unwrap(bytes(moved.wrapped_key), f"subject/{moved.pk}")
    with pytest.raises(CommandError, match="1 rows open under no key"):
        rotate()
    assert b"".join(blobs.read_blob(other)) == b"other"
    with pytest.raises(RotationRefused, match="wrapped under the key"):
        key_rotation.finish(by=SYSTEM, at=timezone.now())


@pytest.mark.django_db
def test_an_old_key_is_destroyed_only_when_nothing_needs_it_and_an_hour_passed(folder: Path) -> None:
    known = fill(2)
    first = keys.provider().current.hex()
    now = timezone.now()
    with pytest.raises(RotationRefused, match="in force"):
        key_rotation.destroy(by=SYSTEM, at=now, key_id=first)
    key_rotation.begin(by=SYSTEM, at=now)
    with pytest.raises(RotationRefused, match="less than"):
        key_rotation.destroy(by=SYSTEM, at=now + timedelta(minutes=59), key_id=first)
    with pytest.raises(RotationRefused, match="rows need the key"):
        key_rotation.destroy(by=SYSTEM, at=now + timedelta(minutes=61), key_id=first)
    assert (folder / "kek").exists()
    rotate("rewrap")
    key_rotation.destroy(by=SYSTEM, at=now + timedelta(minutes=61), key_id=first)
    assert not (folder / "kek").exists()
    assert [listed.id for listed in keys.read_ring(folder).keys] == [keys.provider().current.hex()]
    keys.provider.cache_clear()
    assert all_open(known)
    with pytest.raises(RotationRefused, match="has no key"):
        key_rotation.destroy(by=SYSTEM, at=now + timedelta(days=1), key_id=first)


@pytest.mark.django_db
def test_a_destroyed_key_is_not_brought_back_by_wrapping_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch was read, and before it is written an erasure takes one of its keys."""
    known = fill(2)
    gone = Blob.objects.first()
    assert gone is not None
    replace = rewrapping._replace

    erased: list[Any] = []

    def after_an_erasure(column: Any, made: Any) -> int:
        if not erased and gone.pk in [row for row, *_ in made]:
            erased.append(Blob.objects.filter(pk=gone.pk).update(wrapped_key=b""))
        return replace(column, made)

    monkeypatch.setattr(rewrapping, "_replace", after_an_erasure)
    rotate()
    assert erased == [1]
    gone.refresh_from_db()
    assert bytes(gone.wrapped_key) == b""
    known.pop(f"blob/{gone.pk}")
    assert all_open(known)


@pytest.mark.django_db
def test_a_subjects_key_is_wrapped_anew_and_changed_in_no_other_way(folder: Path) -> None:
    (context, key), *_ = fill(1).items()
    subject = context.partition("/")[2]
    ring = keys.provider()
    refused = (
        ring.wrap(secrets.token_bytes(32), context),  # under the same key
        b"",
        b"\x01" + bytes(60),
        b"\x02" + bytes(20),
    )
    for wrapped in refused:
        with pytest.raises(IntegrityError, match="wrapped anew"), transaction.atomic():
            SubjectKey.objects.filter(subject_id=subject).update(wrapped=wrapped)
    with pytest.raises(IntegrityError, match="wrapped anew"), transaction.atomic():
        SubjectKey.objects.filter(subject_id=subject).update(subject_id=uuid4(), wrapped=b"\x02" + bytes(68))
    assert all_open({context: key})
    assert role_of(["manage.py", "rotate_key", "add"]) == "owner"


@pytest.mark.django_db
def test_into_a_token_and_out_of_it_again(folder: Path, token: Token, settings: Any) -> None:
    settings.SANAD_PKCS11_PIN_FILE = token.pin_file
    known = fill(3)
    first = keys.provider().current.hex()
    rotate("add", "--module", str(token.module), "--token", token.label)
    in_token = keys.provider().current
    assert all_open(known)
    assert f"{in_token.hex()}  token archive  wraps" in rotate("show")
    key_rotation.destroy(by=SYSTEM, at=timezone.now() + timedelta(hours=2), key_id=first)
    assert [path.name for path in folder.glob("kek*")] == []  # nothing on the disk opens anything now
    keys.provider.cache_clear()
    assert all_open(known)
    happen()
    rotate()
    assert all_open(known)
    key_rotation.destroy(by=SYSTEM, at=timezone.now() + timedelta(hours=4), key_id=in_token.hex())
    keys.provider.cache_clear()
    assert all_open(known)


@pytest.mark.django_db
def test_a_token_that_stops_answering_is_told_at_the_start(folder: Path, token: Token, settings: Any) -> None:
    settings.SANAD_PKCS11_PIN_FILE = token.pin_file
    rotate("add", "--module", str(token.module), "--token", token.label)
    assert run_checks() == []
    settings.SANAD_PKCS11_PIN_FILE = folder / "absent"
    keys.provider.cache_clear()
    assert [problem.id for problem in run_checks()] == ["custody.W010"]


@pytest.mark.django_db
def test_a_token_that_is_away_is_an_outage_and_no_finding(
    folder: Path, token: Token, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SANAD_PKCS11_PIN_FILE = token.pin_file
    item = factories.make_item(data=b"x")
    rotate("add", "--module", str(token.module), "--token", token.label)
    subjects = [str(subject) for subject in SubjectKey.objects.values_list("subject_id", flat=True)]
    monkeypatch.setattr(keys.KeyRing, "unwrap", _away)
    for look in (
        lambda: seal.existing_aeads(subjects),
        lambda: seal.existing_aead(item.pk),
        lambda: fixity.find(item),
        lambda: fixity._same_key(item.blob),
        lambda: escrow_exports._seal_again(item.blob, escrow.Recipients({})),
        lambda: list(rewrapping._anew(rewrapping._COLUMNS[0], [(item.pk, b"\x02" + bytes(60))], [])),
    ):
        with pytest.raises(keys.KeyAway):
            look()
    monkeypatch.setattr(sweeps, "next_items", lambda *_: [item])
    assert sweeps.work(lane=0, lanes=1, until=time.monotonic() + 20).away


def _away(*_: Any) -> Secret:
    raise keys.KeyAway("the token does not answer")


@pytest.mark.django_db
def test_a_token_that_does_not_work_changes_nothing(folder: Path, token: Token, settings: Any) -> None:
    settings.SANAD_PKCS11_PIN_FILE = folder / "absent"
    known = fill(1)
    first = keys.provider().current
    with pytest.raises(CommandError, match="PIN cannot be read"):
        rotate("add", "--module", str(token.module), "--token", token.label)
    with pytest.raises(CommandError, match="needs both"):
        rotate("add", "--token", token.label)
    assert keys.provider().current == first
    assert all_open(known)


@pytest.mark.django_db
@pytest.mark.parametrize("in_a_token", [False, True])
def test_a_destruction_that_was_broken_off_is_done_again(
    folder: Path, token: Token, settings: Any, monkeypatch: pytest.MonkeyPatch, in_a_token: bool
) -> None:
    settings.SANAD_PKCS11_PIN_FILE = token.pin_file
    keys.provider()
    if in_a_token:
        rotate("add", "--module", str(token.module), "--token", token.label)
    old = keys.provider().current
    rotate()
    later = timezone.now() + timedelta(hours=2)

    def fails(*_: Any) -> None:
        raise keys.KeyAway("it is away")

    with monkeypatch.context() as broken:
        broken.setattr(keys, "shred", fails)
        broken.setattr(key_rotation, "destroy_token_key", fails)
        with pytest.raises(keys.KeyAway):
            key_rotation.destroy(by=SYSTEM, at=later, key_id=old.hex())
    assert "not gone yet" in rotate("show")
    with pytest.raises(keys.KeyProblem, match="which this archive does not have"):
        keys.provider().unwrap(wrapping.header(old) + bytes(60), "blob/1")
    key_rotation.destroy(by=SYSTEM, at=later, key_id=old.hex())
    assert old.hex() not in rotate("show")
    if in_a_token:
        with pytest.raises(keys.KeyProblem, match="has no key"):
            TokenKey(token, old).seal(bytes(32), b"")
    else:
        assert not (folder / "kek").exists()


@pytest.mark.django_db
def test_another_or_an_empty_key_folder_makes_no_key_and_stops_the_start(
    folder: Path, settings: Any, tmp_path: Path
) -> None:
    item = factories.make_item(data=b"old")
    settings.SANAD_KEY_FOLDER = tmp_path / "keyz"
    keys.provider.cache_clear()
    assert "custody.E010" in [problem.id for problem in run_checks(databases=["default"])]
    with pytest.raises(keys.KeyProblem, match="SANAD_KEY_FOLDER"):
        factories.make_item(item.compartment, by=item.received_by, data=b"new")
    with pytest.raises(CommandError, match="SANAD_KEY_FOLDER"):
        set_up.Command()._check_keys()
    assert not (tmp_path / "keyz").exists()
    keys.KeyRing(tmp_path / "keyz")  # even with a whole set of keys of another archive
    assert any("rows need the key" in problem.msg for problem in run_checks(databases=["default"]))
    with pytest.raises(CommandError, match="rows need the key"):
        set_up.Command()._check_keys()
    settings.SANAD_KEY_FOLDER = folder
    keys.provider.cache_clear()
    assert "custody.E010" not in [problem.id for problem in run_checks(databases=["default"])]
    set_up.Command()._check_keys()
    assert b"".join(blobs.read_blob(item.blob)) == b"old"


@pytest.mark.django_db
def test_a_list_that_was_lost_lets_no_older_key_wrap_again(folder: Path, token: Token, settings: Any) -> None:
    settings.SANAD_PKCS11_PIN_FILE = token.pin_file
    fill(1)
    first = keys.provider().current.hex()
    rotate("add", "--module", str(token.module), "--token", token.label)
    kept = (folder / keys.LIST).read_text()
    (folder / keys.LIST).unlink()
    keys.provider.cache_clear()
    with pytest.raises(keys.KeyProblem, match="does not open what"):
        keys.provider()
    for step in (["add"], ["show"], ["destroy", first]):
        with pytest.raises(CommandError, match="is missing"):
            rotate(*step)
    (folder / keys.LIST).write_text(kept)
    key_rotation.destroy(by=SYSTEM, at=timezone.now() + timedelta(hours=2), key_id=first)
    (folder / keys.LIST).unlink()
    keys.provider.cache_clear()
    with pytest.raises(keys.KeyProblem, match="is missing"):
        keys.provider()
    assert not (folder / "kek").exists()


@pytest.mark.django_db
def test_an_archive_of_before_the_list_is_taken_over_by_the_key_that_opens_its_rows(folder: Path) -> None:
    known = fill(1)
    (folder / keys.LIST).unlink()
    keys.provider.cache_clear()
    assert all_open(known)
    assert (folder / keys.LIST).exists()


@pytest.mark.django_db(transaction=True)
def test_an_old_key_is_not_destroyed_under_an_act_that_has_not_committed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act wrapped a key before the rotation, and nobody else sees its row yet."""
    monkeypatch.setattr(rewrapping, "HELD", 1)
    first = keys.provider().current.hex()
    wrote, tried = Flag(), Flag()
    known: dict[str, bytes] = {}

    def act() -> None:
        with transaction.atomic():
            known.update(blob())
            wrote.set()
            tried.wait(30)
        connection.close()

    acting = Thread(target=act)
    acting.start()
    assert wrote.wait(30)
    rotate()
    later = timezone.now() + timedelta(hours=2)
    try:
        with pytest.raises(RuntimeError, match="does not end"):
            key_rotation.destroy(by=SYSTEM, at=later, key_id=first)
    finally:
        tried.set()
        acting.join(30)
    with pytest.raises(RotationRefused, match="1 rows need the key"):
        key_rotation.destroy(by=SYSTEM, at=later, key_id=first)
    assert all_open(known)


@pytest.mark.django_db(transaction=True)
def test_killed_at_forty_steps_everything_opens_and_the_next_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrapping, "BATCH", 2)
    known = fill(2)

    def act() -> str:
        keys.provider.cache_clear()
        key_rotation.begin(by=SYSTEM, at=timezone.now())
        rewrapping.rewrap()
        return key_rotation.finish(by=SYSTEM, at=timezone.now())

    seen: set[str] = set()
    for at in range(1, 120, 3):  # every rotation that was begun lengthens the way of the next
        ended = dying(act, at)
        assert not ended.problem, ended.problem
        assert not ended.finished
        seen.add(ended.steps[-1])
        keys.provider.cache_clear()
        assert all_open(known), ended.steps[-1]
    assert len(seen) > 15
    assert dying(act, 0).finished
    assert all_open(known)
    assert rewrapping.left() == 0
    steps = told()
    assert steps.count("begun") == len(keys.read_ring(folder).keys) - 1
    assert steps.count("finished") >= 1


@pytest.mark.django_db(transaction=True)
def test_a_rotation_killed_in_the_middle_while_files_come_in_is_finished_by_the_next(folder: Path) -> None:
    known = fill(1500)
    arrived: dict[str, bytes] = {}
    stop = Flag()

    def receive() -> None:
        while not stop.wait(0.02):
            arrived.update(blob())
        connection.close()

    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.evidence.subprocess_settings",
        "SANAD_TESTED_DATABASE": connection.settings_dict["NAME"],
        "SANAD_DATA": str(django_settings.SANAD_DATA),
        "SANAD_KEY_FOLDER": str(folder),
    }
    environ = {name: value for name, value in environ.items() if name in _KEPT or not name.startswith("SANAD_")}
    program = [sys.executable, "-c", _PROGRAM, str(folder)]
    receiving = Thread(target=receive)
    receiving.start()
    try:
        process = subprocess.Popen([*program, "add"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environ)
        assert process.stderr is not None
        line = process.stderr.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, line
        assert b"500 wrapped anew" in line
        half = rewrapping.left()
        assert 0 < half < 3000 + len(arrived)
        assert all_open(known)
        subprocess.run([*program, "rewrap"], env=environ, check=True, timeout=120, capture_output=True)
    finally:
        stop.set()
        receiving.join(30)
    assert arrived
    assert all_open(known | arrived)
    assert rewrapping.left() == 0
    assert {wrapped[1:9] for wrapped in rows().values()} == {keys.provider().current}


_KEPT = ("SANAD_TESTED_DATABASE",)
_PROGRAM = """
import sys, django
from pathlib import Path
django.setup()
from django.conf import settings
from django.core.management import call_command
settings.SANAD_KEY_FOLDER = Path(sys.argv[1])
call_command("rotate_key", sys.argv[2])
"""

"""An archive of the version whose sequencer signed goes on: the same key, the same ledger, nothing signed unseen."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from archive.management.commands.set_up import Command
from custody import ledger_keys, scrub, signer_state
from custody.alarm import LedgerBroken
from custody.models import Checkpoint
from custody.sequencer import drain
from custody.signer import SignerRefused, sign_head, vkey
from custody.signer_state import MemoryLost
from custody.taking_over import ALARM, KEY, LOCK, MEMORY, take_over
from custody.verify import faults
from ledger.checkpoint import open_checkpoint
from ledger.note import decode_vkey
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db


def old(name: str) -> Path:
    return Path(settings.SANAD_KEYS) / name


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    for name in (KEY, MEMORY, LOCK, ALARM):
        old(name).unlink(missing_ok=True)


@pytest.fixture
def left() -> str:
    """What the version before leaves: two heads over four entries, and in `keys` all that it knew. Returns its vkey."""
    signed_ledger(3)
    signed_ledger(1)
    own, state = vkey(), signer_state.read()
    assert state is not None
    assert state.signed_at is not None
    memory = {
        "size": state.size,
        "peaks": [peak.hex() for peak in state.peaks],
        "note": state.note,
        "signed_at": state.signed_at.isoformat(timespec="microseconds"),
        "chain": state.chain.hex(),
        "count": state.count,
    }
    (signer_state.folder() / f"key-{state.keys[0].key_id}").rename(old(KEY))
    old(MEMORY).write_text(json.dumps(memory))
    old(LOCK).touch()
    for folder in (settings.SANAD_SIGNER, settings.SANAD_STATUS):
        for path in Path(folder).iterdir():
            path.unlink()
    return own


def test_the_ledger_goes_on_under_its_key_after_a_whole_scrub(left: str) -> None:
    taken = take_over()
    assert taken is not None
    assert (taken.vkey, taken.count, taken.size) == (left, 2, 4)
    assert vkey() == left, "readers can check the heads that are there before the next is signed"
    happen()
    drain()
    with pytest.raises(SignerRefused, match="not derived anew yet"):
        sign_head()
    scrub.scrub()
    head = sign_head()
    assert head is not None
    assert (head.number, head.size) == (3, 5)
    assert open_checkpoint(head.note, [decode_vkey(left)]).size == 5
    assert list(faults()) == []


def test_the_signer_by_itself_scrubs_and_signs_after_it(left: str) -> None:
    take_over()
    happen()
    drain()
    call_command("signer", once=True)
    assert [row.size for row in Checkpoint.objects.order_by("number")] == [3, 4, 5]


def test_no_other_process_can_read_the_key_any_more(left: str) -> None:
    take_over()
    assert files(Path(settings.SANAD_KEYS)).isdisjoint({KEY, MEMORY, LOCK, ALARM})
    assert "CACHEDIR.TAG" in files(signer_state.folder())
    for path in signer_state.folder().glob("*-*"):
        assert path.stat().st_mode & 0o077 == 0
    assert take_over() is None


def test_a_tree_that_was_changed_meanwhile_is_not_signed(left: str) -> None:
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 1""")
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")
    take_over()
    happen()
    drain()
    with pytest.raises(SignerRefused):
        sign_head()
    with pytest.raises(LedgerBroken, match="entry 1"):
        scrub.scrub()
    with pytest.raises(SignerRefused):
        sign_head()


def test_an_alarm_of_the_version_before_is_told_as_the_reason_not_to_sign(left: str) -> None:
    old(ALARM).write_text("{}")
    take_over()
    reason = signer_state.distrusted()
    assert reason is not None
    assert "had raised its alarm" in str(reason)


def test_the_head_that_was_signed_and_never_stored_is_published(left: str) -> None:
    as_owner("DELETE FROM custody_checkpoint WHERE number = 2")
    take_over()
    call_command("signer", once=True)
    assert [(row.number, row.size) for row in Checkpoint.objects.order_by("number")][:2] == [(1, 3), (2, 4)]
    assert list(faults()) == []


def test_an_archive_that_signed_nothing_yet_keeps_its_key(left: str) -> None:
    as_owner("DELETE FROM custody_checkpoint")
    old(MEMORY).unlink()
    taken = take_over()
    assert taken is not None
    assert (taken.vkey, taken.count) == (left, 0)
    sign_head()
    assert vkey() == left


def test_a_key_without_its_memory_does_not_begin_a_second_past(left: str) -> None:
    """Heads are stored, so it signed them, and nobody knows what."""
    old(MEMORY).unlink()
    take_over()
    with pytest.raises(SignerRefused):
        sign_head()


@pytest.mark.parametrize(
    "damage",
    [
        lambda memory: memory | {"size": memory["size"] + 1},
        lambda memory: memory | {"peaks": ["00" * 32]},
        lambda memory: memory | {"count": 0},
        lambda memory: memory | {"note": memory["note"].replace("\n4\n", "\n5\n")},
        lambda memory: memory | {"chain": 7},
        lambda memory: {key: value for key, value in memory.items() if key != "signed_at"},
        lambda _: [],
    ],
)
def test_a_memory_that_is_not_what_its_key_signed_is_refused_and_left_alone(damage: Any, left: str) -> None:
    before = json.dumps(damage(json.loads(old(MEMORY).read_text())))
    old(MEMORY).write_text(before)
    with pytest.raises(MemoryLost):
        take_over()
    assert old(MEMORY).read_text() == before
    assert old(KEY).exists()
    assert files(signer_state.folder()) == {"lock"}
    Command()._take_over()
    assert not ledger_keys.ledger_keys()
    with pytest.raises(MemoryLost):
        sign_head()


def test_an_old_memory_put_back_later_is_never_taken(left: str) -> None:
    """Whoever empties the signer's folder and restores `keys` from a backup does not make it forget."""
    kept = {name: old(name).read_bytes() for name in (KEY, MEMORY)}
    take_over()
    call_command("signer", once=True)
    for name, data in kept.items():
        old(name).write_bytes(data)
        old(name).chmod(0o600)
    for path in signer_state.folder().iterdir():
        path.unlink()
    with pytest.raises(MemoryLost, match="no replacement"):
        take_over()
    ledger_keys.keys_file().unlink()
    take_over()
    scrub.scrub()
    with pytest.raises(SignerRefused, match="older than the ledger"):
        sign_head()


def test_a_key_of_somebody_else_beside_a_signer_at_work_is_told(left: str) -> None:
    taken = take_over()
    assert taken is not None
    old(KEY).write_text("A" * 43 + "=")
    old(KEY).chmod(0o600)
    with pytest.raises(MemoryLost, match="another signer"):
        take_over()
    assert vkey() == left


def test_killed_at_any_step_the_next_start_finishes(left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    kept = {name: old(name).read_bytes() for name in (KEY, MEMORY)}
    step = 0
    while True:
        step, done = step + 1, 0
        for folder in (settings.SANAD_SIGNER, settings.SANAD_STATUS):
            for path in Path(folder).iterdir():
                path.unlink()
        for name, data in kept.items():
            old(name).write_bytes(data)
            old(name).chmod(0o600)

        def counted(real: Any, last: int = step) -> Any:
            def call(*given: Any, **named: Any) -> Any:
                nonlocal done
                done += 1
                if done == last:
                    raise Killed
                return real(*given, **named)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", counted(os.fsync))
            patch.setattr(Path, "replace", counted(Path.replace))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            try:
                take_over()
                finished = True
            except Killed:
                finished = False
        if finished:
            break
        take_over()
        state = signer_state.read()
        assert state is not None
        assert (state.count, state.keys[0].vkey, vkey()) == (2, left, left), step
        assert signer_state.private_key(state.keys[0]).vkey == left
        assert take_over() is None
        assert not {name for name in files(Path(settings.SANAD_KEYS)) if "ledger-ed25519" in name}
    assert step > 8

"""Rotation, compromise and loss of the signing key: told by entries, checkable from outside, never by itself."""

import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from custody import key_changes, ledger_keys, signer_state
from custody.engine import SYSTEM, opened
from custody.handovers import add_handovers, bundle_vkeys
from custody.key_changes import KeyRefused
from custody.ledger_keys import LedgerKey, vkey
from custody.models import Checkpoint, Entry, Event
from custody.scrub import scrub
from custody.sequencer import drain
from custody.signer import SignerRefused, sign_head
from custody.verify import check_checkpoint, faults
from custody.vocabulary import Type
from ledger.bundle import BundleWriter
from ledger.checkpoint import open_checkpoint
from ledger.note import NoteError, decode_vkey, split_note
from ledger.verify import Trust, verify_bundle
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db


def placed_and_signed() -> Checkpoint:
    drain()
    head = sign_head(force=True)
    assert head is not None
    return head


def rotated() -> tuple[LedgerKey, LedgerKey]:
    """(the old key, the new one), both of which sign; the new one has signed its first head."""
    signed_ledger(3)
    made = key_changes.make()
    event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
    placed_and_signed()
    key_changes.begin(made.vkey, event_id)
    placed_and_signed()
    old, new = ledger_keys.ledger_keys()
    return old, new


def retired() -> tuple[LedgerKey, LedgerKey]:
    old, new = rotated()
    key_changes.stop(old.key_id)
    placed_and_signed()
    old = ledger_keys.ledger_keys()[0]
    key_changes.retire(old.vkey, old.end or 0, by=SYSTEM, at=timezone.now())
    placed_and_signed()
    key_changes.destroy(old.key_id)
    return old, new


def signers(head: Checkpoint) -> set[str]:
    return {signature.key_id.hex() for signature in split_note(head.note)[1]}


def newest() -> Checkpoint:
    return Checkpoint.objects.order_by("-number")[0]


def test_the_new_key_signs_beside_the_old_one_only_once_the_old_one_covered_its_announcement() -> None:
    signed_ledger(3)
    (old,) = ledger_keys.ledger_keys()
    made = key_changes.make()
    assert key_changes.make() == made
    assert signers(placed_and_signed()) == {old.key_id}
    event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
    assert key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now()) == event_id
    with pytest.raises(KeyRefused, match="no signed head covers"):
        key_changes.begin(made.vkey, event_id)
    assert not key_changes.handed_over(event_id)
    handover = placed_and_signed()
    assert key_changes.handed_over(event_id)
    assert signers(handover) == {old.key_id}
    assert vkey() == old.vkey
    index = Entry.objects.get(event_id=event_id).index
    begun = key_changes.begin(made.vkey, event_id)
    assert key_changes.begin(made.vkey, event_id) == begun
    assert begun.start == index + 1
    both = placed_and_signed()
    assert signers(both) == {old.key_id, made.key_id}
    assert vkey() == made.vkey
    check_checkpoint(both)
    assert list(faults()) == []


def test_the_entry_of_an_addition_says_the_key_and_nothing_else() -> None:
    """As docs/spec/ledger.md asks: exactly {"vkey": vkey}."""
    _, new = rotated()
    event = Event.objects.get(type=Type.ADD_KEY)
    assert opened([event.pk])[event.pk]["key"][1] == {"vkey": new.vkey}
    assert (event.outcome, new.event) == ("success", event.pk.hex)


def test_a_retired_key_signs_no_head_that_covers_its_retirement_and_its_private_half_is_gone() -> None:
    old, new = retired()
    assert old.end is not None
    event = Event.objects.get(type=Type.RETIRE_KEY)
    index = Entry.objects.get(event_id=event.pk).index
    assert old.end <= index
    for head in Checkpoint.objects.all():
        assert old.key_id not in signers(head) or head.size <= old.end
        assert new.key_id not in signers(head) or head.size >= new.start
        assert signers(head)
    assert not (settings.SANAD_SIGNER / f"key-{old.key_id}").exists()
    assert vkey() == new.vkey
    assert list(faults()) == []
    assert scrub().clean
    assert signers(signed_ledger(2)) == {new.key_id}


def test_the_last_key_is_not_retired_and_a_third_one_waits_for_the_second() -> None:
    signed_ledger(2)
    (old,) = ledger_keys.ledger_keys()
    with pytest.raises(KeyRefused, match="no other key has signed"):
        key_changes.stop(old.key_id)
    made = key_changes.make()
    with pytest.raises(KeyRefused, match="no other key has signed"):
        key_changes.stop(old.key_id)
    event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
    placed_and_signed()
    key_changes.begin(made.vkey, event_id)
    with pytest.raises(KeyRefused, match="no other key has signed"):
        key_changes.stop(old.key_id)
    with pytest.raises(KeyRefused, match="two keys sign"):
        key_changes.make()
    with pytest.raises(KeyRefused, match="still signs"):
        key_changes.destroy(old.key_id)
    with pytest.raises(KeyRefused, match="no key 00000000"):
        key_changes.stop("00000000")


def test_a_kill_between_any_two_steps_of_a_rotation_leaves_a_ledger_that_is_signed() -> None:
    signed_ledger(1)
    made = key_changes.make()
    assert signers(signed_ledger(1)) == {ledger_keys.ledger_keys()[0].key_id}
    event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
    placed_and_signed()
    signed_ledger(1)
    key_changes.begin(made.vkey, event_id)
    signed_ledger(1)
    key_changes.stop(ledger_keys.ledger_keys()[0].key_id)
    signed_ledger(1)
    assert list(faults()) == []


def bundle(tmp_path: Path) -> Path:
    """A bundle of no item: the keys and what leads from one to the next."""
    head = newest()
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.set_checkpoint(head.note, *bundle_vkeys(head))
        add_handovers(writer, head, head.note)
        return writer.finish().path


@pytest.mark.parametrize("make", [rotated, retired])
def test_whoever_trusts_the_first_key_accepts_a_head_of_the_second(make: Any, tmp_path: Path) -> None:
    """By the verifier in the bundle, from the entries alone."""
    old, new = make()
    path = bundle(tmp_path)
    assert (path / "data/ledger/vkey").read_text() == f"{old.vkey}\n{new.vkey}\n"
    for trusted in (old, new):
        report = verify_bundle(path, Trust([decode_vkey(trusted.vkey)]))
        assert [(problem.where, problem.what) for problem in report.problems] == []
        assert (report.exit_code, report.trust) == (0, "pinned")


def test_a_compromised_key_stops_at_once_and_is_believed_up_to_the_last_good_head() -> None:
    good = signed_ledger(3)
    with_stolen = signed_ledger(2)
    (old,) = ledger_keys.ledger_keys()
    exported = happen(type=Type.EXPORT)
    Event.objects.get(pk=exported)
    since = datetime(2025, 3, 10, tzinfo=UTC)
    done = key_changes.compromised(old.key_id, since=since, last_good=good, by=SYSTEM, at=timezone.now())
    assert list(done.left) == [exported]
    assert not (settings.SANAD_SIGNER / f"key-{old.key_id}").exists()
    fresh = placed_and_signed()
    assert signers(fresh) == {done.fresh.key_id}
    check_checkpoint(good)
    check_checkpoint(fresh)
    with pytest.raises(ValueError, match="no trusted key"):
        check_checkpoint(with_stolen)
    assert vkey() == done.fresh.vkey
    fields = opened([done.event_id])[done.event_id]
    assert fields["key"][1] == {"vkey": old.vkey}
    assert fields["last_good"][1] == {"size": 3, "root": bytes(good.root).hex()}
    assert fields["since"][1] == "2025-03-10T00:00:00.000Z"
    assert (fields["left"][1]["count"], fields["left"][1]["events"]) == (1, [exported.hex])
    assert list(faults()) == []
    again = key_changes.compromised(old.key_id, since=since, last_good=good, by=SYSTEM, at=timezone.now())
    assert (again.event_id, again.fresh) == (done.event_id, done.fresh)


def test_no_chain_leads_from_a_stolen_key_to_the_next(tmp_path: Path) -> None:
    good = signed_ledger(3)
    (old,) = ledger_keys.ledger_keys()
    done = key_changes.compromised(old.key_id, since=good.signed_at, last_good=good, by=SYSTEM, at=timezone.now())
    head = placed_and_signed()
    assert bundle_vkeys(head) == [done.fresh.vkey]
    assert ledger_keys.chain(head.size)[0].start == 3
    with pytest.raises(NoteError):
        open_checkpoint(head.note, [old.verifier])


def lose_memory() -> None:
    (settings.SANAD_SIGNER / "state.json").unlink()


def lose_everything() -> None:
    shutil.rmtree(settings.SANAD_SIGNER)
    settings.SANAD_SIGNER.mkdir(mode=0o700)


def damage_memory() -> None:
    (settings.SANAD_SIGNER / "state.json").write_text("{")


def held_outside(tmp_path: Path, head: Checkpoint) -> str:
    (tmp_path / "checkpoint").write_text(head.note)
    return str(tmp_path / "checkpoint")


@pytest.mark.parametrize("lose", [lose_memory, damage_memory])
def test_a_lost_memory_is_established_from_a_checkpoint_that_others_hold(lose: Any, tmp_path: Path) -> None:
    trusted = signed_ledger(300)
    signed_ledger(5)
    kept = signer_state.read()
    lose()
    with pytest.raises(SignerRefused):
        sign_head()
    call_command("establish_signer", checkpoint=Path(held_outside(tmp_path, trusted)), stdout=io.StringIO())
    found = signer_state.read()
    assert kept is not None
    assert found is not None
    assert (found.size, found.peaks, found.chain, found.count) == (kept.size, kept.peaks, kept.chain, kept.count)
    head = placed_and_signed()
    assert head.number == 3
    assert Event.objects.filter(type=Type.ESTABLISH_SIGNER).count() == 1
    assert list(faults()) == []


def test_a_lost_signing_key_too_asks_for_a_new_one_of_which_readers_are_told(tmp_path: Path) -> None:
    trusted = signed_ledger(3)
    (old,) = ledger_keys.ledger_keys()
    lose_everything()
    path = Path(held_outside(tmp_path, trusted))
    with pytest.raises(CommandError, match="--new-key"):
        call_command("establish_signer", checkpoint=path, stdout=io.StringIO())
    said = io.StringIO()
    call_command("establish_signer", checkpoint=path, new_key=True, stdout=said)
    head = placed_and_signed()
    ended, fresh = ledger_keys.ledger_keys()
    assert (ended.vkey, ended.end, fresh.start) == (old.vkey, 3, 3)
    assert signers(head) == {fresh.key_id}
    assert fresh.vkey in said.getvalue()
    assert list(faults()) == []


def test_a_memory_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    head = signed_ledger(3)
    with pytest.raises(CommandError, match="nothing to establish"):
        call_command("establish_signer", checkpoint=Path(held_outside(tmp_path, head)), stdout=io.StringIO())


def go_back() -> None:
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    as_owner("DELETE FROM custody_checkpoint WHERE size > 3")


def rewrite() -> None:
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 1""")
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (go_back, "older than the checkpoint you trust: it has 3 signed entries, the checkpoint 5"),
        (rewrite, "not whole"),
        (lambda: as_owner("DELETE FROM custody_checkpoint WHERE number = 1"), "not whole"),
    ],
)
def test_a_ledger_that_does_not_continue_the_trusted_checkpoint_gives_no_memory(
    attack: Any, says: str, tmp_path: Path
) -> None:
    signed_ledger(3)
    trusted = signed_ledger(2)
    lose_memory()
    attack()
    with pytest.raises(CommandError, match=says):
        call_command("establish_signer", checkpoint=Path(held_outside(tmp_path, trusted)), stdout=io.StringIO())
    assert not (settings.SANAD_SIGNER / "state.json").exists()
    assert not Event.objects.filter(type=Type.ESTABLISH_SIGNER).exists()


def test_a_checkpoint_of_another_key_is_no_ground_to_establish_anything(tmp_path: Path) -> None:
    signed_ledger(3)
    lose_memory()
    (tmp_path / "note").write_text("sanad\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAAA\n")
    with pytest.raises(CommandError, match="not one of this ledger"):
        call_command("establish_signer", checkpoint=tmp_path / "note", stdout=io.StringIO())


def test_the_commands_rotate_while_the_ledger_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the two processes would do meanwhile is done at each look."""
    signed_ledger(2)
    (old,) = ledger_keys.ledger_keys()
    monkeypatch.setattr("time.sleep", lambda _: placed_and_signed())
    said = io.StringIO()
    call_command("rotate_ledger_key", "add", stdout=said)
    placed_and_signed()
    old, new = ledger_keys.ledger_keys()
    assert new.vkey in said.getvalue()
    call_command("rotate_ledger_key", "retire", old.key_id, stdout=said)
    placed_and_signed()
    call_command("rotate_ledger_key", "show", stdout=said)
    assert f"{old.key_id}  from 0  to {ledger_keys.ledger_keys()[0].end}" in said.getvalue()
    assert list(faults()) == []


def test_without_sequencer_and_signer_an_addition_waits_and_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    signed_ledger(2)
    monkeypatch.setattr("custody.management.commands.rotate_ledger_key.WAIT", 0.3)
    with pytest.raises(CommandError, match="Start the sequencer and the signer"):
        call_command("rotate_ledger_key", "add", stdout=io.StringIO())
    placed_and_signed()
    call_command("rotate_ledger_key", "add", stdout=io.StringIO())
    assert Event.objects.filter(type=Type.ADD_KEY).count() == 1


def test_the_command_for_a_compromise_names_what_left_and_the_new_key() -> None:
    signed_ledger(2)
    (old,) = ledger_keys.ledger_keys()
    exported = happen(type=Type.EXPORT)
    said = io.StringIO()
    call_command(
        "ledger_key", "compromised", old.key_id, "--since", "2025-03-10T00:00", "--last-good", "2", stdout=said
    )
    placed_and_signed()
    assert vkey() in said.getvalue()
    assert str(exported) in said.getvalue()
    with pytest.raises(CommandError, match="no head over 99"):
        call_command("ledger_key", "compromised", old.key_id, "--since", "2025-03-10T00:00", "--last-good", "99")
    with pytest.raises(CommandError, match="--since is a time"):
        call_command("ledger_key", "compromised", old.key_id, "--since", "yesterday", "--last-good", "2")


def test_the_public_keys_file_that_is_damaged_is_told_and_believed_by_nobody() -> None:
    head = signed_ledger(2)
    path = ledger_keys.keys_file()
    good = path.read_text()
    for damaged in ("", "{", '{"keys": [{"vkey": "x"}]}', good.replace(settings.SANAD_ORIGIN, "sanad.local/other")):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"ledger-keys.json|another ledger"):
            check_checkpoint(head)
        assert list(faults())
    path.write_text(json.dumps({"origin": "x", "keys": []}))
    with pytest.raises(ValueError, match="no trusted key"):
        check_checkpoint(head)

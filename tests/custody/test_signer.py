"""The signer signs what grew out of what it signed, and nothing else."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from archive import supervisor
from custody import signer, signer_state
from custody.alarm import EXIT_CODES, Kind
from custody.keys import encode_secret
from custody.models import Checkpoint, Entry
from custody.sequencer import drain
from custody.signer import Peaks, SignerRefused, memory, sign_head, vkey
from custody.verify import check_checkpoint, faults
from ledger.checkpoint import format_checkpoint, open_checkpoint
from ledger.entry import leaf_hash
from ledger.grow import CompactTree, root_of
from ledger.merkle import empty_root
from ledger.note import decode_vkey
from ledger.sign import Ed25519Signer, sign_note
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db


def state_file() -> Path:
    return Path(settings.SANAD_SIGNER) / "state.json"


def test_a_head_is_signed_with_the_archives_key_and_says_size_and_root() -> None:
    head = signed_ledger(7)
    opened = open_checkpoint(head.note, [decode_vkey(vkey())])
    assert (opened.origin, opened.size) == (settings.SANAD_ORIGIN, 7)
    assert opened.root == root_of(bytes(row.leaf_hash) for row in Entry.objects.order_by("index"))
    check_checkpoint(head)


def test_its_own_tree_code_agrees_with_the_format_library_at_every_size() -> None:
    mine, theirs = Peaks(), CompactTree()
    assert mine.root() == theirs.root() == empty_root()
    for number in range(600):
        leaf = number.to_bytes(32, "big")
        mine.add(leaf)
        theirs.append(leaf)
        assert mine.root() == theirs.root()


def at(moment: datetime, monkeypatch: pytest.MonkeyPatch, *, boot: str = "this boot") -> None:
    """The signer's clock says this; its machine's uptime goes with it."""
    monkeypatch.setattr(signer, "now", lambda: moment)
    monkeypatch.setattr(signer_state, "boot", lambda: (boot, (moment - NOON).total_seconds() + 1000))


NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)


def test_nothing_new_is_not_signed_again_before_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    at(NOON, monkeypatch)
    signed_ledger(2)
    at(NOON + signer.HEARTBEAT - timedelta(seconds=1), monkeypatch)
    assert sign_head() is None
    assert Checkpoint.objects.count() == 1


def test_heartbeats_come_at_fixed_times_whether_anything_happened_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outsider is shown those alone, and reads from them no more than how many entries there are by then."""
    beat = signer.HEARTBEAT
    for seconds, events, signs, heartbeat in (
        (7, 1, True, True),  # the first head ever
        (8, 1, True, False),
        (9, 0, False, False),
        (beat.total_seconds() - 1, 1, True, False),
        (beat.total_seconds(), 0, True, True),
        (beat.total_seconds() + 3, 2, True, False),
        (2 * beat.total_seconds(), 1, True, True),
        (5 * beat.total_seconds() + 9, 0, True, True),  # after an outage at once
        (6 * beat.total_seconds(), 0, True, True),  # and again at its time
    ):
        at(NOON + timedelta(seconds=seconds), monkeypatch)
        for _ in range(events):
            happen()
        drain()
        head = sign_head()
        assert (head is not None) == signs, seconds
        assert (head is not None and head.heartbeat) == heartbeat, seconds


def test_an_empty_ledger_has_a_signed_head_too() -> None:
    head = sign_head()
    assert head is not None
    assert (head.size, bytes(head.root)) == (0, empty_root())


def refusal() -> SignerRefused:
    """Why it does not sign; and nothing was signed."""
    before = Checkpoint.objects.count()
    with pytest.raises(SignerRefused) as refused:
        sign_head()
    assert Checkpoint.objects.count() == before
    return refused.value


def test_every_kind_of_refusal_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == set(Kind)
    assert len(set(EXIT_CODES.values())) == len(Kind)
    assert set(EXIT_CODES.values()) - {3} <= set(supervisor.ALARMS)


def test_a_memory_put_back_from_a_backup_is_refused() -> None:
    signed_ledger(2)
    backup = state_file().read_text()
    for _ in range(3):
        signed_ledger(1)
    state_file().write_text(backup)
    refused = refusal()
    assert (refused.kind, refused.expected, refused.found) == (Kind.MEMORY_LOST, "4", "1")
    assert "restored from a backup" in str(refused)


def test_a_head_that_somebody_else_made_up_is_refused() -> None:
    head = signed_ledger(2)
    stranger = Ed25519Signer(settings.SANAD_ORIGIN, b"s" * 32)
    note = sign_note(format_checkpoint(settings.SANAD_ORIGIN, 9, b"r" * 32), stranger)
    Checkpoint.objects.create(number=2, size=9, root=b"r" * 32, note=note, signed_at=head.signed_at, chain=b"c")
    refused = refusal()
    assert (refused.kind, refused.where) == (Kind.REWRITTEN, "checkpoint 2")


def test_heads_that_were_taken_away_are_refused() -> None:
    for _ in range(4):
        signed_ledger(1)
    as_owner("DELETE FROM custody_checkpoint WHERE number > 2")
    refused = refusal()
    assert (refused.kind, refused.where, refused.expected, refused.found) == (
        Kind.MISSING,
        "checkpoints 3 to 4",
        "4",
        "2",
    )


def test_a_clock_that_was_set_back_is_refused_until_somebody_accepts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    at(NOON, monkeypatch)
    signed_ledger(2)
    at(NOON - timedelta(hours=1), monkeypatch, boot="after a restart")
    happen()
    drain()
    refused = refusal()
    assert (refused.kind, refused.where) == (Kind.CLOCK, "clock")
    assert (refused.expected, refused.found) == ("2025-03-10T12:00:00+00:00", "2025-03-10T11:00:00+00:00")
    signer.accept_clock()
    accepted = sign_head()
    assert accepted is not None
    assert accepted.signed_at == NOON - timedelta(hours=1)
    assert list(faults()) == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_set_while_the_machine_runs_is_refused_in_both_directions(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hours since the last signature are counted by a clock nobody sets."""
    at(NOON, monkeypatch)
    signed_ledger(2)
    monkeypatch.setattr(signer_state, "boot", lambda: ("this boot", 1000 + 5 * 3600.0))
    monkeypatch.setattr(signer, "now", lambda: NOON + timedelta(hours=5 + hours))
    assert refusal().kind == Kind.CLOCK
    monkeypatch.setattr(signer, "now", lambda: NOON + timedelta(hours=5, seconds=90))
    assert sign_head() is not None


def test_a_clock_that_is_corrected_by_seconds_keeps_signatures_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    at(NOON, monkeypatch)
    first = signed_ledger(1)
    monkeypatch.setattr(signer, "now", lambda: NOON - timedelta(seconds=2))
    second = signed_ledger(1)
    assert second.signed_at == first.signed_at + timedelta(microseconds=1)


def test_a_signer_that_lost_everything_does_not_begin_anew_under_emptied_checkpoints() -> None:
    """Who takes its folder and empties the table is betrayed by the keys it told everybody."""
    signed_ledger(2)
    shutil.rmtree(settings.SANAD_SIGNER)
    settings.SANAD_SIGNER.mkdir(mode=0o700)
    as_owner("TRUNCATE custody_checkpoint")
    assert refusal().kind == Kind.MEMORY_LOST


def test_a_signing_key_that_is_gone_or_another_one_is_refused() -> None:
    signed_ledger(2)
    (path,) = settings.SANAD_SIGNER.glob("key-*")
    happen()
    drain()
    path.write_text(encode_secret(b"k" * 32))
    assert refusal().kind == Kind.MEMORY_LOST
    path.unlink()
    assert refusal().kind == Kind.MEMORY_LOST


def test_the_private_key_is_in_the_signers_folder_and_nowhere_else() -> None:
    signed_ledger(2)
    (path,) = settings.SANAD_SIGNER.glob("key-*")
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_bytes()
    elsewhere = [
        file
        for file in settings.SANAD_DATA.rglob("*")
        if file.is_file() and settings.SANAD_SIGNER not in file.parents and secret in file.read_bytes()
    ]
    assert elsewhere == []


def test_whoever_has_only_the_web_servers_folder_reads_the_key_and_cannot_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = signed_ledger(2)
    monkeypatch.setattr(settings, "SANAD_SIGNER", tmp_path / "not here")
    check_checkpoint(head)
    assert open_checkpoint(head.note, [decode_vkey(vkey())]).size == 2
    assert list(faults()) == []
    assert refusal().kind == Kind.MEMORY_LOST
    assert list((tmp_path / "not here").glob("key-*")) == []


def test_a_ledger_that_went_backwards_is_refused() -> None:
    signed_ledger(5)
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    refused = refusal()
    assert str(refused) == "the ledger went backwards: 5 entries were signed, 3 are stored"
    assert (refused.kind, refused.where, refused.expected, refused.found) == (
        Kind.WENT_BACKWARDS,
        "entries 3 to 4",
        "5",
        "3",
    )


def test_a_ledger_emptied_by_its_owner_is_refused() -> None:
    signed_ledger(5)
    as_owner("TRUNCATE custody_entry, custody_checkpoint, custody_tile")
    with pytest.raises(SignerRefused, match="went backwards"):
        sign_head()


def test_a_changed_entry_not_signed_yet_is_refused_and_nothing_is_signed() -> None:
    signed_ledger(3)
    happen()
    drain()
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 3""")
    row, refused = Entry.objects.get(index=3), refusal()
    assert (refused.kind, refused.where) == (Kind.DAMAGED, "entry 3")
    assert (refused.expected, refused.found) == (bytes(row.leaf_hash).hex(), leaf_hash(bytes(row.entry)).hex())


def test_a_missing_entry_not_signed_yet_is_refused() -> None:
    signed_ledger(3)
    for _ in range(3):
        happen()
    drain()
    as_owner('DELETE FROM custody_entry WHERE "index" = 4')
    refused = refusal()
    assert (refused.kind, refused.where) == (Kind.MISSING, "entry 4")


def test_tiles_that_do_not_hold_the_tree_are_refused() -> None:
    signed_ledger(4)
    happen()
    drain()
    as_owner("UPDATE custody_tile SET hashes = overlay(hashes placing 'xx'::bytea from 70)")
    with pytest.raises(SignerRefused, match=r"the root of the 5 .*tile 0/0.*at entry 2") as refused:
        sign_head()
    expected = bytes(Entry.objects.get(index=2).leaf_hash).hex()
    assert (refused.value.kind, refused.value.where, refused.value.expected) == (Kind.DAMAGED, "tile 0/0", expected)
    assert refused.value.found == expected[:10] + b"xx".hex() + expected[14:]


def test_a_signer_that_lost_its_memory_does_not_begin_anew() -> None:
    signed_ledger(2)
    state_file().unlink()
    refused = refusal()
    assert refused.kind == Kind.MEMORY_LOST
    assert "lost its memory" in str(refused)


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"size": 2}'])
def test_a_damaged_memory_is_refused_and_not_replaced_by_a_guess(damaged: str) -> None:
    signed_ledger(2)
    state_file().write_text(damaged)
    with pytest.raises(SignerRefused, match="damaged"):
        sign_head()
    assert state_file().read_text() == damaged


def test_its_memory_covers_every_checkpoint_it_ever_signed() -> None:
    chain = b""
    for number in range(1, 4):
        head = signed_ledger(1)
        chain = signer.link(chain, head.note, head.signed_at, heartbeat=head.heartbeat)
        assert bytes(head.chain) == chain
        remembered = memory()
        assert remembered is not None
        assert (remembered.size, remembered.root, remembered.chain, remembered.count) == (
            number,
            bytes(head.root),
            chain,
            number,
        )

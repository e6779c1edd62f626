"""The signer signs what grew out of what it signed, and nothing else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError

from custody import signer
from custody.models import Checkpoint, Entry
from custody.sequencer import drain
from custody.signer import Peaks, SignerRefused, memory, sign_head, vkey
from custody.verify import check_checkpoint
from ledger.checkpoint import open_checkpoint
from ledger.grow import CompactTree, root_of
from ledger.merkle import empty_root
from ledger.note import decode_vkey
from tests.custody.ledgers import TILE_OF_THE_LEAVES, as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db


def state_file() -> Path:
    return Path(settings.SANAD_KEYS) / "signer-state.json"


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


def test_nothing_new_is_not_signed_again_before_the_heartbeat() -> None:
    signed_ledger(2)
    assert sign_head() is None
    assert Checkpoint.objects.count() == 1


def test_a_silent_ledger_is_signed_again_at_the_heartbeat() -> None:
    first = signed_ledger(2)
    state = json.loads(state_file().read_text())
    state["signed_at"] = (datetime.now(UTC) - signer.HEARTBEAT - timedelta(seconds=1)).isoformat()
    state_file().write_text(json.dumps(state))
    again = sign_head()
    assert again is not None
    assert (again.size, bytes(again.root)) == (first.size, bytes(first.root))
    assert Checkpoint.objects.count() == 2


def test_an_empty_ledger_has_a_signed_head_too() -> None:
    head = sign_head()
    assert head is not None
    assert (head.size, bytes(head.root)) == (0, empty_root())


def test_killed_after_signing_it_publishes_that_very_note(monkeypatch: pytest.MonkeyPatch) -> None:
    happen()
    drain()

    def killed(**_: Any) -> Checkpoint:
        raise DatabaseError("the connection was lost")

    monkeypatch.setattr(Checkpoint.objects, "create", killed)
    with pytest.raises(DatabaseError):
        sign_head()
    monkeypatch.undo()
    note = json.loads(state_file().read_text())["note"]
    happen()
    drain()
    published = sign_head()
    assert published is not None
    assert (published.size, published.note) == (1, note)
    grown = sign_head()
    assert grown is not None
    assert grown.size == 2
    assert sign_head() is None


def test_a_ledger_that_went_backwards_is_refused() -> None:
    signed_ledger(5)
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    with pytest.raises(SignerRefused, match="went backwards: 5 entries were signed, 3 are stored"):
        sign_head()


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
    with pytest.raises(SignerRefused, match="entry 3 does not have the hash"):
        sign_head()
    assert Checkpoint.objects.count() == 1


def test_a_missing_entry_not_signed_yet_is_refused() -> None:
    signed_ledger(3)
    for _ in range(3):
        happen()
    drain()
    as_owner('DELETE FROM custody_entry WHERE "index" = 4')
    with pytest.raises(SignerRefused, match="entry 4 is missing"):
        sign_head()


def test_an_entry_changed_under_a_signed_head_is_refused_when_everything_is_hashed_again() -> None:
    signed_ledger(4)
    as_owner("UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE \"index\" = 1")
    with pytest.raises(SignerRefused, match="the first 4 entries are not those that were signed"):
        sign_head(rederive=True)


def test_an_entry_rewritten_with_its_hash_and_its_tile_is_refused_as_well() -> None:
    signed_ledger(4)
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 1""")
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")
    as_owner(TILE_OF_THE_LEAVES)
    with pytest.raises(SignerRefused, match="not those that were signed"):
        sign_head(rederive=True)


def test_an_entry_missing_under_a_signed_head_is_refused_when_everything_is_hashed_again() -> None:
    signed_ledger(4)
    as_owner('DELETE FROM custody_entry WHERE "index" = 1')
    with pytest.raises(SignerRefused, match="entry 1 is missing"):
        sign_head(rederive=True)


def test_tiles_that_do_not_hold_the_tree_are_refused() -> None:
    signed_ledger(4)
    happen()
    drain()
    as_owner("UPDATE custody_tile SET hashes = overlay(hashes placing 'xx'::bytea from 70)")
    with pytest.raises(SignerRefused, match="tiles do not lead to the root of the 5"):
        sign_head()


def test_a_signer_that_lost_its_memory_does_not_begin_anew() -> None:
    signed_ledger(2)
    state_file().unlink()
    with pytest.raises(SignerRefused, match="lost its memory"):
        sign_head()


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
        chain = signer.link(chain, head.note, head.signed_at)
        assert bytes(head.chain) == chain
        remembered = memory()
        assert remembered is not None
        assert (remembered.size, remembered.root, remembered.chain, remembered.count) == (
            number,
            bytes(head.root),
            chain,
            number,
        )

"""The sequencer: every committed event once, contiguous, and tiles that hold the tree."""

import threading
from typing import Any

import pytest
from django.db import connection

from custody.alarm import LedgerBroken
from custody.models import Entry, Pending, Tile
from custody.proof import proof_at
from custody.sequencer import drain, read_tile, sequence_once, tree_size
from custody.signer import sign_head
from ledger.entry import leaf_hash
from ledger.grow import root_from_tiles, root_of
from ledger.merkle import verify_inclusion
from tests.custody.ledgers import as_owner, happen, plant, signed_ledger


def leaves() -> list[bytes]:
    return [leaf_hash(bytes(row.entry)) for row in Entry.objects.order_by("index")]


@pytest.mark.django_db
def test_nothing_pending_is_nothing_done() -> None:
    assert sequence_once() == 0
    assert tree_size() == 0


@pytest.mark.django_db
def test_events_get_contiguous_indices_and_leave_the_queue() -> None:
    events = [happen() for _ in range(5)]
    assert drain() == 5
    assert list(Entry.objects.order_by("index").values_list("index", "event_id")) == list(enumerate(events))
    assert not Pending.objects.exists()
    assert drain() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("steps", [[1], [2, 1], [255, 1, 1], [256, 1], [257, 255], [300, 300, 1], [65_535, 1, 1, 255]])
def test_the_tiles_lead_to_the_root_of_the_entries_at_every_size(
    steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in steps:
        plant(step)
        drain()
        assert root_from_tiles(tree_size(), read_tile) == root_of(leaves())
    assert tree_size() == sum(steps)
    for tile in Tile.objects.all():
        assert len(bytes(tile.hashes)) % 32 == 0
        assert len(bytes(tile.hashes)) <= 256 * 32


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 600])
def test_every_entry_of_a_tree_is_proved_under_its_signed_head(size: int) -> None:
    plant(size)
    drain()
    head = sign_head()
    assert head is not None
    for index in {0, size // 2, size - 1}:
        proof = proof_at(index)
        assert proof is not None
        verify_inclusion(leaf_hash(proof.entry), index, head.size, proof.path, bytes(head.root))


@pytest.mark.django_db
def test_a_proof_holds_under_an_old_head_after_the_tree_has_grown() -> None:
    old = signed_ledger(5)
    signed_ledger(300)
    proof = proof_at(3, old)
    assert proof is not None
    verify_inclusion(leaf_hash(proof.entry), 3, 5, proof.path, bytes(old.root))
    assert proof_at(5, old) is None


@pytest.mark.django_db
def test_a_tree_that_is_too_short_to_grow_stops_it() -> None:
    signed_ledger(3)
    as_owner("UPDATE custody_tile SET hashes = substr(hashes, 1, 32)")
    happen()
    with pytest.raises(LedgerBroken, match="tile 0/0"):
        drain()
    assert Pending.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_every_event_of_sixteen_writers_gets_one_place_while_two_sequencers_drain() -> None:
    """Late committers included: a writer that took its number early commits after others were sequenced."""
    writers, each = 16, 12
    recorded: list[Any] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def write() -> None:
        try:
            recorded.extend(happen(fields={"purpose": "at once"}) for _ in range(each))
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    def sequence() -> None:
        try:
            while not done.is_set():
                sequence_once()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(writers)]
    sequencers = [threading.Thread(target=sequence) for _ in range(2)]
    for thread in (*sequencers, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in sequencers:
        thread.join()
    drain()
    assert problems == []
    rows = list(Entry.objects.order_by("index").values_list("index", "event_id"))
    assert [index for index, _ in rows] == list(range(writers * each))
    assert {event_id for _, event_id in rows} == set(recorded)
    assert len(recorded) == writers * each
    assert root_from_tiles(tree_size(), read_tile) == root_of(leaves())

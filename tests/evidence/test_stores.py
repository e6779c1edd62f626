"""Several stores: what counts as kept, who is read, how a bad copy is found and replaced, and what each event says."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from custody.story import story
from custody.vocabulary import Type
from evidence import actions, blobs, copies, replication, store, tasks
from evidence.models import Blob, Item, WantedCopy
from evidence.reconcile import reconcile
from evidence.store_files import FileStore
from evidence.vocabulary import CopyReason, FixityOutcome
from tests import factories
from tests.evidence.conftest import Bucket, Setup, s3
from tests.evidence.seaweed import Cluster

pytestmark = pytest.mark.django_db
Buckets = Callable[..., Bucket]


@pytest.fixture
def both(stores: Setup, near: str, tmp_path: Path) -> tuple[FileStore, FileStore]:
    """Two folders, both of which count."""
    one, other = stores.use(near, (tmp_path / "far").as_uri() + "?name=far")
    assert isinstance(one, FileStore)
    assert isinstance(other, FileStore)
    return one, other


def spoil(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.seek(60)
        handle.write(b"\x00\x00spoiled\x00\x00")


def make_all() -> None:
    replication.make_copies(until=time.monotonic() + 30)


def told(item: Item) -> list[tuple[str, str]]:
    """What the ledger says of an item, but for its reception and examination."""
    return [(str(line.type), str(line.outcome)) for line in story("item", item.pk)][1:]


def test_an_item_stands_in_every_store_that_counts_before_it_is_confirmed(both: tuple[FileStore, FileStore]) -> None:
    item = factories.make_item(data=b"a field note")
    address = item.blob.address
    assert both[0].path_of(address).read_bytes() == both[1].path_of(address).read_bytes()
    assert both[0].path_of(address).stat().st_ino != both[1].path_of(address).stat().st_ino
    assert not WantedCopy.objects.exists()


def test_one_store_that_fails_is_no_reception_when_both_count(
    both: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise store.StoreProblem("the store could not write: No space left on device")

    monkeypatch.setattr(both[1], "put", full)
    with pytest.raises(store.StoreProblem, match="1 of 2 stores hold it"):
        factories.make_item()
    assert not Item.objects.exists()


def test_a_copy_that_lies_does_not_count(both: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch) -> None:
    put = both[1].put

    def lying(staged: Path, address: str) -> None:
        put(staged, address)
        spoil(both[1].path_of(address))

    monkeypatch.setattr(both[1], "put", lying)
    with pytest.raises(store.StoreProblem, match="far gave back other bytes"):
        blobs.receive([os.urandom(500)])


def test_where_one_of_two_is_enough_the_other_gets_its_copy_from_a_job_and_the_ledger_says_so(
    stores: Setup, near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _near, far = stores.use(near, (tmp_path / "far").as_uri() + "?name=far", copies=1)
    with monkeypatch.context() as down:
        down.setattr(far, "put", lambda *_: (_ for _ in ()).throw(store.Unreachable("far does not answer")))
        item = factories.make_item()
    assert [(row.store, row.reason, row.count) for row in copies.lacking()] == [("far", CopyReason.LATE, 1)]
    check = actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    assert check.outcome == FixityOutcome.PENDING  # a copy that is still to come is no fault
    make_all()
    assert store.digest_in(far, item.blob.address) == item.blob.address
    assert copies.lacking() == []
    line = story("item", item.pk)[-1]
    assert line.type == Type.REPLICATE
    assert line.fields["object"]["store"] == "far"
    assert line.fields["object"]["source"] == "near"


def test_a_store_that_may_lag_never_holds_a_reception_up(
    stores: Setup, near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _near, far = stores.use(near, (tmp_path / "far").as_uri() + "?name=far&later=1")
    item = factories.make_item()
    assert far.stat(item.blob.address) is None
    monkeypatch.setattr(replication, "digest_in", lambda *_: "0" * 64)  # it lies when it is read back
    make_all()
    want = WantedCopy.objects.get()
    assert (want.tries, want.started) == (1, True)
    assert "other bytes" in want.problem
    assert want.next_try_at > timezone.now()


def test_spoiled_bytes_are_never_given_out_while_a_good_copy_stands(both: tuple[FileStore, FileStore]) -> None:
    data = os.urandom(4 * (1 << 20))
    blob = blobs.make_blob(blobs.receive([data]))
    first, second = (one.path_of(blob.address) for one in both)
    for path, offset in ((first, (1 << 20) + 99), (second, 3 * (1 << 20))):  # each bad where the other is good
        with path.open("r+b") as handle:
            handle.seek(offset)
            handle.write(b"\x00\x01\x02\x03")
    assert b"".join(blobs.read_blob(blob)) == data
    first.unlink()
    assert b"".join(blobs.read_blob(blob, 5, 2 << 20)) == data[5 : 2 << 20]
    with pytest.raises(Exception, match="were changed"):
        b"".join(blobs.read_blob(blob))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("fault", ["changed", "missing", "cut"])
def test_a_bad_copy_is_found_replaced_from_the_good_one_and_both_are_in_the_ledger(
    both: tuple[FileStore, FileStore], which: int, fault: str
) -> None:
    item = factories.make_item(data=os.urandom(5000))
    path = both[which].path_of(item.blob.address)
    if fault == "changed":
        spoil(path)
    elif fault == "cut":
        os.truncate(path, 100)
    else:
        path.unlink()
    bad = path.read_bytes() if path.exists() else None
    check = actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    assert check.outcome == (FixityOutcome.MISSING if fault == "missing" else FixityOutcome.CHANGED)
    assert check.detail.startswith(f"{both[which].name}: ")
    make_all()
    assert store.digest_in(both[which], item.blob.address) == item.blob.address
    aside = list((both[which].root / "quarantine").glob("*"))
    assert [kept.read_bytes() for kept in aside] == ([bad] if bad is not None else [])
    assert told(item) == [
        (Type.VERIFY, "failure"),
        (Type.REPAIR, "success"),
        (Type.VERIFY, "success"),
    ]
    item.refresh_from_db()
    assert not WantedCopy.objects.exists()
    for kept in aside:
        kept.unlink()


def test_no_repair_is_made_of_a_copy_that_is_bad_too(both: tuple[FileStore, FileStore]) -> None:
    item = factories.make_item(data=os.urandom(5000))
    paths = [one.path_of(item.blob.address) for one in both]
    for path in paths:
        spoil(path)
    before = [path.read_bytes() for path in paths]
    actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    make_all()
    assert [path.read_bytes() for path in paths] == before
    assert WantedCopy.objects.filter(problem__startswith="no other store has a good copy").count() == 2
    assert told(item) == [(Type.VERIFY, "failure")]


def test_a_read_that_met_a_bad_copy_has_it_repaired(both: tuple[FileStore, FileStore]) -> None:
    item = factories.make_item(data=os.urandom(5000))
    spoil(both[0].path_of(item.blob.address))
    b"".join(blobs.read_blob(item.blob))
    tasks.look_at_copies(item.blob.address)
    make_all()
    assert store.digest_in(both[0], item.blob.address) == item.blob.address
    assert [kind for kind, _ in told(item)] == [Type.VERIFY, Type.REPAIR, Type.VERIFY]
    for kept in (both[0].root / "quarantine").glob("*"):
        kept.unlink()


def test_a_wish_for_a_copy_that_was_good_all_the_time_records_no_repair(both: tuple[FileStore, FileStore]) -> None:
    item = factories.make_item()
    copies.want([(item.blob.address, "far")], CopyReason.MISSING)
    make_all()
    assert not WantedCopy.objects.exists()
    assert told(item) == []


def test_a_repair_killed_between_writing_and_recording_is_recorded_by_the_next(
    both: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = factories.make_item()
    both[1].path_of(item.blob.address).unlink()
    copies.want([(item.blob.address, "far")], CopyReason.MISSING)
    with monkeypatch.context() as killed:
        killed.setattr(replication, "record_copy", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_all()
    assert told(item) == []
    make_all()
    assert told(item)[0] == (Type.REPAIR, "success")


def test_a_store_that_was_added_gets_everything_and_loses_nothing_meanwhile(
    stores: Setup, near: str, tmp_path: Path
) -> None:
    stores.use(near)
    items = [factories.make_item() for _ in range(3)]
    _near, far = stores.use(near, (tmp_path / "new").as_uri() + "?name=new")
    assert reconcile(remove=False).lacking["new"] == Blob.objects.count()
    assert not WantedCopy.objects.exists()
    found = reconcile(remove=True)
    assert (found.without_bytes, found.lacking["near"]) == ([], 0)
    make_all()
    assert {held.address for held in far.entries()} == set(Blob.objects.values_list("address", flat=True))
    assert reconcile(remove=True).lacking.total() == 0
    assert told(items[0])[0] == (Type.REPAIR, "success")


def test_erased_bytes_go_from_every_store_and_from_quarantine(both: tuple[FileStore, FileStore]) -> None:
    received = blobs.receive([os.urandom(3000)])
    spoil(both[1].path_of(received.address))
    both[1].replace(both[0].path_of(received.address), received.address)
    assert list((both[1].root / "quarantine").glob("*"))
    store.remove(received.address)
    assert not store.stands(received.address)
    assert not list((both[1].root / "quarantine").glob("*"))


def test_a_bad_object_in_a_bucket_is_put_aside_and_repaired_from_a_folder(
    make_bucket: Buckets, stores: Setup, near: str
) -> None:
    bucket = make_bucket()
    _near, far = stores.use(near, bucket.url())
    item = factories.make_item(data=os.urandom(5000))
    key = s3(far).key_of(item.blob.address)
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"not the evidence")
    check = actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    assert check.outcome == FixityOutcome.CHANGED
    make_all()
    assert store.digest_in(far, item.blob.address) == item.blob.address
    (aside,) = (one for one in bucket.listed() if "/quarantine/" in one)
    assert bucket.read(aside) == b"not the evidence"
    store.remove(item.blob.address)
    assert bucket.listed() == []


def test_under_a_lock_the_bad_version_stays_beneath_the_good_one(
    make_bucket: Buckets, stores: Setup, near: str
) -> None:
    bucket = make_bucket(lock=True)
    _near, far = stores.use(near, bucket.url("&lock=COMPLIANCE&days=1"))
    item = factories.make_item()
    key = s3(far).key_of(item.blob.address)
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"somebody with the keys wrote over it")
    assert store.digest_in(far, item.blob.address) != item.blob.address
    actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)
    make_all()
    assert store.digest_in(far, item.blob.address) == item.blob.address
    versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]
    assert len(versions) == 3  # the first, the false one, the repair


def test_a_volume_server_dies_while_uploads_and_downloads_go_on_and_nothing_is_lost(
    seaweed: Cluster, make_bucket: Buckets, stores: Setup
) -> None:
    bucket = make_bucket()
    stores.use(bucket.url())
    kept = [(one, blobs.receive([one])) for one in (os.urandom(700_000) for _ in range(6))]
    stop, read_back, refused = threading.Event(), [0], [0]

    def read() -> None:
        while not stop.is_set():
            for data, received in list(kept)[:6]:
                with store.open_address(received.address) as handle:
                    assert len(handle.read()) == received.stored_size > len(data)
                read_back[0] += 1

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            read()
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=guarded)
    reader.start()
    try:
        for number in range(12):
            if number == 3:
                seaweed.kill_volume_server(0)
            data = os.urandom(700_000)
            for _try in range(4):
                try:
                    kept.append((data, blobs.receive([data])))
                    break
                except store.StoreProblem:  # told, and sent again: what is acknowledged must be there
                    refused[0] += 1
    finally:
        stop.set()
        reader.join(60)
        seaweed.start_volume_server(0)
    assert failures == []
    assert read_back[0] > 6
    assert len(kept) == 18, f"{refused[0]} receptions were refused"
    for data, received in kept:
        blob = blobs.make_blob(received)
        assert b"".join(blobs.read_blob(blob)) == data

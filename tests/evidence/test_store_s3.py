"""Bytes in S3, on a real SeaweedFS cluster: what is kept is what was given, and nothing waits for ever."""

import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence import blobs, store, store_s3
from evidence.models import Blob
from evidence.reconcile import reconcile
from tests import factories
from tests.evidence.conftest import Bucket, Setup, s3
from tests.platform.test_run import free_port

pytestmark = pytest.mark.django_db
Buckets = Callable[..., Bucket]


def staged(folder: Path, data: bytes) -> tuple[Path, str]:
    path = folder / "staged"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_what_was_received_is_given_back_whole_and_by_range(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()
    stores.use(bucket.url())
    data = os.urandom(5 * (1 << 20) + 12_345)
    received = blobs.receive(data[at : at + 65_536] for at in range(0, len(data), 65_536))
    blob = blobs.make_blob(received)
    assert b"".join(blobs.read_blob(blob)) == data
    for start, stop in ((0, 1), (1 << 20, (1 << 20) + 3), (3_000_000, 5_000_001), (len(data) - 1, len(data))):
        assert b"".join(blobs.read_blob(blob, start, stop)) == data[start:stop]
    address = received.address
    assert bucket.listed() == [f"evidence/{address[:2]}/{address[2:4]}/{address}"]
    kept = bucket.read(bucket.listed()[0])
    assert hashlib.sha256(kept).hexdigest() == address == store.digest(address)
    assert data[:64] not in kept


def test_a_large_object_goes_in_parts_and_comes_back_the_same(
    make_bucket: Buckets, stores: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store_s3, "SINGLE", 5 << 20)
    monkeypatch.setattr(store_s3, "PART", 5 << 20)
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    path, address = staged(tmp_path, os.urandom(12 * (1 << 20) + 7))
    far.put(path, address)
    far.put(path, address)  # again is nothing new
    found = bucket.client.head_object(Bucket=bucket.name, Key=s3(far).key_of(address))
    assert found["ETag"].strip('"').endswith("-3")
    assert store.digest(address) == address
    assert not bucket.unfinished()


def test_other_bytes_than_the_address_says_are_refused_by_the_store_itself(
    make_bucket: Buckets, stores: Setup, tmp_path: Path
) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    path, _address = staged(tmp_path, b"what is sent")
    with pytest.raises(store.StoreProblem, match="refused: 400"):
        far.put(path, hashlib.sha256(b"what was meant").hexdigest())
    assert bucket.listed() == []


def test_bytes_that_stand_are_never_overwritten(make_bucket: Buckets, stores: Setup, tmp_path: Path) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    path, address = staged(tmp_path, b"the evidence")
    bucket.client.put_object(Bucket=bucket.name, Key=s3(far).key_of(address), Body=b"something else stands here")
    far.put(path, address)
    assert store.digest(address) == hashlib.sha256(b"something else stands here").hexdigest()


def test_a_killed_upload_in_parts_is_invisible_and_aborted_by_age(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    key = s3(far).key_of("ab" * 32)
    started = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    bucket.client.upload_part(
        Bucket=bucket.name, Key=key, UploadId=started["UploadId"], PartNumber=1, Body=b"x" * (5 << 20)
    )
    assert far.stat("ab" * 32) is None
    old = len(reconcile(remove=False).staging)  # of other tests
    assert reconcile(remove=True).removed == old
    assert len(bucket.unfinished()) == 1
    assert far.sweep(time.time() + 5) == 1
    assert not bucket.unfinished()


def test_the_reconciler_finds_leftovers_and_losses_in_a_bucket(make_bucket: Buckets, stores: Setup) -> None:
    bucket = make_bucket()
    (far,) = stores.use(bucket.url())
    item, orphan = factories.make_item(), blobs.receive([b"nobody recorded it"])
    found = reconcile(remove=False, older_than=timedelta(seconds=-5))
    assert (found.without_row, found.without_bytes) == ([orphan.address], [])
    removed = reconcile(remove=True, older_than=timedelta(seconds=-5)).removed
    assert removed == 1 + len(found.staging)  # what other tests left there is old by that limit, too
    assert far.stat(orphan.address) is None
    bucket.client.delete_object(Bucket=bucket.name, Key=s3(far).key_of(item.blob.address))
    assert reconcile(remove=True).without_bytes == [item.accession]


def test_a_store_that_does_not_answer_is_told_in_time_and_nothing_is_concluded_from_it(
    stores: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    unused_port = free_port()
    stores.use(f"s3://nowhere?endpoint=http://127.0.0.1:{unused_port}")
    began = time.monotonic()
    with pytest.raises(store.Unreachable, match="nowhere does not answer"):
        blobs.receive([b"evidence"])
    assert time.monotonic() - began < 20
    assert not Blob.objects.exists()
    Blob.objects.create(address="ab" * 32, size=1, wrapped_key=b"key", key_commitment="")
    found = reconcile(remove=True)
    assert (found.not_listed, found.without_bytes) == (["nowhere"], [])


def test_a_body_that_breaks_off_is_asked_for_again_from_there(
    make_bucket: Buckets, stores: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evidence import store_reading

    bucket = make_bucket()
    stores.use(bucket.url())
    data = os.urandom(6 << 20)
    blob = blobs.make_blob(blobs.receive([data]))
    ask, broken = store_reading._Windows.__init__, []

    class Breaking:
        def __init__(self, body: Any) -> None:
            self.body, self.left = body, 100_000

        def read(self, size: int) -> bytes:
            if not self.left:
                broken.append(1)
                raise ConnectionResetError
            piece: bytes = self.body.read(min(size, self.left))
            self.left -= len(piece)
            return piece

        def close(self) -> None:
            self.body.close()

    def started(self: Any, window: Any, size: int) -> None:
        first = iter([True])
        ask(
            self, lambda start, stop: Breaking(window(start, stop)) if next(first, False) else window(start, stop), size
        )

    monkeypatch.setattr(store_reading._Windows, "__init__", started)
    assert b"".join(blobs.read_blob(blob)) == data
    assert broken


def test_an_object_under_a_lock_stays_until_its_retention_ends(
    make_bucket: Buckets, stores: Setup, tmp_path: Path
) -> None:
    bucket = make_bucket(lock=True)
    (far,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    path, address = staged(tmp_path, b"locked evidence")
    far.put(path, address)
    with pytest.raises(store.Locked) as locked:
        store.remove(address)
    assert locked.value.until is not None
    assert timedelta(hours=23) < locked.value.until - datetime.now(UTC) < timedelta(hours=25)
    assert store.digest(address) == address
    assert len(bucket.versions()) == 1


def test_governance_yields_to_the_archives_own_deletion_and_a_legal_hold_does_not(
    make_bucket: Buckets, stores: Setup, tmp_path: Path
) -> None:
    bucket = make_bucket(lock=True)
    (far,) = stores.use(bucket.url("&lock=GOVERNANCE&days=30"))
    path, address = staged(tmp_path, b"governed evidence")
    far.put(path, address)
    s3(far).hold(address, on=True)
    with pytest.raises(store.Locked, match="legal hold") as locked:
        store.remove(address)
    assert locked.value.until is None
    s3(far).hold(address, on=False)
    store.remove(address)
    assert not store.stands(address)
    assert bucket.versions() == []


def test_a_test_of_the_bytes_renews_a_lock_of_which_less_than_half_is_left(
    make_bucket: Buckets, stores: Setup, tmp_path: Path
) -> None:
    bucket = make_bucket(lock=True)
    (short,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    path, address = staged(tmp_path, b"evidence for long")
    short.put(path, address)
    (long,) = stores.use(bucket.url("&lock=COMPLIANCE&days=10"))
    long.renew(address)
    until = bucket.client.head_object(Bucket=bucket.name, Key=s3(long).key_of(address))["ObjectLockRetainUntilDate"]
    assert until - datetime.now(UTC) > timedelta(days=9)
    (short,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    short.renew(address)  # never shortens
    found = bucket.client.head_object(Bucket=bucket.name, Key=s3(short).key_of(address))
    assert found["ObjectLockRetainUntilDate"] == until

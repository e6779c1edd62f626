"""Moving to another store: everything arrives, is proved, and a run that was stopped goes on."""

import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from custody.story import story
from custody.vocabulary import Type
from evidence import blobs, replication, store
from evidence.models import Blob, Item, WantedCopy
from evidence.store_files import FileStore
from tests import factories
from tests.evidence.conftest import Bucket, Setup

pytestmark = pytest.mark.django_db


@pytest.fixture
def moving(stores: Setup, near: str, tmp_path: Path) -> tuple[list[Item], FileStore, FileStore]:
    """Four items that stand in one folder, and a new one beside it."""
    stores.use(near)
    items = [factories.make_item(data=os.urandom(3000)) for _ in range(4)]
    one, other = stores.use(near, (tmp_path / "new").as_uri() + "?name=new&later=1")
    assert isinstance(one, FileStore)
    assert isinstance(other, FileStore)
    return items, one, other


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("copy_store", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_everything_is_copied_read_back_and_recorded_and_the_old_store_can_go(
    moving: tuple[list[Item], FileStore, FileStore], stores: Setup, tmp_path: Path
) -> None:
    items, _near, new = moving
    count = Blob.objects.count()
    assert f"{count} objects: 0 stood there, {count} copied and read back, 0 replaced, 0 failed" in run("near", "new")
    assert {held.address for held in new.entries()} == set(Blob.objects.values_list("address", flat=True))
    line = story("item", items[0].pk)[-1]
    assert (line.type, line.fields["object"]["source"]) == (Type.REPLICATE, "near")
    stores.use((tmp_path / "new").as_uri() + "?name=new")
    for item in items:
        assert len(b"".join(blobs.read_blob(item.blob))) == 3000


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    moving: tuple[list[Item], FileStore, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried: list[str] = []
    carry = replication.carry

    def counting(address: str, *arguments: Any, **more: Any) -> tuple[str, str]:
        if len(carried) == 2:
            raise KeyboardInterrupt
        carried.append(address)
        return carry(address, *arguments, **more)

    with monkeypatch.context() as killed:
        killed.setattr(replication, "carry", counting)
        with pytest.raises(KeyboardInterrupt):
            run("near", "new")
    count = Blob.objects.count()
    assert f"{count} objects: 2 stood there, {count - 2} copied" in run("near", "new")
    assert not WantedCopy.objects.exists()


def test_what_is_bad_in_the_old_store_is_not_carried_over(moving: tuple[list[Item], FileStore, FileStore]) -> None:
    items, near, new = moving
    bad = items[1].blob.address
    near.path_of(bad).write_bytes(b"spoiled")
    with pytest.raises(CommandError, match="1 objects are not in new"):
        run("near", "new")
    assert new.stat(bad) is None
    assert all(new.stat(item.blob.address) for item in items if item.blob.address != bad)


def test_verify_finds_what_was_spoiled_in_the_target_and_replaces_it(
    moving: tuple[list[Item], FileStore, FileStore],
) -> None:
    items, _near, new = moving
    run("near", "new")
    address = items[2].blob.address
    size = new.path_of(address).stat().st_size
    new.path_of(address).write_bytes(b"\x00" * size)
    count = Blob.objects.count()
    assert f"{count} stood there, 0 copied" in run("near", "new")  # by size alone it is there
    assert f"({count} read and hashed), 0 copied and read back, 1 replaced" in run("near", "new", "--verify")
    assert store.digest_in(new, address) == address
    assert story("item", items[2].pk)[-2].type == Type.REPAIR


def test_names_that_are_no_stores_are_refused(moving: tuple[list[Item], FileStore, FileStore]) -> None:
    with pytest.raises(CommandError, match="no store is called nowhere; there are near, new"):
        run("near", "nowhere")
    with pytest.raises(CommandError, match="the same store"):
        run("new", "new")


def test_a_folder_moves_into_a_bucket_and_back(
    make_bucket: Callable[..., Bucket], stores: Setup, near: str, tmp_path: Path
) -> None:
    stores.use(near)
    item = factories.make_item(data=os.urandom(3 << 20))
    bucket = make_bucket()
    stores.use(near, bucket.url("&later=1"))
    run("near", "far")
    stores.use(bucket.url(), (tmp_path / "back").as_uri() + "?name=back")
    run("far", "back", "--verify")
    stores.use((tmp_path / "back").as_uri())
    assert len(b"".join(blobs.read_blob(item.blob))) == 3 << 20

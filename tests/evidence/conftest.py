"""Stores of the tests: a SeaweedFS cluster for those that ask for it, folders beside the session's own store."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from evidence import store
from evidence.store_s3 import S3Store
from tests.evidence.seaweed import Cluster


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Cluster]:
    """A master, three volume servers, filer and S3, started by the first test that asks."""
    cluster = Cluster().start()
    try:
        yield cluster
    finally:
        cluster.close()


@dataclass(frozen=True)
class Setup:
    """What the stores of one test are called and where they are."""

    patch: pytest.MonkeyPatch
    keys: Path

    def use(self, *urls: str, copies: int = 0) -> tuple[store.Store, ...]:
        """Make these the archive's stores, as SANAD_STORES and SANAD_COPIES would."""
        self.patch.setattr(settings, "SANAD_STORES", " ".join(urls))
        self.patch.setattr(settings, "SANAD_COPIES", copies)
        self.patch.setattr(settings, "SANAD_STORE_KEYS", self.keys)
        store.made.cache_clear()
        store._resting.clear()
        return store.stores()


@pytest.fixture
def near() -> str:
    """The URL of the store that the session has in any case."""
    return str(Path(settings.SANAD_STORE).as_uri()) + "?name=near"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Setup]:
    yield Setup(monkeypatch, tmp_path / "store-keys.toml")
    store.made.cache_clear()
    store._resting.clear()


@dataclass(frozen=True)
class Bucket:
    """A test's own part of a bucket, with a client that nobody here wrote."""

    name: str
    part: str
    cluster: Cluster
    client: Any
    endpoint: str

    def url(self, options: str = "") -> str:
        return f"s3://{self.name}/{self.part}/evidence?name=far&endpoint={self.endpoint}{options}"

    def listed(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=f"{self.part}/").get("Contents", [])
        return [one["Key"].removeprefix(f"{self.part}/") for one in found]

    def versions(self) -> list[dict[str, Any]]:
        """Every version and delete marker."""
        found = self.client.list_object_versions(Bucket=self.name, Prefix=f"{self.part}/")
        return [*found.get("Versions", []), *found.get("DeleteMarkers", [])]

    def unfinished(self) -> list[dict[str, Any]]:
        """Uploads in parts that are neither complete nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=self.name, Prefix=f"{self.part}/")
        return list(found.get("Uploads", []))

    def read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=f"{self.part}/{key}")["Body"].read()
        return body

    def through(self, endpoint: str) -> "Bucket":
        """The same bucket by way of another server."""
        return replace(self, endpoint=endpoint)


@pytest.fixture
def make_bucket(seaweed: Cluster, stores: Setup) -> Callable[..., Bucket]:
    """A test's own part of a bucket, and the file of store keys that opens it as store `far`."""

    def make(*, lock: bool = False) -> Bucket:
        name = seaweed.bucket("tests-locked" if lock else "tests", lock=lock)
        table = f'[far]\naccess_key = "{seaweed.access_key}"\nsecret_key = "{seaweed.secret_key}"\n'
        descriptor = os.open(stores.keys, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(table)
        return Bucket(name, secrets.token_hex(6), seaweed, seaweed.client(), seaweed.endpoint)

    return make


def s3(one: store.Store) -> S3Store:
    assert isinstance(one, S3Store)
    return one

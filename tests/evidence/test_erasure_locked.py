"""An erasure under a lock: the key goes at once, the ciphertext when the store lets go of it; the ledger says both."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from custody import keys
from custody.story import story
from custody.vocabulary import Outcome, Type
from evidence import blobs, erasure, fixity, jobs, leftovers, store, tasks
from evidence.models import Erasure, Item
from evidence.reconcile import reconcile
from evidence.vocabulary import FixityOutcome
from tests import factories
from tests.evidence.conftest import Bucket, Setup, s3
from tests.evidence.makers import ask

pytestmark = pytest.mark.django_db
LOCK = timedelta(seconds=6)


@pytest.fixture
def locked(make_bucket: Callable[..., Bucket], stores: Setup, monkeypatch: pytest.MonkeyPatch) -> Erasure:
    """An item in a bucket that keeps it for LOCK, erased by two persons."""
    bucket = make_bucket(lock=True)
    (far,) = stores.use(bucket.url("&lock=COMPLIANCE&days=1"))
    until = datetime.now(UTC) + LOCK
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    monkeypatch.setattr(s3(far), "_locked", lambda: lock)
    monkeypatch.setattr(leftovers, "scrub_tables", lambda **_: [])  # VACUUM, which no test's transaction allows
    made = ask()
    by = factories.make_user(Role.LEGAL_REVIEWER, made.item.compartment)
    return erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=made.pk)


def test_the_key_is_gone_at_once_and_the_bytes_when_the_lock_ends(locked: Erasure) -> None:
    item, (address,) = locked.item, locked.objects_left
    tasks.finish_erasure(str(locked.pk))
    tasks.finish_erasure(str(locked.pk))
    locked.refresh_from_db()
    assert locked.finished_at is None
    assert locked.locked_until is not None
    item.refresh_from_db()
    with pytest.raises(keys.KeyProblem):
        b"".join(blobs.read_blob(item.blob))
    assert store.stands(address)
    said = [(line.type, line.outcome) for line in story("item", item.pk)][-2:]
    assert said == [(Type.ERASE, Outcome.SUCCESS), (Type.DELETE, Outcome.REFUSED)]  # said once
    assert reconcile(remove=True, older_than=timedelta(seconds=-5)).kept_by_a_lock >= 1
    out = StringIO()
    call_command("erasures", stdout=out)
    assert "the key is gone; a store keeps the ciphertext until" in out.getvalue()
    time.sleep(LOCK.total_seconds())
    tasks.finish_erasure(str(locked.pk))
    assert Erasure.objects.filter(pk=locked.pk, finished_at__isnull=False, locked_until__isnull=True).exists()
    assert not store.stands(address)
    assert story("item", item.pk)[-1].outcome == Outcome.SUCCESS


def test_nothing_is_tried_before_the_lock_ends(locked: Erasure, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.finish_erasure(str(locked.pk))
    asked: list[object] = []
    monkeypatch.setattr(jobs, "defer_finishing", asked.append)
    tasks.finish_left_lying(0)
    assert asked == []
    Erasure.objects.filter(pk=locked.pk).update(locked_until=timezone.now() - timedelta(seconds=1))
    tasks.finish_left_lying(0)
    assert asked == [locked.pk]


def test_the_page_and_the_check_say_what_the_store_keeps(locked: Erasure, client: object) -> None:
    tasks.finish_erasure(str(locked.pk))
    finding = fixity.find(Item.objects.get(pk=locked.item_id))
    assert (finding.outcome, finding.detail) == (FixityOutcome.PENDING, "the erasure is not finished yet")
    client.force_login(locked.decided_by)  # type: ignore[attr-defined]
    page = client.get(reverse("evidence:erasure", args=[locked.pk])).content.decode()  # type: ignore[attr-defined]
    assert "A store keeps the encrypted bytes until" in page

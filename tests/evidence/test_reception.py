"""Receiving bytes: whole or not at all, whatever happens on the way."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.actions import revoke_grant
from accounts.models import Grant, Role
from accounts.permissions import NotNow, NotVisible, Refused
from custody.models import Event, Pending
from evidence import actions, blobs, store
from evidence.models import Blob, Item
from evidence.reconcile import reconcile
from tests import factories

pytestmark = pytest.mark.django_db


def held() -> tuple[set[str], list[str]]:
    """Every address that has bytes, and what lies in staging."""
    return set(store.addresses()), sorted(path.name for path in Path(settings.SANAD_STAGING).glob("*"))


def plaintext(item: Item) -> bytes:
    return b"".join(blobs.read_blob(item.blob))


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 3 * (1 << 20) + 17])
def test_what_was_sent_is_what_is_held(size: int) -> None:
    data = os.urandom(size)
    received = blobs.receive(data[at : at + 65_536] for at in range(0, size, 65_536))
    assert (received.sha256, received.sha512, received.size) == (
        hashlib.sha256(data).hexdigest(),
        hashlib.sha512(data).hexdigest(),
        size,
    )
    assert store.digest(received.address) == received.address
    with store.open_address(received.address) as handle:
        stored = handle.read()
    assert len(stored) == received.stored_size
    assert size < 16 or data[:16] not in stored


def test_nothing_of_the_plaintext_touches_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    marker, seen = b"MARKER-" * 40_000, []
    write = os.write

    def watching(descriptor: int, data: Any) -> int:
        seen.append(bytes(data[:4096]))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watching)
    blobs.receive([marker] * 8)
    assert len(seen) > 1
    assert not any(b"MARKER-" in piece for piece in seen)


def test_a_line_that_breaks_keeps_nothing() -> None:
    before = held()
    with pytest.raises(blobs.ReceptionRefused) as refused:
        blobs.receive([b"half"], declared_size=8)
    assert (refused.value.status, refused.value.code) == (400, "incomplete")
    assert held() == before


def test_a_sender_who_goes_away_is_not_a_full_disk() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError

    before = held()
    with pytest.raises(blobs.ReceptionRefused) as refused:
        blobs.receive(chunks())
    assert refused.value.code == "incomplete"
    assert held() == before


def test_too_much_is_refused_before_and_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SANAD_UPLOAD_LIMIT", 1000)
    before = held()
    for arguments in ({"chunks": [b""], "declared_size": 1001}, {"chunks": [b"x" * 600] * 2}):
        with pytest.raises(blobs.ReceptionRefused) as refused:
            blobs.receive(**arguments)
        assert (refused.value.status, refused.value.code) == (413, "too_large")
    assert held() == before


def test_another_digest_than_the_sender_computed_is_refused() -> None:
    before = held()
    with pytest.raises(blobs.ReceptionRefused) as refused:
        blobs.receive([b"sent"], declared_sha256=hashlib.sha256(b"meant").hexdigest())
    assert (refused.value.status, refused.value.code) == (422, "digest_mismatch")
    assert held() == before


def test_a_full_disk_is_told_and_keeps_nothing() -> None:
    """A real ENOSPC-like failure of write(2): the process may not write files beyond 1 MiB."""
    before, limits = held(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(blobs.ReceptionRefused) as refused:
            blobs.receive([b"x" * (1 << 20)] * 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (refused.value.status, refused.value.code) == (507, "no_room")
    assert held() == before


def test_a_store_that_lies_about_what_it_wrote_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def lying(source: Any, target: Any, **_: Any) -> None:
        link(source, target)
        with Path(target).open("r+b") as handle:
            handle.seek(50)
            handle.write(b"\x00\x01\x02")

    monkeypatch.setattr(os, "link", lying)
    with pytest.raises(store.StoreProblem, match="other bytes"):
        blobs.receive([b"evidence" * 100])
    assert not Blob.objects.exists()


def test_a_store_that_loses_what_it_wrote_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_, **__: None)
    with pytest.raises(store.Missing):
        blobs.receive([b"evidence"])


def test_ciphertext_that_does_not_open_to_what_came_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong between hashing and encrypting: the read-back opens the stored bytes and compares."""
    from evidence import streams

    class Forgetful(streams.Encryptor):
        def finish(self) -> bytes:
            self._buffer = bytearray(b"something else")
            return super().finish()

    monkeypatch.setattr(streams, "Encryptor", Forgetful)
    with pytest.raises(store.StoreProblem, match="open to what was received"):
        blobs.receive([b"evidence"])


def test_an_item_gets_the_next_number_of_its_compartment_alone() -> None:
    one, two = factories.make_compartment(), factories.make_compartment()
    accessions = [factories.make_item(place).accession for place in (one, two, one)]
    assert accessions == [f"{one.code}-000001", f"{two.code}-000001", f"{one.code}-000002"]


def test_the_same_key_gives_the_item_of_the_first_time_and_other_bytes_are_refused() -> None:
    item, key = factories.make_item(), uuid4()
    by, place = item.received_by, item.compartment_id

    def receive(data: bytes) -> Item:
        return actions.receive_item(
            by=by,
            at=timezone.now(),
            compartment_id=place,
            received=blobs.receive([data]),
            original_name="a.txt",
            idempotency_key=key,
        )

    first = receive(b"once")
    count, stands = Event.objects.count(), held()
    assert receive(b"once") == first
    assert (Event.objects.count(), held()) == (count, stands)
    with pytest.raises(NotNow):
        receive(b"other bytes")
    assert Item.objects.filter(compartment=place).count() == 2


def test_a_used_key_gives_nothing_of_a_compartment_one_no_longer_sees_and_nothing_across_compartments() -> None:
    item, key = factories.make_item(), uuid4()
    by, elsewhere = item.received_by, factories.make_compartment()
    factories.give(by, Role.INVESTIGATOR, elsewhere)

    def receive(place: Any) -> Item:
        return actions.receive_item(
            by=by,
            at=timezone.now(),
            compartment_id=place.pk,
            received=blobs.receive([b"once"]),
            original_name="a.txt",
            idempotency_key=key,
        )

    receive(item.compartment)
    stands = held()
    with pytest.raises(NotNow):
        receive(elsewhere)
    grant = Grant.objects.get(user=by, compartment=item.compartment)
    revoke_grant(by=factories.founder(), at=timezone.now(), grant_id=grant.pk, reason="left the team")
    with pytest.raises(NotVisible):
        receive(elsewhere)
    assert held() == stands


def test_an_exact_duplicate_is_an_item_of_its_own_that_names_the_first() -> None:
    place = factories.make_compartment()
    first, second, third = (factories.make_item(place, data=b"same") for _ in range(3))
    assert (first.duplicate_of, second.duplicate_of, third.duplicate_of) == (None, first, first)
    assert plaintext(second) == b"same"
    assert first.blob.address != second.blob.address


def test_a_duplicate_in_another_compartment_is_told_to_nobody() -> None:
    there = factories.make_item(factories.make_compartment(), data=b"same")
    here = factories.make_item(factories.make_compartment(), data=b"same")
    assert here.duplicate_of is None
    assert there.accession not in str(Pending.objects.values_list())


def test_files_that_share_a_broken_digest_stay_two_items(test_data: Path) -> None:
    pairs: dict[str, list[bytes]] = {}
    for path in sorted((test_data / "collisions").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for name in ("md5", "sha1"):
                same = pairs.setdefault(name + hashlib.new(name, data, usedforsecurity=False).hexdigest(), [])
                if data not in same:
                    same.append(data)
    colliding = [group for group in pairs.values() if len(group) > 1]
    assert colliding
    place = factories.make_compartment()
    for group in colliding[:12]:
        items = [factories.make_item(place, data=data) for data in group]
        assert len({item.sha256 for item in items}) == len(group)
        assert [plaintext(item) for item in items] == group
        assert all(item.duplicate_of is None or plaintext(item.duplicate_of) == plaintext(item) for item in items)


@pytest.mark.parametrize("role", [Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER])
def test_who_sees_and_may_not_receive_is_refused(role: Role) -> None:
    place = factories.make_compartment()
    with pytest.raises(Refused):
        factories.make_item(place, by=factories.make_user(role, place))


def test_a_stranger_receives_nothing_into_a_compartment() -> None:
    with pytest.raises(NotVisible):
        factories.make_item(factories.make_compartment(), by=factories.stranger())
    assert not Item.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created_edtf", "some day"),
        ("latitude", "91"),
        ("latitude", "35.1"),
        ("kind", "rumour"),
        ("title", "x" * 201),
        ("title", "a\x00b"),
        ("description", "\ud800"),
        ("description", "x" * 20_001),
        ("description", "\x01" * 20_000),
        ("received_at", "2020-01-01"),
    ],
)
def test_a_bad_value_is_refused_under_its_field_and_no_item_is_made(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        factories.make_item(None, by=None, data=b"x", name="x", **{field: value})
    assert field in refused.value.message_dict
    assert not Item.objects.exists()


def test_the_longest_description_of_arabic_letters_fits_the_ledger() -> None:
    item = factories.make_item(description="ش" * 20_000)
    assert len(item.description) == 20_000


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\صورة.jpg", "صورة.jpg"),
        ("a\x00b\r\nSet-Cookie: x", "abSet-Cookie: x"),
        ("exe\u202egpj.scr", "exe\u202egpj.scr"),
        ("\u0645\u200c\U0001f468\u200d\U0001f469", "\u0645\u200c\U0001f468\u200d\U0001f469"),
        ("\ud83d", "unnamed"),
        ("", "unnamed"),
        ("///", "unnamed"),
        ("x" * 5000, "x" * 1024),
    ],
)
def test_an_original_name_is_kept_without_what_could_hurt(name: str, kept: str) -> None:
    assert factories.make_item(name=name).original_name == kept


def test_the_original_name_stands_nowhere_in_the_clear() -> None:
    item = factories.make_item(name="Layla-at-the-checkpoint.jpg")
    from django.db import connection

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', ["%Layla-at-the-checkpoint%"])
            assert cursor.fetchone()[0] == 0, table
    assert item.original_name == "Layla-at-the-checkpoint.jpg"


def test_every_naughty_string_is_kept_as_name_title_and_description(test_data: Path) -> None:
    import json

    strings = json.loads((test_data / "naughty" / "blns.json").read_text())
    place = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, place)
    for text in strings:
        item = factories.make_item(place, by=by, name=text, title=text[:200], description=text)
        stored = Item.objects.get(pk=item.pk)
        assert (stored.title, stored.description) == (text[:200], text)
        assert stored.original_name == actions.clean_name(text)
    assert len(strings) > 400


KILLED = """
import os, sys
import django
django.setup()
from django.utils import timezone
from accounts.models import User
from evidence import actions, blobs, store
step, username, place = sys.argv[1:4]
die = lambda *_, **__: os.kill(os.getpid(), 9)
if step == "while receiving":
    def chunks():
        yield b"x" * 3_000_000
        die()
    blobs.receive(chunks())
if step == "before linking":
    os.link = die
if step == "before reading back":
    blobs.read_back = die
if step == "before the transaction":
    received = blobs.receive([b"x" * 3_000_000]); die()
if step == "before the event":
    actions.record = die
if step == "before the job":
    actions.jobs.defer_examination = die
actions.receive_item(by=User.objects.get(username=username), at=timezone.now(), compartment_id=place,
    received=blobs.receive([b"x" * 3_000_000]), original_name="a.bin")
print("acknowledged")
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "step",
    [
        "while receiving",
        "before linking",
        "before reading back",
        "before the transaction",
        "before the event",
        "before the job",
        "not at all",
    ],
)
def test_a_process_killed_at_any_step_leaves_no_half_item(step: str) -> None:
    from django.db import connection

    place = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, place)
    events = Event.objects.count()
    database = connection.settings_dict
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.evidence.subprocess_settings",
        "SANAD_TESTED_DATABASE": str(database["NAME"]),
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED, step, by.username, str(place.pk)], env=environ, capture_output=True, text=True
    )
    finished = step == "not at all"
    assert (done.returncode == 0) is finished, done.stderr
    assert ("acknowledged" in done.stdout) is finished
    assert Item.objects.filter(compartment=place).count() == (1 if finished else 0)
    assert Blob.objects.count() == (1 if finished else 0)
    assert Event.objects.count() == events + (1 if finished else 0)
    from datetime import timedelta

    reconcile(remove=True, older_than=timedelta(0))
    assert not list(Path(settings.SANAD_STAGING).glob("*.part"))
    if finished:
        assert plaintext(Item.objects.get()) == b"x" * 3_000_000

"""Heads get the time of an authority outside, in order, and an authority that lies is refused in words."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from custody import outside, timestamps
from custody.anchors import anchor_heads, faults, reaches
from custody.engine import opened
from custody.models import Anchor, Checkpoint, Entry, Event
from custody.scrub import scrub_values
from custody.sequencer import drain
from custody.signer import sign_head
from custody.timestamps import AuthoritiesProblem, Authority, Refused, authorities, in_order, verified
from custody.verify import faults as ledger_faults
from custody.vocabulary import Type
from tests.custody.authorities import OpensslAuthority, serving
from tests.custody.ledgers import as_owner, happen, signed_ledger

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_head_is_a_heartbeat")]


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    return OpensslAuthority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(autouse=True)
def _own_file(settings: Any, tmp_path: Path) -> None:
    settings.SANAD_AUTHORITIES = tmp_path / "timestamp-authorities.toml"


def trust(url: str, root: Path, *, name: str = "local", test: bool = True) -> None:
    text = f'[[authority]]\nname = "{name}"\nurl = "{url}"\nroots = "{root}"\ntest = {"true" if test else "false"}\n'
    Path(settings.SANAD_AUTHORITIES).write_text(text)


def anchor(minutes: float = 0) -> int:
    return anchor_heads(datetime.now(UTC) + timedelta(minutes=minutes))


def grown() -> Checkpoint:
    happen()
    drain()
    head = sign_head()
    assert head is not None
    return head


def problem() -> str:
    (reach,) = reaches()
    return reach.problem


def test_a_head_is_timestamped_and_openssl_agrees(tsa: OpensslAuthority) -> None:
    head = signed_ledger(3)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        assert anchor() == 1
    row = Anchor.objects.get()
    assert row.response is not None
    assert row.stamped_at is not None
    assert abs(row.stamped_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert tsa.verifies(head.note.encode(), bytes(row.response))
    assert not tsa.verifies(head.note.encode() + b"x", bytes(row.response))
    (reach,) = reaches()
    assert reach.newest == row
    assert (reach.queued, reach.problem, row.test) == (0, "", True)


def test_its_arrival_is_an_entry_that_states_what_the_specification_says(tsa: OpensslAuthority) -> None:
    signed_ledger(3)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        anchor()
    row = Anchor.objects.get()
    event = Event.objects.get(type=Type.ANCHOR)
    token = opened([event.pk])[event.pk]["token"][1]
    assert (token["size"], token["test"]) == (3, True)
    assert token["sha256"] == hashlib.sha256(bytes(row.response or b"")).hexdigest()
    drain()
    assert Entry.objects.filter(event_id=event.pk).exists()
    assert list(ledger_faults()) == []


def test_every_reply_is_read_whatever_the_order_of_its_certificates(tsa: OpensslAuthority) -> None:
    root = x509.load_pem_x509_certificates(tsa.root.read_bytes())
    ours = Authority("local", "http://localhost/", root)
    seen = set()
    for number in range(4):
        other = OpensslAuthority(tsa.folder / f"order-{number}")
        ours = Authority("local", "http://localhost/", x509.load_pem_x509_certificates(other.root.read_bytes()))
        response = other.reply(other.query(b"data"))
        seen.add(in_order(response) == response)
        assert abs(verified(ours, b"data", response) - datetime.now(UTC)) < timedelta(minutes=1)
        swapped = _swapped(response)
        assert len(swapped) == len(response)
        assert in_order(swapped) == in_order(response)
        assert verified(ours, b"data", swapped) == verified(ours, b"data", response)


def _swapped(response: bytes) -> bytes:
    """The two certificates of a reply in the other order."""
    certificates = sorted(_certificates(response), key=response.index)
    assert len(certificates) == 2
    first, second = certificates
    start = response.index(first)
    assert response[start + len(first) :].startswith(second)
    return response[:start] + second + first + response[start + len(first) + len(second) :]


def _certificates(response: bytes) -> set[bytes]:
    from rfc3161_client import decode_timestamp_response

    return set(decode_timestamp_response(in_order(response)).signed_data.certificates)


def test_bytes_that_are_no_response_pass_through_the_ordering_and_are_refused() -> None:
    ours = Authority("local", "http://localhost/", [])
    for junk in (b"", b"\x30", b"\x30\x82", b"\x30\x80\x00\x00", b"\xff" * 40, b"\x30\x03\x02\x01\x02", bytes(100)):
        assert in_order(junk) == junk
        with pytest.raises(Refused):
            verified(ours, b"data", junk)


def test_offline_the_queue_keeps_its_order_and_is_drained_when_the_authority_is_back(tsa: OpensslAuthority) -> None:
    signed_ledger(1)
    asked: list[bytes] = []

    def noting(query: bytes) -> bytes:
        asked.append(query)
        return tsa.reply(query)

    with serving(tsa.reply) as url:
        trust(url, tsa.root)
    heads = [Checkpoint.objects.get()]
    for hour in range(5):
        assert anchor(hour * 61) == 0
        heads.append(grown())
    (reach,) = reaches()
    assert (reach.queued, reach.newest) == (5, None)
    assert "cannot be reached" in reach.problem
    with serving(noting, port=int(url.rsplit(":", 1)[1].split("/")[0])):
        assert anchor(5 * 61 + 200) == 6
    assert [row.checkpoint for row in Anchor.objects.order_by("event_id", "pk").order_by("pk")] == heads
    digests = [hashlib.sha512(head.note.encode()).digest() for head in heads]
    assert [next(n for n, digest in enumerate(digests) if digest in query) for query in asked] == [0, 1, 2, 3, 4, 5]
    (reach,) = reaches()
    assert (reach.queued, reach.problem) == (0, "")


def test_its_own_entries_are_no_reason_for_another_anchor(tsa: OpensslAuthority) -> None:
    signed_ledger(1)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        assert anchor() == 1
        for hour in range(1, 4):
            drain()
            sign_head()
            assert anchor(hour * 61) == 0
        grown()
        assert anchor(10) == 0  # not before the hour is over
        assert anchor(300) == 1


def test_without_a_file_nobody_is_asked() -> None:
    signed_ledger(1)
    assert anchor() == 0
    assert not Anchor.objects.exists()
    assert list(authorities()) == []


# Authorities that lie


def _other_data(tsa: OpensslAuthority) -> Callable[[bytes], bytes]:
    return lambda _: tsa.reply(tsa.query(b"something else"))


def _own_nonce(tsa: OpensslAuthority) -> Callable[[bytes], bytes]:
    note = Checkpoint.objects.latest("pk").note.encode()
    return lambda _: tsa.reply(tsa.query(note))


def _no_nonce(tsa: OpensslAuthority) -> Callable[[bytes], bytes]:
    note = Checkpoint.objects.latest("pk").note.encode()
    return lambda _: tsa.reply(tsa.query(note, "-no_nonce"))


def _damaged(tsa: OpensslAuthority) -> Callable[[bytes], bytes]:
    def answer(query: bytes) -> bytes:
        response = bytearray(tsa.reply(query))
        response[-5] ^= 1
        return bytes(response)

    return answer


def _says(data: bytes) -> Callable[[OpensslAuthority], Callable[[bytes], bytes]]:
    return lambda _: lambda _: data


LIES: list[tuple[str, Callable[[OpensslAuthority], Callable[[bytes], bytes]], str]] = [
    ("wrong imprint", _other_data, "another question|does not hold"),
    ("wrong nonce", _own_nonce, "another question"),
    ("no nonce", _no_nonce, "another question"),
    ("damaged signature", _damaged, "does not hold"),
    ("garbage", _says(b"no timestamp"), "not a timestamp response"),
    ("nothing", _says(b""), "not a timestamp response"),
    ("too long", _says(bytes(100_000)), "longer than 65536"),
    ("rejection", _says(bytes.fromhex("30053003020102")), "rejection"),
    ("truncated", lambda tsa: lambda query: tsa.reply(query)[:-40], "not a timestamp response"),
    ("bytes behind it", lambda tsa: lambda query: tsa.reply(query) + b"x", "not a timestamp response"),
]


@pytest.mark.parametrize(("lie", "told"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_is_refused_in_words_and_the_queue_keeps_its_order(tsa: OpensslAuthority, lie: Any, told: str) -> None:
    first = signed_ledger(2)
    with serving(lie(tsa)) as url:
        trust(url, tsa.root)
        assert anchor() == 0
        assert any(part in problem() for part in told.split("|")), problem()
    assert not Event.objects.filter(type=Type.ANCHOR).exists()
    second = grown()
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        assert anchor(70) == 2
    stamped = Anchor.objects.order_by("stamped_at", "pk").values_list("checkpoint_id", flat=True)
    assert list(stamped) == [first.pk, second.pk]


def test_an_authority_of_another_root_is_refused(tsa: OpensslAuthority, tmp_path: Path) -> None:
    signed_ledger(1)
    other = OpensslAuthority(tmp_path / "other")
    with serving(other.reply) as url:
        trust(url, tsa.root)
        assert anchor() == 0
    assert "does not hold" in problem()


def test_a_certificate_that_expired_is_refused(tmp_path: Path) -> None:
    signed_ledger(1)
    expired = OpensslAuthority(tmp_path / "expired", days=-1)
    with serving(expired.reply) as url:
        trust(url, expired.root)
        assert anchor() == 0
    assert "expired" in problem()
    assert not Anchor.objects.filter(response__isnull=False).exists()


def test_a_time_that_our_clock_contradicts_is_refused(tsa: OpensslAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_ledger(1)
    monkeypatch.setattr(timestamps, "SKEW", timedelta(seconds=-1))
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        assert anchor() == 0
    assert "our clock contradicts" in problem()


@pytest.mark.parametrize(("status", "type"), [(500, "application/timestamp-reply"), (200, "text/html")])
def test_an_answer_that_is_no_timestamp_reply_is_refused(tsa: OpensslAuthority, status: int, type: str) -> None:
    signed_ledger(1)
    with serving(tsa.reply, status=status, type=type) as url:
        trust(url, tsa.root)
        assert anchor() == 0
    assert f"status {status}" in problem()


def test_an_answer_without_end_or_that_drips_is_left(tsa: OpensslAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_ledger(1)
    monkeypatch.setattr(outside, "SECONDS", 1.0)
    monkeypatch.setattr(timestamps, "ask", lambda *a, **kw: outside.ask(*a, **kw, seconds=1.0))
    for endless in (b"x" * 65536, b"x"):
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=_stream, args=[listener, endless], daemon=True).start()
        trust(f"http://127.0.0.1:{listener.getsockname()[1]}/", tsa.root)
        began = time.monotonic()
        assert anchor(200 * len(endless)) == 0
        assert time.monotonic() - began < 5
        assert "longer than" in problem() or "did not answer" in problem()
        listener.close()


def _stream(listener: socket.socket, piece: bytes) -> None:
    try:
        served, _ = listener.accept()
        served.recv(65536)
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n")
        for _ in range(10_000):
            served.sendall(piece)
            if len(piece) == 1:
                time.sleep(0.05)
    except OSError:
        pass


# The file of authorities, and the tables


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "cannot be read"),
        ("authority = 3", "tables and nothing else"),
        ("other = 1\n", "tables and nothing else"),
        ('[[authority]]\nname = "a"\n', "has name, url, roots"),
        ('[[authority]]\nname = "a"\nurl = "https://a.example/"\nroots = "r"\nurll = "x"\n', "has name, url, roots"),
        ('[[authority]]\nname = 1\nurl = "https://a.example/"\nroots = "r"\n', "name of an authority"),
        ('[[authority]]\nname = "a"\nurl = "http://a.example/"\nroots = "r"\n', "must begin with https"),
        ('[[authority]]\nname = "a"\nurl = "https://a.example/"\nroots = "absent.pem"\n', "No such file"),
    ],
)
def test_a_file_of_authorities_that_is_wrong_is_refused_in_words(text: str, told: str) -> None:
    Path(settings.SANAD_AUTHORITIES).write_text(text)
    with pytest.raises(AuthoritiesProblem, match=told):
        anchor()


def test_a_stamped_anchor_never_changes_and_a_queued_one_only_gets_its_response(tsa: OpensslAuthority) -> None:
    signed_ledger(1)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        anchor()
    Anchor.objects.create(authority="x", checkpoint=Checkpoint.objects.get(), imprint="00", queued_at=datetime.now(UTC))
    for statement in (
        "UPDATE custody_anchor SET stamped_at = now() WHERE authority = 'local'",
        "UPDATE custody_anchor SET response = NULL, stamped_at = NULL, event_id = NULL WHERE authority = 'local'",
        "UPDATE custody_anchor SET imprint = '11' WHERE authority = 'x'",
        "DELETE FROM custody_anchor WHERE authority = 'x'",
        "TRUNCATE custody_anchor",
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE custody_anchor SET stamped_at = stamped_at - interval '1 year'", "states another time"),
        (
            "UPDATE custody_anchor SET response = overlay(response placing 'x' from 900)",
            "not the one that was recorded",
        ),
        ("UPDATE custody_anchor SET imprint = '00'", "not of its checkpoint"),
        ("UPDATE custody_anchor SET checkpoint_id = 999999", "its checkpoint is gone"),
        ("UPDATE custody_anchor SET test = NOT test", "not the one that was recorded"),
    ],
)
def test_an_owner_who_changes_one_is_found(tsa: OpensslAuthority, statement: str, told: str) -> None:
    signed_ledger(1)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        anchor()
    drain()
    assert list(faults()) == []
    as_owner(statement)
    assert any(told in fault.what for fault in ledger_faults())


def test_the_worker_asks_every_minute_and_a_broken_file_does_not_stop_the_other(
    tsa: OpensslAuthority, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    from custody import tasks

    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)  # the test's transaction lives in it
    settings.SANAD_LEDGER_POLICY = tmp_path / "ledger-policy"
    signed_ledger(1)
    Path(settings.SANAD_LEDGER_POLICY).write_text("nonsense\n")
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        tasks.ask_outside.func(timestamp=0)
    assert Anchor.objects.filter(response__isnull=False).count() == 1


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM custody_anchor WHERE id = {first}",
        "UPDATE custody_anchor SET response = 'x', stamped_at = now() WHERE id = {first}",
        "UPDATE custody_anchor SET response = NULL, stamped_at = NULL, event_id = NULL WHERE id = {first}",
    ],
)
def test_a_recorded_timestamp_that_is_not_stored_any_more_is_found_by_verification_and_scrub(
    tsa: OpensslAuthority, attack: str
) -> None:
    signed_ledger(3)
    with serving(tsa.reply) as url:
        trust(url, tsa.root)
        assert anchor() == 1
        drain()
        grown()
        assert anchor(60 * 24) == 1
    drain()
    sign_head()
    assert list(ledger_faults()) == []
    assert scrub_values().clean
    first = Entry.objects.get(event_id__in=Anchor.objects.order_by("pk").values("event_id")[:1]).index
    as_owner(attack.format(first=Anchor.objects.earliest("pk").pk))
    told = f"entry {first}: records a timestamp of local that is not stored"
    assert told in [f"{fault.where}: {fault.what}" for fault in ledger_faults()]
    assert told in scrub_values().first

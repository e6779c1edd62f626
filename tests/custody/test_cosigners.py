"""Partners vouch for the ledger; one that has seen another past raises the alarm, and nobody is believed unverified."""

import http.server
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from custody import forks, outside, scrub, signer, signer_state
from custody.alarm import BESIDE, Kind, alarm_of
from custody.correspondence import with_partner
from custody.cosignatures import cosigned_note, faults, lines_of, policy, standing
from custody.cosigners import ask_cosigners
from custody.ledger_keys import ledger_keys, vkey
from custody.models import Checkpoint, Correspondence, Cosignature, Entry, Event
from custody.proof import newest_checkpoint
from custody.scrub import scrub_values
from custody.sequencer import drain, tree_size
from custody.signer import sign_head
from custody.verify import faults as ledger_faults
from custody.vocabulary import Type
from ledger.checkpoint import format_checkpoint
from ledger.cosignature import decode_cosigner_vkey
from ledger.cosigner import parse_request
from ledger.note import decode_vkey, open_note, split_note
from ledger.policy import PolicyError
from ledger.sign import CosignatureSigner, Ed25519Signer, sign_note, signature_line
from tests.custody.ledgers import as_owner, happen, signed_ledger
from tests.ledger.cosigners import ROOT, GrowingLog, Running, cosigner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_head_is_a_heartbeat")]


@pytest.fixture(autouse=True)
def _no_forks_left(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SANAD_LEDGER_POLICY = tmp_path / "ledger-policy"
    yield
    for path in (Path(settings.SANAD_KEYS) / "forks").glob("*"):
        path.unlink()


def trust(*partners: tuple[str, str, str], quorum: str = "") -> None:
    """The policy file: (name, vkey, url or "") of each partner, and a quorum of all of them."""
    lines = [f"witness {name} {key} {url}".rstrip() for name, key, url in partners]
    lines += [quorum or f"group partners all {' '.join(name for name, _, _ in partners)}\nquorum partners"]
    Path(settings.SANAD_LEDGER_POLICY).write_text("\n".join(lines) + "\n")


@contextmanager
def partner(tmp_path: Path, name: str = "bar", *, port: int = 0) -> Iterator[Running]:
    """A real cosigner process that knows this archive's ledger, in the policy file alone."""
    with cosigner(tmp_path / f"{name}.json", [vkey()], name=f"{name}.example/cosigner", port=port) as running:
        trust((name, running.verifier.vkey, running.url))
        yield running


def ask(minutes: float = 0) -> int:
    """A round, so many minutes from now by the archive's plan."""
    return ask_cosigners(datetime.now(UTC) + timedelta(minutes=minutes))


def grown(events: int = 1) -> Checkpoint:
    """So many acts more, under a signed head that covers every entry."""
    for _ in range(events):
        happen()
    drain()
    head = sign_head()
    assert head is not None
    return head


def talk(name: str = "bar") -> Correspondence:
    return with_partner(Correspondence.COSIGNER, f"{name}.example/cosigner")


class Liar(http.server.BaseHTTPRequestHandler):
    """A cosigner whose answers the test decides: `answers` maps the path's last part to (status, type, body)."""

    answers: dict[str, Callable[[bytes], tuple[int, str, bytes]]]

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        answer = self.answers.get(self.path.rsplit("/", 1)[1])
        status, kind, data = answer(body) if answer else (404, "text/plain", b"")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def liar(**answers: Callable[[bytes], tuple[int, str, bytes]]) -> Iterator[str]:
    """`liar(add_checkpoint=..., checkpoint=...)`: its address."""
    named = {name.replace("_", "-"): answer for name, answer in answers.items()}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Liar,), {"answers": named}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def now_seconds() -> int:
    return int(datetime.now(UTC).timestamp())


BAR = CosignatureSigner("bar.example/cosigner", b"\7" * 32, now_seconds)


def test_a_partner_cosigns_and_what_it_signed_stands_under_the_checkpoint(tmp_path: Path) -> None:
    head = signed_ledger(5)
    with partner(tmp_path) as running:
        assert ask() == 1
        opened = open_note(cosigned_note(head), [decode_vkey(vkey()), running.verifier])
    assert [key.name for key in opened.signed_by] == [settings.SANAD_ORIGIN, "bar.example/cosigner"]
    state = standing()
    assert (state.met, state.size, state.needed) == (True, 5, "1/1")
    assert state.partners[0].size == 5
    assert talk().problem == ""


def test_the_arrival_is_an_entry_of_the_ledger_that_holds_the_very_lines(tmp_path: Path) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        ask()
    assert Event.objects.filter(type=Type.COSIGN, outcome="success").count() == 1
    drain()
    assert list(faults()) == []
    assert list(ledger_faults()) == []


def test_its_own_entries_are_no_reason_to_ask_again(tmp_path: Path) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        assert ask() == 1
        for round_ in range(1, 6):
            drain()
            sign_head()
            assert ask(round_ * 6) == 0
        assert tree_size() == 3
        grown()
        assert ask(40) == 1
        head = newest_checkpoint()
        assert head is not None
        assert head.size == 4
        assert ask(41) == 0


def test_a_silent_ledger_is_cosigned_again_after_the_refresh(tmp_path: Path) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        assert ask() == 1
        assert ask(30) == 0
        assert ask(61) == 1


def test_within_the_cadence_nobody_is_asked_twice_except_when_it_is_urgent(tmp_path: Path) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        assert ask() == 1
        grown()
        assert ask(1) == 0
        assert ask_cosigners(datetime.now(UTC), urgent=True) == 1


def test_a_partner_that_is_down_is_asked_later_with_growing_pauses_and_then_catches_up(tmp_path: Path) -> None:
    signed_ledger(3)
    with partner(tmp_path) as running:
        port = running.port
        assert ask() == 1
    pauses, moment = [], 6.0
    grown()
    for _ in range(4):
        assert ask(moment) == 0
        state = talk()
        assert "cannot be reached" in state.problem
        assert state.next_at is not None
        assert state.asked_at is not None
        pauses.append((state.next_at - state.asked_at).total_seconds())
        assert ask(moment + 0.1) == 0
        assert talk().failures == state.failures
        moment += pauses[-1] / 60 + 0.1
        grown()
    for number, pause in enumerate(pauses):
        assert 30 * 2**number <= pause <= 90 * 2**number
    with partner(tmp_path, port=port):
        assert ask(moment + 60) == 1
    state = talk()
    assert (state.failures, state.problem) == (0, "")
    assert standing().size == newest_checkpoint().size  # type: ignore[union-attr]


def test_a_partner_killed_and_started_again_goes_on_where_it_was(tmp_path: Path) -> None:
    signed_ledger(3)
    with partner(tmp_path) as running:
        assert ask() == 1
        running.process.send_signal(signal.SIGKILL)
    grown(4)
    with partner(tmp_path):
        assert ask(10) == 1
    assert standing().size == 7 + 1


def test_a_partner_that_lags_is_caught_up_from_the_size_it_says(tmp_path: Path) -> None:
    signed_ledger(3)
    with partner(tmp_path):
        assert ask() == 1
        as_owner("DELETE FROM custody_cosignature")  # the archive does not know any more what it holds
        grown(5)
        assert ask(10) == 1
    assert standing().size == 9


def test_the_quorum_counts_each_partner_once_and_is_told(tmp_path: Path) -> None:
    signed_ledger(2)
    keys = [CosignatureSigner(f"p{n}.example/c", bytes([n]) * 32, now_seconds).vkey for n in (1, 2)]
    with cosigner(tmp_path / "a.json", [vkey()]) as one, cosigner(tmp_path / "b.json", [vkey()]) as two:
        trust(
            ("one", one.verifier.vkey, one.url),
            ("two", two.verifier.vkey, two.url),
            ("three", keys[0], ""),
            quorum="group k 2 one two three\nquorum k",
        )
        assert ask() == 2
        state = standing()
        assert (state.met, state.size, state.needed) == (True, 2, "2/3")
        trust(
            ("one", one.verifier.vkey, one.url),
            ("three", keys[0], ""),
            ("four", keys[1], ""),
            quorum="group k 2 one three four\nquorum k",
        )
        state = standing()
        assert (state.met, state.size) == (False, None)
    assert Event.objects.filter(type=Type.COSIGN).count() == 1  # one entry for the round


def test_without_a_policy_file_nobody_is_asked_and_nobody_vouches() -> None:
    signed_ledger(2)
    assert ask() == 0
    assert policy() is None
    state = standing()
    assert (list(state.partners), state.met, state.needed) == ([], False, "")


# Two pasts


def test_a_log_that_shows_one_auditor_another_past_is_refused_and_alarmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_ledger(3)
    with partner(tmp_path) as running:
        assert ask() == 1
        # Whoever has the signing key and the tables signs a second past of four entries for one auditor.
        fork = GrowingLog("a", "b", "c", "d", signer=signer_state.private_key(ledger_keys()[0]))
        assert running.ask(fork.request(3))[0] == 422
        refused = list((tmp_path / "bar.json.refused").iterdir())
        assert len(refused) == 1
        assert fork.note() in refused[0].read_text()
        # And if the cosigner saw the fork first, the archive's own head is the second past.
    other = tmp_path / "other"
    other.mkdir()
    with partner(other) as running:
        assert running.ask(fork.request(0))[0] == 200
        as_owner("DELETE FROM custody_cosignature")
        grown(5)
        assert ask(10) == 0
        shown = running.get(f"/{_origin_hash()}/checkpoint")[1]
    (kept,) = forks.forks()
    assert (kept.kind, kept.proven, kept.size, kept.cosigner) == ("fork", True, 4, "bar.example/cosigner")
    stored = json.loads((Path(settings.SANAD_KEYS) / "forks" / kept.file).read_text())
    assert stored["their_note"] == shown
    assert stored["our_note"] == newest_checkpoint().note  # type: ignore[union-attr]
    assert "does not lead to" in talk().problem
    recorded = Event.objects.get(type=Type.COSIGN, outcome="failure")
    assert recorded is not None
    assert ask(2000) == 0
    assert len(forks.forks()) == 1  # the same contradiction is kept once
    assert Event.objects.filter(type=Type.COSIGN, outcome="failure").count() == 1


def _origin_hash() -> str:
    import hashlib

    return hashlib.sha256(settings.SANAD_ORIGIN.encode()).hexdigest()


def test_a_restored_backup_with_the_signers_memory_is_a_rollback_that_the_partner_proves(tmp_path: Path) -> None:
    signed_ledger(3)
    with partner(tmp_path):
        memory, state = _signer_files(), transaction.savepoint()
        grown(6)
        assert ask() == 1
        transaction.savepoint_rollback(state)  # tables, signer's memory: all as they were
        for path in _signer_files().keys() - memory.keys():
            path.unlink()
        for path, data in memory.items():
            path.write_bytes(data)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
        assert ask(10) == 0
    (kept,) = forks.forks()
    assert (kept.kind, kept.proven, kept.size, kept.our_size) == ("rollback", True, 9, 3)
    assert "3 are stored here" in talk().problem


def _signer_files() -> dict[Path, bytes]:
    folders = (Path(settings.SANAD_SIGNER), Path(settings.SANAD_STATUS))
    return {path: path.read_bytes() for folder in folders for path in folder.iterdir() if path.is_file()}


def test_a_partner_that_only_claims_a_larger_log_is_an_alarm_that_says_so(tmp_path: Path) -> None:
    signed_ledger(3)
    with liar(add_checkpoint=lambda _: (409, "text/x.tlog.size", b"1000\n")) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 0
    (kept,) = forks.forks()
    assert (kept.kind, kept.proven, kept.size) == ("rollback", False, 1000)
    assert "no signed head" in talk().problem


def test_a_head_of_another_key_proves_nothing() -> None:
    signed_ledger(3)
    forged = sign_note(format_checkpoint(settings.SANAD_ORIGIN, 900, b"\1" * 32), Ed25519Signer("x", bytes(32)))
    with liar(
        add_checkpoint=lambda _: (409, "text/x.tlog.size", b"900\n"),
        checkpoint=lambda _: (200, "text/plain", forged.encode()),
    ) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 0
    (kept,) = forks.forks()
    assert not kept.proven


def test_a_partner_that_refuses_a_head_it_could_cosign_is_faulty_and_no_alarm() -> None:
    head = signed_ledger(3)
    shown = (head.note + signature_line(split_note(head.note)[0], BAR)).encode()
    with liar(
        add_checkpoint=lambda _: (422, "text/plain", b"no"), checkpoint=lambda _: (200, "text/plain", shown)
    ) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 0
    assert forks.forks() == []
    assert "continues the one it shows" in talk().problem


def test_a_partner_that_forgot_what_it_cosigned_is_told_and_not_used(tmp_path: Path) -> None:
    signed_ledger(3)
    with liar(add_checkpoint=_cosigning(BAR)) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 1
    grown()
    with liar(add_checkpoint=lambda _: (409, "text/x.tlog.size", b"0\n")) as url:
        trust(("bar", BAR.vkey, url))
        assert ask(10) == 0
    assert "forgotten" in talk().problem
    assert Cosignature.objects.count() == 1


def _cosigning(key: CosignatureSigner) -> Callable[[bytes], tuple[int, str, bytes]]:
    def answer(body: bytes) -> tuple[int, str, bytes]:
        text = split_note(parse_request(body).note)[0]
        return 200, "text/plain", signature_line(text, key).encode()

    return answer


OTHER = CosignatureSigner("bar.example/cosigner", b"\10" * 32, now_seconds)
EARLY = CosignatureSigner("bar.example/cosigner", b"\7" * 32, lambda: now_seconds() - 3600)
LATE = CosignatureSigner("bar.example/cosigner", b"\7" * 32, lambda: now_seconds() + 3600)
PLAIN = Ed25519Signer("bar.example/cosigner", b"\7" * 32)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: (200, "text/plain", b""), "not made of signature lines"),
        (lambda _: (200, "text/plain", b"hello\n"), "not made of signature lines"),
        (lambda body: (200, "text/plain", _cosigning(BAR)(body)[2] * 2), "2 signatures"),
        (_cosigning(OTHER), "0 signatures"),
        (_cosigning(EARLY), "clock"),
        (_cosigning(LATE), "clock"),
        (lambda body: (200, "text/plain", _flipped(_cosigning(BAR)(body)[2])), "does not verify"),
        (lambda _: (200, "text/plain", _of_another_head()), "does not verify"),
        (lambda body: (200, "text/plain", signature_line(_text(body), PLAIN).encode()), "0 signatures"),
        (lambda _: (302, "text/plain", b""), "status 302"),
        (lambda _: (403, "text/plain", b""), "does not trust our key"),
        (lambda _: (404, "text/plain", b""), "does not know this ledger"),
        (lambda _: (500, "text/plain", b""), "status 500"),
        (lambda _: (409, "text/x.tlog.size", b"-1\n"), "a size that is none"),
        (lambda _: (409, "text/x.tlog.size", b"9" * 30), "a size that is none"),
        (lambda _: (200, "text/plain", b"x" * 10**6), "longer than"),
    ],
)
def test_an_answer_that_does_not_hold_is_refused_in_words_and_nothing_is_stored(
    answer: Callable[[bytes], tuple[int, str, bytes]], told: str
) -> None:
    signed_ledger(3)
    with liar(add_checkpoint=answer) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 0
    assert told in talk().problem
    assert not Cosignature.objects.exists()
    assert not Event.objects.filter(type=Type.COSIGN).exists()


def _text(body: bytes) -> str:
    return split_note(parse_request(body).note)[0]


def _flipped(line: bytes) -> bytes:
    return line[:-10] + (b"A" if line[-10:-9] != b"A" else b"B") + line[-9:]


def _of_another_head() -> bytes:
    return signature_line(format_checkpoint(settings.SANAD_ORIGIN, 3, b"\1" * 32), BAR).encode()


def test_lines_of_keys_nobody_trusts_are_ignored() -> None:
    head = signed_ledger(3)
    stranger = CosignatureSigner("stranger.example", b"\11" * 32, now_seconds)

    def answer(body: bytes) -> tuple[int, str, bytes]:
        return 200, "text/plain", _cosigning(stranger)(body)[2] + _cosigning(BAR)(body)[2]

    with liar(add_checkpoint=answer) as url:
        trust(("bar", BAR.vkey, url))
        assert ask() == 1
    assert all("stranger" not in line for line in lines_of(head))


def test_a_partner_that_drips_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import time

    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        try:
            connection, _ = listener.accept()
            connection.recv(65536)
            for _ in range(200):
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(outside.OutsideProblem, match="did not answer within 1 s"):
        outside.ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x", most=100, seconds=1.0)
    assert time.monotonic() - began < 4
    listener.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://user:secret@partner.example/",
        "https://partner.example/?to=elsewhere",
        "https://partner.example/#part",
        "https://",
        "https://partner.example:99999/",
        "//partner.example/",
        "http://localhost.partner.example/",
        "http://127.0.0.1@partner.example/",
        "https://partner.example\\@localhost/",
    ],
)
def test_an_address_that_is_not_safe_to_ask_is_refused_with_the_policy(url: str) -> None:
    signed_ledger(1)
    trust(("bar", BAR.vkey, url))
    with pytest.raises(PolicyError, match="witness bar"):
        ask()
    assert "witness bar" in standing().broken


def test_a_policy_of_another_ledger_or_none_is_refused() -> None:
    path = Path(settings.SANAD_LEDGER_POLICY)
    path.write_text(f"log {GrowingLog().vkey}\nquorum none\n")
    with pytest.raises(PolicyError, match="none of its log lines"):
        policy()
    path.write_text("nonsense\n")
    with pytest.raises(PolicyError, match="line 1"):
        policy()


def test_a_ledger_whose_tiles_were_changed_sends_nothing(tmp_path: Path) -> None:
    signed_ledger(3)
    with partner(tmp_path):
        assert ask() == 1
        grown(3)
        as_owner("UPDATE custody_tile SET hashes = overlay(hashes placing 'xx'::bytea from 70)")
        assert ask(10) == 0
    assert "nothing was sent" in talk().problem
    assert forks.forks() == []


# By file


def test_a_partner_without_network_is_brought_a_request_and_brings_a_reply(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    signed_ledger(3)
    trust(("bar", BAR.vkey, ""))
    call_command("cosign_request")
    reply = _by_file(tmp_path, capsysbinary.readouterr().out)
    assert reply.returncode == 0, reply.stderr
    key = decode_cosigner_vkey(reply.stderr.decode().split("the key of this cosigner is ")[1].split()[0])
    (tmp_path / "reply").write_bytes(reply.stdout)
    with pytest.raises(CommandError, match="none of the cosigners in the policy"):
        call_command("cosign_reply", str(tmp_path / "reply"))
    trust(("bar", key.vkey, ""))
    call_command("cosign_reply", str(tmp_path / "reply"))
    assert standing().size == 3
    call_command("cosign_reply", str(tmp_path / "reply"))
    assert Cosignature.objects.count() == 1
    grown(4)
    capsysbinary.readouterr()
    call_command("cosign_request", cosigner="bar")
    asked = capsysbinary.readouterr().out
    assert asked.startswith(b"old 3\n")
    again = _by_file(tmp_path, asked)
    assert again.returncode == 0, again.stderr
    (tmp_path / "reply").write_bytes(again.stdout)
    call_command("cosign_reply", str(tmp_path / "reply"))
    assert standing().size == 8


def _by_file(tmp_path: Path, asked: bytes) -> "subprocess.CompletedProcess[bytes]":
    (tmp_path / "request").write_bytes(asked)
    argv = [sys.executable, "-m", "ledger", "cosign", "--state", str(tmp_path / "state.json"), "--log", vkey()]
    argv += ["--checkpoint", str(tmp_path / "request")]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=60)


def test_a_reply_about_a_head_that_was_never_signed_here_is_refused(tmp_path: Path) -> None:
    signed_ledger(3)
    trust(("bar", BAR.vkey, ""))
    text = format_checkpoint(settings.SANAD_ORIGIN, 2, b"\1" * 32)
    (tmp_path / "reply").write_text(sign_note(text, BAR))
    with pytest.raises(CommandError, match="never signed here"):
        call_command("cosign_reply", str(tmp_path / "reply"))
    (tmp_path / "reply").write_text("no note")
    with pytest.raises(CommandError, match="not a cosigned checkpoint"):
        call_command("cosign_reply", str(tmp_path / "reply"))


# The tables


def test_stored_cosignatures_are_insert_only(tmp_path: Path) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        ask()
    for statement in ("UPDATE custody_cosignature SET cosigner = 'x'", "DELETE FROM custody_cosignature"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE custody_cosignature SET cosigned_at = cosigned_at - interval '1 year'", "does not say what its line"),
        ("UPDATE custody_cosignature SET line = '— a AAAAAAAAAAAA'", "does not say what its line"),
        ("UPDATE custody_cosignature SET line = 'x'", "no signature line"),
        ("UPDATE custody_cosignature SET checkpoint_id = 999999", "its checkpoint is gone"),
        ("UPDATE custody_cosignature SET event_id = gen_random_uuid()", "not the one that was recorded"),
    ],
)
def test_an_owner_who_changes_one_is_found(tmp_path: Path, statement: str, told: str) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        ask()
    drain()
    assert list(faults()) == []
    as_owner(statement)
    assert any(told in fault.what for fault in faults())
    sign_head()
    result = scrub.scrub_values()
    assert any(told in fault for fault in result.first), "the hourly scrub finds it too"
    alarm = alarm_of(BESIDE)
    assert alarm is not None
    assert alarm.kind == Kind.VALUES
    assert any(told in fault.what for fault in ledger_faults())


def test_the_pause_after_many_failures_stays_bounded() -> None:
    from custody.correspondence import failed, is_due

    state, now = talk(), datetime.now(UTC)
    for _ in range(40):
        failed(state, now, "x")
        assert state.next_at is not None
        assert (state.next_at - now).total_seconds() <= 5400
    assert not is_due(state, now)
    assert is_due(state, now - timedelta(days=30))  # a clock set back does not silence anybody


# What was recorded and is gone


def outside_said() -> list[str]:
    return [f"{fault.where}: {fault.what}" for fault in ledger_faults()]


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM custody_cosignature WHERE id = {last}",
        "UPDATE custody_cosignature SET line = replace(line, 'A', 'B') WHERE id = {last}",
        "UPDATE custody_cosignature SET event_id = gen_random_uuid() WHERE id = {last}",
    ],
)
def test_a_recorded_cosignature_that_is_not_stored_any_more_is_found_by_verification_and_scrub(
    tmp_path: Path, attack: str
) -> None:
    signed_ledger(2)
    with partner(tmp_path):
        assert ask() == 1
        drain()
        grown()
        assert ask(10) == 1
    drain()
    sign_head()
    assert scrub_values().clean
    assert outside_said() == []
    last = Entry.objects.filter(event_id=Cosignature.objects.latest("pk").event_id).get().index
    as_owner(attack.format(last=Cosignature.objects.latest("pk").pk))
    told = f"entry {last}: records a cosignature of bar.example/cosigner that is not stored"
    assert told in outside_said()
    assert told in scrub_values().first


def test_of_several_cosignatures_that_came_together_the_missing_one_is_named(tmp_path: Path) -> None:
    signed_ledger(2)
    first, second = (cosigner(tmp_path / f"{name}.json", [vkey()], name=f"{name}.example/c") for name in "ab")
    with first as one, second as two:
        trust(("one", one.verifier.vkey, one.url), ("two", two.verifier.vkey, two.url))
        assert ask() == 2
    drain()
    sign_head()
    as_owner("DELETE FROM custody_cosignature WHERE cosigner = 'b.example/c'")
    assert outside_said() == ["entry 2: records a cosignature of b.example/c that is not stored"]


def test_partners_are_sent_heartbeats_unless_somebody_waits_for_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times of other signatures tell when somebody was at work."""
    beat = grown()
    monkeypatch.setattr(signer, "HEARTBEAT", timedelta(days=10_000))
    between = grown()
    assert (beat.heartbeat, between.heartbeat) == (True, False)
    with partner(tmp_path):
        assert ask() == 1
        assert standing().size == beat.size
        assert ask(minutes=90) == 1, "as long as nothing else beats, the same head again"
        assert standing().size == beat.size
        assert ask_cosigners(datetime.now(UTC), urgent=True) == 1
        assert standing().size == between.size
        assert ask(minutes=90) == 0

"""A cosigner vouches for one past of a log, whatever it is shown, and however often it is killed."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger import __main__ as command
from ledger import contradiction
from ledger import cosigner as cosigners
from ledger.checkpoint import format_checkpoint, parse_checkpoint
from ledger.cosignature import CosignatureVerifier, cosigned_at, decode_cosigner_vkey
from ledger.cosigner import (
    MAX_BODY,
    Answer,
    Cosigner,
    CosignerProblem,
    Memory,
    decode_log_key,
    format_request,
    load,
)
from ledger.cosigner_server import CONNECTIONS
from ledger.note import NoteError, decode_vkey, open_note, split_note
from ledger.sign import CosignatureSigner, sign_note
from tests.ledger.cosigners import ORIGIN, ROOT, GrowingLog, cosigner

SIZE = "text/x.tlog.size"


class Partner:
    """A cosigner in this process."""

    def __init__(self, folder: Path, *logs: GrowingLog, keys: Sequence[str] = ()) -> None:
        self.state = folder / "state.json"
        self.memory, self.signer = load(self.state, folder / "key", None)
        self.told: list[str] = []
        known = [decode_log_key(key) for key in keys or [log.vkey for log in logs]]
        self.cosigner = Cosigner(self.memory, self.signer, known, tell=self.told.append)

    def ask(self, body: bytes) -> Answer:
        return self.cosigner.add_checkpoint(body)

    @property
    def verifier(self) -> CosignatureVerifier:
        return decode_cosigner_vkey(self.signer.vkey)

    @property
    def evidence(self) -> list[str]:
        return [path.read_text() for path in sorted(Path(f"{self.state}.refused").glob("*"))]


def test_the_first_checkpoint_is_cosigned_and_the_cosignature_verifies_under_the_checkpoint(tmp_path: Path) -> None:
    log = GrowingLog("a", "b", "c")
    partner = Partner(tmp_path, log)
    answer = partner.ask(log.request(0))
    assert answer.status == 200
    opened = open_note(log.note() + answer.body, [decode_vkey(log.vkey), partner.verifier])
    assert [key.name for key in opened.signed_by] == [ORIGIN, partner.signer.name]
    when = cosigned_at(split_note(log.note() + answer.body)[1][1].signature)
    assert when is not None
    assert abs(when - time.time()) < 5


def test_the_example_of_the_specification_is_signed_over_the_same_bytes() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    signer = CosignatureSigner("witness.example.com/w1", bytes(32), lambda: 1679315147)
    signature = signer.sign(text.encode())
    assert signature[:8].hex() == "00000000641850cb"
    assert signer.key_id == hashlib.sha256(b"witness.example.com/w1\n\x04" + signer.public).digest()[:4]
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = b"cosignature/v1\ntime 1679315147\n" + text.encode()
    Ed25519PublicKey.from_public_bytes(signer.public).verify(signature[8:], message)


def test_every_growth_is_cosigned_and_every_other_old_size_is_told_the_right_one(tmp_path: Path) -> None:
    log = GrowingLog("a")
    partner = Partner(tmp_path, log)
    size = 0
    for number in range(40):
        assert partner.ask(log.request(size)).status == 200
        size = log.size
        for wrong in {0, size - 1, size + 1} - {size}:
            if wrong > log.size:
                continue
            answer = partner.ask(log.request(wrong))
            assert (answer.status, answer.type, answer.body) == (409, SIZE, f"{size}\n")
        log.grow(*(f"{number}.{part}" for part in range(1 + number % 3)))


def test_the_same_head_may_be_cosigned_again(tmp_path: Path) -> None:
    log = GrowingLog("a", "b")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    assert partner.ask(log.request(2)).status == 200


def test_an_empty_log_is_cosigned_only_with_the_root_of_the_empty_tree(tmp_path: Path) -> None:
    log = GrowingLog()
    partner = Partner(tmp_path, log)
    lie = sign_note(format_checkpoint(ORIGIN, 0, b"\1" * 32), log.signer)
    assert partner.ask(format_request(0, [], lie).encode()).status == 422
    assert partner.ask(log.request(0)).status == 200
    log.grow("a")
    assert partner.ask(log.request(0)).status == 200


def test_a_log_it_was_not_told_of_is_unknown(tmp_path: Path) -> None:
    partner = Partner(tmp_path, GrowingLog("a"))
    assert partner.ask(GrowingLog("a", origin="another.example/log").request(0)).status == 404


def test_a_head_not_signed_by_the_logs_key_is_forbidden(tmp_path: Path) -> None:
    log, thief = GrowingLog("a"), GrowingLog("a", seed=b"\1" * 32)
    partner = Partner(tmp_path, log)
    assert partner.ask(thief.request(0)).status == 403
    broken = bytearray(log.request(0))
    broken[-10] ^= 1
    assert partner.ask(bytes(broken)).status in (400, 403)
    assert partner.memory.held == {}


def test_a_second_past_is_refused_and_both_heads_are_kept_as_evidence(tmp_path: Path) -> None:
    log = GrowingLog("a", "b", "c")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    other = GrowingLog("a", "x", "c")
    assert partner.ask(other.request(3)).status == 422
    grown = GrowingLog("a", "x", "c", "d", "e")
    assert partner.ask(grown.request(3)).status == 422
    assert "REFUSED" in partner.told[0]
    kept = [path.read_text("utf-8") for path in sorted(Path(f"{partner.state}.refused").iterdir())]
    assert len(kept) == 2
    assert all(log.note().rstrip() in text for text in kept)
    assert any(other.note() in text for text in kept)
    assert any(grown.note() in text for text in kept)
    assert partner.ask(log.grow("d").request(3)).status == 200


def test_a_shrunken_log_is_never_cosigned(tmp_path: Path) -> None:
    log = GrowingLog(*"abcdefgh")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    for old in range(9):
        for size in range(old, 8):
            answer = partner.ask(log.request(old, size))
            assert (answer.status, answer.body) == (409, "8\n")
    assert partner.ask(format_request(8, [], log.note(5)).encode()).status == 400


def test_a_proof_that_is_short_long_or_another_is_unprocessable(tmp_path: Path) -> None:
    log = GrowingLog(*"abc")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    log.grow(*"defgh")
    whole = log.request(3)
    request = cosigners.parse_request(whole)
    wrong = [request.proof[:-1], [*request.proof, bytes(32)], request.proof[::-1], [], [bytes(32), *request.proof[1:]]]
    for proof in wrong:
        assert partner.ask(format_request(3, proof, log.note()).encode()).status == 422
    assert partner.ask(whole).status == 200


# Evidence


def test_public_heads_sent_again_with_proofs_that_are_none_leave_nothing_and_accuse_nobody(tmp_path: Path) -> None:
    log = GrowingLog(*"abc")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    public = [partner.cosigner.newest(hashlib.sha256(ORIGIN.encode()).hexdigest()).body]
    log.grow(*"defg")
    public += [log.note(), log.note(5)]
    for _ in range(100):
        for note in public:
            assert partner.ask(format_request(3, [os.urandom(32)], note).encode()).status == 422
    assert partner.evidence == []
    assert [line for line in partner.told if "REFUSED" in line] == []
    assert len(partner.told) == len(public)  # each is told of once, as what it is
    fork = GrowingLog(*"xyz")
    assert partner.ask(format_request(3, [], fork.note()).encode()).status == 422
    (kept,) = partner.evidence
    assert fork.note() in kept
    assert "REFUSED" in partner.told[-1]
    assert partner.ask(log.request(3)).status == 200


@pytest.mark.parametrize("old", [0, 2, 3])
def test_a_head_of_the_same_size_with_another_root_is_kept_whatever_it_says_it_continues(
    tmp_path: Path, old: int
) -> None:
    log, fork = GrowingLog(*"abc"), GrowingLog(*"abX")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    assert partner.ask(format_request(old, [], fork.note()).encode()).status == (422 if old == 3 else 409)
    (kept,) = partner.evidence
    assert log.note() in kept
    assert fork.note() in kept


def test_each_contradiction_is_kept_and_told_once(tmp_path: Path) -> None:
    log = GrowingLog(*"abc")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    pasts = [GrowingLog("a", "b", f"past {number}") for number in range(100)]
    for _ in range(2):
        for past in pasts:
            assert partner.ask(format_request(3, [os.urandom(32)], past.note()).encode()).status == 422
    assert len(partner.evidence) == len(pasts)
    assert len([line for line in partner.told if "REFUSED" in line]) == len(pasts)


@pytest.mark.parametrize("held", [3, 5, 6, 7, 9])
def test_the_proof_of_another_past_is_evidence_that_the_held_head_was_never_in_it(tmp_path: Path, held: int) -> None:
    log = GrowingLog(*(f"{number}" for number in range(held)))
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    fork = GrowingLog("another", *(f"{number}" for number in range(1, held + 4)))
    answer = partner.ask(fork.request(held))
    assert answer.status == 422
    (kept,) = partner.evidence
    assert fork.note() in kept
    assert f"leads to another root of {held} entries" in kept
    assert "".join(fork.request(held).decode().partition("\n\n")[0].split("\n", 1)[1:]) in kept


def test_signatures_that_others_put_under_a_head_are_not_kept_with_it(tmp_path: Path) -> None:
    log, fork = GrowingLog(*"abc"), GrowingLog(*"abX")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    foreign = "— stranger AAAAAAAA\n" * 40
    assert partner.ask(format_request(3, [], fork.note() + foreign).encode()).status == 422
    assert "stranger" not in partner.evidence[0]


def test_evidence_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradiction, "MOST", 3)
    log = GrowingLog(*"abc")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    for number in range(6):
        partner.ask(format_request(3, [], GrowingLog("a", "b", f"past {number}").note()).encode())
    assert len(partner.evidence) == 3


# Keys of the log that sign no more


def test_a_retired_key_moves_nothing_and_is_no_evidence(tmp_path: Path) -> None:
    old = GrowingLog(*"abc")
    new = GrowingLog(*"abc", seed=b"\1" * 32)
    partner = Partner(tmp_path, keys=[f"{old.vkey} 0-4", f"{new.vkey} 3-"])
    assert partner.ask(old.request(0)).status == 200
    new.grow(*"defg")
    assert partner.ask(new.request(3)).status == 200
    stolen = GrowingLog(*"abcdefg").grow("junk", "more")
    assert partner.ask(stolen.request(7)).status == 403
    assert partner.ask(GrowingLog(*"1234567").request(7)).status == 403
    assert partner.evidence == []
    assert partner.ask(new.grow("h").request(7)).status == 200


def test_a_key_is_believed_from_its_first_size_on(tmp_path: Path) -> None:
    log = GrowingLog(*"abc")
    partner = Partner(tmp_path, keys=[f"{log.vkey} 4-9"])
    assert partner.ask(log.request(0)).status == 403
    assert partner.ask(log.grow("d").request(0)).status == 200


@pytest.mark.parametrize("sizes", ["", " 0-5", " 5-", " 7-7"])
def test_a_key_of_a_log_is_written_as_it_was_read(sizes: str) -> None:
    vkey = GrowingLog().vkey
    assert str(decode_log_key(f"{vkey}{sizes}\n")) == f"{vkey}{sizes}"


@pytest.mark.parametrize("sizes", ["5", "-5", "5-4", "a-b", "01-2", "0-5-6", "0 - 5", "-"])
def test_sizes_that_are_none_are_refused(sizes: str) -> None:
    with pytest.raises(NoteError, match="FIRST-LAST"):
        decode_log_key(f"{GrowingLog().vkey} {sizes}")


def test_it_says_at_its_start_when_a_key_gone_by_signed_what_it_holds(tmp_path: Path) -> None:
    log, state = GrowingLog(*"abc"), tmp_path / "state.json"
    with cosigner(state, [log.vkey]) as running:
        assert running.ask(log.request(0))[0] == 200
    with cosigner(state, [f"{log.vkey} 0-3"]) as running:
        assert "NO KEY" not in running.printed
    with cosigner(state, [f"{log.vkey} 0-2"]) as running:
        assert "NO KEY that may sign a head of 3 entries" in running.printed
    with cosigner(state, []) as running:  # the sizes are remembered with the key
        assert running.ask(log.grow("d").request(3))[0] == 403


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda body: body[:-1],
        lambda body: b"\n" + body,
        lambda body: body.replace(b"old 0", b"old 00"),
        lambda body: body.replace(b"old 0", b"old  0"),
        lambda body: body.replace(b"old 0", b"old -1"),
        lambda body: body.replace(b"old 0", b"old 9223372036854775807"),
        lambda body: body.replace(b"old 0", b"size 0"),
        lambda body: body.replace(b"old 0\n", b"old 0\r\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + b"A" * 42 + b"F=\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + (b"A" * 43 + b"=\n") * 64),
        lambda body: body.replace(b"old 0\n\n", b"old 0\n"),
        lambda body: body.replace(b"\n2\n", b"\n02\n"),
        lambda body: body.replace(b"\n2\n", b"\n2\nextension\n"),
        lambda body: body + b"\xff\n",
        lambda body: body + b"x" * MAX_BODY,
    ],
)
def test_anything_but_the_one_form_of_a_request_is_a_bad_request(tmp_path: Path, spoil: object) -> None:
    log = GrowingLog("a", "b")
    partner = Partner(tmp_path, log)
    assert partner.ask(spoil(log.request(0))).status == 400  # type: ignore[operator]
    assert partner.ask(log.request(0)).status == 200


def test_random_damage_never_yields_a_cosignature_for_another_head(tmp_path: Path) -> None:
    log = GrowingLog(*"abcde")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    log.grow(*"fghijk")
    good, rng = log.request(5), random.Random(7)
    for _ in range(2000):
        body = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(body))
            choice = rng.randrange(3)
            if choice == 0:
                body[place] = rng.randrange(256)
            elif choice == 1:
                del body[place]
            else:
                body.insert(place, rng.randrange(256))
        if bytes(body) == good:
            continue
        answer = partner.ask(bytes(body))
        assert answer.status in (400, 403, 404, 409, 422)
    assert partner.ask(good).status == 200


def test_what_cannot_be_written_is_not_cosigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = GrowingLog("a")
    partner = Partner(tmp_path, log)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cosigners, "write_durably", full)
    assert partner.ask(log.request(0)).status == 500
    monkeypatch.undo()
    assert partner.memory.held == {}
    assert partner.ask(log.request(0)).status == 200


def test_the_state_is_on_the_disk_before_the_answer_leaves(tmp_path: Path) -> None:
    log = GrowingLog("a", "b")
    partner = Partner(tmp_path, log)
    answer = partner.ask(log.request(0))
    partner.memory.close()
    again = Memory(partner.state)
    assert again.held[ORIGIN].note == log.note() + answer.body
    again.close()


def test_two_pasts_sent_at_once_yield_one(tmp_path: Path) -> None:
    log = GrowingLog("a")
    partner = Partner(tmp_path, log)
    assert partner.ask(log.request(0)).status == 200
    pasts = [GrowingLog("a", f"past {number}").request(1) for number in range(16)]
    answers: list[Answer] = []
    gate = threading.Barrier(len(pasts))

    def send(body: bytes) -> None:
        gate.wait()
        answers.append(partner.ask(body))

    threads = [threading.Thread(target=send, args=[body]) for body in pasts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200] + [409] * 15


def test_a_second_process_does_not_get_the_same_state(tmp_path: Path) -> None:
    partner = Partner(tmp_path, GrowingLog())
    with pytest.raises(CosignerProblem, match="another cosigner uses"):
        Memory(partner.state)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "vkey": "", "logs": [], "heads": {}}',
        '{"version": 1, "logs": [], "heads": {}}',
        '{"version": 1, "vkey": "a", "logs": ["b"], "heads": {}}',
        '{"version": 1, "vkey": "a", "logs": [], "heads": {"c": "d"}}',
    ],
)
def test_a_damaged_state_is_refused_and_not_replaced_by_a_guess(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "state.json").write_text(damaged)
    with pytest.raises(CosignerProblem, match="guess"):
        load(tmp_path / "state.json", tmp_path / "key", None)
    assert (tmp_path / "state.json").read_text() == damaged


def test_a_cosigner_that_lost_its_state_does_not_begin_anew_under_its_key(tmp_path: Path) -> None:
    partner = Partner(tmp_path, GrowingLog())
    partner.memory.close()
    partner.state.unlink()
    with pytest.raises(CosignerProblem, match="never begins anew"):
        load(partner.state, tmp_path / "key", None)


def test_a_state_of_another_key_is_refused(tmp_path: Path) -> None:
    partner = Partner(tmp_path, GrowingLog())
    partner.memory.close()
    (tmp_path / "other").mkdir()
    Partner(tmp_path / "other", GrowingLog()).memory.close()
    with pytest.raises(CosignerProblem, match="another key"):
        load(partner.state, tmp_path / "other" / "key", None)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    partner = Partner(tmp_path, GrowingLog())
    partner.memory.close()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(CosignerProblem, match="0600"):
        load(partner.state, tmp_path / "key", None)


# The process


def test_a_killed_cosigner_holds_what_it_signed_and_nothing_else(tmp_path: Path) -> None:
    log = GrowingLog("a")
    state, size, name = tmp_path / "state.json", 0, None
    rng = random.Random(3)
    for life in range(12):
        with cosigner(state, [log.vkey]) as running:
            name = name or running.verifier.vkey
            assert running.verifier.vkey == name
            for _ in range(3):
                status, _, body = running.ask(log.request(size))
                assert status == 200, body
                size = log.size
                log.grow(f"{life}")
            sending = threading.Thread(target=_ask_and_forget, args=[running.port, log.request(size)])
            sending.start()
            time.sleep(rng.random() * 0.01)
            os.kill(running.process.pid, signal.SIGKILL)
            sending.join()
        with cosigner(state, [log.vkey]) as running:
            other = GrowingLog(*(f"x{number}" for number in range(log.size + 1)))
            status, kind, body = running.ask(other.request(0))
            assert (status, kind) == (409, SIZE)
            assert int(body) in (size, log.size)
            size = int(body)
            assert running.ask(other.request(size))[0] == 422


def _ask_and_forget(port: int, body: bytes) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(
                b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            connection.recv(4096)
    except OSError:
        pass


def test_it_prints_its_key_stops_gracefully_and_shows_the_head_it_cosigned(tmp_path: Path) -> None:
    log = GrowingLog("a", "b")
    with cosigner(tmp_path / "state.json", [log.vkey], name="bar.example/cosigner") as running:
        assert running.verifier.name == "bar.example/cosigner"
        place = f"/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
        assert running.get(place)[0] == 404
        assert running.ask(log.request(0))[0] == 200
        status, note = running.get(place)
        assert status == 200
        opened = open_note(note, [decode_vkey(log.vkey), running.verifier])
        assert parse_checkpoint(opened.text).size == 2
        assert running.get("/")[0] == 404
        assert running.ask(log.request(2), path="/other")[0] == 404
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
    with cosigner(tmp_path / "state.json", [log.vkey]) as running:
        assert f"log {ORIGIN}: cosigned up to 2 entries" in running.printed


def test_slow_large_and_many_clients_do_not_keep_others_out(tmp_path: Path) -> None:
    log = GrowingLog("a")
    with cosigner(tmp_path / "state.json", [log.vkey]) as running:
        address = ("127.0.0.1", running.port)
        for head in (
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(head)
                answer = connection.recv(4096)
                assert answer.split()[1] in (b"411", b"413")
        slow = [socket.create_connection(address, timeout=10) for _ in range(CONNECTIONS)]
        for connection in slow:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Le")
        time.sleep(0.5)
        with socket.create_connection(address, timeout=10) as late:
            try:
                late.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert late.recv(100) == b""
            except ConnectionError:
                pass
        for connection in slow:
            connection.close()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert running.ask(log.request(0))[0] == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_a_client_that_drips_is_cut_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger import cosigner_server

    monkeypatch.setattr(cosigner_server, "CONNECTION_SECONDS", 1.0)
    partner = Partner(tmp_path, GrowingLog())
    server = cosigner_server.Server(("127.0.0.1", 0), partner.cosigner)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        try:
            while time.monotonic() - began < 8:
                connection.sendall(b"x")
                time.sleep(0.2)
        except OSError:
            pass
    server.shutdown()
    server.server_close()
    assert time.monotonic() - began < 5


def test_it_cosigns_by_file_for_a_machine_without_network(tmp_path: Path) -> None:
    log = GrowingLog("a", "b")
    request = tmp_path / "request"
    request.write_bytes(log.request(0))
    state = tmp_path / "state.json"
    whole = _by_file(state, log, "--checkpoint", str(request))
    assert whole.returncode == 0, whole.stderr
    vkey = whole.stderr.decode().split("the key of this cosigner is ")[1].split()[0]
    opened = open_note(whole.stdout, [decode_vkey(log.vkey), decode_cosigner_vkey(vkey)])
    assert len(opened.signed_by) == 2
    log.grow("c")
    head, _, note = log.request(2).partition(b"\n\n")
    (tmp_path / "proof").write_bytes(head + b"\n")
    (tmp_path / "checkpoint").write_bytes(note)
    parts = _by_file(state, log, "--checkpoint", str(tmp_path / "checkpoint"), "--proof", str(tmp_path / "proof"))
    assert parts.returncode == 0, parts.stderr
    stale = _by_file(state, log, "--checkpoint", str(request))
    assert stale.returncode == 1
    assert stale.stdout == b""
    assert b"holds 3 entries" in stale.stderr


def test_the_logs_are_remembered_and_those_given_anew_take_their_place(tmp_path: Path) -> None:
    log, other = GrowingLog("a"), GrowingLog("a", origin="other.example/log")
    state = tmp_path / "state.json"
    with cosigner(state, [log.vkey]) as running:
        assert running.ask(log.request(0))[0] == 200
    with cosigner(state, []) as running:
        assert running.ask(log.grow("b").request(1))[0] == 200
        assert running.ask(other.request(0))[0] == 404
    with cosigner(state, [other.vkey]) as running:
        assert running.ask(log.request(2))[0] == 404
        assert running.ask(other.request(0))[0] == 200
    with cosigner(state, [log.vkey]) as running:  # what was cosigned is held, whoever is trusted meanwhile
        assert running.ask(GrowingLog("x", "y").request(2))[0] == 422


def _by_file(state: Path, log: GrowingLog, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-m", "ledger", "cosign", "--state", str(state), "--log", log.vkey, *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--state", "x"],
        ["--state", "x", "--listen", "127.0.0.1:0"],
        ["--state", "x", "--listen", "127.0.0.1:0", "--log", "no key"],
        ["--state", "x", "--listen", "nowhere", "--log", GrowingLog().vkey],
        ["--state", "x", "--checkpoint", "there is none", "--log", GrowingLog().vkey],
    ],
)
def test_a_wrong_command_line_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["cosign", *arguments]) == 3


def test_the_pure_signature_is_the_one_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger import ed25519

    log = GrowingLog("a")
    partner = Partner(tmp_path, log)
    monkeypatch.setattr(ed25519, "NATIVE", False)
    answer = partner.ask(log.request(0))
    monkeypatch.undo()
    assert answer.status == 200
    assert len(open_note(log.note() + answer.body, [decode_vkey(log.vkey), partner.verifier]).signed_by) == 2
    assert split_note(partner.memory.held[ORIGIN].note)[0] == log.text()

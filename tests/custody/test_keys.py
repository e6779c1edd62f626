"""Keys: kept where only the service reads them, and bound to the one row they belong to."""

import base64
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.checks import run_checks
from django.views.debug import ExceptionReporter

from custody import seal
from custody.keys import (
    LIST,
    KeyRing,
    Listed,
    Ring,
    derive,
    provider,
    read_or_make_secret,
    read_ring,
    read_secret,
    write_durably,
    write_ring,
)
from custody.memory import Secret
from custody.wrapping import KeyProblem, key_id
from evidence import blobs, streams
from evidence.blobs import Received
from tests import factories


def test_a_key_file_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "kek"
    secret = read_or_make_secret(path)
    assert len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_secret(path) == secret
    assert [entry.name for entry in path.parent.iterdir()] == ["kek"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o700 | 0o011])
def test_a_key_file_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek"
    read_or_make_secret(path)
    path.chmod(mode)
    with pytest.raises(KeyProblem, match="others may read"):
        read_or_make_secret(path)


@pytest.mark.parametrize("damaged", [b"", b"!!!", b"AAAA"])
def test_a_damaged_key_file_is_refused_and_left_alone(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "kek"
    path.touch(mode=0o600)
    path.write_bytes(damaged)
    with pytest.raises(KeyProblem, match="not a key file"):
        read_or_make_secret(path)
    assert path.read_bytes() == damaged


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    secrets: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: secrets.append(read_or_make_secret(tmp_path / "kek"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 16
    assert len(set(secrets)) == 1


def test_a_wrapped_key_opens_only_in_its_own_row_and_unchanged(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    wrapped = ring.wrap(b"k" * 32, "blob/1")
    assert ring.unwrap(wrapped, "blob/1") == b"k" * 32
    assert ring.wrap(b"k" * 32, "blob/1") != wrapped
    assert wrapped[:9] == b"\x02" + ring.current
    with pytest.raises(KeyProblem):
        ring.unwrap(wrapped, "blob/2")
    for at in range(len(wrapped)):
        with pytest.raises(KeyProblem):
            ring.unwrap(wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :], "blob/1")
    for short in (b"", wrapped[:1], wrapped[:9], wrapped[:10]):
        with pytest.raises(KeyProblem):
            ring.unwrap(short, "blob/1")
    (tmp_path / "other").mkdir()
    with pytest.raises(KeyProblem, match="which this archive does not have"):
        KeyRing(tmp_path / "other").unwrap(wrapped, "blob/1")


def wrapped_as_before_keys_had_names(folder: Path, key: bytes, context: str) -> bytes:
    """Version 1, as it was written: version, nonce, AES-256-GCM under the one key file, bound to the context."""
    nonce = bytes(range(12))
    return b"\x01" + nonce + AESGCM(read_secret(folder / "kek")).encrypt(nonce, key, context.encode())


def test_the_old_form_of_an_envelope_opens_in_its_row_alone_also_after_rotations(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    wrapped = wrapped_as_before_keys_had_names(tmp_path, b"k" * 32, "blob/1")
    assert ring.unwrap(wrapped, "blob/1") == b"k" * 32
    with pytest.raises(KeyProblem):
        ring.unwrap(wrapped, "blob/2")
    first = read_ring(tmp_path).keys[0]
    name = key_id(read_or_make_secret(tmp_path / "kek-2")).hex()
    write_ring(tmp_path, Ring(name, (Listed(name, file="kek-2"), first)))
    assert ring.unwrap(wrapped, "blob/1") == b"k" * 32
    assert ring.current.hex() == name
    with pytest.raises(KeyProblem):  # nobody makes an old envelope out of a new one
        ring.unwrap(b"\x01" + ring.wrap(b"k" * 32, "blob/1")[9:], "blob/1")


def test_a_process_at_work_wraps_under_a_new_key_as_soon_as_the_list_names_it(tmp_path: Path) -> None:
    ring, other = KeyRing(tmp_path), KeyRing(tmp_path)
    old = ring.wrap(b"k" * 32, "blob/1")
    first = read_ring(tmp_path).keys[0]
    name = key_id(read_or_make_secret(tmp_path / "kek-2")).hex()
    write_ring(tmp_path, Ring(name, (first, Listed(name, file="kek-2"))))
    new = other.wrap(b"k" * 32, "blob/1")
    assert new[1:9].hex() == name
    assert ring.unwrap(new, "blob/1") == ring.unwrap(old, "blob/1") == b"k" * 32


def test_a_list_that_is_gone_or_damaged_is_refused_and_no_key_is_made_in_its_place(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    first = read_ring(tmp_path).keys[0]
    name = key_id(read_or_make_secret(tmp_path / "kek-2")).hex()
    write_ring(tmp_path, Ring(name, (first, Listed(name, file="kek-2"))))
    ring.wrap(b"k" * 32, "blob/1")
    whole = (tmp_path / LIST).read_text()
    for damaged in ("", "{}", whole[:-9], whole.replace(name, "00" * 8), whole.replace('"version": 1', '"version": 2')):
        (tmp_path / LIST).write_text(damaged)
        with pytest.raises(KeyProblem, match=r"damaged|newer|another key"):
            KeyRing(tmp_path)
    (tmp_path / LIST).unlink()
    (tmp_path / "kek").unlink()
    with pytest.raises(KeyProblem, match="is missing"):
        KeyRing(tmp_path)
    with pytest.raises(KeyProblem, match="is missing"):
        ring.wrap(b"k" * 32, "blob/1")
    assert not (tmp_path / "kek").exists()


def test_a_key_file_with_another_key_than_the_list_says_is_refused(tmp_path: Path) -> None:
    KeyRing(tmp_path)
    write_ring(tmp_path, read_ring(tmp_path))
    (tmp_path / "kek").unlink()
    read_or_make_secret(tmp_path / "kek")
    with pytest.raises(KeyProblem, match="holds another key"):
        KeyRing(tmp_path)


def test_keys_among_what_they_protect_are_refused_at_the_start(settings: Any) -> None:
    for name in ("SANAD_STORE", "SANAD_STAGING", "SANAD_EXPORTS", "SANAD_LEDGER"):
        provider.cache_clear()
        settings.SANAD_KEY_FOLDER = getattr(settings, name) / "keys"
        with pytest.raises(KeyProblem, match="among what they protect"):
            provider()
        settings.SANAD_KEY_FOLDER.mkdir()
        (settings.SANAD_KEY_FOLDER / "kek").touch()
        assert [problem.id for problem in run_checks()] == ["custody.E010"]
        (settings.SANAD_KEY_FOLDER / "kek").unlink()
        settings.SANAD_KEY_FOLDER.rmdir()


@pytest.mark.django_db
def test_a_key_that_others_may_read_stops_the_start(settings: Any, tmp_path: Path) -> None:
    settings.SANAD_KEY_FOLDER = tmp_path
    read_or_make_secret(tmp_path / "kek").hex()
    assert run_checks() == []
    provider.cache_clear()
    (tmp_path / "kek").chmod(0o640)
    problems = run_checks()
    assert [(problem.id, "others may read" in problem.msg) for problem in problems] == [("custody.E010", True)]


def test_a_key_shows_in_no_repr_and_no_pickle_and_can_be_wiped(tmp_path: Path) -> None:
    key = Secret(b"k" * 32)
    for told in (repr(key), str(key), f"{key}", f"{key!r}", repr([key]), format(key)):
        assert "kkk" not in told
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    received = Received(uuid4(), "a", 1, key, "b", "c", 1)
    assert "kkk" not in repr(received)
    with key:
        assert key == b"k" * 32
    assert key == bytes(32)
    secret = read_or_make_secret(tmp_path / "kek")
    assert secret.hex() not in repr(KeyRing(tmp_path)) + repr(vars(KeyRing(tmp_path)))


@pytest.mark.django_db
def test_the_page_of_an_error_shows_no_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DEBUG it shows every variable of every frame: here of the way from the wrapped key to the bytes."""
    settings.DEBUG = True
    item = factories.make_item(data=b"x")
    key = bytes(provider().unwrap(bytes(item.blob.wrapped_key), f"blob/{item.blob_id}"))
    monkeypatch.setattr(streams.Decryptor, "_open", lambda *_: 1 // 0)
    told = ""
    try:
        list(blobs.read_blob(item.blob))
    except ZeroDivisionError:
        told = ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
    try:
        with provider().unwrap(bytes(item.blob.wrapped_key), f"blob/{item.blob_id}") as held:
            provider().wrap(held, "\ud800")
    except UnicodeEncodeError:
        told += ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
    assert "secret bytes" in told
    for shown in (key.hex(), repr(key)[2:-1], base64.b64encode(key).decode()):
        assert shown not in told


def test_a_process_that_holds_keys_leaves_no_core_dump(tmp_path: Path) -> None:
    program = (
        "import ctypes, resource, sys; from pathlib import Path; import django; django.setup()\n"
        "from custody.keys import KeyRing\n"
        "before = ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE)[0]\n"
        "KeyRing(Path(sys.argv[1]))\n"
        "print(before[0], ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
    )
    environ = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-c", program, str(tmp_path)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environ, check=True)
    assert ended.stdout.split() == ["1", "0", "0"]


def test_a_key_for_a_purpose_says_nothing_about_another() -> None:
    assert derive(b"s" * 32, "one") == derive(b"s" * 32, "one")
    assert derive(b"s" * 32, "one") != derive(b"s" * 32, "two")
    assert len(derive(b"s" * 32, "one")) == 32


def test_a_state_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    write_durably(path, "one")
    write_durably(path, "two")
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


@pytest.mark.django_db
def test_a_sealed_value_opens_under_its_own_subject_and_label_alone() -> None:
    subject, other = uuid4(), uuid4()
    sealed = seal.seal(subject, "original_name", "صورة.jpg".encode())
    seal.seal(other, "original_name", b"x")
    assert seal.unseal(subject, "original_name", sealed).decode() == "صورة.jpg"
    for wrong_subject, label, value in (
        (other, "original_name", sealed),
        (subject, "claims", sealed),
        (subject, "original_name", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (subject, "original_name", b"short"),
        (uuid4(), "original_name", sealed),
    ):
        with pytest.raises(seal.SealBroken):
            seal.unseal(wrong_subject, label, value)


@pytest.mark.django_db
def test_two_subjects_have_two_keys() -> None:
    one, two = uuid4(), uuid4()
    seal.seal(one, "a", b"x")
    with pytest.raises(seal.SealBroken, match="destroyed"):
        seal.existing_aead(two)

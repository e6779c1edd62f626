"""Keys: kept where only the service reads them, and bound to the one row they belong to."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest

from custody import seal
from custody.keys import FileKeyProvider, KeyProblem, derive, read_or_make_secret, write_durably


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


def test_a_wrapped_key_opens_only_in_its_own_context_and_unchanged(tmp_path: Path) -> None:
    provider = FileKeyProvider(tmp_path / "kek")
    wrapped = provider.wrap(b"k" * 32, "blob/1")
    assert provider.unwrap(wrapped, "blob/1") == b"k" * 32
    assert provider.wrap(b"k" * 32, "blob/1") != wrapped
    for changed, context in (
        (wrapped, "blob/2"),
        (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), "blob/1"),
        (b"\x02" + wrapped[1:], "blob/1"),
        (wrapped[:10], "blob/1"),
    ):
        with pytest.raises(KeyProblem):
            provider.unwrap(changed, context)
    with pytest.raises(KeyProblem):
        FileKeyProvider(tmp_path / "other").unwrap(wrapped, "blob/1")


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

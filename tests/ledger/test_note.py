"""Signed notes, checkpoints and proof files: a published note of Go's, and everything a strict reader refuses."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import CheckpointError, format_checkpoint, open_checkpoint, parse_checkpoint
from ledger.merkle import ProofError
from ledger.note import (
    Ed25519Verifier,
    NoteError,
    decode_vkey,
    encode_vkey,
    fingerprint,
    open_note,
    split_note,
    to_base64,
)
from ledger.proof import format_proof, parse_proof, verify_proof
from ledger.sign import Ed25519Signer, sign_note
from tests.ledger.sample import ORIGIN, Log, sample_log

# The example of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ALICE, BOB = Ed25519Signer("alice.example", bytes(32)), Ed25519Signer("bob.example", b"\1" * 32)


def verifier(signer: Ed25519Signer) -> Ed25519Verifier:
    return decode_vkey(signer.vkey)


def test_a_note_of_another_implementation_opens() -> None:
    opened = open_note(GO_NOTE.encode(), [decode_vkey(GO_KEY)])
    assert opened.text.startswith("If you think")
    assert opened.text.endswith("problem is.\n")
    assert decode_vkey(GO_KEY).vkey == GO_KEY


@given(st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_a_verifier_key_survives_its_text_even_with_plus_in_base64(seed: bytes) -> None:
    signer = Ed25519Signer("log.example/one", seed)
    decoded = decode_vkey(signer.vkey)
    assert (decoded.name, decoded.public, decoded.key_id) == (signer.name, signer.public, signer.key_id)


def test_a_key_whose_base64_holds_plus_is_among_those_tested() -> None:
    assert any(Ed25519Signer("a", bytes([n]) * 32).vkey.count("+") > 2 for n in range(40))


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("c74f20a3", "C74F20A3"),
        GO_KEY.replace("PeterNeumann", "Peter"),
        GO_KEY[:-4],
        GO_KEY + "\n",
        GO_KEY.replace("+ARpc", "+AhRpc"),
        "a b+00000000+AAAA",
        "+00000000+AAAA",
        "a+00000000+\ud800",
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        decode_vkey(vkey)


def test_a_key_of_small_order_or_another_algorithm_is_refused() -> None:
    with pytest.raises(NoteError, match="public key"):
        encode_and_decode(bytes(32))
    with pytest.raises(NoteError, match="Ed25519"):
        decode_vkey("a+00000000+" + to_base64(b"\x02" + ALICE.public))


def encode_and_decode(public: bytes) -> None:
    decode_vkey(encode_vkey("name", public))


def test_a_fingerprint_is_the_digest_of_the_verifier_key() -> None:
    assert len(fingerprint(GO_KEY)) == 79
    assert fingerprint(GO_KEY) != fingerprint(ALICE.vkey)


def test_signatures_of_unknown_keys_are_ignored_and_one_known_key_suffices() -> None:
    note = sign_note("text\n\nmore\n", ALICE, BOB)
    assert [key.name for key in open_note(note, [verifier(BOB)]).signed_by] == ["bob.example"]
    assert [key.name for key in open_note(note, [verifier(ALICE), verifier(BOB)]).signed_by] == [
        "alice.example",
        "bob.example",
    ]
    assert open_note(note, [verifier(ALICE)]).text == "text\n\nmore\n"


def test_a_note_nobody_trusted_has_signed_is_refused() -> None:
    with pytest.raises(NoteError, match="no trusted key"):
        open_note(sign_note("text\n", ALICE), [verifier(BOB)])
    with pytest.raises(NoteError, match="no trusted key"):
        open_note(sign_note("text\n", ALICE), [])


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    text, _ = split_note(sign_note("text\n", ALICE))
    note = sign_note(text, BOB) + sign_note("other\n", ALICE).split("\n\n")[1]
    with pytest.raises(NoteError, match=r"alice\.example is not valid"):
        open_note(note, [verifier(ALICE), verifier(BOB)])


def test_a_key_that_signed_twice_spoils_the_note() -> None:
    note = sign_note("text\n", ALICE)
    with pytest.raises(NoteError, match="twice"):
        open_note(note + note.split("\n\n")[1], [verifier(ALICE)])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_changed_byte_of_a_note_is_refused(data: st.DataObject) -> None:
    note = bytearray(sign_note("one line\nanother\n", ALICE).encode())
    note[data.draw(st.integers(0, len(note) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NoteError):
        open_note(bytes(note), [verifier(ALICE)])


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_reading_a_note_refuses_and_never_breaks(data: bytes) -> None:
    with pytest.raises(NoteError):
        open_note(data, [verifier(ALICE)])


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "null\0\n", "return\r\n"])
def test_a_text_that_is_no_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, ALICE)


def test_a_note_needs_signers_with_names_and_has_a_limit() -> None:
    with pytest.raises(NoteError):
        sign_note("text\n")
    with pytest.raises(NoteError):
        Ed25519Signer("a+b", bytes(32))
    with pytest.raises(NoteError, match="too long"):
        open_note("x" * 70_000, [])
    with pytest.raises(NoteError, match="signatures"):
        open_note(sign_note("text\n", *[ALICE] * 65), [verifier(ALICE)])


def test_a_checkpoint_is_what_it_was_made_of() -> None:
    parsed = parse_checkpoint(format_checkpoint("log.example", 7, b"\2" * 32))
    assert (parsed.origin, parsed.size, parsed.root) == ("log.example", 7, b"\2" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n7\n",
        "log\n07\n" + to_base64(bytes(32)) + "\n",
        "log\n-7\n" + to_base64(bytes(32)) + "\n",
        "log\n٧\n" + to_base64(bytes(32)) + "\n",
        "log\n9223372036854775807\n" + to_base64(bytes(32)) + "\n",
        "log\n7\n" + to_base64(bytes(31)) + "\n",
        "log\n7\n" + to_base64(bytes(32))[:-1] + "\n",
        "log\n7\n" + to_base64(bytes(32)) + "\nextension\n",
        "log\n7\n" + to_base64(bytes(32)),
        "\n7\n" + to_base64(bytes(32)) + "\n",
        "log\n7\n" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=" + "\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        parse_checkpoint(text)


def test_a_checkpoint_cannot_be_made_of_nonsense() -> None:
    for origin, size, root in [("", 1, bytes(32)), ("a\nb", 1, bytes(32)), ("a", -1, bytes(32)), ("a", 1, b"")]:
        with pytest.raises(CheckpointError):
            format_checkpoint(origin, size, root)


def test_a_checkpoint_signed_by_the_key_of_another_log_is_refused() -> None:
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(sign_note(format_checkpoint("bob.example", 1, bytes(32)), ALICE), [verifier(ALICE)])


def test_a_proof_file_proves_its_entry_and_no_other() -> None:
    log, _ = sample_log()
    for index, entry in enumerate(log.entries):
        proof = parse_proof(log.proof(index).encode())
        assert verify_proof(proof, entry, [verifier(log.signer)]).size == len(log.entries)
        for other in range(len(log.entries)):
            if other != index:
                with pytest.raises(ProofError):
                    verify_proof(proof, log.entries[other], [verifier(log.signer)])
                with pytest.raises(ProofError):
                    verify_proof(replace(proof, index=other), entry, [verifier(log.signer)])


def test_a_proof_of_the_only_entry_has_no_path() -> None:
    log = Log()
    log.record("ingestion", {})
    proof = parse_proof(log.proof(0))
    assert proof.path == ()
    assert verify_proof(proof, log.entries[0], [verifier(log.signer)]).origin == ORIGIN


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_changed_byte_of_a_proof_file_is_refused(data: st.DataObject) -> None:
    log, _ = sample_log()
    text = bytearray(log.proof(1).encode())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((ProofError, NoteError, CheckpointError)):
        verify_proof(parse_proof(bytes(text)), log.entries[1], [verifier(log.signer)])


@pytest.mark.parametrize(
    "change",
    [
        ("index 1\n", "extra AAAA\nindex 1\n"),
        ("index 1\n", ""),
        ("index 1\n", "index 01\n"),
        ("index 1\n", "index 4611686018427387904\n"),
        ("index 1\n", "index 1\nAAAA\n"),
        ("v1\n", "v2\n"),
        ("\n\n", "\n"),
    ],
)
def test_a_proof_file_of_another_shape_is_refused(change: tuple[str, str]) -> None:
    log, _ = sample_log()
    with pytest.raises(ProofError):
        parse_proof(log.proof(1).replace(*change, 1))


def test_a_proof_file_has_a_limit() -> None:
    log, _ = sample_log()
    with pytest.raises(ProofError, match="too long"):
        parse_proof("x" * 80_000)
    with pytest.raises(ProofError, match="UTF-8"):
        parse_proof(b"\xff")
    with pytest.raises(ProofError, match="path"):
        parse_proof(format_proof(0, [bytes(32)] * 65, log.note()))

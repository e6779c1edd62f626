"""Signed notes (C2SP signed-note) with Ed25519, and verifier keys as in Go's x/mod/sumdb/note.

A vkey is name+keyid+base64(type || public key); base64 may hold '+', so it is split at the first two only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from ledger import ed25519

ED25519 = 0x01
MAX_NOTE_BYTES, MAX_SIGNATURES = 64 * 1024, 64

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_NAME = re.compile(r"[!-*,-~]{1,128}\Z")  # printable ASCII without space and plus


class NoteError(ValueError):
    """A note or key is malformed, or no trusted key has signed. The message says which."""


class Ed25519Verifier:
    """Verifies signatures of `name` by a 32-byte public key. Raises NoteError for a key that is none."""

    kind = ED25519

    def __init__(self, name: str, public: bytes) -> None:
        if not ed25519.usable(public):
            raise NoteError("not an Ed25519 public key")
        self.name, self.public, self.key_id = named(name), public, key_id(name, self.kind, public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        return ed25519.verify(self.public, message, signature)

    @property
    def vkey(self) -> str:
        return encode_vkey(self.name, self.public, self.kind)


class Signature(NamedTuple):
    """One signature line; nothing about it is verified."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A note with at least one valid signature of a trusted key. `signed_by` are those keys."""

    text: str
    signed_by: Sequence[Ed25519Verifier]


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256(name || LF || type || public key)[:4] (C2SP signed-note, Signatures)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def encode_vkey(name: str, public: bytes, kind: int = ED25519) -> str:
    """The verifier key of an Ed25519 public key (32 bytes)."""
    return f"{named(name)}+{key_id(name, kind, public).hex()}+{to_base64(bytes([kind]) + public)}"


def decode_vkey(vkey: str) -> Ed25519Verifier:
    """The verifier of a vkey. Raises NoteError for a malformed one or a key id that is not its own."""
    return Ed25519Verifier(*split_vkey(vkey, ED25519))


def split_vkey(vkey: str, kind: int) -> tuple[str, bytes]:
    """(name, public key) of a vkey of that type. Raises NoteError."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise NoteError("a verifier key has three parts: name+id+key")
    key = unbase64(parts[2])
    if len(key) != 33 or key[0] != kind or parts[1] != key_id(named(parts[0]), kind, key[1:]).hex():
        raise NoteError("not an Ed25519 verifier key of this type, or its key id is not that of the key")
    return parts[0], key[1:]


def fingerprint(vkey: str) -> str:
    """What people compare: hex SHA-256 of the vkey's bytes, in groups of four."""
    digest = hashlib.sha256(vkey.encode()).hexdigest()
    return " ".join(digest[at : at + 4] for at in range(0, 64, 4))


def split_note(note: bytes | str) -> tuple[str, list[Signature]]:
    """(text, signatures) of a note, its form checked and nothing verified. Raises NoteError."""
    try:
        whole = note.decode("utf-8") if isinstance(note, bytes) else note
        size = len(whole.encode("utf-8"))
    except UnicodeError:
        raise NoteError("the note is not UTF-8") from None
    if size > MAX_NOTE_BYTES or _CONTROL.search(whole):
        raise NoteError("the note is too long or holds a control character")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n"):
        raise NoteError("the note has no signatures")
    lines = whole[cut + 2 :].split("\n")[:-1]
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise NoteError(f"the note has {len(lines)} signatures, not 1 to {MAX_SIGNATURES}")
    return whole[: cut + 1], [_signature(line) for line in lines]


def open_note(note: bytes | str, verifiers: Sequence[Ed25519Verifier]) -> Note:
    """The note, once at least one given key has signed it. Signatures of other keys are ignored.

    Raises NoteError when the form is wrong, when a signature under a given key does not verify, or when no given
    key has signed.
    """
    text, signatures = split_note(note)
    message, signed_by = text.encode(), []
    for verifier in verifiers:
        lines = [line for line in signatures if (line.name, line.key_id) == (verifier.name, verifier.key_id)]
        if len(lines) > 1:
            raise NoteError(f"{verifier.name} has signed twice")
        if lines:
            if not verifier.verify(message, lines[0].signature):
                raise NoteError(f"the signature of {verifier.name} is not valid")
            signed_by.append(verifier)
    if not signed_by:
        raise NoteError("no trusted key has signed the note")
    return Note(text, tuple(signed_by))


def unbase64(text: str) -> bytes:
    """Standard base64 (RFC 4648 section 4) in its one canonical spelling. Raises NoteError."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error, ValueError):
        raise NoteError("malformed base64") from None
    if to_base64(data) != text:
        raise NoteError("malformed base64")
    return data


def _signature(line: str) -> Signature:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if mark != "—":
        raise NoteError("malformed signature line")
    data = unbase64(encoded)
    if len(data) < 5:
        raise NoteError("a signature is too short")
    return Signature(named(name), data[:4], data[4:])


def named(name: str) -> str:
    """The name, if it is one of a key. Raises NoteError."""
    if not _KEY_NAME.match(name):
        raise NoteError("a key name is 1 to 128 printable ASCII characters without plus")
    return name


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

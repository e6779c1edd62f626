"""Sealed values: small secrets in the database, each under the key of the one subject it is about."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from custody import keys, statements
from custody.memory import Secret
from custody.models import SubjectKey

_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed value was changed, moved to another row, or its key was destroyed."""


@dataclass(frozen=True)
class SubjectCipher:
    """The cipher of one subject and the wrapped key it came from; `fresh` while no row holds that key."""

    wrapped: bytes
    aead: AESGCM
    fresh: bool = False


def subject_aead(subject_id: UUID) -> AESGCM:
    """The cipher of one subject; its key is made on first use. Call inside a transaction that writes."""
    cipher = stored_cipher(subject_id)
    if cipher is None:
        made = fresh_cipher(subject_id)
        SubjectKey.objects.bulk_create([SubjectKey(subject_id=subject_id, wrapped=made.wrapped)], ignore_conflicts=True)
        cipher = stored_cipher(subject_id)
        assert cipher is not None  # of two first uses one made it, and the other waited for that one
    return cipher.aead


def stored_cipher(subject_id: UUID) -> SubjectCipher | None:
    """The cipher under the key that stands for this subject, None when there is none."""
    row = statements.fetch_one("SELECT wrapped FROM custody_subjectkey WHERE subject_id = %s", [subject_id])
    if row is None:
        return None
    (wrapped,) = row
    return SubjectCipher(wrapped, _opened(wrapped, subject_id))


def fresh_cipher(subject_id: UUID) -> SubjectCipher:
    """A cipher under a new key that is stored nowhere yet."""
    with Secret(secrets.token_bytes(keys.KEY_BYTES)) as key:
        return SubjectCipher(keys.provider().wrap(key, _context(subject_id)), AESGCM(key), fresh=True)


def existing_aead(subject_id: UUID) -> AESGCM:
    """The cipher of a subject that has one. Raises SealBroken when its key was destroyed, KeyAway."""
    row = SubjectKey.objects.filter(subject_id=subject_id).first()
    if row is None:
        raise SealBroken("the key of this subject was destroyed")
    try:
        return _opened(bytes(row.wrapped), subject_id)
    except keys.KeyAway:
        raise  # of the value it says nothing
    except keys.KeyProblem as problem:
        raise SealBroken(str(problem)) from None


def existing_aeads(subject_ids: Collection[str]) -> dict[str, AESGCM]:
    """The ciphers of those of the subjects whose key stands and opens, in one look. Ids are UUIDs as text.

    Raises KeyAway when that cannot be told now.
    """
    found: dict[str, AESGCM] = {}
    sql = "SELECT subject_id::text, wrapped FROM custody_subjectkey WHERE subject_id = ANY(%s::uuid[])"
    for subject_id, wrapped in statements.execute(sql, [list(subject_ids)]).fetchall():
        try:
            found[subject_id] = _opened(wrapped, subject_id)
        except keys.KeyAway:
            raise
        except keys.KeyProblem:
            continue
    return found


def seal(subject_id: UUID, label: str, value: bytes) -> bytes:
    """The value under the subject's key, bound to its label: it opens under no other label or subject."""
    return seal_with(subject_aead(subject_id), label, value)


def unseal(subject_id: UUID, label: str, sealed: bytes) -> bytes:
    """The value. Raises SealBroken."""
    return unseal_with(existing_aead(subject_id), label, sealed)


def seal_with(aead: AESGCM, label: str, value: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + aead.encrypt(nonce, value, label.encode())


def unseal_with(aead: AESGCM, label: str, sealed: bytes) -> bytes:
    try:
        return aead.decrypt(bytes(sealed[:_NONCE_BYTES]), bytes(sealed[_NONCE_BYTES:]), label.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(f"the sealed value of {label} was changed") from None


def _opened(wrapped: bytes, subject_id: UUID | str) -> AESGCM:
    with keys.provider().unwrap(wrapped, _context(subject_id)) as key:
        return AESGCM(key)  # which holds a copy of its own for as long as it lives


def _context(subject_id: UUID | str) -> str:
    return f"subject/{subject_id}"

"""Sealed values: small secrets in the database, each under the key of the one subject it is about."""

import secrets
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from custody import keys
from custody.models import SubjectKey

_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed value was changed, moved to another row, or its key was destroyed."""


def subject_aead(subject_id: UUID) -> AESGCM:
    """The cipher of one subject; its key is made on first use. Call inside a transaction that writes."""
    fresh = secrets.token_bytes(keys.KEY_BYTES)
    wrapped = keys.provider().wrap(fresh, _context(subject_id))
    row, made = SubjectKey.objects.get_or_create(subject_id=subject_id, defaults={"wrapped": wrapped})
    return AESGCM(fresh if made else keys.provider().unwrap(bytes(row.wrapped), _context(subject_id)))


def existing_aead(subject_id: UUID) -> AESGCM:
    """The cipher of a subject that has one. Raises SealBroken when its key was destroyed."""
    row = SubjectKey.objects.filter(subject_id=subject_id).first()
    if row is None:
        raise SealBroken("the key of this subject was destroyed")
    try:
        return AESGCM(keys.provider().unwrap(bytes(row.wrapped), _context(subject_id)))
    except keys.KeyProblem as problem:
        raise SealBroken(str(problem)) from None


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


def _context(subject_id: UUID) -> str:
    return f"subject/{subject_id}"

"""The golden vectors of docs/spec/keys.md, except what age makes at random: `python -m tests.vectors.keys` writes them.

Envelopes and objects follow from fixed keys and nonces. An age file differs each time, so those in keys.json are kept,
and the tests open them.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pyrage
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger.entry import canonical

FILE = Path(__file__).parent / "keys.json"
KEK, KEY = bytes(range(32)), bytes(range(100, 132))
BLOB = "0b5ba5d2-6b2c-4f0e-9d6f-7d1f4f6f2a11"
PLAIN = b"A photograph of a door.\n"


def fixed() -> dict[str, Any]:
    """Everything that has no chance in it, made here by the words of the specification alone."""
    nonce, context = bytes(range(200, 212)), f"blob/{BLOB}"
    key_id = hashlib.sha256(b"sanad/key-encryption-key-id/v1" + KEK).digest()[:8]
    associated = b"sanad/wrapped-key/v2\n\x02" + key_id + context.encode()
    envelope = {
        "key_encryption_key": KEK.hex(),
        "key_id": key_id.hex(),
        "data_key": KEY.hex(),
        "context": context,
        "v1": (b"\x01" + nonce + AESGCM(KEK).encrypt(nonce, KEY, context.encode())).hex(),
        "v2": (b"\x02" + key_id + nonce + AESGCM(KEK).encrypt(nonce, KEY, associated)).hex(),
        "v2_associated_data": associated.hex(),
    }
    salt, prefix, bound = bytes(range(32, 64)), bytes(range(64, 71)), f"sanad/blob/v1/{BLOB}"
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=bound.encode()).derive(KEY)
    stored = bytes([40]) + salt + prefix + AESGCM(derived).encrypt(prefix + bytes(4) + b"\x01", PLAIN, None)
    thing = {
        "blob": BLOB,
        "associated_data": bound,
        "plain": PLAIN.decode(),
        "sha256": hashlib.sha256(PLAIN).hexdigest(),
        "stored": stored.hex(),
        "address": hashlib.sha256(stored).hexdigest(),
        "commitment": hashlib.sha256(b"archive/key-commitment/v1" + KEY).hexdigest(),
    }
    return {"envelope": envelope, "object": thing}


def record() -> dict[str, Any]:
    """The escrow record of the object."""
    thing = fixed()["object"]
    return {
        "address": thing["address"],
        "blob": BLOB,
        "commitment": thing["commitment"],
        "key": KEY.hex(),
        "name": "SY-2025-000001",
        "purpose": "sanad/escrow/v1",
        "sha256": thing["sha256"],
        "size": len(PLAIN),
    }


def by_chance() -> dict[str, Any]:
    """An identity and an escrow file for it."""
    identity = pyrage.x25519.Identity.generate()
    recipient, told = str(identity.to_public()), record()
    named = hashlib.sha256(recipient.encode()).hexdigest()[:16]
    head = {
        "format": "sanad-escrow/1",
        "made_at": "2026-01-02T03:04:05.000Z",
        "origin": "sanad.test/vectors",
        "recipients": [{"id": named, "recipient": recipient}],
    }
    line = {
        "address": told["address"],
        "age": base64.b64encode(pyrage.encrypt(canonical(told), [identity.to_public()])).decode(),
        "blob": BLOB,
        "recipients": [named],
    }
    body = canonical(head) + b"\n" + canonical(line) + b"\n"
    end = canonical({"count": 1, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n"
    return {"identity": str(identity), "record": canonical(told).decode(), "file": (body + end).decode()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(fixed() | {"escrow": by_chance()}, indent=1, ensure_ascii=False, sort_keys=True) + "\n")

"""The public keys of the ledger: what web server, worker and exports need, and all they get.

The signer writes them to `ledger-keys.json` of the status folder after the head that a change concerns is published.
Whoever takes the web server's folder finds here what verifies heads, and nothing that signs one.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from custody.keys import KeyProblem, write_durably
from ledger.note import Ed25519Verifier, NoteError, decode_vkey, fingerprint


@dataclass(frozen=True)
class LedgerKey:
    """One key and the sizes of the heads it signs: from `start`, to `end` (None while it signs), both included.

    A size is a number of entries. `trusted` bounds what a stolen key signed: heads over it are nobody's word.
    """

    vkey: str
    start: int = 0
    end: int | None = None
    trusted: int | None = None

    @property
    def key_id(self) -> str:
        """The 4 bytes of its signature lines, as 8 hex digits."""
        return self.verifier.key_id.hex()

    @property
    def verifier(self) -> Ed25519Verifier:
        return decode_vkey(self.vkey)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.vkey)

    @property
    def signs(self) -> bool:
        return self.end is None

    @property
    def compromised(self) -> bool:
        return self.trusted is not None

    def may_sign(self, size: int) -> bool:
        return self.start <= size and (self.end is None or size <= self.end)

    def is_believed(self, size: int) -> bool:
        return self.may_sign(size) and (self.trusted is None or size <= self.trusted)


def ledger_keys() -> Sequence[LedgerKey]:
    """Every key the ledger ever had, the oldest first; none before the signer's first start. Raises KeyProblem."""
    path = keys_file()
    try:
        stored: list[dict[str, Any]] = json.loads(path.read_text())["keys"]
        keys = tuple(LedgerKey(**key) for key in stored)
        for key in keys:
            if key.verifier.name != settings.SANAD_ORIGIN:
                raise KeyProblem(f"{path.name} holds the key of another ledger")
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, NoteError):
        raise KeyProblem(
            f"{path.name} of the status folder cannot be read; start the signer, which writes it"
        ) from None
    return keys


def vkey() -> str:
    """The verifier key (C2SP signed-note vkey) that signs now; of two, the newer. Raises KeyProblem without one."""
    signing = [key for key in ledger_keys() if key.signs]
    if not signing:
        raise KeyProblem("the signer has not made a key of the ledger yet; start it with manage.py signer")
    return signing[-1].vkey


def verifiers_at(size: int) -> list[Ed25519Verifier]:
    """The keys whose signature on a head of that size is believed."""
    return [key.verifier for key in ledger_keys() if key.is_believed(size)]


def publish_keys(keys: Sequence[LedgerKey]) -> None:
    """Write them where every process reads them, durably; the signer's part."""
    document = {"origin": settings.SANAD_ORIGIN, "keys": [asdict(key) for key in keys]}
    write_durably(keys_file(), json.dumps(document, indent=1), mode=0o644)


@dataclass(frozen=True)
class Head:
    """The newest head that was published: `chain` and `count` cover every checkpoint ever signed."""

    size: int
    root: bytes
    chain: bytes
    count: int
    signed_at: datetime


def published_head() -> Head | None:
    """What the signer told everybody that it signed last, None before its first head. Raises KeyProblem."""
    path = Path(settings.SANAD_STATUS) / "head.json"
    try:
        told = json.loads(path.read_text())
        return Head(
            int(told["size"]),
            bytes.fromhex(told["root"]),
            bytes.fromhex(told["chain"]),
            int(told["count"]),
            datetime.fromisoformat(told["signed_at"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise KeyProblem(f"{path.name} of the status folder cannot be read") from None


def publish_head(head: Head) -> None:
    """Replace it as a whole. Not synced: an older head after a power cut is true as well."""
    path = Path(settings.SANAD_STATUS) / "head.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    told = {
        "size": head.size,
        "root": head.root.hex(),
        "chain": head.chain.hex(),
        "count": head.count,
        "signed_at": head.signed_at.isoformat(timespec="microseconds"),
    }
    temporary = path.with_name(".head.json.new")  # one signer at a time writes it, under its lock
    temporary.write_text(json.dumps(told))
    temporary.replace(path)


def keys_file() -> Path:
    return Path(settings.SANAD_STATUS) / "ledger-keys.json"

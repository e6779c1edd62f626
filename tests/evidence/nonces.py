"""A watch over everything that is staged: under which key and nonce, and what."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from evidence import staging, streams

_aesgcm: Callable[[bytes], Any] = AESGCM


class Nonces:
    """Sees segments and tails of this process from now on; GCM breaks when one key and nonce meet two texts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
        seen = self.seen

        class Watched:
            def __init__(self, key: bytes) -> None:
                self._key, self._inner = key, _aesgcm(key)

            def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
                seen[self._key, bytes(nonce)].add(hashlib.sha256(bytes(data)).digest())
                sealed: bytes = self._inner.encrypt(nonce, data, associated_data)
                return sealed

            def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
                opened: bytes = self._inner.decrypt(nonce, data, associated_data)
                return opened

        patch.setattr(streams, "AESGCM", Watched)
        patch.setattr(staging, "AESGCM", Watched)

    def twice(self) -> list[tuple[bytes, bytes]]:
        """The keys and nonces that met two texts."""
        return [place for place, texts in self.seen.items() if len(texts) > 1]

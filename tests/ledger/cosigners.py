"""Real cosigner processes for tests, and logs that show them things."""

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.checkpoint import format_checkpoint
from ledger.cosignature import CosignatureVerifier, decode_cosigner_vkey
from ledger.cosigner import format_request
from ledger.entry import leaf_hash
from ledger.grow import consistency_proof, new_tiles, root_from_tiles
from ledger.sign import Ed25519Signer, sign_note

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "log.example/one"


class GrowingLog:
    """A log of leaves that are texts: `GrowingLog("a", "b")`. Two logs with one key are two pasts."""

    def __init__(
        self, *leaves: str, origin: str = ORIGIN, seed: bytes = bytes(32), signer: Ed25519Signer | None = None
    ) -> None:
        self.signer = signer or Ed25519Signer(origin, seed)
        self.origin, self.size = self.signer.name, 0
        self._tiles: dict[tuple[int, int], bytes] = {}
        self.grow(*leaves)

    def grow(self, *leaves: str) -> "GrowingLog":
        self._tiles.update(new_tiles(self.size, [leaf_hash(leaf.encode()) for leaf in leaves], self._read))
        self.size += len(leaves)
        return self

    def _read(self, level: int, index: int) -> bytes:
        return self._tiles.get((level, index), b"")

    def text(self, size: int | None = None) -> str:
        size = self.size if size is None else size
        return format_checkpoint(self.origin, size, root_from_tiles(size, self._read))

    def note(self, size: int | None = None) -> str:
        return sign_note(self.text(size), self.signer)

    def request(self, old: int, size: int | None = None) -> bytes:
        size = self.size if size is None else size
        proof = consistency_proof(old, size, self._read) if 0 < old < size else []
        return format_request(old, proof, self.note(size)).encode()

    @property
    def vkey(self) -> str:
        return self.signer.vkey


@dataclass
class Running:
    """A cosigner at work: its port, its key, and what it printed at start."""

    process: subprocess.Popen[str]
    port: int
    verifier: CosignatureVerifier
    printed: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, body: bytes, path: str = "/add-checkpoint") -> tuple[int, str, str]:
        """(status, content type, body) of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def cosigner(state: Path, logs: Sequence[str], *, name: str | None = None, port: int = 0) -> Iterator[Running]:
    """`python -m ledger cosign --listen` as a process of its own, killed at the end."""
    argv = [sys.executable, "-m", "ledger", "cosign", "--listen", f"127.0.0.1:{port}", "--state", str(state)]
    argv += [part for log in logs for part in ("--log", log)] + (["--name", name] if name else [])
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    printed = ""
    try:
        assert process.stderr is not None
        while "listening on" not in printed:
            line = process.stderr.readline()
            assert line, f"the cosigner ended: {printed}"
            printed += line
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", printed)
        key = re.search(r"key of this cosigner is (\S+)", printed)
        assert found is not None
        assert key is not None
        yield Running(process, int(found[1]), decode_cosigner_vkey(key[1]), printed)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()

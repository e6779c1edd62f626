"""A cosigner, the partner's side of C2SP tlog-witness: it vouches that a log only ever grew.

`python -m ledger cosign --state FILE --log VKEY --listen 127.0.0.1:PORT` answers
    POST /add-checkpoint          old size, consistency proof, checkpoint -> cosignature lines
    GET  /<origin hash>/checkpoint  the newest head it cosigned, so that anybody can compare
and `--checkpoint FILE` does the same by file, for a machine without network.

1. It signs a head only if it is signed by the log's key and grows, provably, out of the head it signed last.
2. What it signed is on the disk before the answer leaves. One request at a time: there is no window for two heads.
3. A log that shows it another past is refused, and what it showed is kept: the evidence of the fork. A proof that is
   none shows nothing: anybody can send the log's public heads again, and leaves nothing here.
4. A key of the log may be bound to the sizes that it signs: one that was retired, or stolen, moves nothing any more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger import contradiction
from ledger.checkpoint import Checkpoint, CheckpointError, parse_checkpoint
from ledger.cosignature import COSIGNATURE
from ledger.durable import write_durably
from ledger.merkle import MAX_SIZE, ProofError, empty_root, verify_consistency
from ledger.note import (
    MAX_NOTE_BYTES,
    Ed25519Verifier,
    NoteError,
    decode_vkey,
    open_note,
    split_note,
    to_base64,
    unbase64,
)
from ledger.sign import CosignatureSigner, signature_line

try:
    import fcntl
except ImportError:  # Windows has no such lock: there the partner uses a small Linux machine
    fcntl = None  # type: ignore[assignment]

MAX_PROOF_LINES = 63
MAX_BODY = MAX_NOTE_BYTES + 4096
MOST_TOLD = 1000  # heads without a proof that are told of: each once, whoever sends them again
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})\Z")
_SIZES = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})?\Z")


class CosignerProblem(Exception):
    """The cosigner cannot work, in one sentence for whoever runs it."""


@dataclass(frozen=True)
class Answer:
    """What goes back: an HTTP status, and a body of its type."""

    status: int
    body: str = ""
    type: str = TEXT_TYPE


@dataclass(frozen=True)
class Held:
    """The newest head cosigned for one log: what the cosigner must never contradict. `note` carries its cosignature."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True)
class Request:
    """A parsed add-checkpoint body; nothing of it is verified."""

    old: int
    proof: Sequence[bytes]
    note: str


@dataclass(frozen=True)
class LogKey:
    """A key of a log, and the sizes of the heads that it signs: from `first` to `last`, both included, or no end."""

    verifier: Ed25519Verifier
    first: int = 0
    last: int | None = None

    def may_sign(self, size: int) -> bool:
        return self.first <= size and (self.last is None or size <= self.last)

    def __str__(self) -> str:
        if self.last is None and not self.first:
            return self.verifier.vkey
        return f"{self.verifier.vkey} {self.first}-{'' if self.last is None else self.last}"


def decode_log_key(text: str) -> LogKey:
    """A log's key as it is written: VKEY, or VKEY FIRST-LAST, or VKEY FIRST-. Raises NoteError."""
    vkey, _, sizes = text.strip().partition(" ")
    if not sizes:
        return LogKey(decode_vkey(vkey))
    match = _SIZES.match(sizes.strip())
    first, last = (int(match[1]), int(match[2]) if match[2] else None) if match else (0, -1)
    if last is not None and last < first:
        raise NoteError("the sizes that a key signs are written FIRST-LAST or FIRST-, in entries")
    return LogKey(decode_vkey(vkey), first, last)


class RequestError(ValueError):
    """The body is not an add-checkpoint request."""


def format_request(old: int, proof: Sequence[bytes], note: str) -> str:
    """The body of an add-checkpoint request (tlog-witness, add-checkpoint)."""
    return "".join([f"old {old}\n", *(f"{to_base64(step)}\n" for step in proof), "\n", note])


def parse_request(body: bytes) -> Request:
    """The request in a body. Raises RequestError for anything but the one form it has."""
    if len(body) > MAX_BODY:
        raise RequestError("the request is too long")
    try:
        head, gap, note = body.decode("utf-8").partition("\n\n")
    except UnicodeError:
        raise RequestError("the request is not UTF-8") from None
    lines = head.split("\n")
    match = _OLD.match(lines[0])
    if match is None or not gap or int(match[1]) >= MAX_SIZE:
        raise RequestError("a request begins with the line 'old <size>' and has an empty line before the checkpoint")
    if len(lines) - 1 > MAX_PROOF_LINES:
        raise RequestError(f"a proof has at most {MAX_PROOF_LINES} lines")
    try:
        proof = [unbase64(line) for line in lines[1:]]
    except NoteError:
        raise RequestError("a line of the proof is not base64") from None
    if any(len(step) != 32 for step in proof):
        raise RequestError("a line of the proof is not a SHA-256 hash")
    return Request(int(match[1]), tuple(proof), note)


class Memory:
    """The state file: the keys of the logs, and for each log the newest head cosigned. Replaced as a whole.

    Held by one process at a time. `vkey` is None before the first use.
    Raises CosignerProblem when another process has it, when it is damaged, or when it is the state of another key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if fcntl is None:
            raise CosignerProblem("this system has no file locks; run the cosigner on Linux, BSD or macOS.")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = open(f"{path}.lock", "w")  # noqa: SIM115, PTH123  held until the process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise CosignerProblem(f"another cosigner uses {path}.") from None
        self.vkey: str | None = None
        self.logs: list[str] = []
        self.held: dict[str, Held] = {}
        self._read()

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError):
            raise CosignerProblem(f"{self.path} cannot be read; a guess is never made.") from None
        try:
            if stored["version"] != 1:
                raise ValueError
            self.held = {origin: self._head(origin, note) for origin, note in stored["heads"].items()}
            self.vkey, self.logs = str(stored["vkey"]), [str(decode_log_key(key)) for key in stored["logs"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CosignerProblem(f"{self.path} is not the state of a cosigner; a guess is never made.") from None

    @staticmethod
    def _head(origin: str, note: str) -> Held:
        checkpoint = parse_checkpoint(split_note(note)[0])
        if checkpoint.origin != origin:
            raise ValueError
        return Held(checkpoint.size, checkpoint.root, note)

    def keep(self, vkey: str, held: dict[str, Held], logs: Sequence[str] | None = None) -> None:
        """Replace the state; when this returns it is on the disk. Raises OSError, and then the old one stands."""
        logs = self.logs if logs is None else list(logs)
        heads = {origin: head.note for origin, head in sorted(held.items())}
        state = {"version": 1, "vkey": vkey, "logs": logs, "heads": heads}
        write_durably(self.path, (json.dumps(state, ensure_ascii=False, indent=1) + "\n").encode(), mode=0o644)
        self.vkey, self.held, self.logs = vkey, held, logs

    def close(self) -> None:
        self._lock.close()


class Cosigner:
    """Answers add-checkpoint requests for the given logs, one at a time. `clock` gives POSIX seconds."""

    def __init__(
        self,
        memory: Memory,
        signer: CosignatureSigner,
        logs: Sequence[LogKey],
        *,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._memory, self._signer, self._tell = memory, signer, tell
        self._keys: dict[str, list[LogKey]] = {}
        for log in logs:
            self._keys.setdefault(log.verifier.name, []).append(log)
        self._unproven: set[tuple[str, int, bytes]] = set()
        self._turn = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to a request (tlog-witness, add-checkpoint). A 200 leaves after the new state is on the disk."""
        try:
            request = parse_request(body)
            text, _ = split_note(request.note)
            checkpoint = parse_checkpoint(text)
        except (RequestError, NoteError, CheckpointError) as problem:
            return Answer(400, f"{problem}\n")
        keys = self._keys.get(checkpoint.origin)
        if keys is None:
            return Answer(404, "this log is not known here\n")
        try:
            may_sign = [key.verifier for key in keys if key.may_sign(checkpoint.size)]
            signed_by = open_note(request.note, may_sign).signed_by
        except NoteError as problem:
            return Answer(403, f"{problem}\n")
        if request.old > checkpoint.size:
            return Answer(400, "the old size is larger than the checkpoint's\n")
        with self._turn:
            return self._decide(request, checkpoint, text, [(key.name, key.key_id) for key in signed_by])

    def _decide(
        self, request: Request, checkpoint: Checkpoint, text: str, signed_by: Sequence[tuple[str, bytes]]
    ) -> Answer:
        held = self._memory.held.get(checkpoint.origin)
        size = held.size if held else 0
        # Kept and shown: the text and the log's own signatures, and nothing that somebody else put under them.
        lines = [sig for sig in split_note(request.note)[1] if (sig.name, sig.key_id) in signed_by]
        own = "".join(f"— {sig.name} {to_base64(sig.key_id + sig.signature)}\n" for sig in lines)
        how = contradiction.contradicts(size, held.root if held else empty_root(), checkpoint, request.proof)
        if how:  # whatever size the request begins from
            self._keep_evidence(held, checkpoint, f"{text}\n{own}", request.proof, how)
        if request.old != size:
            return Answer(409, f"{size}\n", SIZE_TYPE)
        try:
            _require_growth(held, checkpoint, request.proof)
        except ProofError as problem:
            if not how:
                self._tell_once(checkpoint, size, str(problem))
            return Answer(422, f"{problem}\n")
        line = signature_line(text, self._signer)
        head = Held(checkpoint.size, checkpoint.root, f"{text}\n{own}{line}")
        try:
            self._memory.keep(self._signer.vkey, {**self._memory.held, checkpoint.origin: head})
        except OSError as problem:
            self._tell(f"the state cannot be written, nothing is cosigned: {problem}")
            return Answer(500, "the state cannot be written here\n")
        return Answer(200, line)

    def newest(self, origin_hash: str) -> Answer:
        """The newest cosigned checkpoint of the log whose origin has this hex SHA-256 (tlog-witness, monitoring)."""
        for origin, held in self._memory.held.items():
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return Answer(200, held.note)
        return Answer(404, "no checkpoint of such a log was cosigned here\n")

    def _keep_evidence(
        self, held: Held | None, checkpoint: Checkpoint, note: str, proof: Sequence[bytes], how: str
    ) -> None:
        """The log's own key signed a past in which the held head never was: both are kept, for people."""
        folder = Path(f"{self._memory.path}.refused")
        own = held.note if held else "none\n"
        try:
            new = contradiction.keep(folder, how=how, held=own, checkpoint=checkpoint, note=note, proof=proof)
        except OSError as problem:
            self._tell(f"the evidence cannot be written: {problem}")
            new = True
        if new:
            self._tell(
                f"REFUSED {checkpoint.origin}: a signed head of {checkpoint.size} entries contradicts the cosigned one "
                f"of {held.size if held else 0}: {how}"
            )

    def _tell_once(self, checkpoint: Checkpoint, size: int, why: str) -> None:
        """Whoever sent it: a head without a proof accuses nobody."""
        head = (checkpoint.origin, checkpoint.size, checkpoint.root)
        if head not in self._unproven and len(self._unproven) < MOST_TOLD:
            self._unproven.add(head)
            self._tell(
                f"not cosigned: a head of {checkpoint.size} entries of {checkpoint.origin} came without a proof that "
                f"it continues the one of {size} ({why})"
            )


def _require_growth(held: Held | None, checkpoint: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless the checkpoint continues the held head; `old` is the held size already."""
    if checkpoint.size == 0 and checkpoint.root != empty_root():
        raise ProofError("the empty tree has another root")
    if held is not None and held.size:
        verify_consistency(held.size, held.root, checkpoint.size, checkpoint.root, proof)
    elif proof:
        raise ProofError("a consistency proof from size 0 is empty")


def load(state: Path, key: Path, name: str | None) -> tuple[Memory, CosignatureSigner]:
    """The state and its key, both made on first use. Raises CosignerProblem.

    A key without its state is refused: a cosigner that forgot what it signed could sign a second past. The state is
    written first, so that a kill between the two leaves a state that nothing was signed under.
    """
    memory = Memory(state)
    if key.exists():
        if key.stat().st_mode & 0o077:
            raise CosignerProblem(f"others may read {key}; set its mode to 0600.")
        signer = _read_key(key)
        if memory.vkey is None:
            raise CosignerProblem(
                f"{state} is gone, and {key.name} signed with it. A cosigner never begins anew under an old key: "
                "choose another --key, and tell the log's operators to trust the new one instead."
            )
        if memory.vkey != signer.vkey:
            raise CosignerProblem(f"{state} is the state of another key than {key.name}.")
    else:
        if memory.held:
            raise CosignerProblem(f"{key} is gone, and heads were cosigned with it.")
        seed = secrets.token_bytes(32)
        signer = CosignatureSigner(name or f"cosigner-{secrets.token_hex(4)}", seed, _now)
        memory.keep(signer.vkey, {})
        secret = to_base64(bytes([COSIGNATURE]) + seed)
        write_durably(key, f"PRIVATE+KEY+{signer.name}+{signer.key_id.hex()}+{secret}\n".encode())
    if name is not None and name != signer.name:
        raise CosignerProblem(f"the key {key.name} is that of {signer.name}, not of {name}.")
    return memory, signer


def _read_key(path: Path) -> CosignatureSigner:
    try:
        private, key, name, _, secret = path.read_text("utf-8").strip().split("+", 4)
        data = base64.b64decode(secret, validate=True)
        if (private, key) != ("PRIVATE", "KEY") or len(data) != 33 or data[0] != COSIGNATURE:
            raise ValueError
        return CosignatureSigner(name, data[1:], _now)
    except ValueError:
        raise CosignerProblem(f"{path} is not the key of a cosigner.") from None


def _now() -> int:
    return int(time.time())

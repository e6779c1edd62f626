"""One file to the archive by tus 1.0: from the offset that the archive holds, until it is held or refused.

Sources: tus resumable upload protocol 1.0.0; RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import base64
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sanad_client.folder import Changed, Found, read
from sanad_client.journal import Journal
from sanad_client.wire import Answer, Archive, Silent, Stopped

PIECE = 64 << 20  # bytes in one request
FEELER = 256 << 10  # bytes that go first where an earlier run stopped: what it had sent may still be arriving
WITH_CREATION = 1 << 20  # bytes up to which a file travels with the request that announces it
UPLOADS = "/api/v1/uploads/"
TUS = "/api/v1/uploads/tus/"
CONTENT_TYPE = "application/offset+octet-stream"
LONGEST_WAIT = 60.0  # seconds
LONGEST_POLL = 5.0
BUSY = (408, 409, 423, 425, 429, 502, 503, 504)
GONE = (404, 410)


class Denied(Exception):
    """The token is not good for this: no other file will fare better."""


class GaveUp(Exception):
    """Nothing arrived for as long as the person was willing to wait."""


class Failed(Exception):
    """This file is not held, and why. `differs`: what the archive holds is not what is on the disk."""

    def __init__(self, words: str, *, differs: bool = False) -> None:
        super().__init__(words)
        self.differs = differs


class Expired(Exception):
    """The archive takes no file under this intake any more, and why."""


class _Busy(Silent):
    """The archive asks to come back later."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.words)
        self.after = answer.after


class _Gone(Exception):
    """The address of the upload leads nowhere any more."""


@dataclass(frozen=True)
class Watch:
    """What a sending tells while it goes on: bytes that are on their way or at the archive, and words of a wait."""

    at: Callable[[int], None]
    waits: Callable[[str], None]


class _Patience:
    """How long nothing new arrived; a line that brings something each time is a good line."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.most, self.tries = seconds, -1, 0
        self.since = time.monotonic()

    def reached(self, offset: int) -> None:
        if offset > self.most:
            self.most, self.tries, self.since = offset, 0, time.monotonic()

    def wait(self, problem: Silent) -> float:
        """Seconds until the next try. Raises GaveUp."""
        if time.monotonic() - self.since > self.seconds:
            raise GaveUp(str(problem)) from problem
        self.tries += 1
        wait = min(2.0 ** min(self.tries - 1, 10), LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311
        return max(wait, getattr(problem, "after", 0.0))


class Sender:
    """Sends files of one folder to one incident. Its methods may be called by several threads."""

    def __init__(self, archive: Archive, incident: str, journal: Journal, *, patience: float) -> None:
        self.archive, self.incident, self.journal, self.patience = archive, incident, journal, patience
        self.stop = threading.Event()

    def send(self, found: Found, intake: str, sums: tuple[str, str], watch: Watch) -> dict[str, Any]:
        """What the archive holds now, whose digests are the file's. Raises Failed, Expired, Denied, GaveUp, Stopped."""
        key = found.key(self.incident, sums[0])
        try:
            return self._sent(found, key, intake, sums, watch)
        except Expired:
            if (item := self._made(key)) is not None:
                return _compared(item, sums)
        # An upload that another run began under another intake still has the key, and nobody remembers where it is.
        return self._sent(found, str(uuid.uuid5(uuid.UUID(key), intake)), intake, sums, watch)

    def _sent(self, found: Found, key: str, intake: str, sums: tuple[str, str], watch: Watch) -> dict[str, Any]:
        earlier = self.journal.know("upload", key)
        url = str(earlier["url"]) if earlier and earlier["intake"] == intake else ""
        patience = _Patience(self.patience)
        while True:
            try:
                offset = None
                if not url:
                    url, offset = self._create(found, intake, key, sums[0], watch)
                    self.journal.add("upload", key, url=url, intake=intake)
                return _compared(self._carried(found, url, offset, key, sums[0], watch, patience), sums)
            except _Gone:
                if (item := self._made(key)) is not None:
                    return _compared(item, sums)
                url = ""
                self._pause(patience.wait(Silent("the archive no longer has the part that was sent")), watch, "")
            except Changed as problem:
                raise Failed(f"{problem}. Nothing of it is kept; run again.") from None
            except Silent as problem:
                self._pause(patience.wait(problem), watch, str(problem))

    def require_going(self) -> None:
        """Raises Stopped once the person asked to stop."""
        if self.stop.is_set():
            raise Stopped

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
        """One request, with what holds for all of them: a token that is not good is Denied, a busy archive Silent."""
        self.require_going()
        answer = self.archive.call(method, path, {"Tus-Resumable": "1.0.0", **(headers or {})}, **more)
        if answer.status == 401:
            raise Denied("the archive does not take this token: it is wrong, revoked or expired")
        if 300 <= answer.status < 400:
            raise Failed("the server sends elsewhere: --server is not the archive's own address")
        return answer

    def _create(self, found: Found, intake: str, key: str, sha256: str, watch: Watch) -> tuple[str, int]:
        """The address of a new upload, or of the one that this key has already, and how many bytes it holds."""
        said = {
            "intake": intake,
            "key": key,
            "filename": found.name,
            "modified": str(found.mtime_ns // 1_000_000),
            "sha256": sha256,
        }
        pairs = (f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
        headers = {"Upload-Length": str(found.size), "Upload-Metadata": ",".join(pairs)}
        if 0 < found.size <= WITH_CREATION:
            headers["Content-Type"] = CONTENT_TYPE
            answer = self.call("POST", TUS, headers, body=self._body(found, 0, found.size, watch), length=found.size)
        else:
            answer = self.call("POST", TUS, headers)
        if answer.status in (200, 201):
            return self.archive.url(answer.headers.get("location", "")), _offset(answer)
        if answer.status in (404, 409, 410):
            raise Expired(answer.words)
        raise _refusal(answer)

    def _carried(
        self, found: Found, url: str, offset: int | None, key: str, sha256: str, watch: Watch, patience: _Patience
    ) -> dict[str, Any]:
        """Everything from the archive's offset to the end, and what the archive made of it."""
        piece = PIECE
        if offset is None:
            offset, piece = self._held(url), FEELER
        watch.at(offset)
        patience.reached(offset)
        while offset < found.size:
            offset = self._piece(found, url, (offset, min(offset + piece, found.size)), sha256, watch)
            piece = PIECE
            patience.reached(offset)
        watch.at(offset)
        return self._finished(url, key)

    def _held(self, url: str) -> int:
        answer = self.call("HEAD", url)
        if answer.status in GONE:
            raise _Gone
        if answer.status not in (200, 204):
            raise _refusal(answer)
        return _offset(answer)

    def _piece(self, found: Found, url: str, part: tuple[int, int], sha256: str, watch: Watch) -> int:
        """Send the bytes from the first to before the second number. Gives the archive's offset."""
        offset, length = part[0], part[1] - part[0]
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Upload-Offset": str(offset),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        }
        answer = self.call("PATCH", url, headers, body=self._body(found, offset, length, watch), length=length)
        if answer.status in GONE:
            raise _Gone
        if answer.status not in (200, 204):
            raise _refusal(answer)
        return _offset(answer)

    def _body(self, found: Found, offset: int, length: int, watch: Watch) -> Iterator[bytes]:
        for chunk in read(found, offset, length):
            self.require_going()
            yield chunk
            offset += len(chunk)
            watch.at(offset)

    def _finished(self, url: str, key: str) -> dict[str, Any]:
        """The item, once the archive has read back what it wrote; asked with growing pauses."""
        wait = 0.1
        while True:
            answer = self.call("GET", url)
            if answer.status in GONE:
                raise _Gone
            if answer.status != 200:
                raise _refusal(answer)
            said = answer.json()
            state, item = said.get("state"), said.get("item")
            if state == "held" and isinstance(item, dict):
                return item
            if state == "receiving":
                raise Silent("the archive has not all of it")
            if state != "finishing":
                # The next run asks again under the same key: what can be put right (a closed incident) then goes on.
                self.journal.add("upload", key, url="", intake="")
                problem = said.get("problem") or {}
                raise Failed(str(problem.get("detail") or f"the archive says: {state}"))
            if self.stop.wait(wait):
                raise Stopped
            wait = min(wait * 1.5, LONGEST_POLL)

    def _made(self, key: str) -> dict[str, Any] | None:
        """The item that this key made, when an answer got lost."""
        try:
            answer = self.call("GET", f"{UPLOADS}{key}/")
        except Silent:
            return None
        return answer.json() if answer.status == 200 else None

    def _pause(self, seconds: float, watch: Watch, why: str) -> None:
        watch.waits(f"{why}; again in {seconds:.0f} s" if why else "")
        if self.stop.wait(seconds):
            raise Stopped


def _offset(answer: Answer) -> int:
    said = answer.headers.get("upload-offset", "")
    if not said.isdigit():
        raise Silent("the answer names no offset")
    return int(said)


def _refusal(answer: Answer) -> Exception:
    if answer.status in BUSY:
        return _Busy(answer)
    if answer.status == 403:
        return Denied(answer.words)
    return Failed(answer.words)


def _compared(item: dict[str, Any], sums: tuple[str, str]) -> dict[str, Any]:
    """The item when it has the file's digests."""
    if (item.get("sha256"), item.get("sha512")) != sums:
        words = "WHAT ARRIVED DIFFERS: the archive holds other bytes than the file. Keep it and tell the archive"
        raise Failed(f"{words} ({item.get('accession')}).", differs=True)
    return item

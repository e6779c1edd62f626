"""The load of the kills drill: colleagues who work through the API, and one outsider who keeps every signed head.

A writer notes an act as acknowledged when the archive has answered 2xx to it, and not before. What got no answer is
asked again with the same key or version, as docs/howto/use-the-api.md tells every client to: that is how an act that
happened without an answer would come to happen twice.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import psycopg

from archive import postgres

PATIENCE = 20.0  # seconds that a client waits for one answer
PAUSE = 0.15  # seconds before it asks again
THINKING = 0.02  # seconds between two acts
LOOK_EVERY = 0.1  # seconds between two looks of the outsider
ACTS = {"receive": 2, "describe": 10, "verify": 2, "receipt": 1}  # how often, relative to each other


class Unanswered(Exception):
    """The archive did not answer, or said that it cannot now: nobody knows whether it was done."""


class Refused(Exception):
    """The archive answered what it must not: a client that did everything right was told that it did not."""


class Stopped(Exception):
    """The drill ends; what was asked for and not answered stays unknown."""


@dataclass
class Act:
    """One act of a writer. Times are time.monotonic(); `asked` is that of the request that was answered.

    `name` is what makes it findable in the ledger: the idempotency key, the title given, the event's id.
    """

    kind: str
    name: str
    asked: float = 0.0
    acknowledged: float | None = None
    told: dict[str, Any] = field(default_factory=dict)
    times_asked: int = 0


class Client:
    """One keep-alive connection with a token of the API."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """(status, body). Raises Unanswered for no answer, half an answer, or one of 5xx."""
        sent = {"Host": "localhost", "Authorization": f"Bearer {self._token}", "Content-Length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            self._connection.request(method, f"/api/v1/{path}", body, sent)
            response = self._connection.getresponse()
            answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise Unanswered(type(problem).__name__) from None
        if answer[0] >= 500:
            raise Unanswered(str(answer[0]))
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Writer:
    """A colleague who receives, describes and verifies items of their own; it runs until `stopping` is set."""

    def __init__(self, number: int, port: int, token: str, incident: str, seed: int, stopping: threading.Event) -> None:
        self.acts: list[Act] = []
        self.receipts: list[str] = []
        self.unanswered = 0
        self.refusal: str | None = None
        self._number, self._incident, self._stopping = number, incident, stopping
        self._client = Client(port, token)
        self._random = random.Random(f"{seed}/{number}")  # noqa: S311  a drill that can be played again
        self._intake = ""
        self._items: list[str] = []

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                kinds = list(ACTS) if self._items else ["receive"]
                getattr(self, self._random.choices(kinds, [ACTS[kind] for kind in kinds])[0])()
                self._stopping.wait(THINKING)
        except Stopped:
            pass
        except Refused as refused:
            self.refusal = f"writer {self._number}: {refused}"
        finally:
            self._client.close()

    def receive(self) -> Act:
        """Send a file until it is held; the same key each time."""
        if not self._intake:
            said = json.dumps({"stance": "context", "reasons": "A drill."}).encode()
            announced = Act("announce", "")
            self.acts.append(announced)
            self._until(
                announced, "POST", f"incidents/{self._incident}/intakes/", said, Content_Type="application/json"
            )
            self._intake = announced.name = announced.told["intake"]
        data = self._random.randbytes(self._random.randrange(500, 20_000))
        digest = hashlib.sha256(data)
        act = Act("receive", str(UUID(bytes=self._random.randbytes(16), version=4)))
        self.acts.append(act)
        self._until(
            act,
            "PUT",
            "uploads/",
            data,
            Content_Type="application/octet-stream",
            Upload_Intake=self._intake,
            Upload_Filename=quote(f"note {self._number}-{len(self.acts)}.bin"),
            Idempotency_Key=act.name,
            Repr_Digest=f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
        )
        if act.told["sha256"] != digest.hexdigest():
            raise Refused(f"{act.told['accession']} is held with other bytes than were sent")
        self._items.append(act.told["accession"])
        return act

    def describe(self) -> Act:
        """Give an item a title that no other act gives, on top of the version that was seen."""
        path = f"items/{self._random.choice(self._items[-20:])}/"
        act = Act("describe", f"Title {self._random.getrandbits(64):016x}")
        self.acts.append(act)
        while True:
            seen = json.loads(self._get(path))
            if seen["title"] == act.name:  # an earlier request of this act was done, and its answer was lost
                act.acknowledged = time.monotonic()
                return act
            said = json.dumps({"title": act.name, "version": seen["version"]}).encode()
            # 409: that request was done, or the worker added what it found in the file
            if self._until(act, "PATCH", path, said, (409,), Content_Type="application/json") < 300:
                return act

    def verify(self) -> Act | None:
        """Verify an item, asked once: a second request would be a second act."""
        path = f"items/{self._random.choice(self._items)}/verify/"
        act = Act("verify", "", time.monotonic(), times_asked=1)
        try:
            status, body = self._client.ask("POST", path)
        except Unanswered:
            self.unanswered += 1
            self._stopping.wait(PAUSE)
            return None
        if status != 200 or json.loads(body)["outcome"] not in ("ok", "pending"):
            raise Refused(f"{path}: {status} {body[:300].decode(errors='replace')}")
        act.acknowledged, act.told = time.monotonic(), json.loads(body)
        act.name = act.told["event_id"]
        self.acts.append(act)
        return act

    def receipt(self) -> str:
        """Fetch the receipt of an item; it is kept, and has to be good at the end."""
        body = self._get(f"items/{self._random.choice(self._items[-20:])}/receipt/").decode()
        self.receipts.append(body)
        return body

    def recorded(self) -> float:
        """One whole act: a file is received, and its receipt says that a signed head covers it. Returns when."""
        act = self.receive()
        while not self._stopping.is_set():
            body = self._get(f"items/{act.told['accession']}/receipt/").decode()
            if json.loads(body)["state"] == "recorded":
                self.receipts.append(body)
                return time.monotonic()
            self._stopping.wait(LOOK_EVERY)
        raise Stopped

    def _get(self, path: str) -> bytes:
        return self._ask_on(None, "GET", path, b"", ())[1]

    def _until(self, act: Act, method: str, path: str, body: bytes, also: tuple[int, ...] = (), **headers: str) -> int:
        """Ask until there is an answer; 2xx acknowledges the act. Raises Stopped, and Refused for any other status."""
        status, answer = self._ask_on(act, method, path, body, also, **headers)
        if status < 300:
            act.acknowledged, act.told = time.monotonic(), json.loads(answer)
        return status

    def _ask_on(
        self, act: Act | None, method: str, path: str, body: bytes, also: tuple[int, ...], **headers: str
    ) -> tuple[int, bytes]:
        while not self._stopping.is_set():
            if act is not None:
                act.asked, act.times_asked = time.monotonic(), act.times_asked + 1
            try:
                status, answer = self._client.ask(method, path, body, **headers)
            except Unanswered:
                self.unanswered += 1
                self._stopping.wait(PAUSE)
                continue
            if status >= 300 and status not in also:
                raise Refused(f"{method} {path}: {status} {answer[:300].decode(errors='replace')}")
            return status, answer
        raise Stopped


class Outsider:
    """Keeps every head that is to be seen anywhere, from the moment it was first seen, and what is said of it later."""

    def __init__(self, data: Path, stopping: threading.Event) -> None:
        self.heads: dict[tuple[str, str], dict[str, Any]] = {}  # by (where it was seen, note)
        self.looks = 0
        self.covered = 0  # entries under the newest signed head
        self._data, self._stopping = data, stopping
        self._session: psycopg.Connection[tuple[Any, ...]] | None = None
        self._number = 0

    def run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            self.look()
        if self._session is not None:
            self._session.close()

    def look(self) -> None:
        self.looks += 1
        for where, path in (("the export", "ledger/checkpoint"), ("the signer's memory", "signer/state.json")):
            with contextlib.suppress(OSError):
                text = (self._data / path).read_text()
                note = json.loads(text)["note"] if path.endswith("json") else text
                self._keep(where, note)
        with contextlib.suppress(psycopg.Error):
            self._look_at_table()

    def _look_at_table(self) -> None:
        try:
            if self._session is None:
                url = postgres.database_url(self._data, role=postgres.ROLES["auditor"])
                self._session = psycopg.connect(url, autocommit=True, connect_timeout=5)
            rows = self._session.execute(
                "SELECT number, size, note FROM custody_checkpoint WHERE number > %s ORDER BY number", [self._number]
            ).fetchall()
        except psycopg.Error:
            if self._session is not None:
                self._session.close()
            self._session = None
            raise
        for number, size, note in rows:
            self._keep("the table", note, number=number)
            self._number, self.covered = number, max(self.covered, size)

    def _keep(self, where: str, note: str, **more: Any) -> None:
        if note:
            self.heads.setdefault((where, note), {"where": where, "note": note, "seen": time.monotonic(), **more})


def in_threads(*runs: Any) -> list[threading.Thread]:
    """Each of them running in a thread of its own."""
    threads = [threading.Thread(target=run, daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    return threads


def told(act: Act, keep: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """An act as JSON, with those parts of the answer that are compared with the ledger."""
    return act.__dict__ | {"told": {name: act.told.get(name) for name in keep.get(act.kind, ())}}

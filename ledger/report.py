"""The verdict on a bundle, a receipt or a log: what was found, its exit code, and its words (section 14)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ledger.checkpoint import Checkpoint
from ledger.note import fingerprint
from ledger.policy import Quorum

Result = TypeVar("Result")
VERIFIED, INVALID, UNTRUSTED, USAGE, MAX_PROBLEMS = 0, 1, 2, 3, 1000
RESULTS = {VERIFIED: "verified", INVALID: "invalid", UNTRUSTED: "trust incomplete"}
TRUST = {
    "pinned": "The ledger's head is signed by a key you trust, or one that such a key handed over to.",
    "unknown": "None of the keys you trust is of this ledger: all is consistent, who signed it is not shown.",
    "first use": "This key came along. Compare the fingerprint with the one the archive publishes, by another way\n"
    "than this came to you; then give the key as --vkey from now on.",
    "none": "The ledger's head is not valid under the keys given.",
}


UNSHOWN = "Of exhibit numbers, names of files and added documents only that they did not change since is shown."


class Problem(NamedTuple):
    """One thing that is wrong: the file, item or event it is about, a stable code, and what in words."""

    where: str
    code: str
    what: str


@dataclass
class Key:
    """One of the log's keys. It may sign heads of sizes `start` to `until`; `start` is None when nothing shows that.

    `trusted`: it is one the reader gave, or such a key led to it.
    """

    vkey: str
    start: int | None = None
    until: int | None = None
    signed: bool = False
    trusted: bool = False

    def may_sign(self, size: int) -> bool:
        return self.start is not None and self.start <= size and (self.until is None or size <= self.until)


@dataclass
class Item:
    """The verdict on one item. `events` are indices; `withheld` and `erased` count fields that are not opened."""

    accession: str
    state: str
    exhibit: str | None
    path: str | None
    size: int | None
    sha256: str | None
    erasure: int | None
    received_at: str | None = None
    received_index: int | None = None
    events: list[int] = field(default_factory=list)
    withheld: int = 0
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Report:
    """The verdict. `trust`: pinned (by a trusted key), first use, unknown (no trusted key), none (no valid head)."""

    bundle: str
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0
    flawed: set[str] = field(default_factory=set)
    items: list[Item] = field(default_factory=list)
    entries: int = 0
    files: int = 0
    checkpoint: Checkpoint | None = None
    keys: list[Key] = field(default_factory=list)
    trust: str = "none"
    policy: Quorum | None = None
    anchors: list[dict[str, Any]] = field(default_factory=list)
    log: int | None = None
    state: str | None = None
    reception: dict[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        if self.problems or (self.checkpoint is None and self.state != "pending"):
            return INVALID
        short = self.trust == "unknown" or (self.policy is not None and not self.policy.met)
        return UNTRUSTED if short or self.state == "pending" else VERIFIED

    def verified(self, item: Item) -> bool:
        """Whether nothing is wrong with the item, under a head that holds."""
        return self.trust != "none" and not item.problems

    def tell(self, where: str, code: str, what: str) -> None:
        """Add a problem; beyond MAX_PROBLEMS they are only counted, and what they are about is kept."""
        self.flawed.add(where)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, code, what))
        else:
            self.more_problems += 1

    def attempt(self, where: str, code: str, what: str, call: Callable[..., Result], *values: object) -> Result | None:
        """What the call gives, or None after telling why it refused (by a ValueError)."""
        try:
            return call(*values)
        except ValueError as problem:
            self.tell(where, code, f"{what}: {problem}")
            return None


def as_json(report: Report) -> str:
    """The verdict for programs."""
    head, policy = report.checkpoint, report.policy
    cosigned = [{"name": name, "time": time} for name, time in policy.cosigned] if policy else []
    told: dict[str, Any] = {
        "result": RESULTS[report.exit_code],
        "exit_code": report.exit_code,
        "checkpoint": head and {"origin": head.origin, "size": head.size, "root": head.root.hex()},
        "keys": [
            {"fingerprint": fingerprint(key.vkey), "from": key.start}
            | {name: getattr(key, name) for name in ("vkey", "until", "signed", "trusted")}
            for key in report.keys
        ],
        "trust": report.trust,
        "policy": policy and {"quorum": policy.quorum, "met": policy.met, "cosigned": cosigned},
        "problems": [problem._asdict() for problem in report.problems],
        "more_problems": report.more_problems,
    }
    if report.state is not None:
        told |= {"state": report.state, "reception": report.reception}
    else:
        told |= {key: getattr(report, key) for key in ("bundle", "files", "entries", "anchors", "log")}
        told["items"] = [
            vars(item) | {"verified": report.verified(item), "problems": [one._asdict() for one in item.problems]}
            for item in report.items
        ]
    return json.dumps(told, ensure_ascii=False, indent=2)


def as_text(report: Report) -> str:
    """The verdict in plain sentences."""
    head, policy, got = report.checkpoint, report.policy, report.reception
    held = f"a receipt, {report.state}" if report.state else f"{report.files} files, {report.entries} ledger entries"
    lines = [f"{report.bundle}: {held}."]
    if got:
        lines.append(f"{got['accession']}, {got['size']} bytes, SHA-256 {got['sha256']}")
        lines.append(f"received at {got['received_at']}, event {got['event']}, entry {got['index']}.")
    if head:
        lines.append(f"Ledger {head.origin}, signed at {head.size} entries.")
    if report.log is not None:
        lines.append(f"The whole log was derived anew: {report.log} entries lead to the signed root.")
    lines += ["", *(line for item in report.items for line in _item_lines(report, item))]
    listed = {problem for item in report.items for problem in item.problems}
    lines += _problems(problem for problem in report.problems if problem not in listed)
    if report.more_problems:
        lines.append(f"... and {report.more_problems} more problems.")
    for anchor in report.anchors:
        lines.append(f"A timestamp in entry {anchor['index']} states {anchor['time']} for the head of {anchor['size']}")
        lines.append("entries. NOT verified here: openssl ts does it with the authority's certificate.")
    if policy:
        names, met = ", ".join(name for name, _ in policy.cosigned) or "nobody", "met" if policy.met else "NOT met"
        lines.append(f"Cosigned by {names}: the quorum {policy.quorum} is {met}.")
    for key in (key for key in report.keys if key.trusted or report.trust != "pinned"):
        told = ("Key you trust" if key.trusted else "Key that came along") + (", which signed" if key.signed else "")
        lines += ["", f"{told}: {key.vkey}", f"Its fingerprint: {fingerprint(key.vkey)}"]
    result = f"{RESULTS[report.exit_code].upper()} (exit code {report.exit_code})"
    lines += [*TRUST[report.trust].split("\n"), *([] if report.state else [UNSHOWN]), "", result]
    return "\n".join(map(_plain, lines))


def _item_lines(report: Report, item: Item) -> list[str]:
    title = item.accession + (f" (exhibit {item.exhibit})" if item.exhibit else "")
    if item.problems:
        return [f"{title}: NOT verified.", *("  " + line for line in _problems(item.problems))]
    if not report.verified(item):
        return [f"{title}: NOT verified, because the ledger's signed head is not."]
    verdict = {
        "present": "byte for byte what the archive recorded on reception",
        "withheld": "its bytes are not in this bundle; the archive recorded its reception",
        "erased": f"its bytes were destroyed, as entry {item.erasure} explains; the archive recorded its reception",
    }[item.state]
    counted = f"Custody events, each in the signed ledger: {len(item.events)}. Fields withheld: {item.withheld}"
    received = f"{item.received_at}, in entry {item.received_index}"
    return [f"{title}: {verdict}, {received}. {counted}, erased: {item.erased}."]


def _problems(problems: Iterable[Problem]) -> list[str]:
    return [f"{problem.where} {problem.what} [{problem.code}]." for problem in problems]


def _plain(text: str) -> str:
    """Text of a bundle without what could steer a terminal or turn the reading direction."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)[:1000]

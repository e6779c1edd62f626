"""Whom a reader trusts, as a file (C2SP tlog-policy): logs, cosigners, and how many of them must have seen a head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.note import COSIGNATURE, ED25519, Ed25519Verifier, NoteError, cosigned_at, decode_vkey, split_note

MAX_POLICY_BYTES = 64 * 1024
NOBODY = "none"

_NAME = re.compile(r"[!-~]{1,128}\Z")
_COUNT = re.compile(r"[1-9][0-9]{0,5}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class PolicyError(ValueError):
    """The file is not a policy. The message names the line."""


@dataclass(frozen=True)
class Policy:
    """`groups` maps a name to how many of which members it needs; `quorum` names a cosigner, a group, or nobody."""

    logs: Sequence[Ed25519Verifier]
    cosigners: Mapping[str, Ed25519Verifier]
    groups: Mapping[str, tuple[int, Sequence[str]]]
    quorum: str


@dataclass(frozen=True)
class Quorum:
    """What a policy says of one checkpoint. `cosigned`: (name in the policy, seconds since 1970), valid ones only."""

    quorum: str
    met: bool
    cosigned: Sequence[tuple[str, int]]
    faults: Sequence[str]


def parse_policy(data: bytes) -> Policy:
    """The policy in a file's bytes. Raises PolicyError."""
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        raise PolicyError("the policy is not UTF-8") from None
    if len(data) > MAX_POLICY_BYTES or _CONTROL.search(text) or not text.endswith("\n"):
        raise PolicyError("the policy is too long, does not end in a newline, or holds a control character")
    logs: list[Ed25519Verifier] = []
    cosigners: dict[str, Ed25519Verifier] = {}
    groups: dict[str, tuple[int, Sequence[str]]] = {}
    members: set[str] = set()
    quorum = ""
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] == "log" and len(words) in (2, 3):
                logs.append(_key(words[1], ED25519, logs))
            elif words[0] == "witness" and len(words) in (3, 4):
                cosigners[_fresh(words[1], cosigners, groups)] = _key(words[2], COSIGNATURE, list(cosigners.values()))
            elif words[0] == "group" and len(words) >= 4:
                named = words[3:]
                if len(set(named)) < len(named) or not members.isdisjoint(named):
                    raise PolicyError("a member is named twice")
                if not all(name in cosigners or name in groups for name in named):
                    raise PolicyError("a member is not defined on a line before")
                groups[_fresh(words[1], cosigners, groups)] = (_threshold(words[2], len(named)), tuple(named))
                members.update(named)
            elif words[0] == "quorum" and len(words) == 2 and not quorum:
                quorum = words[1]
                if quorum != NOBODY and quorum not in cosigners and quorum not in groups:
                    raise PolicyError("the quorum is not defined on a line before")
            else:
                raise PolicyError("no such statement here")
        except (PolicyError, NoteError) as problem:
            raise PolicyError(f"line {number} of the policy: {problem}") from None
    if not quorum:
        raise PolicyError("the policy has no quorum line")
    return Policy(tuple(logs), cosigners, groups, quorum)


def judge(policy: Policy, note: str) -> Quorum:
    """What the policy says of a note whose form is good. The signature of the log itself is not looked at."""
    text, signatures = split_note(note)
    cosigned, faults = {}, []
    for name, key in policy.cosigners.items():
        lines = [line for line in signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if len(lines) == 1 and key.verify(text.encode(), lines[0].signature):
            cosigned[name] = cosigned_at(lines[0].signature)
        elif lines:
            faults.append(f"holds a cosignature of {key.name} that is not valid")
    satisfied = {NOBODY, *cosigned}
    for name, (count, members) in policy.groups.items():  # in the order of the file: members come first
        if len(satisfied.intersection(members)) >= count:
            satisfied.add(name)
    return Quorum(policy.quorum, policy.quorum in satisfied, tuple(cosigned.items()), tuple(faults))


def _key(vkey: str, kind: int, others: Sequence[Ed25519Verifier]) -> Ed25519Verifier:
    key = decode_vkey(vkey, kind)
    if any(key.public == other.public for other in others):
        raise PolicyError("the key is there twice")
    return key


def _fresh(name: str, *taken: Mapping[str, object]) -> str:
    if not _NAME.match(name) or name == NOBODY or any(name in names for names in taken):
        raise PolicyError("the name is taken or not one")
    return name


def _threshold(word: str, count: int) -> int:
    if word in ("any", "all"):
        return 1 if word == "any" else count
    if not _COUNT.match(word) or int(word) > count:
        raise PolicyError("the threshold is not from 1 to the number of members")
    return int(word)

"""Whom a reader trusts, as a file (C2SP tlog-policy): logs, cosigners, and how many of them must have seen a head."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ledger.cosignature import CosignatureVerifier, cosigned_at, decode_cosigner_vkey
from ledger.note import Ed25519Verifier, NoteError, decode_vkey, split_note

AnyKey = TypeVar("AnyKey", bound=Ed25519Verifier)
MAX_POLICY_BYTES = 64 * 1024
NOBODY = "none"

_NAME, _COUNT = re.compile(r"[!-~]{1,128}\Z"), re.compile(r"[1-9][0-9]{0,5}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class PolicyError(ValueError):
    """The file is not a policy. The message names the line."""


class Witness(NamedTuple):
    """One cosigner by the policy's name for it. `url` is None or where it can be asked, not looked at here."""

    name: str
    verifier: CosignatureVerifier
    url: str | None


class Quorum(NamedTuple):
    """What a policy says of one checkpoint. `cosigned`: (name in the policy, seconds since 1970), valid ones only."""

    quorum: str
    met: bool
    cosigned: Sequence[tuple[str, int]]
    faults: Sequence[str]


class Policy(NamedTuple):
    """A parsed policy. `groups` map their name to (how many are needed, members), in the order of the file."""

    logs: Sequence[Ed25519Verifier]
    witnesses: Mapping[str, Witness]
    groups: Mapping[str, tuple[int, Sequence[str]]]
    quorum: str

    def met(self, cosigned: Collection[str]) -> bool:
        """Whether these witnesses, by the policy's names, satisfy the quorum."""
        satisfied = {NOBODY, *cosigned}
        for name, (count, members) in self.groups.items():  # members are defined before their group
            if len(satisfied.intersection(members)) >= count:
                satisfied.add(name)
        return self.quorum in satisfied


def parse_policy(data: bytes) -> Policy:
    """The policy in a file's bytes. Raises PolicyError."""
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        raise PolicyError("the policy is not UTF-8") from None
    if len(data) > MAX_POLICY_BYTES or _UNPRINTABLE.search(text) or not text.endswith("\n"):
        raise PolicyError("the policy is too long, does not end in a newline, or holds a control character")
    logs: list[Ed25519Verifier] = []
    witnesses: dict[str, Witness] = {}
    groups: dict[str, tuple[int, Sequence[str]]] = {}
    members: set[str] = set()
    quorum = ""
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] == "log" and len(words) in (2, 3):
                logs.append(_new(decode_vkey(words[1]), logs))
            elif words[0] == "witness" and len(words) in (3, 4):
                name = _free(words[1], witnesses, groups)
                key = _new(decode_cosigner_vkey(words[2]), [witness.verifier for witness in witnesses.values()])
                witnesses[name] = Witness(name, key, words[3] if len(words) == 4 else None)
            elif words[0] == "group" and len(words) >= 4:
                named = words[3:]
                defined = all(name in witnesses or name in groups for name in named)
                if not defined or len(set(named)) < len(named) or not members.isdisjoint(named):
                    raise PolicyError("a member is named twice, or not defined on a line before")
                count = {"any": "1", "all": str(len(named))}.get(words[2], words[2])
                if not _COUNT.match(count) or int(count) > len(named):
                    raise PolicyError("the threshold is not from 1 to the number of members")
                groups[_free(words[1], witnesses, groups)] = (int(count), tuple(named))
                members.update(named)
            elif words[0] == "quorum" and len(words) == 2 and not quorum:
                quorum = words[1]
                if quorum != NOBODY and quorum not in witnesses and quorum not in groups:
                    raise PolicyError("the quorum is not defined on a line before")
            else:
                raise PolicyError("no such statement here")
        except (PolicyError, NoteError) as problem:
            raise PolicyError(f"line {number} of the policy: {problem}") from None
    if not quorum:
        raise PolicyError("the policy has no quorum line")
    return Policy(tuple(logs), witnesses, groups, quorum)


def judge(policy: Policy, note: str) -> Quorum:
    """What the policy says of a note whose form is good. The signature of the log itself is not looked at."""
    text, signatures = split_note(note)
    cosigned, faults = {}, []
    for name, witness in policy.witnesses.items():
        key = witness.verifier
        lines = [line.signature for line in signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if len(lines) == 1 and key.verify(text.encode(), lines[0]):
            cosigned[name] = cosigned_at(lines[0]) or 0
        elif lines:
            faults.append(f"holds a cosignature of {key.name} that is not valid")
    return Quorum(policy.quorum, policy.met(cosigned), tuple(cosigned.items()), tuple(faults))


def _new(key: AnyKey, others: Sequence[Ed25519Verifier]) -> AnyKey:
    if any(key.public == other.public for other in others):
        raise PolicyError("the key is there twice")
    return key


def _free(name: str, *taken: Mapping[str, object]) -> str:
    if not _NAME.match(name) or name == NOBODY or any(name in names for names in taken):
        raise PolicyError("the name is taken or not one")
    return name

"""Earlier heads, and the log's keys: which of them may sign which heads, and who handed over to whom (section 10)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ledger import bag
from ledger.check import Check
from ledger.checkpoint import Checkpoint
from ledger.merkle import verify_consistency
from ledger.note import MAX_NOTE_BYTES
from ledger.proof import MAX_PROOF_BYTES, parse_consistency
from ledger.report import Key

ADD, RETIRE = "sanad/key-add", "sanad/key-retire"


def check_heads(check: Check, newest: Checkpoint) -> None:
    """Every earlier head: signed, and continued by the newest."""
    for size in sorted(check.numbers["head"] | check.numbers["consistency"]):
        path, proof_path = bag.place("head", size), bag.place("consistency", size)
        note = check.read(path, MAX_NOTE_BYTES)
        head = None if note is None else check.head(path, note)
        proof = check.parse(proof_path, MAX_PROOF_BYTES, "consistency-malformed", parse_consistency)
        if head and (head.origin, head.size) != (newest.origin, size):
            check.tell(path, "checkpoint-mismatch", "is of another log or size")
            head = None
        if proof and (proof.index, proof.note) != (size, check.note.decode()):
            check.tell(proof_path, "consistency-mismatch", "is of another size or to another head")
        elif proof and head:
            given = (size, head.root, newest.size, newest.root, proof.path)
            if check.attempt(proof_path, "consistency-invalid", "does not hold", verify_consistency, *given):
                check.heads[size] = head
                check.notes[(note or b"").decode()] = head


def check_keys(check: Check, newest: Checkpoint) -> Callable[[Collection[str]], Collection[str]]:
    """What each key may sign, by the entries that add and retire keys.

    Returns what tells to which of the keys some vkeys lead, if one of these has signed the head, and none if not.
    """
    keys = {key.vkey: key for key in check.report.keys}
    check.report.keys[0].start = 0
    handovers: list[tuple[Checkpoint, str]] = []
    for event in sorted(check.events.values(), key=lambda event: event.index):
        if not event.done(ADD, RETIRE):
            continue
        value = event.fields.get("key")
        stated = value.get("vkey") if isinstance(value, dict) and value.keys() == {"vkey"} else None
        key = keys.get(stated) if isinstance(stated, str) else None
        if key is None or (key.start is not None) != event.done(RETIRE) or key.until is not None:
            told = "does not open a key of this bundle that can be added or retired here"
            check.tell(bag.place("entry", event.index), "key-malformed", told)
        elif event.done(RETIRE):
            key.until = event.index
        else:
            path = bag.place("handover", event.index)
            head = check.included(path, event, check.notes)
            if head and not _by(head, [key for key in check.report.keys if key.may_sign(head.size)]):
                check.tell(path, "key-unauthorised", "is under a head that no key accepted by then signed")
            elif head:
                key.start = event.index + 1
                handovers.append((head, key.vkey))
    if any(key.start is None for key in check.report.keys):
        check.tell(bag.VKEY, "key-unproven", "lists a key that no earlier key handed over to")
    for path, head in [(bag.CHECKPOINT, newest), *((bag.place("head", at), head) for at, head in check.heads.items())]:
        if not _by(head, [key for key in check.report.keys if key.may_sign(head.size)]):
            check.tell(path, "key-out-of-range", "is signed by no key that may sign a head of its size")

    def lead_to_head(vkeys: Collection[str]) -> Collection[str]:
        reached = {vkey for vkey in vkeys if vkey in keys}
        for head, vkey in handovers:
            if _by(head, [keys[one] for one in reached if keys[one].may_sign(head.size)]):
                reached.add(vkey)
        return reached if _by(newest, [keys[one] for one in reached if keys[one].may_sign(newest.size)]) else ()

    return lead_to_head


def _by(head: Checkpoint, keys: Collection[Key]) -> bool:
    return not {verifier.vkey for verifier in head.signed_by}.isdisjoint(key.vkey for key in keys)

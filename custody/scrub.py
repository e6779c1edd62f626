"""The scrub: every hour the signer derives the whole tree anew from the stored entries, beside its signatures.

There are two passes. That of the tree hashes every entry. That of the values also opens what stands beside the entries
(custody.agreement); it takes some three times as long, steps aside for the other one, and needs the archive's key.

1. It works in short batches and rests in between (SHARE of the time), so that receipts do not wait for it.
2. Where it has come to is kept in the signer's folder: a restart goes on from there, up to a few seconds' work.
3. What it found is kept in the status folder and shown on the audit desk. A fault of the tree stops the signatures
   until a whole pass is clean; a fault of a value beside it raises the alarm and signatures go on.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from custody import keys, ledger_keys, signer, signer_state
from custody.agreement import Fault
from custody.alarm import BESIDE, SCRUB, Kind, LedgerBroken, clear_alarm, raise_alarm, raise_for
from custody.leaves import Leaves, Peaks, leads_to
from custody.ledger_keys import Head
from custody.models import Entry
from custody.verify import Pass, TreeFault, head_faults, outside_faults, stray_faults
from ledger.entry import leaf_hash

TREE, VALUES = "tree", "values"
SHARE = 0.25  # of the time, at most, spent on a scrub while the signer is at work
KEEP_EVERY = 5.0  # seconds of work that a kill may cost
MOST_FAULTS = 50  # told in full; all are counted

log = logging.getLogger("custody.scrub")


@dataclass(frozen=True)
class Result:
    """One whole pass: when it began and ended (UTC), over how many entries, and what it found."""

    began: datetime
    ended: datetime
    size: int
    faults: int
    first: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return self.faults == 0


class Stopped(Exception):
    """The pass was told to stop; it goes on from where it was kept."""


def last_result(what: str = TREE) -> Result | None:
    """The last whole pass over the tree, or the VALUES; None before the first. A damaged file tells of none."""
    try:
        told = json.loads(_result(what).read_text())
        return Result(
            datetime.fromisoformat(told["began"]),
            datetime.fromisoformat(told["ended"]),
            int(told["size"]),
            int(told["faults"]),
            tuple(map(str, told["first"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def due(now: datetime, what: str = TREE) -> bool:
    """Whether a pass should begin, or go on. One over the values is never due without the key that opens them."""
    if what == VALUES and not keys.opens_values():
        return False
    last = last_result(what)
    interval = timedelta(seconds=settings.SANAD_SCRUB)
    again = last is None or (what == TREE and not last.clean) or not timedelta() <= now - last.ended < interval
    return again or _kept(what) is not None


def scrub(*, pause: Callable[[float], None] = lambda _: None) -> Result:
    """One whole pass over the tree, from where the last one was broken off. Raises LedgerBroken at a fault.

    `pause(seconds)` is called after each batch with the time it took; it rests, and raises Stopped to break off.
    """
    result = _passed(TREE, pause)
    signer_state.trust_again()
    clear_alarm(SCRUB)
    _mend_leaves()
    log.info("scrubbed %s entries without a fault", result.size)
    return result


def scrub_values(*, pause: Callable[[float], None] = lambda _: None) -> Result:
    """The same over entries with the events, subjects and sealed values beside them: their faults raise the alarm.

    At its end it looks at what stands outside the tree too: stray rows, cosignatures and timestamps.
    """
    result = _passed(VALUES, pause)
    if result.clean:
        clear_alarm(BESIDE)
        log.info("compared the values beside %s entries without a fault", result.size)
    else:
        where = result.first[0].partition(": ")[0]
        raise_alarm(result.first[0], kind=Kind.VALUES, where=where, source=BESIDE)
        log.critical("the scrub found %s faults beside the tree, the first: %s", result.faults, result.first[0])
    return result


def _passed(what: str, pause: Callable[[float], None]) -> Result:
    kept, signed = _kept(what), _signed_head()
    began = datetime.fromisoformat(kept["began"]) if kept else datetime.now(UTC)
    whole = Pass(kept["pass"]) if kept else Pass.begin(signed, values=what == VALUES)
    tally = _Tally(kept["count"], kept["first"]) if kept else _Tally()
    last_kept = time.monotonic()
    try:
        signer.grown_size(signed.size if signed else 0)
        if kept is None:
            tally.add(head_faults(ledger_keys.published_head()))
        while not whole.finished:
            started = time.monotonic()
            tally.add(whole.step())
            if started - last_kept > KEEP_EVERY and not whole.finished:
                progress = {"began": began.isoformat(), "pass": whole.stored(), "count": tally.count}
                keys.write_durably(_progress(what), json.dumps(progress | {"first": tally.first}))
                last_kept = started
            pause(time.monotonic() - started)
        if what == VALUES:
            tally.add(stray_faults())
            tally.add(outside_faults())
    except LedgerBroken as broken:
        signer_state.distrust(broken)
        raise_for(broken, SCRUB)
        _conclude(TREE, Result(began, datetime.now(UTC), whole.done, tally.count, tuple(tally.first)))
        _progress(what).unlink(missing_ok=True)
        raise
    result = Result(began, datetime.now(UTC), whole.total, tally.count, tuple(tally.first))
    _conclude(what, result)
    return result


def _signed_head() -> Head | None:
    """The head of the signer's own memory: of what was signed, the newest."""
    state = signer_state.read()
    if state is None or state.signed_at is None:
        return None
    return Head(state.size, Peaks(state.size, state.peaks).root(), state.chain, state.count, state.signed_at)


class _Tally:
    """What was found: all counted, the first kept. A fault of the tree ends the pass, by the one that says most."""

    def __init__(self, count: int = 0, first: list[str] | None = None) -> None:
        self.count, self.first = count, list(first or [])

    def add(self, faults: Iterable[Fault]) -> None:
        """Raises LedgerBroken after the last of these faults if one is of the tree."""
        worst: TreeFault | None = None
        for fault in faults:
            self.count += 1
            if len(self.first) < MOST_FAULTS:
                self.first.append(f"{fault.where}: {fault.what}")
            if isinstance(fault, TreeFault) and (worst is None or _says_more(fault, worst)):
                worst = fault
        if worst is not None:
            raise LedgerBroken(
                f"{worst.where} {worst.what}",
                kind=worst.kind,
                where=worst.where,
                expected=worst.expected,
                found=worst.found,
            )


def _says_more(one: TreeFault, other: TreeFault) -> bool:
    """An entry or a tile by name says more than a head that covers many; an entry with what it should be says most."""

    def rank(fault: TreeFault) -> tuple[bool, bool]:
        return fault.where.startswith(("entry", "tile")), "after it was signed" in fault.what

    return rank(one) > rank(other)


def _conclude(what: str, result: Result) -> None:
    keys.write_durably(_result(what), json.dumps(asdict(result), default=datetime.isoformat), mode=0o644)
    _progress(what).unlink(missing_ok=True)


def _mend_leaves() -> None:
    """The signer's list of hashes, where it was lost or damaged, built anew from what leads to the signed root."""
    memory = signer.memory()
    known = signer.leaves()
    if memory is None or leads_to(known, memory.size, memory.root):
        return
    fresh = Leaves(signer_state.folder() / "leaves.new")
    fresh.put(0, [])
    for start in range(0, memory.size, 4096):
        rows = Entry.objects.filter(index__gte=start, index__lt=min(start + 4096, memory.size)).order_by("index")
        fresh.put(start, [leaf_hash(bytes(entry)) for entry in rows.values_list("entry", flat=True)])
    with signer_state.held():
        state = signer_state.read()
        if state is not None and state.size == memory.size and leads_to(fresh, memory.size, memory.root):
            fresh.path.replace(known.path)
            log.warning("the signer's list of hashes was built anew")


def _kept(what: str) -> dict[str, Any] | None:
    """Where a pass was broken off; damaged, or of another ledger, it begins anew."""
    try:
        kept: dict[str, Any] = json.loads(_progress(what).read_text())
        Pass(kept["pass"])
        datetime.fromisoformat(kept["began"])
        return kept | {"count": int(kept["count"]), "first": [str(one) for one in kept["first"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _progress(what: str) -> Path:
    return signer_state.folder() / f"scrub-{what}.json"


def _result(what: str) -> Path:
    return Path(settings.SANAD_STATUS) / f"scrub-{what}.json"

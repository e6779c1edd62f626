"""The scrub: every hour the signer derives the whole tree anew from the stored entries, beside its signatures.

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
from custody.alarm import SCRUB, Kind, LedgerBroken, clear_alarm, raise_alarm, raise_for
from custody.leaves import Leaves, Peaks, leads_to
from custody.ledger_keys import Head
from custody.models import Entry
from custody.verify import Pass, TreeFault, head_faults, stray_faults
from ledger.entry import leaf_hash

SHARE = 0.25  # of the time, at most, spent on a scrub while the signer is at work
KEEP_EVERY = 5.0  # seconds of work that a kill may cost
MOST_FAULTS = 50  # told in full; all are counted

log = logging.getLogger("custody.scrub")


@dataclass(frozen=True)
class Result:
    """One whole pass: when it began and ended (UTC), over how many entries, and what it found.

    `values`: whether the sealed values were compared too, for which the signer needs the archive's key.
    """

    began: datetime
    ended: datetime
    size: int
    faults: int
    first: tuple[str, ...]
    values: bool

    @property
    def clean(self) -> bool:
        return self.faults == 0


class Stopped(Exception):
    """The pass was told to stop; it goes on from where it was kept."""


def last_result() -> Result | None:
    """The last whole pass, None before the first. A damaged file tells of none."""
    try:
        told = json.loads(_result().read_text())
        return Result(
            datetime.fromisoformat(told["began"]),
            datetime.fromisoformat(told["ended"]),
            int(told["size"]),
            int(told["faults"]),
            tuple(map(str, told["first"])),
            bool(told["values"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def due(now: datetime) -> bool:
    """Whether a pass should begin, or go on."""
    last = last_result()
    interval = timedelta(seconds=settings.SANAD_SCRUB)
    return _kept() is not None or last is None or not last.clean or not timedelta() <= now - last.ended < interval


def scrub(*, pause: Callable[[float], None] = lambda _: None) -> Result:
    """One whole pass, from where the last one was broken off. Raises LedgerBroken at a fault of the tree.

    `pause(seconds)` is called after each batch with the time it took; it rests, and raises Stopped to break off.
    """
    kept, signed = _kept(), _signed_head()
    began = datetime.fromisoformat(kept["began"]) if kept else datetime.now(UTC)
    whole = Pass(kept["pass"]) if kept else Pass.begin(signed, values=keys.opens_values())
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
                _keep({"began": began.isoformat(), "pass": whole.stored(), "count": tally.count, "first": tally.first})
                last_kept = started
            pause(time.monotonic() - started)
        if whole.values:
            tally.add(stray_faults())
    except LedgerBroken as broken:
        signer_state.distrust(broken)
        raise_for(broken, SCRUB)
        _conclude(Result(began, datetime.now(UTC), whole.done, tally.count, tuple(tally.first), whole.values))
        raise
    result = Result(began, datetime.now(UTC), whole.total, tally.count, tuple(tally.first), whole.values)
    _conclude(result)
    signer_state.trust_again()
    if result.clean:
        clear_alarm(SCRUB)
        _mend_leaves()
        log.info("scrubbed %s entries without a fault", result.size)
    else:
        where = result.first[0].partition(": ")[0]
        raise_alarm(result.first[0], kind=Kind.VALUES, where=where, source=SCRUB)
        log.critical("the scrub found %s faults beside the tree, the first: %s", result.faults, result.first[0])
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


def _conclude(result: Result) -> None:
    keys.write_durably(_result(), json.dumps(asdict(result), default=datetime.isoformat), mode=0o644)
    _progress().unlink(missing_ok=True)


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


def _kept() -> dict[str, Any] | None:
    """Where a pass was broken off; damaged, or of another ledger, it begins anew."""
    try:
        kept: dict[str, Any] = json.loads(_progress().read_text())
        Pass(kept["pass"])
        datetime.fromisoformat(kept["began"])
        return kept | {"count": int(kept["count"]), "first": [str(one) for one in kept["first"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(progress: dict[str, Any]) -> None:
    keys.write_durably(_progress(), json.dumps(progress))


def _progress() -> Path:
    return signer_state.folder() / "scrub.json"


def _result() -> Path:
    return Path(settings.SANAD_STATUS) / "scrub.json"

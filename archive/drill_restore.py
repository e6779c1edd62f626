"""The restore drill: an older backup of the database is put back, and the ledger's newer entries from its export.

Everything but the database stays as it is: the store, the keys, the signer with its memory, the exported files. Each
step says what should happen and what did; nothing is hidden of what a restore loses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.test import Client

from archive.drill_copies import EARLY, WHOLE, Stage
from archive.drill_insider import watch
from custody import ledger_keys, scrub
from custody.alarm import LedgerBroken
from custody.engine import SYSTEM
from custody.ledger_keys import vkey
from custody.log_files import HEADS, export
from custody.models import Checkpoint, Disclosure, Entry, Event
from custody.proof import proof_of
from custody.replaying import NOBODY, Replayed, replay
from custody.sequencer import drain, tree_size
from custody.signer import sign_head
from evidence.models import Item
from ledger.note import decode_vkey
from ledger.receipt import verify_receipt
from ledger.report import VERIFIED
from ledger.verify import Trust


@dataclass(frozen=True)
class Step:
    """One thing the drill did, whether it went as it must, and what was said."""

    name: str
    good: bool
    said: str


@dataclass(frozen=True)
class Lost:
    """What the restored archive lacks: `events` without their values by type, and items that are not there."""

    entries: int
    values: int
    items: int
    events: dict[str, int]


def play(stage: Stage) -> tuple[list[Step], Lost]:
    """The whole drill: (its steps, what was lost)."""
    stage.copies.put_back(WHOLE)
    signed = ledger_keys.published_head()
    if signed is None:
        raise RuntimeError("the drill's ledger was not signed")
    values, items = Disclosure.objects.count(), Item.objects.count()
    folder, steps = Path(settings.SANAD_LEDGER), []

    stage.copies.put_back(EARLY, folders=[])
    start = tree_size()
    steps.append(_refused("the signer refuses the restored database", lambda: sign_head(force=True), "went backwards"))
    stage.copies.put_back(EARLY, database=False, folders=["ledger"])
    steps.append(_refused("an export as old as the backup is not replayed", lambda: _replay(folder), "older"))
    stage.copies.put_back(WHOLE, database=False, folders=["ledger"])
    for name in ("entries", HEADS):
        _flip(next(path for path in sorted(folder.rglob("*"), reverse=True) if name in str(path) and path.is_file()))
        steps.append(_refused(f"an export with one changed bit in its {name} is not replayed", lambda: _replay(folder)))
        stage.copies.put_back(WHOLE, database=False, folders=["ledger"])
    steps.append(_refused("the signer still refuses", lambda: sign_head(force=True), "went backwards"))
    steps.append(Step("nothing was changed by what was refused", tree_size() == start, f"{start} entries are stored"))

    done = replay(folder, by=SYSTEM, at=datetime.now(UTC))
    stands = f"entries {done.start} to {done.stop - 1} and {done.checkpoints} checkpoints stand again"
    steps.append(Step("the missing entries are replayed from the export", done.stop == signed.size, stands))
    again = _replay(folder)
    steps.append(Step("asked again it changes nothing", again.event_id is None, f"{again.stop} entries are stored"))
    lost = Lost(
        entries=done.stop - done.start,
        values=values - Disclosure.objects.exclude(event_id__in=[done.event_id or NOBODY]).count(),
        items=items - Item.objects.count(),
        events=dict(sorted(done.lost.items())),
    )
    return steps + _after(stage, signed.size), lost


def _after(stage: Stage, size: int) -> list[Step]:
    """The archive is at work again, and says itself what it lost."""
    drain()
    head = sign_head()
    grown = head is not None and head.size == size + 1
    steps = [Step("the signer signs the next head", grown, f"a head of {head.size if head else 0} entries")]
    steps.append(Step("the export goes on", export(Path(settings.SANAD_LEDGER)) == size + 1, ""))
    clean = scrub.scrub()
    steps.append(Step("a scrub of the whole tree finds no fault", clean.clean, f"{clean.size} entries"))
    proved = sum(proof_of(event_id) is not None for event_id in Entry.objects.values_list("event_id", flat=True))
    steps.append(Step("every entry has its proof under a signed head", proved == size + 1, f"{proved} proofs"))
    report = verify_receipt(stage.receipt, Trust([decode_vkey(vkey())]))
    steps.append(Step("a receipt handed out before is still good", report.exit_code == VERIFIED, ""))
    nobody = Event.objects.filter(agent_id=NOBODY).count()
    told = scrub.scrub_values()
    steps.append(
        Step(
            "the scrub tells the lost values",
            nobody > 0 and not told.clean,
            f"{told.faults}, the first: {told.first[0]}",
        )
    )
    found = watch(stage)
    steps.append(Step("and the desk's alarm stands", found is not None, found.said if found else ""))
    client = Client(headers={"host": "localhost"})
    client.force_login(stage.team["auditor"])
    status = client.get("/audit/").status_code
    steps.append(Step("the audit desk opens", status == 200, str(status)))
    heads = Checkpoint.objects.order_by("number").values_list("number", flat=True)
    steps.append(Step("no checkpoint is missing", list(heads) == list(range(1, len(heads) + 1)), f"{len(heads)}"))
    return steps


def _replay(folder: Path) -> Replayed:
    return replay(folder, by=SYSTEM, at=datetime.now(UTC))


def _refused(name: str, act: Callable[[], object], words: str = "") -> Step:
    try:
        act()
    except LedgerBroken as refused:
        return Step(name, words in str(refused), str(refused))
    return Step(name, False, "it was not refused")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

"""What leads a reader of a bundle from the first key of the ledger to the one that signed (docs/spec, section 10)."""

from uuid import UUID

from custody import ledger_keys
from custody.engine import opened
from custody.ledger_keys import LedgerKey
from custody.models import Checkpoint, Entry, Event
from custody.sequencer import read_tile
from custody.vocabulary import Outcome, Type
from ledger.bundle import BundleWriter
from ledger.checkpoint import CheckpointError, open_checkpoint
from ledger.grow import consistency_proof, inclusion_proof
from ledger.note import NoteError
from ledger.proof import format_proof


def bundle_vkeys(head: Checkpoint) -> list[str]:
    """The keys of a bundle under this head, the oldest first."""
    return [key.vkey for key in ledger_keys.chain(head.size)]


def add_handovers(writer: BundleWriter, head: Checkpoint, note: str) -> set[UUID]:
    """Write each key's addition and retirement, opened, and the head by which the key before it handed over.

    Returns the events that were written. Raises ledger.bundle.BundleError.
    """
    keys = ledger_keys.chain(head.size)
    if len(keys) < 2:
        return set()
    written = set()
    heads: set[int] = set()
    for place, key in enumerate(keys[1:], 1):
        index = Entry.objects.get(event_id=UUID(key.event)).index
        earlier = _handover(index, keys[:place], head)
        if earlier.size not in heads:
            writer.add_head(earlier.note, consistency_proof(earlier.size, head.size, read_tile))
            heads.add(earlier.size)
        path = inclusion_proof(index, earlier.size, read_tile)
        writer.add_handover(index, format_proof(index, path, earlier.note))
    for event_id, index, entry in _entries(keys, head.size):
        path = inclusion_proof(index, head.size, read_tile)
        fields = {name: value for name, value in opened([event_id])[event_id].items() if name in ("key", "to")}
        writer.add_entry(index, entry, format_proof(index, path, note), fields)
        written.add(event_id)
    return written


def _handover(index: int, before: list[LedgerKey], head: Checkpoint) -> Checkpoint:
    """The first head that covers the entry and that a key from before has signed."""
    rows = Checkpoint.objects.filter(size__gt=index, size__lte=head.size).order_by("number")
    for row in rows.iterator(chunk_size=50):
        try:
            open_checkpoint(row.note, [key.verifier for key in before if key.is_believed(row.size)])
        except (NoteError, CheckpointError):
            continue
        return row
    raise LookupError(f"no head of an earlier key covers entry {index}")


def _entries(keys: list[LedgerKey], size: int) -> list[tuple[UUID, int, bytes]]:
    """The additions and retirements of these keys under a head of that size, in order."""
    vkeys = {key.vkey for key in keys}
    events = Event.objects.filter(type__in=(Type.ADD_KEY, Type.RETIRE_KEY), outcome=Outcome.SUCCESS)
    ids = [
        event_id
        for event_id, fields in opened(list(events.values_list("pk", flat=True))).items()
        if "key" in fields and fields["key"][1]["vkey"] in vkeys
    ]
    rows = Entry.objects.filter(event_id__in=ids, index__lt=size).order_by("index")
    return [(row.event_id, row.index, bytes(row.entry)) for row in rows]

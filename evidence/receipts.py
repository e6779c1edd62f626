"""The receipt of a reception: what whoever sent a file keeps, and can prove without this archive.

One file in the form of docs/spec/ledger.md section 16. It is pending until a signed head covers the reception, and
recorded from then on. Whoever has the recorded one needs nothing of us: `sanad-verify receipt FILE` checks it, also
when the item was erased or the archive is gone.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from custody.engine import opened
from custody.keys import KeyProblem
from custody.models import Event, EventSubject
from custody.proof import Proof, proof_of
from custody.signer import vkey
from custody.vocabulary import Type
from evidence.models import Item
from ledger.note import fingerprint
from ledger.proof import format_proof
from ledger.receipt import format_receipt

SUFFIX = ".receipt.json"
RECORDED_WITHIN = 30.0  # seconds to wait for the ledger before a receipt is written as pending
ASK_EVERY = 0.25  # seconds


@dataclass(frozen=True)
class Receipt:
    """What a receipt says, for people. `index` and `signed_at` are None while it is pending."""

    accession: str
    event_id: UUID
    received_at: datetime
    size: int
    sha256: str
    sha512: str
    archive: str
    fingerprint: str
    index: int | None
    head: int | None
    signed_at: datetime | None
    file: bytes

    @property
    def recorded(self) -> bool:
        return self.index is not None

    @property
    def file_name(self) -> str:
        return self.accession + SUFFIX


def receipt(item: Item) -> Receipt:
    """The receipt of an item's reception as it stands now, with the file to keep. It holds no name and no title.

    Raises NotNow in the first moments of an archive, when its signer has made no key yet.
    """
    event = reception_of(item)
    proof = proof_of(event.id)
    try:
        key = vkey()
    except KeyProblem:
        raise NotNow(_("The ledger’s signer is not at work yet. Ask again in a moment.")) from None
    return Receipt(
        accession=item.accession,
        event_id=event.id,
        received_at=item.received_at,
        size=item.size,
        sha256=item.sha256,
        sha512=item.sha512,
        archive=settings.SANAD_ORIGIN,
        fingerprint=fingerprint(key),
        index=proof.index if proof else None,
        head=proof.checkpoint.size if proof else None,
        signed_at=proof.checkpoint.signed_at if proof else None,
        file=_file(event, proof, key),
    )


def reception_of(item: Item) -> Event:
    """The event with which the item came."""
    about = EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id")
    return Event.objects.get(type=Type.RECEIVE, id__in=about)


def is_recorded(item: Item) -> bool:
    """Whether a signed head covers the reception."""
    return proof_of(reception_of(item).id) is not None


def write_receipts(items: Iterable[Item], folder: Path) -> Mapping[str, bool]:
    """Write each item's receipt into the folder: {accession: recorded}. Waits up to RECORDED_WITHIN seconds in all.

    A recorded receipt is never overwritten by a pending one. Raises OSError.
    """
    deadline = time.monotonic() + RECORDED_WITHIN
    states: dict[str, bool] = {}
    for item in items:
        made = receipt(item)
        while not made.recorded and time.monotonic() < deadline:
            time.sleep(ASK_EVERY)
            made = receipt(item)
        states[item.accession] = made.recorded
        target = folder / made.file_name
        if made.recorded or not target.exists():
            target.write_bytes(made.file)
    return states


def _file(event: Event, proof: Proof | None, key: str) -> bytes:
    told = {"object": opened([event.id])[event.id]["object"]}
    text = format_proof(proof.index, proof.path, proof.checkpoint.note) if proof else None
    return format_receipt(bytes(event.entry), told, key, text)

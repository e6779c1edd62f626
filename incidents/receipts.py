"""The receipt of an item: what the sender keeps, to hold the archive to what it received.

A JSON object: the reception's ledger entry with the one field `object` opened (digests, size, accession number), and,
once a signed checkpoint covers the entry, its proof (C2SP tlog-proof). Nothing else of the item is in it.
"""

import base64
from typing import Any

from custody.engine import opened, timestamp
from custody.models import Event, EventSubject
from custody.proof import proof_of
from custody.signer import vkey
from custody.vocabulary import Type
from evidence.models import Item
from ledger.proof import format_proof

FORMAT = "sanad/receipt/v1"


def receipt(item: Item) -> dict[str, Any]:
    """The receipt as it stands now: `state` is "recorded" inside a signed checkpoint, "pending" before.

    Raises Event.DoesNotExist where no reception is in the ledger, ProofError or SealBroken on tampering.
    """
    subjects = EventSubject.objects.filter(kind="item", subject_id=item.id)
    event = Event.objects.get(type=Type.RECEIVE, id__in=subjects.values("event_id"))
    salt, stated = opened([event.id])[event.id]["object"]
    proof = proof_of(event.id)
    return {
        "format": FORMAT,
        "state": "recorded" if proof else "pending",
        "accession": item.accession,
        "sha256": stated["sha256"],
        "sha512": stated["sha512"],
        "size": stated["size"],
        "received_at": timestamp(event.at),
        "ledger_key": vkey(),
        "entry": _text(bytes(event.entry)),
        "opened": {"object": {"salt": _text(salt), "value": stated}},
        "proof": format_proof(proof.index, proof.path, proof.checkpoint.note) if proof else None,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

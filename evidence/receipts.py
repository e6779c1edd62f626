"""The receipt of a reception: what whoever sent a file keeps, and can prove without this archive."""

import base64
from typing import Any

from django.conf import settings

from custody.engine import opened, timestamp
from custody.models import Event, EventSubject
from custody.proof import proof_of
from custody.signer import vkey
from custody.vocabulary import Type
from evidence.models import Item
from ledger.proof import format_proof


def receipt(item: Item) -> dict[str, Any]:
    """The receipt as JSON values: digests, accession, time, and the ledger's word for them.

    `proof` is a C2SP tlog-proof with the signed checkpoint once the reception is recorded; `entry` the exact bytes of
    the ledger entry, base64; `opened` the salt and value behind its commitment to the object. No name, no title.
    """
    event = Event.objects.get(
        type=Type.RECEIVE,
        id__in=EventSubject.objects.filter(kind="item", subject_id=item.id).values("event_id"),
    )
    salt, value = opened([event.id])[event.id]["object"]
    proof = proof_of(event.id)
    return {
        "receipt": "sanad/v1",
        "archive": settings.SANAD_ORIGIN,
        "verifier_key": vkey(),
        "accession": item.accession,
        "received_at": timestamp(item.received_at),
        "size": item.size,
        "sha256": item.sha256,
        "sha512": item.sha512,
        "event": str(event.id),
        "state": "recorded" if proof else "pending",
        "index": proof.index if proof else None,
        "entry": base64.b64encode(bytes(event.entry)).decode(),
        "opened": {"object": {"salt": salt.hex(), "value": value}},
        "proof": format_proof(proof.index, proof.path, proof.checkpoint.note) if proof else None,
    }

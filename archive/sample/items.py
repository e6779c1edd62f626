"""Receiving the sample's items: the bytes first, then the record, its links, and corrections."""

from collections.abc import Callable, Iterable, Mapping

from django.utils import timezone

from archive.sample.holdings import PIECES
from archive.sample.people import Team
from archive.sample.pieces import Piece
from evidence import blobs, tasks
from evidence.actions import describe_item, receive_item
from evidence.models import Item
from incidents.actions import tag_item
from incidents.models import Incident

CHUNK = 64 << 10  # bytes

Stored = list[tuple[Piece, blobs.Received]]


def store_pieces(say: Callable[[int, int], None]) -> Stored:
    """Make every piece and put its bytes into the store; `say(done, total)`. Nothing is recorded yet."""
    stored: Stored = []
    for done, piece in enumerate(PIECES, 1):
        content = piece.make()
        stored.append((piece, blobs.receive(content[at : at + CHUNK] for at in range(0, len(content), CHUNK))))
        say(done, len(PIECES))
    return stored


def receive_items(team: Team, incidents: dict[str, Incident], stored: Stored) -> dict[str, Item]:
    """Record the stored pieces and link them, by key."""
    items = {}
    for piece, received in stored:
        items[piece.key] = receive_item(
            by=team[piece.by],
            at=timezone.now(),
            compartment_id=team.compartment.pk,
            received=received,
            original_name=piece.name,
            description=piece.said,
        )
        for incident, stance, reasons, reliability, credibility in piece.links:
            tag_item(
                by=team[piece.by],
                at=timezone.now(),
                item=items[piece.key],
                incident=incidents[incident],
                stance=stance,
                reasons=reasons,
                source_reliability=reliability,
                information_credibility=credibility,
            )
    return items


def examine(items: Mapping[str, Item], keys: Iterable[str]) -> None:
    """Examine these now, not when a worker comes to them: consent to a recording is asked only of known bytes."""
    for key in keys:
        tasks.examine(str(items[key].pk))
        items[key].refresh_from_db()


def correct(team: Team, items: dict[str, Item]) -> None:
    """Second thoughts, so that custody tells of corrections too."""
    describe_item(
        by=team["archivist"],
        at=timezone.now(),
        accession=items["clinic"].accession,
        changes={"created_edtf": "2025-03-08/2025-03-09", "created_basis": "analyst"},
        reason="The source speaks of the night, not of one day.",
    )
    describe_item(
        by=team["archivist"],
        at=timezone.now(),
        accession=items["smoke"].accession,
        changes={"title": "Two columns of smoke behind hills, place not confirmed"},
        reason="Three valleys look like this one.",
    )

"""The erasure drill: canaries in every field of an item, an erasure by two persons, a search that must find nothing.

Played in an archive of its own: `prepare` fills it through the same actions as everybody's work and `erase` erases.
`search` looks through everything the archive keeps; before the erasure it has to find canaries, or it would prove
nothing by finding none after.
"""

import io
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from archive import postgres
from archive.canaries import Canary, Hit, arabic_word, in_bytes, in_file, of_bytes, of_text, word
from archive.sample.people import Team, gather
from cases import actions as case_actions
from cases import bundles
from cases.tasks import build as build_bundle
from custody import keys
from custody.engine import opened
from custody.models import SubjectKey
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from evidence import actions, blobs, erasure, leftovers, tasks
from evidence.fixity import find
from evidence.models import Blob, Item
from evidence.receipts import reception_of
from incidents import actions as incident_actions
from incidents import uploads

BYTES_AROUND = 1 << 16  # of text after the photograph's end, so that the content is larger than one read


@dataclass
class Stage:
    """The archive as it was filled, and what was planted in it."""

    team: Team
    item: Item
    pages: list[str]
    canaries: list[Canary] = field(default_factory=list)


def prepare(folder: Path) -> Stage:
    """Fill an empty archive: one item, canaries wherever words about it are kept, and leftovers of its use."""
    team = gather()
    by, compartment = team["investigator"], team.compartment
    planted = {name: word() for name in _FIELDS}
    planted["title"] = f"{word()} {arabic_word()}"
    data = _photograph(planted["device claims"], planted["content"])
    incident = incident_actions.open_incident(
        by=by, at=timezone.now(), compartment_id=compartment.pk, code="", status="open", categories=(),
        fields={"title": "A drill"},
    )  # fmt: skip
    card = folder / "card"
    card.mkdir()
    (card / f"{planted['original name']}.jpg").write_bytes(data)
    call_command(
        "ingest", str(card), "--incident", incident.code, "--as", by.username, "--reasons", planted["reason of a link"],
        "--json", stdout=io.StringIO(), stderr=io.StringIO(),
    )  # fmt: skip
    item = Item.objects.get()
    tasks.examine(str(item.pk))
    said = {
        "title": planted["title"],
        "description": planted["description"],
        "place_name": planted["place"],
        "source": planted["source"],
        "acquired_by": planted["acquired by"],
    }
    actions.describe_item(
        by=by, at=timezone.now(), accession=item.accession, changes=said, reason=planted["reason of a change"]
    )
    announced = {"stance": "context", "reasons": planted["reason announced"], "description": planted["announcement"]}
    intake = uploads.announce(by=by, at=timezone.now(), incident=incident, fields=announced)
    twin = uploads.accept(
        by=by, at=timezone.now(), intake=intake, received=blobs.receive([data]),
        original_name=planted["name of the copy"], idempotency_key=uuid4(),
    )  # fmt: skip
    tasks.examine(str(twin.pk))
    for one in (item, twin):
        actions.open_content(by=by, at=timezone.now(), accession=one.accession)
        actions.open_preview(by=by, at=timezone.now(), accession=one.accession)
        actions.download_item(by=by, at=timezone.now(), accession=one.accession)
    pages = [*_case(team, item, planted), reverse("incidents:incident", args=[incident.pk])]
    item.refresh_from_db()
    _settle()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the database does by itself now and then
    stage = Stage(team, item, pages)
    stage.canaries = [of_text(name, text) for name, text in planted.items() if name != "title"]
    stage.canaries += [
        of_text("title", planted["title"].split()[0]),
        of_text("title, Arabic", planted["title"].split()[1]),
    ]
    stage.canaries += list(_secrets([item, twin]))
    return stage


def erase(stage: Stage) -> None:
    """Withdraw the exhibit, ask, agree, and finish as the worker does. Raises what the actions raise."""
    item, team = stage.item, stage.team
    for exhibit in item.exhibits.filter(withdrawn_at__isnull=True):
        case_actions.withdraw_exhibit(by=team["legal"], at=timezone.now(), exhibit_id=exhibit.pk, reason="to be erased")
    asked = erasure.request_erasure(
        by=team["archivist"], at=timezone.now(), accession=item.accession, ground="person", reason="A drill."
    )
    _settle()
    erasure.approve_erasure(by=team["protection"], at=timezone.now(), erasure_id=asked.pk)
    tasks.finish_erasure(str(asked.pk))
    leftovers.scrub_tables(rewrite=True)
    _settle()


def search(stage: Stage) -> Iterator[tuple[str, int, list[Hit]]]:
    """(place, bytes searched, what was found) for everything but the database's own files."""
    dump = _dump()
    yield "database, dumped by pg_dump", len(dump), list(in_bytes(dump, stage.canaries, "dump"))
    statistics = _statistics()
    yield "database, statistics of the planner", len(statistics), list(in_bytes(statistics, stage.canaries, "pg_stats"))
    for name in ("store", "staging", "exports", "ingest", "logs"):
        yield (f"files, {name}/", *_folder(Path(settings.SANAD_DATA) / name, stage.canaries))
    told = dict(_told(stage))
    hits = [hit for url, body in told.items() for hit in in_bytes(body, stage.canaries, url)]
    yield "pages and API, asked by everybody", sum(map(len, told.values())), hits


def files_of_the_database(data: Path, canaries: Iterable[Canary]) -> Iterator[tuple[str, int, list[Hit]]]:
    """(place, bytes searched, what was found) in the stopped cluster's files: tables and indexes, then the log."""
    cluster = data / "postgres" / "cluster"
    for place, name in (("table and index files", "base"), ("write-ahead log", "pg_wal")):
        yield (f"database, {place}", *_folder(cluster / name, list(canaries)))


def still_proven(stage: Stage) -> list[str]:
    """What verification says of the ledger and of the tombstone; empty when nothing is wrong."""
    wrong = [f"{fault.where}: {fault.what}" for fault in faults()]
    finding = find(Item.objects.get(pk=stage.item.pk))
    return wrong if finding.outcome == "erased" else [*wrong, f"{finding.outcome}: {finding.detail}"]


#: Where a canary is planted, in words.
_FIELDS = (
    "original name",
    "content",
    "device claims",
    "description",
    "place",
    "source",
    "acquired by",
    "reason of a change",
    "reason of a link",
    "announcement",
    "reason announced",
    "name of the copy",
    "relevance of an exhibit",
    "notes of an exhibit",
    "note of a review",
)


def _photograph(claimed: str, inside: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = claimed  # ImageDescription
    made = io.BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(made, "JPEG", exif=exif, comment=inside.encode())
    return made.getvalue() + inside.encode() * (BYTES_AROUND // len(inside))


def _case(team: Team, item: Item, planted: dict[str, str]) -> list[str]:
    """A case file with the item as exhibit, a review and a finished bundle that was downloaded. Its pages."""
    by = team["legal"]
    fields = {
        "title": "A drill",
        "forum": "domestic",
        "purpose": "documentation",
        "recipient_kind": "own_team",
        "recipient": "Drill",
        "summary": "",
    }
    case = case_actions.open_case(by=by, at=timezone.now(), compartment_id=team.compartment.pk, fields=fields)
    said = {
        "category": "context",
        "relevance": planted["relevance of an exhibit"],
        "notes": planted["notes of an exhibit"],
    }
    exhibit = case_actions.add_exhibit(by=by, at=timezone.now(), case_id=case.pk, accession=item.accession, fields=said)
    case_actions.review_exhibit(
        by=by, at=timezone.now(), exhibit_id=exhibit.pk, assessment="key", note=planted["note of a review"]
    )
    bundle = bundles.request_bundle(by=by, at=timezone.now(), case_id=case.pk)
    _settle()
    build_bundle(str(bundle.pk))
    bundles.download_bundle(by=by, at=timezone.now(), bundle_id=bundle.pk)
    return [
        reverse("cases:case", args=[case.pk]),
        reverse("cases:exhibit", args=[exhibit.pk]),
        reverse("cases:bundle", args=[bundle.pk]),
    ]


def _secrets(items: Iterable[Item]) -> Iterator[Canary]:
    """Digests, keys, and a salt: whoever finds one can confirm a guess, or open what a backup holds."""
    for number, item in enumerate(items, 1):
        blob = Blob.objects.get(pk=item.blob_id)
        wrapped = bytes(SubjectKey.objects.get(subject_id=item.pk).wrapped)
        event = reception_of(item).id
        yield of_bytes(
            f"content key {number}", bytes(keys.provider().unwrap(bytes(blob.wrapped_key), f"blob/{blob.pk}"))
        )
        yield of_bytes(f"content key {number}, wrapped", bytes(blob.wrapped_key))
        yield of_bytes(f"item's key {number}", bytes(keys.provider().unwrap(wrapped, f"subject/{item.pk}")))
        yield of_bytes(f"item's key {number}, wrapped", wrapped)
        yield of_bytes(f"salt {number}", opened([event])[event]["object"][0])
        if number == 1:
            yield of_bytes("SHA-256 of the content", bytes.fromhex(item.sha256))
            yield of_bytes("SHA-512 of the content", bytes.fromhex(item.sha512))


def _told(stage: Stage) -> Iterator[tuple[str, bytes]]:
    """What the archive answers to each person who could see the item: pages, search and API."""
    name = stage.item.accession
    term = next(canary.needles[0][1].decode() for canary in stage.canaries if canary.name == "title")
    addresses = [
        f"/items/{name}/{part}" for part in ("", "content/", "preview/", "receipt/", "receipt/file/", "describe/")
    ]
    addresses += [f"/api/v1/items/{name}/{part}" for part in ("", "custody/", "content/", "receipt/")]
    # The address holds the word that is searched for, so the answer may repeat it: half of it is asked.
    addresses += ["/", "/items/", f"/items/?q={term[:10]}", "/items/erasures/", f"/audit/items/{name}/", *stage.pages]
    for username, user in stage.team.users.items():
        client = Client(headers={"host": "localhost"})
        client.raise_request_exception = False
        client.force_login(user)
        for address in addresses:
            answer = client.get(address)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
            yield f"{username} {address}", body


def _dump() -> bytes:
    found = connection.settings_dict
    command = [
        postgres._binary("pg_dump"), "-h", str(found["HOST"]), "-p", str(found["PORT"] or postgres.PORT),
        "-U", str(found["USER"]), str(found["NAME"]),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).stdout


def _statistics() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(s)::text FROM pg_stats s WHERE schemaname = 'public'")
        return "\n".join(row[0] for row in cursor.fetchall()).encode()


def _folder(folder: Path, canaries: list[Canary]) -> tuple[int, list[Hit]]:
    size, hits = 0, []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file():
            size += path.stat().st_size
            hits += list(in_file(path, canaries, str(path.relative_to(folder.parent))))
    return size, hits


def _settle() -> None:
    drain()
    sign_head()

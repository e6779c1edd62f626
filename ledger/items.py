"""The items of a bundle: catalogue, reception, custody, and what an erasure explains (sections 9 and 11)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ledger import bag
from ledger.check import Check, Event
from ledger.entry import EntryError, parse_canonical
from ledger.report import Item, Problem

RECEIVED, ERASED = "ingestion", "sanad/erasure"

_ACCESSION = re.compile(r"[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_CONTENT = {"accession", "blobs", "id"}
_GIVEN = ("media_type", "path", "sha256", "sha512")
_ROW = {"accession", "erasure", "events", "exhibit", "id", "size", "state", *_GIVEN}


@dataclass
class Erasure:
    """What one entry says was destroyed: {item id: (accession, blobs)}, and {event id: fields}."""

    content: dict[str, tuple[str, frozenset[str]]]
    values: dict[str, frozenset[str]]


def check_erasures(check: Check) -> dict[int, Erasure]:
    """The erasures that the bundle opens, by index; tells of what they say is destroyed and stands here."""
    erasures = {}
    for event in check.events.values():
        if event.done(ERASED) and "erased" in event.fields:
            path = bag.place("entry", event.index)
            said = check.attempt(path, "erasure-malformed", "is no erasure", _erasure, event.fields["erased"])
            if said:
                erasures[event.index] = said
    for said in erasures.values():
        for event_id, fields in said.values.items():
            event = check.events.get(event_id)
            if event and not fields.isdisjoint(event.fields):
                path = bag.place("disclosure", event.index)
                check.tell(path, "erasure-contradicted", "opens a value that an erasure says was destroyed")
    return erasures


def _erasure(value: Any) -> Erasure:
    if not isinstance(value, dict) or value.keys() != {"content", "values"} or not isinstance(value["content"], list):
        raise EntryError("not {content, values}")
    if not isinstance(value["values"], dict):
        raise EntryError("values is not an object")
    content = {}
    for one in value["content"]:
        if (
            not isinstance(one, dict)
            or one.keys() != _CONTENT
            or not isinstance(one["id"], str)
            or one["id"] in content
        ):
            raise EntryError("content is not exactly {accession, blobs, id}, once for each item")
        blobs = _texts(one["blobs"])
        if not isinstance(one["accession"], str) or not all(_HEX64.match(blob) for blob in blobs):
            raise EntryError("content has a malformed accession or blob")
        content[one["id"]] = (one["accession"], blobs)
    return Erasure(content, {event_id: _texts(fields) for event_id, fields in value["values"].items()})


def _texts(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise EntryError("not a list of texts")
    if len(set(value)) < len(value):
        raise EntryError("something is there twice")
    return frozenset(value)


def check_items(check: Check, digests: dict[str, bag.Digests], erasures: dict[int, Erasure]) -> None:
    """The catalogue against payloads, entries and erasures."""
    rows = check.parse(bag.ITEMS, bag.MAX_ITEMS_BYTES, "catalogue-malformed", _catalogue)
    if rows is None:
        return
    for key in ("accession", "id", "path"):
        for value, times in Counter(row[key] for row in rows).items():
            if times > 1 and value is not None:
                check.tell(bag.ITEMS, "catalogue-duplicate", f"names {key} {value[:200]} twice")
    listed = {row["path"] for row in rows}
    for path in sorted(check.source.files):
        if path.startswith("data/items/") and path not in listed:
            check.tell(path, "payload-uncatalogued", "is not in the catalogue of items")
    by_where: dict[str, list[Problem]] = {}
    for problem in check.report.problems:
        by_where.setdefault(problem.where, []).append(problem)
    for row in rows:
        check.report.items.append(_check_item(check, row, digests.get(row["path"]), erasures, by_where))


def _catalogue(data: bytes) -> list[dict[str, Any]]:
    """The rows of a catalogue of the right shape. Raises EntryError."""
    value = parse_canonical(data, max_bytes=bag.MAX_ITEMS_BYTES)
    if not isinstance(value, dict) or value.keys() != {"format", "items"} or value["format"] != bag.FORMAT:
        raise EntryError(f"not of the format {bag.FORMAT}")
    if not isinstance(value["items"], list):
        raise EntryError("items is not a list")
    for row in value["items"]:
        if not isinstance(row, dict) or row.keys() != _ROW or not isinstance(row["exhibit"], (str, type(None))):
            raise EntryError("an item does not have exactly its members")
        if not isinstance(row["accession"], str) or not _ACCESSION.match(row["accession"]):
            raise EntryError("an item has a malformed accession number")
        if not isinstance(row["events"], list) or not all(
            isinstance(text, str) for text in [row["id"], *row["events"]]
        ):
            raise EntryError("an item has a malformed id or list of events")
        given = all(isinstance(row[key], str) for key in _GIVEN) and type(row["size"]) is int
        closed = all(row[key] is None for key in (*_GIVEN, "size"))
        explained = type(row["erasure"]) is int if row["state"] == "erased" else row["erasure"] is None
        if not explained or not {"present": given, "withheld": closed, "erased": closed}.get(str(row["state"]), False):
            raise EntryError("an item has members that do not fit its state")
    return list(value["items"])


def _check_item(
    check: Check,
    row: dict[str, Any],
    actual: bag.Digests | None,
    erasures: dict[int, Erasure],
    by_where: dict[str, list[Problem]],
) -> Item:
    keys = ("accession", "state", "exhibit", "path", "size", "sha256", "erasure")
    item = Item(*(row[key] for key in keys))

    def tell(code: str, what: str) -> None:
        item.problems.append(Problem(item.accession, code, what))
        check.tell(item.accession, code, what)

    if item.path is not None:
        if not item.path.startswith(f"data/items/{item.accession}/") or actual is None:
            tell("payload-missing", "has no file in the bundle")
        elif bag.Digests.stated(row) != actual:
            tell("payload-digest", "has a file that is not the one in the catalogue: digests or size differ")
    explained = erasures.get(row["erasure"]) if item.state == "erased" else None
    receptions, paths = [], [item.path]
    for event_id in dict.fromkeys(row["events"]):
        event = check.events.get(event_id)
        if event is None:
            tell("event-missing", f"misses its custody event {event_id[:40]}: no valid entry in the bundle")
            continue
        item.events.append(event.index)
        closed = event.entry.commitments.keys() - event.fields.keys()
        gone = closed & {field for said in erasures.values() for field in said.values.get(event_id, ())}
        item.withheld, item.erased = item.withheld + len(closed - gone), item.erased + len(gone)
        paths += [bag.place(kind, event.index) for kind in ("entry", "proof", "disclosure")]
        subjects = event.fields.get("subjects")
        unsaid = "subjects" not in event.fields and explained and "subjects" in explained.values.get(event_id, ())
        if not unsaid and not (isinstance(subjects, list) and {"kind": "item", "id": row["id"]} in subjects):
            tell("event-not-of-item", f"lists entry {event.index}, which does not disclose that it is about this item")
        if event.done(RECEIVED):
            receptions.append(event)
            item.received_at, item.received_index = event.entry.ts, event.index
    if not receptions:
        tell("reception-missing", "has no entry that records its reception")
    for said in erasures.values():
        if item.state != "erased" and row["id"] in said.content:
            tell("erasure-contradicted", "is here, and an erasure says that it was destroyed")
    if item.state == "erased":
        accession, blobs = explained.content.get(row["id"], ("", frozenset())) if explained else ("", frozenset[str]())
        before = [event for event in receptions if event.index < row["erasure"] and event.entry.blob in blobs]
        if accession != item.accession or not before:
            tell("erasure-unproven", "is said to be erased, and no entry here explains that")
    else:
        for event in receptions:
            _check_reception(event, row, actual, tell)
    for path in filter(None, paths):
        item.problems += by_where.get(path, [])
    if not item.problems and not check.report.flawed.isdisjoint(filter(None, paths)):
        item.problems.append(Problem(item.accession, "more", "has a problem that is counted and not listed"))
    return item


def _check_reception(event: Event, row: dict[str, Any], actual: bag.Digests | None, tell: Any) -> None:
    stated, present = event.fields.get("object"), row["state"] == "present"
    if not isinstance(stated, dict):
        if present:
            tell("reception-closed", f"cannot be compared: entry {event.index} does not disclose the object received")
        return
    if present and actual and bag.Digests.stated(stated) != actual:
        tell("reception-mismatch", f"is not what the archive received: digests or size differ from entry {event.index}")
    for key in ("accession", "media_type") if present else ("accession",):
        if key in stated and stated[key] != row[key]:
            tell("statement-mismatch", f"has another {key} in the catalogue than in entry {event.index}")

"""The items of a bundle: catalogue, reception, custody, and what an erasure explains (sections 9 and 11)."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

from ledger import bag
from ledger.check import Check, Event
from ledger.entry import EntryError, fitting, parse_canonical
from ledger.report import Item, Problem
from ledger.shape import ANY, HEX64

Problems = dict[str, dict[str, Problem]]
RECEIVED, ERASED = "ingestion", "sanad/erasure"

_ACCESSION = re.compile(r"[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?\Z")
_ERASED = {"content": [{"accession": str, "blobs": [HEX64], "id": str}], "values": {ANY: [str]}}
_ROW = {"accession": _ACCESSION, "events": [str], "exhibit": (str, None), "id": str}
_GIVEN: dict[str, Any] = {"media_type": str, "path": str, "sha256": str, "sha512": str, "size": int}
_CLOSED = dict.fromkeys(_GIVEN)
_ROWS = (
    {**_ROW, **_GIVEN, "state": "present", "erasure": None},
    {**_ROW, **_CLOSED, "state": "withheld", "erasure": None},
    {**_ROW, **_CLOSED, "state": "erased", "erasure": int},
)


class Erasure(NamedTuple):
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
            erasures[event.index] = said or Erasure({}, {})
            check.destroyed.update(erasures[event.index].content)
            for event_id, fields in erasures[event.index].values.items():
                if event_id in check.events and check.events[event_id].index < event.index:
                    check.gone.setdefault(event_id, set()).update(fields)
    for event_id, gone in check.gone.items():
        if not gone.isdisjoint(check.events[event_id].fields):
            path = bag.place("disclosure", check.events[event_id].index)
            check.tell(path, "erasure-contradicted", "opens a value that an erasure says was destroyed")
    return erasures


def _erasure(value: Any) -> Erasure:
    lists = [one["blobs"] for one in fitting(value, _ERASED, "erased")["content"]] + list(value["values"].values())
    content = {one["id"]: (one["accession"], frozenset(one["blobs"])) for one in value["content"]}
    if len(content) < len(value["content"]) or not all(0 < len(set(one)) == len(one) for one in lists):
        raise EntryError("something is there twice, or a list is empty")
    return Erasure(content, {event_id: frozenset(fields) for event_id, fields in value["values"].items()})


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
    problems: Problems = {}
    for problem in check.report.problems:
        problems.setdefault(problem.where, {}).setdefault(problem.code, problem)
    for row in rows:
        check.report.items.append(_check_item(check, row, digests.get(row["path"]), erasures, problems))


def _catalogue(data: bytes) -> list[dict[str, Any]]:
    """The rows of a catalogue of the right shape. Raises EntryError."""
    shape = {"format": bag.BUNDLE_FORMAT, "items": [_ROWS]}
    return list(fitting(parse_canonical(data, max_bytes=bag.MAX_ITEMS_BYTES), shape, "catalogue")["items"])


def _check_item(
    check: Check, row: dict[str, Any], actual: bag.Digests | None, erasures: dict[int, Erasure], problems: Problems
) -> Item:
    item = Item(*(row[key] for key in ("accession", "state", "exhibit", "path", "size", "sha256", "erasure")))

    def tell(code: str, what: str) -> None:
        if code not in [problem.code for problem in item.problems]:
            item.problems.append(Problem(item.accession, code, what))
        check.tell(item.accession, code, what)

    if item.path is not None:
        if not item.path.startswith(f"data/items/{item.accession}/") or actual is None:
            tell("payload-missing", "has no file in the bundle")
        elif bag.stated_digests(row) != actual:
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
        gone = closed & check.gone.get(event_id, set())
        item.withheld, item.erased = item.withheld + len(closed - gone), item.erased + len(gone)
        paths += [bag.place(kind, event.index) for kind in ("entry", "proof", "disclosure")]
        unsaid = explained and event.index < row["erasure"] and "subjects" in explained.values.get(event_id, ())
        if not ("subjects" in gone and unsaid) and row["id"] not in event.items:
            tell("event-not-of-item", f"lists entry {event.index}, which does not disclose that it is about this item")
        if event.done(RECEIVED):
            receptions.append(event)
            item.received_at, item.received_index = event.entry.ts, event.index
    if not receptions:
        tell("reception-missing", "has no entry that records its reception")
    if item.state != "erased" and row["id"] in check.destroyed:
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
        item.problems += problems.get(path, {}).values()
    if not item.problems and not check.report.flawed.isdisjoint(filter(None, paths)):
        item.problems.append(Problem(item.accession, "more", "has a problem that is counted and not listed"))
    return item


def _check_reception(event: Event, row: dict[str, Any], actual: bag.Digests | None, tell: Any) -> None:
    stated, present = event.fields.get("object"), row["state"] == "present"
    if not isinstance(stated, dict) or not (present or "accession" in stated):
        tell("reception-closed", f"cannot be compared: entry {event.index} does not disclose the object received")
        return
    if present and actual and bag.stated_digests(stated) != actual:
        tell("reception-mismatch", f"is not what the archive received: digests or size differ from entry {event.index}")
    for key in ("accession", "media_type") if present else ("accession",):
        if key in stated and stated[key] != row[key]:
            tell("statement-mismatch", f"has another {key} in the catalogue than in entry {event.index}")

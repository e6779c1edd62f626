"""Descriptions from a table (CSV): every wrong cell is named by line and column, and nothing or everything is written.

The table itself becomes an item of the incident: it is what was claimed. Each item's change is its own custody event,
and one event says which items the table described. A rehearsal is the very same act, undone.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, permitted, require
from custody.engine import Subject, acting, record
from custody.vocabulary import Type
from evidence import blobs
from evidence.actions import describe_item
from evidence.blobs import ReceptionRefused
from evidence.description import DESCRIBED, described
from evidence.models import Item
from incidents import uploads
from incidents.models import Incident
from incidents.state import require_not_closed
from incidents.vocabulary import Stance

MOST_BYTES = 4 << 20
MOST_ROWS = 800  # the subjects of one event fit into a value of the ledger
LONGEST_CELL = 20_000
WHICH = ("accession", "sha256")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
_UNREADABLE = re.compile("[\0\ufffe\uffff]")


@dataclass(frozen=True)
class CellError:
    """What is wrong, where: a line of the file as an editor counts it, and the name of a column, or none."""

    line: int
    column: str
    message: str


@dataclass
class Outcome:
    """What a table did, or would do. With errors nothing was written."""

    rows: int = 0
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    errors: list[CellError] = field(default_factory=list)
    item: Item | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "errors": [vars(error) for error in self.errors],
            "item": self.item.accession if self.item else None,
        }


@dataclass(frozen=True)
class _Row:
    line: int
    which: str
    said: str
    changes: dict[str, Any]


class _Undone(Exception):
    """Takes an act back without being a fault."""


def rehearse_table(*, by: User, at: datetime, incident: Incident, data: bytes) -> Outcome:
    """What import_table would do with these bytes; nothing of it is kept. Raises NotVisible, Refused, NotNow."""
    outcome = Outcome()
    try:
        with acting():
            _describe(by, at, _receiving(by, incident), data, "", outcome)
            raise _Undone
    except _Undone:
        return outcome


def import_table(
    *,
    by: User,
    at: datetime,
    incident: Incident,
    received: blobs.Received,
    original_name: str,
    reason: str = "",
    idempotency_key: UUID | None = None,
) -> Outcome:
    """Keep the table as an item and describe items by its rows, all in one act; with one wrong cell, nothing.

    Asked again with the same key it does nothing more. Raises NotVisible, Refused, NotNow, ValidationError,
    ReceptionRefused when it is longer than MOST_BYTES. Whatever is raised or wrong, the bytes are dropped.
    """
    outcome = Outcome()
    try:
        data = bytes_of(received)
        with acting():
            incident = _receiving(by, incident)
            said = {"stance": Stance.CONTEXT, "reasons": _("A table that describes items of this compartment.")}
            intake = uploads.announce(by=by, at=at, incident=incident, fields=said)
            item = uploads.accept(
                by=by,
                at=at,
                intake=intake,
                received=received,
                original_name=original_name,
                idempotency_key=idempotency_key,
            )
            outcome.item = item
            if item.blob_id != received.blob_id:
                raise _Undone  # this very import was done before
            _describe(by, at, incident, data, reason, outcome)
            if outcome.errors:
                raise _Undone
            touched = Item.objects.filter(accession__in=outcome.changed).order_by("accession")
            record(
                Type.IMPORT,
                by=by,
                at=at,
                compartment=incident.compartment_id,
                subjects=[Subject("item", item.id), *(Subject("item", each.id) for each in touched)],
                fields={
                    "object": {"accession": item.accession, "sha256": item.sha256},
                    "described": outcome.changed,
                    "unchanged": outcome.unchanged,
                    "purpose": reason,
                },
            )
    except _Undone:
        blobs.discard(received)
        outcome.item = None if outcome.errors else outcome.item
    except BaseException:
        blobs.discard(received)
        raise
    return outcome


def bytes_of(received: blobs.Received) -> bytes:
    """The table's bytes. Raises ReceptionRefused when there are more than MOST_BYTES."""
    if received.size > MOST_BYTES:
        words = _("A table has at most %(most)s bytes. Send it in parts.") % {"most": MOST_BYTES}
        raise ReceptionRefused(words, "too_large", 413)
    with blobs.open_received(received) as opened:
        return b"".join(opened.read())


def _receiving(by: User, incident: Incident) -> Incident:
    incident = require(by, "incident.receive", Incident.objects.all(), pk=incident.pk)
    require_not_closed(incident)
    return incident


def _describe(by: User, at: datetime, incident: Incident, data: bytes, reason: str, outcome: Outcome) -> None:
    """Every row in order of accession numbers, so that two tables never wait for each other."""
    rows = list(_read(data, outcome.errors))
    outcome.rows = len(rows)
    found = _items(by, incident, rows, outcome.errors)
    for accession, row in sorted(found.items()):
        before = described(Item.objects.get(accession=accession))
        try:
            with acting():
                item = describe_item(by=by, at=at, accession=accession, changes=row.changes, reason=reason)
        except ValidationError as problem:
            outcome.errors += _errors(row, problem)
        except (NotVisible, Refused):
            outcome.errors.append(CellError(row.line, row.which, _("You may not describe this item.")))
        except NotNow as problem:
            outcome.errors.append(CellError(row.line, row.which, str(problem.message)))
        else:
            (outcome.unchanged if described(item) == before else outcome.changed).append(accession)
    if outcome.errors:
        outcome.changed, outcome.unchanged = [], []
        outcome.errors.sort(key=lambda error: (error.line, error.column))


def _items(by: User, incident: Incident, rows: Sequence[_Row], errors: list[CellError]) -> dict[str, _Row]:
    """{accession: row}. An item that one may not see, of another compartment or unknown is told apart by nobody."""
    seen = permitted(by, "item.view", Item.objects.filter(compartment_id=incident.compartment_id))
    found: dict[str, _Row] = {}
    for row in rows:
        held = list(seen.filter(**{row.which: row.said}).values_list("accession", flat=True)[:2])
        if not held:
            errors.append(CellError(row.line, row.which, _("There is no such item in this compartment.")))
        elif len(held) > 1:
            errors.append(
                CellError(row.line, row.which, _("Several items have these bytes: name it by accession number."))
            )
        elif held[0] in found:
            words = _("Line %(line)s describes this item already.") % {"line": found[held[0]].line}
            errors.append(CellError(row.line, row.which, words))
        else:
            found[held[0]] = row
    return found


def _errors(row: _Row, problem: ValidationError) -> Iterator[CellError]:
    told = problem.message_dict if hasattr(problem, "error_dict") else {"": problem.messages}
    for column, messages in told.items():
        yield CellError(row.line, column if column in row.changes else "", " ".join(messages))


def _read(data: bytes, errors: list[CellError]) -> Iterator[_Row]:
    """The rows that are whole; what is wrong with the others goes to the errors."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        errors.append(CellError(line, "", _("This is no UTF-8. Save the table as “CSV UTF-8”.")))
        return
    if bad := _UNREADABLE.search(text):
        errors.append(CellError(text.count("\n", 0, bad.start()) + 1, "", _("This line has characters of no text.")))
        return
    header_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if not _good_header(columns, errors):
            return
        line, count = reader.line_num + 1, 0
        for cells in reader:
            if any(cell.strip() for cell in cells):
                count += 1
                if count > MOST_ROWS:
                    words = _("A table has at most %(most)s rows. Send it in parts.") % {"most": MOST_ROWS}
                    errors.append(CellError(line, "", words))
                    return
                if row := _row(line, columns, cells, errors):
                    yield row
            line = reader.line_num + 1
    except csv.Error:
        errors.append(
            CellError(reader.line_num, "", _("This line is not written as CSV: look at its quotation marks."))
        )


def _good_header(columns: list[str], errors: list[CellError]) -> bool:
    before = len(errors)
    which = [name for name in columns if name in WHICH]
    if len(which) != 1:
        errors.append(CellError(1, "", _("One column, “accession” or “sha256”, says which item a row is about.")))
    for place, name in enumerate(columns):
        if name not in DESCRIBED and name not in WHICH:
            words = _("There is no column “%(name)s”. There are: %(names)s.")
            names = ", ".join((*WHICH, *DESCRIBED))
            shown = json.dumps(name[:40], ensure_ascii=True)[1:-1]
            errors.append(CellError(1, "", words % {"name": shown, "names": names}))
        elif name in columns[:place]:
            errors.append(CellError(1, name, _("This column is there twice.")))
    return len(errors) == before


def _row(line: int, columns: list[str], cells: list[str], errors: list[CellError]) -> _Row | None:
    if len(cells) != len(columns):
        words = _("This row has %(count)s cells, the first line has %(columns)s.")
        errors.append(CellError(line, "", words % {"count": len(cells), "columns": len(columns)}))
        return None
    said = {name: cell.strip().replace("\r\n", "\n") for name, cell in zip(columns, cells, strict=True)}
    which = next(name for name in WHICH if name in said)
    key = said.pop(which)
    changes: dict[str, Any] = {name: cell for name, cell in said.items() if cell}  # an empty cell leaves what stands
    before = len(errors)
    if not key:
        errors.append(CellError(line, which, _("Which item is this row about?")))
    for name, cell in changes.items():
        if len(cell) > LONGEST_CELL:
            errors.append(CellError(line, name, _("This text is too long for a description.")))
    if "graphic" in changes:
        if changes["graphic"].lower() not in (*_YES, *_NO):
            errors.append(CellError(line, "graphic", _("Say yes or no.")))
        changes["graphic"] = changes["graphic"].lower() in _YES
    if len(errors) > before:
        return None
    return _Row(line, which, key.lower() if which == "sha256" else key, changes)

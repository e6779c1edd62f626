"""How verification is put before a reader: tiles, steps, lines of a table, the state of a progress bar."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Compartment, User
from accounts.permissions import anywhere
from custody.anchors import Reach, reaches
from custody.cosignatures import Standing, standing
from custody.forks import Fork, forks
from custody.models import Entry, Event, EventSubject
from custody.proof import Proof, proof_of
from custody.timestamps import AuthoritiesProblem
from custody.vocabulary import Type
from evidence.models import FixityCheck, Item
from ledger.merkle import ProofError
from verification.models import Run, RunResult
from verification.queries import Coverage
from verification.trail import Row
from verification.vocabulary import Figure, State

#: The steps of evidence.fixity.find, in its order.
STEPS = ("bytes", "reception", "record", "description", "examination", "ledger")
TOMBSTONE_STEPS = ("erasure", "absence", "cleared", "destroyed", "ledger")
_FOLLOWED = {
    State.QUEUED: "waiting",
    State.RUNNING: "running",
    State.FINISHED: "done",
    State.CANCELLED: "cancelled",
    State.FAILED: "failed",
}


@dataclass(frozen=True)
class Shown:
    """One step of a verification as the page tells it. `state`: ok, wrong, waiting, or none when it was not reached."""

    name: str
    title: str
    meaning: str
    state: str
    detail: str


@dataclass(frozen=True)
class Reception:
    """Where the ledger holds the reception of an item: the entry, and the proof or why there is none."""

    event_id: str
    entry: Entry | None
    leaf: str
    proof: Proof | None
    root: str
    broken: str


@dataclass(frozen=True)
class Vouching:
    """Who outside vouches for the ledger: cosigners, authorities (`broken`: why their file is none), contradictions."""

    cosigners: Standing
    authorities: Sequence[Reach]
    broken: str
    forks: Sequence[Fork]


def vouching() -> Vouching:
    """What partners outside have seen and signed, as it stands now."""
    try:
        return Vouching(standing(), reaches(), "", forks())
    except AuthoritiesProblem as problem:
        return Vouching(standing(), [], str(problem), forks())


def steps(item: Item, check: FixityCheck | None) -> list[Shown]:
    """The steps of the newest check, in order; those after a fault were not reached."""
    titles = {
        "bytes": (_("The stored bytes"), _("Read again from the store and hashed: the digest must be their address.")),
        "reception": (
            _("The reception in the ledger"),
            _("One reception is recorded, and the values kept beside it open what its entry commits to."),
        ),
        "record": (
            _("The record"),
            _("Accession number, digests, size, key, receiver and time are those the ledger recorded."),
        ),
        "description": (_("The description"), _("What is said of the item follows from the acts in the ledger.")),
        "examination": (_("The examination"), _("Types, device claims and preview are those that were recorded.")),
        "ledger": (_("The signed ledger"), _("Each of these acts stands in the tree under a signed checkpoint.")),
        "erasure": (
            _("The erasure in the ledger"),
            _("An entry names this item, and the very bytes that its reception names."),
        ),
        "absence": (
            _("The absent values"),
            _("Each value that is missing was destroyed by an erasure that says so, and none of those stands again."),
        ),
        "cleared": (_("The record"), _("It says nothing any more, and holds no key and no derivative.")),
        "destroyed": (_("The stored bytes"), _("None of the item's ciphertexts stands in the store.")),
    }
    names = TOMBSTONE_STEPS if item.erased_at is not None else STEPS
    made = {step["name"]: step for step in check.steps} if check else {}
    faults = [step for step in made.values() if not step["good"] and step["name"] not in names]
    result, stopped = [], False
    for name in names:
        title, meaning = titles[name]
        step, state, detail = made.get(name), "", ""
        if step is not None:
            state, detail = ("ok" if step["good"] else "waiting"), step["detail"]
        elif faults and not stopped:
            state, detail, stopped = "wrong", faults[0]["detail"], True
        result.append(Shown(name, title, meaning, state, detail))
    return result


def reception(item: Item) -> Reception | None:
    """The reception of an item in the ledger, None where the ledger has none."""
    about = EventSubject.objects.filter(kind="item", subject_id=item.pk).values("event_id")
    event = Event.objects.filter(type=Type.RECEIVE, pk__in=about).first()
    if event is None:
        return None
    row = Entry.objects.filter(event_id=event.pk).first()
    proof, broken = None, ""
    try:
        proof = proof_of(event.pk)
    except ProofError as problem:
        broken = str(problem)
    return Reception(
        str(event.pk),
        row,
        bytes(row.leaf_hash).hex() if row else "",
        proof,
        bytes(proof.checkpoint.root).hex() if proof else "",
        broken,
    )


def tiles(whole: Coverage) -> list[dict[str, Any]]:
    """The figures of the desk with their lists."""
    tones = {Figure.FAILED: "danger", Figure.NEVER: "warn", Figure.OLDER: "warn"}
    hints = {
        Figure.FAILED: _("look at these first"),
        Figure.NEVER: _("nobody has tested their bytes since reception"),
        Figure.OLDER: _("due again"),
    }
    result = []
    for figure in Figure:
        if figure == Figure.ALL:
            continue
        count = whole.figures[figure]
        result.append(
            {
                "value": count,
                "label": figure.label,
                "url": with_query("verification:items", {"figure": figure.value}) if count else "",
                "tone": tones.get(figure, "") if count else "",
                "hint": hints.get(figure, "") if count else "",
            }
        )
    return result


def areas(user: User, active: str) -> list[dict[str, Any]]:
    """The parts of the audit desk that are open to the person, as tabs."""
    places = [("desk", _("Desk")), ("items", _("Items")), ("runs", _("Runs")), ("sweeps", _("Sweeps"))]
    places.append(("checkpoints", _("Checkpoints")))
    if anywhere(user, "trail.view"):
        places.append(("trail", _("Trail")))
    return [
        {"label": label, "url": reverse(f"verification:{name}"), "active": name == active, "count": None, "icon": ""}
        for name, label in places
    ]


def row_urls(row: Coverage) -> dict[str, str]:
    """The lists behind the figures of one compartment, by the figure's name in lower case."""
    base = {"compartment": row.compartment.code} if row.compartment else {}
    return {figure.name.lower(): with_query("verification:items", {"figure": figure.value} | base) for figure in Figure}


def item_filters(figure: Figure, compartment: Compartment | None, places: Sequence[Compartment]) -> dict[str, Any]:
    """The figures and compartments to choose a list by: [{label, url, active}]."""
    base = {"compartment": compartment.code} if compartment else {}
    return {
        "figures": [
            {
                "label": each.label,
                "url": with_query("verification:items", {"figure": each.value} | base),
                "active": each == figure,
            }
            for each in Figure
        ],
        "compartments": [
            {
                "label": _("All compartments"),
                "url": with_query("verification:items", {"figure": figure.value}),
                "active": compartment is None,
            },
            *(
                {
                    "label": each.code,
                    "url": with_query("verification:items", {"figure": figure.value, "compartment": each.code}),
                    "active": each == compartment,
                }
                for each in places
            ),
        ],
    }


def progress(run: Run) -> dict[str, Any]:
    """{state, done, total, message} of a run: entries while the ledger is checked, then items."""
    in_ledger = run.checks_ledger and run.ledger_checked_at is None
    if run.state == State.QUEUED:
        message = _("Waiting for a worker.")
    elif run.state == State.RUNNING and in_ledger:
        message = _("Checking the ledger entry by entry.")
    elif run.state == State.RUNNING:
        message = _("Reading and testing items.")
    else:
        message = str(State(run.state).label)
    if in_ledger and run.under_way:
        done, total = run.ledger_done, run.ledger_total
    else:
        done, total = run.done, run.total
    return {"state": _FOLLOWED[State(run.state)], "done": done, "total": total, "message": message}


def run_lines(run: Run, results: Any) -> Iterator[list[object]]:
    """The lines of a run's CSV: faults of the ledger, then items."""
    for fault in run.ledger_faults:
        yield [fault["where"], _("Fault of the ledger"), fault["what"], moment(run.ledger_checked_at), ""]
    more = run.ledger_fault_count - len(run.ledger_faults)
    if more > 0:
        yield [_("Ledger"), _("Fault of the ledger"), _("%(count)s more faults") % {"count": more}, "", ""]
    rows: Iterable[RunResult] = results.iterator(chunk_size=1000)
    for row in rows:
        yield [row.accession, row.get_outcome_display(), row.detail, moment(row.at), row.check_id]


def trail_line(row: Row) -> list[object]:
    """One line of a trail's CSV."""
    return [
        "" if row.index is None else row.index,
        row.event_id,
        moment(row.at),
        row.type.label,
        row.outcome.label,
        row.agent,
        "; ".join(f"{about.kind} {about.shown}" for about in row.about),
        row.compartment,
        row.permission,
    ]


def moment(at: datetime | None) -> str:
    """UTC to the second, as a machine reads it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def with_query(name: str, query: dict[str, str]) -> str:
    """The address of a page with a query."""
    return f"{reverse(name)}?{urlencode(query)}"


def page_url(request: HttpRequest, cursor: str) -> str:
    """The same list with its filters at another page; "" where there is none."""
    if not cursor:
        return ""
    query = request.GET.copy()
    query["page"] = cursor
    return f"?{query.urlencode()}"

"""The insider drill: attacks of a superuser or a thief, each on a fresh copy, and what told of each.

An attack is played, then the archive's own watchers look in the order in which they would come to it: the signer at
its next look, the sequencer, the scrub of the tree and of the values, a verification by an auditor. Nothing here knows
what was done; the sentence must name what the attack says it changed. Before the attacks the watchers must find nothing
on an untouched copy, or their finding something after would prove nothing.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from django.db import Error

from archive.drill_copies import WHOLE, Stage
from custody import admission, scrub
from custody.alarm import LedgerBroken
from custody.engine import SYSTEM, Subject, acting, record
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from evidence.vocabulary import FixityOutcome
from verification import actions as verification
from verification.models import Run
from verification.vocabulary import Scope

SECONDS = 120.0  # that a verification may take


@dataclass(frozen=True)
class Caught:
    """Who told of it, in which words."""

    by: str
    said: str


@dataclass(frozen=True)
class Played:
    """What an attack left behind: `names` must stand in the sentence; `look` is asked instead of the watchers.

    Without `names` it is an attack that nobody tells of.
    """

    names: str = ""
    look: Callable[[], Caught | None] | None = None


@dataclass(frozen=True)
class Attack:
    """One scripted attack, in words, and the function that plays it on the copy that stands.

    `known`: docs/threat-model.md says that nothing within the archive shows it. It is played all the same.
    """

    name: str
    play: Callable[[Stage], Played]
    known: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one attack ended. `seconds` from the end of the act to the sentence, the watcher asked at once."""

    attack: str
    caught: bool
    by: str
    said: str
    seconds: float
    known: bool = False


def play(stage: Stage, attacks: list[Attack]) -> Iterator[Outcome]:
    """Every attack on a fresh copy of the whole archive, the untouched copy first."""
    stage.copies.put_back(WHOLE)
    started = time.monotonic()
    found = watch(stage)
    yield Outcome(UNTOUCHED, found is None, found.by if found else "", found.said if found else "", _since(started))
    for attack in attacks:
        stage.copies.put_back(WHOLE)
        try:
            done = attack.play(stage)
        except Exception as problem:  # told as one that was not caught, and the other attacks are played all the same
            said = f"it could not be played: {type(problem).__name__}: {problem}"
            yield Outcome(attack.name, False, "", said, 0.0)  # a known one, too, has to be playable
            continue
        started = time.monotonic()
        found = done.look() if done.look else watch(stage)
        named = found is not None and bool(done.names) and done.names in found.said
        by, said = (found.by, found.said) if found else ("", "")
        yield Outcome(attack.name, named, by, said, _since(started), attack.known)


UNTOUCHED = "nothing: an untouched copy"


def watch(stage: Stage) -> Caught | None:
    """What the archive's own watchers say first; None when all of them find all well."""
    for by, look in (
        ("signer", _signer),
        ("sequencer", _sequencer),
        ("scrub", _scrub),
        ("scrub of values", _scrub_of_values),
    ):
        try:
            said = look()
        except LedgerBroken as broken:
            said = broken.sentence()
        except Error as problem:
            return Caught("database trigger", str(problem).splitlines()[0])
        if said:
            return Caught(by, said)
    return _verification(stage)


def _signer() -> str:
    """Its next look, and the one after something has happened."""
    sign_head()
    with acting():
        record(Type.VIEW, by=SYSTEM, at=datetime.now(UTC), subjects=[Subject("drill", uuid4())])
    drain()
    sign_head()
    return ""


def _sequencer() -> str:
    """What it kept out of the tree when it last looked."""
    kept_out = admission.held().first()
    return f"event {kept_out.event_id} is kept out of the ledger: {kept_out.reason}" if kept_out else ""


def _scrub() -> str:
    scrub.scrub()
    return ""


def _scrub_of_values() -> str:
    result = scrub.scrub_values()
    return "" if result.clean else result.first[0]


def _verification(stage: Stage) -> Caught | None:
    """An auditor's run over the ledger and every item."""
    run = verification.request_run(by=stage.team["auditor"], at=datetime.now(UTC), scope=Scope.EVERYTHING)
    verification.work(run_id=run.pk, until=time.monotonic() + SECONDS)
    run = Run.objects.get(pk=run.pk)
    if run.ledger_faults:
        return Caught("verification", "{where}: {what}".format(**run.ledger_faults[0]))
    wrong = run.results.exclude(outcome__in=(FixityOutcome.OK, FixityOutcome.PENDING)).order_by("accession").first()
    if wrong is not None:
        return Caught("item verification", f"{wrong.accession}: {wrong.outcome}: {wrong.detail}")
    return None if run.is_clean else Caught("verification", f"the run ended {run.state}, {run.unreached} not reached")


def _since(started: float) -> float:
    return time.monotonic() - started

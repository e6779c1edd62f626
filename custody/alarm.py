"""The ledger's alarms: what is wrong, where, and since when, kept outside the database that gave the reason.

Each process that watches the ledger keeps its own alarm in a file, so that none takes back what another one found.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.conf import settings

from custody.keys import write_durably


class Kind(StrEnum):
    """What has gone wrong. The value stands in logs, files and the interface, and never changes meaning."""

    WENT_BACKWARDS = "went-backwards"
    REWRITTEN = "rewritten"
    MISSING = "missing"
    DAMAGED = "damaged"
    MEMORY_LOST = "memory-lost"
    CLOCK = "clock"
    RIVAL = "another-signer"
    VALUES = "values"
    QUARANTINED = "quarantined"
    BROKEN = "broken"


#: How a process of the ledger ends on an alarm (docs/howto/ledger-keys.md). Not those of sysexits(3) or of signals.
EXIT_CODES = {
    Kind.BROKEN: 3,
    Kind.WENT_BACKWARDS: 10,
    Kind.REWRITTEN: 11,
    Kind.MISSING: 12,
    Kind.DAMAGED: 13,
    Kind.MEMORY_LOST: 14,
    Kind.CLOCK: 15,
    Kind.RIVAL: 16,
    Kind.VALUES: 17,
    Kind.QUARANTINED: 18,
}
#: The stored tree itself is not what was signed: nothing is appended to it meanwhile.
OF_THE_TREE = frozenset({Kind.WENT_BACKWARDS, Kind.REWRITTEN, Kind.MISSING, Kind.DAMAGED})
SIGNER, SCRUB, BESIDE, SEQUENCER, EXPORT = "signer", "scrub", "values", "sequencer", "export"


@dataclass(frozen=True)
class Alarm:
    """Since when (UTC) something is wrong, and what, in one sentence; `where` names the entry, tile or range.

    `expected` and `found` are digests in hex or sizes, "" where there is nothing to compare.
    """

    at: datetime
    what: str
    kind: Kind = Kind.BROKEN
    where: str = ""
    expected: str = ""
    found: str = ""
    source: str = SIGNER


class LedgerBroken(Exception):
    """The stored ledger is not one that may be continued: what kind of fault, and where. Nothing was written."""

    def __init__(
        self, what: str, *, kind: Kind = Kind.BROKEN, where: str = "", expected: str = "", found: str = ""
    ) -> None:
        super().__init__(what)
        self.kind, self.where, self.expected, self.found = kind, where, expected, found

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]

    def sentence(self) -> str:
        """What is wrong with the digests that show it, for a log."""
        compared = f" (expected {self.expected}, found {self.found})" if self.expected or self.found else ""
        return f"{self.kind.value}: {self}{compared}"


def alarms() -> list[Alarm]:
    """Every alarm that stands, the oldest first. A damaged alarm file is an alarm."""
    found = (_read(source) for source in (SIGNER, SCRUB, BESIDE, SEQUENCER, EXPORT))
    return sorted((alarm for alarm in found if alarm is not None), key=lambda alarm: alarm.at)


def alarm() -> Alarm | None:
    """The alarm that stands for longest, None when all is well."""
    return next(iter(alarms()), None)


def alarm_of(source: str) -> Alarm | None:
    """The alarm that one watcher raised, None when it has found nothing."""
    return _read(source)


def raise_alarm(
    what: str,
    *,
    kind: Kind = Kind.BROKEN,
    where: str = "",
    expected: str = "",
    found: str = "",
    source: str = SIGNER,
) -> None:
    """Keep the reason until the same watcher finds all well; the first time of the same reason stays."""
    standing = _read(source)
    if standing is not None and (standing.what, standing.kind) == (what, kind):
        return
    raised = Alarm(datetime.now(UTC), what, kind, where, expected, found, source)
    write_durably(_path(source), json.dumps(asdict(raised), default=datetime.isoformat), mode=0o644)


def raise_for(broken: LedgerBroken, source: str) -> None:
    """The alarm of a refusal."""
    raise_alarm(
        str(broken),
        kind=broken.kind,
        where=broken.where,
        expected=broken.expected,
        found=broken.found,
        source=source,
    )


def clear_alarm(source: str = SIGNER) -> None:
    """The watcher found the stored ledger to be again what was signed."""
    _path(source).unlink(missing_ok=True)


def _read(source: str) -> Alarm | None:
    path = _path(source)
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
        return Alarm(
            datetime.fromisoformat(stored["at"]),
            str(stored["what"]),
            Kind(stored["kind"]),
            str(stored["where"]),
            str(stored["expected"]),
            str(stored["found"]),
            source,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Alarm(datetime.now(UTC), f"the alarm file {path.name} cannot be read", source=source)


def _path(source: str) -> Path:
    folder = settings.SANAD_DATA / "status" if source in (SEQUENCER, EXPORT) else settings.SANAD_STATUS
    return Path(folder) / f"alarm-{source}.json"

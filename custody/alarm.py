"""The ledger's alarm: why the signer refused, kept outside the database that gave it the reason."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from custody.keys import write_durably


@dataclass(frozen=True)
class Alarm:
    """Since when (UTC) no head has been signed, and why, in one sentence."""

    at: datetime
    what: str


def alarm() -> Alarm | None:
    """The alarm that stands, None when all is well. A damaged alarm file is an alarm."""
    try:
        stored = json.loads(_path().read_text())
        return Alarm(datetime.fromisoformat(stored["at"]), str(stored["what"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Alarm(datetime.now(UTC), "the alarm file of the ledger cannot be read")


def raise_alarm(what: str) -> None:
    """Keep the reason until the signer signs again; the first time of the same reason stays."""
    standing = alarm()
    if standing is not None and standing.what == what:
        return
    write_durably(_path(), json.dumps({"at": datetime.now(UTC).isoformat(), "what": what}))


def clear_alarm() -> None:
    """The stored ledger is again what was signed, and its head was signed."""
    _path().unlink(missing_ok=True)


def _path() -> Path:
    return Path(settings.SANAD_KEYS) / "ledger-alarm.json"

"""What shows that the ledger has two pasts, or lost its newest part: kept outside the database until people looked.

One file for each contradiction, in `keys/forks/`. As long as one is there, the audit desk sounds the alarm; whoever has
looked into it moves the file away.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from custody.keys import write_durably

MOST = 100  # files; a partner that makes up new stories every hour does not fill the disk


@dataclass(frozen=True)
class Fork:
    """One contradiction. `proven`: the head it rests on carries a signature of our own key; else a partner's claim.

    `kind`: "fork" (another root for a size) or "rollback" (a larger size than the stored ledger has).
    """

    at: datetime
    cosigner: str
    kind: str
    proven: bool
    size: int
    our_size: int
    file: str


def keep(*, cosigner: str, kind: str, size: int, their_note: str, our_note: str, our_size: int, said: str) -> bool:
    """Keep a contradiction. True when it is a new one; the same one seen again is kept once. Raises OSError."""
    story = json.dumps([cosigner, kind, size, their_note])
    path = _folder() / f"{kind}-{hashlib.sha256(story.encode()).hexdigest()[:24]}.json"
    if path.exists() or len(list(_folder().glob("*.json"))) >= MOST:
        return False
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cosigner": cosigner,
        "kind": kind,
        "size": size,
        "their_note": their_note,
        "our_size": our_size,
        "our_note": our_note,
        "said": said,
    }
    write_durably(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    return True


def forks() -> list[Fork]:
    """Every contradiction that nobody has put away yet, oldest first. A damaged file is one, too."""
    return sorted((_read(path) for path in _folder().glob("*.json")), key=lambda fork: fork.at)


def _read(path: Path) -> Fork:
    try:
        stored: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return Fork(
            datetime.fromisoformat(stored["at"]),
            str(stored["cosigner"]),
            str(stored["kind"]),
            bool(stored["their_note"]),
            int(stored["size"]),
            int(stored["our_size"]),
            path.name,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Fork(datetime.now(UTC), "?", path.name.partition("-")[0], False, 0, 0, path.name)


def _folder() -> Path:
    folder = Path(settings.SANAD_KEYS) / "forks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder

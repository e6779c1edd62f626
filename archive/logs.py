"""Logging that cannot name a witness: one JSON object a line on stderr.

A line holds what our own code chose to say, never what somebody typed: no query strings, form data, request bodies,
file names or exception messages (a database's error quotes the row). Frames and exception types stay.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from http.client import responses
from types import TracebackType

OWN = frozenset(
    {"accounts", "archive", "cases", "custody", "evidence", "incidents", "sanad", "verification", "witnesses", "ledger"}
)


class DropTypedText(logging.Filter):
    """Libraries' log arguments may be typed text: only their fixed message stays. Requests become their URL pattern."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in OWN:
            status = getattr(record, "status_code", None)
            record.msg = responses.get(status, "") if isinstance(status, int) else str(record.msg)
            record.args = None
        request = getattr(record, "request", None)
        if request is not None:
            match = getattr(request, "resolver_match", None)
            record.route = match.route if match is not None else "(no such page)"
            record.method = getattr(request, "method", None)
            del record.__dict__["request"]
        return True


class JsonLines(logging.Formatter):
    """Keys: at (UTC), level, logger, message; where known method, route, status, exception (types and frames)."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, key in (("method", "method"), ("route", "route"), ("status_code", "status")):
            value = getattr(record, name, None)
            if value is not None:
                line[key] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = _without_messages(record.exc_info[1], record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


def log_last_words(program: str) -> None:
    """From here on what ends this process is logged like anything else, without what its message quotes."""

    def last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            logging.getLogger("archive.program").critical("%s ended", program, exc_info=(kind, error, trace))

    sys.excepthook = last_words


def _without_messages(error: BaseException | None, trace: TracebackType | None) -> list[str]:
    lines: list[str] = []
    while error is not None:
        lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        trace = error.__traceback__ if error is not None else None
    return lines

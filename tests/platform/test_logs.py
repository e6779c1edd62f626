import json
import logging
import sys

import pytest
from django.test import RequestFactory
from django.urls import resolve

from archive.logs import DropTypedText, JsonLines


def logged(record: logging.LogRecord) -> dict[str, object]:
    assert DropTypedText().filter(record)
    line = JsonLines().format(record)
    assert "\n" not in line
    parsed: dict[str, object] = json.loads(line)
    return parsed


def record(logger: str, message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger(logger).makeRecord(logger, logging.WARNING, __file__, 1, message, args, None, extra=extra)


def test_a_request_is_logged_by_its_pattern_not_by_what_was_typed() -> None:
    request = RequestFactory().get("/health/?q=a+protected+name")
    request.resolver_match = resolve("/health/")

    line = logged(
        record("django.request", "%s: %s", "Not Found", "/a protected name", request=request, status_code=404)
    )

    assert line["route"] == "health/"
    assert line["method"] == "GET"
    assert line["status"] == 404
    assert line["message"] == "Not Found"
    assert "protected" not in json.dumps(line)


def test_an_unknown_address_is_not_repeated() -> None:
    request = RequestFactory().get("/a-protected-name/")

    line = logged(record("django.request", "%s: %s", "Not Found", request.path, request=request, status_code=404))

    assert line["route"] == "(no such page)"
    assert "protected" not in json.dumps(line)


def test_a_librarys_arguments_stay_out_and_our_own_are_kept() -> None:
    theirs = logged(record("django.security.SuspiciousFileOperation", "traversal in '%s'", "a protected name.jpg"))
    ours = logged(record("custody.sequencer", "%d entries", 3))

    assert theirs["message"] == "traversal in '%s'"
    assert ours["message"] == "3 entries"


def test_exceptions_keep_their_frames_and_lose_their_messages() -> None:
    try:
        try:
            raise ValueError("a protected name")
        except ValueError as cause:
            raise RuntimeError("duplicate key (name)=(a protected name)") from cause
    except RuntimeError:
        made = record("django.request", "failed")
        made.exc_info = sys.exc_info()
    line = logged(made)

    shown = line["exception"]
    assert isinstance(shown, list)
    assert shown[0] == "builtins.RuntimeError"
    assert "builtins.ValueError" in shown
    assert any("test_logs.py" in frame for frame in shown)
    assert "protected" not in json.dumps(line)


def test_the_last_words_of_a_supervised_program_are_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from archive.logs import log_last_words

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    log_last_words("sequencer")
    try:
        raise ValueError("a protected name")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    (made,) = [entry for entry in caplog.records if entry.name == "archive.program"]
    line = logged(made)
    assert line["message"] == "sequencer ended"
    assert "protected" not in json.dumps(line)

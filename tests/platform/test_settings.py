"""What an operator sees when the environment is nonsense: settings are read by a process of their own each time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archive import data_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings") / "data"
    data_folder.prepare(folder)
    return folder


def read(data: Path, show: str = "''", **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SANAD_", "DATABASE_URL", "COV"))
    }
    code = f"from archive import settings; print({show})"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, "SANAD_DATA": str(data), **environ},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"SANAD_DATTA": "/x"}, "SANAD_DATTA is not a setting of this archive; did you mean SANAD_DATA?"),
        ({"SANAD_DATA": "relative"}, "SANAD_DATA must be an absolute path, not 'relative'."),
        ({"SANAD_DATA": "/nonexistent/folder"}, "the data folder /nonexistent/folder is not set up; run bin/run"),
        ({"SANAD_UPLOAD_LIMIT": "64 GB"}, "SANAD_UPLOAD_LIMIT must be a whole number, not '64 GB'."),
        ({"SANAD_UPLOAD_LIMIT": "-1"}, "SANAD_UPLOAD_LIMIT must be between 1 and"),
        ({"SANAD_DEBUG": "perhaps"}, "SANAD_DEBUG must be 1 or 0, not 'perhaps'."),
        ({"SANAD_DEBUG": "1", "SANAD_HOSTS": "archive.example"}, "is refused for the public host 'archive.example'."),
        ({"SANAD_INSECURE_HTTP": "1", "SANAD_HOSTS": "archive.example"}, "SANAD_INSECURE_HTTP is for loopback only"),
        ({"SANAD_HOSTS": "*"}, "SANAD_HOSTS must list host names"),
        ({"SANAD_HOSTS": "https://archive.example/"}, "SANAD_HOSTS must list host names"),
        ({"SANAD_LOG_LEVEL": "LOUD"}, "SANAD_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'."),
        ({"DATABASE_URL": "sqlite:///x.db"}, "DATABASE_URL must name a PostgreSQL server"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL must"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_nonsense_is_refused_with_one_clear_sentence(data: Path, environ: dict[str, str], sentence: str) -> None:
    ended = read(data, **environ)

    assert ended.returncode != 0
    last = ended.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in last
    assert sentence in last


def test_manage_says_the_sentence_without_a_traceback(data: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SANAD_DATA": str(data), "SANAD_DEBUG": "maybe"},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 1
    assert ended.stderr == "sanad: SANAD_DEBUG must be 1 or 0, not 'maybe'.\n"


def test_cookies_are_secure_unless_loopback_is_served_without_tls(data: Path) -> None:
    show = "settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT"

    assert read(data, show).stdout.strip() == "True True True"
    assert read(data, show, SANAD_INSECURE_HTTP="1").stdout.strip() == "False False False"


def test_passwords_are_hashed_with_argon2(data: Path) -> None:
    assert "Argon2" in read(data, "settings.PASSWORD_HASHERS[0]").stdout


def test_the_default_database_is_the_embedded_socket_and_a_url_names_another(data: Path) -> None:
    show = "settings.DATABASES['default']['HOST'], settings.DATABASES['default']['NAME']"

    assert "/postgres/socket sanad" in read(data, show).stdout
    url = "postgresql://someone:secret@db.example:5433/evidence"
    assert read(data, show, DATABASE_URL=url).stdout.strip() == "db.example evidence"


@pytest.mark.parametrize(
    ("argv", "role"),
    [
        (["granian"], "sanad_web"),
        (["manage.py", "procrastinate", "worker"], "sanad_web"),
        (["manage.py", "verify"], "sanad_web"),
        (["/srv/manage.py", "sequencer"], "sanad_sequencer"),
        (["manage.py", "export_log"], "sanad_auditor"),
        (["manage.py", "migrate"], "sanad"),
        (["manage.py", "set_up"], "sanad"),
        (["manage.py"], "sanad_web"),
    ],
)
def test_a_process_is_connected_in_the_least_role_that_its_work_needs(data: Path, argv: list[str], role: str) -> None:
    show = f"sys.argv.__init__({argv!r}) or __import__('importlib').reload(settings).DATABASES['default']['USER']"

    assert read(data, show.replace("sys.", "__import__('sys').")).stdout.strip() == role


def test_a_role_has_the_url_named_for_it_and_else_the_one_for_all(data: Path) -> None:
    show = "settings.DATABASES['default']['USER']"
    urls = {
        "DATABASE_URL": "postgresql://owner:x@db.example/evidence",
        "SANAD_SEQUENCER_DATABASE_URL": "postgresql://places:x@db.example/evidence",
    }

    assert read(data, show, SANAD_DATABASE_ROLE="sequencer", **urls).stdout.strip() == "places"
    assert read(data, show, SANAD_DATABASE_ROLE="web", **urls).stdout.strip() == "owner"
    refused = read(data, show, SANAD_DATABASE_ROLE="web", SANAD_WEB_DATABASE_URL="sqlite:///x").stderr
    assert "SANAD_WEB_DATABASE_URL must name a PostgreSQL server" in refused


def test_the_policy_for_browsers_has_nothing_unsafe(data: Path) -> None:
    policy = read(data, "settings.CONTENT_SECURITY_POLICY").stdout

    assert "'default-src': [\"'none'\"]" in policy
    assert "unsafe" not in policy


def test_a_database_whose_host_vanishes_is_not_waited_for_as_long_as_the_kernel_would(data: Path) -> None:
    show = "*(settings.DATABASES['default']['OPTIONS'][name] for name in ('connect_timeout', 'tcp_user_timeout'))"
    url = "postgresql://owner:x@db.example/evidence"
    assert read(data, show, DATABASE_URL=url).stdout.strip() == "10 30000"
    assert read(data, show, DATABASE_URL=f"{url}?connect_timeout=3").stdout.strip() == "3 30000"

"""The environment variables an archive reads, and the refusals: one clear sentence for each nonsense value."""

import difflib
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

KNOWN = frozenset(
    {
        "SANAD_ANCHOR_EVERY",
        "SANAD_AUTHORITIES",
        "SANAD_COSIGN_EVERY",
        "SANAD_AUDITOR_DATABASE_URL",
        "SANAD_DATA",
        "SANAD_DATABASE_ROLE",
        "SANAD_DEBUG",
        "SANAD_HEARTBEAT",
        "SANAD_HOSTS",
        "SANAD_INSECURE_HTTP",
        "SANAD_LEDGER_POLICY",
        "SANAD_LOG_LEVEL",
        "SANAD_SEQUENCER_DATABASE_URL",
        "SANAD_BEHIND_TLS_PROXY",
        "SANAD_SCRUB",
        "SANAD_SIGNER",
        "SANAD_SIGNER_DATABASE_URL",
        "SANAD_STATUS",
        "SANAD_UPLOAD_LIFE",
        "SANAD_UPLOAD_LIMIT",
        "SANAD_UPLOAD_LINES",
        "SANAD_UPLOAD_OPEN",
        "SANAD_UPLOAD_SILENCE",
        "SANAD_UPLOAD_STAGED",
        "SANAD_UPLOAD_STAGED_ALL",
        "SANAD_WEB_DATABASE_URL",
        "SANAD_WEB_THREADS",
    }
)
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def refuse_unknown(environ: os._Environ[str] | dict[str, str]) -> None:
    """A misspelt name would silently be a default: raises ImproperlyConfigured naming it and the nearest known one."""
    for name in sorted(environ):
        if name.startswith("SANAD_") and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(KNOWN))}."
            raise ImproperlyConfigured(f"{name} is not a setting of this archive{hint}")


def flag(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def whole_number(name: str, default: int, *, smallest: int, largest: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from None
    if not smallest <= value <= largest:
        raise ImproperlyConfigured(f"{name} must be between {smallest} and {largest}, not {value}.")
    return value


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(name, "").strip() or default
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def hosts() -> list[str]:
    """The names the site answers to, loopback when SANAD_HOSTS is not set."""
    names = [name.strip() for name in os.environ.get("SANAD_HOSTS", "").split(",") if name.strip()]
    for name in names:
        if name == "*" or "/" in name or (":" in name and not name.startswith("[")):
            raise ImproperlyConfigured(
                f"SANAD_HOSTS must list host names without scheme or port, separated by commas, not {name!r}."
            )
    return names or list(LOOPBACK)


def folder(name: str, default: Path) -> Path:
    text = os.environ.get(name, "")
    if not text:
        return default
    path = Path(text)
    if not path.is_absolute():
        raise ImproperlyConfigured(f"{name} must be an absolute path, not {text!r}.")
    return path


def file(name: str, default: Path) -> Path:
    """A file that may be absent; named, it must be there: a policy that silently is none protects nobody."""
    text = os.environ.get(name, "")
    if not text:
        return default
    path = Path(text)
    if not path.is_absolute() or not path.is_file():
        raise ImproperlyConfigured(f"{name} must be the absolute path of a file that is there, not {text!r}.")
    return path

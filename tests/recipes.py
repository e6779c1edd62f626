"""`bin/test`: the checks in order, then the tests. The pre-commit hooks run the same recipes one by one.

Every check runs even when one before it failed, so that one run tells everything; pytest's summary comes last.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from archive import data_folder

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent
CACHE = ROOT / ".cache"
JOURNEYS = "tests/journeys"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_PACKAGES = ("chromium", "fonts-noto-core")
GETTEXT_PACKAGES = ("gettext",)
GO_PACKAGES = ("golang-go", "golang-golang-x-mod-dev")
GO_PATH = "/usr/share/gocode"  # where Debian keeps the sources of Go's libraries


class Missing(Exception):
    """A tool cannot be had; the sentence says what to install."""


def ruff() -> int:
    return _run([BIN / "ruff", "check", "."])


def ruff_format() -> int:
    return _run([BIN / "ruff", "format", "--check", "."])


def mypy() -> int:
    return _run([BIN / "mypy", "--cache-dir", CACHE / "mypy"])


def imports() -> int:
    return _run([BIN / "lint-imports", "--cache-dir", CACHE / "imports"])


def templates() -> int:
    return _run([BIN / "djlint", "templates", "--lint", "--quiet"])


def migrations() -> int:
    """The models against the migrations' files; no database is running, which Django would warn of."""
    return _manage("makemigrations", "--check", "--dry-run", PYTHONWARNINGS="ignore::RuntimeWarning")


def deploy() -> int:
    """As an operator would serve it: a public name, TLS, no debugging; a warning fails."""
    return _manage("check", "--deploy", "--fail-level", "WARNING", SANAD_HOSTS="archive.example")


def messages() -> int:
    """Every string of the sources is in every catalogue, translated, with the same placeholders; needs gettext."""
    catalogues = sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))
    if not catalogues:
        return 0
    _require_programs(("xgettext", "msgfmt", "msguniq", "msgmerge"), GETTEXT_PACKAGES, "GNU gettext")
    copy = CACHE / "messages"
    shutil.rmtree(copy, ignore_errors=True)
    skip = shutil.ignore_patterns(".*", "node_modules", "data", "build", "tests", "vendor", "*.mo")
    shutil.copytree(ROOT, copy, ignore=skip)
    domains = {catalogue.stem for catalogue in catalogues}
    languages = [part for catalogue in catalogues for part in ("--locale", catalogue.parent.parent.name)]
    for domain in sorted(domains):
        made = _manage("makemessages", "--domain", domain, "--no-obsolete", *languages, cwd=copy)
        if made != 0:
            return made
    from tests.catalogues import problems

    found = [line for catalogue in catalogues for line in problems(catalogue, copy / catalogue.relative_to(ROOT))]
    for line in found[:60]:
        print(line)
    if len(found) > 60:
        print(f"... and {len(found) - 60} more")
    return 1 if found else 0


def tests() -> int:
    """In parallel and random order, with the coverage of lines, branches and templates."""
    go()
    argv = [PYTHON, "-m", "pytest", "-n", "auto", "--dist", "worksteal", f"--ignore={JOURNEYS}"]
    return _run(
        [*argv, "--cov", "--cov-branch", "--cov-report=term:skip-covered", f"--cov-report=html:{CACHE}/coverage"],
        ARCHIVE_BROWSER=browser(),
    )


def journeys() -> int:
    """A person's tasks in a real browser; one after the other, since each looks at the whole site."""
    if not (ROOT / JOURNEYS).is_dir():
        print(f"{JOURNEYS} is missing")
        return 1
    return _run([PYTHON, "-m", "pytest", JOURNEYS, "-p", "no:randomly"], ARCHIVE_BROWSER=browser())


RECIPES: dict[str, Callable[[], int]] = {
    "ruff": ruff,
    "format": ruff_format,
    "mypy": mypy,
    "imports": imports,
    "templates": templates,
    "migrations": migrations,
    "deploy": deploy,
    "messages": messages,
    "tests": tests,
    "journeys": journeys,
}


def browser() -> str:
    """A Chromium: the one named, the machine's, Debian's when root, Playwright's own. Raises Missing."""
    named = os.environ.get("ARCHIVE_BROWSER")
    if named:
        return named
    found = _first_of(BROWSERS)
    if found is None and _debian_root():
        _apt_get(BROWSER_PACKAGES)
        found = _first_of(BROWSERS)
    if found is None:
        subprocess.run([PYTHON, "-m", "playwright", "install", "chromium"], check=False)
        found = _playwrights_own()
    if found is None:
        raise Missing(
            "no browser for the journeys: install Chromium (Debian: apt-get install chromium fonts-noto-core)."
        )
    return found


def go() -> str:
    """A Go compiler with golang.org/x/mod, which the ledger's trees are compared with. Raises Missing."""
    library = Path(GO_PATH) / "src/golang.org/x/mod/sumdb/tlog"
    if not library.is_dir() and _debian_root():
        _apt_get(GO_PACKAGES)
    _require_programs(("go",), GO_PACKAGES, "Go")
    found = shutil.which("go")
    if found is None or not library.is_dir():
        raise Missing(f"Go's x/mod is missing: install it (Debian: apt-get install {' '.join(GO_PACKAGES)}).")
    return found


def _playwrights_own() -> str | None:
    code = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    said = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True).stdout.strip()
    return said if said and Path(said).exists() else None


def _require_programs(names: tuple[str, ...], packages: tuple[str, ...], what: str) -> None:
    if all(shutil.which(name) for name in names):
        return
    if _debian_root():
        _apt_get(packages)
    if not all(shutil.which(name) for name in names):
        raise Missing(f"{what} is missing: install it (Debian: apt-get install {' '.join(packages)}).")


def _first_of(names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := shutil.which(name))), None)


def _debian_root() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_get(packages: tuple[str, ...]) -> None:
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]):
        subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def _manage(*arguments: str, cwd: Path = ROOT, **more: str) -> int:
    return _run([PYTHON, cwd / "manage.py", *arguments], cwd=cwd, **more)


def _run(argv: list[str | Path], cwd: Path = ROOT, **more: str) -> int:
    return subprocess.run(
        [str(part) for part in argv], cwd=cwd, env=os.environ | more, stdin=subprocess.DEVNULL
    ).returncode


def _prepare_environment() -> None:
    """The checks read the settings, which want a data folder: one of their own. An operator's settings stay out."""
    for name in [name for name in os.environ if name.startswith("SANAD_") or name == "DATABASE_URL"]:
        del os.environ[name]
    data = CACHE / "checks"
    data_folder.prepare(data)
    os.environ["SANAD_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "archive.settings"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/test", description="Every check and test, or pytest on some paths.")
    parser.add_argument("--only", action="append", choices=RECIPES, help="one check of the list; may be repeated")
    parser.add_argument("--started-in", help=argparse.SUPPRESS)
    options, paths = parser.parse_known_args(arguments)
    _prepare_environment()
    if paths:
        if any(path.startswith(JOURNEYS) for path in paths):
            os.environ["ARCHIVE_BROWSER"] = browser()
        os.environ.pop("DJANGO_SETTINGS_MODULE")
        return _run([PYTHON, "-m", "pytest", *paths])
    failed: list[str] = []
    for name in options.only or RECIPES:
        print(f"\n== {name}", flush=True)
        if name in ("tests", "journeys"):
            os.environ.pop("DJANGO_SETTINGS_MODULE", None)
        began = time.monotonic()
        if name == "journeys" and failed:
            print(f"failed so far: {', '.join(failed)}", flush=True)
        if RECIPES[name]() != 0:
            failed.append(name)
        if name != "journeys":  # pytest's own summary is the last word
            print(f"== {name}: {'FAILED' if name in failed else 'ok'}, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Missing, data_folder.DataFolderProblem) as problem:
        sys.exit(f"bin/test: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)

"""One real archive and one real browser for all journeys; people of every role, signed in."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.journeys.acts import sign_in, speak
from tests.journeys.running import ROOT, RunningArchive

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PICTURES = ROOT / ".cache" / "journeys"
LOG_LINES = 80
_CONTENT = re.compile(r"/(content|preview)/$")  # the bytes of an item: there the policy is meant to be hit
_VIOLATION = re.compile(r"Content Security Policy|TrustedHTML|TrustedScript|Permissions policy", re.IGNORECASE)

#: How most people of the journeys see the site: nobody's device prefers anything, nothing moves.
NEUTRAL: dict[str, Any] = {"reduced_motion": "reduce", "locale": "en-GB", "timezone_id": "UTC"}


class Watch:
    """What the pages of one context did that no page of ours may do."""

    def __init__(self, context: BrowserContext) -> None:
        self.violations: list[str] = []
        self.errors: list[str] = []
        self.failures: list[str] = []
        self.ran: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(f"{error.page and error.page.url}: {error.error}"))
        context.on("response", self._response)
        context.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        where = str(message.location.get("url"))
        if _VIOLATION.search(message.text) and not _CONTENT.search(where):
            self.violations.append(f"{where}: {message.text}")
        if "SCRIPT-RAN" in message.text:
            self.ran.append(message.text)

    def _response(self, response: Response) -> None:
        if response.status >= 500 and response.status != 503:
            self.failures.append(f"{response.status} {response.url}")

    def _dialog(self, dialog: Any) -> None:
        if dialog.type != "beforeunload":
            self.ran.append(f"{dialog.type}: {dialog.message}")
        dialog.accept()

    def trouble(self) -> list[str]:
        return [*self.violations, *self.errors, *self.failures, *self.ran]


Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def archive() -> Iterator[RunningArchive]:
    with RunningArchive() as running:
        yield running


@pytest.fixture(scope="session")
def browser(browser_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser_path, args=list(BROWSER_ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def sessions(archive: RunningArchive, browser: Browser) -> Callable[[str], Any]:
    """The cookies of somebody who signed in once, by user name."""
    kept: dict[str, Any] = {}

    def of(username: str) -> Any:
        if username not in kept:
            context = browser.new_context(base_url=archive.url, **NEUTRAL)
            sign_in(context.new_page(), archive.accounts[username])
            kept[username] = context.storage_state()
            context.close()
        return kept[username]

    return of


@pytest.fixture
def visit(
    archive: RunningArchive, browser: Browser, sessions: Callable[[str], Any], request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """visit("auditor", language="ar", width=360, dark=True, javascript=False) gives a page of its own context.

    At the end no page has broken the content security policy, run what it must not, or met an error of the server.
    """
    opened: list[tuple[BrowserContext, Watch]] = []
    translated: set[str] = set()

    def open_page(
        who: str | None, *, language: str = "en", width: int = 1280, dark: bool = False, javascript: bool = True
    ) -> Page:
        context = browser.new_context(
            base_url=archive.url,
            storage_state=sessions(who) if who else None,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            has_touch=width < 600,
            java_script_enabled=javascript,
            accept_downloads=True,
            **NEUTRAL,
        )
        context.set_default_timeout(30_000)
        opened.append((context, Watch(context)))
        page = context.new_page()
        if who and language != "en":
            translated.add(who)
            speak(page, language)
        return page

    yield open_page
    for who in translated:
        context = browser.new_context(base_url=archive.url, storage_state=sessions(who), **NEUTRAL)
        speak(context.new_page(), "en")
        context.close()
    if getattr(request.node, "failed", False):
        _take_pictures(request.node.name, [context for context, _ in opened])
    trouble = []
    for context, watch in opened:
        context.close()
        trouble += watch.trouble()
    assert not trouble, "\n".join(trouble)


def _take_pictures(name: str, contexts: list[BrowserContext]) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    pages = [page for context in contexts for page in context.pages]
    for number, page in enumerate(pages):
        path = PICTURES / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{number}.png"
        page.screenshot(path=path)
        print(f"{page.url} looked like {path}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    """A failure shows what the archive said, and marks its test for pictures."""
    report = yield
    if report.failed:
        item.failed = True  # type: ignore[attr-defined]
        running = getattr(item, "funcargs", {}).get("archive")
        if isinstance(running, RunningArchive):
            report.sections.append(("the archive's log", "\n".join(running.log().splitlines()[-LOG_LINES:])))
    return report


@pytest.fixture(scope="session")
def photographs(test_data: Path) -> list[Path]:
    """Three real photographs, one of them HEIC, one with a position."""
    exif = test_data / "exif"
    return [
        exif / "jpg" / "gps" / "DSCN0012.jpg",
        exif / "jpg" / "Kodak_CX7530.jpg",
        exif / "heic" / "mobile" / "iphone_13_pro_max.HEIC",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What leaves the worker a thousand files to examine comes last: nobody waits behind them."""
    items.sort(key=lambda item: item.path.name == "test_everything.py")

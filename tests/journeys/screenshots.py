"""Pictures of the sample archive's main pages: python -m tests.journeys.screenshots FOLDER [--only NAME ...]

Each page in English and Arabic, at 360 and 1280 px; the files are named page-language-width.png.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.journeys import acts
from tests.journeys.conftest import BROWSER_ARGUMENTS, NEUTRAL
from tests.journeys.running import RunningArchive

#: Name of the picture, who looks, where.
PAGES = (
    ("sign-in", None, "/accounts/login/"),
    ("home-investigator", "investigator", "/"),
    ("home-legal", "legal", "/"),
    ("home-auditor", "auditor", "/"),
    ("home-protection", "protection", "/"),
    ("home-administrator", "administrator", "/"),
    ("library", "investigator", "/items/"),
    ("library-table", "investigator", "/items/?view=table"),
    ("item", "investigator", "/items/SY-2025-000001/"),
    ("item-graphic", "investigator", "/items/SY-2025-000015/"),
    ("item-pdf", "investigator", "/items/SY-2025-000031/"),
    ("item-audio", "investigator", "/items/SY-2025-000026/"),
    ("item-auditor", "auditor", "/items/SY-2025-000001/"),
    ("describe", "investigator", "/items/SY-2025-000001/describe/"),
    ("incidents", "investigator", "/incidents/"),
    ("incidents-map", "investigator", "/incidents/?view=map"),
    ("incident", "investigator", "/incidents/ > House burned"),
    ("figures", "investigator", "/incidents/ > published casualty figures"),
    ("incident-new", "investigator", "/incidents/new/"),
    ("upload", "investigator", "/incidents/ > House burned > Add items"),
    ("witnesses", "protection", "/witnesses/"),
    ("witness", "protection", "/witnesses/ > W-0001"),
    ("testimony", "investigator", "/witnesses/ > W-0001 > T-"),
    ("cases", "legal", "/cases/"),
    ("case", "legal", "/cases/ > Burning of a house"),
    ("exhibit", "legal", "/cases/ > Burning of a house > E-"),
    ("audit", "auditor", "/audit/"),
    ("audit-item", "auditor", "/audit/items/SY-2025-000001/"),
    ("audit-trail", "auditor", "/audit/trail/"),
    ("audit-runs", "auditor", "/audit/runs/"),
    ("people", "administrator", "/people/"),
    ("compartments", "administrator", "/compartments/"),
    ("tokens", "investigator", "/profile/tokens/"),
)
LANGUAGES = ("en", "ar")
WIDTHS = (360, 1280)


def walk(page: Page, way: str) -> str:
    """Follow "/incidents/ > House burned" by the first link with each of these words. Gives the address."""
    start, *clicks = way.split(" > ")
    page.goto(start)
    for words in clicks:
        page.locator("main a[href]", has_text=words).first.click()
        page.wait_for_load_state()
    return page.url


def picture(page: Page, path: Path, *, whole: bool) -> None:
    """Once everything on the page is drawn, pictures further down included."""
    page.wait_for_load_state("networkidle")
    if whole:
        page.evaluate(
            """async () => {
                for (const image of document.images) image.loading = "eager";
                await Promise.all([...document.images].filter((image) => image.checkVisibility())
                    .map((image) => image.decode().catch(() => {})));
            }"""
        )
    page.wait_for_timeout(400)
    page.screenshot(path=path, full_page=whole)


def take(archive: RunningArchive, browser: Browser, folder: Path, only: list[str], *, whole: bool) -> None:
    """Pictures of PAGES, or of those named in `only`."""
    for language in LANGUAGES:
        pages: dict[str | None, Page] = {}
        for name, who, way in PAGES:
            if only and name not in only:
                continue
            if who not in pages:
                locale = {"ar": "ar-SY", "en": "en-GB"}[language]
                context = browser.new_context(base_url=archive.url, **(NEUTRAL | {"locale": locale}))
                pages[who] = context.new_page()
                if who is not None:
                    acts.sign_in(pages[who], archive.accounts[who])
                    acts.speak(pages[who], "en")
            page = pages[who]
            if who is not None and " > " in way:  # the words of the way are English
                acts.speak(page, "en")
            url = walk(page, way)
            if who is not None and language != "en":
                acts.speak(page, language)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                page.goto(url)
                picture(page, folder / f"{name}-{language}-{width}.png", whole=whole)
                print(f"{name} {language} {width}", file=sys.stderr)
        for page in pages.values():
            page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.journeys.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", choices=[name for name, _who, _way in PAGES])
    parser.add_argument("--screen", action="store_true", help="what fits on the screen instead of the whole page")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    browser_path = os.environ.get("ARCHIVE_BROWSER") or shutil.which("chromium")
    with RunningArchive() as archive, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(BROWSER_ARGUMENTS))
        take(archive, browser, options.folder, options.only, whole=not options.screen)
        browser.close()


if __name__ == "__main__":
    main()

"""What people do over and over on the way through the archive, as they do it: by names that stand on the page."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.journeys.running import Account

SAME = "What you sent is what we hold."
UPLOAD_MS = 180_000


def sign_in(page: Page, account: Account) -> None:
    page.goto("/accounts/login/")
    page.locator("#id_username").fill(account.username)
    page.locator("#id_password").fill(account.password)
    page.locator("main form .form__actions button").click()
    expect(page).to_have_url(re.compile(r"/$"))


def speak(page: Page, language: str) -> None:
    """Choose a language in the menu, which writes it into the person's profile."""
    page.goto("/")
    page.locator(f"header button[name=language][value={language}]").evaluate("button => button.click()")
    expect(page.locator("html")).to_have_attribute("lang", language)


def open_incident(page: Page, title: str, *, narrative: str = "") -> str:
    """A new incident with a place and a day. Gives its address."""
    page.goto("/incidents/")
    page.get_by_role("link", name="New incident").click()
    page.locator("#id_title").fill(title)
    page.locator("#id_happened_edtf").fill("2025-03-07/2025-03-08")
    page.locator("#id_gazetteer").select_option(index=3)
    page.locator("#id_narrative").fill(narrative)
    page.locator("main form .form__actions button").first.click()
    expect(page).to_have_url(re.compile(r"/incidents/[0-9a-f-]{36}/$"))
    return page.url


def begin_upload(page: Page, incident: str, *, graphic: bool = False) -> None:
    """The page where files are added to an incident, with what is true of all of them filled in."""
    page.goto(incident)
    page.get_by_role("link", name="Add items").first.click()
    page.locator("input[name=stance][value=supports]").check()
    page.locator("#id_reasons").fill("Handed over with the consent of whoever made it.")
    if graphic:
        page.locator("#id_graphic").check()
    expect(page.locator("[data-uploader-live]")).to_be_visible()


def rows(page: Page) -> Locator:
    return page.locator("[data-queue] > li")


def send(page: Page, count: int, *, of: int | None = None) -> None:
    """Press "Send all" once every file is hashed, and wait until `count` files are held."""
    expect(rows(page)).to_have_count(of or count)
    page.get_by_role("button", name="Send all").click()
    held = page.locator("[data-queue] > li:is([data-state=held], [data-state=duplicate])")
    expect(held).to_have_count(count, timeout=UPLOAD_MS)


def upload(page: Page, incident: str, files: Sequence[Path], *, graphic: bool = False) -> dict[str, str]:
    """Files into an incident. Gives the accession number of each by the name under which it was sent."""
    begin_upload(page, incident, graphic=graphic)
    page.set_input_files("#upload-files", list(files))
    send(page, len(files))
    return received(page)


def received(page: Page) -> dict[str, str]:
    """{name: accession} of the rows that are held."""
    found = {}
    for row in rows(page).all():
        link = row.locator(".queue__state a")
        if row.get_attribute("data-state") == "held":
            found[row.locator(".queue__name").inner_text()] = link.inner_text()
    return found


def open_nameless_witness(page: Page) -> str:
    """A witness who gives no name. Gives the address."""
    page.goto("/witnesses/new/")
    page.get_by_role("button", name="They give no name").click()
    page.locator("input[name=kind][value=eyewitness]").check()
    page.get_by_role("button", name="Open the witness").click()
    expect(page).to_have_url(re.compile(r"/witnesses/[0-9a-f-]{36}/$"))
    return page.url


def ask_for_bundle(page: Page, case: str) -> None:
    """Ask for a bundle of a case file; the page then shows how far it is."""
    page.goto(case)
    page.get_by_role("button", name="Make a bundle").click()
    page.get_by_role("dialog").get_by_role("button", name="Make the bundle").click()
    expect(page).to_have_url(re.compile(r"/cases/bundles/[0-9a-f-]{36}/$"))


def ask_for_erasure(page: Page, accession: str) -> None:
    """Ask that an item be erased; the page then shows the request, which waits for a second person."""
    page.goto(f"/items/{accession}/")
    page.get_by_role("link", name="Ask for erasure").click()
    page.locator("input[name=ground]").first.check()
    page.locator("#id_reason").fill("The family asked for it in writing.")
    page.locator("main form .form__actions button").first.click()
    expect(page).to_have_url(re.compile(r"/items/erasures/[0-9a-f-]{36}/$"))


def case_of_the_sample(page: Page) -> str:
    page.goto("/cases/")
    page.get_by_role("link", name=re.compile("Burning of a house")).click()
    expect(page).to_have_url(re.compile(r"/cases/[0-9a-f-]{36}/$"))
    return page.url


def examined(page: Page, accession: str) -> None:
    """The page of an item once the archive has looked at its type."""
    for _try in range(40):
        page.goto(f"/items/{accession}/")
        if not page.get_by_text("Not examined yet.").count():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{accession} was not examined")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""Everybody can use every page: by keyboard, on a narrow telephone, in the dark, in Arabic, with a screen reader.

Each role walks to every page it can reach. axe-core looks at each route once, and at those of DIFFERS once for each
role, in English at 360 px in the light and in Arabic at 1280 px in the dark; at the page types of WHOLE_MATRIX it looks
in every combination of language, light and width.
"""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FileChooser, Page, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.reading import Route, complaints, pages, reachable, show, too_wide
from tests.journeys.running import RunningArchive

ROLES = ("investigator", "legal", "auditor", "protection", "administrator", "archivist")
WIDTHS = (360, 1280)
#: Pages that show each role something else.
DIFFERS = ("accounts:home", "evidence:item", "verification:item", "witnesses:witness", "witnesses:testimony")
#: Items whose pages lead further than others (a text, a recording, an exhibit), and a page that no other leads to.
ALSO = {
    "investigator": ("/items/SY-2025-000034/", "/items/SY-2025-000026/"),
    "legal": ("/items/SY-2025-000001/",),
}
#: Pages that only an invitation, a mistake in a form or signing out leads to; other tests go there.
BEHIND_FORMS = {
    "accounts:invitation",
    "accounts:invitation_open",
    "accounts:login",
    "incidents:change_status",
    "incidents:upload_files",
}
#: A dashboard, a list with facets, a page with viewer and custody, a long form, figures, a vault; by who opens them.
WHOLE_MATRIX = (
    ("investigator", "/"),
    ("investigator", "/items/"),
    ("investigator", "/items/SY-2025-000001/"),
    ("investigator", "/incidents/new/"),
    ("auditor", "/audit/"),
    ("protection", "/witnesses/"),
)
#: Pages that no link leads to, or only with a fault, and who meets them with which status.
ERRORS = (("investigator", "/items/SY-2025-999999/", 404), ("investigator", "/cases/", 403), (None, "/nowhere/", 404))
_FOCUS = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const style = getComputedStyle(element);
    const label = document.querySelector(`label[for="${element.id}"]`);
    const shown = element.classList.contains("visually-hidden") && label ? getComputedStyle(label) : style;
    const outlined = shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) >= 2;
    const drawn = element instanceof SVGElement && parseFloat(style.strokeWidth) >= 4;
    const ring = outlined || drawn || shown.boxShadow !== "none";
    return { ring, shape: `${element.outerHTML.slice(0, 100)} ${shown.outline} ${style.strokeWidth}`,
        text: (element.innerText || element.value || element.id || element.tagName).trim().slice(0, 60) };
}"""


@pytest.fixture(scope="module")
def looked_at() -> set[Route]:
    """The routes that a role before has had looked at."""
    return set()


@pytest.mark.parametrize("role", ROLES)
def test_every_page_of_a_role_is_accessible_and_fits_a_telephone(
    visit: Visit, role: str, looked_at: set[Route]
) -> None:
    page = visit(role, width=360)
    also = [*ALSO.get(role, ())]
    for path in also:
        acts.examined(page, path.split("/")[2])  # a text is shown once its type is known
    if role == "investigator":
        also.append(acts.open_nameless_witness(page))
    if role == "legal":
        acts.ask_for_bundle(page, acts.case_of_the_sample(page))
        also.append(page.url)
    if role == "archivist":
        acts.ask_for_erasure(page, "SY-2025-000020")
    page.goto("/")
    found, fresh, count = [], [], 0
    for route in reachable(page, also):
        count += 1
        found += [f"{page.url} is wider than 360 px: {what}" for what in too_wide(page)]
        if route not in looked_at or route.name in DIFFERS:
            looked_at.add(route)
            fresh.append(page.url)
            found += [f"{page.url} en 360 light: {what}" for what in complaints(page)]
    assert count >= 8, fresh
    page = visit(role, language="ar", dark=True)
    for url in fresh:
        page.goto(url)
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        found += [f"{url} ar 1280 dark: {what}" for what in complaints(page)]
        show(page, width=360, dark=True)
        found += [f"{url} ar is wider than 360 px: {what}" for what in too_wide(page)]
        show(page, width=1280, dark=True)
    assert not found, "\n".join(found)


def test_the_walks_have_missed_no_page(looked_at: set[Route]) -> None:
    """Every address that answers GET with a page was walked to by somebody."""
    assert pages() - {route.name for route in looked_at} == BEHIND_FORMS


@pytest.mark.parametrize(("role", "path"), WHOLE_MATRIX)
def test_a_page_type_is_accessible_in_every_language_light_and_width(visit: Visit, role: str, path: str) -> None:
    found = []
    for language in ("en", "ar", "fr"):
        page = visit(role, language=language)
        page.goto(path)
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width, dark in itertools.product(WIDTHS, (False, True)):
            show(page, width=width, dark=dark)
            found += [f"{language} {width} {'dark' if dark else 'light'}: {what}" for what in complaints(page)]
            found += [f"{language} {width}: wider than the screen: {what}" for what in too_wide(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("role", "path", "status"), ERRORS)
def test_what_says_that_something_is_wrong_is_accessible_too(
    visit: Visit, role: str | None, path: str, status: int
) -> None:
    page = visit(role)
    if role is None:
        page.goto("/accounts/login/")
        page.locator("main form .form__actions button").click()
        expect(page.get_by_role("alert")).to_be_visible()
    else:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == status
    for width, dark in itertools.product(WIDTHS, (False, True)):
        show(page, width=width, dark=dark)
        assert not complaints(page)
        assert not too_wide(page)


def tab_to(page: Page, reached: Callable[[], bool], *, most: int = 90) -> None:
    """Press Tab until the focus is where it is wanted; every stop on the way can be seen."""
    for _press in range(most):
        page.keyboard.press("Tab")
        focus = page.evaluate(_FOCUS)
        if focus is not None and not focus["ring"]:
            page.wait_for_timeout(250)  # a map draws itself anew when it comes into view
            focus = page.evaluate(_FOCUS)
        if focus is not None:
            assert focus["ring"], f"nothing shows the focus on {focus} ({page.url})"
        if reached():
            return
    raise AssertionError(f"the keyboard does not get there on {page.url}")


def on(page: Page, selector: str) -> Callable[[], bool]:
    return lambda: bool(page.evaluate("(selector) => document.activeElement?.matches(selector) ?? false", selector))


def test_the_first_press_of_tab_offers_to_skip_to_the_content(visit: Visit) -> None:
    page = visit("investigator")
    page.goto("/items/")
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_signing_in_finding_an_item_and_verifying_it_need_no_mouse(visit: Visit, archive: RunningArchive) -> None:
    page = visit(None)
    account = archive.accounts["archivist"]
    page.goto("/accounts/login/")
    tab_to(page, on(page, "#id_username"))
    page.keyboard.type(account.username)
    tab_to(page, on(page, "#id_password"))
    page.keyboard.type(account.password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))
    page.wait_for_load_state()  # the keys are listened to from here on

    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile(r"/items/$"))
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.keyboard.type("house dusk")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=house"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/items/SY-2025-000001/$"))
    tab_to(page, on(page, "form[action$='/verify/'] button"))
    page.keyboard.press("Enter")
    expect(page.locator("#verification").first).to_contain_text("Verified")


def test_a_file_is_sent_by_keyboard(visit: Visit, tmp_path: Path) -> None:
    page = visit("investigator")
    choosers: list[FileChooser] = []

    def asked(chooser: FileChooser) -> None:
        choosers.append(chooser)

    page.on("filechooser", asked)
    incident = acts.open_incident(page, "Sent without a mouse")
    acts.begin_upload(page, incident)
    page.locator("#main").focus()
    tab_to(page, on(page, "#upload-files"))
    letter = tmp_path / "letter.txt"
    letter.write_text("Typed, not clicked.\n")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    [chooser] = choosers
    chooser.set_files(letter)
    expect(acts.rows(page)).to_have_count(1)
    tab_to(page, on(page, "[data-send]"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-queue] > li[data-state=held]")).to_have_count(1, timeout=acts.UPLOAD_MS)


def test_a_question_that_is_asked_takes_the_focus_and_gives_it_back(visit: Visit) -> None:
    page = visit("investigator")
    page.goto("/items/SY-2025-000002/")
    opener = page.get_by_role("button", name="Download")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate("() => document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()

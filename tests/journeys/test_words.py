"""The site without JavaScript, in its languages, in the dark, and left in a hurry."""

import re
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.running import RunningArchive

PAPER = "() => getComputedStyle(document.documentElement).backgroundColor"
GRAPHIC = "/items/?graphic=yes"


def choose(page: Page, language: str) -> None:
    page.locator("header details.menu:not(.masthead__narrow) > summary").click()
    page.locator(f"button[name=language][value={language}]").click()


def test_everything_can_be_read_without_javascript(visit: Visit) -> None:
    page = visit("investigator", javascript=False)
    for path in ("/", "/items/", "/items/SY-2025-000001/", "/incidents/", "/incidents/?view=map", "/witnesses/"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/items/SY-2025-000001/")
    expect(page.locator("#custody .story__line").first).to_be_visible()
    expect(page.locator(".viewer img")).to_be_visible()
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as download:
        page.locator("details.confirm[open]").get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "SY-2025-000001.jpg"


def test_files_are_sent_by_a_plain_form_without_javascript(visit: Visit, test_data: Path) -> None:
    orientation = test_data / "exif" / "jpg" / "orientation"
    photographs = [orientation / "landscape_7.jpg", orientation / "landscape_8.jpg"]
    with_script = visit("investigator")
    incident = acts.open_incident(with_script, "Sent without a script")
    page = visit("investigator", javascript=False)
    page.goto(incident)
    page.get_by_role("link", name="Add items").first.click()
    expect(page.locator("[data-uploader-live]")).to_be_hidden()
    page.locator("input[name=stance][value=context]").check()
    page.locator("#id_reasons").fill("Shows the street before anything happened.")
    page.locator("#id_created_edtf").fill("some day")
    page.get_by_role("button", name="Continue to the files").click()
    expect(page.locator("#id_created_edtf_error")).to_be_visible()
    expect(page.locator("#id_created_edtf")).to_have_value("some day")
    page.locator("#id_created_edtf").fill("2025-03-08")
    page.get_by_role("button", name="Continue to the files").click()
    page.set_input_files("input#files", photographs)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#receipts li").get_by_text(acts.SAME)).to_have_count(2)
    shown = page.locator("#receipts .digest__value").all_inner_texts()
    assert shown == [acts.sha256(path) for path in photographs]


def test_graphic_content_stays_veiled_without_javascript(visit: Visit) -> None:
    page = visit("investigator", javascript=False)
    page.goto(GRAPHIC)
    page.locator("main [data-list] h2 a").last.click()
    picture = page.locator(".veil img")
    expect(picture).to_be_hidden()
    page.get_by_text("Show it blurred").click()
    expect(picture).to_be_visible()
    expect(picture).to_have_css("filter", re.compile("blur"))
    page.get_by_label("Show it clearly").check()
    expect(picture).to_have_css("filter", "none")


def test_the_language_is_changed_on_every_page_and_stays(visit: Visit) -> None:
    page = visit("archivist")
    page.goto("/items/?view=table")
    for language, direction in (("ar", "rtl"), ("fr", "ltr"), ("en", "ltr")):
        choose(page, language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("html")).to_have_attribute("dir", direction)
        assert page.url.endswith("/items/?view=table"), "the page is left by changing the language"
        heading = page.get_by_role("heading", level=1).inner_text()
        assert (heading == "Library") is (language == "en"), heading
        if language == "ar":
            assert re.search(r"[\u0600-\u06ff]", heading)
            menu = page.locator(".masthead__nav").bounding_box()
            sign = page.locator(".wordmark").bounding_box()
            assert menu is not None
            assert sign is not None
            assert sign["x"] > menu["x"], "the masthead does not begin on the right"
        page.goto("/incidents/")
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.goto("/items/?view=table")


def test_the_dark_is_chosen_and_stays(visit: Visit) -> None:
    page = visit("investigator")
    page.goto("/")
    light = page.evaluate(PAPER)
    page.locator("header details.menu:not(.masthead__narrow) > summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).not_to_have_css("background-color", light)  # the next frame paints it
    dark = page.evaluate(PAPER)
    assert brightness(dark) < 60 < 200 < brightness(light)
    page.goto("/incidents/")
    expect(page.locator("html")).to_have_css("background-color", dark)
    page.locator("header details.menu:not(.masthead__narrow) > summary").click()
    page.get_by_role("button", name="Device").click()
    page.reload()
    expect(page.locator("html")).to_have_css("background-color", light)


def brightness(colour: str) -> int:
    return max(int(part) for part in re.findall(r"\d+", colour)[:3])


def test_quick_exit_leaves_at_once_and_ends_the_session(visit: Visit, archive: RunningArchive) -> None:
    page = visit(None)
    acts.sign_in(page, archive.accounts["investigator2"])

    def elsewhere(route: Route) -> None:
        route.fulfill(body="<title>Encyclopaedia</title>", content_type="text/html")

    page.context.route(re.compile(r"https://www\.wikipedia\.org/.*"), elsewhere)
    page.goto("/items/SY-2025-000001/")
    with page.expect_request("**/accounts/logout/"):
        for _press in range(3):
            page.keyboard.press("Escape")
    expect(page).to_have_title("Encyclopaedia")
    page.go_back()
    assert "SY-2025-000001" not in page.content()
    page.goto("/items/SY-2025-000001/")
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next="))


def test_the_session_of_a_revoked_role_ends_with_the_next_request(visit: Visit) -> None:
    """What an administrator takes away is gone from the page that is open already."""
    administrator = visit("administrator")
    second = visit("legal2")
    second.goto("/cases/")
    expect(second.get_by_role("heading", level=1)).to_be_visible()
    administrator.goto("/people/")
    administrator.get_by_role("link", name="Second legal reviewer (sample)").click()
    administrator.get_by_role("link", name="Revoke").first.click()
    administrator.locator("#id_reason").fill("Left the team.")
    administrator.locator("main form .form__actions button").first.click()
    expect(administrator.get_by_role("heading", level=1)).to_contain_text("Second legal reviewer")
    answer = second.reload()
    assert answer is not None
    assert answer.status == 403

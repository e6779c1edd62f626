"""Uploads that are interrupted by a reload, a pause, a cancel. No changed file is glued, little is sent twice."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.line import Line
from tests.journeys.running import RunningArchive

SIZE = 60 * 2**20
SLOW = 12 * 2**20  # bytes a second
AGAIN = 0.05  # the part of a file that may be sent a second time
KEPT = "() => Object.keys(localStorage).filter((name) => name.startsWith('sanad.upload.'))"


@pytest.fixture
def line(archive: RunningArchive) -> Iterator[Line]:
    with Line(archive.port, rate=SLOW) as line:
        yield line


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def begun(page: Page, line: Line, title: str, *files: Path) -> str:
    """The files are on their way over the line. Gives the incident's address."""
    incident = acts.open_incident(page, title)
    acts.begin_upload(page, incident.replace(re.match(r"http://[^/]+", incident)[0], line.url))  # type: ignore[index]
    page.set_input_files("#upload-files", list(files))
    expect(acts.rows(page)).to_have_count(len(files))
    expect(page.locator("[data-queue] > li[data-state=ready]")).to_have_count(len(files))
    page.get_by_role("button", name="Send all").click()
    return page.url


def chosen_again(page: Page, *files: Path) -> None:
    page.set_input_files("#upload-files", list(files))
    expect(page.locator("[data-queue] > li[data-state=paused]")).to_have_count(len(files))
    page.locator("[data-resume]").click()


def press(page: Page, act: str, row: int = 0) -> None:
    acts.rows(page).nth(row).locator(f"[data-act={act}]").click()


def state_is(page: Page, state: str, row: int = 0) -> None:
    expect(acts.rows(page).nth(row)).to_have_attribute("data-state", state, timeout=acts.UPLOAD_MS)


@pytest.mark.parametrize("size", [20 * 2**20, 80 * 2**20], ids=["hashed before it is sent", "hashed meanwhile"])
def test_a_reload_in_the_middle_goes_on_and_sends_little_again(visit: Visit, line: Line, film: Path, size: int) -> None:
    film.write_bytes(os.urandom(size))
    page = visit("investigator")
    before = line.up
    begun(page, line, "Reloaded", film)
    line.await_up(before + size * 7 // 8)
    page.reload()

    state_is(page, "unfinished")
    expect(page.get_by_text("Some files were not finished")).to_be_visible()
    expect(acts.rows(page)).to_contain_text("film.bin")
    chosen_again(page, film)
    state_is(page, "held")
    expect(acts.rows(page)).to_contain_text(acts.SAME)
    sent = line.up - before
    assert size <= sent <= size * (1 + AGAIN), f"{sent - size} bytes more than the file went up the line"
    accession = acts.received(page)[film.name]
    assert page.evaluate(KEPT) == []
    page.goto(f"/items/{accession}/")
    expect(page.locator(".digest__value").first).to_have_text(acts.sha256(film))


def test_a_file_that_changed_is_never_joined_to_its_old_half(visit: Visit, line: Line, film: Path) -> None:
    page = visit("investigator")
    begun(page, line, "Changed under one name", film)
    line.await_up(line.up + SIZE // 3)
    page.reload()
    state_is(page, "unfinished")
    whole = film.stat()
    with film.open("r+b") as handle:
        handle.write(b"other")
    os.utime(film, ns=(whole.st_atime_ns, whole.st_mtime_ns))  # name, size and date are those of the other

    page.set_input_files("#upload-files", film)
    state_is(page, "ready", 1)
    expect(acts.rows(page).nth(1)).to_contain_text("it has changed")
    state_is(page, "unfinished")
    page.locator("input[name=stance][value=supports]").check()
    page.locator("#id_reasons").fill("Made anew.")
    page.get_by_role("button", name="Send all").click()
    state_is(page, "held", 1)
    page.goto(f"/items/{acts.received(page)[film.name]}/")
    expect(page.locator(".digest__value").first).to_have_text(acts.sha256(film))


def test_one_file_is_paused_while_another_goes_on(visit: Visit, line: Line, film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(os.urandom(SIZE // 6))
    page = visit("investigator")
    before = line.up
    begun(page, line, "Paused", film, other)
    line.await_up(before + SIZE // 6)
    press(page, "pause")
    state_is(page, "paused")
    state_is(page, "held", 1)
    standing = line.up
    page.wait_for_timeout(1500)
    assert line.up - standing < 200_000, "what is paused is still sent"

    press(page, "resume")
    state_is(page, "held")
    assert line.up - before <= (SIZE + SIZE // 6) * (1 + AGAIN)


def test_everything_is_paused_and_goes_on_by_keyboard(visit: Visit, line: Line, film: Path) -> None:
    page = visit("investigator")
    begun(page, line, "All paused", film)
    line.await_up(line.up + SIZE // 6)
    page.locator("[data-pause]").focus()
    page.keyboard.press("Enter")
    state_is(page, "paused")
    acts.rows(page).locator("[data-act=resume]").focus()
    page.keyboard.press("Enter")
    state_is(page, "sending")
    expect(acts.rows(page).locator("[data-act=pause]")).to_be_focused()
    state_is(page, "held")


def test_what_is_cancelled_is_dropped_by_the_archive_and_forgotten_here(visit: Visit, line: Line, film: Path) -> None:
    page = visit("investigator")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url) if request.method == "PATCH" else None)
    begun(page, line, "Cancelled", film)
    line.await_up(line.up + SIZE // 6)
    assert page.evaluate(KEPT) != []
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as dropped:
        press(page, "cancel")
    assert dropped.value.status == 204
    state_is(page, "cancelled")
    expect(acts.rows(page)).to_contain_text("Nothing of it was kept")
    assert page.evaluate(KEPT) == []
    assert page.request.get(addresses[0]).status == 404


def test_a_remembered_file_is_discarded_here_and_there(visit: Visit, line: Line, film: Path) -> None:
    page = visit("investigator")
    begun(page, line, "Discarded", film)
    line.await_up(line.up + SIZE // 6)
    page.reload()
    state_is(page, "unfinished")
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as dropped:
        press(page, "discard")
    assert dropped.value.status in (204, 404)
    page.reload()
    expect(page.locator("[data-uploader-live]")).to_be_visible()
    expect(acts.rows(page)).to_have_count(0)


@pytest.mark.parametrize("way", ["sign out", "quick exit"])
def test_names_of_files_do_not_outlive_the_session(
    visit: Visit, archive: RunningArchive, line: Line, film: Path, way: str
) -> None:
    page = visit(None)
    acts.sign_in(page, archive.accounts["investigator"])
    page.context.route("https://www.wikipedia.org/**", lambda route: route.fulfill(body="elsewhere"))
    page_of_upload = begun(page, line, f"Left by {way}", film)
    line.await_up(line.up + SIZE // 6)
    assert "film.bin" in page.evaluate("() => JSON.stringify({ ...localStorage })")
    if way == "sign out":
        page.locator("[data-sign-out] button").evaluate("button => button.click()")
        expect(page).to_have_url(re.compile("/accounts/login/"))
    else:
        page.locator("[data-quick-exit]").click()
        expect(page).to_have_url(re.compile("wikipedia"))
        page.goto(page_of_upload)
        expect(page).to_have_url(re.compile("/accounts/login/"))
    assert page.evaluate("() => JSON.stringify({ ...localStorage })") == "{}"

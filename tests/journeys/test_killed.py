"""Power cuts: the web server or the worker is killed in the middle of the work, and nothing half is ever seen."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.running import RunningArchive

SIZE = 200 * 2**20
LINE = 20 * 2**20  # bytes a second: a line slow enough to be cut in the middle
BACK_MS = 300_000  # a dead worker's jobs are taken over once it was silent for a minute


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """200 MiB that no two blocks of are the same."""
    path = tmp_path / "large.bin"
    with path.open("wb") as handle:
        for number in range(SIZE // 2**20):
            handle.write(number.to_bytes(8, "big") * (2**20 // 8))
    yield path
    path.unlink()


def staged(archive: RunningArchive) -> int:
    """Bytes of the upload that have arrived."""
    return sum(path.stat().st_size for path in (archive.data / "staging").rglob("*") if path.is_file())


def items_of(page: Page, incident: str) -> int:
    page.goto(incident)
    return page.locator("#items [data-list] > li").count()


def count_of_library(page: Page) -> str:
    page.goto("/items/")
    return page.locator(".page-header__lede").inner_text()


def test_a_web_server_killed_in_the_middle_of_an_upload_leaves_nothing_half_and_the_upload_goes_on(
    visit: Visit, archive: RunningArchive, large: Path
) -> None:
    colleague = visit("investigator2")
    page = visit("investigator")
    incident = acts.open_incident(page, "Received through a power cut")
    before = count_of_library(colleague)
    acts.begin_upload(page, incident)
    page.set_input_files("#upload-files", large)
    expect(acts.rows(page)).to_have_count(1)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": LINE}
    line.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Send all").click()
    deadline = time.monotonic() + 120
    while staged(archive) < SIZE // 8:
        assert time.monotonic() < deadline, "the upload does not arrive"
        page.wait_for_timeout(20)
    dead = archive.kill("web")
    assert staged(archive) < SIZE

    row = acts.rows(page)
    expect(row).to_have_attribute("data-state", "retrying")
    expect(row).to_contain_text(re.compile(r"The line broke\. Trying again in|No connection"))
    archive.await_back("web", instead_of=dead)
    assert row.get_attribute("data-state") in ("retrying", "sending")
    assert items_of(colleague, incident) == 0
    assert count_of_library(colleague) == before

    expect(row).to_have_attribute("data-state", "held", timeout=acts.UPLOAD_MS)
    expect(row).to_contain_text(acts.SAME)
    accession = acts.received(page)[large.name]
    assert items_of(colleague, incident) == 1
    colleague.goto(f"/items/{accession}/")
    expect(colleague.locator(".digest__value").first).to_have_text(acts.sha256(large))


def test_a_worker_killed_in_the_middle_of_a_run_and_a_bundle_finishes_both_after_its_restart(
    visit: Visit, archive: RunningArchive
) -> None:
    auditor, reviewer = visit("auditor"), visit("legal")
    case = acts.case_of_the_sample(reviewer)
    made = reviewer.locator("#bundles li").count()
    auditor.goto("/audit/runs/")
    auditor.locator("input[name=scope][value=everything]").check()
    with archive.halted("worker"):
        auditor.get_by_role("button", name="Start the run").click()
        expect(auditor).to_have_url(re.compile(r"/audit/runs/[0-9a-f-]{36}/$"))
        acts.ask_for_bundle(reviewer, case)
    progress = f"{auditor.url}progress/"
    deadline = time.monotonic() + 60
    while (state := auditor.request.get(progress).json()["state"]) == "waiting":
        assert time.monotonic() < deadline, "nobody begins the run"
    dead = archive.kill("worker")
    assert state == "running"
    assert auditor.request.get(progress).json()["state"] == "running"
    archive.await_back("worker", instead_of=dead)

    clean = auditor.get_by_text("Everything that was tested is as it was received and signed.")
    expect(clean).to_be_visible(timeout=BACK_MS)
    expect(reviewer.get_by_role("button", name="Download")).to_be_visible(timeout=BACK_MS)
    reviewer.goto(case)
    expect(reviewer.locator("#bundles li")).to_have_count(made + 1)

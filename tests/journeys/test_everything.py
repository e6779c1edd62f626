"""Every real, hostile and oddly named file there is, through the browser: kept bit by bit, and nothing breaks."""

import hashlib
import json
import shutil
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit

REAL = ("exif", "c2pa", "proofmode", "nasty")
ALL_MS = 600_000


def send_all(page: Page, count: int) -> None:
    """Send what is in the queue, also what the archive holds already."""
    expect(acts.rows(page)).to_have_count(count)
    page.get_by_role("button", name="Send all").click()
    over = page.locator("[data-queue] > li:is([data-state=held], [data-state=duplicate], [data-state=asking])")
    expect(over).to_have_count(count, timeout=ALL_MS)
    asking = page.locator("[data-queue] > li[data-state=asking] [data-act=anyway]")
    while asking.count():
        asking.first.click()
    held = page.locator("[data-queue] > li:is([data-state=held], [data-state=duplicate])")
    expect(held).to_have_count(count, timeout=ALL_MS)


def accessions(page: Page) -> dict[str, str]:
    """{name as sent: accession number} of the receipts."""
    found: dict[str, str] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-receipt-list] > li")].map((row) =>
            [row.querySelector(".queue__name").textContent, row.querySelector(".queue__state a").textContent]))"""
    )
    return found


def test_every_real_file_of_a_folder_is_held_bit_for_bit(visit: Visit, test_data: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    for name in REAL:
        shutil.copytree(test_data / name, card / name)
    files = [path for path in card.rglob("*") if path.is_file()]
    page = visit("investigator")
    incident = acts.open_incident(page, "Everything there is")
    acts.begin_upload(page, incident)
    page.set_input_files("#upload-folder", card)
    send_all(page, len(files))
    held = accessions(page)
    assert len(held) == len(files) > 500
    for path in files:
        accession = held[str(path.relative_to(tmp_path))]
        came = page.request.get(f"/items/{accession}/content/").body()
        assert hashlib.sha256(came).hexdigest() == acts.sha256(path), path
    page.goto(incident)
    expect(page.locator("#items")).to_be_visible()
    said = page.request.get(f"/api/v1{incident[incident.index('/incidents/') :]}links/")
    assert said.ok
    assert set(held.values()) <= set(json.dumps(said.json()).split('"'))


def test_every_naughty_string_may_be_the_name_of_a_file(visit: Visit, test_data: Path) -> None:
    strings: list[str] = json.loads((test_data / "naughty" / "blns.json").read_text("utf-8"))
    names = list(dict.fromkeys(name for name in strings if name.strip()))
    files: list[FilePayload] = [
        {"name": name, "mimeType": "text/plain", "buffer": f"named {number}\n".encode()}
        for number, name in enumerate(names)
    ]
    page = visit("investigator")
    incident = acts.open_incident(page, "Named to break programs")
    acts.begin_upload(page, incident)
    page.set_input_files("#upload-files", files)
    send_all(page, len(files))
    rows = page.locator("[data-receipt-list] > li").all()
    assert len(rows) == len(files) > 400
    assert not page.evaluate("() => 'SCRIPT_RAN' in window")
    page.goto(incident)
    expect(page.locator("#items")).to_be_visible()

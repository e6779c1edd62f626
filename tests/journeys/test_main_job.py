"""The archive's story on real files: from an upload to an exhibit that an auditor and a stranger have verified."""

import base64
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit
from tests.journeys.running import RunningArchive

TITLE = "House searched above Qadmus"
RELEVANCE = "Shows the east side of the house on the morning after."
SECRET_NAME = "Nobody Inventeddottir"
REASON = "The prosecutor asks whether the witness may be summoned."
WORK_MS = 120_000


class Matter:
    """What the steps of the story hand on to each other."""

    incident = ""
    accessions: dict[str, str]
    witness = ""
    testimony = ""
    case = ""
    bundle: Path
    address = ""

    @property
    def items(self) -> list[str]:
        return list(self.accessions.values())


@pytest.fixture(scope="module")
def matter(test_data: Path) -> Matter:
    """Needs the real photographs, of which the story is told."""
    return Matter()


@pytest.fixture
def folder(test_data: Path, tmp_path: Path) -> Path:
    """A small folder of real photographs inside a folder, as it comes off a memory card."""
    card = tmp_path / "card"
    (card / "DCIM" / "100").mkdir(parents=True)
    for name in ("landscape_3.jpg", "portrait_4.jpg"):
        shutil.copy(test_data / "exif" / "jpg" / "orientation" / name, card / "DCIM" / "100" / name)
    shutil.copy(test_data / "exif" / "jpg" / "mobile" / "HMD_Nokia_8.3_5G.jpg", card / "صورة من القرية.jpg")
    return card


def drop(page: Page, path: Path) -> None:
    """Let go of a file above the page, somewhere beside the drop zone."""
    transfer = page.evaluate_handle(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.dispatch_event("main h1", "drop", {"dataTransfer": transfer})


def test_1_an_investigator_sends_photographs_and_a_folder(
    visit: Visit, matter: Matter, photographs: list[Path], folder: Path
) -> None:
    page = visit("investigator")
    matter.incident = acts.open_incident(page, TITLE, narrative="Three men searched the house. W-0001 watched.")
    acts.begin_upload(page, matter.incident)
    page.set_input_files("#upload-files", photographs[:2])
    drop(page, photographs[2])
    page.set_input_files("#upload-folder", folder)
    acts.send(page, 6)
    assert page.locator("[data-queue] > li").get_by_text(acts.SAME).count() == 6
    matter.accessions = acts.received(page)
    assert set(matter.accessions) == {path.name for path in photographs} | {
        "card/DCIM/100/landscape_3.jpg",
        "card/DCIM/100/portrait_4.jpg",
        "card/صورة من القرية.jpg",
    }
    expect(page.get_by_role("heading", name="Receipts")).to_be_visible()

    heic = next(path for path in photographs if path.suffix == ".HEIC")
    accession = matter.accessions[heic.name]
    with page.expect_popup() as popup:
        page.locator("[data-receipt-list] > li", has_text=heic.name).get_by_role("link", name="Receipt").click()
    shown = popup.value
    expect(shown.get_by_text("Recorded", exact=True)).to_be_visible()  # by itself, when it was pending
    with shown.expect_download() as download:
        shown.get_by_role("link", name="Download the receipt").click()
    receipt = Path(download.value.path()).read_text("utf-8")
    shown.close()
    assert accession in receipt
    assert acts.sha256(heic) in receipt
    assert f'"size":{heic.stat().st_size}' in receipt

    page.goto(matter.incident)
    for accession in matter.items:
        expect(page.get_by_role("link", name=accession).first).to_be_visible()
    expect(page.locator("#timeline")).to_be_visible()


def test_2_every_file_is_held_bit_for_bit(visit: Visit, matter: Matter, photographs: list[Path]) -> None:
    page = visit("investigator")
    for path in photographs:
        page.goto(f"/items/{matter.accessions[path.name]}/")
        expect(page.locator(".digest__value").first).to_have_text(acts.sha256(path))
        page.get_by_role("button", name="Download").click()
        with page.expect_download() as download:
            page.get_by_role("dialog").get_by_role("button", name="Download").click()
        assert Path(download.value.path()).read_bytes() == path.read_bytes()


def test_3_the_heic_is_shown_and_what_it_claims_stands_apart_from_what_people_say(
    visit: Visit, matter: Matter, photographs: list[Path]
) -> None:
    page = visit("investigator")
    heic = matter.accessions[photographs[2].name]
    acts.examined(page, heic)
    picture = page.locator("[data-viewer=image] img")
    picture.scroll_into_view_if_needed()
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('[data-viewer=image] img').naturalWidth > 200")
    expect(page.locator("#claims")).to_contain_text("iPhone 13 Pro Max")
    expect(page.locator("#said")).not_to_contain_text("iPhone 13 Pro Max")

    page.get_by_role("link", name="Describe").click()
    page.locator("#id_title").fill("East side of the house")
    page.locator("#id_description").fill("الجهة الشرقية من البيت. Two windows are broken.")
    page.locator("#id_created_edtf").fill("2025-03-08?")
    page.locator("#id_created_basis").select_option("source")
    page.locator("#id_source").fill("Field collector 2 (pseudonym)")
    page.get_by_role("button", name="Save the description").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("East side of the house")
    expect(page.locator("#said")).to_contain_text("8 March 2025 (uncertain)")
    expect(page.locator("#custody")).to_contain_text("Described")


def test_3_what_is_held_already_is_told_before_it_is_sent(
    visit: Visit, matter: Matter, photographs: list[Path]
) -> None:
    page = visit("investigator")
    acts.begin_upload(page, matter.incident)
    page.set_input_files("#upload-files", photographs[0])
    row = acts.rows(page)
    expect(row).to_have_attribute("data-state", "asking")
    expect(row.get_by_role("link")).to_have_text(matter.accessions[photographs[0].name])
    row.get_by_role("button", name="Leave it out").click()
    expect(row).to_have_attribute("data-state", "skipped")


def test_4_a_date_that_is_none_is_said_under_its_field_and_nothing_is_lost(visit: Visit, matter: Matter) -> None:
    page = visit("investigator")
    page.goto(f"/items/{matter.items[0]}/describe/")
    page.locator("#id_title").fill("Written with care")
    page.locator("#id_created_edtf").fill("last Friday")
    page.get_by_role("button", name="Save the description").click()
    expect(page.locator("#id_created_edtf_error")).to_be_visible()
    expect(page.locator("#id_created_edtf")).to_have_value("last Friday")
    expect(page.locator("#id_title")).to_have_value("Written with care")


def test_5_a_witness_consents_and_testifies_and_the_name_is_on_no_page(visit: Visit, matter: Matter) -> None:
    page = visit("investigator")
    page.goto("/witnesses/")
    page.get_by_role("link", name="New witness").click()
    page.locator("#id_name").fill(SECRET_NAME)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("No witness you know of has this name.")).to_be_visible()
    page.locator("input[name=kind][value=eyewitness]").check()
    page.locator("#id_name").fill(SECRET_NAME)
    page.get_by_role("button", name="Open the witness").click()
    expect(page).to_have_url(re.compile(r"/witnesses/[0-9a-f-]{36}/$"))
    matter.witness = page.url
    assert SECRET_NAME not in page.content()

    page.get_by_role("link", name="Record consent").click()
    for purpose in ("documentation", "domestic_prosecution"):
        page.locator(f"input[name=purposes][value={purpose}]").check()
    for recipient in ("own_team", "national_authority"):
        page.locator(f"input[name=recipients][value={recipient}]").check()
    page.locator("input[name=recording_media][value=written]").check()
    page.locator("input[name=recording_media][value=photo]").check()
    page.locator("#id_language").fill("apc")
    page.locator("#id_given_edtf").fill("2025-03-20")
    page.locator("main form .form__actions button").first.click()
    expect(page).to_have_url(matter.witness)
    expect(page.get_by_text("Consent in force").first).to_be_visible()

    page.get_by_role("link", name="Record a testimony").first.click()
    page.locator("#id_interview_edtf").fill("2025-03-20")
    page.locator("#id_language").fill("apc")
    page.locator("#id_text").fill("رأيت ثلاثة رجال عند الباب. I cannot say who they were.")
    page.locator("#id_recordings").fill(matter.items[0])
    page.get_by_role("button", name="Record the testimony").click()
    expect(page).to_have_url(re.compile(r"/testimonies/[0-9a-f-]{36}/$"))
    matter.testimony = page.url
    expect(page.locator("#text")).to_contain_text("رأيت ثلاثة رجال عند الباب")
    expect(page.locator("#recordings")).to_contain_text(matter.items[0])


def test_6_a_legal_reviewer_tenders_exhibits_and_reviews_them(visit: Visit, matter: Matter) -> None:
    page = visit("legal")
    page.goto("/cases/new/")
    page.locator("#id_title").fill("Search of a house above Qadmus")
    page.locator("#id_forum").select_option("domestic")
    page.locator("#id_purpose").select_option("domestic_prosecution")
    page.locator("#id_recipient_kind").select_option("national_authority")
    page.locator("#id_recipient").fill("Prosecutor of Examplia (fictional)")
    page.get_by_role("button", name="Open the case file").click()
    expect(page).to_have_url(re.compile(r"/cases/[0-9a-f-]{36}/$"))
    matter.case = page.url
    for accession in matter.items[:3]:
        page.goto(matter.case)
        page.get_by_role("link", name="Add an exhibit").click()
        page.locator("#id_accession").fill(accession.lower())
        page.locator("#id_category").select_option("crime_base")
        page.locator("#id_relevance").fill(RELEVANCE)
        page.get_by_role("button", name="Add the exhibit").click()
        expect(page.locator("main")).to_contain_text(accession)
    page.goto(matter.case)
    table = page.locator("#exhibits tbody tr")
    expect(table).to_have_count(3)
    expect(table.get_by_text("Covered")).to_have_count(3)
    table.first.get_by_role("link").first.click()
    page.locator("#id_assessment").select_option("key")
    page.locator("#id_note").fill("The only picture of that morning.")
    page.get_by_role("button", name="Record the review").click()
    expect(page.locator("#reviews")).to_contain_text("Key evidence")


def test_7_a_bundle_is_made_taken_away_and_checked_by_a_stranger(visit: Visit, matter: Matter, tmp_path: Path) -> None:
    page = visit("legal")
    acts.ask_for_bundle(page, matter.case)
    expect(page.get_by_role("button", name="Download")).to_be_visible(timeout=WORK_MS)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    taken = tmp_path / download.value.suggested_filename
    download.value.save_as(taken)
    expect(page.locator("#download .digest__value")).to_have_text(acts.sha256(taken))

    with zipfile.ZipFile(taken) as archive:
        archive.extractall(tmp_path / "abroad")
    [bundle] = [path.parent for path in (tmp_path / "abroad").rglob("bagit.txt")]
    for accession in matter.items[:3]:
        assert list(bundle.rglob(f"{accession}*")), f"{accession} is not in the bundle"
    everything = b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())
    for secret in (SECRET_NAME, "Field collector 2", *(Path(name).name for name in matter.accessions)):
        assert secret.encode() not in everything, f"{secret} left with the bundle"

    checked = stranger(bundle)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    [photograph] = list(bundle.rglob(f"{matter.items[1]}.jp*g"))
    changed = bytearray(photograph.read_bytes())
    changed[len(changed) // 2] ^= 1
    photograph.write_bytes(changed)
    checked = stranger(bundle)
    assert checked.returncode == 1
    assert photograph.name in checked.stdout


def stranger(bundle: Path) -> subprocess.CompletedProcess[str]:
    """The bundle's own verifier on a machine that has Python and nothing of this project."""
    verifier = bundle / "data" / "verify" / "sanad-verify.pyz"
    argv = [sys.executable, "-I", "-S", str(verifier), "verify", str(bundle)]
    return subprocess.run(argv, capture_output=True, text=True, env={}, cwd=bundle.parent, timeout=120)


def test_8_an_auditor_verifies_one_item_in_three_clicks_and_sees_nothing_of_it(visit: Visit, matter: Matter) -> None:
    page = visit("auditor")
    accession = matter.items[1]
    page.goto("/")
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Audit").click()  # one
    page.locator("#one-accession").fill(accession)
    page.get_by_role("button", name="Verify now").click()  # two
    expect(page.get_by_role("heading", level=1)).to_have_text(accession)
    steps = page.locator("#steps .story__line")
    expect(steps.get_by_text("As it must be")).not_to_have_count(0)
    expect(page.locator("#steps").get_by_text("Not as it must be")).to_have_count(0)
    matter.address = page.locator("#steps .digest__value").first.inner_text().strip()
    assert re.fullmatch(r"[0-9a-f]{64}", matter.address)

    names = [Path(name).name for name in matter.accessions]
    for path in (f"/audit/items/{accession}/", f"/items/{accession}/", "/audit/trail/"):
        shown = page.goto(path)
        assert shown is not None
        assert shown.ok
        assert not [word for word in (*names, TITLE, "East side of the house", SECRET_NAME) if word in page.content()]
    for part in ("content", "preview", "text"):
        assert page.request.get(f"/items/{accession}/{part}/").status == 403


def test_9_everything_is_verified_with_a_progress_bar_that_survives_a_reload(visit: Visit, matter: Matter) -> None:
    page = visit("auditor")
    start_run(page)
    page.reload()
    expect(page.get_by_text("Everything that was tested is as it was received and signed.")).to_be_visible(
        timeout=WORK_MS
    )
    expect(page.locator("main")).to_contain_text("Nothing wrong")
    tested = page.request.get(f"{page.url}results.csv").text()
    assert [accession for accession in matter.items if accession not in tested] == []


def start_run(page: Page) -> None:
    """Ask for everything to be verified; the run's page shows how far it is."""
    page.goto("/audit/runs/")
    page.locator("input[name=scope][value=everything]").check()
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile(r"/audit/runs/[0-9a-f-]{36}/$"))


def test_a_flipped_bit_in_the_store_is_found_and_named(visit: Visit, archive: RunningArchive, matter: Matter) -> None:
    page = visit("auditor")
    damaged = matter.items[1]
    with archive.damaged(matter.address):
        start_run(page)
        expect(page.get_by_text("Something is wrong").first).to_be_visible(timeout=WORK_MS)
        wrong = page.locator("#items tbody tr", has=page.locator(".badge--danger"))
        expect(wrong).to_have_count(1)
        expect(wrong).to_contain_text(damaged)
        page.goto("/")
        expect(page.locator("#audit-now")).to_contain_text("failed their last check")
    page.goto(f"/audit/items/{damaged}/")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator("#steps").get_by_text("Not as it must be")).to_have_count(0)
    expect(page.locator("#checks tbody tr")).not_to_have_count(1)  # the failed check stays in its past


def test_b_a_protection_officer_opens_the_identity_with_a_reason_that_stays(visit: Visit, matter: Matter) -> None:
    page = visit("protection")
    page.goto(matter.witness)
    assert SECRET_NAME not in page.content()
    page.get_by_role("link", name="Open identity").click()
    page.locator("#id_reason").fill("Why?")
    page.locator("#id_confirm").check()
    page.get_by_role("button", name="Open the identity").click()
    expect(page.locator("#id_reason_error")).to_be_visible()
    assert SECRET_NAME not in page.content()
    page.locator("#id_reason").fill(REASON)
    page.locator("#id_confirm").check()
    page.get_by_role("button", name="Open the identity").click()
    expect(page.locator(".vault--open")).to_contain_text(SECRET_NAME)
    page.get_by_role("link", name="Close").click()
    expect(page.locator(".vault__openings")).to_contain_text(REASON)
    expect(page.locator("#custody")).to_contain_text(REASON)
    assert SECRET_NAME not in page.content()


def test_c_an_administrator_sees_no_evidence_anywhere(visit: Visit, matter: Matter) -> None:
    page = visit("administrator")
    page.goto("/")
    menu = page.get_by_role("navigation", name="Main", exact=True)
    for entrance in ("Library", "Incidents", "Witnesses", "Case files", "Audit"):
        expect(menu.get_by_role("link", name=entrance)).to_have_count(0)
    item = f"/items/{matter.items[0]}/"
    single = [item, *(f"{item}{part}/" for part in ("content", "preview", "text", "receipt", "describe"))]
    single += [matter.incident, matter.witness, matter.testimony, matter.case, f"/audit/items/{matter.items[0]}/"]
    for path in single:
        assert page.request.get(path).status == 404, path
    for path in ("/items/", "/incidents/", "/witnesses/", "/cases/", "/audit/"):
        answer = page.request.get(path)
        assert answer.status in (200, 403, 404), path
        said = answer.text()
        assert not [word for word in (TITLE, *matter.items) if word in said], path
    for path in ("/", "/people/", "/compartments/"):
        page.goto(path)
        said = page.content()
        assert not [word for word in (TITLE, SECRET_NAME, *matter.items) if word in said], path

"""verify.html itself: one file that loads nothing, in three languages; and a clerk who opens it from a disk."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Request, expect, sync_playwright
from playwright.sync_api import Page as Tab

import ledger.page
from custody.vocabulary import Outcome, Type
from ledger.bundle import BundleWriter, zip_bundle
from ledger.note import fingerprint
from ledger.pack import verifier_archive
from ledger.page import page as build
from ledger.receipt import format_receipt
from tests.journeys.conftest import BROWSER_ARGUMENTS
from tests.journeys.reading import complaints, too_wide
from tests.ledger.sample import KEYS, Log, Sample, item_id, write_bundle
from tests.verifier.node import Page

SOURCES = Path(ledger.page.__file__).parent
ROOT = SOURCES.parent.parent
LANGUAGES = ("ar", "en", "fr")


def between(text: str, start: str, end: str) -> str:
    return text[text.index(start) + len(start) : text.rindex(end)]


def test_the_policy_lets_nothing_run_or_load_but_the_page_itself() -> None:
    text = build().decode()
    policy = dict(
        part.strip().split(" ", 1) for part in between(text, 'Policy" content="', '">\n<meta name="vi').split(";")
    )
    for tag, directive in (('script type="module"', "script-src"), ("style", "style-src")):
        content = between(text, f"<{tag}>", f"</{tag.split()[0]}>")
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy.pop(directive) == f"'sha256-{digest}'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy) == {"default-src", "connect-src", "base-uri", "form-action"}
    assert set(policy.values()) == {"'none'"}
    assert not re.search(
        r"\b(?:src|href)=|url\(|@import|fetch\(|XMLHttp|innerHTML|localStorage|document\.cookie|eval\(", text
    )
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert build() == build()
    assert len(build()) < 256 * 1024


def test_sources_that_the_build_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ledger.page._resource
    for name, addition in (("sha.mjs", "export default 1;\n"), ("sha.mjs", "const x = '</script>';\n")):
        with monkeypatch.context() as patch:
            patch.setattr("ledger.page._resource", lambda at, to=name, more=addition: real(at) + more * (at == to))
            with pytest.raises(ValueError, match=r"cannot hold|end tag"):
                build()


def test_the_colours_are_those_of_the_archive() -> None:
    def tokens(path: Path) -> list[dict[str, str]]:
        blocks = re.findall(r":root[^{]*\{([^}]*)\}", path.read_text("utf-8"))
        found = [dict(re.findall(r"(--[a-z-]+):\s*([^;]+);", block)) for block in blocks]
        return [block for block in found if "--paper" in block]

    ours, theirs = tokens(SOURCES / "page.css"), tokens(ROOT / "static/css/tokens.css")
    for mine, own in zip(ours[:2], theirs[:2], strict=True):
        assert mine
        assert {name: own.get(name) for name in mine} == mine


@pytest.fixture(scope="module")
def words(page: Page) -> dict[str, Any]:
    said: dict[str, Any] = page.call("words")
    return said


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Texts by their place; what holds one text for each plural form is one leaf."""
    if isinstance(value, dict) and "other" not in value:
        return {at: leaf for key, part in value.items() for at, leaf in leaves(part, f"{path}/{key}").items()}
    if isinstance(value, list):
        return {at: leaf for key, part in enumerate(value) for at, leaf in leaves(part, f"{path}/{key}").items()}
    return {path: value}


def test_every_word_is_there_in_every_language(words: dict[str, Any]) -> None:
    english = leaves(words["en"])
    forms = {"en": {"one", "other"}, "fr": {"one", "many", "other"}}
    forms["ar"] = {"zero", "one", "two", "few", "many", "other"}
    for language in LANGUAGES:
        texts = leaves(words[language])
        assert texts.keys() == english.keys()
        for place, value in texts.items():
            plural = isinstance(english[place], dict)
            assert isinstance(value, dict) == plural, place
            assert not plural or value.keys() == forms[language], place
            wanted = set(re.findall(r"\{\w+\}", json.dumps(english[place]))) - {"{n}"}
            for text in value.values() if plural else [value]:
                given = set(re.findall(r"\{\w+\}", text)) - {"{n}"}
                assert given <= wanted, place
                assert plural or given == wanted, place
                assert text or place == "/outcomes/success", place


def test_every_code_event_and_outcome_has_words(words: dict[str, Any]) -> None:
    specification = (ROOT / "docs/spec/ledger.md").read_text("utf-8")
    table = between(specification, "## 15. Codes", "## 16.")
    codes = {
        code for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in re.findall(r"`([a-z-]+)`", row)
    }
    assert len(codes) > 50
    for language in LANGUAGES:
        assert codes <= words[language]["codes"].keys()
        assert set(Type.values) <= words[language]["types"].keys()
        assert set(Outcome.values) == words[language]["outcomes"].keys()
    assert {value: str(label) for value, label in Type.choices}.items() <= words["en"]["types"].items()


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser_path, args=list(BROWSER_ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of every kind of thing; what is damaged is `damaged` beside it."""
    root = tmp_path_factory.mktemp("clerk")
    for name in ("bundle", "damaged"):
        write_bundle(root / name, "whole")
    (root / "damaged/data/items/SY-2025-000002/testimony.txt").write_text("another text", "utf-8")
    zip_bundle(root / "bundle", root / "bundle.zip")
    return root


Open = Callable[..., Tab]


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Open]:
    """opened("ar", width=360, dark=True): the page from inside the bundle, as a clerk opens it."""
    trouble: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            trouble.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "blob:")):
            trouble.append(request.url)

    def open_page(language: str = "en", *, width: int = 1280, dark: bool = False) -> Tab:
        context = browser.new_context(
            locale=language,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", heard)
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.on("request", asked)
        tab.goto((folder / "bundle/data/verify/verify.html").as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not trouble


def drop(tab: Tab, path: Path) -> None:
    """A real drop, as from the machine's file manager."""
    box = tab.locator(".drop").bounding_box()
    assert box
    session = tab.context.new_cdp_session(tab)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + 20, "y": box["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def verdict(tab: Tab) -> int:
    tab.locator(".verdict").wait_for(timeout=30_000)
    return int(tab.locator(".verdict").get_attribute("data-exit-code") or "-1")


def test_a_clerk_drops_the_folder_compares_the_fingerprint_and_keeps_the_report(opened: Open, folder: Path) -> None:
    tab = opened()
    drop(tab, folder / "bundle")
    assert verdict(tab) == 0
    expect(tab.get_by_role("heading", level=1)).to_have_text("Verified")
    expect(tab.get_by_role("heading", level=1)).to_be_focused()
    expect(tab.locator(".verdict__facts")).to_contain_text("4 of 4 items verified")
    assert tab.locator("[data-accession]").count() == 4
    expect(tab.locator("[data-accession=SY-2025-000001]")).to_contain_text("8 March 2025 at 05:00:01 UTC")
    expect(tab.locator("[data-accession=SY-2025-000004]")).to_contain_text("The archive destroyed this item’s content")
    tab.get_by_text("Custody: 2 events").first.click()
    expect(tab.get_by_text("Entry 1, in the signed ledger")).to_be_visible()

    def compare(text: str) -> None:
        tab.get_by_label("Fingerprint, key or policy").fill(text)
        tab.get_by_role("button", name="Compare").click()

    compare("c168 a409")
    expect(tab.get_by_role("alert")).to_contain_text("neither a fingerprint")
    compare(fingerprint(KEYS[2].vkey).upper())
    expect(tab.get_by_text("Same as the one you gave")).to_be_visible()
    expect(tab.locator(".verdict")).to_contain_text("signed by the key you gave")
    other = fingerprint(KEYS[2].vkey)
    compare(("0" if other[0] != "0" else "1") + other[1:])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Trust incomplete")
    expect(tab.get_by_text("Not the one you gave")).to_be_visible()
    assert tab.locator(".print mark").count() == 2
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save the report").click()
    report = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert (report["result"], report["exit_code"], report["bundle"]) == ("trust incomplete", 2, "bundle")


def test_damage_is_shown_with_the_item_it_is_about_in_arabic(opened: Open, folder: Path) -> None:
    tab = opened("ar", width=360)
    tab.locator("[data-pick=folder]").set_input_files(folder / "damaged")
    assert verdict(tab) == 1
    assert tab.locator("html").get_attribute("dir") == "rtl"
    expect(tab.get_by_role("heading", level=1)).to_have_text("غير سليمة")
    bad = tab.locator("[data-accession][data-verified=false]")
    assert bad.count() == 1
    expect(bad).to_contain_text("SY-2025-000002")
    expect(bad).to_contain_text("ليست ما تسلّمه الأرشيف")
    named = {row.get_attribute("data-where") for row in tab.locator(".problems [data-where]").all()}
    assert {"SY-2025-000002", "data/items/SY-2025-000002/testimony.txt"} <= named
    tab.get_by_role("button", name="Français").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Non valide")
    expect(tab.get_by_role("button", name="Français")).to_be_focused()


def test_a_zip_and_a_key_typed_before(opened: Open, folder: Path) -> None:
    tab = opened("fr")
    tab.get_by_label("Empreinte, clé ou politique").fill(KEYS[0].vkey)
    tab.get_by_label("Empreinte, clé ou politique").blur()
    tab.locator("[data-pick=file]").set_input_files(folder / "bundle.zip")
    assert verdict(tab) == 0
    expect(tab.locator(".verdict")).to_contain_text("signé par la clé que vous avez donnée")
    tab.get_by_role("button", name="Vérifier un autre lot").click()
    tab.locator("[data-pick=file]").set_input_files(folder / "bundle/data/items.json")
    assert verdict(tab) == 1


def test_a_receipt_and_the_file_it_is_for(opened: Open, folder: Path, tmp_path: Path) -> None:
    log = Sample("plain").log
    opened_fields = {"object": log.opened[1]["object"]}
    receipt = format_receipt(log.entries[1], opened_fields, KEYS[0].vkey, log.proof(1))
    pending = format_receipt(log.entries[1], opened_fields, KEYS[0].vkey, None)
    (tmp_path / "receipt.json").write_bytes(receipt)
    (tmp_path / "pending.json").write_bytes(pending)
    tab = opened()
    drop(tab, tmp_path / "receipt.json")
    assert verdict(tab) == 0
    expect(tab.locator("main")).to_contain_text("SY-2025-000001")
    tab.locator("[data-pick=content]").set_input_files(folder / "bundle/data/items/SY-2025-000001/photograph.jpg")
    expect(tab.get_by_text("This is the file the receipt was given for")).to_be_visible()
    tab.locator("[data-pick=content]").set_input_files(folder / "bundle/data/items/SY-2025-000002/testimony.txt")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Not valid")
    tab.get_by_role("button", name="Check another").click()
    drop(tab, tmp_path / "pending.json")
    assert verdict(tab) == 2


def test_a_long_check_shows_how_far_it_is_and_can_be_stopped(opened: Open, folder: Path, tmp_path: Path) -> None:
    """Eight gigabytes do not fit into the memory of a page: they pass through it."""
    long = tmp_path / "long"
    write_bundle(long)
    with (long / "data/items/SY-2025-000001/photograph.jpg").open("wb") as file:
        file.truncate(8 << 30)
    tab = opened()
    drop(tab, long)
    expect(tab.get_by_role("status")).to_have_text(re.compile(r"\d+(\.\d)? MB of 8\.6 GB"))
    expect(tab.locator(".working")).to_contain_text("SY-2025-000001/photograph.jpg")
    assert complaints(tab) == []
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Check a bundle of evidence")
    drop(tab, folder / "bundle")
    assert verdict(tab) == 0


def test_many_items_are_drawn_in_parts(opened: Open, tmp_path: Path) -> None:
    log, count = Log(), 130
    with BundleWriter(tmp_path / "many") as writer:
        for number in range(count):
            data = f"item {number}".encode()
            stated = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
            subject = [{"kind": "item", "id": item_id(number)}]
            log.record("ingestion", {"object": {**stated, "size": len(data)}, "subjects": subject}, blob="0" * 64)
        writer.set_checkpoint(log.note(), log.signer.vkey)
        for number in range(count):
            row = {"id": item_id(number), "media_type": "text/plain", "events": [log.id_of(number)]}
            writer.add_item(f"SY-{number}", "x.txt", [f"item {number}".encode()], row)
            writer.add_entry(number, log.entries[number], log.proof(number), log.opened[number])
        writer.finish()
    tab = opened()
    drop(tab, tmp_path / "many")
    assert verdict(tab) == 0
    expect(tab.locator("[data-accession]")).to_have_count(100)
    tab.get_by_role("button", name="Show the remaining 30").click()
    expect(tab.locator("[data-accession]")).to_have_count(count)


def test_the_page_is_used_by_keyboard(opened: Open, folder: Path) -> None:
    tab = opened()
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose a .zip or receipt").focus()
        tab.keyboard.press("Enter")
    chooser.value.set_files(folder / "bundle.zip")
    assert verdict(tab) == 0
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Print this result")).to_be_focused()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_accessible(opened: Open, folder: Path, language: str, width: int, dark: bool) -> None:
    tab = opened(language, width=width, dark=dark)
    assert complaints(tab) == []
    assert too_wide(tab) == []
    tab.locator("[data-pick=folder]").set_input_files(folder / ("damaged" if dark else "bundle"))
    assert verdict(tab) == (1 if dark else 0)
    tab.evaluate("() => document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert complaints(tab) == []
    assert too_wide(tab) == []
    tab.emulate_media(media="print")
    assert too_wide(tab) == []
    expect(tab.locator(".paper--sign")).to_be_visible()
    expect(tab.locator(".buttons").first).to_be_hidden()


def test_both_verifiers_are_in_the_bundle(folder: Path) -> None:
    assert (folder / "bundle/data/verify/verify.html").read_bytes() == build()
    assert (folder / "bundle/data/verify/sanad-verify.pyz").read_bytes() == verifier_archive()

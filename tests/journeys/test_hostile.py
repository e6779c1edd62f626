"""Files and words that were made to harm: nothing of them runs, and everything of them is kept and shown as it is."""

import array
import contextlib
import io
import json
import math
import re
import wave
from pathlib import Path

import pytest
from playwright.sync_api import Error, FilePayload, Page, Route, expect

from tests.journeys import acts
from tests.journeys.conftest import Visit

RUN = "console.log('SCRIPT-RAN');window.SCRIPT_RAN=true;alert('SCRIPT-RAN')"
PAGES = {
    "drawing.svg": f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="{RUN}"
        width="90" height="90"><script>{RUN}</script><a xlink:href="javascript:{RUN}"><rect width="90" height="90"/></a>
        <foreignObject width="90" height="90"><body xmlns="http://www.w3.org/1999/xhtml">
        <img src="x" onerror="{RUN}"/></body></foreignObject><animate onbegin="{RUN}"/></svg>""",
    "page.html": f"<!DOCTYPE html><title>x</title><script>{RUN}</script><img src=x onerror=\"{RUN}\">"
    f"<meta http-equiv=refresh content=\"0;url=javascript:{RUN}\"><form action='/accounts/logout/' method=post>",
    "page.xhtml": f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>{RUN}</script></html>',
    "transformed.xml": f"""<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#s"?><x:stylesheet id="s"
        xmlns:x="http://www.w3.org/1999/XSL/Transform"><x:template match="/"><script
        xmlns="http://www.w3.org/1999/xhtml">{RUN}</script></x:template></x:stylesheet>""",
    "worker.js": f"{RUN};importScripts('/x')",
    "looks-like.jpg": f"<html><body onload=\"{RUN}\"><script>{RUN}</script></body></html>",
    "comment.gif": f"GIF89a/*\x01\x00\x01\x00*/=1;{RUN}//",
    "letter.txt": f"<script>{RUN}</script>\u202e}}txet dekcab\u202c",
    "frames.mhtml": f"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<script>{RUN}</script>",
}  # fmt: skip
NAMES = (
    f"<script>{RUN}<script>.txt",
    f'"><img src=x onerror="{RUN}">.txt',
    "'; DROP TABLE evidence_item; --.txt",
    "photo\u202egpj.exe.txt",
    "👩‍👩‍👧‍👦 🏚️ ١٢٣.txt",
    "{{ item.pk }}{% debug %}.txt",
    "%00%0d%0aSet-Cookie: a=b.txt",
    "CON.txt",
    "..\u2215..\u2215etc\u2215passwd",
    "  spaces  around  .txt",
    "é" * 110 + ".txt",
    "ط" * 250 + "-طويل-" + "x" * 60 + ".txt",
)
POLYGLOTS = (
    "pocs/poly/mp3jpg/jpgmp3.mp3",
    "pocs/poly/mp3jpg/pVG.jpg",
    "pocs/poly/packetwars",
    "pocs/poly/CorkaMIX/CorkaMIX.zip",
    "pocs/aes-gcm/out/pdf-pe1.pdf",
    "pocs/aes-gcm/out/dicom-pe1.dcm",
    "pocs/PE/bin/pdf_zip_pe.exe",
    "pocs/images/png/smallest.png",
    "pocs/tiny/flac.flac",
    "pocs/mp3/440.wav",
    "images/decompression_bomb.gif",
    "images/crash-2020-10-test.tif",
    "images/timeout-6646305047838720",
    "images/hopper.psd",
)


def file(name: str, content: str | bytes) -> FilePayload:
    body = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return {"name": name, "mimeType": "application/octet-stream", "buffer": body}


def tone(seconds: int) -> bytes:
    """A WAV file of 16-bit stereo at 44.1 kHz: 176,400 bytes a second."""
    samples = array.array("h")
    for number in range(44_100 * seconds):
        value = int(9_000 * math.sin(number / 44_100 * 440 * math.tau))
        samples.extend((value, value))
    made = io.BytesIO()
    with wave.open(made, "wb") as track:
        track.setnchannels(2)
        track.setsampwidth(2)
        track.setframerate(44_100)
        track.writeframes(samples.tobytes())
    return made.getvalue()


def send(page: Page, incident: str, files: list[FilePayload], *, graphic: bool = False) -> list[str]:
    """Accession numbers, in the order of the files."""
    acts.begin_upload(page, incident, graphic=graphic)
    page.set_input_files("#upload-files", files)
    acts.send(page, len(files))
    return [row.locator(".queue__state a").inner_text() for row in acts.rows(page).all()]


def nothing_ran(page: Page) -> None:
    assert not page.evaluate("() => 'SCRIPT_RAN' in window"), f"a script ran on {page.url}"
    assert not page.locator("[onload], [onerror], img[src=x]").count(), f"markup came through on {page.url}"


def test_scripts_in_files_never_run_wherever_they_are_opened(visit: Visit) -> None:
    page = visit("investigator")
    incident = acts.open_incident(page, "Files that want to run")
    files = [file(name, content) for name, content in PAGES.items()]
    for accession, sent in zip(send(page, incident, files), files, strict=True):
        acts.examined(page, accession)
        page.wait_for_timeout(200)
        nothing_ran(page)
        for address in (f"/items/{accession}/content/", f"/items/{accession}/text/"):
            answer = page.request.get(address)
            if not answer.ok:
                assert answer.status in (404, 409), address
                continue
            opened = page.context.new_page()
            with contextlib.suppress(Error):  # most are saved, not shown: then there is no page to go to
                opened.goto(address)
            opened.wait_for_timeout(200)
            assert not opened.evaluate("() => 'SCRIPT_RAN' in window")
            opened.close()
        content = page.request.get(f"/items/{accession}/content/")
        assert content.body() == sent["buffer"]
        assert content.headers["x-content-type-options"] == "nosniff"
        assert re.match(r"sandbox(;| default-src)", content.headers["content-security-policy"])
        assert not re.search(r"html|xml|svg|javascript|multipart", content.headers["content-type"])
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()  # still signed in: no form of theirs was sent


def test_an_item_inside_a_page_of_somebody_else_shows_nothing(visit: Visit) -> None:
    page = visit("investigator")
    page.goto("/items/")
    origin = re.sub(r"/items/$", "", page.url)

    def lure(route: Route) -> None:
        body = f'<iframe src="{origin}/items/SY-2025-000036/content/"></iframe><iframe src="{origin}/"></iframe>'
        route.fulfill(body=body, content_type="text/html")

    page.context.route("http://lure.invalid/", lure)
    stranger = page.context.new_page()
    messages: list[str] = []
    stranger.on("console", lambda message: messages.append(message.text))
    stranger.goto("http://lure.invalid/")
    stranger.wait_for_timeout(500)
    for frame in stranger.frames[1:]:
        assert "Sanad" not in frame.content()
    stranger.close()


def test_names_that_break_programs_are_shown_as_they_are(visit: Visit) -> None:
    page = visit("investigator")
    incident = acts.open_incident(page, "Names that want to run")
    files = [file(name, f"named {number}\n") for number, name in enumerate(NAMES)]
    accessions = send(page, incident, files)
    nothing_ran(page)
    shown = page.locator("[data-queue] > li .queue__name").all_text_contents()
    assert [text.strip() for text in shown] == [name.strip() for name in NAMES]
    for accession, name, sent in zip(accessions, NAMES, files, strict=True):
        acts.examined(page, accession)
        nothing_ran(page)
        came = page.locator("#as-it-came").text_content() or ""
        assert squeezed(name) in squeezed(came), f"{name!r} is not shown whole"
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), f"{name!r} is too wide"
        downloaded = page.request.get(f"/items/{accession}/content/")
        assert downloaded.body() == sent["buffer"]
        assert accession in downloaded.headers["content-disposition"]
        assert "script" not in downloaded.headers["content-disposition"]


def test_every_naughty_string_may_stand_in_a_narrative_and_a_title(visit: Visit, test_data: Path) -> None:
    strings = json.loads((test_data / "naughty" / "blns.json").read_text("utf-8"))
    told = [text for text in strings if text.strip() and "\x00" not in text and not re.search(r"[\ud800-\udfff]", text)]
    page = visit("investigator")
    for half in (told[::2], told[1::2]):
        acts.open_incident(page, half[0] + RUN, narrative="\n".join(half))
        page.wait_for_timeout(300)
        nothing_ran(page)
        narrative = squeezed(page.locator("#narrative").text_content() or "")
        missing = [text for text in half if squeezed(text) not in narrative]
        assert not missing, missing[:5]
    markup = [text for text in told if "<" in text and len(text) < 190][:12]
    for text in markup:
        acts.open_incident(page, text)
        expect(page.get_by_role("heading", level=1)).to_have_text(" ".join(text.split()))
        nothing_ran(page)
    page.goto("/incidents/")
    nothing_ran(page)


def squeezed(text: str) -> str:
    """Without white space, hidden characters and their spelled names, which a page may fold, leave out or show."""
    text = re.sub(r"‹[A-Z]{2,4}›", "", text)
    return "".join(letter for letter in text if letter.isprintable() and not letter.isspace())


def test_polyglots_bombs_and_crashers_are_kept_and_change_nothing(visit: Visit, test_data: Path) -> None:
    page = visit("investigator")
    incident = acts.open_incident(page, "Files that want to break a reader")
    paths = [test_data / "nasty" / name for name in POLYGLOTS]
    accessions = acts.upload(page, incident, paths)
    for path in paths:
        accession = accessions[path.name]
        acts.examined(page, accession)
        nothing_ran(page)
        expect(page.locator(".digest__value").first).to_have_text(acts.sha256(path))
        content = page.request.get(f"/items/{accession}/content/")
        assert content.body() == path.read_bytes()
    page.goto("/items/")
    expect(page.get_by_role("link", name=accessions[paths[0].name])).to_be_visible()


def test_graphic_pictures_are_veiled_until_asked_and_never_in_lists(visit: Visit, test_data: Path) -> None:
    page = visit("investigator")
    incident = acts.open_incident(page, "Not for everybody's eyes")
    photograph = test_data / "exif" / "jpg" / "orientation" / "portrait_5.jpg"
    [accession] = acts.upload(page, incident, [photograph], graphic=True).values()
    acts.examined(page, accession)

    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    for address in (f"/items/{accession}/", "/items/", incident, "/"):
        page.goto(address)
        page.wait_for_timeout(400)
    assert not [url for url in loaded if accession in url and re.search(r"/(preview|content)/", url)]

    page.goto(f"/items/{accession}/")
    picture = page.locator(".veil img")
    expect(picture).to_be_hidden()
    page.get_by_text("Show it blurred").click()
    page.wait_for_function("() => document.querySelector('.veil img').naturalWidth > 100")
    shown = page.locator(".veil__content img")
    expect(shown).to_have_css("filter", re.compile(r"blur\((1[2-9]|[2-9]\d)px\) grayscale\(1\)"))
    page.get_by_label("Show it clearly").check()
    expect(shown).to_have_css("filter", "none")
    page.keyboard.press("Escape")
    expect(shown).to_have_css("filter", re.compile("blur"))
    page.goto(f"/items/{accession}/")
    expect(picture).to_be_hidden()  # asked anew each time
    expect(page.locator("#custody")).to_contain_text("Viewed")


def test_sound_starts_silent_behind_the_veil_and_is_found_by_seeking(visit: Visit) -> None:
    page = visit("investigator")
    incident = acts.open_incident(page, "Something to listen to")
    sound = tone(30)
    [accession] = send(page, incident, [file("voice.wav", sound)], graphic=True)
    acts.examined(page, accession)
    page.get_by_text("Show it blurred").click()
    state = "() => { const a = document.querySelector('audio'); return [a.paused, a.muted, a.autoplay]; }"
    assert page.evaluate("() => document.querySelector('audio').readyState") == 0, "it is loaded before it is asked for"
    assert page.evaluate(state) == [True, True, False]
    page.evaluate("() => { document.querySelector('audio').muted = false; }")
    page.wait_for_function("() => document.querySelector('audio').muted")
    page.get_by_label("Show it clearly").check()
    assert page.evaluate(state) == [True, False, False]
    page.evaluate("async () => { const a = document.querySelector('audio'); await a.play(); a.pause(); }")
    seek(page, "audio", 25)

    address = f"/items/{accession}/content/"
    piece = page.request.get(address, headers={"Range": "bytes=1000000-1000099"})
    assert piece.status == 206
    assert piece.headers["content-range"] == f"bytes 1000000-1000099/{len(sound)}"
    assert piece.body() == sound[1_000_000:1_000_100]
    last = page.request.get(address, headers={"Range": "bytes=-10"})
    assert last.body() == sound[-10:]
    assert page.request.get(address, headers={"Range": f"bytes={len(sound)}-"}).status == 416


def test_a_video_of_the_sample_is_found_by_seeking_and_plays_only_when_asked(visit: Visit) -> None:
    page = visit("investigator")
    page.goto("/items/?family=video")
    page.locator("main [data-list] h2 a").last.click()
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    assert page.evaluate("() => document.querySelector('video').paused")
    seek(page, "video", 4)
    assert page.evaluate("() => document.querySelector('video').paused")


def seek(page: Page, kind: str, seconds: int) -> None:
    reached = page.evaluate(
        """([kind, seconds]) => new Promise((resolve, reject) => {
            const media = document.querySelector(kind);
            media.addEventListener("seeked", () => resolve(media.currentTime), { once: true });
            media.addEventListener("error", () => reject(new Error(media.error.message)), { once: true });
            media.currentTime = seconds;
        })""",
        [kind, seconds],
    )
    assert reached == pytest.approx(seconds, abs=0.2)

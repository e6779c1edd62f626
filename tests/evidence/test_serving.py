"""Giving bytes out: exact ranges, harmless headers, never a wrong byte, always a custody event."""

import io
import zipfile
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Role, User
from custody.models import Event
from custody.vocabulary import Type
from evidence import actions, ranges, store, streams
from evidence.models import Item
from tests import factories
from tests.evidence.makers import examined, photograph

pytestmark = pytest.mark.django_db

DATA = bytes(range(256)) * 9000  # over two segments


def identified(item: Item, media_type: str, other: str | None = None) -> Item:
    return actions.record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic=media_type if other is None else other,
        libmagic=media_type,
        claims=None,
        problem="",
    )


def served(item: Item, path: str = "content", user: User | None = None, **headers: str) -> Any:
    client = factories.signed_in(user or item.received_by)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"/items/{item.accession}/{path}/", headers=named)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def video() -> Item:
    return identified(factories.make_item(data=DATA, name="Layla.mp4"), "video/mp4")


def test_the_whole_content_is_what_was_received(video: Item) -> None:
    response = served(video)
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{video.sha256}"'
    assert body(response) == DATA


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-1048575", 0, 1_048_576),
        ("bytes=1048500-1048700", 1_048_500, 1_048_701),
        ("bytes=2303990-", 2_303_990, 2_304_000),
        ("bytes=-10", 2_303_990, 2_304_000),
        ("bytes=-99999999", 0, 2_304_000),
        ("bytes=5-99999999999", 5, 2_304_000),
    ],
)
def test_one_range_is_answered_exactly(video: Item, header: str, start: int, stop: int) -> None:
    response = served(video, Range=header)
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
    assert response.headers["Content-Length"] == str(stop - start)
    assert body(response) == DATA[start:stop]


@pytest.mark.parametrize("header", ["bytes=2304000-", "bytes=-0", "bytes=99999999-99999999"])
def test_a_range_outside_the_content_is_416_and_says_the_size(video: Item, header: str) -> None:
    response = served(video, Range=header)
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize(
    "header", ["bytes=5-1", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b", "bytes=-", "bytes=" + "1" * 300]
)
def test_what_is_no_single_range_gets_the_whole(video: Item, header: str) -> None:
    assert served(video, Range=header).status_code == 200


def test_a_range_of_another_version_gets_the_whole(video: Item) -> None:
    assert served(video, Range="bytes=0-9", If_Range=f'"{video.sha256}"').status_code == 206
    for other in ('"other"', f'W/"{video.sha256}"', "Sat, 08 Mar 2025 05:10:00 GMT"):
        assert served(video, Range="bytes=0-9", If_Range=other).status_code == 200


def test_head_says_the_same_and_sends_nothing(video: Item) -> None:
    client = factories.signed_in(video.received_by)
    response = client.head(f"/items/{video.accession}/content/", headers={"Range": "bytes=0-9"})
    assert (response.status_code, response.headers["Content-Length"], body(response)) == (206, "10", b"")


def test_a_range_of_nothing_is_unsatisfiable() -> None:
    with pytest.raises(ranges.Unsatisfiable):
        ranges.asked("bytes=0-0", None, size=0, etag='"x"')
    assert ranges.asked(None, None, size=0, etag='"x"') is None


def test_every_answer_is_sandboxed_unsniffed_unstored_and_names_no_file(video: Item) -> None:
    for response in (served(video), served(video, Range="bytes=0-0"), served(video, Range="bytes=9999999-")):
        policy = response.headers["Content-Security-Policy"]
        assert "sandbox" in policy
        assert "default-src 'none'" in policy
        assert "allow-scripts" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "private, no-store"
        assert "Layla" not in str(response.headers)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("media_type", "other", "content_type", "disposition"),
    [
        ("image/jpeg", None, "image/jpeg", "inline"),
        ("video/quicktime", None, "video/mp4", "inline"),
        ("audio/x-wav", None, "audio/wav", "inline"),
        ("text/plain", None, "text/plain; charset=utf-8", "inline"),
        ("application/json", None, "text/plain; charset=utf-8", "inline"),
        ("application/pdf", None, "application/pdf", "attachment"),
        ("image/svg+xml", None, "application/octet-stream", "attachment"),
        ("text/html", None, "application/octet-stream", "attachment"),
        ("application/xhtml+xml", None, "application/octet-stream", "attachment"),
        ("application/xml", None, "application/octet-stream", "attachment"),
        ("text/xml", None, "application/octet-stream", "attachment"),
        ("text/javascript", None, "application/octet-stream", "attachment"),
        ("application/x-dosexec", None, "application/octet-stream", "attachment"),
        ("application/octet-stream", None, "application/octet-stream", "attachment"),
        ("image/heic", None, "application/octet-stream", "attachment"),
        ("image/jpeg", "application/zip", "application/octet-stream", "attachment"),
    ],
)
def test_only_the_allow_list_is_shown_in_place(
    media_type: str, other: str | None, content_type: str, disposition: str
) -> None:
    item = identified(factories.make_item(data=HTML), media_type, other)
    response = served(item)
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Content-Disposition"].startswith(f'{disposition}; filename="{item.accession}.')


@pytest.mark.parametrize("data", [SVG, HTML, b"GIF89a/*" + HTML, b"%PDF-1.4\n" + HTML])
def test_bytes_that_could_run_never_come_as_something_that_runs(data: bytes) -> None:
    from evidence import tasks

    item = factories.make_item(data=data)
    tasks.examine(str(item.pk))
    for path in ("content", "download"):
        client = factories.signed_in(item.received_by)
        send = client.get if path == "content" else client.post
        response = send(f"/items/{item.accession}/{path}/")
        kind = response.headers["Content-Type"].partition(";")[0]
        assert kind in ("application/octet-stream", "text/plain", "image/gif", "application/pdf")
        assert "sandbox" in response.headers["Content-Security-Policy"]


def test_a_download_is_a_post_an_attachment_and_an_event_each_time(video: Item) -> None:
    client = factories.signed_in(video.received_by)
    assert client.get(f"/items/{video.accession}/download/").status_code == 405
    for _ in range(2):
        response = client.post(f"/items/{video.accession}/download/")
        assert response.headers["Content-Disposition"] == f'attachment; filename="{video.accession}.mp4"'
        assert body(response) == DATA
    assert Event.objects.filter(type=Type.DOWNLOAD).count() == 2


def test_a_download_without_the_page_s_token_is_refused(video: Item) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = factories.signed_in(video.received_by).cookies
    assert strict.post(f"/items/{video.accession}/download/").status_code == 403
    assert not Event.objects.filter(type=Type.DOWNLOAD).exists()


def test_content_is_an_event_before_the_first_byte_and_once_in_five_minutes(video: Item) -> None:
    views = Event.objects.filter(type=Type.VIEW)
    response = served(video, Range="bytes=0-9")
    assert views.count() == 1
    body(response)
    for at in range(5):
        body(served(video, Range=f"bytes={at}-{at}"))
    assert views.count() == 1


def test_a_changed_segment_cuts_the_connection_and_no_wrong_byte_leaves(video: Item) -> None:
    path = store.path_of(video.blob.address)
    data = bytearray(path.read_bytes())
    data[streams.SEGMENT + 100] ^= 1
    path.write_bytes(data)
    out: list[bytes] = []
    with pytest.raises(streams.StreamBroken):
        out.extend(served(video).streaming_content)
    assert out == [DATA[: streams.FIRST_PLAIN]]


def test_missing_bytes_cut_the_connection(video: Item) -> None:
    store.path_of(video.blob.address).unlink()
    with pytest.raises(store.Missing):
        body(served(video))


def test_the_preview_is_what_the_sandbox_made() -> None:
    item = examined(factories.make_item(data=photograph()))
    response = served(item, "preview")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/webp")
    assert body(response)[8:12] == b"WEBP"
    assert served(factories.make_item(item.compartment, by=item.received_by), "preview").status_code == 404


@pytest.mark.parametrize("path", ["content", "preview", "text"])
def test_an_auditor_is_refused_every_content_and_the_refusal_is_recorded(path: str) -> None:
    item = examined(factories.make_item(data=photograph()))
    auditor = factories.make_user(Role.AUDITOR)
    assert served(item, path, auditor).status_code == 403
    assert Event.objects.filter(type=Type.REFUSE, agent_id=auditor.pk).count() == 1


@pytest.mark.parametrize("path", ["", "content/", "preview/", "text/", "receipt/", "describe/"])
def test_a_stranger_sees_404_and_nothing_else(video: Item, path: str) -> None:
    client = factories.signed_in(factories.stranger())
    assert client.get(f"/items/{video.accession}/{path}").status_code == 404


def test_text_is_shown_as_text_with_what_turns_it_made_visible() -> None:
    data = "<script>alert(1)</script> pay\u202e\u2066 سلام\x07".encode()
    item = identified(factories.make_item(data=data), "text/plain")
    page = served(item, "text").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    for name in ("RLO", "LRI", "U+0007"):
        assert f">{name}</mark>" in page
    assert "\u202e" not in page
    assert "سلام" in page


def test_markup_can_be_read_as_text_and_a_zip_cannot() -> None:
    item = identified(factories.make_item(data=HTML), "text/html")
    assert "&lt;script&gt;" in served(item, "text").content.decode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", "a")
    other = identified(factories.make_item(data=made.getvalue()), "application/zip")
    assert served(other, "text").status_code == 409


@pytest.mark.parametrize(
    ("data", "encoding", "shown"),
    [
        ("سلام".encode("cp1256"), "windows-1256", "سلام"),
        ("سلام".encode("utf-16"), "utf-16-le", "سلام"),
        ("a" * 262_143 + "é", "utf-8", "aaa"),
        (b"\xff\xfe\x00", "utf-16-le", ""),
        (b"caf\xe9 x", "utf-8", "caf\ufffd x"),
    ],
)
def test_text_is_decoded_without_guessing_wildly(data: str | bytes, encoding: str, shown: str) -> None:
    from evidence import text

    given = data.encode()[: text.MOST] if isinstance(data, str) else data
    decoded, found = text.decode(given)
    assert found == encoding
    assert shown in decoded


def test_a_name_that_turns_its_letters_around_is_shown_with_its_marks_spelled_out() -> None:
    place = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, place)
    item = factories.make_item(place, by=by, name="photo\u202egpj.exe")
    page = factories.signed_in(by).get(f"/items/{item.accession}/").text
    assert page.count("photo‹RLO›gpj.exe") == 2  # among the facts, and in the story of its custody
    assert "\u202e" not in page

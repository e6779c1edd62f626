"""Web archives: listed from what they say of themselves, compared with what they hold, and never opened further."""

import json
from pathlib import Path

import pytest

from incidents.shapes import ContainerProblem
from incidents.wacz import is_wacz, read_wacz
from incidents.zipped import Zip
from tests.incidents.zips import made, opened


def wacz(path: Path) -> Zip:
    return opened(path.read_bytes())


def test_real_web_archives_say_their_pages_dates_and_signatures(test_data: Path) -> None:
    folder = test_data / "wacz"
    plain = read_wacz(wacz(folder / "valid_example_2.wacz"))
    assert (plain.title, plain.created, plain.software) == (
        "Example Collection",
        "2021-05-27T22:37:32Z",
        "py-wacz 0.3.0b1",
    )
    assert plain.page_count == len(plain.pages) >= 1
    assert all(page["url"].startswith("http") for page in plain.pages)
    assert (plain.signature, plain.faults) == ({}, [])
    signed = read_wacz(wacz(folder / "valid_signed_example_1.wacz"))
    assert signed.faults == []
    assert signed.signature["software"]
    assert signed.signature["created"]


def test_real_invalid_web_archives_show_where_they_contradict_themselves(test_data: Path) -> None:
    invalid = read_wacz(wacz(test_data / "wacz" / "invalid_example_1.wacz"))
    assert any("data/indexes/index.cdx.gz is listed and is not in it" in fault for fault in invalid.faults)
    assert any("data/archive/test.txt is in it and is not listed" in fault for fault in invalid.faults)


@pytest.mark.parametrize(
    "package", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", json.dumps("text").encode(), b'{"a":' * 50_000]
)
def test_a_package_that_is_no_object_is_refused_in_words(package: bytes) -> None:
    archive = opened(made({"datapackage.json": package, "archive/a.warc": b""}))
    assert is_wacz(archive)
    with pytest.raises(ContainerProblem, match=r"datapackage\.json is missing or cannot be read"):
        read_wacz(archive)


def test_words_of_wrong_kinds_are_no_words(test_data: Path) -> None:
    package = {"title": {"a": 1}, "created": 5, "software": "x\u202e\x1b[31m", "resources": ["x", {"path": 5}, None]}
    pages = b'{"format":"json-pages-1.0"}\nno json\n{"url":"https://example.org/"}\n{"url":5}\n'
    archive = read_wacz(opened(made({"datapackage.json": json.dumps(package).encode(), "pages/pages.jsonl": pages})))
    assert (archive.title, archive.created, archive.software) == ("", "", "x[31m")
    assert archive.pages[0] == {"url": "https://example.org/"}
    assert any("pages/pages.jsonl, line 2" in fault for fault in archive.faults)

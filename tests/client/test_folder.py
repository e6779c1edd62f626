"""What `sanad upload` finds in a folder, and when it refuses to call a file the same."""

import hashlib
import os
from pathlib import Path

import pytest

from sanad_client.folder import Changed, Found, Skipped, digests, read, walk


def found_in(folder: Path) -> dict[str, Found]:
    return {entry.inside: entry for entry in walk(str(folder)) if isinstance(entry, Found)}


def test_links_pipes_and_closed_folders_are_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("a")
    (tmp_path / "link").symlink_to("sub/a.txt")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    told = {entry.shown: entry.why if isinstance(entry, Skipped) else "" for entry in walk(str(tmp_path))}
    assert told == {
        "link": "a link, which is not followed",
        "loop": "a link, which is not followed",
        "pipe": "neither a file nor a folder",
        "sub/a.txt": "",
    }


def test_a_name_that_is_no_text_is_sent_and_shown_without_harm(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9\x1b[2J.txt")).write_bytes(b"x")
    [found] = found_in(tmp_path).values()
    assert found.shown == "caf%E9\\x1b[2J.txt"
    assert found.name == "caf%E9\x1b[2J.txt"


def test_the_key_follows_bytes_and_place_not_the_date(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("same")
    before = found_in(tmp_path)["a.txt"]
    os.utime(tmp_path / "a.txt", (1, 1))
    after = found_in(tmp_path)["a.txt"]
    sha256 = hashlib.sha256(b"same").hexdigest()
    assert before.key("i", sha256) == after.key("i", sha256)
    assert before.key("i", sha256) != before.key("j", sha256)
    assert before.key("i", sha256) != before.key("i", hashlib.sha256(b"else").hexdigest())
    assert before.seen != after.seen


def test_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    content = os.urandom(700_001)
    (tmp_path / "a").write_bytes(content)
    counted: list[int] = []
    assert digests(found_in(tmp_path)["a"], counted.append) == (
        hashlib.sha256(content).hexdigest(),
        hashlib.sha512(content).hexdigest(),
    )
    assert sum(counted) == len(content)


@pytest.mark.parametrize("change", ["grown", "shorter", "replaced by a link", "gone"])
def test_a_file_that_changed_is_not_sent_as_the_one_that_was_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 600_000)
    found = found_in(tmp_path)["a"]
    reading = read(found, 0, found.size)
    next(reading)
    if change == "grown":
        with path.open("ab") as handle:
            handle.write(b"more")
    elif change == "shorter":
        os.truncate(path, 300_000)
    else:
        path.unlink()
        if change != "gone":
            path.symlink_to("/etc/hostname")
        reading = read(found, 0, found.size)
    with pytest.raises(Changed):
        list(reading)

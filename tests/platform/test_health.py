import pytest
from django.db import DatabaseError, connection
from django.test import Client


@pytest.mark.django_db
def test_health_answers_strangers_and_says_nothing_more(client: Client) -> None:
    response = client.get("/health/")

    assert response.status_code == 200
    assert response.json() == {"database": True}
    assert "no-store" in response["Cache-Control"]


def test_health_is_503_when_the_database_is_gone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(connection, "cursor", gone)

    response = client.get("/health/")

    assert response.status_code == 503
    assert response.json() == {"database": False}

"""Signing out leaves nothing of a page's memory in the browser."""

import pytest

from tests.factories import make_user, signed_in

pytestmark = pytest.mark.django_db


def test_the_browser_is_told_to_forget_what_pages_kept() -> None:
    client = signed_in(make_user())
    assert client.get("/").status_code == 200
    answer = client.post("/accounts/logout/")
    assert (answer.status_code, answer["Clear-Site-Data"]) == (302, '"storage"')
    assert client.get("/").status_code == 302

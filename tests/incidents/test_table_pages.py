"""The page and the API by which a table describes items: checked without writing, imported whole, refused early."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from evidence import store
from evidence.models import Item
from incidents.models import Incident
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident()


@pytest.fixture
def item(incident: Incident) -> Item:
    return factories.make_item(incident.compartment)


def sent(incident: Incident, text: str, **more: str) -> tuple[int, str]:
    client, url = factories.signed_in(incident.opened_by), reverse("incidents:table", args=[incident.pk])
    answer = client.post(url, {"table": SimpleUploadedFile("table.csv", text.encode(), "text/csv"), **more})
    return answer.status_code, answer.content.decode()


def test_the_page_checks_without_writing_and_then_imports(incident: Incident, item: Item) -> None:
    before, table = set(store.addresses()), f"accession,title\n{item.accession},A square\n"
    status, page = sent(incident, table, check="1")
    assert (status, "Nothing was written yet" in page) == (200, True)
    item.refresh_from_db()
    assert (item.title, Item.objects.count(), set(store.addresses())) == ("", 1, before)
    status, page = sent(incident, table, **{"import": "1", "reason": "the collector's list"})
    assert (status, "The table is imported." in page) == (200, True)
    item.refresh_from_db()
    assert (item.title, Item.objects.count()) == ("A square", 2)


def test_the_page_names_every_wrong_cell_and_shows_it_as_text(incident: Incident, item: Item) -> None:
    table = f"accession,title,<script>\n{item.accession},A,B\n"
    status, page = sent(incident, table, **{"import": "1"})
    assert (status, "<script>" in page.partition("Nothing was written")[2].partition("</ul>")[0]) == (422, False)
    assert "&lt;script&gt;" in page
    status, page = sent(incident, f"accession,created_edtf\n{item.accession},the seventh\n", check="1")
    assert status == 422
    assert "created_edtf" in page
    assert not Item.objects.exclude(title="").exists()


def test_without_a_file_the_form_says_so(incident: Incident) -> None:
    client = factories.signed_in(incident.opened_by)
    url = reverse("incidents:table", args=[incident.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"check": "1"}).status_code == 422


def test_a_forged_form_leaves_nothing_behind(incident: Incident, item: Item) -> None:
    before = set(store.addresses())
    client = Client(enforce_csrf_checks=True)
    client.cookies = factories.signed_in(incident.opened_by).cookies
    table = SimpleUploadedFile("t.csv", f"accession,title\n{item.accession},A\n".encode())
    answer = client.post(reverse("incidents:table", args=[incident.pk]), {"table": table, "import": "1"})
    assert (answer.status_code, Item.objects.count(), set(store.addresses())) == (403, 1, before)


def test_the_api_rehearses_imports_and_answers_with_every_error(incident: Incident, item: Item) -> None:
    client, url = factories.signed_in(incident.opened_by), reverse("incident-descriptions", args=[incident.pk])
    table = f"accession,title\n{item.accession},A square\n"
    answer = client.post(f"{url}?dry_run=true", table, content_type="text/csv")
    assert (answer.status_code, answer.json()["changed"], answer.json()["item"]) == (200, [item.accession], None)
    assert Item.objects.count() == 1
    answer = client.post(url, table, content_type="text/csv", headers={"upload-filename": "list.csv"})
    assert (answer.status_code, answer.json()["changed"]) == (201, [item.accession])
    assert Item.objects.get(accession=answer.json()["item"]).original_name == "list.csv"
    answer = client.post(url, "accession,title\nNO-1,A\n", content_type="text/csv")
    assert (answer.status_code, answer.json()["errors"][0]["line"]) == (422, 2)
    assert Item.objects.count() == 2


def test_who_may_not_receive_is_refused_on_the_page_and_over_the_api(incident: Incident) -> None:
    client = factories.signed_in(factories.make_user(Role.LEGAL_REVIEWER, incident.compartment))
    for url in (
        reverse("incidents:table", args=[incident.pk]),
        reverse("incident-descriptions", args=[incident.pk]),
    ):
        assert client.post(url, "accession\n", content_type="text/csv").status_code == 403

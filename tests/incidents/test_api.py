"""The API of incidents, links, claims; and every real file through it into one incident."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Role
from custody.story import story
from custody.vocabulary import Type
from evidence import blobs
from evidence.actions import clean_name
from evidence.models import Item
from incidents.bodies import name_of
from incidents.models import Claim, Incident, Link
from tests import factories

pytestmark = pytest.mark.django_db


class Caller:
    """Somebody who speaks JSON."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        text = "" if body is None else json.dumps(body)
        response = self.client.generic(method, f"/api/v1/{path}", text, content_type="application/json")
        assert response.status_code == status, response.content
        return response.json() if response.content else None


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident()


@pytest.fixture
def caller(incident: Incident) -> Caller:
    return Caller(factories.signed_in(incident.opened_by))


def test_an_incident_is_opened_found_read_and_changed(caller: Caller, incident: Incident) -> None:
    made = caller.send(
        "POST",
        "incidents/",
        {
            "compartment": incident.compartment.code,
            "title": "Houses burned",
            "categories": ["unlawful-attacks"],
            "happened_edtf": "2025-03-08~",
            "latitude": "35.36211",
            "longitude": "35.92759",
            "precision": "vicinity",
        },
        201,
    )
    assert (made["code"], made["status"], made["precision_metres"]) == ("I-0002", "open", 100)
    assert made["categories"] == ["unlawful-attacks"]
    assert made["happened_earliest"] <= "2025-03-08" <= made["happened_latest"]
    listed = caller.send("GET", "incidents/?q=BURNED&category=unlawful-attacks")
    assert [row["id"] for row in listed["results"]] == [made["id"]]
    path = f"incidents/{made['id']}/"
    changed = caller.send("PATCH", path, {"title": "Houses burned near Jableh", "reason": "place found"})
    assert (changed["title"], changed["categories"]) == ("Houses burned near Jableh", ["unlawful-attacks"])
    assert caller.send("GET", path)["title"] == "Houses burned near Jableh"
    types = [line.type for line in story("incident", Incident.objects.get(pk=made["id"]).pk)]
    assert types == [Type.CREATE, Type.DESCRIBE, Type.VIEW]


def views_of(incident: Incident) -> int:
    return sum(line.type == Type.VIEW for line in story("incident", incident.pk))


def test_the_list_has_no_narrative_and_is_no_reading(caller: Caller, incident: Incident) -> None:
    path = f"incidents/{incident.pk}/"
    caller.send("PATCH", path, {"narrative": "They came at noon."})
    before = views_of(incident)
    (row,) = caller.send("GET", "incidents/?q=noon")["results"]
    assert (row["title"], "narrative" in row, views_of(incident)) == (incident.title, False, before)
    assert caller.send("GET", path)["narrative"] == "They came at noon."


@pytest.mark.parametrize("path", ["", "links/", "claims/", "one link", "one claim", "edit form", "link form"])
def test_the_words_of_an_incident_are_read_with_one_event_in_five_minutes(
    caller: Caller, incident: Incident, path: str
) -> None:
    link, claim = factories.make_link(incident=incident), factories.make_claim(incident)
    pages = {"edit form": f"/incidents/{incident.pk}/edit/", "link form": f"/incidents/links/{link.pk}/"}
    ones = {"one link": f"links/{link.pk}/", "one claim": f"claims/{claim.pk}/"}
    for _ in range(2):
        if path in pages:
            assert caller.client.get(pages[path]).status_code == 200
        else:
            caller.send("GET", ones.get(path, f"incidents/{incident.pk}/{path}"))
    assert views_of(incident) == 1


def test_changing_nothing_is_a_reading_all_the_same(caller: Caller, incident: Incident) -> None:
    assert caller.send("PATCH", f"incidents/{incident.pk}/", {})["title"] == incident.title
    assert views_of(incident) == 1


def test_wrong_fields_are_named_and_nothing_is_made(caller: Caller, incident: Incident) -> None:
    code = incident.compartment.code
    for body, field in (
        ({"compartment": code}, "title"),
        ({"compartment": code, "title": "x", "happened_edtf": "soon"}, "happened_edtf"),
        ({"compartment": code, "title": "x", "categories": ["none-such"]}, "categories"),
        ({"compartment": code, "title": "x", "status": "closed"}, "status"),
        ({"compartment": code, "title": "x", "code": "lower"}, "code"),
        ({"compartment": code, "title": "x", "latitude": "NaN", "longitude": "1"}, "latitude"),
    ):
        assert field in caller.send("POST", "incidents/", body, 400)
    caller.send("POST", "incidents/", {"compartment": "NO-SUCH", "title": "x"}, 404)
    assert Incident.objects.count() == 1


def test_a_status_that_may_not_follow_is_not_now(caller: Caller, incident: Incident) -> None:
    path = f"incidents/{incident.pk}/status/"
    assert caller.send("POST", path, {"status": "closed", "reason": "done"})["status"] == "closed"
    answer = caller.send("POST", path, {"status": "under_review", "reason": "x"}, 409)
    assert answer["code"] == "not_now"
    assert caller.send("PATCH", f"incidents/{incident.pk}/", {"title": "x"}, 409)["code"] == "not_now"


def test_links_are_made_changed_and_withdrawn(caller: Caller, incident: Incident) -> None:
    item = factories.make_item(incident.compartment, by=incident.opened_by)
    path = f"incidents/{incident.pk}/links/"
    said = {"item": item.accession, "stance": "supports", "reasons": "The square.", "information_credibility": 2}
    link = caller.send("POST", path, said, 201)
    assert caller.send("POST", path, said, 409)["code"] == "not_now"
    assert [row["item"] for row in caller.send("GET", path)] == [item.accession]
    one = f"links/{link['id']}/"
    assert caller.send("PATCH", one, {"stance": "contradicts"})["reasons"] == "The square."
    assert caller.send("GET", one)["stance"] == "contradicts"
    assert "reason" in caller.send("POST", f"{one}withdraw/", {}, 400)
    caller.send("POST", f"{one}withdraw/", {"reason": "another square"})
    assert caller.send("GET", path) == []
    assert Link.objects.get().withdrawn_reason == "another square"


def test_claims_are_recorded_with_their_scope_and_withdrawn(caller: Caller, incident: Incident) -> None:
    path = f"incidents/{incident.pk}/claims/"
    stated = {
        "source": "National Committee",
        "document_title": "Report",
        "scope_area": "The coast",
        "who_counts": "Dead with verified names",
        "minimum": 1426,
        "maximum": 1426,
        "counted": "named",
        "breakdown": [{"dimension": "status", "category": "security personnel", "count": 238}],
    }
    assert "minimum" in caller.send("POST", path, stated | {"minimum": None, "maximum": None}, 400)
    claim = caller.send("POST", path, stated, 201)
    assert claim["exact"] is True
    assert claim["breakdown"] == stated["breakdown"]
    caller.send("POST", f"claims/{claim['id']}/withdraw/", {"reason": "mistyped"})
    assert caller.send("GET", f"claims/{claim['id']}/")["withdrawn_reason"] == "mistyped"
    assert len(caller.send("GET", path)) == 1
    assert Claim.objects.count() == 1


@pytest.mark.parametrize(("role", "list_status", "seen"), [(Role.AUDITOR, 200, 404), (Role.LEGAL_REVIEWER, 200, 200)])
def test_who_sees_no_incident_gets_an_empty_list_and_404(
    role: Role, list_status: int, seen: int, incident: Incident
) -> None:
    link, claim = factories.make_link(incident=incident), factories.make_claim(incident)
    other = Caller(factories.signed_in(factories.make_user(role, incident.compartment)))
    rows = other.send("GET", "incidents/", status=list_status)["results"]
    assert len(rows) == (1 if seen == 200 else 0)
    for path in (
        f"incidents/{incident.pk}/",
        f"links/{link.pk}/",
        f"claims/{claim.pk}/",
        f"incidents/{incident.pk}/links/",
    ):
        other.send("GET", path, status=seen)
    refused = 403 if seen == 200 else 404
    other.send("PATCH", f"incidents/{incident.pk}/", {"title": "x"}, refused)
    other.send("POST", f"incidents/{incident.pk}/intakes/", {"stance": "context", "reasons": "x"}, refused)
    other.send("POST", f"incidents/{incident.pk}/duplicates/", {"sha256": []}, refused)
    other.send("POST", f"claims/{claim.pk}/withdraw/", {"reason": "x"}, refused)


def test_an_upload_of_somebody_else_is_not_found_by_its_key(caller: Caller) -> None:
    caller.send("GET", f"uploads/{uuid4()}/", status=404)


def test_the_categories_are_listed_in_three_languages(caller: Caller) -> None:
    rows = caller.send("GET", "violation-categories/")
    assert len(rows) == 12
    assert rows[0]["code"] == "unlawful-killing"
    assert all(row["name_en"] and row["name_ar"] and row["name_fr"] for row in rows)


REAL = ("exif", "c2pa", "proofmode", "nasty", "collisions")


def test_all_real_files_arrive_bit_identical_by_api(test_data: Path, caller: Caller, incident: Incident) -> None:
    said = {"stance": "context", "reasons": "real files"}
    intake = caller.send("POST", f"incidents/{incident.pk}/intakes/", said, 201)["intake"]
    files = [path for name in REAL for path in sorted((test_data / name).rglob("*")) if path.is_file()]
    for path in files:
        data = path.read_bytes()
        response = caller.client.put(
            "/api/v1/uploads/",
            data,
            content_type="application/octet-stream",
            headers={"Upload-Intake": intake, "Upload-Filename": quote(path.name), "Idempotency-Key": str(uuid4())},
            CONTENT_LENGTH=str(len(data)),
        )
        assert response.status_code == 201, path
        told = response.json()
        assert (told["sha256"], told["size"]) == (hashlib.sha256(data).hexdigest(), len(data)), path
        item = Item.objects.select_related("blob").get(accession=told["accession"])
        assert b"".join(blobs.read_blob(item.blob)) == data, path
        assert item.original_name == path.name
    assert Link.objects.filter(incident=incident).count() == len(files) > 600
    assert len(caller.send("GET", f"incidents/{incident.pk}/links/")) == len(files)
    page = caller.client.get(f"/incidents/{incident.pk}/")
    assert page.status_code == 200


def test_naughty_strings_as_file_names_are_kept_or_made_harmless(
    test_data: Path, caller: Caller, incident: Incident
) -> None:
    strings = json.loads((test_data / "naughty" / "blns.json").read_text())
    said = {"stance": "context", "reasons": "names"}
    intake = caller.send("POST", f"incidents/{incident.pk}/intakes/", said, 201)["intake"]
    for name in strings:
        kept = clean_name(name_of(name.encode("utf-8", "surrogatepass")))
        assert kept
        assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff/]", kept)
        assert not name.isprintable() or kept in name or kept == "unnamed"
    for number, name in enumerate(strings[::5]):
        response = caller.client.put(
            "/api/v1/uploads/",
            f"{number}".encode(),
            content_type="application/octet-stream",
            headers={"Upload-Intake": intake, "Upload-Filename": quote(name)},
        )
        assert response.status_code == 201, name
        item = Item.objects.get(accession=response.json()["accession"])
        assert item.original_name == clean_name(name)

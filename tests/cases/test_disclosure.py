"""Whoever asks for a bundle chooses what it opens: the rest stays proven, closed, and counted."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from cases import bundles, disclosure, export
from cases.disclosure import Preset
from cases.models import Bundle
from cases.tasks import build
from custody.engine import opened
from custody.models import Event
from custody.vocabulary import Type
from ledger.entry import commit, parse_entry
from tests import factories
from tests.cases.makers import make_exhibit
from tests.cases.test_bundles import sealed_case, signed, stranger_verifies

pytestmark = pytest.mark.django_db


def exported(folder: Path, *chosen: str) -> tuple[Path, dict[str, Any]]:
    """A bundle by command, with a sequencer at work, verified by a stranger with the verifier in it."""
    exhibit = sealed_case()
    compartment, target, said = exhibit.case_file.compartment.code, folder / "bundle", StringIO()
    covering = export._covering

    def signing(*given: Any) -> Any:
        signed()
        return covering(*given)

    command = ["export", exhibit.case_file.code, "--compartment", compartment, "--as", exhibit.added_by.username]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_covering", signing)
        call_command(*command, "--to", str(target), "--json", *chosen, stdout=said)
    assert stranger_verifies(target).returncode == 0
    return target, json.loads(said.getvalue())


def told(folder: Path) -> dict[str, set[str]]:
    """The names of the fields that are open, by the type of the event."""
    found: dict[str, set[str]] = {}
    for path in (folder / "data" / "ledger" / "entries").iterdir():
        entry = parse_entry(path.read_bytes())
        opening = folder / "data" / "disclosures" / path.name
        fields = json.loads(opening.read_bytes())["fields"] if opening.exists() else {}
        found.setdefault(entry.type, set()).update(fields)
    return found


def test_without_a_choice_everything_that_may_leave_is_opened(tmp_path: Path) -> None:
    folder, summary = exported(tmp_path)
    assert told(folder)["ingestion"] == {"agent", "compartment", "subjects", "object"}
    case = json.loads((folder / "data" / "case.json").read_text())
    assert case["fields"]["withheld"] == []
    assert summary["fields_withheld"] > 0


def test_digests_only_opens_what_proves_the_bytes_and_nothing_else(tmp_path: Path) -> None:
    folder, summary = exported(tmp_path, "--preset", "digests")
    assert told(folder)["ingestion"] == {"subjects", "object"}
    assert all(fields <= {"subjects", "object"} for fields in told(folder).values())
    assert told(folder)["sanad/exhibit"] == {"subjects"}
    case = json.loads((folder / "data" / "case.json").read_text())
    assert case["fields"] == {"opened": ["subjects"], "withheld": disclosure.ALL}
    # An event about both exhibits is counted for each of them.
    assert sum(row["fields_withheld"] for row in case["exhibits"]) >= summary["fields_withheld"] > 0


def test_nobody_who_acted_is_told_where_agents_are_withheld(tmp_path: Path) -> None:
    folder, _summary = exported(tmp_path, "--withhold", "agent")
    people = {str(pk) for pk in Event.objects.values_list("agent_id", flat=True)}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*.json"))
    assert [pk for pk in people if pk.encode() in everything] == []
    assert "compartment" in told(folder)["ingestion"]


def test_a_field_that_was_withheld_can_be_opened_later_to_whoever_has_the_bundle(tmp_path: Path) -> None:
    folder, _summary = exported(tmp_path, "--open")
    path = next(
        path
        for path in (folder / "data" / "ledger" / "entries").iterdir()
        if parse_entry(path.read_bytes()).type == "ingestion"
    )
    entry = parse_entry(path.read_bytes())
    event = Event.objects.get(type=Type.RECEIVE, id=entry.event_id)
    salt, value = opened([event.id])[event.id]["agent"]
    assert commit(salt, "agent", value) == entry.commitments["agent"]


@pytest.mark.parametrize("chosen", [["--open", "original_name"], ["--withhold", "subjects"]])
def test_a_field_that_there_is_not_is_named(tmp_path: Path, chosen: list[str]) -> None:
    with pytest.raises(CommandError, match=chosen[1]):
        exported(tmp_path, *chosen)
    assert list(tmp_path.iterdir()) == []


def test_original_names_and_sources_stay_sealed_whatever_is_chosen() -> None:
    fields = {"original_name": (b"", "x"), "purpose": (b"", "x"), "to": (b"", "x"), "holding": (b"", "x")}
    for kind in disclosure.MAY_LEAVE:
        out = disclosure.opened_of(kind, fields, ["agent", "to", "from", "object", "original_name", "purpose"])
        assert not {"original_name", "purpose", "holding"} & set(out), kind
    assert disclosure.opened_of(Type.RECEIVE, fields, ["to"]) == {}
    with pytest.raises(ValidationError):
        disclosure.chosen(["original_name"])


def test_the_choice_is_made_in_the_browser_and_told_on_the_page() -> None:
    exhibit = make_exhibit()
    browser = factories.signed_in(exhibit.added_by)
    url = reverse("cases:request_bundle", args=[exhibit.case_file_id])
    assert "Digests and sizes only" in browser.get(url).content.decode()
    assert "Digests and sizes only" in browser.get(reverse("cases:case", args=[exhibit.case_file_id])).content.decode()
    assert browser.post(url, {"preset": "everything else"}).status_code == 422
    answer = browser.post(url, {"preset": "choose", "opened": ["to"]})
    bundle = Bundle.objects.get()
    assert bundle.opened == ["to"]
    signed()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert (bundle.state, bundle.problem) == ("ready", "")
    assert bundle.fields_withheld
    page = browser.get(answer["Location"]).content.decode()
    assert "Who acted, as an opaque identifier" in page
    assert "What examinations and verifications found" not in page


def test_that_something_was_withheld_is_in_the_custody_of_the_bundle() -> None:
    exhibit = make_exhibit()
    bundles.request_bundle(
        by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id, opened=Preset.NO_AGENTS.fields
    )
    event = Event.objects.filter(type=Type.PACKAGE).get()
    assert opened([event.id])[event.id]["to"][1]["withheld"] == ["agent"]


def test_the_api_takes_a_preset_or_fields_and_not_both() -> None:
    exhibit = make_exhibit()
    browser = factories.signed_in(exhibit.added_by)
    case = str(exhibit.case_file_id)
    both = {"case": case, "preset": "digests", "opened": ["to"]}
    assert browser.post("/api/v1/bundles/", both, "application/json").status_code == 400
    unknown = {"case": case, "opened": ["original_name"]}
    assert browser.post("/api/v1/bundles/", unknown, "application/json").status_code == 400
    made = browser.post("/api/v1/bundles/", {"case": case, "preset": "no_agents"}, "application/json")
    assert made.status_code == 201
    assert made.json()["opened"] == ["compartment", "from", "to", "object"]

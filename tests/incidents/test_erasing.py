"""What incidents hold of an erased item goes with it: reasons, announcements, journals of ingestions."""

import fcntl
import json
from pathlib import Path
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.permissions import NotNow
from custody.models import SubjectKey
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from evidence import blobs
from evidence.models import Item
from incidents import erasing, uploads
from incidents.models import Intake, Link
from tests import factories
from tests.evidence.test_erasure import erased

pytestmark = pytest.mark.django_db


def received(intake: Intake, name: str) -> Item:
    return uploads.accept(
        by=intake.by,
        at=timezone.now(),
        intake=intake,
        received=blobs.receive([uuid4().bytes]),
        original_name=name,
        idempotency_key=uuid4(),
    )


def test_the_announcement_with_which_it_came_is_emptied_and_others_are_not() -> None:
    incident = factories.make_incident()
    intake = factories.make_intake(
        incident, description="canary of an announcement", source="canary source", reasons="canary of a reason"
    )
    item = received(intake, "one.txt")
    other = factories.make_intake(incident, by=intake.by, description="Something else")
    erased(item)
    drain()
    sign_head()
    left = Intake.objects.get(pk=intake.pk)
    assert bytes(left.sealed) == b""
    assert not SubjectKey.objects.filter(subject_id=intake.pk).exists()
    assert uploads.opened(Intake.objects.get(pk=other.pk)).description["description"] == "Something else"
    link = Link.objects.get(item=item)
    assert (link.reasons, link.withdrawn_reason) == ("", "erased")
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []
    with pytest.raises(NotNow, match="erased"):
        uploads.require_intake(intake.by, timezone.now(), intake.pk)


def test_the_incident_shows_the_link_as_withdrawn_and_its_page_opens() -> None:
    link = factories.make_link(reasons="canary of a link")
    erased(link.item)
    page = factories.signed_in(link.linked_by).get(reverse("incidents:incident", args=[link.incident_id]))
    assert page.status_code == 200
    assert "canary" not in page.content.decode()


def test_both_persons_are_told_that_narratives_stay() -> None:
    link = factories.make_link()
    assert list(erasing.beyond(link.linked_by, [link.item])) == [
        "It is linked to 1 incident. What its narrative says of it stays until somebody rewrites it."
    ]


def test_its_digests_leave_the_journals_of_ingestions(settings: object) -> None:
    folder = Path(settings.SANAD_DATA) / "ingest"  # type: ignore[attr-defined]
    folder.mkdir(exist_ok=True)
    item, other = factories.make_item(), factories.make_item()
    journal = folder / "a.jsonl"
    lines = [
        json.dumps({"key": str(uuid4()), "accession": one.accession, "sha256": one.sha256}) for one in (item, other)
    ]
    journal.write_text("\n".join(lines) + "\n")
    try:
        with journal.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(BlockingIOError):
                erasing.afterwards([item.accession])
        erasing.afterwards([item.accession])
        assert journal.read_text() == lines[1] + "\n"
    finally:
        journal.unlink()

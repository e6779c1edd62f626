"""Makers for incidents, links, claims and intakes."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.utils import timezone

from accounts.models import Compartment, Role, User
from custody.engine import acting
from evidence import blobs
from incidents import actions, claims, members, resumable, tables, uploads
from incidents.models import Claim, Incident, Intake, Link, Member, Upload
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument


@instance_of(Incident)
def incident_there(compartment: Compartment, person: User) -> Incident:
    return factories.make_incident(compartment)


@instance_of(Link)
def link_there(compartment: Compartment, person: User) -> Link:
    return factories.make_link(incident=incident_there(compartment, person))


@instance_of(Claim)
def claim_there(compartment: Compartment, person: User) -> Claim:
    return factories.make_claim(incident_there(compartment, person))


@instance_of(Intake)
def intake_of(compartment: Compartment, person: User) -> Intake:
    """The person's own, whatever the person may do there by now."""
    receiver = factories.make_user(Role.INVESTIGATOR, compartment)
    intake = factories.make_intake(incident_there(compartment, person), by=receiver)
    Intake.objects.filter(pk=intake.pk).update(by=person)
    intake.refresh_from_db()
    return intake


@instance_of(Upload)
def upload_of(compartment: Compartment, person: User) -> Upload:
    """The person's own, of an intake of somebody's there."""
    receiver = factories.make_user(Role.INVESTIGATOR, compartment)
    intake = factories.make_intake(incident_there(compartment, person), by=receiver)
    upload, _fresh = resumable.begin(
        by=receiver, at=timezone.now(), intake_id=intake.pk, length=10, key=None, metadata="", sha256=""
    )
    Upload.objects.filter(pk=upload.pk).update(by=person)
    upload.refresh_from_db()
    return upload


@url_argument("upload_id")
def upload_id(compartment: Compartment, person: User) -> Any:
    return upload_of(compartment, person).pk


@instance_of(Member)
def member_there(compartment: Compartment, person: User) -> Member:
    container, item = factories.make_item(compartment), factories.make_item(compartment)
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    out_of = members.OutOf(container, "inner/frame.jpg")
    return members.record_member(by=by, at=timezone.now(), item=item, out_of=out_of)


@action_of(members.record_member)
def coming_out() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    container, item = factories.make_item(compartment), factories.make_item(compartment)
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    out_of = members.OutOf(container, "inner/frame.jpg")
    return lambda: members.record_member(by=by, at=timezone.now(), item=item, out_of=out_of)


@action_of(tables.import_table)
def importing() -> Callable[[], Any]:
    incident = factories.make_incident()
    item = factories.make_item(incident.compartment)
    received = blobs.receive([f"accession,title\r\n{item.accession},A square\r\n".encode()])
    return lambda: tables.import_table(
        by=incident.opened_by, at=timezone.now(), incident=incident, received=received, original_name="table.csv"
    )


@url_argument("incident_id")
@url_argument("incident-detail:pk")
@url_argument("incident-change-status:pk")
@url_argument("incident-links:pk")
@url_argument("incident-claims:pk")
def incident_id(compartment: Compartment, person: User) -> Any:
    return incident_there(compartment, person).pk


@url_argument("link_id")
@url_argument("link-detail:pk")
@url_argument("link-withdraw:pk")
def link_id(compartment: Compartment, person: User) -> Any:
    return link_there(compartment, person).pk


@url_argument("claim_id")
@url_argument("claim-detail:pk")
@url_argument("claim-withdraw:pk")
def claim_id(compartment: Compartment, person: User) -> Any:
    return claim_there(compartment, person).pk


@url_argument("intake_id")
def intake_id(compartment: Compartment, person: User) -> Any:
    return intake_of(compartment, person).pk


@url_argument("uploaded:key")
def upload_key(compartment: Compartment, person: User) -> Any:
    """The key of somebody else's upload."""
    key, intake = uuid4(), factories.make_intake(incident_there(compartment, person))
    uploads.accept(
        by=intake.by,
        at=timezone.now(),
        intake=intake,
        received=blobs.receive([b"somebody else's"]),
        original_name="theirs.txt",
        idempotency_key=key,
    )
    return key


@action_of(actions.open_incident)
def opening() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    return lambda: factories.make_incident(compartment, by=by, categories=("torture",))


@action_of(actions.edit_incident)
def editing() -> Callable[[], Any]:
    incident = factories.make_incident()
    return lambda: actions.edit_incident(
        by=incident.opened_by,
        at=timezone.now(),
        incident=incident,
        changes={"title": "Another title"},
        categories=["torture"],
    )


@action_of(actions.change_status)
def moving() -> Callable[[], Any]:
    incident = factories.make_incident()
    return lambda: actions.change_status(
        by=incident.opened_by, at=timezone.now(), incident=incident, status="closed", reason="all is said"
    )


@action_of(actions.read_incident)
def reading() -> Callable[[], Any]:
    incident = factories.make_incident()
    return lambda: actions.read_incident(by=incident.opened_by, at=timezone.now(), incident_id=incident.pk)


@action_of(actions.tag_item)
def tagging() -> Callable[[], Any]:
    incident = factories.make_incident()
    item = factories.make_item(incident.compartment)
    return lambda: factories.make_link(item, incident)


@action_of(actions.change_link)
def changing_a_link() -> Callable[[], Any]:
    link = factories.make_link()
    return lambda: actions.change_link(
        by=link.linked_by, at=timezone.now(), link=link, changes={"stance": "contradicts"}
    )


@action_of(actions.withdraw_link)
def withdrawing_a_link() -> Callable[[], Any]:
    link = factories.make_link()
    return lambda: actions.withdraw_link(by=link.linked_by, at=timezone.now(), link=link, reason="another square")


@action_of(claims.record_claim)
def claiming() -> Callable[[], Any]:
    incident = factories.make_incident()
    parts = [{"dimension": "area", "category": "Latakia", "count": 683}]
    return lambda: factories.make_claim(incident, breakdown=parts)


@action_of(claims.withdraw_claim)
def withdrawing_a_claim() -> Callable[[], Any]:
    claim = factories.make_claim()
    return lambda: claims.withdraw_claim(by=claim.recorded_by, at=timezone.now(), claim=claim, reason="mistyped")


@action_of(uploads.announce)
def announcing() -> Callable[[], Any]:
    incident = factories.make_incident()
    return lambda: factories.make_intake(incident)


@action_of(uploads.record_received)
def recording_what_was_received() -> Callable[[], Any]:
    intake = factories.make_intake()
    received = blobs.receive([b"a frame"])

    def call() -> Any:
        with acting():
            return uploads.record_received(
                by=intake.by,
                at=timezone.now(),
                intake=intake,
                received=received,
                original_name="frame.jpg",
                idempotency_key=uuid4(),
                file_time=None,
            )

    return call


@action_of(uploads.accept)
def accepting() -> Callable[[], Any]:
    intake = factories.make_intake()
    received = blobs.receive([b"a frame"])
    return lambda: uploads.accept(
        by=intake.by,
        at=timezone.now(),
        intake=intake,
        received=received,
        original_name="frame.jpg",
        idempotency_key=uuid4(),
    )

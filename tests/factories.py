"""People, compartments and what is in them, made by the archive's own actions: whatever a test has, custody has too."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import Client
from django.utils import timezone

from accounts.actions import (
    accept_invitation,
    found_archive,
    grant_role,
    invite_user,
    open_compartment,
)
from accounts.models import Compartment, Role, User
from evidence import blobs
from evidence.actions import receive_item, record_examination
from evidence.models import Item
from incidents import actions as incident_actions
from incidents import claims as incident_claims
from incidents import uploads as incident_uploads
from incidents.models import Claim, Incident, Intake, Link
from witnesses import actions as witness_actions
from witnesses.models import Consent, Testimony, Witness

PASSWORD = "slate-harbour-41-lantern"
AT = datetime(2025, 3, 20, 9, 30, tzinfo=UTC)
_numbers = count(1)


def founder() -> User:
    """The administrator who founded this test's archive; founds it on the first call."""
    found = User.objects.filter(username="founder").first()
    return found or found_archive(username="founder", display_name="Founder", password=PASSWORD, at=timezone.now())


def make_compartment(code: str = "", title: str = "", **details: Any) -> Compartment:
    """A compartment of its own code, opened by the founder."""
    number = next(_numbers)
    return open_compartment(
        by=founder(),
        at=timezone.now(),
        code=code or f"TEST-{number}",
        title=title or f"Investigation {number}",
        **details,
    )


def make_user(
    role: Role | None = None, compartment: Compartment | None = None, *, joined: bool = True, **details: Any
) -> User:
    """A person whose password is PASSWORD, holding the role there (without a compartment, over the whole archive)."""
    number = next(_numbers)
    details = {"username": f"person-{number}", "display_name": f"Person {number}"} | details
    user, secret = invite_user(by=founder(), at=timezone.now(), **details)
    if joined:
        user = accept_invitation(secret=secret, password=PASSWORD, at=timezone.now())
    if role is not None:
        give(user, role, compartment)
    return user


def give(user: User, role: Role, compartment: Compartment | None = None, **details: Any) -> Any:
    """The grant of a role by the founder."""
    return grant_role(
        by=founder(),
        at=timezone.now(),
        user_id=user.pk,
        role=role,
        compartment_id=compartment.pk if compartment else None,
        **({"reason": "for this test"} | details),
    )


def signed_in(user: User) -> Client:
    """A browser in which the person is signed in. The session is made directly: signing in has tests of its own."""
    client = Client()
    session = client.session
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return client


def stranger() -> User:
    """A person of the archive who holds no role anywhere."""
    return make_user()


def make_item(
    compartment: Compartment | None = None,
    *,
    by: User | None = None,
    data: bytes = b"",
    name: str = "scene.txt",
    **description: Any,
) -> Item:
    """An item received from an investigator of the compartment; without `data`, of bytes of its own."""
    compartment = compartment or make_compartment()
    return receive_item(
        by=by or make_user(Role.INVESTIGATOR, compartment),
        at=timezone.now(),
        compartment_id=compartment.pk,
        received=blobs.receive([data or f"item {next(_numbers)}\n".encode()]),
        original_name=name,
        description=description,
    )


def examined(item: Item, media_type: str) -> Item:
    """The item after an examination in which both identifiers said this type."""
    return record_examination(
        at=timezone.now(), item_id=item.pk, puremagic=media_type, libmagic=media_type, claims=None, problem=""
    )


def make_witness(compartment: Compartment | None = None, *, by: User | None = None, **details: Any) -> Witness:
    """A witness, opened by a protection officer of the compartment unless somebody else is named."""
    compartment = compartment or make_compartment()
    return witness_actions.open_witness(
        by=by or make_user(Role.PROTECTION_OFFICER, compartment),
        at=timezone.now(),
        compartment_id=compartment.pk,
        **({"kind": "eyewitness"} | details),
    )


def make_testimony(
    witness: Witness | None = None,
    *,
    by: User | None = None,
    text: str = "They came in two white pickups.",
    **particulars: Any,
) -> Testimony:
    """A testimony of the witness, in Arabic, given on 20 March 2025."""
    witness = witness or make_witness()
    return witness_actions.record_testimony(
        by=by or make_user(Role.INVESTIGATOR, witness.compartment),
        at=timezone.now(),
        witness_id=witness.pk,
        text=text,
        particulars={"interview_edtf": "2025-03-20", "language": "ar"} | particulars,
    )


def make_consent(
    witness: Witness | None = None,
    *,
    by: User | None = None,
    at: datetime | None = None,
    form_accession: str = "",
    **agreed: Any,
) -> Consent:
    """A consent of the witness: documentation and an international court, under a pseudonym, every form, no end."""
    witness = witness or make_witness()
    return witness_actions.record_consent(
        by=by or make_user(Role.PROTECTION_OFFICER, witness.compartment),
        at=at or timezone.now(),
        witness_id=witness.pk,
        form_accession=form_accession,
        agreed={
            "purposes": ["documentation", "international_court"],
            "recipients": ["own_team", "international_court"],
            "identity_level": "pseudonym",
            "recording_media": ["written", "audio", "video", "photo"],
            "language": "ar",
            "explained_by": "Interviewer 1",
            "form_version": "2025-01",
            "given_edtf": "2025-03-20",
        }
        | agreed,
    )


def make_incident(
    compartment: Compartment | None = None,
    *,
    by: User | None = None,
    code: str = "",
    status: str = "open",
    categories: tuple[str, ...] = (),
    **fields: Any,
) -> Incident:
    """An open incident of an investigator of the compartment, on Syria's coast."""
    compartment = compartment or make_compartment()
    return incident_actions.open_incident(
        by=by or make_user(Role.INVESTIGATOR, compartment),
        at=timezone.now(),
        compartment_id=compartment.pk,
        code=code,
        status=status,
        categories=categories,
        fields={"title": f"Incident {next(_numbers)}"} | fields,
    )


def make_link(item: Item | None = None, incident: Incident | None = None, **said: Any) -> Link:
    """A link by the person who received the item."""
    incident = incident or make_incident(item.compartment if item else None)
    item = item or make_item(incident.compartment)
    return incident_actions.tag_item(
        by=item.received_by,
        at=timezone.now(),
        item=item,
        incident=incident,
        **({"stance": "supports", "reasons": "It shows the square."} | said),
    )


def make_claim(incident: Incident | None = None, **stated: Any) -> Claim:
    """A claim as published for Syria's coast, March 2025, recorded by the person who opened the incident."""
    incident = incident or make_incident()
    breakdown = stated.pop("breakdown", [])
    return incident_claims.record_claim(
        by=incident.opened_by,
        at=timezone.now(),
        incident=incident,
        fields={
            "source": "Syrian Observatory for Human Rights",
            "document_title": "Report of 12 March 2025",
            "scope_area": "Latakia, Tartus, Hama and Homs",
            "who_counts": "Civilians",
            "as_of": "2025-03-12",
            "minimum": 1383,
            "maximum": 1383,
        }
        | stated,
        breakdown=breakdown,
    )


def make_intake(incident: Incident | None = None, *, by: User | None = None, **said: Any) -> Intake:
    """An intake of an investigator for an incident."""
    incident = incident or make_incident()
    return incident_uploads.announce(
        by=by or incident.opened_by,
        at=timezone.now(),
        incident=incident,
        fields={"stance": "supports", "reasons": "Filmed at the place."} | said,
    )

"""Makers for witnesses, testimonies, recordings and consents."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from accounts.models import Compartment, Role, User
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument
from tests.witnesses.things import make_item, planted
from witnesses import actions, agreements, vault
from witnesses.models import Consent, Recording, Testimony, Witness

REASON = "Needed for the protection plan."
Act = Callable[[], Any]


@instance_of(Witness)
def witness_there(compartment: Compartment, person: User) -> Witness:
    return factories.make_witness(compartment, identity=planted())


@instance_of(Testimony)
def testimony_there(compartment: Compartment, person: User) -> Testimony:
    return factories.make_testimony(witness_there(compartment, person))


@instance_of(Recording)
def recording_there(compartment: Compartment, person: User) -> Recording:
    return linked(testimony_there(compartment, person))


@instance_of(Consent)
def consent_there(compartment: Compartment, person: User) -> Consent:
    return factories.make_consent(witness_there(compartment, person))


@url_argument("witness_id")
@url_argument("witness-detail:pk")
@url_argument("witness-identity:pk")
@url_argument("witness-open-identity:pk")
def witness_id(compartment: Compartment, person: User) -> Any:
    return witness_there(compartment, person).pk


@url_argument("testimony_id")
@url_argument("testimony-detail:pk")
@url_argument("testimony-texts:pk")
@url_argument("testimony-seal:pk")
@url_argument("testimony-recordings:pk")
def testimony_id(compartment: Compartment, person: User) -> Any:
    return testimony_there(compartment, person).pk


@url_argument("recording_id")
@url_argument("recording-withdraw:pk")
def recording_id(compartment: Compartment, person: User) -> Any:
    return recording_there(compartment, person).pk


@url_argument("consent_id")
@url_argument("consent-detail:pk")
@url_argument("consent-withdraw:pk")
def consent_id(compartment: Compartment, person: User) -> Any:
    return consent_there(compartment, person).pk


def linked(testimony: Testimony) -> Recording:
    item = make_item(testimony.compartment)
    return actions.link_recording(
        by=factories.make_user(Role.INVESTIGATOR, testimony.compartment),
        at=timezone.now(),
        testimony_id=testimony.pk,
        accession=item.accession,
    )


def officer_and_witness(**details: Any) -> tuple[User, Witness]:
    witness = factories.make_witness(**details)
    return factories.make_user(Role.PROTECTION_OFFICER, witness.compartment), witness


def investigator_and_testimony(**details: Any) -> tuple[User, Testimony]:
    testimony = factories.make_testimony(**details)
    return factories.make_user(Role.INVESTIGATOR, testimony.compartment), testimony


@action_of(actions.open_witness)
def opening_a_witness() -> Act:
    compartment = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    return lambda: actions.open_witness(
        by=by, at=timezone.now(), compartment_id=compartment.pk, kind="survivor", identity=planted()
    )


@action_of(actions.describe_witness)
def describing_a_witness() -> Act:
    by, witness = officer_and_witness()
    changes = {"age_band": "elder", "vulnerabilities": ["threatened"]}
    return lambda: actions.describe_witness(by=by, at=timezone.now(), witness_id=witness.pk, changes=changes)


@action_of(actions.view_witness)
def viewing_a_witness() -> Act:
    by, witness = officer_and_witness()
    return lambda: actions.view_witness(by=by, at=timezone.now(), witness_id=witness.pk)


@action_of(actions.record_testimony)
def recording_a_testimony() -> Act:
    by, witness = officer_and_witness()
    item = make_item(witness.compartment)
    return lambda: actions.record_testimony(
        by=by,
        at=timezone.now(),
        witness_id=witness.pk,
        text="What was said.",
        particulars={"interview_edtf": "2025-03-20", "language": "ar"},
        recordings=[item.accession],
    )


@action_of(actions.describe_testimony)
def describing_a_testimony() -> Act:
    by, testimony = investigator_and_testimony()
    changes = {"interpreter": "Agency 2"}
    return lambda: actions.describe_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk, changes=changes)


@action_of(actions.revise_testimony)
def revising_a_testimony() -> Act:
    by, testimony = investigator_and_testimony()
    return lambda: actions.revise_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk, text="Put better.")


@action_of(actions.seal_testimony)
def sealing_a_testimony() -> Act:
    by, testimony = investigator_and_testimony()
    return lambda: actions.seal_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk)


@action_of(actions.correct_testimony)
def correcting_a_testimony() -> Act:
    by, testimony = investigator_and_testimony()
    actions.seal_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk)
    return lambda: actions.correct_testimony(
        by=by, at=timezone.now(), testimony_id=testimony.pk, text="Put right.", reason="Misheard."
    )


@action_of(actions.read_testimony)
def reading_a_testimony() -> Act:
    by, testimony = investigator_and_testimony()
    return lambda: actions.read_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk)


@action_of(actions.link_recording)
def linking_a_recording() -> Act:
    by, testimony = investigator_and_testimony()
    item = make_item(testimony.compartment)
    return lambda: actions.link_recording(by=by, at=timezone.now(), testimony_id=testimony.pk, accession=item.accession)


@action_of(actions.unlink_recording)
def withdrawing_a_recording() -> Act:
    testimony = factories.make_testimony()
    by, link = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment), linked(testimony)
    return lambda: actions.unlink_recording(by=by, at=timezone.now(), recording_id=link.pk, reason="The wrong file.")


@action_of(vault.record_identity)
def recording_an_identity() -> Act:
    by, witness = officer_and_witness()
    return lambda: vault.record_identity(by=by, at=timezone.now(), witness_id=witness.pk, identity=planted())


@action_of(vault.revise_identity)
def revising_an_identity() -> Act:
    by, witness = officer_and_witness(identity=planted())
    return lambda: vault.revise_identity(
        by=by, at=timezone.now(), witness_id=witness.pk, identity=planted(), reason=REASON
    )


@action_of(vault.open_identity)
def opening_an_identity() -> Act:
    by, witness = officer_and_witness(identity=planted())
    return lambda: vault.open_identity(by=by, at=timezone.now(), witness_id=witness.pk, reason=REASON)


@action_of(vault.find_spoken_before)
def asking_whether_somebody_spoke() -> Act:
    by, witness = officer_and_witness(identity=planted())
    return lambda: vault.find_spoken_before(
        by=by, at=timezone.now(), compartment_id=witness.compartment_id, asked=[planted().name]
    )


@action_of(agreements.record_consent)
def recording_consent() -> Act:
    by, witness = officer_and_witness()
    return lambda: factories.make_consent(witness, by=by)


@action_of(agreements.withdraw_consent)
def withdrawing_consent() -> Act:
    by, witness = officer_and_witness()
    consent = factories.make_consent(witness)
    return lambda: agreements.withdraw_consent(
        by=by, at=timezone.now(), consent_id=consent.pk, reason="Asked by telephone."
    )

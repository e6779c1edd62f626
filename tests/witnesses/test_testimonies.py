"""Witnesses and testimonies: numbers, sealing, revisions, and what stands in the ledger."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import Compartment, Role, User
from accounts.permissions import NotNow, NotVisible, Refused
from custody.models import Disclosure, Event
from custody.seal import SealBroken
from custody.story import story
from custody.vocabulary import Type
from tests import factories
from tests.witnesses.things import NAME, make_item, planted
from witnesses import actions
from witnesses.models import Testimony, TestimonyRevision, Witness

pytestmark = pytest.mark.django_db

TEXT = "They came before dawn. جاؤوا قبل الفجر."


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def testimony() -> Testimony:
    return factories.make_testimony(text=TEXT)


@pytest.fixture
def investigator(testimony: Testimony) -> User:
    return factories.make_user(Role.INVESTIGATOR, testimony.compartment)


def sealed(testimony: Testimony, by: User) -> Testimony:
    return actions.seal_testimony(by=by, at=timezone.now(), testimony_id=testimony.pk)


def test_pseudonyms_and_numbers_count_up_in_each_compartment() -> None:
    first, second = factories.make_compartment(), factories.make_compartment()
    witnesses = [factories.make_witness(place) for place in (first, first, second)]
    assert [witness.pseudonym for witness in witnesses] == ["W-0001", "W-0002", "W-0001"]
    testimonies = [factories.make_testimony(witness) for witness in witnesses]
    assert [testimony.number for testimony in testimonies] == ["T-0001", "T-0002", "T-0001"]
    assert testimonies[0].summary_title == "Testimony T-0001"


def test_a_number_is_not_lost_by_a_refused_witness() -> None:
    place = factories.make_compartment()
    with pytest.raises(ValidationError):
        factories.make_witness(place, kind="president")
    assert factories.make_witness(place).pseudonym == "W-0001"


def test_the_text_is_sealed_and_its_digest_alone_is_in_the_ledger(testimony: Testimony) -> None:
    revision = testimony.revisions.get()
    assert revision.text == TEXT
    assert TEXT.encode() not in bytes(revision.sealed_text)
    line = story("testimony", testimony.pk)[0]
    assert line.type == Type.INTERVIEW
    assert line.fields["to"]["text_sha256"] == digest(TEXT)
    assert TEXT not in json.dumps(line.fields, ensure_ascii=False)


def test_each_revision_of_the_text_is_kept_and_recorded_from_and_to(testimony: Testimony, investigator: User) -> None:
    actions.revise_testimony(
        by=investigator, at=timezone.now(), testimony_id=testimony.pk, text="Put better.", reason="Listened again."
    )
    assert [(row.number, row.text) for row in testimony.revisions.all()] == [(1, TEXT), (2, "Put better.")]
    line = story("testimony", testimony.pk)[-1]
    assert line.fields["from"] == {"revision": 1, "text_sha256": digest(TEXT)}
    assert line.fields["to"] == {"revision": 2, "text_sha256": digest("Put better.")}
    assert line.fields["purpose"] == "Listened again."


def test_the_same_text_again_is_no_revision(testimony: Testimony, investigator: User) -> None:
    with pytest.raises(ValidationError) as refusal:
        actions.revise_testimony(by=investigator, at=timezone.now(), testimony_id=testimony.pk, text=f"{TEXT}\r\n")
    assert list(refusal.value.message_dict) == ["text"]
    assert testimony.revisions.count() == 1


def test_a_sealed_testimony_takes_no_change_but_visible_corrections(testimony: Testimony, investigator: User) -> None:
    link = actions.link_recording(
        by=investigator,
        at=timezone.now(),
        testimony_id=testimony.pk,
        accession=make_item(testimony.compartment).accession,
    )
    sealed(testimony, investigator)
    now = timezone.now()
    with pytest.raises(NotNow):
        actions.revise_testimony(by=investigator, at=now, testimony_id=testimony.pk, text="Other words.")
    with pytest.raises(NotNow):
        actions.describe_testimony(by=investigator, at=now, testimony_id=testimony.pk, changes={"language": "en"})
    with pytest.raises(NotNow):
        sealed(testimony, investigator)
    officer = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    with pytest.raises(NotNow):
        actions.unlink_recording(by=officer, at=now, recording_id=link.pk, reason="The wrong file.")
    assert testimony.revisions.count() == 1
    actions.correct_testimony(
        by=investigator, at=now, testimony_id=testimony.pk, text="They came after dawn.", reason="Misheard."
    )
    original, correction = testimony.revisions.all()
    assert (original.text, original.correction) == (TEXT, False)
    assert (correction.text, correction.correction, correction.reason) == ("They came after dawn.", True, "Misheard.")
    assert story("testimony", testimony.pk)[-1].type == Type.CORRECT


def test_an_open_testimony_takes_no_correction_and_a_correction_needs_a_reason(
    testimony: Testimony, investigator: User
) -> None:
    now = timezone.now()
    with pytest.raises(NotNow):
        actions.correct_testimony(by=investigator, at=now, testimony_id=testimony.pk, text="Other.", reason="Misheard.")
    sealed(testimony, investigator)
    with pytest.raises(ValidationError) as refusal:
        actions.correct_testimony(by=investigator, at=now, testimony_id=testimony.pk, text="Other.", reason=" ")
    assert list(refusal.value.message_dict) == ["reason"]


def test_nothing_at_all_is_not_sealed(investigator: User, testimony: Testimony) -> None:
    empty = factories.make_testimony(testimony.witness, text="")
    with pytest.raises(NotNow):
        sealed(empty, investigator)
    item = make_item(testimony.compartment)
    actions.link_recording(by=investigator, at=timezone.now(), testimony_id=empty.pk, accession=item.accession)
    assert sealed(empty, investigator).sealed


def test_a_text_cannot_be_rewritten_or_moved_in_the_database(testimony: Testimony, investigator: User) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        testimony.revisions.update(sealed_text=b"other")
    other = factories.make_testimony(testimony.witness, text="Another one.")
    moved = TestimonyRevision.objects.create(
        testimony=testimony,
        number=2,
        sealed_text=bytes(other.revisions.get().sealed_text),
        at=timezone.now(),
        by=investigator,
    )
    with pytest.raises(SealBroken):
        _ = moved.text


def test_particulars_change_from_and_to(testimony: Testimony, investigator: User) -> None:
    actions.describe_testimony(
        by=investigator,
        at=timezone.now(),
        testimony_id=testimony.pk,
        changes={"interview_edtf": "2025-03-21/2025-03-22", "latitude": None, "interpreter": "Agency 2"},
    )
    testimony.refresh_from_db()
    assert (str(testimony.interview_earliest), str(testimony.interview_latest)) == ("2025-03-21", "2025-03-22")
    line = story("testimony", testimony.pk)[-1]
    assert line.fields["from"] == {"interview_edtf": "2025-03-20", "interpreter": None}
    assert line.fields["to"] == {"interview_edtf": "2025-03-21/2025-03-22", "interpreter": "Agency 2"}


def test_a_change_that_changes_nothing_is_no_event(testimony: Testimony, investigator: User) -> None:
    events = Event.objects.count()
    actions.describe_testimony(
        by=investigator, at=timezone.now(), testimony_id=testimony.pk, changes={"language": "ar"}
    )
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    ("particulars", "field"),
    [
        ({"interview_edtf": "last spring"}, "interview_edtf"),
        ({"interview_edtf": ""}, "interview_edtf"),
        ({"interview_edtf": "2999-01-01"}, "interview_edtf"),
        ({"language": ""}, "language"),
        ({"latitude": 35}, "latitude"),
        ({"latitude": 35, "longitude": 36}, "precision"),
        ({"latitude": 95, "longitude": 36, "precision": "exact"}, "latitude"),
        ({"place_name": "x" * 201}, "place_name"),
        ({"number": "T-9999"}, "number"),
    ],
)
def test_what_is_wrong_with_a_testimony_is_said_under_its_field(particulars: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        factories.make_testimony(**particulars)
    assert list(refusal.value.message_dict) == [field]
    assert not Testimony.objects.exists()


def test_interviewers_are_people_who_meet_witnesses_there(testimony: Testimony) -> None:
    stranger = factories.make_user(Role.INVESTIGATOR, factories.make_compartment())
    with pytest.raises(ValidationError) as refusal:
        factories.make_testimony(testimony.witness, interviewer=stranger)
    assert list(refusal.value.message_dict) == ["interviewer"]
    colleague = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    assert factories.make_testimony(testimony.witness, interviewer=colleague).interviewer == colleague


def test_a_recording_that_is_not_there_keeps_the_testimony_from_being_recorded(testimony: Testimony) -> None:
    elsewhere = make_item(factories.make_compartment())
    by = factories.make_user(Role.INVESTIGATOR, testimony.compartment)
    for accession in ("SY-2025-999999", elsewhere.accession):
        with pytest.raises(ValidationError) as refusal:
            actions.record_testimony(
                by=by,
                at=timezone.now(),
                witness_id=testimony.witness_id,
                text="",
                particulars={"interview_edtf": "2025-03", "language": "ar"},
                recordings=[accession],
            )
        assert list(refusal.value.message_dict) == ["recordings"]
    assert Testimony.objects.count() == 1


def test_a_link_is_told_on_the_item_the_testimony_and_the_witness(testimony: Testimony, investigator: User) -> None:
    item = make_item(testimony.compartment)
    now = timezone.now()
    link = actions.link_recording(by=investigator, at=now, testimony_id=testimony.pk, accession=item.accession)
    with pytest.raises(ValidationError):
        actions.link_recording(by=investigator, at=now, testimony_id=testimony.pk, accession=item.accession)
    officer = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    actions.unlink_recording(by=officer, at=now, recording_id=link.pk, reason="The wrong file.")
    with pytest.raises(NotNow):
        actions.unlink_recording(by=officer, at=now, recording_id=link.pk, reason="The wrong file.")
    for kind, subject in (("item", item.pk), ("testimony", testimony.pk), ("witness", testimony.witness_id)):
        types = [line.type for line in story(kind, subject)]
        assert types[-2:] == [Type.LINK_RECORDING, Type.UNLINK_RECORDING]
    actions.link_recording(by=investigator, at=now, testimony_id=testimony.pk, accession=item.accession)


def test_reading_is_recorded_once_in_five_minutes_for_each_reader(testimony: Testimony, investigator: User) -> None:
    lawyer = factories.make_user(Role.LEGAL_REVIEWER, testimony.compartment)
    now = timezone.now()
    for by, at in ((investigator, now), (investigator, now), (lawyer, now), (investigator, now + timedelta(minutes=6))):
        actions.read_testimony(by=by, at=at, testimony_id=testimony.pk)
    views = [line.agent_id for line in story("testimony", testimony.pk) if line.type == Type.VIEW]
    assert views == [investigator.pk, lawyer.pk, investigator.pk]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ARCHIVIST, Role.ADMINISTRATOR])
def test_auditors_archivists_and_administrators_learn_nothing_of_witnesses(role: Role, testimony: Testimony) -> None:
    user = factories.make_user(role, testimony.compartment)
    now = timezone.now()
    with pytest.raises(NotVisible):
        actions.read_testimony(by=user, at=now, testimony_id=testimony.pk)
    with pytest.raises(NotVisible):
        actions.view_witness(by=user, at=now, witness_id=testimony.witness_id)


def test_a_legal_reviewer_reads_and_changes_nothing(testimony: Testimony) -> None:
    lawyer = factories.make_user(Role.LEGAL_REVIEWER, testimony.compartment)
    now = timezone.now()
    assert actions.read_testimony(by=lawyer, at=now, testimony_id=testimony.pk).revisions.get().text == TEXT
    with pytest.raises(Refused):
        actions.revise_testimony(by=lawyer, at=now, testimony_id=testimony.pk, text="Other words.")
    with pytest.raises(Refused):
        sealed(testimony, lawyer)
    with pytest.raises(Refused):
        factories.make_testimony(testimony.witness, by=lawyer)
    with pytest.raises(Refused):
        factories.make_consent(testimony.witness, by=lawyer)


@pytest.fixture
def known() -> Witness:
    return factories.make_witness(identity=planted())


@pytest.mark.parametrize("field", ["interpreter", "others_present", "place_name", "place_name_ar", "gazetteer_code"])
def test_no_particular_may_name_a_witness(field: str, known: Witness) -> None:
    with pytest.raises(ValidationError) as refusal:
        factories.make_testimony(known, **dict[str, Any]({field: f"with {NAME}"}))
    assert list(refusal.value.message_dict) == [field]
    assert NAME not in json.dumps(refusal.value.message_dict)


@pytest.mark.parametrize(
    "text", [NAME.upper(), f"{NAME}.", "ولظافيرون القونثربل", "abo wexlindor", "Zafiroun  Qwintharbel"]
)
def test_a_name_is_recognised_however_it_is_written(text: str, known: Witness) -> None:
    with pytest.raises(ValidationError):
        factories.make_testimony(known, others_present=text)


def test_a_name_of_another_compartment_s_witness_tells_nothing(known: Witness) -> None:
    assert factories.make_testimony(others_present=NAME).others_present == NAME


def test_no_part_of_a_consent_may_name_a_witness(known: Witness) -> None:
    for field in ("interpreter", "explained_by", "form_version"):
        with pytest.raises(ValidationError) as refusal:
            factories.make_consent(known, **dict[str, Any]({field: NAME}))
        assert list(refusal.value.message_dict) == [field]
    with pytest.raises(ValidationError) as refusal:
        factories.make_consent(known, named_recipients=["An office", NAME])
    assert list(refusal.value.message_dict) == ["named_recipients"]


@pytest.mark.parametrize(
    ("agreed", "field"),
    [
        ({"given_edtf": ""}, "given_edtf"),
        ({"given_edtf": "2025/.."}, "given_edtf"),
        ({"given_edtf": "2999"}, "given_edtf"),
        ({"purposes": []}, "purposes"),
        ({"purposes": ["anything"]}, "purposes"),
        ({"recipients": []}, "recipients"),
        ({"recording_media": []}, "recording_media"),
        ({"identity_level": "somehow"}, "identity_level"),
        ({"explained_by": ""}, "explained_by"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
        ({"form_accession": "SY-2025-999999"}, "form_accession"),
        ({"withdrawn_at": None}, "withdrawn_at"),
    ],
)
def test_what_is_wrong_with_a_consent_is_said_under_its_field(agreed: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        factories.make_consent(**agreed)
    assert list(refusal.value.message_dict) == [field]


def test_a_consent_to_nothing_needs_no_more_words() -> None:
    consent = factories.make_consent(identity_level="not_at_all", purposes=[], recipients=[], recording_media=[])
    assert consent.purpose_labels == []


def test_for_a_child_a_guardian_agrees() -> None:
    child = factories.make_witness(age_band="child")
    with pytest.raises(ValidationError) as refusal:
        factories.make_consent(child)
    assert list(refusal.value.message_dict) == ["guardian"]
    assert factories.make_consent(child, guardian="mother").guardian == "mother"


def test_a_consent_is_withdrawn_once_with_a_reason() -> None:
    consent = factories.make_consent()
    officer = factories.make_user(Role.PROTECTION_OFFICER, consent.witness.compartment)
    now = timezone.now()
    with pytest.raises(ValidationError) as refusal:
        actions.withdraw_consent(by=officer, at=now, consent_id=consent.pk, reason="")
    assert list(refusal.value.message_dict) == ["reason"]
    actions.withdraw_consent(by=officer, at=now, consent_id=consent.pk, reason="Asked by telephone.")
    with pytest.raises(NotNow):
        actions.withdraw_consent(by=officer, at=now, consent_id=consent.pk, reason="Asked by telephone.")
    line = story("witness", consent.witness_id)[-1]
    assert (line.type, line.fields["purpose"]) == (Type.WITHDRAW_CONSENT, "Asked by telephone.")
    assert line.fields["from"]["purposes"] == ["documentation", "international_court"]


def test_the_sealed_values_of_a_testimony_s_events_are_under_its_own_key(testimony: Testimony) -> None:
    event = story("testimony", testimony.pk)[0].event_id
    assert {row.subject_id for row in Disclosure.objects.filter(event_id=event)} == {testimony.pk}


def test_a_witness_in_another_compartment_is_not_there() -> None:
    place: Compartment = factories.make_compartment()
    witness = factories.make_witness()
    stranger = factories.make_user(Role.INVESTIGATOR, place)
    with pytest.raises(NotVisible):
        factories.make_testimony(witness, by=stranger)

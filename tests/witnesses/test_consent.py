"""What a consent covers, decided case by case."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import Refused
from evidence.actions import describe_item, record_examination
from evidence.models import Item
from tests import factories
from tests.witnesses.things import make_item
from witnesses import actions
from witnesses.consent import Decision, covers, covers_testimony, state_of
from witnesses.models import Consent, Testimony
from witnesses.vocabulary import ConsentState

pytestmark = pytest.mark.django_db

COURT = {"purpose": "international_court", "recipient": "international_court"}


@pytest.fixture
def testimony() -> Testimony:
    return factories.make_testimony()


TYPES = {
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "photo": "image/jpeg",
    "document": "application/pdf",
    "text": "text/plain",
    "undetermined": "application/octet-stream",
}


def recording_of(
    testimony: Testimony, kind: str = "audio", content: bytes | None = None, *, media_type: str | None = ""
) -> Item:
    """A recording of this kind whose bytes are found to be of this type, or of the kind's own; None: not examined."""
    item = make_item(testimony.compartment, kind, content)
    if media_type is not None:
        item = factories.examined(item, media_type or TYPES.get(kind, "audio/mpeg"))
    by = factories.make_user(Role.INVESTIGATOR, testimony.compartment)
    actions.link_recording(by=by, at=timezone.now(), testimony_id=testimony.id, accession=item.accession)
    return item


def asked(item: Item, at: datetime | None = None, **question: Any) -> Decision:
    return covers(item, **(COURT | question), at=at or timezone.now())


@pytest.mark.parametrize(
    ("agreed", "kind", "question", "allowed", "reason"),
    [
        ({}, "audio", {}, True, "agreed to this use"),
        ({}, "audio", {"purpose": "media"}, False, "this purpose was not agreed to: Publication in the media"),
        ({}, "audio", {"recipient": "journalists"}, False, "this recipient was not agreed to: Journalists"),
        ({}, "audio", {"recipient": ("journalists", "own_team")}, True, "agreed to this use"),
        (
            {"named_recipients": ["Office of the Prosecutor"]},
            "audio",
            {"recipient": "office of  the prosecutor"},
            True,
            "",
        ),
        ({"named_recipients": ["Office of the Prosecutor"]}, "audio", {"recipient": "Office"}, False, "Office"),
        ({"recipients": [], "named_recipients": ["Lawyers"]}, "audio", {"recipient": "own_team"}, False, "own team"),
        ({"recording_media": ["written"]}, "audio", {}, False, "this form was not agreed to: Sound recording"),
        ({"recording_media": ["written"]}, "document", {}, True, ""),
        ({"recording_media": ["audio"]}, "text", {}, False, "In writing"),
        ({"recording_media": ["photo"]}, "video", {}, False, "Video recording"),
        ({"identity_level": "anonymous"}, "audio", {}, False, "only anonymous use was agreed to"),
        ({"identity_level": "anonymous"}, "photo", {}, False, "only anonymous use was agreed to"),
        ({"identity_level": "anonymous"}, "text", {}, True, ""),
        ({"identity_level": "named"}, "video", {}, True, ""),
        ({"identity_level": "not_at_all"}, "text", {}, False, "nothing of this testimony may leave"),
        ({}, "undetermined", {}, False, "not known yet what this item is"),
        ({}, "physical", {}, False, "not known yet what this item is"),
    ],
)
def test_a_consent_carries_exactly_what_was_agreed(
    testimony: Testimony, agreed: dict[str, Any], kind: str, question: dict[str, Any], allowed: bool, reason: str
) -> None:
    consent = factories.make_consent(testimony.witness, **agreed)
    decision = asked(recording_of(testimony, kind), **question)
    assert decision.allowed is allowed
    assert reason in " ".join(decision.reasons)
    assert decision.consents == (consent,)
    if not allowed:
        assert decision.reasons[0].startswith("W-0001: ")


def test_an_item_that_records_no_testimony_involves_no_witness() -> None:
    decision = asked(make_item(factories.make_compartment()))
    assert decision.allowed
    assert "No witness" in decision.reasons[0]
    assert decision.consents == ()


def test_a_recording_without_consent_goes_nowhere(testimony: Testimony) -> None:
    decision = asked(recording_of(testimony))
    assert (decision.allowed, decision.reasons) == (False, ("W-0001: no consent is recorded.",))


def test_consent_ends_at_the_very_moment_of_its_expiry(testimony: Testimony) -> None:
    ends = timezone.now() + timedelta(days=90)
    factories.make_consent(testimony.witness, expires_at=ends)
    item = recording_of(testimony)
    assert asked(item, ends - timedelta(microseconds=1)).allowed
    assert not asked(item, ends).allowed
    assert "expired" in asked(item, ends).reasons[0]


def test_withdrawal_counts_at_once_and_not_before(testimony: Testimony) -> None:
    consent = factories.make_consent(testimony.witness)
    item = recording_of(testimony)
    before = timezone.now()
    assert asked(item).allowed
    by = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    actions.withdraw_consent(by=by, at=timezone.now(), consent_id=consent.id, reason="Asked by telephone.")
    assert asked(item).reasons == ("W-0001: consent was withdrawn.",)
    assert asked(item, before).allowed


def test_the_newest_consent_counts_alone_and_older_ones_do_not_come_back(testimony: Testimony) -> None:
    item = recording_of(testimony)
    factories.make_consent(testimony.witness, given_edtf="2025-03-20")
    narrow = factories.make_consent(testimony.witness, given_edtf="2025-04-02", purposes=["documentation"])
    assert not asked(item).allowed
    by = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    actions.withdraw_consent(by=by, at=timezone.now(), consent_id=narrow.id, reason="Withdrawn in writing.")
    assert asked(item).reasons == ("W-0001: consent was withdrawn.",)


def test_an_old_paper_entered_late_does_not_replace_a_newer_consent(testimony: Testimony) -> None:
    item = recording_of(testimony)
    factories.make_consent(testimony.witness, given_edtf="2025-04-02", purposes=["documentation"])
    factories.make_consent(testimony.witness, given_edtf="2025-03-20")
    assert not asked(item).allowed


def test_a_recording_of_two_witnesses_needs_both(testimony: Testimony) -> None:
    other = factories.make_testimony(factories.make_witness(testimony.compartment))
    item = recording_of(testimony)
    by = factories.make_user(Role.INVESTIGATOR, testimony.compartment)
    actions.link_recording(by=by, at=timezone.now(), testimony_id=other.id, accession=item.accession)
    factories.make_consent(testimony.witness)
    decision = asked(item)
    assert (decision.allowed, decision.reasons) == (False, ("W-0002: no consent is recorded.",))
    factories.make_consent(other.witness)
    assert asked(item).allowed


def test_an_exact_duplicate_of_a_recording_needs_the_same_consent(testimony: Testimony) -> None:
    recording_of(testimony, content=b"the same bytes")
    twin = factories.examined(make_item(testimony.compartment, content=b"the same bytes"), "audio/mpeg")
    assert asked(twin).reasons == ("W-0001: no consent is recorded.",)


def test_only_a_protection_officer_can_free_an_item_by_withdrawing_its_link(testimony: Testimony) -> None:
    item = recording_of(testimony)
    link = testimony.recordings.get()
    investigator = factories.make_user(Role.INVESTIGATOR, testimony.compartment)
    with pytest.raises(Refused):
        actions.unlink_recording(by=investigator, at=timezone.now(), recording_id=link.id, reason="The wrong file.")
    assert asked(item).reasons == ("W-0001: no consent is recorded.",)
    officer = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    actions.unlink_recording(by=officer, at=timezone.now(), recording_id=link.id, reason="The wrong file.")
    assert asked(item).allowed


def test_a_described_kind_does_not_widen_what_the_bytes_are(testimony: Testimony) -> None:
    factories.make_consent(testimony.witness, recording_media=["written"], identity_level="anonymous")
    item = recording_of(testimony, "video")
    by = factories.make_user(Role.INVESTIGATOR, testimony.compartment)
    item = describe_item(by=by, at=timezone.now(), accession=item.accession, changes={"kind": "document"})
    assert asked(item).reasons == (
        "W-0001: only anonymous use was agreed to, and this recording shows a face or a voice.",
    )


@pytest.mark.parametrize(
    ("agreed", "kind", "media_type", "allowed", "reason"),
    [
        (["written"], "document", "video/mp4", False, "Video recording"),
        (["video"], "document", "video/mp4", False, "In writing"),
        (["written", "video"], "document", "video/mp4", True, ""),
        (["written"], "text", "image/png", False, "Photographs"),
        (["written"], "document", "audio/x-wav", False, "Sound recording"),
        (["written"], "document", "application/vnd.rn-realmedia", False, "not known yet what this item is"),
        (["written"], "document", "application/octet-stream", False, "not known yet what this item is"),
        (["written"], "document", None, False, "has not been examined yet"),
        (["written"], "text", "text/x-csv", True, ""),
        (["written"], "document", "application/vnd.oasis.opendocument.text", True, ""),
        (["audio"], "audio", "audio/ogg", True, ""),
    ],
)
def test_consent_must_carry_both_the_bytes_and_the_kind(
    testimony: Testimony, agreed: list[str], kind: str, media_type: str | None, allowed: bool, reason: str
) -> None:
    factories.make_consent(testimony.witness, recording_media=agreed)
    decision = asked(recording_of(testimony, kind, media_type=media_type))
    assert decision.allowed is allowed
    assert reason in decision.reasons[0]


def test_a_recording_whose_identifiers_disagree_goes_nowhere(testimony: Testimony) -> None:
    factories.make_consent(testimony.witness)
    item = recording_of(testimony, media_type=None)
    item = record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic="video/mp4",
        libmagic="application/pdf",
        claims=None,
        problem="",
    )
    assert asked(item).reasons == (
        "W-0001: two identifiers disagree about what this item is, so it cannot be given on.",
    )


def test_a_signed_consent_form_never_leaves(testimony: Testimony) -> None:
    form = make_item(testimony.compartment, "document", b"the signed form")
    factories.make_consent(testimony.witness, form_accession=form.accession.lower())
    assert not asked(form).allowed
    assert not asked(make_item(testimony.compartment, "document", b"the signed form")).allowed


def test_a_written_testimony_is_asked_for_like_a_written_item(testimony: Testimony) -> None:
    now = timezone.now() + timedelta(seconds=1)
    question: dict[str, Any] = COURT
    assert not covers_testimony(testimony, **question, at=now).allowed
    factories.make_consent(testimony.witness, recording_media=["written"])
    assert covers_testimony(testimony, **question, at=timezone.now()).allowed


def test_a_purpose_that_is_none_is_a_mistake_of_the_program(testimony: Testimony) -> None:
    with pytest.raises(ValueError, match="anything"):
        asked(recording_of(testimony), purpose="anything")


@pytest.mark.parametrize(
    ("days", "withdrawn", "state"),
    [
        (None, False, ConsentState.IN_FORCE),
        (61, False, ConsentState.IN_FORCE),
        (60, False, ConsentState.EXPIRING),
        (1, False, ConsentState.EXPIRING),
        (0, False, ConsentState.EXPIRED),
        (-1, False, ConsentState.EXPIRED),
        (61, True, ConsentState.WITHDRAWN),
        (-1, True, ConsentState.WITHDRAWN),
    ],
)
def test_the_state_of_a_consent_at_one_moment(days: int | None, withdrawn: bool, state: ConsentState) -> None:
    now = timezone.now()
    expires = None if days is None else now + timedelta(days=days)
    assert state_of(Consent(expires_at=expires, withdrawn_at=now if withdrawn else None), now) == state


def test_without_any_consent_the_state_says_so() -> None:
    assert state_of(None, timezone.now()) == ConsentState.NONE

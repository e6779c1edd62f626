"""A consent's record is what the ledger recorded, to the column; whoever edits the row is told apart."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.utils import timezone as django_timezone

from accounts.models import Role
from tests import factories
from witnesses import actions
from witnesses.agreed import consent_faults
from witnesses.models import Consent

pytestmark = pytest.mark.django_db


def test_consents_as_they_were_given_and_withdrawn_raise_nothing() -> None:
    later = datetime.now(UTC).astimezone(timezone(timedelta(hours=3))) + timedelta(days=90)
    given = factories.make_consent(expires_at=later, named_recipients=["A court"], recontact=True)
    factories.make_consent(given.witness)
    officer = factories.make_user(Role.PROTECTION_OFFICER, given.witness.compartment)
    actions.withdraw_consent(by=officer, at=django_timezone.now(), consent_id=given.pk, reason="Asked by telephone.")
    assert list(consent_faults()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"purposes": ["documentation", "international_court", "media"]}, "purposes"),
        ({"identity_level": "full"}, "identity_level"),
        ({"expires_at": datetime(2099, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"recorded_at": datetime(2020, 1, 1, tzinfo=UTC)}, "recorded_at"),
        ({"withdrawn_at": datetime(2025, 5, 1, tzinfo=UTC)}, "withdrawal"),
    ],
)
def test_a_changed_column_is_named(changed: dict[str, Any], words: str) -> None:
    consent = factories.make_consent()
    Consent.objects.filter(pk=consent.pk).update(**changed)
    assert [(pk, words in what) for pk, what in consent_faults()] == [(consent.pk, True)]


def test_a_consent_that_is_moved_to_another_witness_or_deleted_is_told() -> None:
    consent = factories.make_consent()
    Consent.objects.filter(pk=consent.pk).update(witness=factories.make_witness(consent.witness.compartment))
    assert [what for _, what in consent_faults()] == ["the witness is not the one that was recorded"]
    Consent.objects.filter(pk=consent.pk).delete()
    assert [what for _, what in consent_faults()] == ["was recorded and is no longer there"]

"""Consent forms and recordings, when somebody asks that they be erased."""

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow
from custody.engine import opened
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from custody.vocabulary import Type
from tests import factories
from tests.evidence.test_erasure import asked, erased
from witnesses import actions, erasing
from witnesses.agreements import withdraw_consent

pytestmark = pytest.mark.django_db


def test_the_signed_form_of_a_consent_that_counts_stays_until_the_consent_is_withdrawn() -> None:
    witness = factories.make_witness()
    form = factories.make_item(witness.compartment)
    consent = factories.make_consent(witness, form_accession=form.accession)
    with pytest.raises(NotNow, match="signed form"):
        asked(form)
    withdraw_consent(by=consent.recorded_by, at=timezone.now(), consent_id=consent.pk, reason="asked by the witness")
    erased(form)


def test_a_recording_is_erased_and_the_testimony_still_tells_that_there_was_one() -> None:
    testimony = factories.make_testimony()
    item = factories.make_item(testimony.compartment)
    by = testimony.recorded_by
    link = actions.link_recording(by=by, at=timezone.now(), testimony_id=testimony.pk, accession=item.accession)
    officer = factories.make_user(Role.PROTECTION_OFFICER, testimony.compartment)
    assert testimony.number in next(iter(erasing.beyond(officer, [item])))
    archivist = factories.make_user(Role.ARCHIVIST, testimony.compartment)
    assert list(erasing.beyond(archivist, [item])) == []
    erased(item)
    drain()
    sign_head()
    link.refresh_from_db()
    assert link.withdrawn_at is None
    event = Event.objects.get(type=Type.LINK_RECORDING)
    assert "purpose" not in opened([event.id])[event.id]
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []

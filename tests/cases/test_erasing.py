"""What a court relies on is not erased; what was once an exhibit is, with reviewers' words and finished bundles."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from accounts.permissions import NotNow
from cases import actions, bundles
from cases.models import Bundle, Exhibit, Review
from custody.engine import opened
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from custody.vocabulary import Type
from evidence import erasure, store
from evidence.fixity import find
from evidence.models import Blob, Item
from evidence.vocabulary import FixityOutcome
from tests import factories
from tests.cases.makers import make_case, make_exhibit, ready_bundle
from tests.evidence.test_erasure import asked, erased

pytestmark = pytest.mark.django_db


def withdrawn(exhibit: Exhibit) -> Item:
    actions.withdraw_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, reason="canary of a withdrawal"
    )
    return exhibit.item


def test_an_exhibit_is_not_erased_and_the_refusal_names_it() -> None:
    exhibit = make_exhibit()
    with pytest.raises(NotNow, match=f"exhibit {exhibit.number} of case file {exhibit.case_file.code}"):
        asked(exhibit.item)


def test_an_item_that_became_an_exhibit_after_the_request_is_not_erased_either() -> None:
    item = factories.make_item()
    made = asked(item)
    exhibit = make_exhibit(case_file=make_case(item.compartment), item=item)
    with pytest.raises(NotNow, match=exhibit.number):
        erasure.approve_erasure(
            by=factories.make_user(Role.PROTECTION_OFFICER, item.compartment), at=timezone.now(), erasure_id=made.pk
        )


def test_an_item_in_a_bundle_that_is_being_built_waits() -> None:
    exhibit = make_exhibit()
    bundle = bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    item = withdrawn(exhibit)
    with pytest.raises(NotNow, match="being built"):
        asked(item)
    bundles.cancel_bundle(by=exhibit.added_by, at=timezone.now(), bundle_id=bundle.pk)
    asked(item)


def test_reviewers_words_and_finished_bundles_go_with_the_item() -> None:
    bundle = ready_bundle()
    exhibit = Exhibit.objects.get(case_file=bundle.case_file)
    actions.review_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, assessment="key", note="canary of a note"
    )
    assert bundle.blob is not None
    address, key = bundle.blob.address, bundle.blob.pk
    item = withdrawn(exhibit)
    drain()
    sign_head()
    erased(item)
    drain()
    sign_head()
    bundle.refresh_from_db()
    assert (bundle.state, bundle.blob_id, bundle.sha256) == ("destroyed", None, "")
    assert bundle.exhibits == [[exhibit.number, item.accession, ""]]
    assert not Blob.objects.filter(pk=key).exists()
    assert not store.path_of(address).exists()
    left = Exhibit.objects.get(pk=exhibit.pk)
    assert (left.relevance, left.notes, left.withdrawn_reason) == ("", "", "")
    assert Review.objects.get(exhibit=left).note == ""
    about = Event.objects.filter(type__in=[Type.EXHIBIT, Type.REVIEW, Type.PACKAGE])
    told = str([opened([event.id])[event.id] for event in about])
    assert "canary" not in told
    assert item.sha256 not in told
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []
    assert find(Item.objects.get(pk=item.pk)).outcome == FixityOutcome.ERASED


def test_the_pages_of_the_case_still_open_and_the_bundle_is_not_handed_out() -> None:
    bundle = ready_bundle()
    exhibit = Exhibit.objects.get(case_file=bundle.case_file)
    erased(withdrawn(exhibit))
    browser = factories.signed_in(exhibit.added_by)
    for url in (
        reverse("cases:case", args=[exhibit.case_file_id]),
        reverse("cases:exhibit", args=[exhibit.pk]),
        reverse("cases:bundle", args=[bundle.pk]),
    ):
        page = browser.get(url)
        assert page.status_code == 200, url
        assert "canary" not in page.content.decode()
    assert "An item in it was erased" in browser.get(reverse("cases:bundle", args=[bundle.pk])).content.decode()
    assert browser.post(reverse("cases:download_bundle", args=[bundle.pk])).status_code == 409


def test_an_erased_item_is_tendered_nowhere() -> None:
    item = factories.make_item()
    erased(item)
    case = make_case(item.compartment)
    with pytest.raises(NotNow, match="was erased"):
        make_exhibit(case_file=case, item=item)


def test_both_persons_are_told_what_left_the_archive() -> None:
    bundle = ready_bundle()
    exhibit = Exhibit.objects.get(case_file=bundle.case_file)
    bundles.download_bundle(by=exhibit.added_by, at=timezone.now(), bundle_id=bundle.pk)
    item = withdrawn(exhibit)
    browser = factories.signed_in(exhibit.added_by)
    page = browser.get(reverse("evidence:request_erasure", args=[item.accession])).content.decode()
    assert "left the archive on" in page
    assert bundle.case_file.recipient in page


def test_another_item_of_the_same_bundle_stays_whole() -> None:
    exhibit = make_exhibit()
    other = make_exhibit(case_file=exhibit.case_file)
    bundle = bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    bundles.cancel_bundle(by=exhibit.added_by, at=timezone.now(), bundle_id=bundle.pk)
    erased(withdrawn(exhibit))
    drain()
    sign_head()
    assert find(Item.objects.get(pk=other.item_id)).outcome == FixityOutcome.OK
    bundle = Bundle.objects.get(pk=bundle.pk)
    assert [row[2] != "" for row in bundle.exhibits] == [False, True]
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []


def test_an_item_of_a_finished_bundle_is_verified_like_any_other() -> None:
    bundle = ready_bundle()
    drain()
    sign_head()
    exhibit = Exhibit.objects.get(case_file=bundle.case_file)
    assert find(Item.objects.get(pk=exhibit.item_id)).outcome == FixityOutcome.OK

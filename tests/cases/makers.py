"""Makers for case files, exhibits and bundles."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from accounts.models import Compartment, Role, User
from cases import actions, bundles
from cases.models import Bundle, CaseFile, Exhibit
from evidence import blobs
from evidence.models import Item
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument

CASE = {
    "title": "Killings in two villages",
    "forum": "universal",
    "purpose": "domestic_prosecution",
    "recipient_kind": "foreign_authority",
    "recipient": "A public prosecutor",
    "summary": "",
}
EXHIBIT = {"category": "crime_base", "relevance": "Shows the square in the afternoon.", "notes": ""}


def reviewer(compartment: Compartment) -> User:
    return factories.make_user(Role.LEGAL_REVIEWER, compartment)


@instance_of(CaseFile)
def make_case(compartment: Compartment | None = None, person: User | None = None, **fields: Any) -> CaseFile:
    """An open case file of a reviewer of the compartment."""
    compartment = compartment or factories.make_compartment()
    return actions.open_case(
        by=reviewer(compartment), at=timezone.now(), compartment_id=compartment.pk, fields=CASE | fields
    )


@instance_of(Exhibit)
def make_exhibit(
    compartment: Compartment | None = None,
    person: User | None = None,
    *,
    case_file: CaseFile | None = None,
    item: Item | None = None,
    **fields: Any,
) -> Exhibit:
    """A new item, tendered in a case file of its compartment."""
    case_file = case_file or make_case(compartment)
    item = item or factories.make_item(case_file.compartment)
    return actions.add_exhibit(
        by=case_file.opened_by,
        at=timezone.now(),
        case_id=case_file.pk,
        accession=item.accession,
        fields=EXHIBIT | fields,
    )


@instance_of(Bundle)
def make_bundle(compartment: Compartment | None = None, person: User | None = None) -> Bundle:
    """A bundle that waits for its worker."""
    exhibit = make_exhibit(compartment)
    return bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)


@url_argument("case_id")
@url_argument("api-case-detail:pk")
@url_argument("api-case-set-status:pk")
def case_id(compartment: Compartment, person: User) -> Any:
    return make_case(compartment).pk


@url_argument("exhibit_id")
@url_argument("api-exhibit-detail:pk")
@url_argument("api-exhibit-withdraw:pk")
@url_argument("api-exhibit-reviews:pk")
def exhibit_id(compartment: Compartment, person: User) -> Any:
    return make_exhibit(compartment).pk


@url_argument("bundle_id")
@url_argument("api-bundle-detail:pk")
@url_argument("api-bundle-cancel:pk")
@url_argument("api-bundle-download:pk")
def bundle_id(compartment: Compartment, person: User) -> Any:
    return make_bundle(compartment).pk


def zipped() -> blobs.Received:
    """Bytes in the place of a finished bundle's."""
    return blobs.receive([b"PK\x05\x06" + bytes(18)])


def ready_bundle(compartment: Compartment | None = None) -> Bundle:
    """A bundle a worker has finished."""
    bundle = make_bundle(compartment)
    bundles.begin_bundle(bundle_id=bundle.pk)
    return bundles.finish_bundle(at=timezone.now(), bundle_id=bundle.pk, received=zipped(), digest="0" * 64)


@action_of(actions.open_case)
def _open_case() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    by = reviewer(compartment)
    return lambda: actions.open_case(by=by, at=timezone.now(), compartment_id=compartment.pk, fields=CASE)


@action_of(actions.edit_case)
def _edit_case() -> Callable[[], Any]:
    case = make_case()
    return lambda: actions.edit_case(by=case.opened_by, at=timezone.now(), case_id=case.pk, changes={"title": "Other"})


@action_of(actions.set_case_status)
def _set_status() -> Callable[[], Any]:
    case = make_case()
    return lambda: actions.set_case_status(
        by=case.opened_by, at=timezone.now(), case_id=case.pk, status="closed", reason="judgment"
    )


@action_of(actions.read_case)
def _read_case() -> Callable[[], Any]:
    case = make_case()
    return lambda: actions.read_case(by=case.opened_by, at=timezone.now(), case_id=case.pk)


@action_of(actions.read_exhibit)
def _read_exhibit() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: actions.read_exhibit(by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk)


@action_of(actions.add_exhibit)
def _add_exhibit() -> Callable[[], Any]:
    case = make_case()
    item = factories.make_item(case.compartment)
    return lambda: make_exhibit(case_file=case, item=item)


@action_of(actions.edit_exhibit)
def _edit_exhibit() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: actions.edit_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, changes={"category": "exculpatory"}
    )


@action_of(actions.withdraw_exhibit)
def _withdraw() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: actions.withdraw_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, reason="tendered twice"
    )


@action_of(actions.review_exhibit)
def _review() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: actions.review_exhibit(
        by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, assessment="key", note="Two sources agree."
    )


@action_of(bundles.request_bundle)
def _request() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)


@action_of(bundles.export_outside)
def _export() -> Callable[[], Any]:
    exhibit = make_exhibit()
    return lambda: bundles.export_outside(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)


@action_of(bundles.finish_bundle)
def _finish() -> Callable[[], Any]:
    bundle, received = make_bundle(), zipped()
    bundles.begin_bundle(bundle_id=bundle.pk)
    return lambda: bundles.finish_bundle(at=timezone.now(), bundle_id=bundle.pk, received=received, digest="0" * 64)


@action_of(bundles.fail_bundle)
def _fail() -> Callable[[], Any]:
    bundle = make_bundle()
    return lambda: bundles.fail_bundle(at=timezone.now(), bundle_id=bundle.pk, problem="no room")


@action_of(bundles.cancel_bundle)
def _cancel() -> Callable[[], Any]:
    bundle = make_bundle()
    return lambda: bundles.cancel_bundle(by=bundle.requested_by, at=timezone.now(), bundle_id=bundle.pk)


@action_of(bundles.download_bundle)
def _download() -> Callable[[], Any]:
    bundle = ready_bundle()
    return lambda: bundles.download_bundle(by=bundle.requested_by, at=timezone.now(), bundle_id=bundle.pk)

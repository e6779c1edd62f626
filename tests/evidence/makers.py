"""Makers for items, their derivatives and checks."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.utils import timezone
from PIL import Image

from accounts.models import Compartment, Role, User
from custody.sequencer import drain
from custody.signer import sign_head
from evidence import actions, blobs, erasure, fixity, replication
from evidence.models import Derivative, Erasure, FixityCheck, Item, WantedCopy
from tests import factories
from tests.architecture.makers import action_of, instance_of, url_argument


def photograph(shade: int = 120, size: tuple[int, int] = (64, 48)) -> bytes:
    """A small real JPEG."""
    made = BytesIO()
    Image.new("RGB", size, (shade, 80, 40)).save(made, "JPEG")
    return made.getvalue()


def preview() -> tuple[blobs.Received, str, str]:
    made = BytesIO()
    Image.new("RGB", (32, 24), (10, 20, 30)).save(made, "WEBP")
    return blobs.receive([made.getvalue()]), "image/webp", "a test"


def examined(item: Item, *, claims: dict[str, str] | None = None) -> Item:
    """The item as after an examination that found a JPEG, claims and a preview."""
    return actions.record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic="image/jpeg",
        libmagic="image/jpeg",
        claims=claims or {"make": "Phone Works", "gps_latitude": "35.182400", "gps_longitude": "35.940500"},
        problem="",
        preview=preview(),
    )


@instance_of(Item)
def item_there(compartment: Compartment, person: User) -> Item:
    return factories.make_item(compartment)


@instance_of(Derivative)
def preview_there(compartment: Compartment, person: User) -> Derivative:
    return Derivative.objects.get(item=examined(factories.make_item(compartment, data=photograph())))


@instance_of(FixityCheck)
def check_there(compartment: Compartment, person: User) -> FixityCheck:
    item = factories.make_item(compartment)
    return actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)


def ask(compartment: Compartment | None = None) -> Erasure:
    """A request of an archivist, under a signed head, that waits for a second person."""
    item = factories.make_item(compartment)
    by = factories.make_user(Role.ARCHIVIST, item.compartment)
    made = erasure.request_erasure(
        by=by, at=timezone.now(), accession=item.accession, ground="person", reason="The family asks for it."
    )
    drain()
    sign_head()
    return made


@instance_of(Erasure)
def erasure_there(compartment: Compartment, person: User) -> Erasure:
    return ask(compartment)


@url_argument("erasure_id")
@url_argument("erasure-detail:pk")
@url_argument("erasure-approve:pk")
@url_argument("erasure-refuse:pk")
@url_argument("erasure-withdraw:pk")
def erasure_id(compartment: Compartment, person: User) -> Any:
    return ask(compartment).pk


@action_of(erasure.request_erasure)
def asking_for_an_erasure() -> Callable[[], Any]:
    item = factories.make_item()
    by = factories.make_user(Role.ARCHIVIST, item.compartment)
    return lambda: erasure.request_erasure(
        by=by, at=timezone.now(), accession=item.accession, ground="person", reason="The family asks for it."
    )


@action_of(erasure.withdraw_erasure)
def withdrawing_an_erasure() -> Callable[[], Any]:
    made = ask()
    return lambda: erasure.withdraw_erasure(by=made.requested_by, at=timezone.now(), erasure_id=made.pk)


@action_of(erasure.refuse_erasure)
def refusing_an_erasure() -> Callable[[], Any]:
    made = ask()
    by = factories.make_user(Role.LEGAL_REVIEWER, made.item.compartment)
    return lambda: erasure.refuse_erasure(by=by, at=timezone.now(), erasure_id=made.pk, reason="A court needs it.")


@action_of(erasure.approve_erasure)
def approving_an_erasure() -> Callable[[], Any]:
    made = ask()
    by = factories.make_user(Role.LEGAL_REVIEWER, made.item.compartment)
    return lambda: erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=made.pk)


@action_of(erasure.finish_erasure)
def finishing_an_erasure() -> Callable[[], Any]:
    made = ask()
    by = factories.make_user(Role.LEGAL_REVIEWER, made.item.compartment)
    erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=made.pk)
    return lambda: erasure.finish_erasure(at=timezone.now(), erasure_id=made.pk)


@url_argument("accession")
def accession(compartment: Compartment, person: User) -> str:
    return factories.make_item(compartment, title="Street at noon").accession


@action_of(actions.receive_item)
def receiving() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    received = blobs.receive([b"a field note"])
    return lambda: actions.receive_item(
        by=by, at=timezone.now(), compartment_id=compartment.pk, received=received, original_name="note.txt"
    )


@action_of(actions.describe_item)
def describing() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.describe_item(
        by=item.received_by, at=timezone.now(), accession=item.accession, changes={"title": "Courtyard"}
    )


@action_of(actions.describe_items)
def describing_several() -> Callable[[], Any]:
    compartment = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    accessions = [factories.make_item(compartment, by=by).accession for _ in range(2)]
    return lambda: actions.describe_items(by=by, at=timezone.now(), accessions=accessions, changes={"language": "ar"})


@action_of(actions.place_from_device)
def taking_a_place_over() -> Callable[[], Any]:
    item = examined(factories.make_item(data=photograph()))
    return lambda: actions.place_from_device(
        by=item.received_by, at=timezone.now(), accession=item.accession, precision="vicinity"
    )


@action_of(actions.open_record)
def opening_a_record() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.open_record(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.open_receipt)
def opening_a_receipt() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.open_receipt(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.open_content)
def opening_content() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.open_content(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.open_text)
def opening_text() -> Callable[[], Any]:
    item = factories.make_item()
    actions.record_examination(
        at=timezone.now(), item_id=item.pk, puremagic="", libmagic="text/plain", claims=None, problem=""
    )
    return lambda: actions.open_text(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.open_preview)
def opening_a_preview() -> Callable[[], Any]:
    item = examined(factories.make_item(data=photograph()))
    return lambda: actions.open_preview(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.download_item)
def downloading() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.download_item(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.verify_item)
def verifying() -> Callable[[], Any]:
    item = factories.make_item()
    return lambda: actions.verify_item(by=item.received_by, at=timezone.now(), accession=item.accession)


@action_of(actions.record_finding)
def recording_a_finding() -> Callable[[], Any]:
    item = factories.make_item()
    finding = fixity.find(item)
    return lambda: actions.record_finding(
        by=item.received_by, at=timezone.now(), accession=item.accession, finding=finding
    )


@action_of(actions.record_system_finding)
def recording_a_finding_of_its_own() -> Callable[[], Any]:
    item = factories.make_item()
    finding = fixity.find(item)
    return lambda: actions.record_system_finding(at=timezone.now(), item_id=item.pk, finding=finding)


@action_of(replication.record_copy)
def recording_a_copy() -> Callable[[], Any]:
    item = factories.make_item()
    want = WantedCopy.objects.create(
        address=item.blob.address, store="far", reason="late", next_try_at=timezone.now(), started=True
    )
    return lambda: replication.record_copy(at=timezone.now(), want_id=want.pk, source="near", aside="")


@action_of(erasure.postpone_erasure)
def postponing_an_erasure() -> Callable[[], Any]:
    made = ask()
    by = factories.make_user(Role.LEGAL_REVIEWER, made.item.compartment)
    erasure.approve_erasure(by=by, at=timezone.now(), erasure_id=made.pk)
    return lambda: erasure.postpone_erasure(at=timezone.now(), erasure_id=made.pk, until=None)


@action_of(actions.record_examination)
def recording_an_examination() -> Callable[[], Any]:
    item, made = factories.make_item(data=photograph()), preview()
    return lambda: actions.record_examination(
        at=timezone.now(),
        item_id=item.pk,
        puremagic="image/jpeg",
        libmagic="image/jpeg",
        claims={"make": "Phone Works"},
        problem="",
        preview=made,
    )

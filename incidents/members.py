"""What came out of what: an item's container, and the path inside it."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from custody import seal
from custody.engine import Subject, acting, record
from custody.vocabulary import Type
from evidence.models import Item
from evidence.standing import standing
from incidents.models import Member
from incidents.shapes import shown_name


@dataclass(frozen=True)
class OutOf:
    """Where an item comes from: the container, an item already, and the path inside."""

    container: Item
    path: str


def record_member(*, by: User, at: datetime, item: Item, out_of: OutOf) -> Member:
    """Record that an item came out of another of its compartment. Once: what it came out of never changes.

    The event is of both; its values are the member's, and what they say of the container is destroyed with either.
    Raises NotVisible, Refused, ValidationError.
    """
    with acting():
        container = standing(by, "item.view_content", lock=True, pk=out_of.container.pk)
        item = standing(by, "item.view_content", lock=True, pk=item.pk)
        if item.compartment_id != container.compartment_id or item.pk == container.pk:
            raise ValidationError({"container": _("An item and its container lie in one compartment.")})
        member = Member(item=item, container=container)
        member.sealed_path = seal.seal(item.id, "member_path", out_of.path.encode())
        member.save(force_insert=True)
        record(
            Type.UNPACK,
            by=by,
            at=at,
            compartment=item.compartment_id,
            subjects=[Subject("item", item.id), Subject("item", container.id)],
            fields={
                "object": {"accession": item.accession, "sha256": item.sha256},
                "container": {"accession": container.accession, "sha256": container.sha256},
                "original_name": shown_name(out_of.path),
            },
        )
        return member

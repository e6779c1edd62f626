"""Fetching an item that was not erased, and holding it: an item is not erased while somebody attaches words to it.

Whoever attaches something to an item, or records words or digests of it, locks its row in the same act, and asks again
under the lock whether it still stands. An erasure (evidence.erasure) locks the same rows first and asks what is
attached only then. So of an act and an erasure one is over before the other looks.

Locks are always taken in this order, so that no two acts wait for each other:
1. an erasure's request, or the counter of a compartment's accession numbers;
2. a case file, an incident, a witness, a testimony, a verification run;
3. items, by accession number;
4. what hangs on an item: exhibits, bundles, links, intakes.
"""

from collections.abc import Collection
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotNow, Refused, require
from evidence.models import Item


def standing(by: User, permission: str, *, lock: bool = False, **lookup: object) -> Item:
    """Fetch an item that was not erased. Raises NotVisible, Refused, and NotNow where only the tombstone is left."""
    try:
        return require(by, permission, Item.objects.select_related("blob"), lock=lock, **lookup)
    except Refused as refused:
        if isinstance(refused.obj, Item) and refused.obj.erased_at is not None:
            raise _erased() from None
        raise


def hold(items: Collection[UUID]) -> None:
    """Lock the rows of these items until the act is over. Raises NotNow when one of them was erased."""
    rows = Item.objects.filter(pk__in=items).order_by("accession").select_for_update(of=("self",))
    if any(erased_at is not None for erased_at in rows.values_list("erased_at", flat=True)):
        raise _erased()


def _erased() -> NotNow:
    return NotNow(_("This item was erased. Its page says when, and on what ground."))

"""Who may do what with items."""

from typing import Any

from django.db.models import Q

from accounts.models import Role
from accounts.permissions import rule
from evidence.models import Derivative, Erasure, FixityCheck, Item

SEES_CONTENT = [Role.INVESTIGATOR, Role.ARCHIVIST, Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER]

DECIDES_ERASURE = [Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER]
ASKS_FOR_ERASURE = [Role.ARCHIVIST, *DECIDES_ERASURE]


def _stands(user: Any) -> Q:
    """Of an erased item nothing is left to read, change or hand out, by whatever path it is asked for."""
    return Q(erased_at__isnull=True)


#: That an item exists, or existed: its accession number, custody. An auditor sees this and nothing of the content.
rule("item.view", Item, roles=[*SEES_CONTENT, Role.AUDITOR])
rule("item.view_content", Item, roles=SEES_CONTENT, where=_stands)
rule("item.download", Item, roles=[Role.INVESTIGATOR, Role.LEGAL_REVIEWER], where=_stands)
rule("item.receive", Item, roles=[Role.INVESTIGATOR, Role.ARCHIVIST])
rule("item.describe", Item, roles=[Role.INVESTIGATOR, Role.ARCHIVIST], where=_stands)
rule("item.verify", Item, roles=[Role.AUDITOR, Role.ARCHIVIST, Role.INVESTIGATOR, Role.LEGAL_REVIEWER])
rule("item.request_erasure", Item, roles=ASKS_FOR_ERASURE, where=_stands)
rule("derivative.view", Derivative, roles=SEES_CONTENT, path="item__compartment")
rule("fixitycheck.view", FixityCheck, roles=[*SEES_CONTENT, Role.AUDITOR], path="item__compartment")

rule("erasure.view", Erasure, roles=ASKS_FOR_ERASURE, path="item__compartment")
rule(
    "erasure.withdraw",
    Erasure,
    roles=ASKS_FOR_ERASURE,
    path="item__compartment",
    where=lambda user: Q(requested_by=user),
)
#: Two persons: nobody decides on a request of their own.
rule(
    "erasure.decide", Erasure, roles=DECIDES_ERASURE, path="item__compartment", where=lambda user: ~Q(requested_by=user)
)

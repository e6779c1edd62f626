"""Who may do what with items."""

from accounts.models import Role
from accounts.permissions import rule
from evidence.models import Derivative, FixityCheck, Item

SEES_CONTENT = [Role.INVESTIGATOR, Role.ARCHIVIST, Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER]

#: That an item exists: its accession number, digests, custody. An auditor sees this and nothing of the content.
rule("item.view", Item, roles=[*SEES_CONTENT, Role.AUDITOR])
rule("item.view_content", Item, roles=SEES_CONTENT)
rule("item.download", Item, roles=[Role.INVESTIGATOR, Role.LEGAL_REVIEWER])
rule("item.receive", Item, roles=[Role.INVESTIGATOR, Role.ARCHIVIST])
rule("item.describe", Item, roles=[Role.INVESTIGATOR, Role.ARCHIVIST])
rule("item.verify", Item, roles=[Role.AUDITOR, Role.ARCHIVIST, Role.INVESTIGATOR, Role.LEGAL_REVIEWER])
rule("derivative.view", Derivative, roles=SEES_CONTENT, path="item__compartment")
rule("fixitycheck.view", FixityCheck, roles=[*SEES_CONTENT, Role.AUDITOR], path="item__compartment")

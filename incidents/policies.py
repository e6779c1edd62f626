"""Who may do what with incidents, links, claims and intakes. An auditor sees none of them: titles are content."""

from typing import Any

from django.db.models import Q

from accounts.models import Role
from accounts.permissions import rule
from incidents.models import Claim, Incident, Intake, Link, Member, Upload

SEES_INCIDENTS = [Role.INVESTIGATOR, Role.ARCHIVIST, Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER]
RECEIVES = [Role.INVESTIGATOR, Role.ARCHIVIST]

rule("incident.view", Incident, roles=SEES_INCIDENTS)
rule("incident.open", Incident, roles=[Role.INVESTIGATOR])
rule("incident.edit", Incident, roles=[Role.INVESTIGATOR])
rule("incident.change_status", Incident, roles=[Role.INVESTIGATOR])
rule("incident.receive", Incident, roles=RECEIVES)
rule("incident.link", Incident, roles=RECEIVES)
rule("incident.claim", Incident, roles=[Role.INVESTIGATOR])

rule("link.view", Link, roles=SEES_INCIDENTS, path="incident__compartment")
rule("link.change", Link, roles=[Role.INVESTIGATOR], path="incident__compartment")
rule("link.withdraw", Link, roles=[Role.INVESTIGATOR], path="incident__compartment")

rule("claim.view", Claim, roles=SEES_INCIDENTS, path="incident__compartment")
rule("claim.withdraw", Claim, roles=[Role.INVESTIGATOR], path="incident__compartment")

# One's own, as long as one still receives items there.
rule("intake.view", Intake, roles=RECEIVES, where=lambda user: Q(by=user))
rule("upload.view", Upload, roles=RECEIVES, path="intake__compartment", where=lambda user: Q(by=user))


def _stands(user: Any) -> Q:
    return Q(item__erased_at__isnull=True)


# What came out of what, with the path inside, which is as protected as an original name.
rule("member.view", Member, roles=SEES_INCIDENTS, path="item__compartment", where=_stands)

"""Who sees the audit desk, and what of it. Nobody sees content here: accession numbers, digests, agents and acts."""

from django.db.models import Exists, Q

import evidence.policies  # noqa: F401  its rules are looked up below
from accounts.models import Grant, Role, User
from accounts.permissions import rule, rules
from custody.models import Checkpoint, Event
from verification.models import Run, RunResult, Schedule

#: Whoever verifies items has the desk for the compartments in which they do. Administrators do not.
VERIFIERS = frozenset(rules()["item.verify"].roles or ())
SEE_ITEMS = frozenset(rules()["item.view"].roles or ())


def _own_or_audited(user: User) -> Q:
    """The runs one asked for, and as an auditor those of one's compartments."""
    audits = Grant.objects.in_force().filter(user=user, role=Role.AUDITOR)
    return (
        Q(requested_by=user)
        | Q(Exists(audits.filter(compartment__isnull=True)))
        | Q(compartment_id__in=audits.filter(compartment__isnull=False).values("compartment_id"))
    )


rule("run.view", Run, roles=VERIFIERS, path=None, where=_own_or_audited)
rule("run.cancel", Run, roles=VERIFIERS, path=None, where=_own_or_audited)
rule("runresult.view", RunResult, roles=SEE_ITEMS, path="item__compartment")

rule("checkpoint.view", Checkpoint, roles=VERIFIERS, path=None)
# The whole ledger is checked, and trails are read, by auditors alone.
rule("checkpoint.verify", Checkpoint, roles=[Role.AUDITOR], path=None)
rule("trail.view", Event, roles=[Role.AUDITOR])
# The exact bytes of an entry hold no value in the clear: whoever verifies items may prove their events.
rule("entry.view", Event, roles=VERIFIERS)

# When the bytes of a compartment are read again, its archivists say; everybody who verifies sees it.
rule("schedule.view", Schedule, roles=VERIFIERS)
rule("schedule.set", Schedule, roles=[Role.ARCHIVIST])

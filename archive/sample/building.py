"""Making the sample archive.

1. The bytes are made and stored first. Should this be killed, no record names them and the reconciler removes them.
2. Everything else up to the hand-out of passwords is one act, one transaction: an archive has all of it or nothing.
   The credentials are written as its last step, so whoever finds people also finds their passwords.
3. The auditor verifies after that, once the ledger is sequenced and signed. Killed before it is over, it goes on when
   asked again.
"""

import time
from collections.abc import Callable
from pathlib import Path

from django.utils import timezone

from accounts.models import User
from archive.sample.case import open_cases
from archive.sample.claims import record_claims
from archive.sample.incidents import open_incidents, settle
from archive.sample.items import correct, examine, receive_items, store_pieces
from archive.sample.people import CODE, gather, hand_out
from archive.sample.testimonies import VOICES, take_testimonies, withdraw_the_third
from custody import sequencer, signer
from custody.engine import acting
from evidence.models import Item
from verification.actions import request_run, work
from verification.models import Run
from verification.vocabulary import Scope

AUDITOR = "auditor"
LEFT_UNVERIFIED = 5  # every n-th item waits for its first verification
LONGEST_VERIFICATION = 120.0  # seconds

Say = Callable[[str], None]


def build(credentials: Path, say: Say) -> None:
    """Fill an empty archive and write the accounts to `credentials` (0600). Raises NotNow when anybody is there."""
    say("painting photographs, making sounds and papers")
    stored = store_pieces(lambda done, total: say(f"  {done} of {total} stored") if done % 10 == 0 else None)
    with acting():
        say("people, roles and the compartment")
        team = gather()
        say("incidents and published figures")
        incidents = open_incidents(team)
        record_claims(team, incidents["overview"])
        say("items and what they show")
        items = receive_items(team, incidents, stored)
        correct(team, items)
        settle(team, incidents)
        say("witnesses, testimonies and consent")
        _witnesses, consents = take_testimonies(team, items)
        say("case files")
        examine(items, [key for voice in VOICES for key in voice.recordings])
        open_cases(team, items)
        withdraw_the_third(team, consents)
        hand_out(team.accounts, credentials)


def audit(say: Say) -> None:
    """Sequence and sign the ledger, then let the auditor verify most items. Done once; asked again it goes on.

    Raises User.DoesNotExist in an archive that has not this sample's auditor.
    """
    auditor = User.objects.get(username=AUDITOR)
    sequencer.drain()
    signer.sign_head()
    run = Run.objects.filter(requested_by=auditor).order_by("requested_at").first()
    if run is None:
        items = Item.objects.filter(compartment__code=CODE).order_by("accession").values_list("accession", flat=True)
        selected = [accession for number, accession in enumerate(items, 1) if number % LEFT_UNVERIFIED]
        run = request_run(by=auditor, at=timezone.now(), scope=Scope.SELECTION, accessions=selected)
    say("the auditor verifies")
    work(run_id=run.pk, until=time.monotonic() + LONGEST_VERIFICATION)
    sequencer.drain()
    signer.sign_head()

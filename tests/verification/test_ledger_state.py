"""What the audit desk shows of the signer: its alarms by kind, heartbeat, scrub, and keys with the sizes they sign."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from custody import key_changes, ledger_keys, scrub
from custody.alarm import SCRUB, Kind, raise_alarm
from custody.engine import SYSTEM
from custody.sequencer import drain
from custody.signer import sign_head
from evidence.models import Item
from tests.factories import signed_in
from verification.alarms import MEANINGS

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(auditor: User, items: list[Item]) -> Client:
    return signed_in(auditor)


def shown(desk: Client) -> str:
    return desk.get(reverse("verification:desk")).content.decode()


@pytest.mark.parametrize("kind", list(Kind))
def test_an_alarm_says_its_kind_what_was_expected_and_found_and_what_to_do(desk: Client, kind: Kind) -> None:
    raise_alarm("entry 7 was changed", kind=kind, where="entry 7", expected="e" * 64, found="f" * 64, source=SCRUB)
    page = shown(desk)
    for part in ("entry 7 was changed", "e" * 64, "f" * 64, f"Kind: {kind.value}", 'role="alert"'):
        assert part in page
    assert str(MEANINGS[kind][0]) in page
    assert ("no new head is signed" in page) == (kind not in (Kind.VALUES, Kind.QUARANTINED))


def test_two_watchers_two_alarms(desk: Client) -> None:
    raise_alarm("the clock was set", kind=Kind.CLOCK)
    raise_alarm("entry 7 is missing", kind=Kind.MISSING, source=SCRUB)
    page = shown(desk)
    assert "the clock was set" in page
    assert "entry 7 is missing" in page


def test_heartbeat_and_scrubs_are_shown(desk: Client) -> None:
    page = shown(desk)
    assert "every 300 seconds" in page
    assert "on time" in page
    assert "none yet" in page
    scrub.scrub()
    scrub.scrub_values()
    page = shown(desk)
    assert "none yet" not in page
    for label in ("Last scrub", "Values compared"):
        assert label in page
    assert page.count("no fault") == 2


def test_a_desk_before_the_first_signature_has_no_key_and_no_error(auditor: User) -> None:
    client = signed_in(auditor)
    assert "No head is signed" in shown(client)
    assert client.get(reverse("verification:key")).status_code == 409


def test_after_a_rotation_both_keys_stand_there_with_the_sizes_they_sign(desk: Client) -> None:
    made = key_changes.make()
    event_id = key_changes.announce(made.vkey, by=SYSTEM, at=timezone.now())
    drain()
    sign_head()
    key_changes.begin(made.vkey, event_id)
    sign_head(force=True)
    old = ledger_keys.ledger_keys()[0]
    key_changes.stop(old.key_id)
    sign_head(force=True)
    page = shown(desk)
    for part in ("Keys of the ledger", old.key_id, made.key_id, "retired", "signs"):
        assert part in page

"""The scrub: the whole tree derived anew, in rests, from where it stopped; and a fault of it stops the signatures."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from custody import scrub, signer_state
from custody.alarm import BESIDE, EXIT_CODES, SCRUB, Kind, LedgerBroken, alarm_of, raise_alarm
from custody.leaves import leads_to
from custody.models import Checkpoint, Entry
from custody.sequencer import drain
from custody.signer import SignerRefused, leaves, memory, sign_head
from ledger.entry import leaf_hash
from tests.custody.ledgers import TILE_OF_THE_LEAVES, as_owner, happen, signed_ledger

pytestmark = pytest.mark.django_db
REFUSED = "UPDATE custody_event SET outcome = 'refused' WHERE id = (SELECT event_id FROM custody_entry WHERE index = 0)"


def broken() -> LedgerBroken:
    """What a scrub of the tree finds, which is the alarm and the reason that nothing is signed any more."""
    with pytest.raises(LedgerBroken) as found:
        scrub.scrub()
    alarm = alarm_of(SCRUB)
    assert alarm is not None
    assert (alarm.what, alarm.kind, alarm.where) == (str(found.value), found.value.kind, found.value.where)
    assert (alarm.expected, alarm.found) == (found.value.expected, found.value.found)
    happen()
    drain()
    with pytest.raises(SignerRefused) as refused:
        sign_head()
    assert (str(refused.value), refused.value.kind) == (str(found.value), found.value.kind)
    return found.value


def test_a_clean_scrub_tells_when_it_was_and_how_far_it_went() -> None:
    signed_ledger(300)
    assert scrub.last_result() is None
    result = scrub.scrub()
    assert result == scrub.last_result()
    assert (result.size, result.faults, result.clean) == (300, 0, True)
    assert result.began <= result.ended
    assert not scrub.due(result.ended + timedelta(seconds=settings.SANAD_SCRUB - 1))
    assert scrub.due(result.ended + timedelta(seconds=settings.SANAD_SCRUB))
    assert scrub.due(result.ended, scrub.VALUES)
    values = scrub.scrub_values()
    assert values == scrub.last_result(scrub.VALUES)
    assert (values.size, values.clean) == (300, True)
    assert not scrub.due(values.ended, scrub.VALUES)


def test_a_flipped_bit_in_an_entry_is_named_with_what_it_should_be() -> None:
    signed_ledger(300)
    was = bytes(Entry.objects.get(index=257).leaf_hash).hex()
    as_owner('UPDATE custody_entry SET entry = set_bit(entry, 77, 1 - get_bit(entry, 77)) WHERE "index" = 257')
    fault = broken()
    now = leaf_hash(bytes(Entry.objects.get(index=257).entry)).hex()
    assert (fault.kind, fault.where) == (Kind.DAMAGED, "entry 257")
    assert (fault.expected, fault.found) == (was, now)


def test_an_entry_rewritten_with_its_hash_and_its_tile_is_named_all_the_same() -> None:
    """By the signer's own list of hashes: nothing in the database tells any more."""
    signed_ledger(4)
    was = bytes(Entry.objects.get(index=1).leaf_hash).hex()
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 1""")
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")
    as_owner(TILE_OF_THE_LEAVES)
    fault = broken()
    assert (fault.kind, fault.where, fault.expected) == (Kind.REWRITTEN, "entry 1", was)
    assert fault.found == bytes(Entry.objects.get(index=1).leaf_hash).hex()


def test_an_entry_that_is_missing_under_a_signed_head_is_named() -> None:
    signed_ledger(4)
    as_owner('DELETE FROM custody_entry WHERE "index" = 1')
    fault = broken()
    assert (fault.kind, fault.where) == (Kind.MISSING, "entry 1")


def test_a_flipped_bit_in_a_tile_is_named_with_its_entry() -> None:
    signed_ledger(300)
    bit = "set_bit(hashes, 8000, 1 - get_bit(hashes, 8000))"
    as_owner(f"UPDATE custody_tile SET hashes = {bit} WHERE level = 0 AND index = 0")
    fault = broken()
    assert (fault.kind, fault.where) == (Kind.DAMAGED, "tile 0/0")
    assert "entry 31" in str(fault)
    assert fault.expected == bytes(Entry.objects.get(index=31).leaf_hash).hex()


def test_a_head_taken_out_of_the_middle_is_a_rewritten_past() -> None:
    for _ in range(4):
        signed_ledger(1)
    as_owner("DELETE FROM custody_checkpoint WHERE number = 2")
    fault = broken()
    assert (fault.kind, fault.where) == (Kind.REWRITTEN, "checkpoint 3")


def test_an_older_copy_of_the_database_with_all_its_heads_is_told_as_going_backwards() -> None:
    signed_ledger(3)
    signed_ledger(2)
    as_owner('DELETE FROM custody_entry WHERE "index" >= 3')
    with pytest.raises(SignerRefused) as fault:
        scrub.scrub()
    assert (fault.value.kind, fault.value.where) == (Kind.WENT_BACKWARDS, "entries 3 to 4")


def test_a_changed_value_raises_the_alarm_and_signatures_go_on() -> None:
    signed_ledger(3)
    as_owner(REFUSED)
    assert scrub.scrub().clean
    result = scrub.scrub_values()
    assert (result.faults, result.first) == (1, ("entry 0: its event row was changed: outcome",))
    assert alarm_of(SCRUB) is None
    alarm = alarm_of(BESIDE)
    assert alarm is not None
    assert (alarm.kind, alarm.where) == (Kind.VALUES, "entry 0")
    assert signed_ledger(1).size == 4


def test_a_repaired_tree_is_signed_again_only_after_a_whole_clean_scrub() -> None:
    signed_ledger(3)
    as_owner('UPDATE custody_entry SET leaf_hash = sha256(leaf_hash) WHERE "index" = 1')
    broken()
    as_owner("UPDATE custody_entry SET leaf_hash = sha256('\\x00'::bytea || entry)")
    with pytest.raises(SignerRefused):
        sign_head()
    assert scrub.scrub().clean
    assert alarm_of(SCRUB) is None
    head = sign_head()
    assert head is not None
    assert head.size == 4


def test_it_goes_on_where_it_was_stopped_and_finds_what_is_on_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "KEEP_EVERY", 0.0)
    signed_ledger(1000)
    as_owner(REFUSED)
    rests: list[float] = []

    def stop_soon(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 2:
            raise scrub.Stopped

    with pytest.raises(scrub.Stopped):
        scrub.scrub_values(pause=stop_soon)
    place = json.loads((settings.SANAD_SIGNER / "scrub-values.json").read_text())["pass"]["place"]
    assert place == 512
    signed_ledger(5)
    steps: list[float] = []
    result = scrub.scrub_values(pause=steps.append)
    assert len(steps) == 2, "(512, 768] and (768, 1000]"
    assert (result.size, result.first) == (1000, ("entry 0: its event row was changed: outcome",))
    assert not (settings.SANAD_SIGNER / "scrub-values.json").exists()
    assert memory() is not None


def test_a_pass_taken_up_again_notices_a_change_ahead_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "KEEP_EVERY", 0.0)
    signed_ledger(600)

    def stop(seconds: float) -> None:
        raise scrub.Stopped

    with pytest.raises(scrub.Stopped):
        scrub.scrub(pause=stop)
    with pytest.raises(scrub.Stopped):
        scrub.scrub(pause=stop)
    as_owner("""UPDATE custody_entry SET entry = overlay(entry placing 'x'::bytea from 20) WHERE "index" = 599""")
    assert broken().where == "entry 599"


def test_damaged_progress_means_that_it_begins_anew() -> None:
    signed_ledger(3)
    (settings.SANAD_SIGNER / "scrub-tree.json").write_text('{"pass": {}}')
    assert scrub.scrub().size == 3


def test_without_the_archives_key_it_still_derives_the_whole_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another host the signer has no key to the values, and makes none."""
    signed_ledger(3)
    monkeypatch.setattr(settings, "SANAD_KEY_FOLDER", settings.SANAD_KEYS / "elsewhere")
    call_command("signer", once=True)
    assert not scrub.due(datetime.now(UTC), scrub.VALUES)
    assert scrub.last_result(scrub.VALUES) is None
    assert not settings.SANAD_KEY_FOLDER.exists()
    as_owner('UPDATE custody_entry SET leaf_hash = sha256(leaf_hash) WHERE "index" = 1')
    assert broken().where == "entry 1"


def test_a_lost_list_of_hashes_is_built_anew_from_a_ledger_that_is_what_was_signed() -> None:
    signed_ledger(300)
    leaves().path.unlink()
    assert scrub.scrub().clean
    remembered = memory()
    assert remembered is not None
    assert leads_to(leaves(), remembered.size, remembered.root)


def test_once_scrubs_signs_and_ends_with_the_code_of_what_it_found() -> None:
    happen()
    drain()
    call_command("signer", once=True)
    assert Checkpoint.objects.get().size == 1
    as_owner("DELETE FROM custody_tile")
    with pytest.raises(CommandError) as refused:
        call_command("signer", once=True)
    assert refused.value.returncode == EXIT_CODES[Kind.DAMAGED]


def test_the_alarm_keeps_its_first_time_and_ends_when_the_same_watcher_finds_all_well() -> None:
    raise_alarm("something is wrong", source=SCRUB)
    first = alarm_of(SCRUB)
    raise_alarm("something is wrong", source=SCRUB)
    assert alarm_of(SCRUB) == first
    signed_ledger(1)
    assert alarm_of(SCRUB) == first
    scrub.scrub()
    assert alarm_of(SCRUB) is None


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"what": "x"}'])
def test_a_damaged_alarm_is_an_alarm(damaged: str) -> None:
    (settings.SANAD_STATUS / "alarm-scrub.json").write_text(damaged)
    standing = alarm_of(SCRUB)
    assert standing is not None
    assert "cannot be read" in standing.what


def test_a_damaged_reason_not_to_sign_is_one() -> None:
    signed_ledger(1)
    (signer_state.folder() / "distrust.json").write_text("{")
    with pytest.raises(SignerRefused):
        sign_head()

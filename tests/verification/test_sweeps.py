"""Sweeps: every item again within its cycle, never-verified and oldest first, whoever is killed meanwhile."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from accounts.permissions import NotNow, NotVisible, Refused
from custody.engine import SYSTEM, opened
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Outcome, Type
from evidence import store
from evidence.actions import record_system_finding
from evidence.models import FixityCheck, Item
from evidence.vocabulary import FixityOutcome
from tests import factories
from verification import actions, sweeps, tasks
from verification.jobs import SWEEP
from verification.models import Schedule
from verification.schedules import Plan, plans

pytestmark = pytest.mark.django_db
DAILY: dict[str, Any] = {"cycle_days": 1, "first_hour": 0, "last_hour": 0, "paused": False, "reason": "a trial"}


def received(days_ago: float, compartment: Any, *, verified_days_ago: float | None = None) -> Item:
    """An item under a signed head, as it would stand after so many days."""
    item = factories.make_item(compartment)
    now = timezone.now()
    Item.objects.filter(pk=item.pk).update(
        received_at=now - timedelta(days=days_ago),
        last_verified_at=None if verified_days_ago is None else now - timedelta(days=verified_days_ago),
        last_outcome="" if verified_days_ago is None else FixityOutcome.OK,
    )
    item.refresh_from_db()
    return item


def sign() -> None:
    drain()
    sign_head()


def sweep(lane: int = 0, lanes: int = 1) -> sweeps.Stretch:
    return sweeps.work(lane=lane, lanes=lanes, until=math.inf)


def path_of(item: Item) -> Any:
    return store.path_of(item.blob.address)


def flip(item: Item) -> None:
    data = bytearray(path_of(item).read_bytes())
    data[len(data) // 2] ^= 1
    path_of(item).chmod(0o600)
    path_of(item).write_bytes(data)


def whole(item: Item) -> Item:
    """The item with its reception as the ledger has it, due all the same: a fresh one, seen from two days later."""
    item.refresh_from_db()
    return item


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the archive's clock stand some days from now: what a record says stays true."""

    def advance(**days: float) -> datetime:
        moment = datetime.now(UTC) + timedelta(**days)
        monkeypatch.setattr(timezone, "now", lambda: moment)
        return moment

    return advance


def test_one_flipped_byte_is_found_within_a_cycle_and_told(later: Any) -> None:
    compartment = factories.make_compartment()
    items = [factories.make_item(compartment) for _ in range(3)]
    sign()
    flip(items[1])
    later(days=2)
    done = sweep()
    assert (done.done, done.failed, done.more) == (3, 1, False)
    outcomes = [whole(item).last_outcome for item in items]
    assert outcomes == [FixityOutcome.OK, FixityOutcome.CHANGED, FixityOutcome.OK]
    check = FixityCheck.objects.get(item=items[1])
    event = Event.objects.get(pk=check.event_id)
    assert (event.type, event.agent_id, event.outcome) == (Type.VERIFY, SYSTEM.id, Outcome.FAILURE)
    assert opened([event.id])[event.id]["to"][1]["outcome"] == FixityOutcome.CHANGED


def test_what_was_found_good_is_left_alone_until_its_cycle_is_over(later: Any) -> None:
    item = factories.make_item()
    sign()
    later(days=2)
    assert sweep().done == 1
    assert sweep().done == 0
    later(days=31)
    assert sweep().done == 0  # thirty days after the check itself
    later(days=33)
    assert sweep().done == 1
    assert FixityCheck.objects.filter(item=item).count() == 2


def test_a_reception_is_its_own_first_check_for_a_day(later: Any) -> None:
    factories.make_item()
    sign()
    assert sweep().done == 0
    later(days=1.01)
    assert sweep().done == 1


def test_never_verified_come_first_and_then_what_was_verified_longest_ago() -> None:
    compartment = factories.make_compartment()
    recent = received(100, compartment, verified_days_ago=31)
    never = received(2, compartment)
    long_ago = received(90, compartment, verified_days_ago=80)
    never_older = received(60, compartment)
    received(90, compartment, verified_days_ago=5)
    other = received(40, factories.make_compartment(), verified_days_ago=60)
    order = sweeps.next_items(0, 1, timezone.now())
    assert order == [never_older, never, long_ago, other, recent]


def test_lanes_share_out_every_item_and_none_twice() -> None:
    compartment = factories.make_compartment()
    made = {received(3, compartment).pk for _ in range(12)}
    dealt = [[item.pk for item in sweeps.next_items(lane, 3, timezone.now())] for lane in range(3)]
    assert sorted(pk for lane in dealt for pk in lane) == sorted(made)


def test_a_stretch_that_was_cut_goes_on_with_the_rest(later: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compartment = factories.make_compartment()
    items = [factories.make_item(compartment) for _ in range(3)]
    sign()
    later(days=2)
    real, calls = record_system_finding, []

    def dies_at_the_second(**said: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(**said)

    monkeypatch.setattr(sweeps, "record_system_finding", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sweep()
    assert sweep().done == 2
    assert sorted(FixityCheck.objects.values_list("item__pk", flat=True)) == sorted(item.pk for item in items)


def test_a_store_that_is_away_is_not_recorded_as_the_loss_of_everything(later: Any) -> None:
    compartment = factories.make_compartment()
    items = [factories.make_item(compartment) for _ in range(8)]
    sign()
    for item in items:
        path_of(item).rename(path_of(item).with_suffix(".away"))
    moment = later(days=2)
    done = sweep()
    assert (done.done, done.away, done.more) == (sweeps.AWAY, True, True)
    assert tasks.pause_after(done, 1.0) >= tasks.BACK_OFF
    for item in items:
        path_of(item).with_suffix(".away").rename(path_of(item))
    assert sweep().done == 8 - sweeps.AWAY
    later(days=4)  # what could not be read is asked again after a day, not after a month
    assert sweep().done == sweeps.AWAY
    assert {whole(item).last_outcome for item in items} == {FixityOutcome.OK}
    assert moment < timezone.now()


def test_what_no_signed_head_covers_is_not_judged_and_not_recorded_again_and_again(later: Any) -> None:
    factories.make_item()
    later(days=2)
    assert sweep().done == 0
    assert not FixityCheck.objects.exists()


def test_erased_items_are_not_swept(later: Any) -> None:
    item = received(3, factories.make_compartment())
    Item.objects.filter(pk=item.pk).update(erased_at=timezone.now())
    assert sweeps.next_items(0, 1, timezone.now()) == []


@pytest.mark.parametrize(
    ("first", "last", "hour", "is_open"),
    [(0, 0, 13, True), (22, 6, 23, True), (22, 6, 5, True), (22, 6, 6, False), (22, 6, 12, False), (1, 5, 4, True)],
)
def test_a_compartment_is_swept_in_its_hours(first: int, last: int, hour: int, is_open: bool) -> None:
    plan = Plan(factories.make_compartment(), timedelta(days=30), first, last, None)
    assert plan.open_at(datetime(2026, 3, 10, hour, 30, tzinfo=UTC)) is is_open


def test_a_paused_compartment_and_one_outside_its_hours_are_not_read() -> None:
    hour = timezone.now().hour
    for changes in ({"paused": True}, {"first_hour": (hour + 2) % 24, "last_hour": (hour + 3) % 24}):
        compartment = factories.make_compartment()
        person = factories.make_user(Role.ARCHIVIST, compartment)
        received(3, compartment)
        actions.set_schedule(by=person, at=timezone.now(), compartment_id=compartment.pk, fields=DAILY | changes)
    assert sweeps.next_items(0, 1, timezone.now()) == []
    assert [sweeps.due(plan, timezone.now()) for plan in plans().values() if plan.schedule] == [1, 1]


def test_a_compartments_own_cycle_counts_and_is_in_the_ledger() -> None:
    compartment = factories.make_compartment()
    person = factories.make_user(Role.ARCHIVIST, compartment)
    item = received(10, compartment, verified_days_ago=2)
    assert sweeps.next_items(0, 1, timezone.now()) == []
    actions.set_schedule(by=person, at=timezone.now(), compartment_id=compartment.pk, fields=DAILY)
    assert sweeps.next_items(0, 1, timezone.now()) == [item]
    event = Event.objects.get(type=Type.POLICY, compartment_id=compartment.pk)
    told = opened([event.id])[event.id]
    assert told["from"][1]["cycle_days"] == 30
    assert told["to"][1]["cycle_days"] == 1
    assert told["note"][1] == "a trial"
    actions.clear_schedule(by=person, at=timezone.now(), compartment_id=compartment.pk, reason="enough")
    assert sweeps.next_items(0, 1, timezone.now()) == []
    with pytest.raises(NotNow):
        actions.clear_schedule(by=person, at=timezone.now(), compartment_id=compartment.pk, reason="again")


def test_schedules_are_set_by_archivists_of_the_compartment_alone() -> None:
    compartment, elsewhere = factories.make_compartment(), factories.make_compartment()
    auditor, stranger = (
        factories.make_user(Role.AUDITOR, compartment),
        factories.make_user(Role.ARCHIVIST, elsewhere),
    )
    with pytest.raises(Refused):
        actions.set_schedule(by=auditor, at=timezone.now(), compartment_id=compartment.pk, fields=DAILY)
    with pytest.raises(NotVisible):
        actions.set_schedule(by=stranger, at=timezone.now(), compartment_id=compartment.pk, fields=DAILY)
    fields = DAILY | {"cycle_days": 0, "last_hour": 24, "reason": " "}
    with pytest.raises(ValidationError) as wrong:
        actions.set_schedule(by=stranger, at=timezone.now(), compartment_id=elsewhere.pk, fields=fields)
    assert set(wrong.value.message_dict) == {"cycle_days", "last_hour", "reason"}
    assert not Schedule.objects.exists()


def test_the_queue_carries_each_lane_once_and_the_pace_is_kept_without_sleeping(
    settings: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    settings.SANAD_SWEEP_LANES, settings.SANAD_SWEEP_RATE = 1, 1
    factories.make_item()
    sign()
    later(days=2)
    start: Any = tasks.start_sweeps.func
    start(0)
    start(60)
    jobs = ProcrastinateJob.objects.filter(task_name=SWEEP)
    assert [(job.args, job.priority) for job in jobs] == [({"lane": 0}, -10)]
    run: Any = tasks.sweep.func
    run(lane=0)
    assert FixityCheck.objects.count() == 1
    run(lane=7)  # of a time with more lanes
    read = sweeps.Stretch(done=3, failed=0, size=90 * 2**20, more=True, away=False)
    assert tasks.pause_after(read, 20.0) == pytest.approx(70.0)
    settings.SANAD_SWEEP_RATE = 0
    assert tasks.pause_after(read, 20.0) == 0


def test_the_page_tells_what_is_due_and_an_archivist_changes_the_schedule(client: Client) -> None:
    compartment = factories.make_compartment()
    archivist = factories.make_user(Role.ARCHIVIST, compartment)
    auditor = factories.make_user(Role.AUDITOR, compartment)
    received(3, compartment)
    client.force_login(auditor)
    page = client.get("/audit/sweeps/").content.decode()
    assert compartment.code in page
    assert "30 days" in page
    assert f"/audit/sweeps/{compartment.code}/" not in page
    assert client.get(f"/audit/sweeps/{compartment.code}/").status_code == 403
    assert client.get("/audit/sweeps/NOWHERE-1/").status_code == 404
    client.force_login(archivist)
    form = {"cycle_days": "7", "first_hour": "22", "last_hour": "6", "reason": ""}
    refused = client.post(f"/audit/sweeps/{compartment.code}/", form)
    assert refused.status_code == 422
    assert 'value="22"' in refused.content.decode()
    assert client.post(f"/audit/sweeps/{compartment.code}/", form | {"reason": "Quiet hours"}).status_code == 302
    page = client.get("/audit/sweeps/").content.decode()
    assert "7 days" in page
    assert "22–6" in page
    follow = {"follow": "1", "reason": "Quiet hours are over"}
    assert client.post(f"/audit/sweeps/{compartment.code}/", follow).status_code == 302
    assert not Schedule.objects.exists()

"""Runs: each item once, whatever is killed meanwhile, and the truth about it at the end."""

import math
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Compartment, Role, User
from accounts.permissions import NotNow, NotVisible, Refused
from custody.engine import opened
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.verify import faults
from custody.vocabulary import Outcome, Type
from evidence import store
from evidence.fixity import find
from evidence.models import FixityCheck, Item
from tests import factories
from verification import actions, tasks
from verification.jobs import VERIFY_RUN
from verification.models import Run, RunResult
from verification.vocabulary import Scope, State

pytestmark = pytest.mark.django_db

FIND = "verification.actions.find"


def ask(by: User, scope: Scope, **more: Any) -> Run:
    return actions.request_run(by=by, at=timezone.now(), scope=scope, **more)


#: The task as a worker calls it; of the context it reads only the attempts of the job.
verify_run: Any = tasks.verify_run.func


def through(run: Run) -> Run:
    """The run after a worker had it for as long as it wanted."""
    actions.work(run_id=run.pk, until=math.inf)
    run.refresh_from_db()
    return run


def spoil(item: Item) -> None:
    """Flip one bit of the stored bytes."""
    path = store.path_of(item.blob.address)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def summary(run: Run) -> Any:
    event = Event.objects.filter(type=Type.VERIFY_LEDGER).latest("at")
    fields = opened([event.pk])[event.pk]
    assert fields["subjects"][1] == [{"kind": "run", "id": str(run.pk)}]
    return event.outcome, fields["to"][1]


def test_a_run_over_everything_checks_the_ledger_and_every_item_and_says_so_in_the_ledger(
    auditor: User, items: list[Item]
) -> None:
    run = through(ask(auditor, Scope.EVERYTHING))
    assert (run.state, run.total, run.done, run.failed, run.ledger_faults) == (State.FINISHED, 3, 3, 0, [])
    assert run.ledger_done == run.ledger_total > 0
    assert run.is_clean
    assert set(RunResult.objects.filter(run=run).values_list("accession", "outcome")) == {
        (item.accession, "ok") for item in items
    }
    outcome, told = summary(run)
    assert outcome == Outcome.SUCCESS
    assert (told["items"], told["failed"], told["ledger_faults"]) == (3, 0, 0)
    assert told["checkpoint"]["size"] > 0


def test_each_item_of_a_run_has_a_fixity_check_and_a_fixity_event_of_the_auditor(
    auditor: User, items: list[Item]
) -> None:
    run = through(ask(auditor, Scope.EVERYTHING))
    for result in RunResult.objects.filter(run=run):
        check = FixityCheck.objects.get(pk=result.check_id)
        assert (check.item_id, check.by_id, check.outcome) == (result.item_id, auditor.pk, "ok")
        assert Event.objects.get(pk=check.event_id).type == Type.VERIFY


def test_the_job_of_a_run_is_queued_in_its_own_transaction_under_its_own_lock(auditor: User, items: list[Item]) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    job = ProcrastinateJob.objects.get(task_name=VERIFY_RUN)
    assert (job.args, job.lock, job.status) == ({"run_id": str(run.pk)}, f"verification/{run.pk}", "todo")


def test_asking_again_for_a_run_that_is_under_way_gives_that_run(auditor: User, items: list[Item]) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    assert ask(auditor, Scope.EVERYTHING) == run
    assert ProcrastinateJob.objects.filter(task_name=VERIFY_RUN).count() == 1
    through(run)
    assert ask(auditor, Scope.EVERYTHING) != run


def test_a_selection_checks_what_was_selected_each_once(auditor: User, items: list[Item]) -> None:
    chosen = [items[0].accession, items[2].accession, items[0].accession]
    run = through(ask(auditor, Scope.SELECTION, accessions=chosen))
    assert sorted(RunResult.objects.filter(run=run).values_list("accession", flat=True)) == sorted(set(chosen))
    assert run.compartment == items[0].compartment


def test_a_run_over_one_item_leaves_the_rest_of_the_ledger_alone(auditor: User, items: list[Item]) -> None:
    run = through(ask(auditor, Scope.ONE, accessions=[items[1].accession]))
    assert (run.total, run.done, run.ledger_checked_at, run.is_clean) == (1, 1, None, True)


def test_the_ledger_alone_checks_no_item(auditor: User, items: list[Item]) -> None:
    run = through(ask(auditor, Scope.LEDGER))
    assert (run.state, run.total, run.done, run.is_clean) == (State.FINISHED, 0, 0, True)
    assert run.ledger_total > 0


def test_items_received_after_a_run_was_asked_for_are_not_part_of_it(
    auditor: User, compartment: Compartment, items: list[Item]
) -> None:
    run = ask(auditor, Scope.COMPARTMENT, compartment_id=compartment.pk)
    factories.make_item(compartment)
    assert through(run).done == 3


def test_a_compartments_auditor_verifies_that_compartment_and_no_other(own_auditor: User, items: list[Item]) -> None:
    elsewhere = factories.make_item()
    assert through(ask(own_auditor, Scope.EVERYTHING)).done == 3
    with pytest.raises(NotVisible):
        ask(own_auditor, Scope.COMPARTMENT, compartment_id=elsewhere.compartment_id)
    with pytest.raises(ValidationError) as refused:
        ask(own_auditor, Scope.SELECTION, accessions=[items[0].accession, elsewhere.accession])
    assert elsewhere.accession in refused.value.message_dict["accessions"][0]


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (Role.ADMINISTRATOR, Scope.EVERYTHING),
        (Role.PROTECTION_OFFICER, Scope.EVERYTHING),
        (Role.ARCHIVIST, Scope.LEDGER),
        (Role.INVESTIGATOR, Scope.LEDGER),
    ],
)
def test_who_may_not_verify_is_refused(role: Role, scope: Scope, compartment: Compartment) -> None:
    with pytest.raises(Refused):
        ask(factories.make_user(role, compartment), scope)


@pytest.mark.parametrize(
    ("scope", "more", "field"),
    [
        ("nonsense", {}, "scope"),
        (Scope.COMPARTMENT, {}, "compartment"),
        (Scope.SELECTION, {}, "accessions"),
        (Scope.SELECTION, {"accessions": [" "]}, "accessions"),
        (Scope.SELECTION, {"accessions": ["SY-1-000009"]}, "accessions"),
        (Scope.ONE, {"accessions": ["A-1", "A-2"]}, "accessions"),
        (Scope.SELECTION, {"accessions": [f"A-{number}" for number in range(10_001)]}, "accessions"),
    ],
)
def test_a_request_that_makes_no_sense_names_the_field(
    scope: Any, more: dict[str, Any], field: str, auditor: User
) -> None:
    with pytest.raises(ValidationError) as refused:
        ask(auditor, scope, **more)
    assert list(refused.value.message_dict) == [field]
    assert not Run.objects.exists()


def test_a_changed_byte_is_found_named_and_counted_and_the_others_are_checked_all_the_same(
    auditor: User, items: list[Item]
) -> None:
    spoil(items[1])
    run = through(ask(auditor, Scope.EVERYTHING))
    assert (run.state, run.done, run.failed, run.is_clean) == (State.FINISHED, 3, 1, False)
    bad = RunResult.objects.get(run=run, outcome="changed")
    assert bad.accession == items[1].accession
    assert items[1].blob.address in bad.detail
    assert summary(run)[0] == Outcome.FAILURE


def test_a_worker_killed_between_two_items_goes_on_with_the_next(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    left = [2]
    real = find

    def killed(item: Item) -> Any:
        if not left[0]:
            raise SystemExit
        left[0] -= 1
        return real(item)

    monkeypatch.setattr(FIND, killed)
    with pytest.raises(SystemExit):
        actions.work(run_id=run.pk, until=math.inf)
    monkeypatch.undo()
    run.refresh_from_db()
    assert (run.state, run.done) == (State.RUNNING, 2)
    through(run)
    assert (run.state, run.done) == (State.FINISHED, 3)
    assert sorted(RunResult.objects.values_list("accession", flat=True)) == [item.accession for item in items]
    assert FixityCheck.objects.count() == 3


def test_a_worker_killed_while_it_writes_an_item_down_leaves_nothing_of_it(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(auditor, Scope.EVERYTHING)

    def killed(**_: Any) -> RunResult:
        raise DatabaseError("the connection was lost")

    monkeypatch.setattr(RunResult.objects, "create", killed)
    with pytest.raises(DatabaseError):
        actions.work(run_id=run.pk, until=math.inf)
    monkeypatch.undo()
    assert not FixityCheck.objects.exists()
    assert not Event.objects.filter(type=Type.VERIFY).exists()
    assert through(run).done == 3


def test_a_worker_that_comes_second_to_an_item_writes_nothing(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker thought dead wakes up after another took over: the place of the run has moved on."""
    run = ask(auditor, Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=0)
    real = find

    def overtaken(item: Item) -> Any:
        finding = real(item)
        monkeypatch.setattr(FIND, real)
        assert actions.verify_next(at=timezone.now(), run_id=run.pk)
        return finding

    monkeypatch.setattr(FIND, overtaken)
    actions.verify_next(at=timezone.now(), run_id=run.pk)
    assert RunResult.objects.count() == FixityCheck.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_have_one_run_at_once() -> None:
    compartment = factories.make_compartment()
    for _ in range(6):
        factories.make_item(compartment)
    auditor = factories.make_user(Role.AUDITOR)
    drain()
    sign_head()
    run = ask(auditor, Scope.EVERYTHING)
    reading = threading.Lock()
    together: list[bool] = []
    real = find

    def watched(item: Item) -> Any:
        together.append(not reading.acquire(blocking=False))
        try:
            return real(item)
        finally:
            reading.release()

    def work() -> None:
        actions.work(run_id=run.pk, until=math.inf)
        connection.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FIND, watched)
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    run.refresh_from_db()
    assert (run.state, run.done, RunResult.objects.count()) == (State.FINISHED, 6, 6)
    assert together == [False] * 6


def test_the_work_is_cut_into_stretches(auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    assert actions.work(run_id=run.pk, until=0) is True
    run.refresh_from_db()
    assert (run.state, run.done) == (State.RUNNING, 0)
    assert run.ledger_checked_at is not None


def test_a_cancelled_run_keeps_what_it_verified_and_verifies_no_more(auditor: User, items: list[Item]) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=0)
    assert actions.verify_next(at=timezone.now(), run_id=run.pk)
    actions.cancel_run(by=auditor, at=timezone.now(), run_id=run.pk)
    assert actions.verify_next(at=timezone.now(), run_id=run.pk) is False
    assert actions.work(run_id=run.pk, until=math.inf) is False
    run.refresh_from_db()
    assert (run.state, run.done, run.is_clean) == (State.CANCELLED, 1, False)
    assert RunResult.objects.count() == 1
    with pytest.raises(NotNow):
        actions.cancel_run(by=auditor, at=timezone.now(), run_id=run.pk)


def test_a_run_cancelled_while_its_ledger_is_checked_stops_there(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    real = faults

    def slow(progress: Any) -> Any:
        actions.cancel_run(by=auditor, at=timezone.now(), run_id=run.pk)
        return real(progress)

    monkeypatch.setattr("custody.verify.faults", slow)
    assert actions.work(run_id=run.pk, until=math.inf) is False
    run.refresh_from_db()
    assert (run.state, run.done, run.ledger_checked_at) == (State.CANCELLED, 0, None)


def test_an_auditor_who_lost_the_role_verifies_nothing_more_and_the_run_says_so(
    auditor: User, items: list[Item]
) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    actions.work(run_id=run.pk, until=0)
    actions.verify_next(at=timezone.now(), run_id=run.pk)
    auditor.grants.update(revoked_at=timezone.now() - timedelta(seconds=1))
    through(run)
    assert (run.state, run.done, run.unreached, run.is_clean) == (State.FINISHED, 1, 2, False)
    assert summary(run)[0] == Outcome.FAILURE


def test_work_that_fails_again_and_again_gives_the_run_up_and_says_why(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(auditor, Scope.EVERYTHING)

    def broken(item: Item) -> Any:
        raise OSError("a name that must not be told")

    class Job:
        attempts = tasks.ATTEMPTS - 1

    class Context:
        job = Job()

    monkeypatch.setattr(FIND, broken)
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    with pytest.raises(OSError, match="a name"):
        verify_run(Context(), run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.state, run.problem) == (State.FAILED, "OSError")
    assert actions.work(run_id=run.pk, until=math.inf) is False


def test_a_run_without_a_job_gets_one_again_and_one_with_a_job_does_not(auditor: User, items: list[Item]) -> None:
    run = ask(auditor, Scope.EVERYTHING)
    assert tasks.resume(run) is False
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert tasks.resume(run) is True
    assert ProcrastinateJob.objects.get(task_name=VERIFY_RUN).args == {"run_id": str(run.pk)}


def test_a_stretch_that_is_not_the_last_queues_the_next(
    auditor: User, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(auditor, Scope.EVERYTHING)

    class Context:
        job = None

    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    monkeypatch.setattr(tasks, "STRETCH", 0.0)
    verify_run(Context(), run_id=str(run.pk))
    assert ProcrastinateJob.objects.filter(task_name=VERIFY_RUN).count() == 2
    monkeypatch.setattr(tasks, "STRETCH", 60.0)
    verify_run(Context(), run_id=str(run.pk))
    assert ProcrastinateJob.objects.filter(task_name=VERIFY_RUN).count() == 2
    run.refresh_from_db()
    assert run.is_clean

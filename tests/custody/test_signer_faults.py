"""Kills at every step of a signature, and a second signer: one chain of heads, whatever happens."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError

from custody import keys, ledger_keys, signer, signer_state
from custody.alarm import Kind
from custody.leaves import Leaves, leads_to
from custody.models import Checkpoint
from custody.sequencer import drain, tree_size
from custody.signer import SignerRefused, sign_head
from custody.verify import faults
from ledger import durable
from tests.custody.ledgers import happen, signed_ledger
from tests.custody.test_signer import refusal, state_file

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process ends here."""


def kill_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signer dies at this step of a signature, and never again."""

    def dying(where: Any, name: str, *, before: bool) -> None:
        original = getattr(where, name)

        def dies(*args: Any, **kwargs: Any) -> Any:
            if not before:
                original(*args, **kwargs)
            raise Killed

        monkeypatch.setattr(where, name, dies)

    steps = {
        "before the list of hashes is written": (Leaves, "put", True),
        "after the list of hashes is written": (Leaves, "put", False),
        "before the memory is written": (keys, "write_durably", True),
        "while the memory is written": (durable, "sync_folder", True),
        "after the memory is written": (signer_state, "write", False),
        "before the head is published": (Checkpoint.objects, "create", True),
        "before the publication is committed": (Checkpoint.objects, "create", False),
        "before the head is told": (ledger_keys, "publish_head", True),
        "after the head is told": (ledger_keys, "publish_head", False),
    }
    where, name, before = steps[step]
    dying(where, name, before=before)


STEPS = [
    "before the list of hashes is written",
    "after the list of hashes is written",
    "before the memory is written",
    "while the memory is written",
    "after the memory is written",
    "before the head is published",
    "before the publication is committed",
    "before the head is told",
    "after the head is told",
]


@pytest.mark.parametrize("first", [True, False], ids=["first head", "later head"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_goes_on_by_itself_and_signs_no_two_heads_of_one_number(
    step: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not first:
        signed_ledger(3)
    before = set(Checkpoint.objects.values_list("note", flat=True))
    for _ in range(2):
        happen()
    drain()
    kill_at(step, monkeypatch)
    with pytest.raises(Killed):
        sign_head()
    monkeypatch.undo()
    promised = json.loads(state_file().read_text())["note"] if state_file().exists() else ""
    happen()
    drain()
    while sign_head() is not None:
        pass
    heads = list(Checkpoint.objects.order_by("number"))
    assert [head.number for head in heads] == list(range(1, len(heads) + 1))
    assert heads[-1].size == tree_size()
    assert promised in {head.note for head in heads} | {""}
    assert before <= {head.note for head in heads}
    assert list(faults()) == []
    assert leads_to(signer.leaves(), heads[-1].size, bytes(heads[-1].root))


def test_killed_after_signing_it_publishes_that_very_note(monkeypatch: pytest.MonkeyPatch) -> None:
    happen()
    drain()

    def killed(**_: Any) -> Checkpoint:
        raise DatabaseError("the connection was lost")

    monkeypatch.setattr(Checkpoint.objects, "create", killed)
    with pytest.raises(DatabaseError):
        sign_head()
    monkeypatch.undo()
    note = json.loads(state_file().read_text())["note"]
    happen()
    drain()
    published = sign_head()
    assert published is not None
    assert (published.size, published.note) == (1, note)
    grown = sign_head()
    assert grown is not None
    assert grown.size == 2
    assert sign_head() is None


def test_two_signers_on_two_machines_do_not_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hold the same key and memory, and no common lock. The one that comes second refuses."""
    signed_ledger(3)
    copy = tmp_path / "signer"
    shutil.copytree(settings.SANAD_SIGNER, copy)
    signed_ledger(1)
    with monkeypatch.context() as there:
        there.setattr(settings, "SANAD_SIGNER", copy)
        refused = refusal()
        assert (refused.kind, refused.where) == (Kind.MEMORY_LOST, "signer")
        assert "another signer is at work" in str(refused)
    assert sign_head() is None


def test_two_signers_at_the_same_moment_do_not_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one publishes between this one's memory and this one's publication."""
    signed_ledger(3)
    copy = tmp_path / "signer"
    shutil.copytree(settings.SANAD_SIGNER, copy)
    happen()
    drain()
    write, met = signer_state.write, list[bool]()

    def meanwhile(old: signer_state.State | None, new: signer_state.State) -> signer_state.State:
        written = write(old, new)
        if not met:
            met.append(True)
            with monkeypatch.context() as there:
                there.setattr(settings, "SANAD_SIGNER", copy)
                assert sign_head(force=True) is not None
        return written

    monkeypatch.setattr(signer_state, "write", meanwhile)
    with pytest.raises(SignerRefused, match="another signer is at work") as refused:
        sign_head()
    assert refused.value.kind == Kind.RIVAL
    assert Checkpoint.objects.count() == 2
    assert refusal().kind == Kind.RIVAL


def test_a_memory_that_was_replaced_meanwhile_is_not_overwritten() -> None:
    """Where the lock does not hold, as on some network file systems."""
    signed_ledger(1)
    old = signer_state.read()
    assert old is not None
    signer_state.write(old, replace(old, note="of the other one"))
    with pytest.raises(SignerRefused, match="replaced the memory") as refused:
        signer_state.write(old, old)
    assert refused.value.kind == Kind.RIVAL
    assert json.loads(state_file().read_text())["note"] == "of the other one"

"""The audit desk says who outside vouches for the ledger, up to where and since when, and when there are two pasts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from custody import forks
from custody.anchors import anchor_heads
from custody.cosigners import ask_cosigners
from custody.ledger_keys import vkey
from custody.models import Anchor, Checkpoint
from custody.proof import newest_checkpoint
from evidence.models import Item
from ledger.note import split_note
from tests import factories
from tests.custody.authorities import OpensslAuthority, serving
from tests.custody.test_cosigners import BAR, trust
from tests.ledger.cosigners import cosigner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_head_is_a_heartbeat")]


@pytest.fixture(autouse=True)
def _own_files(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SANAD_LEDGER_POLICY = tmp_path / "ledger-policy"
    settings.SANAD_AUTHORITIES = tmp_path / "authorities.toml"
    yield
    for path in (Path(settings.SANAD_KEYS) / "forks").glob("*"):
        path.unlink()


@pytest.fixture
def browser(auditor: User) -> Client:
    return factories.signed_in(auditor)


def desk(browser: Client) -> str:
    return browser.get(reverse("verification:desk")).content.decode()


def test_without_partners_the_desk_says_plainly_that_nobody_else_vouches_and_links_the_guides(
    browser: Client, items: list[Item]
) -> None:
    page = desk(browser)
    assert "No cosigner is configured" in page
    assert "Nobody but this archive vouches for its log" in page
    assert "No timestamp authority is configured" in page
    for name in ("run-a-cosigner", "anchor-the-ledger"):
        address = reverse("verification:guide", args=[name])
        assert address in page
        guide = browser.get(address)
        assert guide.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert guide.content.startswith(b"# ")
    assert browser.get(reverse("verification:guide", args=["use-the-api"])).status_code == 404


def test_cosigners_their_newest_head_and_the_quorum_stand_on_the_desk(
    browser: Client, items: list[Item], tmp_path: Path
) -> None:
    head = newest_checkpoint()
    assert head is not None
    with cosigner(tmp_path / "state.json", [vkey()], name="bar.example/cosigner") as running:
        trust(
            ("bar", running.verifier.vkey, running.url), ("uni", BAR.vkey, ""), quorum="group g any bar uni\nquorum g"
        )
        assert "Not enough partners (1/2) have cosigned yet" in desk(browser)
        assert "Quorum not met" in desk(browser)
        assert ask_cosigners(timezone.now()) == 1
    page = desk(browser)
    assert "Quorum met" in page
    assert f"Enough partners (1/2) have seen the first <bdi>{head.size}</bdi> entries" in page
    assert "asked by file" in page
    note = browser.get(reverse("verification:checkpoint_note", args=[head.pk])).content
    assert [line.name for line in split_note(note)[1]][-1] == "bar.example/cosigner"
    ask_cosigners(timezone.now() + timedelta(hours=3))
    assert "it cannot be reached" in desk(browser)


def test_a_policy_file_that_is_wrong_is_told(browser: Client, items: list[Item], settings: Any) -> None:
    Path(settings.SANAD_LEDGER_POLICY).write_text("nonsense\n")
    Path(settings.SANAD_AUTHORITIES).write_text("nonsense\n")
    page = desk(browser)
    assert "the policy file is not valid" in page
    assert "line 1 of the policy" in page
    assert "the file of authorities is not valid" in page


def test_what_is_anchored_since_when_and_how_many_heads_wait_stand_on_the_desk(
    browser: Client, items: list[Item], tmp_path: Path, settings: Any
) -> None:
    tsa = OpensslAuthority(tmp_path / "tsa")
    with serving(tsa.reply) as url:
        Path(settings.SANAD_AUTHORITIES).write_text(
            f'[[authority]]\nname = "Authority One"\nurl = "{url}"\nroots = "{tsa.root}"\ntest = true\n'
        )
        assert anchor_heads(timezone.now()) == 1
    page = desk(browser)
    assert "Authority One" in page
    assert "TEST, proves nothing" in page
    row = Anchor.objects.get()
    answer = browser.get(reverse("verification:anchor", args=[row.pk]))
    assert answer.content == bytes(row.response or b"")
    assert answer.headers["Content-Type"] == "application/timestamp-reply"
    Anchor.objects.create(
        authority="Authority One",
        checkpoint=Checkpoint.objects.create(
            size=0, root=b"", note="x", signed_at=datetime.now(UTC), chain=b"", number=0
        ),
        imprint="00",
        queued_at=timezone.now(),
    )
    assert reverse("verification:anchor", args=[Anchor.objects.latest("pk").pk]) not in desk(browser)
    assert browser.get(reverse("verification:anchor", args=[Anchor.objects.latest("pk").pk])).status_code == 404


@pytest.mark.parametrize(
    ("kind", "note", "told", "meant"),
    [
        ("rollback", "a note", "A partner holds a longer ledger than this one", "signed with the key of this ledger"),
        ("fork", "", "A partner has seen another past of this ledger", "this is its word alone"),
    ],
)
def test_another_past_is_an_alarm_until_its_file_is_moved_away(
    browser: Client, items: list[Item], settings: Any, kind: str, note: str, told: str, meant: str
) -> None:
    assert told not in desk(browser)
    forks.keep(
        cosigner="bar.example/cosigner", kind=kind, size=90, their_note=note, our_note="n", our_size=7, said="409"
    )
    page = desk(browser)
    assert told in page
    assert meant in page
    assert "bar.example/cosigner" in page
    (fork,) = forks.forks()
    assert fork.file in page
    (Path(settings.SANAD_KEYS) / "forks" / fork.file).unlink()
    assert told not in desk(browser)


def test_a_damaged_file_of_a_contradiction_still_alarms(browser: Client, items: list[Item], settings: Any) -> None:
    folder = Path(settings.SANAD_KEYS) / "forks"
    folder.mkdir(exist_ok=True)
    (folder / "rollback-damaged.json").write_text("{")
    assert "A partner holds a longer ledger than this one" in desk(browser)


def test_timestamps_and_guides_are_for_those_who_audit(items: list[Item], compartment: Any) -> None:
    officer = factories.signed_in(factories.make_user(Role.PROTECTION_OFFICER, compartment))
    assert officer.get(reverse("verification:guide", args=["run-a-cosigner"])).status_code in (403, 404)

"""`manage.py ingest` of a zip or a bag: the container and its members, all of them or none, each once."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from custody.engine import Subject
from custody.seal import SealBroken
from custody.story import story
from custody.verify import faults
from custody.vocabulary import Type
from evidence import actions, blobs, erasure, store
from evidence.models import Item
from incidents.models import Incident, Intake, Link, Member
from tests import factories
from tests.evidence.test_erasure import erased, settle
from tests.incidents.test_ingest import everything_in, ingest
from tests.incidents.zips import made, overlapping, replaced, write

pytestmark = pytest.mark.django_db
FILES = {"DCIM/one.jpg": b"\xff\xd8one", "DCIM/two.jpg": b"\xff\xd8two", "notes.txt": b"notes"}


@pytest.fixture
def incident() -> Incident:
    return factories.make_incident()


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    return write(tmp_path / "phone.zip", made(FILES))


def bytes_of(item: Item) -> bytes:
    return b"".join(blobs.read_blob(item.blob))


def kept_now() -> set[str]:
    """The objects in the store, which the tests of a session share."""
    return set(store.addresses())


def told(item: Item, type: Type) -> list[dict[str, Any]]:
    return [dict(line.fields) for line in story(Subject("item", item.id).kind, item.id) if line.type == type]


def test_a_zip_is_one_item_as_it_is_and_its_members_come_out_of_it_when_asked(zipped: Path, incident: Incident) -> None:
    code, summary = ingest(zipped, incident)
    assert (code, [row["path"] for row in summary["ingested"]]) == (0, ["phone.zip"])
    code, summary = ingest(zipped, incident, unpack=True, stance="supports")
    assert (code, summary["failed"]) == (0, [])
    assert {row["path"] for row in summary["ingested"]} == set(FILES)
    assert [row["path"] for row in summary["already"]] == ["phone.zip"]
    container = Item.objects.get(accession=summary["already"][0]["accession"])
    assert bytes_of(container) == zipped.read_bytes()
    assert {member.path: bytes_of(member.item) for member in container.members.all()} == FILES
    assert {member.item.original_name for member in container.members.all()} == {"one.jpg", "two.jpg", "notes.txt"}
    assert Link.objects.filter(incident=incident).count() == Item.objects.count() == 4


def test_custody_of_a_member_says_which_container_and_digest_it_came_from(zipped: Path, incident: Incident) -> None:
    ingest(zipped, incident, unpack=True)
    container = Item.objects.filter(members__isnull=False).distinct().get()
    for member in container.members.all():
        (said,) = told(member.item, Type.UNPACK)
        assert said["container"] == {"accession": container.accession, "sha256": container.sha256}
        assert said["original_name"] == member.path
    assert len(told(container, Type.UNPACK)) == 3


def test_a_second_run_makes_nothing_and_one_that_was_killed_goes_on(
    zipped: Path, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count, before = actions.receive_item, 0, kept_now()

    def killed(**given: Any) -> Item:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return real(**given)

    monkeypatch.setattr("incidents.uploads.receive_item", killed)
    with pytest.raises(ValueError, match="Expecting value"):  # no summary is printed
        ingest(zipped, incident, unpack=True)
    monkeypatch.undo()
    assert Item.objects.count() == 2
    assert len(kept_now() - before) == 2, "what was received and not recorded is dropped"
    _code, summary = ingest(zipped, incident, unpack=True)
    assert (len(summary["ingested"]), len(summary["already"])) == (2, 2)
    _code, summary = ingest(zipped, incident, unpack=True)
    assert (len(summary["ingested"]), len(summary["already"])) == (0, 4)
    assert Item.objects.count() == 4
    assert Member.objects.count() == 3


def test_of_a_zip_that_is_not_what_it_says_nothing_is_kept(zipped: Path, incident: Incident, tmp_path: Path) -> None:
    before = kept_now()
    damaged = bytearray(made(FILES, method=0))
    damaged[damaged.index(b"notes", 30)] ^= 1
    at = damaged.index(b"\xff\xd8two")
    damaged[at] ^= 1
    for name, data in {
        "overlap.zip": overlapping(),
        "damaged.zip": bytes(damaged),
        "traversal.zip": made({"../out": b"x"}),
        "locked.zip": replaced(replaced(made(FILES), b"PK\3\4", 6, b"\1\0"), b"PK\1\2", 8, b"\1\0"),
    }.items():
        code, summary = ingest(write(tmp_path / name, data), incident, unpack=True)
        assert (code, [row["path"] for row in summary["failed"]]) == (1, [name])
        assert summary["failed"][0]["code"] == "container"
    assert not Item.objects.exists()
    assert kept_now() == before
    code, summary = ingest(tmp_path / "overlap.zip", incident)
    assert (code, len(summary["ingested"])) == (0, 1), "as one item it is evidence like any other"


def test_a_dry_run_reads_all_of_it_and_keeps_nothing(zipped: Path, incident: Incident, tmp_path: Path) -> None:
    code, summary = ingest(zipped, incident, unpack=True, dry_run=True)
    assert (code, summary["failed"]) == (0, [])
    assert {(row["path"], row["size"], row["state"]) for row in summary["would"]} == {
        ("phone.zip", zipped.stat().st_size, "new"),
        *((path, len(data), "new") for path, data in FILES.items()),
    }
    code, summary = ingest(write(tmp_path / "bad.zip", overlapping()), incident, unpack=True, dry_run=True)
    assert (code, summary["would"], len(summary["failed"])) == (1, [], 1)
    assert not Item.objects.exists()
    assert not Intake.objects.exists()
    ingest(zipped, incident)
    _code, summary = ingest(zipped, incident, dry_run=True)
    assert [row["state"] for row in summary["would"]] == ["already"]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    _code, summary = ingest(folder, incident, dry_run=True)
    assert summary["would"] == [{"path": "a", "size": 1, "state": "new"}]


def test_who_may_not_receive_is_refused_a_dry_run_too(zipped: Path, incident: Incident) -> None:
    reviewer = factories.make_user(Role.LEGAL_REVIEWER, incident.compartment)
    with pytest.raises(CommandError):
        ingest(zipped, incident, dry_run=True, username=reviewer.username)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    root = tmp_path / "bag"
    (root / "data" / "DCIM").mkdir(parents=True)
    (root / "data" / "DCIM" / "one.jpg").write_bytes(b"\xff\xd8one")
    (root / "data" / "two.txt").write_bytes(b"two")
    (root / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}\n"
        for path in sorted((root / "data").rglob("*"))
        if path.is_file()
    ]
    (root / "manifest-sha256.txt").write_text("".join(lines))
    return root


def test_every_file_of_a_bag_becomes_an_item_that_came_out_of_its_manifest(bag: Path, incident: Incident) -> None:
    before = everything_in(bag)
    code, summary = ingest(bag, incident, bag=True)
    assert (code, summary["failed"]) == (0, [])
    paths = {"bagit.txt", "manifest-sha256.txt", "data/DCIM/one.jpg", "data/two.txt"}
    assert {row["path"] for row in summary["ingested"]} == paths
    manifest = Item.objects.filter(members__isnull=False).distinct().get()
    assert bytes_of(manifest) == (bag / "manifest-sha256.txt").read_bytes()
    assert {member.path for member in manifest.members.all()} == paths - {"manifest-sha256.txt"}
    assert everything_in(bag) == before
    _code, summary = ingest(bag, incident, bag=True)
    assert (len(summary["ingested"]), len(summary["already"])) == (0, 4)


def test_of_a_bag_whose_digests_do_not_agree_with_what_arrived_nothing_is_kept(bag: Path, incident: Incident) -> None:
    before = kept_now()
    (bag / "data" / "two.txt").write_bytes(b"owt")
    for dry in (True, False):
        code, summary = ingest(bag, incident, bag=True, dry_run=dry)
        assert (code, len(summary["failed"])) == (1, 1)
        assert "data/two.txt does not have the sha256 digest" in summary["failed"][0]["detail"]
    assert not Item.objects.exists()
    assert kept_now() == before


def test_a_bag_in_a_zip_is_compared_and_kept_whole_or_with_its_members(
    bag: Path, incident: Incident, tmp_path: Path
) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "sent"), "zip", tmp_path, "bag"))
    code, summary = ingest(packed, incident, bag=True)
    assert (code, [row["path"] for row in summary["ingested"]]) == (0, ["sent.zip"])
    code, summary = ingest(packed, incident, bag=True, unpack=True)
    assert (code, len(summary["ingested"])) == (0, 4)
    assert "bag/data/two.txt" in {member.path for member in Member.objects.all()}
    (bag / "data" / "two.txt").write_bytes(b"owt")
    changed = Path(shutil.make_archive(str(tmp_path / "changed"), "zip", tmp_path, "bag"))
    count = Item.objects.count()
    for unpack in (True, False):
        code, summary = ingest(changed, incident, bag=True, unpack=unpack)
        assert (code, len(summary["failed"]), Item.objects.count()) == (1, 1, count)


def test_a_plain_zip_is_no_bag(zipped: Path, incident: Incident) -> None:
    code, summary = ingest(zipped, incident, bag=True)
    assert (code, len(summary["failed"])) == (1, 1)
    assert "one folder with everything in it" in summary["failed"][0]["detail"]


def test_all_real_bags_arrive_bit_identical_or_not_at_all(test_data: Path, incident: Incident) -> None:
    for version in sorted((test_data / "bagit").iterdir()):
        for case in sorted((version / "valid").iterdir()) if (version / "valid").is_dir() else ():
            code, summary = ingest(case, incident, bag=True)
            assert (code, summary["failed"]) == (0, []), case
            arrived = {row["path"]: row["sha256"] for row in summary["ingested"]}
            there = {path for path in case.rglob("*") if path.is_file()}
            assert arrived == {
                path.relative_to(case).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in there
            }
        count = Item.objects.count()
        for case in sorted((version / "invalid").iterdir()) if (version / "invalid").is_dir() else ():
            assert ingest(case, incident, bag=True)[0] == 1, case
        assert Item.objects.count() == count
    assert Item.objects.count() > 80


def test_a_member_is_not_erased_while_its_container_holds_the_same_bytes(zipped: Path, incident: Incident) -> None:
    ingest(zipped, incident, unpack=True)
    member = Member.objects.select_related("item", "container").first()
    assert member is not None
    found = erasure.objections([member.item], timezone.now())
    assert any(member.container.accession in words for words in found)
    assert not erasure.objections([member.container], timezone.now())
    assert not erasure.objections([member.container, member.item], timezone.now())


@pytest.mark.usefixtures("key_of_the_ledger")
def test_when_a_container_is_erased_its_members_stay_and_no_longer_say_its_digest(
    zipped: Path, incident: Incident
) -> None:
    ingest(zipped, incident, unpack=True)
    container = Item.objects.filter(members__isnull=False).distinct().get()
    member = Member.objects.filter(container=container).select_related("item")[0]
    settle()
    erased(container)
    settle()
    assert all(not line.lost for line in story("item", member.item_id))
    assert not any("container" in fields for fields in told(member.item, Type.UNPACK))
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []
    assert bytes_of(member.item) in FILES.values()
    erased(member.item)
    settle()
    member.refresh_from_db()
    assert bytes(member.sealed_path) == b""
    assert [f"{fault.where}: {fault.what}" for fault in faults()] == []


def test_the_path_inside_is_sealed_under_the_members_own_key(zipped: Path, incident: Incident) -> None:
    ingest(zipped, incident, unpack=True)
    one, two = Member.objects.all()[:2]
    assert b"DCIM" not in bytes(one.sealed_path)
    Member.objects.filter(pk=one.pk).update(sealed_path=two.sealed_path)
    one.refresh_from_db()
    with pytest.raises(SealBroken):
        _ = one.path


def test_the_pages_of_container_and_member_lead_to_each_other(zipped: Path, incident: Incident) -> None:
    ingest(zipped, incident, unpack=True)
    container = Item.objects.filter(members__isnull=False).distinct().get()
    member = Member.objects.filter(container=container).select_related("item")[0]
    client = factories.signed_in(incident.opened_by)
    page = client.get(reverse("evidence:item", args=[container.accession])).content.decode()
    assert member.path in page
    assert member.item.accession in page
    page = client.get(reverse("evidence:item", args=[member.item.accession])).content.decode()
    assert container.accession in page
    auditor = factories.signed_in(factories.make_user(Role.AUDITOR, incident.compartment))
    page = auditor.get(reverse("evidence:item", args=[member.item.accession])).content.decode()
    assert member.path not in page


def test_a_web_archive_is_one_item_and_the_summary_says_what_it_says_of_itself(
    test_data: Path, incident: Incident
) -> None:
    for path in sorted((test_data / "wacz").glob("*.wacz")):
        code, summary = ingest(path, incident)
        assert (code, [row["path"] for row in summary["ingested"]]) == (0, [path.name])
        item = Item.objects.get(accession=summary["ingested"][0]["accession"])
        assert bytes_of(item) == path.read_bytes()
        if path.name.startswith("valid"):
            (told,) = summary["web_archives"]
            assert (told["path"], told["page_count"] >= 1, told["faults"]) == (path.name, True, [])
    assert not Member.objects.exists()

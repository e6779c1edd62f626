"""Bundles: what leaves the archive is checked by its own verifier, on a machine without this project."""

import json
import shutil
import subprocess
import sys
import zipfile
from io import StringIO
from pathlib import Path

import bagit
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.permissions import NotNow
from cases import actions, bundles, export
from cases.models import Bundle, Exhibit
from cases.tasks import build
from custody.models import Event
from custody.sequencer import drain
from custody.signer import sign_head
from custody.vocabulary import Type
from evidence import store
from evidence.fixity import find
from evidence.vocabulary import FixityOutcome
from tests import factories
from tests.cases.makers import make_bundle, make_case, make_exhibit
from tests.cases.test_cases import COVERED, recorded_testimony

pytestmark = pytest.mark.django_db

SECRET_NAME = "interview with Umm Planted.mp4"
SECRET_SOURCE = "the planted neighbour"


def sealed_case() -> Exhibit:
    """A case file of two exhibits whose custody is under a signed head."""
    case = make_case()
    item = factories.make_item(
        case.compartment, data=b"a" * 3_000_000, name=SECRET_NAME, title="The square", source=SECRET_SOURCE
    )
    make_exhibit(case_file=case, item=item)
    return make_exhibit(case_file=case)


def signed() -> None:
    drain()
    sign_head()


def built(exhibit: Exhibit) -> Bundle:
    bundle = bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    signed()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    return bundle


def stranger_verifies(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier of the bundle itself with a bare interpreter: no packages, another folder, no environment."""
    verifier = folder / "data" / "verify" / "sanad-verify.pyz"
    return subprocess.run(
        [sys.executable, "-I", "-S", str(verifier), "verify", str(folder), *arguments],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        env={"PATH": "/usr/bin:/bin"},
        timeout=120,
    )


def unpacked(bundle: Bundle, browser: object, folder: Path) -> Path:
    answer = factories.signed_in(bundle.requested_by).post(reverse("cases:download_bundle", args=[bundle.pk]))
    archive = folder / "bundle.zip"
    archive.write_bytes(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def test_a_stranger_verifies_a_downloaded_bundle_and_finds_a_changed_byte(tmp_path: Path) -> None:
    bundle = built(sealed_case())
    assert (bundle.state, bundle.problem) == ("ready", "")
    folder = unpacked(bundle, None, tmp_path)
    assert bagit.Bag(str(folder)).is_valid()
    good = stranger_verifies(folder)
    assert (good.returncode, good.stderr) == (0, "")
    payload = next((folder / "data" / "items").rglob("*-000001.*"))
    payload.write_bytes(b"b" + payload.read_bytes()[1:])
    bad = stranger_verifies(folder)
    assert bad.returncode == 1
    assert payload.parent.name in bad.stdout


def test_what_could_name_a_person_stays_sealed_in_a_bundle(tmp_path: Path) -> None:
    folder = unpacked(built(sealed_case()), None, tmp_path)
    everything = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    names = "\n".join(str(path) for path in folder.rglob("*"))
    for secret in (SECRET_NAME, SECRET_SOURCE, "Umm Planted", "Person "):
        assert secret.encode() not in everything
        assert secret not in names


def test_an_exhibit_added_after_the_request_does_not_slip_into_the_bundle(tmp_path: Path) -> None:
    exhibit = make_exhibit()
    bundle = bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    late = make_exhibit(case_file=exhibit.case_file)
    signed()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    folder = unpacked(bundle, None, tmp_path)
    assert [path.name for path in (folder / "data" / "items").iterdir()] == [exhibit.item.accession]
    assert late.item.accession not in (folder / "data" / "case.json").read_text()


def test_an_exhibit_withdrawn_after_the_request_fails_the_bundle_by_its_number() -> None:
    exhibit = sealed_case()
    bundle = bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)
    actions.withdraw_exhibit(by=exhibit.added_by, at=timezone.now(), exhibit_id=exhibit.pk, reason="a mistake")
    signed()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert bundle.state == "failed"
    assert exhibit.number in bundle.problem


def test_a_bundle_tells_nothing_of_witnesses_and_other_cases(tmp_path: Path) -> None:
    item, given = recorded_testimony(**COVERED)
    testimony = given.witness.testimonies.get()
    ours, theirs = make_case(item.compartment), make_case(item.compartment)
    exhibit = make_exhibit(case_file=ours, item=item)
    make_exhibit(case_file=theirs, item=item)
    make_exhibit(case_file=theirs)
    bundles.export_outside(by=theirs.opened_by, at=timezone.now(), case_id=theirs.pk)
    folder = unpacked(built(exhibit), None, tmp_path)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.suffix in (".json", ".txt"))
    told = [str(theirs.pk), *(str(row.item_id) for row in theirs.exhibits.exclude(item=item))]
    told += [str(testimony.pk), str(testimony.witness_id), testimony.number]
    assert [secret for secret in told if secret.encode() in everything] == []
    left_out = json.loads((folder / "data" / "case.json").read_text())["exhibits"][0]["events_left_out"]
    assert left_out == 3  # its recording of the testimony, the exhibit and the export of the other case


def test_a_record_that_was_changed_by_hand_does_not_leave() -> None:
    exhibit = sealed_case()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE evidence_item SET title = 'rewritten' WHERE id = %s", [exhibit.item_id])
    bundle = built(exhibit)
    assert bundle.state == "failed"
    assert exhibit.item.accession in bundle.problem


def test_too_many_exhibits_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = sealed_case()
    monkeypatch.setattr(bundles, "MOST_EXHIBITS", 1)
    with pytest.raises(NotNow, match="at most 1"):
        bundles.request_bundle(by=exhibit.added_by, at=timezone.now(), case_id=exhibit.case_file_id)


def test_a_bundle_at_rest_is_ciphertext() -> None:
    bundle = built(sealed_case())
    assert bundle.blob is not None
    assert b"bagit.txt" not in store.path_of(bundle.blob.address).read_bytes()


def test_nothing_in_the_clear_is_left_behind(settings: object) -> None:
    built(sealed_case())
    assert list(Path(settings.SANAD_EXPORTS).glob("*")) == []  # type: ignore[attr-defined]


def test_a_worker_killed_in_the_middle_leaves_nothing_and_the_next_one_finishes(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    bundle = make_bundle()
    signed()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cases.tasks.zip_bundle", killed)
        with pytest.raises(KeyboardInterrupt):
            build(str(bundle.pk))
    bundle.refresh_from_db()
    assert bundle.state == "building"
    leftover = Path(settings.SANAD_EXPORTS) / f"{bundle.pk}.left"  # type: ignore[attr-defined]
    leftover.mkdir()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert bundle.state == "ready"
    assert not leftover.exists()


def test_a_changed_byte_in_the_store_fails_the_bundle_in_words() -> None:
    exhibit = sealed_case()
    path = store.path_of(exhibit.item.blob.address)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    bundle = built(exhibit)
    assert (bundle.state, bundle.blob) == ("failed", None)
    assert exhibit.item.accession in bundle.problem
    assert "now have SHA-256" in bundle.problem
    assert Event.objects.filter(type=Type.CREATE, outcome="failure").exists()


def test_a_bundle_waits_for_the_signed_head_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "WAIT", 0.0)
    bundle = make_bundle()
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert bundle.state == "failed"
    assert "sequencer" in bundle.problem


def test_an_item_verifies_after_it_was_an_exhibit_that_changed_and_left_in_bundles() -> None:
    exhibit = sealed_case()
    by = exhibit.case_file.opened_by
    actions.edit_exhibit(by=by, at=timezone.now(), exhibit_id=exhibit.pk, changes={"relevance": "Shows the road."})
    made = built(exhibit)
    again = bundles.request_bundle(by=by, at=timezone.now(), case_id=exhibit.case_file_id)
    bundles.cancel_bundle(by=by, at=timezone.now(), bundle_id=again.pk)
    bundles.download_bundle(by=made.requested_by, at=timezone.now(), bundle_id=made.pk)
    signed()
    assert find(exhibit.item).outcome == FixityOutcome.OK


def test_a_cancelled_bundle_is_not_built() -> None:
    bundle = make_bundle()
    signed()
    bundles.cancel_bundle(by=bundle.requested_by, at=timezone.now(), bundle_id=bundle.pk)
    build(str(bundle.pk))
    bundle.refresh_from_db()
    assert (bundle.state, bundle.blob) == ("cancelled", None)
    with pytest.raises(NotNow):
        bundles.download_bundle(by=bundle.requested_by, at=timezone.now(), bundle_id=bundle.pk)


def test_each_download_is_a_custody_event_of_every_item_in_it() -> None:
    bundle = built(sealed_case())
    for _ in range(2):
        bundles.download_bundle(by=bundle.requested_by, at=timezone.now(), bundle_id=bundle.pk)
    assert Event.objects.filter(type=Type.EXPORT).count() == 2


def test_progress_and_page_of_a_bundle_tell_how_far_it_is() -> None:
    bundle = make_bundle()
    browser = factories.signed_in(bundle.requested_by)
    progress = browser.get(reverse("cases:bundle_progress", args=[bundle.pk])).json()
    assert (progress["state"], progress["done"], progress["total"]) == ("waiting", 0, 1)
    signed()
    build(str(bundle.pk))
    assert browser.get(reverse("cases:bundle_progress", args=[bundle.pk])).json()["state"] == "done"
    assert "sanad-verify.pyz" in browser.get(reverse("cases:bundle", args=[bundle.pk])).text


@pytest.mark.parametrize("name", ["case", "case.zip"])
def test_the_command_exports_to_a_folder_and_to_a_zip_that_the_ledger_package_verifies(
    name: str, tmp_path: Path
) -> None:
    exhibit = sealed_case()
    case = exhibit.case_file
    out = StringIO()

    def export_to(target: Path) -> None:
        call_command("export", case.code, "--as", exhibit.added_by.username, "--to", str(target), "--json", stdout=out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cases.management.commands.export.build", signing(export.build))
        export_to(tmp_path / name)
    result = json.loads(out.getvalue())
    assert result["items"] == 2
    away = tmp_path / "away"
    shutil.copytree(Path(export.__file__).parent.parent / "ledger", away / "ledger")
    verdict = subprocess.run(
        [sys.executable, "-m", "ledger", "verify", str(tmp_path / name), "--vkey", result["vkey"]],
        capture_output=True,
        text=True,
        cwd=away,
        env={"PATH": "/usr/bin:/bin"},
        timeout=120,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    with pytest.raises(CommandError, match="there already"):
        export_to(tmp_path / name)


def signing(function: object) -> object:
    """The function, after what is pending was sequenced and signed: the sequencer's part, which runs beside."""

    def run(*arguments: object, **options: object) -> object:
        signed()
        return function(*arguments, **options)  # type: ignore[operator]

    return run


def test_the_command_refuses_whoever_may_not_export(tmp_path: Path) -> None:
    exhibit = sealed_case()
    outsider = factories.make_user()
    with pytest.raises(CommandError, match="no case file"):
        call_command("export", exhibit.case_file.code, "--as", outsider.username, "--to", str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()

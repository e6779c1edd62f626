"""Looking into untrusted bytes: in the real sandbox, on real and on hostile files."""

import hashlib
import io
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from PIL import Image
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from custody.models import Event
from custody.story import story
from custody.vocabulary import Type
from evidence import actions, blobs, examiner, jobs, sandbox, tasks
from evidence.media_types import chosen, disagree
from evidence.models import Derivative, Item
from tests import factories
from tests.evidence.makers import photograph


def run_inside(program: str) -> subprocess.CompletedProcess[bytes]:
    """A program of ours in the sandbox's isolation, in place of the examiner."""
    argv = [*sandbox._isolation(), "--", str(sandbox._python()), "-I", "-S", "-B", "-c", program]
    return subprocess.run(argv, capture_output=True, env={}, timeout=60)


def test_the_sandbox_works_on_this_machine() -> None:
    sandbox.ensure_available()


def test_inside_there_is_no_network_no_data_no_environment_and_nothing_to_write(settings: Any) -> None:
    program = f"""
import json, os, socket
def tried(act):
    try:
        act()
        return "possible"
    except OSError as problem:
        return type(problem).__name__
found = {{
    "data": os.path.exists({str(settings.SANAD_DATA)!r}),
    "project": os.path.exists({str(settings.BASE_DIR / "manage.py")!r}),
    "passwd": os.path.exists("/etc/passwd"),
    "home": os.path.exists("/root/.profile") or os.path.exists("/home"),
    "proc": os.path.exists("/proc/1"),
    "environment": sorted(os.environ),
    "network": tried(lambda: socket.create_connection(("1.1.1.1", 53), 1)),
    "write": tried(lambda: open("/written", "w")),
    "write tmp": tried(lambda: open("/tmp/written", "w")),
    "interfaces": [name for _, name in socket.if_nameindex()],
}}
print(json.dumps(found))
"""
    done = run_inside(program)
    found = json.loads(done.stdout)
    assert found.pop("environment") in (["LC_ALL"], ["LC_ALL", "PWD"])
    assert found.pop("interfaces") == ["lo"]
    for name in ("network", "write", "write tmp"):
        assert found.pop(name) != "possible", name
    assert set(found.values()) == {False}, found


def test_the_examiner_takes_away_its_own_memory_files_and_processes() -> None:
    script = Path(examiner.__file__).read_text().replace('if __name__ == "__main__":\n    main(sys.argv[1])', "")
    for act, name in (("bytearray(4 << 30)", "MemoryError"), ("open('/x', 'w')", "OSError")):
        program = f"""{script}
for limit, value in LIMITS.items():
    resource.setrlimit(limit, (value, value))
try:
    {act}
except (MemoryError, OSError) as problem:
    print(type(problem).__name__ if isinstance(problem, MemoryError) else "OSError")
"""
        assert run_inside(program).stdout.decode().strip() == name


def chunks(data: bytes) -> list[bytes]:
    return [data[at : at + 65_536] for at in range(0, len(data), 65_536)]


#: The share of files in each folder that are images which can be shown.
LEAST_PREVIEWS = {"exif": 0.9, "c2pa": 0.5, "proofmode": 0.2, "nasty": 0.15}
#: Into how many tests a folder's files are dealt, so that they can run beside each other.
SHARES = {"exif": 1, "c2pa": 2, "proofmode": 1, "nasty": 6}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("folder", "share"),
    [("exif", 0), ("c2pa", 0), ("c2pa", 1), ("proofmode", 0), *(("nasty", share) for share in range(6))],
)
def test_every_real_and_hostile_file_is_kept_bit_identical_and_examined(
    folder: str, share: int, test_data: Path
) -> None:
    place = factories.make_compartment()
    by = factories.make_user(Role.INVESTIGATOR, place)
    files = [path for path in sorted((test_data / folder).rglob("*")) if path.is_file()]
    files = files[share :: SHARES[folder]]
    assert files
    previews = 0
    for path in files:
        item = factories.make_item(place, by=by, data=path.read_bytes() or b"\n", name=path.name)
        tasks.examine(str(item.pk))
        item = Item.objects.select_related("blob").get(pk=item.pk)
        kept = hashlib.sha256(b"".join(blobs.read_blob(item.blob))).hexdigest()
        assert kept == hashlib.sha256(path.read_bytes() or b"\n").hexdigest() == item.sha256, path
        assert item.examined_at is not None, path
        assert item.media_type_libmagic, path
        assert "namespace" not in item.examination_problem
        preview = Derivative.objects.filter(item=item).select_related("blob").first()
        if preview is not None:
            with Image.open(io.BytesIO(b"".join(blobs.read_blob(preview.blob)))) as picture:
                assert picture.format == "WEBP"
                assert max(picture.size) <= examiner.PREVIEW_SIDE
                assert not picture.getexif()
            previews += 1
    assert previews >= len(files) * LEAST_PREVIEWS[folder]


def test_claims_of_a_real_phone_are_read(test_data: Path) -> None:
    path = test_data / "exif" / "jpg" / "gps" / "DSCN0012.jpg"
    found = sandbox.examine(chunks(path.read_bytes()))
    assert found.claims["make"] == "NIKON"
    assert found.claims["model"] == "COOLPIX P6000"
    assert found.claims["created"].startswith("2008-10-22T16:")
    assert abs(float(found.claims["gps_latitude"]) - 43.467) < 0.01
    assert abs(float(found.claims["gps_longitude"]) - 11.885) < 0.01


def test_heic_and_tiff_get_a_preview_every_browser_shows(test_data: Path) -> None:
    for name in ("heic", "tiff"):
        path = next(path for path in sorted((test_data / "exif" / name).rglob("*")) if path.is_file())
        found = sandbox.examine(chunks(path.read_bytes()))
        assert found.preview[:4] == b"RIFF", path


def test_a_preview_stands_upright_and_carries_nothing_of_the_metadata() -> None:
    made = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secret Phone"
    Image.new("RGB", (400, 200), (200, 0, 0)).save(made, "JPEG", exif=exif)
    found = sandbox.examine([made.getvalue()])
    with Image.open(io.BytesIO(found.preview)) as picture:
        assert picture.size == (200, 400)
    assert b"Secret Phone" not in found.preview
    assert found.claims["make"] == "Secret Phone"


def test_a_position_south_and_west_is_negative_and_nonsense_is_no_position() -> None:
    assert examiner.degrees((33, 30, 0), "S", "S") == "-33.500000"
    assert examiner.degrees((70, 15, 36), b"W", "W") == "-70.260000"
    assert examiner.degrees((91, 0, 0), "N", "S") == ""
    assert examiner.degrees((float("nan"), 0, 0), "N", "S") == ""
    assert examiner.degrees(None, "N", "S") == ""
    assert examiner.gps_time("2025:03:08", (2, 10, 30.5)) == "2025-03-08T02:10:30Z"
    assert examiner.with_offset("2025:03:08 05:10:00", "+03:00", "12") == "2025-03-08T05:10:00.12+03:00"
    assert examiner.with_offset("    :  :     :  :  ", None, None) == ": : : :"


def test_a_picture_too_large_to_open_safely_gets_a_reason_and_no_preview() -> None:
    made = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(made, "PNG")
    found = sandbox.examine(chunks(made.getvalue()))
    assert (found.libmagic, found.preview) == ("image/png", b"")
    assert "DecompressionBomb" in found.problem


def test_only_the_beginning_of_a_large_file_is_read_unless_it_is_an_image() -> None:
    given = 0

    def film() -> Any:
        nonlocal given
        for _ in range(500):
            given += 1 << 20
            yield b"\x00\x00\x00\x18ftypmp42" + bytes((1 << 20) - 12)

    found = sandbox.examine(film())
    assert "mp4" in found.libmagic
    assert given < 20 << 20


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"", sandbox.Examination()),
        (b"libmagic 9999999\nimage/png", sandbox.Examination()),
        (b"libmagic 15\nimage/png\r\nX: y\n", sandbox.Examination()),
        (b"libmagic 9\nimage/png", sandbox.Examination(libmagic="image/png")),
        (b'claims 12\n{"make": [1]}', sandbox.Examination()),
        (b'claims 20\n{"<script>": "hello"}', sandbox.Examination()),
        (b'claims 20\n{"make": "a\\u202eb"} ', sandbox.Examination(claims={"make": "ab"})),
        (b"preview 6\n<html>", sandbox.Examination()),
        (b"preview 16\nRIFF\x08\x00\x00\x00WEBPxxxx", sandbox.Examination(preview=b"RIFF\x08\x00\x00\x00WEBPxxxx")),
    ],
)
def test_what_the_sandbox_says_is_not_believed(output: bytes, expected: sandbox.Examination) -> None:
    found = sandbox._parsed(output + b"end 0\n" if output else output, "" if output else "it broke off")
    assert (found.puremagic, found.libmagic, found.claims, found.preview) == (
        expected.puremagic,
        expected.libmagic,
        expected.claims,
        expected.preview,
    )


def test_an_examiner_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "examiner.py"
    slow.write_text("import sys, time\nsys.stdin.buffer.read(10)\ntime.sleep(600)\n")
    monkeypatch.setattr(examiner, "__file__", str(slow))
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    found = sandbox.examine([b"x" * 100])
    assert found.problem == "the examination took too long and was stopped"


def test_an_examiner_that_never_stops_talking_is_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loud = tmp_path / "examiner.py"
    loud.write_text("import sys\nwhile True: sys.stdout.buffer.write(b'x' * 65536)\n")
    monkeypatch.setattr(examiner, "__file__", str(loud))
    found = sandbox.examine([b"x"])
    assert "broke off" in found.problem
    assert (found.libmagic, found.preview) == ("", b"")


def test_an_examiner_that_crashes_keeps_what_it_found_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    crashing = tmp_path / "examiner.py"
    crashing.write_text(
        "import os, sys\nsys.stdout.buffer.write(b'libmagic 9\\nimage/png'); sys.stdout.flush(); os.abort()\n"
    )
    monkeypatch.setattr(examiner, "__file__", str(crashing))
    found = sandbox.examine([b"x" * 5_000_000])
    assert (found.libmagic, found.problem) == (
        "image/png",
        "the examination broke off: these bytes made a parser fail",
    )


@pytest.mark.django_db
def test_where_namespaces_are_denied_nothing_is_parsed_and_the_item_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_isolation", lambda: ["/bin/false"])
    sandbox.ensure_available.cache_clear()
    try:
        item = factories.make_item(data=photograph())
        tasks.examine(str(item.pk))
    finally:
        sandbox.ensure_available.cache_clear()
    item.refresh_from_db()
    assert item.examination_problem.startswith("not examined: no isolated process can be started here")
    assert (item.media_type_libmagic, item.media_type_puremagic, item.sealed_claims) == ("", "", None)
    assert not Derivative.objects.exists()


@pytest.mark.django_db
def test_an_examination_is_written_once_with_an_event_for_each_thing_found() -> None:
    item = factories.make_item(data=photograph())
    tasks.examine(str(item.pk))
    told = [line.type for line in story("item", item.pk)]
    assert told[0] == Type.RECEIVE
    assert set(told[1:]) == {Type.IDENTIFY, Type.EXTRACT, Type.CREATE}
    assert len(told) == 4
    tasks.examine(str(item.pk))
    actions.record_examination(
        at=timezone.now(), item_id=item.pk, puremagic="text/html", libmagic="text/html", claims=None, problem=""
    )
    assert Event.objects.filter(type=Type.IDENTIFY).count() == 1
    item.refresh_from_db()
    assert (item.media_type, item.kind) == ("image/jpeg", "photo")


@pytest.mark.django_db
def test_a_kind_that_a_person_gave_is_not_overwritten() -> None:
    item = factories.make_item(data=photograph(), kind="document")
    tasks.examine(str(item.pk))
    item.refresh_from_db()
    assert item.kind == "document"


@pytest.mark.django_db
def test_receiving_asks_for_the_examination_and_a_rollback_takes_the_wish_back(monkeypatch: pytest.MonkeyPatch) -> None:
    item = factories.make_item()
    asked = ProcrastinateJob.objects.filter(task_name=jobs.EXAMINE, args__item_id=str(item.pk))
    assert asked.count() == 1
    before = ProcrastinateJob.objects.count()
    monkeypatch.setattr(actions, "record", lambda *_, **__: (_ for _ in ()).throw(RuntimeError))
    with pytest.raises(RuntimeError):
        factories.make_item(item.compartment, by=item.received_by)
    assert ProcrastinateJob.objects.count() == before


@pytest.mark.django_db
def test_items_left_lying_are_asked_for_again_once() -> None:
    lying, fresh = factories.make_item(), factories.make_item()
    Item.objects.filter(pk=lying.pk).update(received_at=timezone.now() - timedelta(hours=1))
    tasks.examine_left_lying(timestamp=0)
    tasks.examine_left_lying(timestamp=0)
    again = ProcrastinateJob.objects.filter(queueing_lock__isnull=False)
    assert [job.args["item_id"] for job in again] == [str(lying.pk)]
    assert str(fresh.pk) not in str([job.args for job in again])


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("image/jpeg", "image/jpeg", False),
        ("image/x-ms-bmp", "image/bmp", False),
        ("audio/x-wav", "audio/wav", False),
        ("application/octet-stream", "application/pdf", False),
        ("", "image/png", False),
        ("text/x-rpm-spec", "text/plain", False),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip", False),
        ("application/pdf", "text/html", True),
        ("image/gif", "application/x-dosexec", True),
        ("image/jpeg", "application/zip", True),
        ("application/pdf", "text/plain", True),
    ],
)
def test_two_identifiers_disagree_only_when_both_know_something_else(one: str, other: str, conflict: bool) -> None:
    assert disagree(one, other) is disagree(other, one) is conflict


def test_the_recorded_type_is_the_one_that_somebody_knows() -> None:
    assert chosen("application/pdf", "application/octet-stream") == "application/pdf"
    assert chosen("application/pdf", "text/html") == "text/html"
    assert chosen("", "") == "application/octet-stream"


@pytest.mark.django_db(transaction=True)
def test_the_job_of_a_killed_worker_goes_to_a_living_one_and_is_done() -> None:
    """A worker takes the job and is killed before it can say anything; its heart has stopped for two minutes."""
    item = factories.make_item(data=photograph())
    with connection.cursor() as cursor:
        cursor.execute("SELECT worker_id FROM procrastinate_register_worker_v1() AS worker_id")
        (worker,) = cursor.fetchone()
        cursor.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, %s)", [worker])
        assert cursor.fetchone()[0] is not None
        cursor.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 minutes' WHERE id = %s", [worker]
        )
    held = ProcrastinateJob.objects.get(task_name=jobs.EXAMINE)
    assert held.status == "doing"
    async_to_sync(tasks.take_over_from_the_dead.func)(timestamp=0)
    held.refresh_from_db()
    assert held.status == "todo"
    call_command("procrastinate", "worker", "--one-shot")
    item.refresh_from_db()
    assert item.media_type == "image/jpeg"

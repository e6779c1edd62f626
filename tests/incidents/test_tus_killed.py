"""Resumable uploads through kills: whatever step dies, what was acknowledged goes on, and one item comes of it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from custody.models import Event
from custody.vocabulary import Type
from evidence import blobs
from evidence.models import Blob, Item
from incidents import tasks
from incidents.models import Upload
from tests.incidents.tus_sender import Sender, row

pytestmark = pytest.mark.django_db(transaction=True)
FILE = os.urandom(4_500_000)
KEPT = 1_700_000  # bytes that were acknowledged before the request that is killed

DYING = """
import os, sys
import django
django.setup()
from incidents import finishing, lines, receiving
from incidents.models import Upload
from evidence import blobs, staging, store
step, upload_id, path = sys.argv[1:4]
die = lambda *_, **__: os.kill(os.getpid(), 9)

def dies_after(place, name):
    whole = getattr(place, name)
    def done(*given, **named):
        whole(*given, **named)
        die()
    setattr(place, name, done)

if step == "while bytes arrive":
    dies_after(staging.Staged, "write")
if step == "before the flush":
    staging.Staged.keep = die
if step == "after the flush":
    dies_after(staging.Staged, "keep")
if step == "before the offset is committed":
    receiving.change = die
if step == "after the offset is committed":
    receiving.staging.forget_tail = die
if step == "after the last segment":
    dies_after(staging.Staged, "complete")
if step == "before the job":
    receiving.jobs.defer_upload = die
if step == "before storing":
    store.put = die
if step == "after storing":
    dies_after(store, "put")
if step == "after reading back":
    dies_after(blobs, "read_back")
if step == "before the item":
    finishing.uploads.record_received = die
if step == "after the item, before the commit":
    dies_after(finishing.uploads, "record_received")
if step == "after the commit":
    finishing.staging.forget = die
if step == "under a new key":
    dies_after(receiving.staging, "under_a_new_key")

upload = Upload.objects.get(pk=upload_id)
if upload.state == "receiving":
    with open(path, "rb") as handle:
        handle.seek(upload.offset)
        length = int(sys.argv[4]) - upload.offset
        line = lines.Line(upload.pk, handle.read, length, silence=5)
        receiving.receive(upload, line, at_offset=upload.offset, checksum=None, sha256="")
finishing.finish(upload.pk)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(FILE)
    return path


def die(step: str, upload: Upload, file: Path, upto: int) -> None:
    """Go on with the upload up to a byte in a process that kills itself at a step."""
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.evidence.subprocess_settings",
        "SANAD_TESTED_DATABASE": str(connection.settings_dict["NAME"]),
    }
    argv = [sys.executable, "-c", DYING, step, str(upload.pk), str(file), str(upto)]
    ended = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, cwd=settings.BASE_DIR)
    assert ended.returncode == -9, f"{step} was not reached: {ended.stderr}"


def one_item_came_of(url: str, *, left: int = 0) -> None:
    item = Item.objects.get()
    upload = row(url)
    assert (upload.state, upload.item) == ("held", item)
    assert b"".join(blobs.read_blob(item.blob)) == FILE
    assert item.sha256 == hashlib.sha256(FILE).hexdigest()
    assert Event.objects.filter(type=Type.RECEIVE).count() == Blob.objects.count() == 1
    assert len(list(Path(settings.SANAD_STAGING).glob(f"{upload.blob_id}*"))) == left


@pytest.mark.parametrize(
    ("step", "acknowledged"),
    [
        ("while bytes arrive", KEPT),
        ("before the flush", KEPT),
        ("after the flush", KEPT),
        ("before the offset is committed", KEPT),
        ("after the offset is committed", 3_900_000),
    ],
)
def test_a_request_that_is_killed_loses_nothing_that_was_acknowledged(step: str, acknowledged: int, file: Path) -> None:
    sender = Sender()
    url = sender.begin(len(FILE), FILE[:KEPT])["Location"]
    before = row(url).blob_id
    die(step, row(url), file, 3_900_000)
    assert sender.head(url)["Upload-Offset"] == str(acknowledged)
    for start, stop in ((acknowledged, 4_000_000), (4_000_000, len(FILE))):
        assert sender.patch(url, start, FILE[start:stop]).status_code == 204
    stray = int(step == "after the offset is committed")  # the tail before it: the reconciler's
    one_item_came_of(url, left=stray)
    assert (row(url).blob_id == before) is (acknowledged != KEPT)  # what was cut down goes on under another key
    assert len(list(Path(settings.SANAD_STAGING).glob(f"{before}*"))) == stray


def test_one_that_is_killed_while_it_goes_on_under_a_new_key_is_followed_by_a_third(file: Path) -> None:
    sender = Sender()
    url = sender.begin(len(FILE), FILE[:KEPT])["Location"]
    die("while bytes arrive", row(url), file, len(FILE))
    die("under a new key", row(url), file, len(FILE))
    assert sender.patch(url, KEPT, FILE[KEPT:]).status_code == 204
    one_item_came_of(url)


@pytest.mark.parametrize(
    ("step", "arrived"),
    [
        ("after the last segment", False),
        ("before the job", False),
        ("before storing", True),
        ("after storing", True),
        ("after reading back", True),
        ("before the item", True),
        ("after the item, before the commit", True),
        ("after the commit", True),
    ],
)
def test_finishing_that_is_killed_is_done_once_by_whoever_comes_next(step: str, arrived: bool, file: Path) -> None:
    sender = Sender()
    url = sender.begin(len(FILE), FILE[:KEPT])["Location"]
    die(step, row(url), file, len(FILE))
    assert sender.head(url)["Upload-Offset"] == str(len(FILE) if arrived else KEPT)
    assert Item.objects.exists() is (step == "after the commit")
    if not arrived:
        assert sender.patch(url, KEPT, FILE[KEPT:]).status_code == 204
    tasks.finish_upload(str(row(url).pk))
    assert sender.patch(url, len(FILE), b"").status_code == 204
    one_item_came_of(url, left=1 if step == "after the commit" else 0)  # the reconciler's

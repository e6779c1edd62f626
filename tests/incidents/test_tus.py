"""Resumable uploads: what the protocol promises, request by request."""

import base64
import hashlib
import os
from datetime import timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from custody.story import story
from evidence import blobs
from evidence.models import Item
from incidents.models import Link, Upload
from tests.incidents.tus_sender import Sender, encoded, key, row

pytestmark = pytest.mark.django_db
FILE = os.urandom(3_300_000)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def plain(item: Item) -> bytes:
    return b"".join(blobs.read_blob(item.blob))


def test_a_file_in_three_parts_becomes_an_item_with_the_same_bytes(sender: Sender) -> None:
    url = sender.begun(len(FILE))
    cuts = (0, 700_000, 2_500_001, len(FILE))
    for start, stop in pairwise(cuts):
        assert sender.head(url)["Upload-Offset"] == str(start)
        answer = sender.patch(url, start, FILE[start:stop])
        assert answer.status_code == 204, answer.content
        assert answer["Upload-Offset"] == str(stop)
        assert answer["Cache-Control"] == "no-store"
    told = sender.state(url)
    item = Item.objects.get()
    assert (told["state"], told["offset"], told["length"], told["problem"]) == ("held", len(FILE), len(FILE), None)
    assert told["item"]["accession"] == item.accession
    assert told["item"]["sha256"] == hashlib.sha256(FILE).hexdigest() == item.sha256
    assert plain(item) == FILE
    assert item.original_name == "scene.jpg"
    assert Link.objects.get(item=item).incident == sender.incident


def test_a_file_may_come_with_its_creation(sender: Sender) -> None:
    answer = sender.begin(len(FILE), FILE[:1_000_000])
    assert (answer.status_code, answer["Upload-Offset"]) == (201, "1000000")
    assert sender.patch(answer["Location"], 1_000_000, FILE[1_000_000:]).status_code == 204
    assert plain(Item.objects.get()) == FILE
    whole = sender.begin(5, b"whole")
    assert (whole.status_code, whole["Upload-Offset"]) == (201, "5")
    assert sender.state(whole["Location"])["item"]["size"] == 5


def test_an_empty_file_is_whole_when_it_is_begun(sender: Sender) -> None:
    url = sender.begun(0)
    assert sender.state(url)["state"] == "held"
    assert plain(Item.objects.get()) == b""


def test_what_the_server_can_do_is_told(sender: Sender) -> None:
    answer = sender.ask("OPTIONS", "/api/v1/uploads/tus/", Tus_Resumable=None)
    assert answer.status_code == 204
    assert answer["Tus-Resumable"] == answer["Tus-Version"] == "1.0.0"
    assert set(answer["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "checksum",
        "expiration",
        "termination",
    }
    assert int(answer["Tus-Max-Size"]) == 64 * 2**30
    assert {"sha256", "sha1", "md5"} <= set(answer["Tus-Checksum-Algorithm"].split(","))


def test_head_tells_offset_length_expiry_and_what_was_said(sender: Sender) -> None:
    url = sender.begun(100)
    sender.patch(url, 0, b"x" * 40)
    answer = sender.head(url)
    assert (answer["Upload-Offset"], answer["Upload-Length"], answer["Cache-Control"]) == ("40", "100", "no-store")
    assert parsedate_to_datetime(answer["Upload-Expires"]) > timezone.now() + timedelta(days=6)
    assert answer["Upload-Metadata"] == encoded(intake=sender.intake, filename="scene.jpg")
    assert b"scene.jpg" not in bytes(row(url).sealed_metadata)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_of_the_protocol_is_refused_with_ours(sender: Sender, method: str) -> None:
    url = "/api/v1/uploads/tus/" if method == "POST" else sender.begun(10)
    answer = sender.ask(method, url, Tus_Resumable="0.2.2", Upload_Offset=0, Upload_Length=10)
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")


def test_only_the_next_offset_is_taken(sender: Sender) -> None:
    url = sender.begun(100)
    sender.patch(url, 0, b"a" * 60)
    for offset in (0, 59, 61, 99):
        answer = sender.patch(url, offset, b"b")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_now"), offset
    for nonsense in ("", "-1", "x", "99999999999999999999"):
        assert sender.patch(url, 0, b"b", Upload_Offset=nonsense).status_code == 400, nonsense
    assert sender.head(url)["Upload-Offset"] == "60"


def test_more_than_was_announced_is_refused(sender: Sender) -> None:
    url = sender.begun(10)
    answer = sender.patch(url, 0, b"eleven byte")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_long")
    assert sender.head(url)["Upload-Offset"] == "0"
    sender.patch(url, 0, b"ten bytes!")
    assert plain(Item.objects.get()) == b"ten bytes!"


def test_a_part_of_another_type_or_encoding_is_refused(sender: Sender) -> None:
    url = sender.begun(10)
    for headers in ({"Content_Type": "application/octet-stream"}, {"Content_Encoding": "gzip"}):
        assert sender.patch(url, 0, b"ten bytes!", **headers).status_code == 415
    assert sender.begin(10, b"ten bytes!", Content_Type="application/json").status_code == 415


def test_a_method_may_be_named_in_a_header(sender: Sender) -> None:
    url = sender.begun(4)
    answer = sender.ask("POST", url, b"four", Upload_Offset=0, X_HTTP_Method_Override="PATCH")
    assert answer.status_code == 204
    assert plain(Item.objects.get()) == b"four"


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5", "sha512"])
def test_a_part_counts_only_when_its_checksum_fits(sender: Sender, algorithm: str) -> None:
    def checksum(data: bytes) -> str:
        return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"

    url = sender.begun(len(FILE))
    blob_id = row(url).blob_id
    first, rest = FILE[:1_500_000], FILE[1_500_000:]
    answer = sender.patch(url, 0, first, Upload_Checksum=checksum(first[:-1] + b"?"))
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_mismatch")
    assert sender.head(url)["Upload-Offset"] == "0"
    assert sender.patch(url, 0, first, Upload_Checksum=checksum(first)).status_code == 204
    assert sender.patch(url, len(first), rest[:-1] + b"?", Upload_Checksum=checksum(rest)).status_code == 460
    assert sender.patch(url, len(first), rest, Upload_Checksum=checksum(rest)).status_code == 204
    assert plain(Item.objects.get()) == FILE
    assert row(url).blob_id == blob_id  # a wrong part made no segment: nothing had to be written anew


@pytest.mark.parametrize("said", ["crc32 AAAA", "sha256", "sha256 !!!", "sha256 AAAA", "sha1 " + "A" * 44])
def test_a_checksum_that_is_none_is_refused(sender: Sender, said: str) -> None:
    url = sender.begun(4)
    assert sender.patch(url, 0, b"four", Upload_Checksum=said).status_code == 400
    assert sender.head(url)["Upload-Offset"] == "0"


def test_an_upload_may_be_given_up(sender: Sender) -> None:
    url = sender.begun(len(FILE))
    sender.patch(url, 0, FILE[:2_000_000])
    blob_id = row(url).blob_id
    assert list(Path(settings.SANAD_STAGING).glob(f"{blob_id}*"))
    assert sender.ask("DELETE", url).status_code == 204
    assert not list(Path(settings.SANAD_STAGING).glob(f"{blob_id}*"))
    assert sender.head(url).status_code == sender.patch(url, 2_000_000, b"x").status_code == 404
    held = sender.begin(4, b"four")["Location"]
    assert sender.ask("DELETE", held).status_code == 409


HOSTILE = [
    "",
    "intake",
    "intake !!!!",
    "intake bm90IGEgdXVpZA==",
    f"filename {base64.b64encode(b'x').decode()}",
    "a YQ==," * 40,
    "in take YQ==",
    "\u202eintake YQ==",
    "intake " + base64.b64encode(b"\xff" * 40).decode(),
    "x " + "A" * 9_000,
]


@pytest.mark.parametrize("metadata", HOSTILE)
def test_what_is_said_badly_is_named_before_a_byte_is_taken(sender: Sender, metadata: str) -> None:
    answer = sender.begin(10, Upload_Metadata=metadata.encode("utf-8").decode("latin-1"))
    assert answer.status_code == 400
    assert {"intake", "Upload-Metadata"} & set(answer.json())
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"key": "not a uuid"}, "key"), ({"sha256": "abc"}, "sha256"), ({"sha256": "é"}, "sha256")],
)
def test_a_wrong_value_is_named_by_its_key(sender: Sender, wrong: dict[str, str], field: str) -> None:
    answer = sender.begin(10, Upload_Metadata=encoded(intake=sender.intake, **wrong))
    assert answer.status_code == 400
    assert field in answer.json()


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("صورة.jpg".encode(), "صورة.jpg"),
        (b"../../etc/passwd", "passwd"),
        (b"\xff\xfe\x00name", "%FF%FEname"),
        (b"", "unnamed"),
    ],
)
def test_a_file_name_of_any_bytes_is_kept_as_a_name(sender: Sender, raw: bytes, kept: str) -> None:
    answer = sender.begin(1, b"x", Upload_Metadata=encoded(intake=sender.intake, filename=raw))
    assert answer.status_code == 201, answer.content
    assert Item.objects.get().original_name == kept


@pytest.mark.parametrize("said", ["1741410600000", "2025-03-08T06:10:00+01:00"])
def test_the_time_of_the_file_is_recorded_as_what_it_is(sender: Sender, said: str) -> None:
    sender.begin(1, b"x", Upload_Metadata=encoded(intake=sender.intake, modified=said))
    reception = story("item", Item.objects.get().pk)[0]
    assert "2025-03-08T05:10:00+00:00" in reception.fields["purpose"]


@pytest.mark.parametrize("headers", [{"Upload_Defer_Length": "1"}, {"Upload_Concat": "partial"}])
def test_what_is_not_announced_is_not_done(sender: Sender, headers: dict[str, Any]) -> None:
    answer = sender.begin(10, **headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported")


def whole(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@pytest.mark.parametrize("as_hex", [True, False])
def test_a_digest_declared_at_the_beginning_must_hold_in_the_end(sender: Sender, as_hex: bool) -> None:
    digest = hashlib.sha256(b"four").digest()
    said = encoded(intake=sender.intake, sha256=digest.hex() if as_hex else base64.b64encode(digest))
    good = sender.begin(4, b"four", Upload_Metadata=said)["Location"]
    assert sender.state(good)["state"] == "held"
    refused = sender.begin(4, b"five", Upload_Metadata=said)
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch")
    bad = f"/api/v1/uploads/tus/{Upload.objects.get(state='failed').pk}/"
    told = sender.state(bad)
    assert (told["state"], told["problem"]["code"], told["item"]) == ("failed", "digest_mismatch", None)
    assert Item.objects.count() == 1
    assert bytes(row(bad).wrapped_key) == b""
    assert not list(Path(settings.SANAD_STAGING).glob(f"{row(bad).blob_id}*"))


def test_a_file_whose_bytes_were_thrown_away_is_never_told_as_held(sender: Sender) -> None:
    said = encoded(intake=sender.intake, sha256=hashlib.sha256(b"four").hexdigest())
    url = sender.begun(4, Upload_Metadata=said)
    answer = sender.patch(url, 0, b"five")
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert "Upload-Offset" not in answer
    assert sender.head(url).status_code == 410
    assert sender.patch(url, 4, b"").status_code == 409


def test_a_known_key_takes_a_digest_and_holds_it_against_what_is_there(sender: Sender) -> None:
    used = key()

    def begin(data: bytes) -> Any:
        said = encoded(intake=sender.intake, key=str(used), sha256=hashlib.sha256(data).hexdigest())
        return sender.begin(4, Upload_Metadata=said)

    url = sender.begin(4, key=used)["Location"]
    assert begin(b"four").status_code == 200
    assert begin(b"five").status_code == 409
    assert sender.patch(url, 0, b"five").status_code == 422
    assert sender.begin(4, b"four", key=used).status_code == 201
    assert begin(b"four").status_code == 200
    assert begin(b"five").status_code == 409


def test_a_known_key_is_no_success_once_its_item_left_the_incident(sender: Sender) -> None:
    used = key()
    assert sender.begin(4, b"four", key=used).status_code == 201
    Link.objects.update(withdrawn_at=timezone.now(), withdrawn_by=sender.incident.opened_by, withdrawn_reason="x")
    assert sender.begin(4, key=used).status_code == 409


def test_a_digest_may_be_told_with_a_later_part_and_only_one(sender: Sender) -> None:
    url = sender.begun(8)
    assert sender.patch(url, 0, b"four", Repr_Digest=whole(b"fourfive")).status_code == 204
    assert sender.patch(url, 4, b"five", Repr_Digest=whole(b"another!")).status_code == 409
    assert sender.patch(url, 4, b"five").status_code == 204
    assert sender.state(url)["state"] == "held"
    assert sender.patch(url, 8, b"", Repr_Digest=whole(b"fourfive")).status_code == 204
    assert sender.patch(url, 8, b"", Repr_Digest=whole(b"another!")).status_code == 422


def test_a_client_that_lost_its_state_goes_on_by_its_key(sender: Sender) -> None:
    used = key()
    first = sender.begin(len(FILE), FILE[:1_100_000], key=used)
    again = sender.begin(len(FILE), FILE[:1_100_000], key=used)
    assert (again.status_code, again["Location"], again["Upload-Offset"]) == (200, first["Location"], "1100000")
    assert sender.patch(again["Location"], 1_100_000, FILE[1_100_000:]).status_code == 204
    after = sender.begin(len(FILE), FILE, key=used)
    assert (after.status_code, after["Location"]) == (200, first["Location"])
    assert after["Upload-Offset"] == str(len(FILE))
    assert sender.client.get(f"/api/v1/uploads/{used}/").json() == sender.state(first["Location"])["item"]
    assert Item.objects.count() == Upload.objects.count() == 1
    other = sender.begin(len(FILE) - 1, key=used)
    assert (other.status_code, other.json()["code"]) == (409, "not_now")


def test_a_key_whose_item_came_by_another_way_answers_as_held(sender: Sender) -> None:
    used = key()
    put = sender.client.put(
        "/api/v1/uploads/",
        b"four",
        content_type="application/octet-stream",
        headers={"Upload-Intake": sender.intake, "Idempotency-Key": str(used)},
    )
    assert put.status_code == 201
    answer = sender.begin(4, key=used)
    assert (answer.status_code, answer["Upload-Offset"]) == (201, "4")
    assert sender.head(answer["Location"])["Upload-Length"] == "4"
    told = sender.state(answer["Location"])
    assert (told["state"], told["item"]) == ("held", put.json())
    assert sender.begin(5, key=used).status_code == 409


def test_a_key_that_another_way_used_meanwhile_for_the_same_bytes_makes_no_second_item(sender: Sender) -> None:
    used = key()
    url = sender.begin(4, key=used)["Location"]
    sender.client.put(
        "/api/v1/uploads/",
        b"four",
        content_type="application/octet-stream",
        headers={"Upload-Intake": sender.intake, "Idempotency-Key": str(used)},
    )
    assert sender.patch(url, 0, b"four").status_code == 204
    assert sender.state(url)["item"]["accession"] == Item.objects.get().accession
    assert not list(Path(settings.SANAD_STAGING).glob(f"{row(url).blob_id}*"))

"""Resumable uploads: what the protocol promises, request by request."""

import hashlib
import os
from itertools import pairwise

import pytest

from evidence import blobs
from evidence.models import Item
from incidents.models import Link
from tests.incidents.tus_sender import Sender

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

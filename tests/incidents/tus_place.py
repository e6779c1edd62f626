"""An intake that programs send to, and what must have become of what they sent."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from tusclient.client import TusClient

from evidence import blobs
from evidence.models import Item
from incidents.models import Upload, UploadPart
from tests import factories
from tests.incidents.serving import authorization
from tests.verifier.node import node

CLIENT = Path(__file__).parent / "tus_client.mjs"
MIB = 1 << 20
TUS = "/api/v1/uploads/tus/"


class Place:
    """An intake of somebody who sends with a token."""

    def __init__(self) -> None:
        self.intake = factories.make_intake()
        self.headers = authorization(self.intake.by)
        self.metadata = {"intake": str(self.intake.pk), "filename": "مشهد 1.mp4"}

    def tuspy(self, url: str, path: Path, chunk: int, **more: Any) -> Any:
        client = TusClient(url + TUS, headers=self.headers)
        options = {"retries": 60, "retry_delay": 0.3} | more
        return client.uploader(str(path), chunk_size=chunk, metadata=self.metadata, **options)

    def tus_js(self, url: str, path: Path, **options: Any) -> Any:
        told = {
            "endpoint": url + TUS,
            "path": str(path),
            "headers": self.headers,
            "metadata": self.metadata,
            "retryDelays": [100, 300, 500, 1000, 1000, 1000, 2000, 2000, 2000],
        } | options
        done = subprocess.run(
            [node(), str(CLIENT), json.dumps(told)], capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def upload_at(url: str) -> Upload:
    return Upload.objects.select_related("item").get(pk=UUID(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def held_as_sent(url: str, path: Path) -> Item:
    """The item that the upload became, which is what was sent to the bit; the upload keeps nothing beside it."""
    upload = upload_at(url)
    assert (upload.state, upload.problem_code) == ("held", "")
    assert upload.item is not None
    digest = hashlib.sha256()
    for piece in blobs.read_blob(upload.item.blob):
        digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest() == upload.item.sha256
    assert not UploadPart.objects.filter(upload=upload).exists()
    assert bytes(upload.wrapped_key) == bytes(upload.sealed_metadata) == b""
    assert not list(Path(settings.SANAD_STAGING).glob(f"{upload.blob_id}*"))
    return upload.item

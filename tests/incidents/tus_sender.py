"""Somebody who sends a file in parts, by the words of the tus protocol."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

from django.test import Client

from incidents.models import Incident, Upload
from tests import factories

URL = "/api/v1/uploads/tus/"
PART = "application/offset+octet-stream"


def encoded(**said: str | bytes) -> str:
    """Upload-Metadata."""
    pairs = [(key, value.encode() if isinstance(value, str) else value) for key, value in said.items()]
    return ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in pairs)


class Sender:
    """Sends to an incident of their own unless one is given; `client` is the browser or program they use."""

    def __init__(self, incident: Incident | None = None, client: Client | None = None) -> None:
        self.incident = incident or factories.make_incident()
        self.client = client or factories.signed_in(self.incident.opened_by)
        self.client.raise_request_exception = False
        self.intake = str(factories.make_intake(self.incident, by=self.incident.opened_by).pk)

    def ask(self, method: str, url: str, body: bytes = b"", **headers: Any) -> Any:
        """A header is named with underscores; None leaves one out that is sent otherwise."""
        sent = {"Tus-Resumable": "1.0.0"} | {name.replace("_", "-"): value for name, value in headers.items()}
        kind = str(sent.pop("Content-Type", PART if body else "")) or "application/octet-stream"
        sent = {name: str(value) for name, value in sent.items() if value is not None}
        return self.client.generic(method, url, body, content_type=kind, headers=sent)

    def begin(self, length: int, body: bytes = b"", *, key: UUID | None = None, **headers: Any) -> Any:
        said = {"intake": self.intake, "filename": "scene.jpg"} | ({"key": str(key)} if key else {})
        return self.ask("POST", URL, body, **({"Upload_Length": length, "Upload_Metadata": encoded(**said)} | headers))

    def begun(self, length: int, **said: Any) -> str:
        answer = self.begin(length, **said)
        assert answer.status_code == 201, answer.content
        return str(answer["Location"])

    def patch(self, url: str, offset: int, body: bytes, **headers: Any) -> Any:
        return self.ask("PATCH", url, body, **({"Upload_Offset": offset, "Content_Type": PART} | headers))

    def head(self, url: str) -> Any:
        return self.ask("HEAD", url)

    def state(self, url: str) -> Any:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)


def row(url: str) -> Upload:
    return Upload.objects.get(pk=url.rstrip("/").rpartition("/")[2])


def key() -> UUID:
    return uuid4()

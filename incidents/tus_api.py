"""Resumable uploads over HTTP: tus 1.0.0, and what became of an upload as JSON.

1. POST uploads/tus/ begins one for an intake, or finds the one its key has; PATCH adds bytes at an offset, HEAD asks
   for it, DELETE gives the upload up. Any of them may be sent again.
2. A PATCH answers once its bytes are durable. A file of up to 64 MiB is an item by then, unless something was in the
   way; of a larger one the worker makes the item. GET uploads/tus/<id>/ says what became of it.
3. A line that is silent makes way for the next request of the same upload; one that is heard does not: 423.
"""

import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseProblem
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import person
from custody.seal import SealBroken
from evidence.blobs import ReceptionRefused
from evidence.store import StoreProblem
from incidents import jobs, lines, receiving, resumable, tus
from incidents.finishing import finish
from incidents.models import Upload
from incidents.resumable import Fenced
from incidents.serializers import ProblemSerializer, ResumableUploadSerializer
from incidents.turns import Busy
from incidents.upload_api import uploaded
from incidents.vocabulary import UploadState

log = logging.getLogger("incidents.uploads")


def _header(name: str, kind: Any = str, *, required: bool = False, words: str = "") -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, required=required, description=words)


RESUMABLE = _header("Tus-Resumable", required=True, words=tus.VERSION)
CHECKSUM = _header("Upload-Checksum", words="algorithm, space, Base64: of this part alone")
WHOLE = _header("Repr-Digest", words="RFC 9530 of the whole file: sha-256=:base64:")
METADATA = _header(
    "Upload-Metadata", required=True, words="intake (required), filename, key, modified, sha256; values in Base64"
)
PROBLEMS = dict.fromkeys((400, 409, 410, 411, 412, 413, 415, 422, 423, 429, 507), ProblemSerializer)


class _Unparsed(BaseParser):
    """Leaves the body alone: with a session, the check of the token asks for a form field before it asks the header."""

    media_type = "*/*"

    def parse(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {}


class TusView(APIView):
    """What every request of the protocol has in common."""

    parser_classes = [_Unparsed]
    line: lines.Line | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        named = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and named in ("PATCH", "DELETE"):
            request.method = named
        self._body = request
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in ("OPTIONS", "GET") and request.headers.get("Tus-Resumable") != tus.VERSION:
            words = _("This server speaks version %(version)s of the tus protocol.") % {"version": tus.VERSION}
            raise ReceptionRefused(words, "version", 412)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """What the server can do."""
        return Response(
            status=204,
            headers={
                "Tus-Version": tus.VERSION,
                "Tus-Extension": tus.EXTENSIONS,
                "Tus-Max-Size": str(settings.SANAD_UPLOAD_LIMIT),
                "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
            },
        )

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ReceptionRefused):
            headers = {"Tus-Version": tus.VERSION} if exc.status == 412 else {}
            return Response({"code": exc.code, "detail": exc.message}, exc.status, headers=headers)
        if isinstance(exc, SealBroken):
            log.error("upload: %s", exc)
            return Response({"code": "changed", "detail": str(resumable.CHANGED)}, 409)
        if isinstance(exc, lines.NoPlace):
            words = _("Too many files are arriving at once. Try again in a moment.")
            return Response({"code": "too_busy", "detail": words}, 503, headers={"Retry-After": "5"})
        if isinstance(exc, Busy | Fenced):
            words = _("Another request is at work on this upload. Try again in a moment.")
            return Response({"code": "busy", "detail": words}, 423, headers={"Retry-After": "1"})
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """A refusal must reach a sender who is still sending: read a little more, then give up the connection."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = tus.VERSION
        answer["Cache-Control"] = "no-store"
        if self.line and self.line.began:
            whole = self.line.ended is lines.Ended.WHOLE
        else:
            whole = lines.drained(self._body, known=request.user.is_authenticated)
        if not whole:
            answer["Connection"] = "close"
        return answer

    def take(self, request: Request, upload: Upload, at_offset: int) -> Upload:
        """Receive the body of this request at an offset and, where all is there now, finish."""
        body = request._request
        length = tus.body_length(body)
        if at_offset + (length or 0) > upload.length:
            words = _("More bytes are announced than the file was said to have.")
            raise ReceptionRefused(words, "too_long", 413)
        checksum, sha256 = tus.checksum(body), tus.whole_sha256(body)
        lines.make_way(upload.pk)
        peer = body.META.get("REMOTE_ADDR", "")
        line = lines.Line(upload.pk, body.read, length, silence=settings.SANAD_UPLOAD_SILENCE, peer=peer)
        self.line = line
        try:
            with lines.place(settings.SANAD_UPLOAD_LINES):
                upload = receiving.receive(upload, line, at_offset=at_offset, checksum=checksum, sha256=sha256)
        finally:
            line.end()
        if upload.state == UploadState.FINISHING and upload.length <= jobs.AT_ONCE:
            try:
                finish(upload.pk)
            except (StoreProblem, OSError, DatabaseProblem) as problem:
                log.error("upload %s is not finished yet: %s", upload.pk, type(problem).__name__)
            upload = resumable.require_upload(person(request), timezone.now(), upload.pk)
        resumable.require_taken(upload)
        return upload


class TusUploadsView(TusView):
    """Uploads are begun here."""

    @extend_schema(
        parameters=[RESUMABLE, _header("Upload-Length", int, required=True), METADATA, CHECKSUM, WHOLE],
        request={tus.CONTENT_TYPE: OpenApiTypes.BINARY},
        responses={200: None, 201: None, **PROBLEMS, 403: ProblemSerializer, 460: ProblemSerializer},
    )
    def post(self, request: Request) -> Response:
        """Begin an upload; with a body, receive its first bytes. The same key again gives the same upload."""
        by, at, body = person(request), timezone.now(), request._request
        if "Upload-Defer-Length" in body.headers or "Upload-Concat" in body.headers:
            words = _("Uploads of unknown length, and uploads joined from others, are not supported.")
            raise ReceptionRefused(words, "unsupported", 400)
        length = tus.number(body, "Upload-Length")
        raw = body.headers.get("Upload-Metadata", "")
        said = tus.Metadata.parsed(raw)
        if said.intake is None:
            raise ValidationError({"intake": [_("Open an intake first and name it here.")]})
        sent = _brings(body)
        if sent:
            _require_type(body)
        upload, fresh = resumable.begin(
            by=by,
            at=at,
            intake_id=said.intake,
            length=length,
            key=said.key,
            metadata=raw,
            sha256=said.sha256 or tus.whole_sha256(body),
        )
        if upload.state == UploadState.RECEIVING and upload.offset == 0 and (sent or length == 0):
            upload = self.take(request, upload, 0)
        answer = Response(status=201 if fresh else 200, headers=_told(upload))
        answer["Location"] = reverse("tus-upload", args=[upload.pk])
        return answer


class TusUploadView(TusView):
    """One upload of one's own."""

    def head(self, request: Request, upload_id: UUID) -> Response:
        """How many bytes are held."""
        upload = resumable.require_upload(person(request), timezone.now(), upload_id)
        if lines.make_way(upload.pk):
            upload = resumable.require_upload(person(request), timezone.now(), upload_id)
        if resumable.is_over(upload, timezone.now()) or resumable.is_lost(upload):
            raise resumable.gone()
        headers = _told(upload) | {"Upload-Length": str(upload.length)}
        if metadata := resumable.metadata_of(upload):
            headers["Upload-Metadata"] = metadata
        return Response(status=200, headers=headers)

    @extend_schema(
        parameters=[RESUMABLE, _header("Upload-Offset", int, required=True), CHECKSUM, WHOLE],
        request={tus.CONTENT_TYPE: OpenApiTypes.BINARY},
        responses={204: None, **PROBLEMS, 460: ProblemSerializer},
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:
        """Add bytes at the offset. 204 means that they are durable; Upload-Offset says how many there are now."""
        body = request._request
        upload = resumable.require_upload(person(request), timezone.now(), upload_id)
        if _brings(body):
            _require_type(body)
        upload = self.take(request, upload, tus.number(body, "Upload-Offset"))
        if self.line is not None and self.line.ended is lines.Ended.MADE_WAY:
            raise Busy
        return Response(status=204, headers=_told(upload))

    @extend_schema(parameters=[RESUMABLE], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, upload_id: UUID) -> Response:
        """Give the upload up with everything that arrived."""
        upload = resumable.require_upload(person(request), timezone.now(), upload_id)
        if resumable.is_over(upload, timezone.now()):
            raise resumable.gone()
        lines.make_way(upload.pk)
        resumable.terminate(upload)
        return Response(status=204)

    @extend_schema(responses={200: ResumableUploadSerializer})
    def get(self, request: Request, upload_id: UUID) -> Response:
        """What became of the upload."""
        upload = resumable.require_upload(person(request), timezone.now(), upload_id)
        over = resumable.is_over(upload, timezone.now())
        problem = {"code": upload.problem_code, "detail": upload.problem_detail} if upload.problem_code else None
        return Response(
            {
                "state": UploadState.EXPIRED if over else upload.state,
                "offset": upload.offset,
                "length": upload.length,
                "expires_at": upload.expires_at,
                "item": uploaded(upload.item) if upload.item else None,
                "problem": problem,
            }
        )


def _told(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": tus.expires(upload.expires_at)}


def _brings(request: HttpRequest) -> bool:
    """Whether there is a body. Raises ReceptionRefused (411) for one of unknown length, ValidationError."""
    length = tus.body_length(request)
    if length is None:
        words = _("The upload does not say how many bytes it has (Content-Length).")
        raise ReceptionRefused(words, "length_required", 411)
    return length != 0


def _require_type(request: HttpRequest) -> None:
    if request.content_type != tus.CONTENT_TYPE or request.headers.get("Content-Encoding", "identity") != "identity":
        raise ReceptionRefused(
            _("The bytes of an upload are sent as %(type)s, as they are.") % {"type": tus.CONTENT_TYPE}, "type", 415
        )

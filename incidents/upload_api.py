"""The upload protocol. The body of an upload is read as a stream and is never handed to a parser.

1. POST incidents/<id>/intakes/ with what is said of the files -> {intake}. Wrong fields are named now.
2. POST incidents/<id>/duplicates/ with digests -> what the compartment holds already.
3. PUT uploads/ with the bytes of one file -> what the archive now holds. The same Idempotency-Key again, with the
   same bytes for the same incident, gives the same answer, anything else 409; GET uploads/<key>/ asks whether a key
   was used, before a large file is sent a second time.
"""

from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import NotVisible, require
from accounts.requests import person
from evidence import blobs
from evidence.blobs import ReceptionRefused
from evidence.models import Item
from evidence.store import StoreProblem, Unreachable
from incidents import lines, uploads
from incidents.bodies import chunks, declared, sha256_of
from incidents.models import Incident
from incidents.serializers import (
    DigestsSerializer,
    IntakeAnswerSerializer,
    IntakeSerializer,
    KnownItemSerializer,
    ProblemSerializer,
    UploadedSerializer,
)

UPLOAD_HEADERS = [
    OpenApiParameter("Upload-Intake", OpenApiTypes.UUID, OpenApiParameter.HEADER, required=True),
    OpenApiParameter("Upload-Filename", str, OpenApiParameter.HEADER, description="percent-encoded UTF-8"),
    OpenApiParameter(
        "Upload-Last-Modified", str, OpenApiParameter.HEADER, description="ISO 8601, or milliseconds since 1970"
    ),
    OpenApiParameter("Idempotency-Key", OpenApiTypes.UUID, OpenApiParameter.HEADER),
    OpenApiParameter("Repr-Digest", str, OpenApiParameter.HEADER, description="RFC 9530: sha-256=:base64:"),
    OpenApiParameter("Content-Digest", str, OpenApiParameter.HEADER, description="RFC 9530: sha-256=:base64:"),
]


def uploaded(item: Item) -> dict[str, Any]:
    """What an uploader is told of the item their bytes became."""
    return {
        "accession": item.accession,
        "url": reverse("evidence:item", args=[item.accession]),
        "sha256": item.sha256,
        "sha512": item.sha512,
        "size": item.size,
        "duplicate_of": item.duplicate_of.accession if item.duplicate_of else None,
        "media_type": item.media_type,
        "receipt_url": reverse("evidence:receipt", args=[item.accession]),
    }


class IntakesView(APIView):
    """Intakes of an incident."""

    @extend_schema(request=IntakeSerializer, responses={201: IntakeAnswerSerializer})
    def post(self, request: Request, incident_id: UUID) -> Response:
        by = person(request)
        incident = require(by, "incident.view", Incident.objects.all(), pk=incident_id)
        serializer = IntakeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        intake = uploads.announce(by=by, at=timezone.now(), incident=incident, fields=serializer.validated_data)
        return Response({"intake": str(intake.pk)}, status.HTTP_201_CREATED)


class DuplicatesView(APIView):
    """Which files the incident's compartment holds already."""

    @extend_schema(
        request=DigestsSerializer,
        responses={200: {"type": "object", "additionalProperties": {"nullable": True, "type": "object"}}},
    )
    def post(self, request: Request, incident_id: UUID) -> Response:
        by = person(request)
        incident = require(by, "incident.view", Incident.objects.all(), pk=incident_id)
        serializer = DigestsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        found = uploads.known_digests(by, incident, serializer.validated_data["sha256"])
        return Response({digest: _known(item) for digest, item in found.items()})


class UploadsView(APIView):
    """One file as the raw body of a PUT."""

    @extend_schema(
        parameters=UPLOAD_HEADERS,
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={
            200: UploadedSerializer,
            201: UploadedSerializer,
            400: ProblemSerializer,
            409: ProblemSerializer,
            411: ProblemSerializer,
            413: ProblemSerializer,
            415: ProblemSerializer,
            422: ProblemSerializer,
            507: ProblemSerializer,
        },
    )
    def put(self, request: Request) -> Response:
        by, body = person(request), request._request
        said = declared(body)
        intake = uploads.require_intake(by, timezone.now(), said.intake)
        if said.key and (
            earlier := uploads.earlier_item(
                by, said.key, intake=intake, sha256=said.digests.get("sha-256"), size=said.size
            )
        ):
            # What the key stands for is told by the bytes alone: a header may be missing, and may be wrong.
            uploads.earlier_item(by, said.key, intake=intake, sha256=sha256_of(body, said.size))
            return Response(uploaded(earlier))
        received = blobs.receive(chunks(body), declared_size=said.size, declared_sha256=said.digests.get("sha-256"))
        if said.digests.get("sha-512", received.sha512) != received.sha512:
            blobs.discard(received)
            raise ReceptionRefused(
                _("What arrived is not what was sent: the digests differ. Nothing was kept; please send it again."),
                "digest_mismatch",
                422,
            )
        item = uploads.accept(
            by=by,
            at=timezone.now(),
            intake=intake,
            received=received,
            original_name=said.name,
            idempotency_key=said.key,
            file_time=said.file_time,
        )
        again = item.blob_id != received.blob_id
        return Response(uploaded(item), status.HTTP_200_OK if again else status.HTTP_201_CREATED)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ReceptionRefused):
            return Response({"code": exc.code, "detail": exc.message}, exc.status)
        if isinstance(exc, StoreProblem):
            words = _("The archive could not keep the file safely. Nothing was recorded; your file is still with you.")
            return Response({"code": "store", "detail": words}, 503 if isinstance(exc, Unreachable) else 507)
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """A refusal must reach a sender who is still sending: read a little more, then give up the connection."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        known = request.user.is_authenticated
        if answer.status_code >= 400 and not lines.drained(getattr(request, "_request", request), known=known):
            answer["Connection"] = "close"
        return answer


class UploadedView(APIView):
    """Whether a key was used: the item it made, or 404."""

    @extend_schema(responses=UploadedSerializer)
    def get(self, request: Request, key: UUID) -> Response:
        item = uploads.earlier_item(person(request), key)
        if item is None:
            raise NotVisible
        return Response(uploaded(item))


def _known(item: Item | None) -> dict[str, Any] | None:
    if item is None:
        return None
    answer = {"accession": item.accession, "url": reverse("evidence:item", args=[item.accession])}
    return dict(KnownItemSerializer(answer).data)

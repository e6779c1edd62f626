"""Describing items by a table over the API: POST incidents/<id>/descriptions/ with the CSV as the body."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import require
from accounts.requests import person
from evidence import blobs
from evidence.blobs import ReceptionRefused
from incidents import tables
from incidents.bodies import chunks, table_declared
from incidents.models import Incident
from incidents.state import require_not_closed


class CellErrorSerializer(serializers.Serializer[Any]):
    """What is wrong in which cell; no column where the whole line is meant."""

    line = serializers.IntegerField()
    column = serializers.CharField()
    message = serializers.CharField()


class TableOutcomeSerializer(serializers.Serializer[Any]):
    """What a table did, or with `dry_run` would do. With errors nothing was written."""

    rows = serializers.IntegerField()
    changed = serializers.ListField(child=serializers.CharField())
    unchanged = serializers.ListField(child=serializers.CharField())
    errors = CellErrorSerializer(many=True)  # type: ignore[assignment]  # a field of the answer, not the serializer's own
    item = serializers.CharField(allow_null=True)


class DescriptionsView(APIView):
    """Items described by the rows of a table: all of them or none."""

    @extend_schema(
        parameters=[
            OpenApiParameter("dry_run", bool, description="say what is wrong or would change, and write nothing"),
            OpenApiParameter("reason", str, description="kept in the ledger with every change"),
            OpenApiParameter("Upload-Filename", str, OpenApiParameter.HEADER, description="percent-encoded UTF-8"),
            OpenApiParameter("Idempotency-Key", OpenApiTypes.UUID, OpenApiParameter.HEADER),
        ],
        request={"text/csv": OpenApiTypes.BINARY},
        responses={200: TableOutcomeSerializer, 201: TableOutcomeSerializer, 422: TableOutcomeSerializer},
    )
    def post(self, request: Request, incident_id: UUID) -> Response:
        by, body = person(request), request._request
        incident = require(by, "incident.receive", Incident.objects.all(), pk=incident_id)
        require_not_closed(incident)
        key, name = table_declared(body)
        received = blobs.receive(chunks(body), declared_size=int(body.META.get("CONTENT_LENGTH") or 0))
        if request.query_params.get("dry_run", "").lower() in ("true", "1", "yes"):
            try:
                data = tables.bytes_of(received)
            finally:
                blobs.discard(received)
            outcome = tables.rehearse_table(by=by, at=timezone.now(), incident=incident, data=data)
            return Response(outcome.as_json(), 422 if outcome.errors else status.HTTP_200_OK)
        outcome = tables.import_table(
            by=by,
            at=timezone.now(),
            incident=incident,
            received=received,
            original_name=name,
            reason=request.query_params.get("reason", ""),
            idempotency_key=key,
        )
        return Response(outcome.as_json(), 422 if outcome.errors else status.HTTP_201_CREATED)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ReceptionRefused):
            return Response({"code": exc.code, "detail": exc.message}, exc.status)
        return super().handle_exception(exc)

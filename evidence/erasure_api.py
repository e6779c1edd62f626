"""Erasures in the API: the same two persons as in the browser."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from accounts.api import UUID_REGEX
from accounts.permissions import permitted, require, require_anywhere
from accounts.requests import person
from evidence import erasure
from evidence.models import Erasure
from evidence.vocabulary import ErasureGround


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    """A request and its decision. `items`: accession numbers, the exact copies included."""

    items = serializers.ListField(child=serializers.CharField(), source="accessions", read_only=True)

    class Meta:
        model = Erasure
        fields = (
            "id",
            "items",
            "ground",
            "reason",
            "state",
            "requested_by",
            "requested_at",
            "expires_at",
            "decided_by",
            "decided_at",
            "decision",
            "finished_at",
        )
        read_only_fields = fields


class NewErasureSerializer(serializers.Serializer[Any]):
    ground = serializers.ChoiceField(ErasureGround.choices)
    reason = serializers.CharField(max_length=2_000)


class RefusalSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class ErasureViewSet(mixins.ListModelMixin, GenericViewSet[Erasure]):
    """Requests for erasure, newest first. A request is made at the item: POST /items/<accession>/erasure/."""

    serializer_class = ErasureSerializer
    queryset = Erasure.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> Any:
        return permitted(self.request.user, "erasure.view", Erasure.objects.all())

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "erasure.view")
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One request."""
        return Response(ErasureSerializer(require(person(request), "erasure.view", Erasure.objects.all(), pk=pk)).data)

    @extend_schema(request=None, responses=ErasureSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Agree as the second person: it is erased at once and for good."""
        made = erasure.approve_erasure(by=person(request), at=timezone.now(), erasure_id=UUID(pk))
        return Response(ErasureSerializer(made).data)

    @extend_schema(request=RefusalSerializer, responses=ErasureSerializer)
    @action(detail=True, methods=["post"])
    def refuse(self, request: Request, pk: str) -> Response:
        """Decide as the second person that it stays."""
        user = person(request)
        require(user, "erasure.decide", Erasure.objects.all(), pk=pk)
        given = RefusalSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = erasure.refuse_erasure(by=user, at=timezone.now(), erasure_id=UUID(pk), **given.validated_data)
        return Response(ErasureSerializer(made).data)

    @extend_schema(request=None, responses=ErasureSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take one's own request back."""
        made = erasure.withdraw_erasure(by=person(request), at=timezone.now(), erasure_id=UUID(pk))
        return Response(ErasureSerializer(made).data)


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [("erasures", ErasureViewSet, "erasure")]

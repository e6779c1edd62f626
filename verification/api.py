"""`/api/v1/` verification runs, coverage, checkpoints and ledger entries with their proofs."""

import base64
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from accounts.models import Compartment
from accounts.permissions import (
    NotVisible,
    compartments,
    permitted,
    require,
    require_anywhere,
    require_compartment,
)
from accounts.requests import person
from custody.models import Checkpoint, Entry, Event
from custody.proof import proof_at
from ledger.merkle import ProofError
from ledger.proof import format_proof
from verification import actions
from verification.models import Run, Schedule
from verification.queries import coverage, results_seen, runs_seen
from verification.serializers import (
    CheckpointSerializer,
    CoverageSerializer,
    EntrySerializer,
    NewRunSerializer,
    ReasonSerializer,
    RunResultSerializer,
    RunSerializer,
    ScheduleSerializer,
    SweepSerializer,
)
from verification.sweeps import swept

UUID_REGEX = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@extend_schema_view(
    list=extend_schema(description="Runs you asked for, and as an auditor those of your compartments; newest first."),
    retrieve=extend_schema(description="One run and how far it is."),
)
class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]):
    serializer_class = RunSerializer
    queryset = Run.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Run]:
        return runs_seen(person(self.request))

    def get_object(self) -> Run:
        found = Run.objects.select_related("compartment", "requested_by")
        return require(person(self.request), "run.view", found, pk=self.kwargs["pk"])

    @extend_schema(request=NewRunSerializer, responses={201: RunSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a run. The same run, asked for while it is under way, is given again."""
        user = person(request)
        require_anywhere(user, "item.verify")
        asked = NewRunSerializer(data=request.data)
        asked.fields["compartment"].queryset = compartments(user, "item.verify")  # type: ignore[attr-defined]
        asked.is_valid(raise_exception=True)
        chosen = asked.validated_data
        place = chosen.get("compartment")
        run = actions.request_run(
            by=user,
            at=timezone.now(),
            scope=chosen["scope"],
            compartment_id=place.pk if place else None,
            accessions=chosen.get("accessions", []),
        )
        return Response(RunSerializer(run).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a run; what it verified so far stays. 409 when it is over."""
        run = require(person(request), "run.cancel", Run.objects.all(), pk=pk)
        return Response(RunSerializer(actions.cancel_run(by=person(request), at=timezone.now(), run_id=run.pk)).data)

    @extend_schema(responses=RunResultSerializer(many=True))
    @action(detail=True, methods=["get"])
    def results(self, request: Request, pk: str) -> Response:
        """What it found, failed items first."""
        page = self.paginate_queryset(results_seen(person(request), self.get_object())) or []
        return self.get_paginated_response(RunResultSerializer(page, many=True).data)


@extend_schema_view(
    list=extend_schema(description="The signed heads of the ledger, newest first."),
    retrieve=extend_schema(description="One signed head."),
)
class CheckpointViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Checkpoint]):
    serializer_class = CheckpointSerializer
    queryset = Checkpoint.objects.all()
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Checkpoint]:
        return permitted(self.request.user, "checkpoint.view", Checkpoint.objects.order_by("-pk"))

    def get_object(self) -> Checkpoint:
        return require(person(self.request), "checkpoint.view", Checkpoint.objects.all(), pk=self.kwargs["pk"])


class EntryViewSet(GenericViewSet[Any]):
    """Entries of the ledger by their index."""

    serializer_class = EntrySerializer
    queryset = Entry.objects.all()
    lookup_field = "index"
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(responses=EntrySerializer)
    def retrieve(self, request: Request, index: str) -> Response:
        """One entry, with its proof under the newest signed head."""
        user = person(request)
        row = Entry.objects.filter(index=int(index)).first()
        if row is None:
            raise NotVisible(user, "entry.view")
        require(user, "entry.view", Event.objects.all(), pk=row.event_id)
        try:
            proof = proof_at(row.index)
        except ProofError:
            proof = None
        answer: dict[str, Any] = {
            "index": row.index,
            "event": row.event_id,
            "entry": base64.b64encode(bytes(row.entry)).decode(),
            "leaf_hash": bytes(row.leaf_hash).hex(),
            "proof": format_proof(proof.index, proof.path, proof.checkpoint.note) if proof else None,
        }
        return Response(EntrySerializer(answer).data)


class CoverageViewSet(GenericViewSet[Any]):
    """How much was verified when."""

    serializer_class = CoverageSerializer
    queryset = Run.objects.none()
    pagination_class = None

    @extend_schema(responses=CoverageSerializer(many=True))
    def list(self, request: Request) -> Response:
        """One row for each compartment in which you verify items."""
        return Response(CoverageSerializer(coverage(person(request)), many=True).data)


class SweepViewSet(GenericViewSet[Any]):
    """How stored bytes are verified without anybody asking."""

    serializer_class = SweepSerializer
    queryset = Schedule.objects.none()
    pagination_class = None
    lookup_field = "code"
    lookup_value_regex = "[A-Z0-9-]{1,30}"

    @extend_schema(responses=SweepSerializer(many=True))
    def list(self, request: Request) -> Response:
        """One row for each compartment in which you verify items."""
        return Response(SweepSerializer(swept(person(request), timezone.now()), many=True).data)

    @extend_schema(request=ScheduleSerializer, responses=ScheduleSerializer)
    def update(self, request: Request, code: str) -> Response:
        """Give a compartment a schedule of its own."""
        user, place = person(request), self._place(code)
        asked = ScheduleSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = {"paused": False} | asked.validated_data
        made = actions.set_schedule(by=user, at=timezone.now(), compartment_id=place.pk, fields=fields)
        return Response(ScheduleSerializer(made).data)

    @extend_schema(request=ReasonSerializer, responses={204: None})
    def destroy(self, request: Request, code: str) -> Response:
        """Let a compartment follow the archive's plan again. 409 when it does."""
        user, place = person(request), self._place(code)
        asked = ReasonSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data["reason"]
        actions.clear_schedule(by=user, at=timezone.now(), compartment_id=place.pk, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _place(self, code: str) -> Compartment:
        """Asked before what was sent is looked at: who may not do it learns nothing of the fields."""
        user = person(self.request)
        seen = permitted(user, "compartment.view", Compartment.objects.all()).filter(code=code).first()
        if seen is None:
            raise NotVisible(user, "schedule.set")
        return require_compartment(user, "schedule.set", seen.pk)


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [
    ("verification-runs", RunViewSet, "verification-runs"),
    ("checkpoints", CheckpointViewSet, "checkpoints"),
    ("ledger/entries", EntryViewSet, "entries"),
    ("coverage", CoverageViewSet, "coverage"),
    ("sweeps", SweepViewSet, "sweeps"),
]

"""The API of incidents, links and claims. Uploads are in incidents.upload_api."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSetMixin

from accounts.models import Compartment
from accounts.permissions import permitted, require
from accounts.requests import person
from evidence.models import Item
from incidents import actions, claims
from incidents.models import Claim, Incident, Link, ViolationCategory
from incidents.queries import Question, asked, claims_of, links_of
from incidents.serializers import (
    ClaimSerializer,
    IncidentRowSerializer,
    IncidentSerializer,
    IncidentWriteSerializer,
    LinkChangeSerializer,
    LinkSerializer,
    LinkWriteSerializer,
    NewIncidentSerializer,
    StatusSerializer,
    ViolationCategorySerializer,
    WithdrawnSerializer,
)
from incidents.table_api import DescriptionsView
from incidents.tus_api import TusUploadsView, TusUploadView
from incidents.upload_api import DuplicatesView, IntakesView, UploadedView, UploadsView

UUID_REGEX = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
FILTERS = [
    OpenApiParameter("q", str, description="words in code, titles, places and narrative, in any Arabic spelling"),
    OpenApiParameter("compartment", str, description="code of a compartment"),
    OpenApiParameter("category", str, description="code of a violation category"),
    OpenApiParameter("status", str),
    OpenApiParameter("governorate", str, description="ISO 3166-2 code"),
    OpenApiParameter("place", str, description="place name, exactly"),
    OpenApiParameter("since", OpenApiTypes.DATE, description="may have happened on or after this day"),
    OpenApiParameter("until", OpenApiTypes.DATE, description="may have happened on or before this day"),
    OpenApiParameter("has", str, enum=["items", "no-items", "claims", "no-claims"]),
]


class IncidentViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Incident]):
    """Incidents of the compartments one may see."""

    queryset = Incident.objects.none()
    serializer_class = IncidentRowSerializer
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Incident]:
        if getattr(self, "swagger_fake_view", False):
            return Incident.objects.none()
        mine = permitted(self.request.user, "incident.view", Incident.objects.all())
        found = asked(mine, Question.of(self.request.query_params.dict()))
        return found.select_related("compartment", "opened_by").prefetch_related("categories")

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewIncidentSerializer, responses={201: IncidentSerializer})
    def create(self, request: Request) -> Response:
        said = _valid(NewIncidentSerializer(data=request.data))
        said.pop("reason", None)
        by = person(request)
        compartment = require(by, "compartment.view", Compartment.objects.all(), code=said.pop("compartment"))
        made = actions.open_incident(
            by=by,
            at=timezone.now(),
            compartment_id=compartment.pk,
            code=said.pop("code", ""),
            status=said.pop("status", "open"),
            categories=said.pop("categories", ()),
            fields=said,
        )
        return Response(IncidentSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(responses=IncidentSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One incident. Reading it is a custody event."""
        return Response(IncidentSerializer(_read(request, pk)).data)

    @extend_schema(request=IncidentWriteSerializer, responses=IncidentSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        said = _valid(IncidentWriteSerializer(data=request.data, partial=True))
        actions.edit_incident(
            by=person(request),
            at=timezone.now(),
            incident=self._seen(pk),
            categories=said.pop("categories", None),
            reason=said.pop("reason", ""),
            changes=said,
        )
        return Response(IncidentSerializer(_read(request, pk)).data)

    @extend_schema(request=StatusSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"], url_path="status")
    def change_status(self, request: Request, pk: str) -> Response:
        said = _valid(StatusSerializer(data=request.data))
        actions.change_status(by=person(request), at=timezone.now(), incident=self._seen(pk), **said)
        return Response(IncidentSerializer(_read(request, pk)).data)

    @extend_schema(methods=["GET"], responses=LinkSerializer(many=True))
    @extend_schema(methods=["POST"], request=LinkWriteSerializer, responses={201: LinkSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def links(self, request: Request, pk: str) -> Response:
        """The incident's links in force; reading them is a custody event. POST tags an item."""
        by = person(request)
        if request.method == "GET":
            return Response(LinkSerializer(links_of(by, _read(request, pk)), many=True).data)
        incident = self._seen(pk)
        said = _valid(LinkWriteSerializer(data=request.data))
        item = require(by, "item.view", Item.objects.all(), accession=said.pop("item"))
        link = actions.tag_item(by=by, at=timezone.now(), item=item, incident=incident, **said)
        return Response(LinkSerializer(link).data, status.HTTP_201_CREATED)

    @extend_schema(methods=["GET"], responses=ClaimSerializer(many=True))
    @extend_schema(methods=["POST"], request=ClaimSerializer, responses={201: ClaimSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def claims(self, request: Request, pk: str) -> Response:
        """What sources claim, each in its own scope. The figures count different things and are never added."""
        by = person(request)
        if request.method == "GET":
            return Response(ClaimSerializer(claims_of(by, _read(request, pk)), many=True).data)
        incident = self._seen(pk)
        said = _valid(ClaimSerializer(data=request.data))
        breakdown = said.pop("breakdown", [])
        made = claims.record_claim(by=by, at=timezone.now(), incident=incident, fields=said, breakdown=breakdown)
        return Response(ClaimSerializer(made).data, status.HTTP_201_CREATED)

    def _seen(self, pk: str) -> Incident:
        return require(person(self.request), "incident.view", Incident.objects.all(), pk=pk)


class LinkViewSet(viewsets.GenericViewSet[Link]):
    """Links between items and incidents."""

    queryset = Link.objects.none()
    serializer_class = LinkSerializer
    lookup_value_regex = UUID_REGEX

    def retrieve(self, request: Request, pk: str) -> Response:
        """One link. Reading it is a custody event of its incident."""
        link = self._seen(pk)
        _read(request, link.incident_id)
        return Response(LinkSerializer(link).data)

    @extend_schema(request=LinkChangeSerializer, responses=LinkSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        said = _valid(LinkChangeSerializer(data=request.data, partial=True))
        reason = said.pop("reason", "")
        link = actions.change_link(
            by=person(request), at=timezone.now(), link=self._seen(pk), changes=said, reason=reason
        )
        _read(request, link.incident_id)
        return Response(LinkSerializer(link).data)

    @extend_schema(request=WithdrawnSerializer, responses=LinkSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        said = _valid(WithdrawnSerializer(data=request.data))
        link = actions.withdraw_link(by=person(request), at=timezone.now(), link=self._seen(pk), **said)
        _read(request, link.incident_id)
        return Response(LinkSerializer(link).data)

    def _seen(self, pk: str) -> Link:
        return require(person(self.request), "link.view", Link.objects.select_related("item"), pk=pk)


class ClaimViewSet(viewsets.GenericViewSet[Claim]):
    """Claims, one by one."""

    queryset = Claim.objects.none()
    serializer_class = ClaimSerializer
    lookup_value_regex = UUID_REGEX

    def retrieve(self, request: Request, pk: str) -> Response:
        """One claim. Reading it is a custody event of its incident."""
        claim = self._seen(pk)
        _read(request, claim.incident_id)
        return Response(ClaimSerializer(claim).data)

    @extend_schema(request=WithdrawnSerializer, responses=ClaimSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        said = _valid(WithdrawnSerializer(data=request.data))
        claim = claims.withdraw_claim(by=person(request), at=timezone.now(), claim=self._seen(pk), **said)
        _read(request, claim.incident_id)
        return Response(ClaimSerializer(claim).data)

    def _seen(self, pk: str) -> Claim:
        return require(person(self.request), "claim.view", Claim.objects.all(), pk=pk)


class ViolationCategoryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[ViolationCategory]):
    """The archive's violation categories in its three languages; public words, the same for everyone."""

    queryset = ViolationCategory.objects.all()
    serializer_class = ViolationCategorySerializer
    pagination_class = None


def _read(request: Request, incident_id: UUID | str) -> Incident:
    """The incident whose words the answer holds; the event is written before they leave."""
    return actions.read_incident(by=person(request), at=timezone.now(), incident_id=UUID(str(incident_id)))


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [
    ("incidents", IncidentViewSet, "incident"),
    ("links", LinkViewSet, "link"),
    ("claims", ClaimViewSet, "claim"),
    ("violation-categories", ViolationCategoryViewSet, "violation-category"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("incidents/<uuid:incident_id>/intakes/", IntakesView.as_view(), name="incident-intakes"),
    path("incidents/<uuid:incident_id>/duplicates/", DuplicatesView.as_view(), name="incident-duplicates"),
    path("incidents/<uuid:incident_id>/descriptions/", DescriptionsView.as_view(), name="incident-descriptions"),
    path("uploads/", UploadsView.as_view(), name="uploads"),
    path("uploads/tus/", TusUploadsView.as_view(), name="tus-uploads"),
    path("uploads/tus/<uuid:upload_id>/", TusUploadView.as_view(), name="tus-upload"),
    path("uploads/<uuid:key>/", UploadedView.as_view(), name="uploaded"),
]

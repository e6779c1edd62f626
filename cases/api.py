"""`/api/v1/` case files, exhibits, reviews and bundles. Reads ask the permission engine, writes call the actions."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from accounts.api import UUID_REGEX
from accounts.permissions import permitted, require, require_anywhere
from accounts.requests import person
from cases import actions, bundles
from cases.disclosure import Preset
from cases.models import Bundle, CaseFile, Exhibit
from cases.serializers import (
    BundleSerializer,
    CaseChangeSerializer,
    CaseRowSerializer,
    CaseSerializer,
    CaseStatusSerializer,
    ExhibitChangeSerializer,
    ExhibitReviewSerializer,
    ExhibitRowSerializer,
    ExhibitSerializer,
    NewBundleSerializer,
    NewCaseSerializer,
    NewExhibitReviewSerializer,
    NewExhibitSerializer,
    WithdrawalSerializer,
)
from cases.serving import bundle_response

CASE = OpenApiParameter("case", UUID, description="Only those of this case file")


def _checked(serializer_class: Any, request: Request, **options: Any) -> dict[str, Any]:
    serializer = serializer_class(data=request.data, **options)
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


def _case(request: Request, pk: str) -> CaseFile:
    return actions.read_case(by=person(request), at=timezone.now(), case_id=UUID(pk))


def _exhibit(request: Request, pk: str) -> Exhibit:
    return actions.read_exhibit(by=person(request), at=timezone.now(), exhibit_id=UUID(pk))


@extend_schema_view(list=extend_schema(description="The case files you may see."))
class CaseViewSet(mixins.ListModelMixin, GenericViewSet[CaseFile]):
    serializer_class = CaseRowSerializer
    queryset = CaseFile.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[CaseFile]:
        return permitted(self.request.user, "case.view", CaseFile.objects.all())

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "case.view")
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=CaseSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One case file. Reading it is a custody event."""
        return Response(CaseSerializer(_case(request, pk)).data)

    @extend_schema(request=NewCaseSerializer, responses={201: CaseSerializer})
    def create(self, request: Request) -> Response:
        """Open a case file."""
        user = person(request)
        require_anywhere(user, "case.open")
        data = _checked(NewCaseSerializer, request)
        made = actions.open_case(by=user, at=timezone.now(), compartment_id=data.pop("compartment"), fields=data)
        return Response(CaseSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=CaseChangeSerializer, responses=CaseSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is said of a case file; 409 when consent does not cover a new purpose or recipient."""
        user = person(request)
        require(user, "case.edit", CaseFile.objects.all(), pk=pk)
        data = _checked(CaseChangeSerializer, request, partial=True)
        actions.edit_case(by=user, at=timezone.now(), case_id=UUID(pk), changes=data)
        return Response(CaseSerializer(_case(request, pk)).data)

    @extend_schema(request=CaseStatusSerializer, responses=CaseSerializer)
    @action(detail=True, methods=["post"], url_path="status", url_name="set-status")
    def set_status(self, request: Request, pk: str) -> Response:
        """Close a case file, or open it again."""
        user = person(request)
        require(user, "case.edit", CaseFile.objects.all(), pk=pk)
        data = _checked(CaseStatusSerializer, request)
        actions.set_case_status(by=user, at=timezone.now(), case_id=UUID(pk), **data)
        return Response(CaseSerializer(_case(request, pk)).data)


class _OfCase:
    """Filters a list by `?case=`."""

    def _of_case(self, request: Request) -> dict[str, UUID]:
        try:
            return {"case_file": UUID(request.query_params["case"])} if "case" in request.query_params else {}
        except ValueError:
            return {"case_file": UUID(int=0)}


@extend_schema_view(list=extend_schema(description="The exhibits you may see.", parameters=[CASE]))
class ExhibitViewSet(_OfCase, mixins.ListModelMixin, GenericViewSet[Exhibit]):
    serializer_class = ExhibitRowSerializer
    queryset = Exhibit.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Exhibit]:
        rows = Exhibit.objects.select_related("item").filter(**self._of_case(self.request))
        return permitted(self.request.user, "exhibit.view", rows)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "exhibit.view")
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=ExhibitSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One exhibit with its reviews. Reading it is a custody event."""
        return Response(ExhibitSerializer(_exhibit(request, pk)).data)

    @extend_schema(request=NewExhibitSerializer, responses={201: ExhibitSerializer})
    def create(self, request: Request) -> Response:
        """Tender an item; 409 with the reasons when consent does not cover the case."""
        user = person(request)
        require_anywhere(user, "exhibit.edit")
        data = _checked(NewExhibitSerializer, request)
        made = actions.add_exhibit(
            by=user, at=timezone.now(), case_id=data.pop("case"), accession=data.pop("item"), fields=data
        )
        return Response(ExhibitSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=ExhibitChangeSerializer, responses=ExhibitSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change category, relevance or notes."""
        user = person(request)
        require(user, "exhibit.edit", Exhibit.objects.all(), pk=pk)
        data = _checked(ExhibitChangeSerializer, request, partial=True)
        actions.edit_exhibit(by=user, at=timezone.now(), exhibit_id=UUID(pk), changes=data)
        return Response(ExhibitSerializer(_exhibit(request, pk)).data)

    @extend_schema(request=WithdrawalSerializer, responses=ExhibitSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take an exhibit out of the case; its number and reviews stay."""
        user = person(request)
        require(user, "exhibit.edit", Exhibit.objects.all(), pk=pk)
        reason = _checked(WithdrawalSerializer, request)["reason"]
        actions.withdraw_exhibit(by=user, at=timezone.now(), exhibit_id=UUID(pk), reason=reason)
        return Response(ExhibitSerializer(_exhibit(request, pk)).data)

    @extend_schema(request=NewExhibitReviewSerializer, responses={201: ExhibitReviewSerializer})
    @action(detail=True, methods=["post"])
    def reviews(self, request: Request, pk: str) -> Response:
        """Add a coded assessment; earlier ones stay."""
        user = person(request)
        require(user, "exhibit.review", Exhibit.objects.all(), pk=pk)
        data = _checked(NewExhibitReviewSerializer, request)
        made = actions.review_exhibit(by=user, at=timezone.now(), exhibit_id=UUID(pk), **data)
        return Response(ExhibitReviewSerializer(made).data, status.HTTP_201_CREATED)


@extend_schema_view(list=extend_schema(description="The bundles of your case files.", parameters=[CASE]))
class BundleViewSet(_OfCase, mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Bundle]):
    serializer_class = BundleSerializer
    queryset = Bundle.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Bundle]:
        return permitted(self.request.user, "bundle.view", Bundle.objects.filter(**self._of_case(self.request)))

    def get_object(self) -> Bundle:
        return require(person(self.request), "bundle.view", Bundle.objects.all(), pk=self.kwargs["pk"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "bundle.view")
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewBundleSerializer, responses={201: BundleSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a bundle; a worker builds it."""
        user = person(request)
        require_anywhere(user, "case.export")
        data = _checked(NewBundleSerializer, request)
        opened = data.get("opened", Preset(data.get("preset", Preset.FULL)).fields)
        made = bundles.request_bundle(by=user, at=timezone.now(), case_id=data["case"], opened=opened)
        return Response(BundleSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=BundleSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a bundle that is not ready."""
        made = bundles.cancel_bundle(by=person(request), at=timezone.now(), bundle_id=UUID(pk))
        return Response(BundleSerializer(made).data)

    @extend_schema(request=None, responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["post"])
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        """The .zip; each download is a custody event."""
        return bundle_response(bundles.download_bundle(by=person(request), at=timezone.now(), bundle_id=UUID(pk)))


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [
    ("cases", CaseViewSet, "api-case"),
    ("exhibits", ExhibitViewSet, "api-exhibit"),
    ("bundles", BundleViewSet, "api-bundle"),
]

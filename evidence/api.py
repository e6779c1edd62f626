"""Items in the API. Every method calls the action its page calls; a refusal is the same refusal."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet, ViewSetMixin

from accounts.models import User
from accounts.permissions import can, compartments, require
from custody.story import StoryLine, story
from evidence import actions, erasure, queries
from evidence.erasure_api import ErasureSerializer, NewErasureSerializer
from evidence.erasure_api import router_entries as erasure_entries
from evidence.media_types import UNKNOWN
from evidence.models import Item
from evidence.queries import Filters
from evidence.receipts import receipt
from evidence.serializers import (
    CustodyLineSerializer,
    DescribeSerializer,
    FixityCheckSerializer,
    ItemListSerializer,
    ItemSerializer,
    as_json,
    as_row,
)
from evidence.serving import file_name, served_as, stream

MOST_ON_A_PAGE = 200
_BYTES = {
    (200, "application/octet-stream"): OpenApiTypes.BINARY,
    (206, "application/octet-stream"): OpenApiTypes.BINARY,
}


def _user(request: Request) -> User:
    user = request.user
    assert isinstance(user, User)  # IsAuthenticated let nobody else through
    return user


class _AnyAccept(DefaultContentNegotiation):
    """Bytes are sent as what they are: an Accept header for images must not turn them into 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ItemViewSet(ViewSet):
    """Items by accession number."""

    content_negotiation_class = _AnyAccept

    lookup_field = "accession"
    lookup_value_regex = r"[A-Z][A-Z0-9-]{1,18}[A-Z0-9]-[0-9]{6,12}"

    @extend_schema(
        operation_id="items_list",
        parameters=[
            *(OpenApiParameter(name, str, description="filter") for name in Filters.names()),
            OpenApiParameter("after", str, description="mark of the page that follows"),
            OpenApiParameter("before", str, description="mark of the page before"),
            OpenApiParameter("limit", int, description="items on a page, at most 200"),
        ],
        responses=ItemListSerializer,
    )
    def list(self, request: Request) -> Response:
        """The items you see, newest first, without what is said of them at length: read that one by one."""
        user, params = _user(request), request.query_params
        filters = Filters.read(params.dict())
        items = queries.library(user, filters)
        limit = params.get("limit", "")
        size = min(int(limit), MOST_ON_A_PAGE) if limit.isdecimal() and int(limit) else queries.PAGE
        found = queries.page(items, after=params.get("after", ""), before=params.get("before", ""), size=size)
        readable = {compartment.pk for compartment in compartments(user, "item.view_content")}
        return Response(
            {
                "count": queries.count(items),
                "next": self._page_url(request, "after", found.older),
                "previous": self._page_url(request, "before", found.newer),
                "results": [as_row(item, readable=item.compartment_id in readable) for item in found.items],
            }
        )

    @extend_schema(operation_id="items_retrieve", responses=ItemSerializer)
    def retrieve(self, request: Request, accession: str) -> Response:
        """One item. Reading it is a custody event."""
        user = _user(request)
        item = actions.open_record(by=user, at=timezone.now(), accession=accession)
        return Response(as_json(item, readable=can(user, "item.view_content", item)))

    @extend_schema(operation_id="items_describe", request=DescribeSerializer, responses=ItemSerializer)
    def partial_update(self, request: Request, accession: str) -> Response:
        """Describe an item. With `version`, 409 when somebody described it meanwhile."""
        user, now = _user(request), timezone.now()
        given = DescribeSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        version, reason = changes.pop("version", None), changes.pop("reason", "")
        actions.describe_item(by=user, at=now, accession=accession, changes=changes, reason=reason, version=version)
        item = actions.open_record(by=user, at=now, accession=accession)
        return Response(as_json(item, readable=can(user, "item.view_content", item)))

    @extend_schema(operation_id="items_content", responses=_BYTES)
    @action(detail=True, methods=["get", "head"])
    def content(self, request: Request, accession: str) -> HttpResponseBase:
        """The bytes as received, to show them; one Range is honoured."""
        item = actions.open_content(by=_user(request), at=timezone.now(), accession=accession)
        content_type, inline = served_as(item)
        return stream(
            request._request,
            item.blob,
            size=item.size,
            sha256=item.sha256,
            content_type=content_type,
            file_name=file_name(item),
            inline=inline,
        )

    @extend_schema(operation_id="items_preview", responses={(200, "image/webp"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get", "head"])
    def preview(self, request: Request, accession: str) -> HttpResponseBase:
        """The picture made from the item; 404 when there is none."""
        made = actions.open_preview(by=_user(request), at=timezone.now(), accession=accession)
        return stream(
            request._request,
            made.blob,
            size=made.size,
            sha256=made.sha256,
            content_type="image/webp",
            file_name=f"{accession}-preview.webp",
            inline=True,
        )

    @extend_schema(operation_id="items_download", request=None, responses=_BYTES)
    @action(detail=True, methods=["post"])
    def download(self, request: Request, accession: str) -> HttpResponseBase:
        """The bytes as received, to keep them: a custody event each time."""
        item = actions.download_item(by=_user(request), at=timezone.now(), accession=accession)
        return stream(
            request._request,
            item.blob,
            size=item.size,
            sha256=item.sha256,
            content_type=UNKNOWN,
            file_name=file_name(item),
            inline=False,
        )

    @extend_schema(operation_id="items_verify", request=None, responses=FixityCheckSerializer)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, accession: str) -> Response:
        """Test bytes, record and ledger against each other now."""
        check = actions.verify_item(by=_user(request), at=timezone.now(), accession=accession)
        return Response(FixityCheckSerializer(check).data)

    @extend_schema(operation_id="items_custody", responses=CustodyLineSerializer(many=True))
    @action(detail=True, methods=["get"])
    def custody(self, request: Request, accession: str) -> Response:
        """The custody of an item, oldest first."""
        user = _user(request)
        item = actions.open_record(by=user, at=timezone.now(), accession=accession)
        readable = can(user, "item.view_content", item)
        return Response([_line(line, readable) for line in story("item", item.pk)])

    @extend_schema(operation_id="items_receipt", responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(detail=True, methods=["get"])
    def receipt(self, request: Request, accession: str) -> HttpResponseBase:
        """The receipt of its reception as a file to keep (`state`: pending, then recorded): save it byte for byte."""
        item = actions.open_receipt(by=_user(request), at=timezone.now(), accession=accession)
        made = receipt(item)
        response = HttpResponse(made.file, content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="{made.file_name}"'
        response["Cache-Control"] = "private, no-store"
        return response

    @extend_schema(operation_id="items_erasure", request=NewErasureSerializer, responses={201: ErasureSerializer})
    @action(detail=True, methods=["post"])
    def erasure(self, request: Request, accession: str) -> Response:
        """Ask that the item and its exact copies be erased; 409 with every objection. A second person decides."""
        user = _user(request)
        require(user, "item.request_erasure", Item.objects.all(), accession=accession)
        given = NewErasureSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = erasure.request_erasure(by=user, at=timezone.now(), accession=accession, **given.validated_data)
        return Response(ErasureSerializer(made).data, status=201)

    @staticmethod
    def _page_url(request: Request, name: str, mark: str) -> str | None:
        if not mark:
            return None
        kept = {key: value for key, value in request.query_params.dict().items() if key not in ("after", "before")}
        return request.build_absolute_uri(f"{request.path}?{urlencode(kept | {name: mark})}")


def _line(line: StoryLine, readable: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event_id": line.event_id,
        "at": line.at,
        "type": line.type.value,
        "premis": line.type.premis,
        "outcome": line.outcome.value,
        "agent_id": line.agent_id,
        "index": line.index,
        "recorded": line.recorded,
        "erased": sorted(line.erased),
        "lost": sorted(line.lost),
    }
    if readable:
        told["fields_opened"] = line.fields
    return told


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [("items", ItemViewSet, "item"), *erasure_entries]

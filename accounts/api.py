"""`/api/v1/` me, people, compartments, grants and tokens. Reads ask the permission engine, writes call the actions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from accounts import actions
from accounts.models import ApiToken, Compartment, Grant, User
from accounts.permissions import permitted, require, require_anywhere
from accounts.requests import person
from accounts.serializers import (
    ActReasonSerializer,
    CompartmentChangeSerializer,
    CompartmentDetailSerializer,
    CompartmentSerializer,
    GrantSerializer,
    InvitationSerializer,
    IssuedTokenSerializer,
    MeSerializer,
    NewGrantSerializer,
    NewPersonSerializer,
    NewTokenSerializer,
    PersonSerializer,
    TokenSerializer,
)

UUID_REGEX = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def _checked(serializer_class: Any, request: Request, **options: Any) -> dict[str, Any]:
    """What the body says, or 400 naming the fields."""
    serializer = serializer_class(data=request.data, **options)
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class MeViewSet(GenericViewSet[User]):
    """The person the request is made by."""

    serializer_class = MeSerializer
    queryset = User.objects.none()
    pagination_class = None

    @extend_schema(operation_id="me_retrieve", responses=MeSerializer)
    def list(self, request: Request) -> Response:
        return Response(self.get_serializer(person(request)).data)


@extend_schema_view(
    list=extend_schema(description="People, for administrators and auditors."),
    retrieve=extend_schema(description="One person."),
)
class PeopleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[User]):
    serializer_class = PersonSerializer
    queryset = User.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[User]:
        return permitted(self.request.user, "user.view", User.objects.all())

    def get_object(self) -> User:
        return require(person(self.request), "user.view", User.objects.all(), pk=self.kwargs["pk"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "user.view")
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewPersonSerializer, responses={201: InvitationSerializer})
    def create(self, request: Request) -> Response:
        """Invite a person. The link in the answer is shown once."""
        user = person(request)
        require_anywhere(user, "user.manage")
        data = _checked(NewPersonSerializer, request)
        invited, secret = actions.invite_user(by=user, at=timezone.now(), **data)
        return self._invitation(invited, secret)

    @extend_schema(request=None, responses={201: InvitationSerializer})
    @action(detail=True, methods=["post"])
    def invitation(self, request: Request, pk: str) -> Response:
        """A new one-time link; earlier unused ones stop working."""
        user = person(request)
        invited = require(user, "user.manage", User.objects.all(), pk=pk)
        return self._invitation(invited, actions.renew_invitation(by=user, at=timezone.now(), user_id=invited.pk))

    @extend_schema(request=ActReasonSerializer, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def bar(self, request: Request, pk: str) -> Response:
        """Bar a person from the archive; effective from their next request."""
        return self._set_active(request, pk, active=False)

    @extend_schema(request=ActReasonSerializer, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def unbar(self, request: Request, pk: str) -> Response:
        """Let a barred person in again."""
        return self._set_active(request, pk, active=True)

    def _set_active(self, request: Request, pk: str, *, active: bool) -> Response:
        user = person(request)
        require(user, "user.manage", User.objects.all(), pk=pk)
        reason = _checked(ActReasonSerializer, request)["reason"]
        changed = actions.set_active(by=user, at=timezone.now(), user_id=UUID(pk), active=active, reason=reason)
        return Response(PersonSerializer(changed).data)

    def _invitation(self, invited: User, secret: str) -> Response:
        link = self.request.build_absolute_uri(reverse("accounts:invitation_open", args=[secret]))
        answer = InvitationSerializer({"person": invited, "link": link})
        return Response(answer.data, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


@extend_schema_view(list=extend_schema(description="The compartments you hold a role in."))
class CompartmentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Compartment]):
    serializer_class = CompartmentSerializer
    queryset = Compartment.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Compartment]:
        return permitted(self.request.user, "compartment.view", Compartment.objects.all())

    def get_object(self) -> Compartment:
        return require(person(self.request), "compartment.view", Compartment.objects.all(), pk=self.kwargs["pk"])

    @extend_schema(responses=CompartmentDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One compartment and who holds which role in it."""
        return Response(CompartmentDetailSerializer(self.get_object(), context=self.get_serializer_context()).data)

    @extend_schema(request=CompartmentSerializer, responses={201: CompartmentSerializer})
    def create(self, request: Request) -> Response:
        """Open a compartment; for administrators of the whole archive."""
        user = person(request)
        require_anywhere(user, "compartment.open")
        opened = actions.open_compartment(by=user, at=timezone.now(), **_checked(CompartmentSerializer, request))
        return Response(CompartmentSerializer(opened).data, status.HTTP_201_CREATED)

    @extend_schema(request=CompartmentChangeSerializer, responses=CompartmentSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the title or the description. The code stays."""
        user = person(request)
        compartment = require(user, "compartment.edit", Compartment.objects.all(), pk=pk)
        data = {"title": compartment.title, "description": compartment.description}
        data |= _checked(CompartmentChangeSerializer, request, partial=True)
        changed = actions.describe_compartment(by=user, at=timezone.now(), compartment_id=compartment.pk, **data)
        return Response(CompartmentSerializer(changed).data)


@extend_schema_view(
    list=extend_schema(
        description="Grants, present and ended, in the compartments you oversee.",
        parameters=[
            OpenApiParameter("user", UUID, description="Only this person's"),
            OpenApiParameter("in_force", bool, description="Only those that count now"),
        ],
    ),
)
class GrantViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Grant]):
    serializer_class = GrantSerializer
    queryset = Grant.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[Grant]:
        asked = self.request.query_params
        grants: QuerySet[Grant] = Grant.objects.all()
        if asked.get("in_force", "").lower() in ("1", "true"):
            grants = Grant.objects.in_force()
        if "user" in asked:
            grants = grants.filter(user_id=asked["user"])
        return permitted(self.request.user, "grant.oversee", grants)

    def get_object(self) -> Grant:
        return require(person(self.request), "grant.oversee", Grant.objects.all(), pk=self.kwargs["pk"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require_anywhere(person(request), "grant.oversee")
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewGrantSerializer, responses={201: GrantSerializer})
    def create(self, request: Request) -> Response:
        """Grant a role; effective at once. Nobody grants to themselves."""
        user = person(request)
        require_anywhere(user, "compartment.grant")
        data = _checked(NewGrantSerializer, request)
        grant = actions.grant_role(
            by=user,
            at=timezone.now(),
            user_id=data["user"],
            role=data["role"],
            compartment_id=data["compartment"],
            reason=data["reason"],
            expires_at=data["expires_at"],
        )
        return Response(GrantSerializer(grant).data, status.HTTP_201_CREATED)

    @extend_schema(request=ActReasonSerializer, responses=GrantSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Take a role back; effective from the next request."""
        user = person(request)
        require(user, "grant.revoke", Grant.objects.all(), pk=pk)
        reason = _checked(ActReasonSerializer, request)["reason"]
        revoked = actions.revoke_grant(by=user, at=timezone.now(), grant_id=UUID(pk), reason=reason)
        return Response(GrantSerializer(revoked).data)


@extend_schema_view(list=extend_schema(description="Your own API tokens."))
class TokenViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[ApiToken]):
    serializer_class = TokenSerializer
    queryset = ApiToken.objects.all()
    lookup_value_regex = UUID_REGEX

    def get_queryset(self) -> QuerySet[ApiToken]:
        return permitted(self.request.user, "token.view", ApiToken.objects.all())

    def get_object(self) -> ApiToken:
        return require(person(self.request), "token.view", ApiToken.objects.all(), pk=self.kwargs["pk"])

    @extend_schema(request=NewTokenSerializer, responses={201: IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        """Issue a token. Only for a signed-in session: a token that leaked must not outlive its own end in another."""
        if isinstance(request.auth, ApiToken):
            raise PermissionDenied(_("A token cannot issue tokens: sign in."))
        data = _checked(NewTokenSerializer, request)
        token, secret = actions.issue_token(
            by=person(request),
            at=timezone.now(),
            purpose=data["purpose"],
            read_only=data["read_only"],
            life=timedelta(days=data["days"]),
        )
        answer = IssuedTokenSerializer({"token": token, "secret": secret})
        return Response(answer.data, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Withdraw a token; it stops working with the next request."""
        revoked = actions.revoke_token(by=person(request), at=timezone.now(), token_id=UUID(pk))
        return Response(TokenSerializer(revoked).data)


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [
    ("me", MeViewSet, "me"),
    ("people", PeopleViewSet, "people"),
    ("compartments", CompartmentViewSet, "compartments"),
    ("grants", GrantViewSet, "grants"),
    ("tokens", TokenViewSet, "tokens"),
]

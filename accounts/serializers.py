"""What the API says about people, compartments, grants and tokens."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.actions import TOKEN_LIFE_MOST
from accounts.models import ApiToken, Compartment, Grant, Role, User
from accounts.permissions import permitted


class CompartmentSerializer(serializers.ModelSerializer[Compartment]):
    class Meta:
        model = Compartment
        fields = ("id", "code", "title", "description", "opened_at")
        read_only_fields = ("id", "opened_at")


class CompartmentChangeSerializer(serializers.ModelSerializer[Compartment]):
    class Meta:
        model = Compartment
        fields = ("title", "description")


class MemberSerializer(serializers.ModelSerializer[Grant]):
    """Who holds which role: what colleagues may know of each other."""

    person = serializers.UUIDField(source="user_id")
    display_name = serializers.CharField(source="user.display_name")

    class Meta:
        model = Grant
        fields = ("person", "display_name", "role", "expires_at")


class CompartmentDetailSerializer(CompartmentSerializer):
    members = serializers.SerializerMethodField()

    class Meta(CompartmentSerializer.Meta):
        fields = (*CompartmentSerializer.Meta.fields, "members")  # type: ignore[assignment]

    @extend_schema_field(MemberSerializer(many=True))
    def get_members(self, compartment: Compartment) -> list[dict[str, Any]]:
        grants = Grant.objects.in_force().filter(compartment=compartment)
        seen = permitted(self.context["request"].user, "grant.view", grants)
        return list(
            MemberSerializer(seen.select_related("user").order_by("role", "user__display_name"), many=True).data
        )


class GrantSerializer(serializers.ModelSerializer[Grant]):
    """A grant with its reason. A null compartment means the whole archive."""

    user = serializers.UUIDField(source="user_id")
    compartment = serializers.UUIDField(source="compartment_id", allow_null=True)
    granted_by = serializers.UUIDField(source="granted_by_id", allow_null=True)
    revoked_by = serializers.UUIDField(source="revoked_by_id", allow_null=True)

    class Meta:
        model = Grant
        fields = (
            "id",
            "user",
            "compartment",
            "role",
            "reason",
            "granted_by",
            "granted_at",
            "expires_at",
            "revoked_by",
            "revoked_at",
        )


class NewGrantSerializer(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    compartment = serializers.UUIDField(allow_null=True, default=None)
    role = serializers.ChoiceField(choices=Role.choices)
    reason = serializers.CharField(max_length=500)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class ActReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class PersonSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "username", "display_name", "email", "language", "is_active", "joined_at")
        read_only_fields = fields


class NewPersonSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("username", "display_name", "email", "language")


class InvitationSerializer(serializers.Serializer[Any]):
    """A person and the one-time link with which they set their password: shown here once and kept nowhere."""

    person = PersonSerializer()
    link = serializers.URLField()


class HeldSerializer(serializers.ModelSerializer[Grant]):
    compartment = serializers.UUIDField(source="compartment_id", allow_null=True)
    code = serializers.CharField(source="compartment.code", allow_null=True, default=None)

    class Meta:
        model = Grant
        fields = ("id", "role", "compartment", "code", "expires_at")


@extend_schema_serializer(many=False)
class MeSerializer(serializers.ModelSerializer[User]):
    """The signed-in person, with the roles in force."""

    grants = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "username", "display_name", "language", "grants")
        read_only_fields = fields

    @extend_schema_field(HeldSerializer(many=True))
    def get_grants(self, user: User) -> list[dict[str, Any]]:
        held = Grant.objects.in_force().filter(user=user).select_related("compartment")
        return list(HeldSerializer(held, many=True).data)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    class Meta:
        model = ApiToken
        fields = ("id", "purpose", "prefix", "read_only", "created_at", "expires_at", "last_used_at", "revoked_at")


class NewTokenSerializer(serializers.Serializer[Any]):
    purpose = serializers.CharField(max_length=200)
    read_only = serializers.BooleanField(default=True)  # type: ignore[assignment]
    days = serializers.IntegerField(min_value=1, max_value=TOKEN_LIFE_MOST.days, default=90)


class IssuedTokenSerializer(serializers.Serializer[Any]):
    """A token and its secret: shown here once and kept nowhere."""

    token = TokenSerializer()
    secret = serializers.CharField()

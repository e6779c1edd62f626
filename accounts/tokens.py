"""API tokens: `Authorization: Bearer sanad_…`. The secret is never stored; its SHA-256 finds the row."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.models import ApiToken, User, digest_of

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LONGEST = 200


class TokenAuthentication(BaseAuthentication):
    """Authenticates by a token in force.

    Raises AuthenticationFailed (401), and PermissionDenied (403) for a write with a token that may only read.
    """

    keyword = b"bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword:
            return None
        if len(parts) != 2 or len(parts[1]) > LONGEST:
            raise AuthenticationFailed(_("The token is not valid."))
        now = timezone.now()
        token = (
            ApiToken.objects.select_related("user")
            .filter(
                digest=digest_of(parts[1].decode("ascii", "replace")),
                revoked_at__isnull=True,
                expires_at__gt=now,
                user__is_active=True,
            )
            .first()
        )
        if token is None:
            raise AuthenticationFailed(_("The token is not valid."))
        if token.read_only and request.method not in SAFE_METHODS:
            raise PermissionDenied(_("This token may only read."))
        with transaction.atomic():
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}

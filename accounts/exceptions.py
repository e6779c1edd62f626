"""What the engine raises, turned into an answer and, for a refusal, into a custody event."""

import logging
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.actions import record_refusal
from accounts.models import User
from accounts.permissions import NotNow, NotVisible, Refused, rules

log = logging.getLogger("accounts.refusals")


class RefusalMiddleware:
    """Answers 403, 404 and 409 for the engine's exceptions, after the act's own transaction was rolled back."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        record_if_refused(exception)
        if isinstance(exception, Refused):
            return render(request, "403.html", status=403)
        if isinstance(exception, NotNow):
            return render(request, "409.html", {"reason": exception.message}, status=409)
        return None


def api_exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The same for the API: problem codes a program can act on, field errors under their field."""
    record_if_refused(exc)
    if isinstance(exc, Refused):
        return Response({"code": "not_allowed", "detail": _("You may not do this."), "permission": exc.permission}, 403)
    if isinstance(exc, NotNow):
        return Response({"code": "not_now", "detail": str(exc.message)}, 409)
    if isinstance(exc, ValidationError):
        errors = exc.message_dict if hasattr(exc, "error_dict") else {"non_field_errors": exc.messages}
        exc = exceptions.ValidationError(errors)
    response = exception_handler(exc, context)
    if response is not None and isinstance(response.data, dict) and set(response.data) == {"detail"}:
        response.data["code"] = getattr(response.data["detail"], "code", "error")
    return response


def record_if_refused(exception: Exception) -> None:
    """Record a refusal in a transaction of its own: the refused act left nothing behind."""
    if not isinstance(exception, Refused | NotVisible) or not isinstance(exception.user, User):
        return
    if isinstance(exception, Refused):
        _record(exception.user, exception.permission, exception.obj)
    elif exception.hidden is not None:
        _record(exception.user, exception.permission, exception.hidden)


def _record(user: User, permission: str, obj: Model | None) -> None:
    stated = rules().get(permission)
    compartment = stated.compartment_of(obj) if stated and obj is not None and isinstance(obj, stated.model) else None
    object_id = obj.pk if obj is not None and isinstance(obj.pk, UUID) else None
    kind = obj._meta.model_name if obj is not None else None
    log.warning("refused %s", permission)
    record_refusal(
        by=user, at=timezone.now(), permission=permission, kind=kind, object_id=object_id, compartment=compartment
    )

"""What is answered when something failed on our side: 500, and 503 while the database is away."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from django.utils.translation import gettext as _
from django.views.defaults import server_error
from procrastinate.exceptions import ConnectorException

RETRY_AFTER = 5  # seconds: a database that died is started again within that time
AWAY = (OperationalError, InterfaceError, ConnectorException)


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler500: called while the exception is being handled. Asks no database for the page it gives."""
    api = request.path.startswith("/api/")
    if isinstance(sys.exc_info()[1], AWAY):
        detail = _(
            "The archive’s database does not answer at the moment. Send the same request again in a few seconds."
        )
        problem = {"code": "away", "detail": detail}
        answer = (
            JsonResponse(problem, status=503) if api else HttpResponse(get_template("503.html").render(), status=503)
        )
        answer["Retry-After"] = str(RETRY_AFTER)
        return answer
    if api:
        detail = _("The archive could not finish this. What it had begun was taken back as a whole.")
        return JsonResponse({"code": "error", "detail": detail}, status=500)
    return server_error(request)

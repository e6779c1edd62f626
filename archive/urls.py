from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from archive.health import health

urlpatterns = [
    path("", include("accounts.urls")),
    path("items/", include("evidence.urls")),
    path("incidents/", include("incidents.urls")),
    path("", include("witnesses.urls")),
    path("cases/", include("cases.urls")),
    path("audit/", include("verification.urls")),
    path("api/v1/", include("archive.api")),
    path("language/", login_not_required(set_language), name="set_language"),
    path("health/", health, name="health"),
]

from django.conf import settings
from django.urls import include, path

from accounts.gallery import gallery, gallery_progress
from accounts.views import set_language
from archive.health import health
from archive.metrics import metrics

handler500 = "archive.errors.failed"
urlpatterns = [
    path("", include("accounts.urls")),
    path("items/", include("evidence.urls")),
    path("incidents/", include("incidents.urls")),
    path("", include("witnesses.urls")),
    path("cases/", include("cases.urls")),
    path("audit/", include("verification.urls")),
    path("api/v1/", include("archive.api")),
    path("language/", set_language, name="set_language"),
    path("health/", health, name="health"),
    path("metrics/", metrics, name="metrics"),
]
if settings.DEBUG:
    urlpatterns += [
        path("gallery/", gallery, name="gallery"),
        path("gallery/progress/", gallery_progress, name="gallery_progress"),
    ]
